// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {IPointsToken} from "../interfaces/IPointsToken.sol";
import {EntryWord, EntryWords, SWAP} from "./EntryWord.sol";

/// The four loops over the words of a batch: the only places where managed accounts gain and lose points in bulk.
///
/// Sharp edges. They write the balances (see `Balances`) in assembly, because what the compiler makes of the same lines
/// costs a multiple of it, on top of what storage and logs cost anyway. `PlainToken.sol` among the
/// tests says the same in plain Solidity; fuzzing and a symbolic proof hold the two against each other. Supply, limits
/// and sequence are the caller's.
///
/// No loop counts its words: behind the last one the call data ends, and what is read there is zero, which is no kind
/// and no amount. So the words must be the last thing in the call data; `requireLast` sees to it.
///
/// While a loop runs, the first words of memory are its own, so that every place is a constant:
///     0x00  this token, 20 bytes, then the reference, 20 bytes, whose hash is the managed account
///     0x34  the amount, as the data of `Transfer`
/// The second reaches into the compiler's free memory pointer; each loop gives it back as it was, before any line of
/// Solidity runs.
library Postings {
    /// `Balances.SEED`
    uint256 private constant SEED = 0xce4aea3913bdbfee1bb3f1d9;
    /// keccak256("Transfer(address,address,uint256)")
    uint256 private constant TRANSFER = 0xddf252ad1be2c89b69c2b068fc378daa952ba7f163c4a11628f55a4df523b3ef;
    /// keccak256("Skipped(uint64,uint256,address,uint256,uint256)")
    uint256 private constant SKIPPED = 0x52c58fa6bf10cfcaf0b30a00430959fa00a2b0f0f75dd132ab69bd6203c05f56;

    /// The account that an entry's reference names at this token: the end of keccak256(token ++ reference).
    function accountOf(EntryWord entry) internal view returns (address account) {
        assembly ("memory-safe") {
            mstore(0x00, shl(96, address()))
            mstore(0x14, entry) // its first 20 bytes are the reference; the 12 behind them are not hashed
            account := shr(96, shl(96, keccak256(0x00, 0x28)))
        }
    }

    /// Requires that nothing follows the words in the call data.
    function requireLast(bytes32[] calldata words) internal pure {
        uint256 end;
        assembly ("memory-safe") {
            end := add(words.offset, shl(5, words.length))
        }
        if (end != msg.data.length) revert IPointsToken.TrailingBytes(end, msg.data.length);
    }

    /// Posts the credits, kinds 1 to 4, that the words begin with; returns their sum and the index of the first word
    /// that is none, or has no amount.
    function credit(bytes32[] calldata words) internal returns (uint256 credited, uint256 index) {
        assembly ("memory-safe") {
            let free := mload(0x40)
            mstore(0x00, shl(96, address()))
            let at := words.offset
            for {} 1 { at := add(at, 0x20) } {
                let word := calldataload(at)
                let amount := and(shr(40, word), 0xffffffffffff)
                if or(gt(sub(byte(20, word), 1), 3), iszero(amount)) { break }
                mstore(0x14, word)
                let account := shl(96, keccak256(0x00, 0x28)) // in the upper 20 bytes, until it is logged
                let slot := or(account, SEED)
                sstore(slot, add(sload(slot), amount))
                mstore(0x34, amount)
                log3(0x34, 0x20, TRANSFER, 0, shr(96, account))
                credited := add(credited, amount)
            }
            index := shr(5, sub(at, words.offset))
            mstore(0x40, free)
        }
    }

    /// Posts the debits, kinds 17 to 21, from `first` on; returns the sum of those that were not skipped and the index
    /// of the first word that is none, or has no amount.
    function debit(bytes32[] calldata words, uint256 first, uint64 sequence)
        internal
        returns (uint256 debited, uint256 index)
    {
        assembly ("memory-safe") {
            let free := mload(0x40)
            mstore(0x00, shl(96, address()))
            let at := add(words.offset, shl(5, first))
            for {} 1 { at := add(at, 0x20) } {
                let word := calldataload(at)
                let amount := and(shr(40, word), 0xffffffffffff)
                if or(gt(sub(byte(20, word), 17), 4), iszero(amount)) { break }
                mstore(0x14, word)
                let account := shl(96, keccak256(0x00, 0x28)) // in the upper 20 bytes, until it is logged
                let slot := or(account, SEED)
                let held := sload(slot)
                switch lt(held, amount)
                case 0 {
                    sstore(slot, sub(held, amount))
                    mstore(0x34, amount)
                    log3(0x34, 0x20, TRANSFER, shr(96, account), 0)
                    debited := add(debited, amount)
                }
                default {
                    mstore(free, shr(5, sub(at, words.offset)))
                    mstore(add(free, 0x20), shr(96, account))
                    mstore(add(free, 0x40), amount)
                    mstore(add(free, 0x60), held)
                    log2(free, 0x80, SKIPPED, sequence)
                }
            }
            index := shr(5, sub(at, words.offset))
            mstore(0x40, free)
        }
    }

    /// Burns each leg; returns the sum of those that were not skipped, and a bit for each that was.
    function burnLegs(bytes32[] calldata legs) internal returns (uint256 burned, uint256[] memory skipped) {
        skipped = new uint256[]((legs.length + 255) / 256);
        uint256 index;
        assembly ("memory-safe") {
            let free := mload(0x40)
            mstore(0x00, shl(96, address()))
            let at := legs.offset
            for {} 1 { at := add(at, 0x20) } {
                let word := calldataload(at)
                let amount := and(shr(40, word), 0xffffffffffff)
                if or(xor(byte(20, word), SWAP), iszero(amount)) { break }
                mstore(0x14, word)
                let account := shl(96, keccak256(0x00, 0x28)) // in the upper 20 bytes, until it is logged
                let slot := or(account, SEED)
                let held := sload(slot)
                switch lt(held, amount)
                case 0 {
                    sstore(slot, sub(held, amount))
                    mstore(0x34, amount)
                    log3(0x34, 0x20, TRANSFER, shr(96, account), 0)
                    burned := add(burned, amount)
                }
                default {
                    let leg := shr(5, sub(at, legs.offset))
                    let bits := add(add(skipped, 0x20), shl(5, shr(8, leg)))
                    mstore(bits, or(mload(bits), shl(and(leg, 0xff), 1)))
                }
            }
            index := shr(5, sub(at, legs.offset))
            mstore(0x40, free)
        }
        if (index < legs.length) _revertAt(legs, index);
    }

    /// Mints each leg that has an amount; returns their sum.
    /// Not checked: the kind, since the exchange passes the words that the source accepted.
    function mintLegs(bytes32[] calldata legs) internal returns (uint256 minted) {
        assembly ("memory-safe") {
            let free := mload(0x40)
            mstore(0x00, shl(96, address()))
            let at := legs.offset
            let end := add(at, shl(5, legs.length))
            for {} 1 { at := add(at, 0x20) } {
                let word := calldataload(at)
                let amount := and(shr(40, word), 0xffffffffffff)
                if iszero(amount) {
                    if lt(at, end) { continue } // skipped at the source
                    break
                }
                mstore(0x14, word)
                let account := shl(96, keccak256(0x00, 0x28)) // in the upper 20 bytes, until it is logged
                let slot := or(account, SEED)
                sstore(slot, add(sload(slot), amount))
                mstore(0x34, amount)
                log3(0x34, 0x20, TRANSFER, 0, shr(96, account))
                minted := add(minted, amount)
            }
            mstore(0x40, free)
        }
    }

    function _revertAt(bytes32[] calldata legs, uint256 index) private pure {
        EntryWord leg = EntryWords.entryAt(legs, index);
        if (leg.kind() != SWAP) revert IPointsToken.WrongKind(index, leg.kind());
        revert IPointsToken.ZeroAmount(index);
    }
}
