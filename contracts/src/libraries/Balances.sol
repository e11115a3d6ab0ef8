// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

/// Where a token keeps its balances: the account in the upper 20 bytes of the slot's number, `SEED` in the lower 12.
///
/// A managed account is a hash already, so hashing it once more for a slot would protect nothing and cost every entry
/// gas. No two accounts share a slot. The compiler's own variables lie at small numbers, where no account's slot is,
/// since it ends in the seed; and its mappings at hashes, of which one that ends in these 12 bytes has yet to be found.
library Balances {
    /// The last 12 bytes of keccak256("sarraf.balance").
    uint256 internal constant SEED = 0xce4aea3913bdbfee1bb3f1d9;

    /// Which slot holds the balance of `account`.
    function slotOf(address account) internal pure returns (bytes32 slot) {
        return bytes32((uint256(uint160(account)) << 96) | SEED);
    }

    /// The points of `account`.
    function load(address account) internal view returns (uint256 points) {
        bytes32 slot = slotOf(account);
        assembly ("memory-safe") {
            points := sload(slot)
        }
    }

    /// Sets the points of `account`.
    function store(address account, uint256 points) internal {
        bytes32 slot = slotOf(account);
        assembly ("memory-safe") {
            sstore(slot, points)
        }
    }
}
