// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {IPointsExchange} from "sarraf/interfaces/IPointsExchange.sol";
import {IPointsToken} from "sarraf/interfaces/IPointsToken.sol";
import {LyingToken} from "./LyingToken.sol";
import {vm} from "./Vm.sol";
import {World} from "./World.sol";

/// Swaps in batches: what settles, what is skipped, what is refused.
contract ExchangeSettleTest is World {
    uint64 private constant PRICE = 4_000;

    function setUp() public override {
        super.setUp();
        for (uint256 i; i + 1 < PROGRAMS; ++i) agree(tokens[i], tokens[i + 1], 3, 2, PRICE);
        give(a, 1, 1_000);
        give(a, 2, 1_000);
    }

    // ------------------------------------------------------------ what settles

    function test_settle__one_hop__burns_mints_and_moves_positions() external {
        bytes32[] memory legs = list(word(1, SWAP, 100), word(2, SWAP, 8));
        bytes32 path = exchange.pathId(pathOf(2));

        vm.expectEmit(address(exchange));
        emit IPointsExchange.PositionMoved(address(a), -71 * int256(uint256(PRICE)), -71 * int256(uint256(PRICE)));
        vm.expectEmit(address(exchange));
        emit IPointsExchange.PositionMoved(address(b), 71 * int256(uint256(PRICE)), 71 * int256(uint256(PRICE)));
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
        int256 price = int256(uint256(PRICE));
        vm.assertEq(exchange.position(address(a)), -66 * price);
        vm.assertEq(exchange.position(address(b)), (66 - 44) * price);
        vm.assertEq(exchange.position(address(c)), (44 - 29) * price);
        vm.assertEq(exchange.position(address(tokens[3])), (29 - 19) * price);
        vm.assertEq(exchange.position(address(tokens[4])), 19 * price);
    }

    function test_settle__short_leg__is_skipped_and_reported_and_the_rest_settles() external {
        bytes32 path = exchange.pathId(pathOf(2));
        vm.expectEmit(address(exchange));
        emit IPointsExchange.LegSkipped(path, 1, 1);
        settle(2, list(word(1, SWAP, 600), word(1, SWAP, 401), word(1, SWAP, 400)));
        vm.assertEq(balance(a, 1), 0);
        vm.assertEq(balance(b, 1), 400 + 266);
        vm.assertEq(exchange.position(address(b)), (400 + 266) * int256(uint256(PRICE)));
    }

    function test_settle__all_legs_short__settles_nothing_and_uses_the_sequence() external {
        settle(2, list(word(3, SWAP, 10)));
        vm.assertEq(balance(b, 3), 0);
        vm.assertEq(exchange.position(address(b)), 0);
        vm.assertEq(uint256(exchange.sequenceOf(exchange.pathId(pathOf(2)))), 1);
    }

    function test_settle__more_than_256_legs__skips_exactly_the_short_ones() external {
        bytes32[] memory legs = new bytes32[](300);
        for (uint256 i; i < legs.length; ++i) {
            legs[i] = word(100 + i, SWAP, 3);
            if (i % 2 == 0) give(a, 100 + i, 3);
        }
        settle(2, legs);
        for (uint256 i; i < legs.length; ++i) vm.assertEq(balance(b, 100 + i), i % 2 == 0 ? 2 : 0);
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
        uint256 before = balance(a, 7);

        (address[] memory path, bytes32[] memory legs) = (new address[](2), list(word(7, SWAP, amount)));
        (path[0], path[1]) = (address(b), address(a));
        if (out == 0) vm.expectRevert(abi.encodeWithSelector(IPointsExchange.NothingOut.selector, 0));
        if (out > type(uint48).max) {
            vm.expectRevert(abi.encodeWithSelector(IPointsExchange.AmountTooLarge.selector, 0, out));
        }
        vm.prank(OPERATOR);
        exchange.settle(path, firstVersions(1), 1, FOREVER, legs);

        bool settled = out != 0 && out <= type(uint48).max;
        vm.assertEq(balance(a, 7) - before, settled ? out : 0);
        vm.assertEq(balance(b, 7), settled ? 0 : amount);
        vm.assertEq(exchange.position(address(a)), settled ? int256(out * PRICE) : int256(0));
    }

    function test_settle__source_that_lies__pays_by_its_position_and_harms_nobody_else() external {
        LyingToken liar = new LyingToken(address(exchange), address(this));
        vm.prank(EXCHANGE_ADMIN);
        exchange.admit(address(liar));
        exchange.propose(address(liar), address(a), 3, 2, PRICE);
        vm.prank(adminOf[a]);
        exchange.consent(address(liar), address(a), 1);

        address[] memory path = new address[](2);
        (path[0], path[1]) = (address(liar), address(a));
        vm.prank(OPERATOR);
        exchange.settle(path, firstVersions(1), 1, FOREVER, list(word(1, SWAP, 30)));

        vm.assertEq(balance(a, 1), 1_000 + 20);
        vm.assertEq(exchange.position(address(liar)), -20 * int256(uint256(PRICE)));
        vm.assertEq(exchange.position(address(a)), 20 * int256(uint256(PRICE)));
    }

    // ------------------------------------------------------------ what is refused

    function testFuzz_settle__anybody_else__reverts(address caller) external {
        vm.assume(caller != OPERATOR);
        vm.expectRevert(abi.encodeWithSelector(IPointsExchange.NotOperator.selector, caller));
        vm.prank(caller);
        exchange.settle(pathOf(2), firstVersions(1), 1, FOREVER, list(word(1, SWAP, 10)));
    }

    function testFuzz_settle__any_sequence_but_the_next__reverts(uint64 given) external {
        settle(2, list(word(1, SWAP, 10)));
        vm.assume(given != 2);
        vm.expectRevert(abi.encodeWithSelector(IPointsExchange.WrongSequence.selector, 2, given));
        vm.prank(OPERATOR);
        exchange.settle(pathOf(2), firstVersions(1), given, FOREVER, list(word(1, SWAP, 10)));
    }

    function test_settle__in_its_last_second__settles() external {
        vm.prank(OPERATOR);
        exchange.settle(pathOf(2), firstVersions(1), 1, uint64(START), list(word(1, SWAP, 10)));
        vm.assertEq(balance(b, 1), 6);
    }

    function test_settle__a_second_too_late__reverts() external {
        vm.expectRevert(abi.encodeWithSelector(IPointsExchange.Stale.selector, START - 1, START));
        vm.prank(OPERATOR);
        exchange.settle(pathOf(2), firstVersions(1), 1, uint64(START - 1), list(word(1, SWAP, 10)));
    }

    function test_settle__no_legs__reverts() external {
        vm.expectRevert(IPointsExchange.EmptyBatch.selector);
        this.settleFromOutside(2, new bytes32[](0));
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

    function test_settle__program_not_admitted__has_no_terms_in_force() external {
        address[] memory path = pathOf(2);
        path[1] = address(newToken(STRANGER, false));
        expectRefusal(
            path, 1, abi.encodeWithSelector(IPointsExchange.NotInForce.selector, path[0], path[1], uint32(1))
        );
    }

    function test_settle__version_zero__is_never_in_force() external {
        vm.expectRevert(
            abi.encodeWithSelector(IPointsExchange.NotInForce.selector, address(b), address(a), uint32(0))
        );
        address[] memory path = new address[](2);
        (path[0], path[1]) = (address(b), address(a));
        vm.prank(OPERATOR);
        exchange.settle(path, new uint32[](1), 1, FOREVER, list(word(1, SWAP, 10)));
    }

    function test_settle__old_or_waiting_version__reverts() external {
        agree(a, b, 1, 1, PRICE);
        expectNotInForce(2);
        vm.warp(START + NOTICE);
        expectNotInForce(1);
    }

    function test_settle__suspended_direction__reverts() external {
        suspend(a, b, adminOf[b]);
        expectNotInForce(1);
    }

    function test_settle__a_later_hop_not_in_force__reverts() external {
        suspend(b, c, adminOf[c]);
        expectRefusal(
            pathOf(3),
            2,
            abi.encodeWithSelector(IPointsExchange.NotInForce.selector, address(b), address(c), uint32(1))
        );
    }

    function test_settle__leg_worth_nothing__reverts() external {
        // 2 -> 1 -> 0: the second hop gives nothing
        settle(2, list(word(1, SWAP, 2)));
        vm.expectRevert(abi.encodeWithSelector(IPointsExchange.NothingOut.selector, 1));
        this.settleFromOutside(3, list(word(2, SWAP, 10), word(1, SWAP, 2)));
    }

    function test_settle__too_much_in_the_middle__reverts_although_the_end_would_fit() external {
        agree(c, a, 1, 10, PRICE);
        uint48 amount = type(uint48).max;
        give(c, 1, amount);
        address[] memory path = new address[](3);
        (path[0], path[1], path[2]) = (address(c), address(a), address(b));
        vm.expectRevert(
            abi.encodeWithSelector(IPointsExchange.AmountTooLarge.selector, 0, uint256(amount) * 10)
        );
        vm.prank(OPERATOR);
        exchange.settle(path, firstVersions(2), 1, FOREVER, list(word(1, SWAP, amount)));
    }

    function testFuzz_settle__another_kind__reverts(uint8 kind) external {
        vm.assume(kind != SWAP);
        vm.expectRevert(abi.encodeWithSelector(IPointsToken.UnknownKind.selector, 0, kind));
        this.settleFromOutside(2, list(word(1, kind, 10)));
    }

    function test_settle__leg_of_zero__reverts() external {
        vm.expectRevert(abi.encodeWithSelector(IPointsToken.ZeroAmount.selector, 0));
        this.settleFromOutside(2, list(word(1, SWAP, 0)));
    }

    function test_pathId__is_the_hash_of_the_padded_addresses() external view {
        bytes32 expected = keccak256(abi.encode(address(a), address(b), address(c)));
        vm.assertEq(exchange.pathId(pathOf(3)), expected);
    }

    // ------------------------------------------------------------ helpers

    /// A call of its own, because `expectRevert` takes the next call for the one that must fail.
    function settleFromOutside(uint256 count, bytes32[] calldata legs) external {
        settle(count, legs);
    }

    function expectRefusal(address[] memory path, uint256 versions, bytes memory error_) private {
        vm.expectRevert(error_);
        vm.prank(OPERATOR);
        exchange.settle(path, firstVersions(versions), 1, FOREVER, list(word(1, SWAP, 10)));
    }

    function expectNotInForce(uint32 version) private {
        uint32[] memory versions = new uint32[](1);
        versions[0] = version;
        vm.expectRevert(
            abi.encodeWithSelector(IPointsExchange.NotInForce.selector, address(a), address(b), version)
        );
        vm.prank(OPERATOR);
        exchange.settle(pathOf(2), versions, 1, FOREVER, list(word(1, SWAP, 10)));
    }
}
