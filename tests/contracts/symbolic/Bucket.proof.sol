// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {Bucket} from "sarraf/libraries/Bucket.sol";
import {vm} from "./Symbolic.sol";

/// A bucket never holds more than its capacity, and changing its limits never adds to it. For all numbers of the widths
/// that the token stores: 48 bits for levels, capacities and refills, 32 for the time since, 64 for the present.
contract BucketProof {
    function check_refilled__never_above_capacity(
        uint256 level,
        uint256 since,
        uint256 capacity,
        uint256 refill,
        uint256 timestamp
    ) public pure {
        // Of any width: even a caller that forgets what is unchecked here gets no more than the capacity.
        vm.assertLe(Bucket.refilled(level, since, capacity, refill, timestamp), capacity);
    }

    function check_refilled__is_what_was_left_and_what_came_in(
        uint48 level,
        uint32 since,
        uint48 capacity,
        uint48 refill,
        uint64 timestamp
    ) public pure {
        vm.assume(timestamp >= since);
        uint256 whole = uint256(level) + uint256(timestamp - since) * refill;
        vm.assertEq(Bucket.refilled(level, since, capacity, refill, timestamp), whole < capacity ? whole : capacity);
    }

    /// As `setLimit` does it: the level is what is available, or the new capacity when that is less.
    function check_refilled__limits_change__no_more_than_before(
        uint48 level,
        uint32 since,
        uint48 capacity,
        uint48 refill,
        uint48 newCapacity,
        uint48 newRefill,
        uint32 timestamp
    ) public pure {
        vm.assume(timestamp >= since);
        uint256 before = Bucket.refilled(level, since, capacity, refill, timestamp);
        uint256 left = before < newCapacity ? before : newCapacity;
        vm.assertLe(Bucket.refilled(left, timestamp, newCapacity, newRefill, timestamp), before);
    }
}
