// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {DirectionState} from "sarraf/libraries/DirectionState.sol";
import {vm} from "./Vm.sol";

/// The word in which a direction's state is packed, against a struct that the compiler packs.
contract DirectionStateTest {
    struct Plain {
        uint24 proposed;
        uint24 adopted;
        uint24 previous;
        uint24 suspended;
        bool proposedByFrom;
        uint32 effectiveAt;
        uint24 period;
        uint48 managedUsed;
        uint48 walletUsed;
    }

    Plain private plain;

    function testFuzz_state__any_history__is_what_a_struct_says(uint256 seed) external {
        DirectionState state;
        for (uint256 step; step < 24; ++step) {
            uint256 dice = uint256(keccak256(abi.encode(seed, step)));
            uint256 what = dice % 4;
            dice >>= 8;
            if (what == 0) {
                (plain.proposed, plain.proposedByFrom) = (uint24(dice), dice & 1 << 32 != 0);
                state = state.withProposal(plain.proposed, plain.proposedByFrom);
            } else if (what == 1) {
                (plain.previous, plain.adopted, plain.effectiveAt) = (plain.adopted, plain.proposed, uint32(dice));
                state = state.withAdoption(plain.effectiveAt);
            } else if (what == 2) {
                plain.suspended = plain.proposed;
                state = state.withSuspension();
            } else {
                plain.period = uint24(dice);
                (plain.managedUsed, plain.walletUsed) = (uint48(dice >> 32), uint48(dice >> 96));
                state = state.withUsed(plain.period, plain.managedUsed, plain.walletUsed);
            }
            compare(state);
        }
    }

    function compare(DirectionState state) private view {
        vm.assertEq(state.proposed(), plain.proposed);
        vm.assertEq(state.adopted(), plain.adopted);
        vm.assertEq(state.suspended(), plain.suspended);
        vm.assertEq(state.effectiveAt(), plain.effectiveAt);
        vm.assertEq(state.proposedByFrom(), plain.proposedByFrom);
        compareInForce(state, plain.effectiveAt);
        if (plain.effectiveAt != 0) compareInForce(state, plain.effectiveAt - 1);
        compareInForce(state, type(uint256).max);

        (uint256 managed, uint256 wallet) = state.used(plain.period);
        vm.assertEq(managed, plain.managedUsed);
        vm.assertEq(wallet, plain.walletUsed);
        (managed, wallet) = state.used(plain.period ^ 1);
        vm.assertEq(managed + wallet, 0);
    }

    function compareInForce(DirectionState state, uint256 timestamp) private view {
        uint256 version = plain.effectiveAt > timestamp ? plain.previous : plain.adopted;
        vm.assertEq(state.inForce(timestamp), version <= plain.suspended ? 0 : version);
    }

    function test_state__all_places_full__keeps_each_to_itself() external pure {
        uint256 version = type(uint24).max;
        DirectionState state = DirectionState.wrap(0).withProposal(version, true).withAdoption(type(uint32).max);
        state = state.withAdoption(type(uint32).max).withSuspension();
        state = state.withUsed(version, type(uint48).max, type(uint48).max);
        vm.assertEq(DirectionState.unwrap(state), type(uint256).max >> 7); // of the last eight bits, one is used
        state = state.withProposal(0, false).withAdoption(0).withAdoption(0).withSuspension().withUsed(0, 0, 0);
        vm.assertEq(DirectionState.unwrap(state), 0);
    }
}
