// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {IPointsExchange} from "sarraf/interfaces/IPointsExchange.sol";
import {IPointsToken} from "sarraf/interfaces/IPointsToken.sol";
import {ExchangeWorld} from "./ExchangeWorld.sol";
import {IToken} from "./IToken.sol";
import {Vm, vm} from "./Vm.sol";

/// Swaps in batches: what settles, what is skipped, what is refused.
contract ExchangeSettleTest is ExchangeWorld {
    int256 private constant WORTH = int256(uint256(PRICE));
    uint256 private constant LEGS_MAX = 1024;

    function setUp() public override {
        super.setUp();
        give(a, 1, 1_000);
        give(a, 2, 1_000);
    }

    // ------------------------------------------------------------ what settles

    function test_settle__one_hop__burns_mints_and_moves_positions() external {
        bytes32[] memory legs = list(word(1, SWAP, 100), word(2, SWAP, 8));
        bytes32 path = exchange.pathId(pathOf(2));

        vm.expectEmit(address(exchange));
        emit IPointsExchange.PositionMoved(address(a), -71 * WORTH, -71 * WORTH);
        vm.expectEmit(address(exchange));
        emit IPointsExchange.PositionMoved(address(b), 71 * WORTH, 71 * WORTH);
        vm.expectEmit(address(exchange));
        emit IPointsExchange.Settled(path, 1, keccak256(abi.encodePacked(legs)), 108, 71);
        settle(2, legs);

        vm.assertEq(balance(a, 1), 900);
        vm.assertEq(balance(a, 2), 992);
        vm.assertEq(balance(b, 1), 66);
        vm.assertEq(balance(b, 2), 5);
        vm.assertEq(a.totalSupply(), 1_892);
        vm.assertEq(b.totalSupply(), 71);
        vm.assertEq(uint256(exchange.sequenceOf(path)), 1);
    }

    function test_settle__four_hops__rounds_down_at_each() external {
        settle(5, list(word(1, SWAP, 100)));
        // 100 -> 66 -> 44 -> 29 -> 19
        vm.assertEq(balance(a, 1), 900);
        vm.assertEq(balance(tokens[4], 1), 19);
        for (uint256 i = 1; i < 4; ++i) vm.assertEq(tokens[i].totalSupply(), 0);
        expectPosition(a, -66 * WORTH);
        expectPosition(b, (66 - 44) * WORTH);
        expectPosition(c, (44 - 29) * WORTH);
        expectPosition(tokens[3], (29 - 19) * WORTH);
        expectPosition(tokens[4], 19 * WORTH);
        vm.assertEq(sumOfPositions(), 0);
    }

    function test_settle__short_leg__is_skipped_and_reported_and_the_rest_settles() external {
        bytes32[] memory legs = list(word(1, SWAP, 600), word(1, SWAP, 401), word(1, SWAP, 400));
        bytes32 path = exchange.pathId(pathOf(2));
        vm.expectEmit(address(exchange));
        emit IPointsExchange.LegSkipped(path, 1, 1);
        vm.expectEmit(address(exchange));
        emit IPointsExchange.Settled(path, 1, keccak256(abi.encodePacked(legs)), 1_000, 666);
        settle(2, legs);
        vm.assertEq(balance(a, 1), 0);
        vm.assertEq(balance(b, 1), 400 + 266);
        expectPosition(b, (400 + 266) * WORTH);
    }

    function test_settle__all_legs_short__settles_nothing_and_uses_the_sequence() external {
        settle(2, list(word(3, SWAP, 10)));
        vm.assertEq(balance(b, 3), 0);
        expectPosition(b, 0);
        expectUsed(a, b, 0, 0);
        vm.assertEq(uint256(exchange.sequenceOf(exchange.pathId(pathOf(2)))), 1);
    }

    /// A leg that is skipped cannot fail for what it would have come to.
    function test_settle__short_leg_too_small_to_convert__is_skipped() external {
        settle(2, list(word(3, SWAP, 1), word(1, SWAP, 3)));
        vm.assertEq(balance(b, 1), 2);
    }

    /// Short legs at the places where the answer's words begin and end.
    function test_settle__legs_short_across_three_words__are_the_ones_reported() external {
        uint16[7] memory short = [uint16(0), 255, 256, 257, 511, 512, 599];
        bytes32[] memory legs = new bytes32[](600);
        for (uint256 i; i < legs.length; ++i) legs[i] = word(1, SWAP, 3);
        for (uint256 i; i < short.length; ++i) legs[short[i]] = word(100 + i, SWAP, 3);
        give(a, 1, 3 * 600);

        vm.recordLogs();
        settle(2, legs);
        expectSkipped(short, vm.getRecordedLogs());
        vm.assertEq(balance(b, 1), 2 * (600 - short.length));
        for (uint256 i; i < short.length; ++i) vm.assertEq(balance(b, 100 + i), 0);
    }

    function expectSkipped(uint16[7] memory short, Vm.Log[] memory logs) private view {
        uint256 found;
        for (uint256 i; i < logs.length; ++i) {
            if (logs[i].topics[0] != IPointsExchange.LegSkipped.selector) continue;
            vm.assertEq(logs[i].emitter, address(exchange));
            vm.assertEq(logs[i].data, abi.encode(uint64(1), uint256(short[found])));
            ++found;
        }
        vm.assertEq(found, short.length);
    }

    function test_settle__as_many_legs_as_may_be__settle() external {
        give(a, 1, uint48(3 * LEGS_MAX));
        settle(2, legsOf(LEGS_MAX));
        vm.assertEq(balance(b, 1), 2 * LEGS_MAX);
    }

    function test_settle__two_paths__count_their_sequences_apart() external {
        settle(2, list(word(1, SWAP, 10)));
        settle(3, list(word(1, SWAP, 10)));
        settle(2, list(word(1, SWAP, 10)));
        vm.assertEq(uint256(exchange.sequenceOf(exchange.pathId(pathOf(2)))), 2);
        vm.assertEq(uint256(exchange.sequenceOf(exchange.pathId(pathOf(3)))), 1);
    }

    function testFuzz_settle__any_amount_and_ratio__gives_the_floor_or_refuses(
        uint48 amount,
        uint48 fromUnits,
        uint48 toUnits
    ) external {
        vm.assume(amount != 0 && fromUnits != 0 && toUnits != 0);
        agree(b, a, fromUnits, toUnits, PRICE);
        give(b, 7, amount);
        uint256 out = uint256(amount) * toUnits / fromUnits;
        bool settles = out != 0 && out <= MOST;

        if (settles) {
            settle(pathOf(b, a), list(word(7, SWAP, amount)));
        } else if (out == 0) {
            expectSettleRefused(
                pathOf(b, a),
                list(word(7, SWAP, amount)),
                abi.encodeWithSelector(IPointsExchange.NothingOut.selector, 0)
            );
        } else {
            expectSettleRefused(
                pathOf(b, a),
                list(word(7, SWAP, amount)),
                abi.encodeWithSelector(IPointsExchange.AmountTooLarge.selector, 0, out)
            );
        }

        vm.assertEq(balance(a, 7), settles ? out : 0);
        vm.assertEq(balance(b, 7), settles ? 0 : amount);
        expectPosition(a, settles ? int256(out * PRICE) : int256(0));
    }

    // ------------------------------------------------------------ who and when

    function testFuzz_settle__anybody_else__reverts(address caller) external {
        vm.assume(caller != OPERATOR);
        vm.expectRevert(abi.encodeWithSelector(IPointsExchange.NotOperator.selector, caller));
        vm.prank(caller);
        exchange.settle(pathOf(2), firstVersions(1), 1, soon(), list(word(1, SWAP, 10)));
    }

    function testFuzz_settle__any_sequence_but_the_next__reverts(uint64 given) external {
        settle(2, list(word(1, SWAP, 10)));
        vm.assume(given != 2);
        vm.expectRevert(abi.encodeWithSelector(IPointsExchange.WrongSequence.selector, 2, given));
        vm.prank(OPERATOR);
        exchange.settle(pathOf(2), firstVersions(1), given, soon(), list(word(1, SWAP, 10)));
    }

    function test_settle__in_its_last_second__settles() external {
        settleUntil(block.timestamp);
        vm.assertEq(balance(b, 1), 6);
    }

    function test_settle__a_second_too_late__reverts() external {
        vm.expectRevert(
            abi.encodeWithSelector(IPointsExchange.Stale.selector, block.timestamp - 1, block.timestamp)
        );
        settleUntil(block.timestamp - 1);
    }

    function test_settle__valid_for_as_long_as_may_be__settles() external {
        settleUntil(block.timestamp + LONGEST_BATCH);
        vm.assertEq(balance(b, 1), 6);
    }

    function test_settle__valid_a_second_too_long__reverts() external {
        uint256 latest = block.timestamp + LONGEST_BATCH;
        vm.expectRevert(abi.encodeWithSelector(IPointsExchange.ValidTooLong.selector, latest, latest + 1));
        settleUntil(latest + 1);
    }

    function testFuzz_settle__any_validity__holds_from_now_to_the_longest_batch(uint64 validUntil) external {
        uint256 latest = block.timestamp + LONGEST_BATCH;
        if (validUntil < block.timestamp) {
            vm.expectRevert(
                abi.encodeWithSelector(IPointsExchange.Stale.selector, validUntil, block.timestamp)
            );
        } else if (validUntil > latest) {
            vm.expectRevert(abi.encodeWithSelector(IPointsExchange.ValidTooLong.selector, latest, validUntil));
        }
        settleUntil(validUntil);
    }

    function settleUntil(uint256 validUntil) private {
        vm.prank(OPERATOR);
        exchange.settle(pathOf(2), firstVersions(1), 1, uint64(validUntil), list(word(1, SWAP, 10)));
    }

    // ------------------------------------------------------------ paths and versions

    function test_settle__no_legs__reverts() external {
        expectSettleRefused(
            pathOf(2), new bytes32[](0), abi.encodeWithSelector(IPointsExchange.EmptyBatch.selector)
        );
    }

    function test_settle__too_many_legs__reverts() external {
        expectSettleRefused(
            pathOf(2),
            legsOf(LEGS_MAX + 1),
            abi.encodeWithSelector(IPointsExchange.BatchTooLong.selector, LEGS_MAX, LEGS_MAX + 1)
        );
    }

    function test_settle__too_short_or_too_long_a_path__reverts() external {
        address[] memory long = new address[](6);
        for (uint256 i; i < 6; ++i) long[i] = address(uint160(i + 1));
        expectRefusal(pathOf(0), 0, abi.encodeWithSelector(IPointsExchange.WrongPathLength.selector, 0));
        expectRefusal(pathOf(1), 0, abi.encodeWithSelector(IPointsExchange.WrongPathLength.selector, 1));
        expectRefusal(long, 5, abi.encodeWithSelector(IPointsExchange.WrongPathLength.selector, 6));
    }

    function test_settle__not_one_version_a_hop__reverts() external {
        expectRefusal(pathOf(3), 1, abi.encodeWithSelector(IPointsExchange.WrongVersionCount.selector, 2, 1));
        expectRefusal(pathOf(3), 3, abi.encodeWithSelector(IPointsExchange.WrongVersionCount.selector, 2, 3));
    }

    function test_settle__a_program_twice__reverts() external {
        for (uint256 i; i < PROGRAMS; ++i) {
            for (uint256 j = i + 1; j < PROGRAMS; ++j) {
                address[] memory path = pathOf(PROGRAMS);
                path[j] = path[i];
                expectRefusal(path, 4, abi.encodeWithSelector(IPointsExchange.ProgramTwice.selector, path[i]));
            }
        }
    }

    function test_settle__there_and_back__reverts() external {
        agree(b, a, 2, 3, PRICE);
        address[] memory path = pathOf(3);
        path[2] = address(a);
        expectRefusal(path, 2, abi.encodeWithSelector(IPointsExchange.ProgramTwice.selector, address(a)));
    }

    function test_settle__program_not_admitted__has_no_terms_in_force() external {
        address[] memory path = pathOf(2);
        path[1] = address(newToken(STRANGER, false));
        expectRefusal(
            path, 1, abi.encodeWithSelector(IPointsExchange.NotInForce.selector, path[0], path[1], uint32(1))
        );
    }

    /// Not even where terms are: only the holder of a wallet swaps at whatever is in force.
    function test_settle__version_zero__is_never_in_force() external {
        expectNotInForce(0);
        give(b, 1, 10);
        expectSettleRefused(
            pathOf(b, a),
            versionsOf(0),
            list(word(1, SWAP, 10)),
            abi.encodeWithSelector(IPointsExchange.NotInForce.selector, address(b), address(a), uint32(0))
        );
    }

    function test_settle__old_or_waiting_version__reverts() external {
        propose(a, b, 1, 1, PRICE);
        consent(a, b, 2);
        uint256 start = block.timestamp + NOTICE;
        vm.warp(start - 1);
        expectNotInForce(2);
        vm.warp(start);
        expectNotInForce(1);
    }

    /// Only the low 24 bits of a version are kept: none may pass for another.
    function test_settle__version_that_ends_like_the_one_in_force__reverts() external {
        expectNotInForce((1 << 24) + 1);
    }

    function test_settle__suspended_direction__reverts_anywhere_in_a_path() external {
        suspend(b, c, guardianOf[c]);
        settle(2, list(word(1, SWAP, 10)));
        expectRefusal(
            pathOf(4),
            3,
            abi.encodeWithSelector(IPointsExchange.NotInForce.selector, address(b), address(c), uint32(1))
        );
    }

    function test_settle__terms_changed__uses_the_new_ones() external {
        agree(a, b, 1, 5, 7);
        vm.prank(OPERATOR);
        exchange.settle(pathOf(2), versionsOf(2), 1, soon(), list(word(1, SWAP, 10)));
        vm.assertEq(balance(b, 1), 50);
        expectPosition(b, 350);
    }

    // ------------------------------------------------------------ amounts and kinds

    function test_settle__nothing_would_arrive__reverts_with_the_leg() external {
        expectSettleRefused(
            pathOf(2),
            list(word(2, SWAP, 10), word(1, SWAP, 1)),
            abi.encodeWithSelector(IPointsExchange.NothingOut.selector, 1)
        );
        expectSettleRefused( // 2 -> 1 -> 0
            pathOf(3),
            list(word(2, SWAP, 10), word(1, SWAP, 2)),
            abi.encodeWithSelector(IPointsExchange.NothingOut.selector, 1)
        );
    }

    function test_settle__too_much_in_the_middle__reverts_although_the_end_would_fit() external {
        agree(c, a, 1, 10, PRICE);
        give(c, 1, MOST);
        address[] memory path = new address[](3);
        (path[0], path[1], path[2]) = (address(c), address(a), address(b));
        expectSettleRefused(
            path,
            list(word(1, SWAP, MOST)),
            abi.encodeWithSelector(IPointsExchange.AmountTooLarge.selector, 0, uint256(MOST) * 10)
        );
    }

    function testFuzz_settle__another_kind__reverts(uint8 kind) external {
        vm.assume(kind != SWAP);
        expectSettleRefused(
            pathOf(2),
            list(word(2, SWAP, 10), word(1, kind, 10)),
            abi.encodeWithSelector(IPointsToken.WrongKind.selector, 1, kind)
        );
    }

    function test_settle__leg_of_zero__reverts() external {
        expectSettleRefused(
            pathOf(2),
            list(word(2, SWAP, 10), word(1, SWAP, 0)),
            abi.encodeWithSelector(IPointsToken.ZeroAmount.selector, 1)
        );
    }

    // ------------------------------------------------------------ pauses

    function test_settle__source_or_destination_paused__reverts_and_leaves_all_as_it_was() external {
        IToken[2] memory ends = [a, c];
        for (uint256 i; i < ends.length; ++i) {
            pause(ends[i]);
            expectSettleRefused(
                pathOf(3), list(word(1, SWAP, 100)), abi.encodeWithSelector(IPointsToken.Paused.selector)
            );
            vm.assertEq(balance(a, 1), 1_000);
            vm.assertEq(balance(c, 1), 0);
            expectPosition(a, 0);
            expectUsed(a, b, 0, 0);
            vm.assertEq(uint256(exchange.sequenceOf(exchange.pathId(pathOf(3)))), 0);
            enact(adminOf[ends[i]], ends[i], abi.encodeCall(IPointsToken.unpause, ()));
        }
        settle(3, list(word(1, SWAP, 100)));
        vm.assertEq(balance(c, 1), 44);
    }

    /// Its points do not move: it stops swaps through it by suspending.
    function test_settle__a_program_in_between_paused__settles() external {
        pause(b);
        settle(3, list(word(1, SWAP, 100)));
        vm.assertEq(balance(c, 1), 44);
    }

    function pause(IToken token) private {
        vm.prank(guardianOf[token]);
        token.pause();
    }

    // ------------------------------------------------------------ path ids

    function test_pathId__is_the_hash_of_the_padded_addresses() external view {
        vm.assertEq(exchange.pathId(pathOf(3)), keccak256(abi.encode(address(a), address(b), address(c))));
    }

    // ------------------------------------------------------------ helpers

    function legsOf(uint256 count) private pure returns (bytes32[] memory legs) {
        legs = new bytes32[](count);
        for (uint256 i; i < count; ++i) legs[i] = word(1, SWAP, 3);
    }

    function expectRefusal(address[] memory path, uint256 versions, bytes memory error_) private {
        expectSettleRefused(path, firstVersions(versions), list(word(1, SWAP, 10)), error_);
    }

    function expectNotInForce(uint32 version) private {
        expectSettleRefused(
            pathOf(2),
            versionsOf(version),
            list(word(1, SWAP, 10)),
            abi.encodeWithSelector(IPointsExchange.NotInForce.selector, address(a), address(b), version)
        );
    }
}
