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

// Credits are 1 to 4 (earn, bonus, reinstatement, adjustment up), debits 17 to 21 (redemption, expiry, reversal, fee,
// adjustment down): bounds in `Postings` and not a list here, because no contract treats one credit differently from
// another.
uint8 constant SWAP = 33;
uint8 constant RELEASE = 49;
uint8 constant BIND = 50; // the word that follows is the wallet

// The largest amount that a word can carry, in points.
uint256 constant AMOUNT_MAX = 0xffffffffffff;

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

    /// Whose managed account it is.
    function referenceOf(EntryWord word) internal pure returns (bytes20) {
        return bytes20(EntryWord.unwrap(word));
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
