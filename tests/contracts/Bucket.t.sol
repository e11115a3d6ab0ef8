// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {Bucket} from "sarraf/libraries/Bucket.sol";
import {vm} from "./Vm.sol";

contract BucketTest {
    function test_refilled__no_time__is_the_level() external pure {
        vm.assertEq(Bucket.refilled(7, 1_000, 100, 5, 1_000), 7);
    }

    function test_refilled__some_seconds__is_the_level_and_what_came_back() external pure {
        vm.assertEq(Bucket.refilled(7, 1_000, 100, 5, 1_001), 12);
        vm.assertEq(Bucket.refilled(7, 1_000, 100, 5, 1_018), 97);
    }

    function test_refilled__enough_seconds__ends_at_the_capacity() external pure {
        vm.assertEq(Bucket.refilled(0, 1_000, 100, 5, 1_020), 100);
        vm.assertEq(Bucket.refilled(7, 1_000, 100, 5, 1_019), 100);
        vm.assertEq(Bucket.refilled(7, 1_000, 100, 5, type(uint64).max), 100);
    }

    function test_refilled__level_above_the_capacity__is_cut_to_it() external pure {
        vm.assertEq(Bucket.refilled(101, 1_000, 100, 5, 1_000), 100);
    }

    function test_refilled__no_refill__stays() external pure {
        vm.assertEq(Bucket.refilled(7, 1_000, 100, 0, type(uint64).max), 7);
    }

    function test_refilled__no_capacity__is_nothing() external pure {
        vm.assertEq(Bucket.refilled(7, 1_000, 0, type(uint48).max, 2_000), 0);
    }

    function test_refilled__largest_numbers__do_not_wrap_around() external pure {
        uint256 most = type(uint48).max;
        vm.assertEq(Bucket.refilled(most, 0, most, most, type(uint64).max), most);
        vm.assertEq(Bucket.refilled(0, 0, most, most, type(uint64).max), most);
        vm.assertEq(Bucket.refilled(0, 0, most, most, 1), most);
        vm.assertEq(Bucket.refilled(0, 0, most, 1, most), most);
        vm.assertEq(Bucket.refilled(0, 0, most, 1, most - 1), most - 1);
    }

    /// Second by second, as a clock would do it.
    function testFuzz_refilled__any_bucket__is_what_a_clock_counts(
        uint48 level,
        uint40 since,
        uint48 capacity,
        uint48 refill,
        uint8 ticks
    ) external pure {
        uint256 counted = level < capacity ? level : capacity;
        for (uint256 i; i < ticks; ++i) {
            counted += refill;
            if (counted > capacity) counted = capacity;
        }
        vm.assertEq(Bucket.refilled(level, since, capacity, refill, uint256(since) + ticks), counted);
    }
}
