// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {IPointsExchange} from "sarraf/interfaces/IPointsExchange.sol";
import {IPointsToken} from "sarraf/interfaces/IPointsToken.sol";
import {LegCalls} from "sarraf/libraries/LegCalls.sol";
import {vm} from "./Vm.sol";

/// A token that keeps what it was called with and answers what it was told to.
contract Listener {
    bytes public heard;
    bytes private _answer;
    bool private _refuses;

    function will(bool refuses, bytes calldata answer) external {
        (_refuses, _answer) = (refuses, answer);
    }

    fallback(bytes calldata call) external returns (bytes memory answer) {
        heard = call;
        answer = _answer;
        if (_refuses) {
            assembly ("memory-safe") {
                revert(add(answer, 0x20), mload(answer))
            }
        }
    }
}

/// The legs of a batch in memory, of which there is always one: loaded, converted and called with, against plain
/// Solidity.
contract LegCallsTest {
    using LegCalls for bytes32[];

    uint256 private constant MOST = type(uint48).max;

    // ------------------------------------------------------------ loading

    function testFuzz_load__any_legs__are_copied_with_their_digest(bytes32[] calldata legs) external pure {
        vm.assume(legs.length != 0);
        (bytes32[] memory first, bytes32[] memory second) = (legs.load(), legs.load());
        vm.assertEq(abi.encode(first), abi.encode(legs));
        vm.assertEq(abi.encode(second), abi.encode(legs));
        vm.assertEq(first.digest(), keccak256(abi.encodePacked(legs)));
    }

    /// What is taken from memory later must not lie within the legs, or the other way round.
    function testFuzz_load__memory_taken_afterwards__is_apart(bytes32[] calldata legs, uint8 size) external pure {
        vm.assume(legs.length != 0);
        bytes32[] memory words = legs.load();
        bytes memory later = new bytes(size);
        for (uint256 i; i < size; ++i) later[i] = 0xff;
        vm.assertEq(abi.encode(words), abi.encode(legs));
        words.convert(1, 1); // ends at the last leg, whatever lies behind
        for (uint256 i; i < size; ++i) vm.assertEq(later[i], bytes1(0xff));
    }

    // ------------------------------------------------------------ converting

    /// Reads, computes and writes each leg in plain Solidity.
    function plainly(bytes32[] memory legs, uint256 fromUnits, uint256 toUnits)
        private
        pure
        returns (uint256 left, uint256 arrived, bytes memory error_)
    {
        for (uint256 i; i < legs.length; ++i) {
            (bytes21 head, uint48 amount, uint40 tag) =
                (bytes21(legs[i]), uint48(uint256(legs[i]) >> 40), uint40(uint256(legs[i])));
            if (amount == 0) continue;
            uint256 out = uint256(amount) * toUnits / fromUnits;
            if (out == 0) return (0, 0, abi.encodeWithSelector(IPointsExchange.NothingOut.selector, i));
            if (out > MOST) return (0, 0, abi.encodeWithSelector(IPointsExchange.AmountTooLarge.selector, i, out));
            legs[i] = bytes32(abi.encodePacked(head, uint48(out), tag));
            left += amount;
            arrived += out;
        }
    }

    function testFuzz_convert__any_legs_and_ratio__are_what_plain_arithmetic_says(
        bytes32[] calldata legs,
        uint48 fromUnits,
        uint48 toUnits
    ) external {
        vm.assume(legs.length != 0);
        if (fromUnits == 0) fromUnits = 1;
        if (toUnits == 0) toUnits = 1;
        compare(legs, fromUnits, toUnits);
    }

    /// Ratios near one, so that most legs convert, and a third of the legs skipped.
    function testFuzz_convert__legs_that_mostly_convert__are_what_plain_arithmetic_says(
        uint256 seed,
        uint8 fromUnits,
        uint8 toUnits
    ) external {
        bytes32[] memory legs = new bytes32[](1 + seed % 300);
        for (uint256 i; i < legs.length; ++i) {
            bytes32 dice = keccak256(abi.encode(seed, i));
            legs[i] = uint256(dice) % 3 == 0 ? dice & ~bytes32(MOST << 40) : dice & ~bytes32(uint256(0xff) << 80);
        }
        compare(legs, 1 + uint48(fromUnits), 1 + uint48(toUnits));
    }

    function compare(bytes32[] memory legs, uint48 fromUnits, uint48 toUnits) private {
        (bool done, bytes memory answer) =
            address(this).call(abi.encodeCall(this.convert, (legs, fromUnits, toUnits)));
        (uint256 left, uint256 arrived, bytes memory error_) = plainly(legs, fromUnits, toUnits);
        vm.assertEq(done, error_.length == 0);
        vm.assertEq(answer, done ? abi.encode(left, arrived, legs) : error_);
    }

    function convert(bytes32[] calldata legs, uint256 fromUnits, uint256 toUnits)
        external
        pure
        returns (uint256 left, uint256 arrived, bytes32[] memory words)
    {
        words = legs.load();
        (left, arrived) = words.convert(fromUnits, toUnits);
    }

    function testFuzz_single__any_amount__converts_like_a_leg(uint48 amount) external pure {
        vm.assume(amount != 0 && amount <= MOST / 3);
        (uint256 left, uint256 arrived) = LegCalls.single(amount).convert(1, 3);
        vm.assertEq(left, amount);
        vm.assertEq(arrived, 3 * uint256(amount));
    }

    function test_convert__the_least_and_the_most__pass() external view {
        expectConverted(1, 1, 1, 1);
        expectConverted(MOST, 1, 1, MOST);
        expectConverted(MOST, MOST, 1, 1);
        expectConverted(1, 1, MOST, MOST);
        expectConverted(MOST, MOST, MOST, MOST);
        expectConverted(2, 3, 2, 1);
        expectConverted(MOST - 1, MOST - 1, MOST, MOST);
    }

    function expectConverted(uint256 amount, uint256 fromUnits, uint256 toUnits, uint256 out) private view {
        (uint256 left, uint256 arrived, bytes32[] memory words) = this.convert(list(leg(amount)), fromUnits, toUnits);
        vm.assertEq(left, amount);
        vm.assertEq(arrived, out);
        vm.assertEq(words[0], leg(out));
    }

    function test_convert__just_beyond_the_least_and_the_most__revert() external {
        expectNothingOut(1, 2, 1, 0);
        expectNothingOut(MOST - 1, MOST, 1, 0);
        expectNothingOut(1, MOST, MOST - 1, 0);
        expectTooLarge(MOST, MOST - 1, MOST, MOST + 1);
        expectTooLarge((MOST + 1) / 2, 1, 2, MOST + 1);
        expectTooLarge(MOST, 1, MOST, MOST * MOST);
    }

    function expectNothingOut(uint256 amount, uint256 fromUnits, uint256 toUnits, uint256 index) private {
        vm.expectRevert(abi.encodeWithSelector(IPointsExchange.NothingOut.selector, index));
        this.convert(list(leg(amount)), fromUnits, toUnits);
    }

    function expectTooLarge(uint256 amount, uint256 fromUnits, uint256 toUnits, uint256 out) private {
        vm.expectRevert(abi.encodeWithSelector(IPointsExchange.AmountTooLarge.selector, 0, out));
        this.convert(list(leg(amount)), fromUnits, toUnits);
    }

    function test_convert__several_that_fail__names_the_first_behind_the_skipped() external {
        bytes32[] memory legs = new bytes32[](5);
        (legs[0], legs[1], legs[2], legs[3], legs[4]) = (leg(0), leg(9), leg(0), leg(1), leg(MOST));
        vm.expectRevert(abi.encodeWithSelector(IPointsExchange.NothingOut.selector, 3));
        this.convert(legs, 3, 2);
        vm.expectRevert(abi.encodeWithSelector(IPointsExchange.AmountTooLarge.selector, 4, MOST * 3 / 2));
        this.convert(legs, 2, 3);
    }

    function test_convert__skipped_at_the_end_or_throughout__are_left_alone() external view {
        bytes32[] memory legs = new bytes32[](3);
        (legs[0], legs[1], legs[2]) = (leg(0), leg(9), leg(0));
        (uint256 left, uint256 arrived, bytes32[] memory words) = this.convert(legs, 3, 2);
        vm.assertEq(left, 9);
        vm.assertEq(arrived, 6);
        vm.assertEq(words[0], leg(0));
        vm.assertEq(words[1], leg(6));
        vm.assertEq(words[2], leg(0));

        legs[1] = leg(0);
        (left, arrived, words) = this.convert(legs, 3, 2);
        vm.assertEq(left + arrived, 0);
        vm.assertEq(abi.encode(words), abi.encode(legs));
    }

    // ------------------------------------------------------------ calling

    function testFuzz_burn__any_legs_and_answer__are_called_with_and_decoded(
        bytes32[] calldata legs,
        uint256 burned,
        uint256[] calldata skipped
    ) external {
        vm.assume(legs.length != 0);
        Listener token = new Listener();
        token.will(false, abi.encode(burned, skipped));
        bytes32[] memory words = legs.load();
        vm.assertEq(abi.encode(words.burn(address(token))), abi.encode(skipped));
        vm.assertEq(token.heard(), abi.encodeCall(IPointsToken.burnLegs, (legs)));
        vm.assertEq(abi.encode(words), abi.encode(legs));
    }

    function testFuzz_mint__any_legs_after_a_burn__are_called_with_as_they_then_are(
        bytes32[] calldata legs,
        uint48 amount
    ) external {
        vm.assume(legs.length != 0);
        Listener token = new Listener();
        token.will(false, abi.encode(0, new uint256[](0)));
        bytes32[] memory words = legs.load();
        words.burn(address(token));
        bytes32[] memory changed = abi.decode(abi.encode(legs), (bytes32[]));
        words[legs.length - 1] = changed[legs.length - 1] = leg(amount);
        words.mint(address(token));
        vm.assertEq(token.heard(), abi.encodeCall(IPointsToken.mintLegs, (changed)));
    }

    function testFuzz_burn_and_mint__refused__revert_with_the_reason(bytes32[] calldata legs, bytes calldata reason)
        external
    {
        vm.assume(legs.length != 0);
        Listener token = new Listener();
        token.will(true, reason);
        expectReason(abi.encodeCall(this.burn, (legs, address(token))), reason);
        expectReason(abi.encodeCall(this.mint, (legs, address(token))), reason);
    }

    function test_burn__answer_with_more_words_than_there_are__reverts() external {
        expectUnreadable("");
        expectUnreadable(abi.encode(0, 0x40));
        expectUnreadable(abi.encode(0, 0x40, 1));
        expectUnreadable(abi.encode(0, 0x40, 2, 0));
        expectUnreadable(abi.encodePacked(abi.encode(0, 0x40, 2, 0), bytes31(0)));
        expectUnreadable(abi.encode(0, 0x40, type(uint256).max));
        for (uint256 bit = 1; bit < 256; ++bit) expectUnreadable(abi.encode(0, 0x40, 1 << bit, 0));
    }

    function expectUnreadable(bytes memory answer) private {
        Listener token = new Listener();
        token.will(false, answer);
        expectReason(abi.encodeCall(this.burn, (list(leg(1)), address(token))), "");
    }

    function expectReason(bytes memory call, bytes memory reason) private {
        (bool done, bytes memory answer) = address(this).call(call);
        vm.assertFalse(done);
        vm.assertEq(answer, reason);
    }

    function burn(bytes32[] calldata legs, address token) external {
        legs.load().burn(token);
    }

    function mint(bytes32[] calldata legs, address token) external {
        legs.load().mint(token);
    }

    // ------------------------------------------------------------ helpers

    /// A leg whose other bits are all ones, so that a change to one of them is found out.
    function leg(uint256 amount) private pure returns (bytes32) {
        return bytes32(~(MOST << 40) | amount << 40);
    }

    function list(bytes32 one) private pure returns (bytes32[] memory words) {
        words = new bytes32[](1);
        words[0] = one;
    }
}
