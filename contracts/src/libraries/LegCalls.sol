// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {IPointsExchange} from "../interfaces/IPointsExchange.sol";
import {IPointsToken} from "../interfaces/IPointsToken.sol";
import {AMOUNT_MAX, EntryWord} from "./EntryWord.sol";

/// A batch of legs on its way from one program to another: copied once, changed in place, called with twice.
///
/// The legs are an ordinary array in memory with two words of room in front of it, so that it is the call data of
/// `burnLegs` and of `mintLegs` without being copied again: | selector | 0x20 | length | legs |.
library LegCalls {
    /// The legs, of which there is at least one, copied to memory with that room in front.
    function load(bytes32[] calldata legs) internal pure returns (bytes32[] memory words) {
        assembly ("memory-safe") {
            let room := mload(0x40)
            mstore(add(room, 0x20), 0x20) // where the array begins
            words := add(room, 0x40)
            mstore(words, legs.length)
            let size := shl(5, legs.length)
            calldatacopy(add(words, 0x20), legs.offset, size)
            mstore(0x40, add(add(words, 0x20), size))
        }
    }

    /// One leg without a reference, for converting a single amount, below 2^48; it is not to be called with.
    function single(uint256 amount) internal pure returns (bytes32[] memory words) {
        words = new bytes32[](1);
        words[0] = bytes32(amount << 40);
    }

    /// What names the batch: the hash of its words, joined.
    function digest(bytes32[] memory words) internal pure returns (bytes32 result) {
        assembly ("memory-safe") {
            result := keccak256(add(words, 0x20), shl(5, mload(words)))
        }
    }

    /// Burns the legs at `token`; the answer's bits say which were skipped.
    function burn(bytes32[] memory words, address token) internal returns (uint256[] memory skipped) {
        _call(words, token, IPointsToken.burnLegs.selector);
        // The answer: sum, 0x40, length, bits. Of the sum nothing is believed, of the length no more than there is.
        assembly ("memory-safe") {
            skipped := mload(0x40)
            let size := sub(returndatasize(), 0x40)
            if lt(returndatasize(), 0x60) { revert(0, 0) }
            returndatacopy(skipped, 0x40, size)
            if gt(mload(skipped), shr(5, sub(size, 0x20))) { revert(0, 0) }
            mstore(0x40, add(skipped, size))
        }
    }

    /// Mints the legs at `token`.
    function mint(bytes32[] memory words, address token) internal {
        _call(words, token, IPointsToken.mintLegs.selector);
    }

    /// Turns each leg's amount at a hop's source into that at its destination, rounded down: a fraction of a point is
    /// never created. Returns the sums of what leaves and of what arrives.
    function convert(bytes32[] memory words, uint256 fromUnits, uint256 toUnits)
        internal
        pure
        returns (uint256 left, uint256 arrived)
    {
        uint256 sums; // what leaves in the upper half, what arrives in the lower
        uint256 failed; // the bytes from the leg that cannot be converted to the end; 0 when all can
        assembly ("memory-safe") {
            let place := add(words, 0x20)
            let end := add(place, shl(5, mload(words)))
            for {} 1 {} {
                let word := mload(place)
                let amount := and(shr(40, word), AMOUNT_MAX)
                // Amount and units are below 2^48, so the product is below 2^96; `propose` refuses units of zero.
                let converted := div(mul(amount, toUnits), fromUnits)
                // From 1 to AMOUNT_MAX, where zero wraps to more than any amount; or 0, for one skipped at the source.
                if gt(sub(converted, iszero(iszero(amount))), 0xfffffffffffe) { break }
                sums := add(sums, or(shl(128, amount), converted))
                mstore(place, xor(word, shl(40, xor(amount, converted))))
                place := add(place, 0x20)
                if eq(place, end) { break }
            }
            failed := sub(end, place)
        }
        if (failed != 0) _revertAt(words, words.length - failed / 32, fromUnits, toUnits);
        return (sums >> 128, sums & type(uint128).max);
    }

    function _revertAt(bytes32[] memory words, uint256 index, uint256 fromUnits, uint256 toUnits) private pure {
        uint256 converted = EntryWord.wrap(words[index]).amount() * toUnits / fromUnits;
        if (converted == 0) revert IPointsExchange.NothingOut(index);
        revert IPointsExchange.AmountTooLarge(index, converted);
    }

    function _call(bytes32[] memory words, address token, bytes4 selector) private {
        assembly ("memory-safe") {
            mstore(sub(words, 0x40), shr(224, selector))
            if iszero(call(gas(), token, 0, sub(words, 0x24), add(0x44, shl(5, mload(words))), 0, 0)) {
                let free := mload(0x40)
                returndatacopy(free, 0, returndatasize())
                revert(free, returndatasize())
            }
        }
    }
}
