// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

/// One posted entry or one swap leg in a single word, most significant byte first:
///
///     | reference: 20 bytes | kind: 1 byte | amount: 6 bytes | tag: 5 bytes |
///
/// The reference names a managed account, the kind says why its points change, the amount is in whole points, and the
/// tag finds the operation again in a ledger that forgot it. The contracts never read the tag.
type EntryWord is bytes32;

using EntryWords for EntryWord global;

// The kinds are bounds and not a list, because no contract treats one credit differently from another.
// Their single names are in docs/contracts.md.
uint8 constant FIRST_CREDIT = 1; // earn, bonus, reinstatement, adjustment up
uint8 constant LAST_CREDIT = 4;
uint8 constant FIRST_DEBIT = 17; // redemption, expiry, reversal, fee, adjustment down
uint8 constant LAST_DEBIT = 21;
uint8 constant SWAP = 33;

// The largest amount that a word can carry, in points.
uint256 constant AMOUNT_MAX = type(uint48).max;

/// Reads and rewrites entry words. Every function is total: each of the 2^256 words has a kind and an amount.
library EntryWords {
    /// Why the points change.
    function kind(EntryWord word) internal pure returns (uint8) {
        return uint8(uint256(EntryWord.unwrap(word)) >> 88);
    }

    /// How many points change, at most `AMOUNT_MAX`.
    function amount(EntryWord word) internal pure returns (uint256) {
        return (uint256(EntryWord.unwrap(word)) >> 40) & AMOUNT_MAX;
    }

    /// The same word with another amount, which the caller has checked to be at most `AMOUNT_MAX`.
    function withAmount(EntryWord word, uint256 newAmount) internal pure returns (EntryWord) {
        uint256 cleared = uint256(EntryWord.unwrap(word)) & ~(AMOUNT_MAX << 40);
        return EntryWord.wrap(bytes32(cleared | (newAmount << 40)));
    }

    function isCredit(uint8 kind_) internal pure returns (bool) {
        return _isBetween(kind_, FIRST_CREDIT, LAST_CREDIT);
    }

    function isDebit(uint8 kind_) internal pure returns (bool) {
        return _isBetween(kind_, FIRST_DEBIT, LAST_DEBIT);
    }

    function _isBetween(uint8 kind_, uint8 first, uint8 last) private pure returns (bool) {
        unchecked {
            // One comparison instead of two: below `first` the difference wraps to more than any range is wide.
            return uint256(kind_) - first <= last - first;
        }
    }

    /// `words[index]` without the bounds check: for loops that end at `words.length`.
    function entryAt(bytes32[] calldata words, uint256 index) internal pure returns (EntryWord word) {
        assembly ("memory-safe") {
            word := calldataload(add(words.offset, shl(5, index)))
        }
    }

    /// What names a batch: the hash of its words, joined without lengths or offsets.
    function digest(bytes32[] calldata words) internal pure returns (bytes32 result) {
        // Assembly because Solidity cannot view a calldata array of words as bytes. The words are copied behind the
        // free memory pointer and forgotten, so nothing is allocated.
        assembly ("memory-safe") {
            let free := mload(0x40)
            let size := shl(5, words.length)
            calldatacopy(free, words.offset, size)
            result := keccak256(free, size)
        }
    }
}
