// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

/// How much a refilling limit lets through. Levels and capacities are points, refills points per second.
library Bucket {
    /// The level at `timestamp` of a bucket that stood at `level` at the time `since`.
    function refilled(uint256 level, uint256 since, uint256 capacity, uint256 refill, uint256 timestamp)
        internal
        pure
        returns (uint256)
    {
        unchecked {
            // Blocks do not go back in time; level and refill are below 2^48, seconds below 2^64.
            level += (timestamp - since) * refill;
        }
        return level < capacity ? level : capacity;
    }
}
