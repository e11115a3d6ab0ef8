// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

/// Direct access to the balances and the total supply of Solady's ERC20, which it keeps in slots of its own choice.
///
/// Sharp edge: the two constants are private to solady 0.1.26, so the dependency is pinned to that version and
/// `SoladyStorage.t.sol` proves that these slots are what `balanceOf` and `totalSupply` read. With them a batch writes
/// the supply once instead of once an entry.
library SoladyStorage {
    /// `_TOTAL_SUPPLY_SLOT` of solady/src/tokens/ERC20.sol.
    uint256 private constant SUPPLY_SLOT = 0x05345cdf77eb68f44c;

    /// `_BALANCE_SLOT_SEED` of solady/src/tokens/ERC20.sol.
    uint256 private constant BALANCE_SLOT_SEED = 0x87a211a2;

    /// Where the balance of `account` lies: the hash of 20 bytes account, 8 zero bytes, 4 bytes seed.
    function balanceSlot(address account) internal pure returns (bytes32 slot) {
        assembly ("memory-safe") {
            mstore(0x0c, BALANCE_SLOT_SEED)
            mstore(0x00, account)
            slot := keccak256(0x0c, 0x20)
        }
    }

    function load(bytes32 slot) internal view returns (uint256 value) {
        assembly ("memory-safe") {
            value := sload(slot)
        }
    }

    function store(bytes32 slot, uint256 value) internal {
        assembly ("memory-safe") {
            sstore(slot, value)
        }
    }

    function storeSupply(uint256 value) internal {
        assembly ("memory-safe") {
            sstore(SUPPLY_SLOT, value)
        }
    }
}
