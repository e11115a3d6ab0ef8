// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {SUPPLY_MAX, TokenState} from "sarraf/libraries/TokenState.sol";
import {vm} from "./Vm.sol";

/// The word packed by hand against a plain struct: each setter changes its own field and no other.
contract TokenStateTest {
    struct Plain {
        uint56 supply;
        uint32 sequence;
        uint48 issuable;
        uint32 issuedAt;
        uint48 redeemable;
        uint32 redeemedAt;
        bool paused;
    }

    function test_supplyMax__is_what_its_place_can_hold() external pure {
        vm.assertEq(SUPPLY_MAX, 2 ** 56 - 1);
    }

    function testFuzz_fields__any_state__are_read_from_their_places(Plain calldata plain) external pure {
        assertSame(pack(plain), plain);
    }

    function testFuzz_withSupply__any_state__changes_nothing_else(Plain memory plain, uint56 supply) external pure {
        TokenState state = pack(plain).withSupply(supply);
        plain.supply = supply;
        assertSame(state, plain);
    }

    function testFuzz_withIssuance__any_state__changes_nothing_else(Plain memory plain, uint48 level, uint32 since)
        external
        pure
    {
        TokenState state = pack(plain).withIssuance(level, since);
        (plain.issuable, plain.issuedAt) = (level, since);
        assertSame(state, plain);
    }

    function testFuzz_withRedemption__any_state__changes_nothing_else(Plain memory plain, uint48 level, uint32 since)
        external
        pure
    {
        TokenState state = pack(plain).withRedemption(level, since);
        (plain.redeemable, plain.redeemedAt) = (level, since);
        assertSame(state, plain);
    }

    function testFuzz_withPaused__any_state__changes_nothing_else(Plain memory plain, bool paused) external pure {
        TokenState state = pack(plain).withPaused(paused);
        plain.paused = paused;
        assertSame(state, plain);
    }

    function testFuzz_advanced__any_state__counts_one_and_changes_nothing_else(Plain memory plain) external pure {
        vm.assume(plain.sequence != type(uint32).max);
        TokenState state = pack(plain).advanced();
        plain.sequence += 1;
        assertSame(state, plain);
    }

    /// Later than the year 2106 the seconds are cut, and still reach no other field.
    function testFuzz_withBuckets__seconds_that_do_not_fit__stay_in_their_place(Plain memory plain, uint256 timestamp)
        external
        pure
    {
        TokenState state = pack(plain).withIssuance(plain.issuable, timestamp);
        state = state.withRedemption(plain.redeemable, timestamp);
        (plain.issuedAt, plain.redeemedAt) = (uint32(timestamp), uint32(timestamp));
        assertSame(state, plain);
    }

    /// Lowest bits first, as the library documents it.
    function pack(Plain memory plain) private pure returns (TokenState) {
        bytes memory highestFirst = abi.encodePacked(
            plain.paused ? uint8(1) : 0,
            plain.redeemedAt,
            plain.redeemable,
            plain.issuedAt,
            plain.issuable,
            plain.sequence,
            plain.supply
        );
        return TokenState.wrap(uint256(bytes32(highestFirst)));
    }

    function assertSame(TokenState state, Plain memory plain) private pure {
        vm.assertEq(state.supply(), plain.supply);
        vm.assertEq(state.sequence(), plain.sequence);
        vm.assertEq(state.paused(), plain.paused);
        (uint256 level, uint256 since) = state.issuance();
        vm.assertEq(level, plain.issuable);
        vm.assertEq(since, plain.issuedAt);
        (level, since) = state.redemption();
        vm.assertEq(level, plain.redeemable);
        vm.assertEq(since, plain.redeemedAt);
    }
}
