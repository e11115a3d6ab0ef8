// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {ERC20} from "solady/src/tokens/ERC20.sol";
import {Issued, TRANSFER, accountIn, amountIn} from "./Words.sol";

/// The same trial over the other library. Only measured.
contract SoladyWords is ERC20, Issued {
    /// `_BALANCE_SLOT_SEED` and `_TOTAL_SUPPLY_SLOT` of solady/src/tokens/ERC20.sol, private to 0.1.26.
    uint256 private constant BALANCE_SLOT_SEED = 0x87a211a2;
    uint256 private constant TOTAL_SUPPLY_SLOT = 0x05345cdf77eb68f44c;

    constructor(address issuer) Issued(issuer) {}

    /// Through the library's own function, which writes the supply for each word.
    function postByMint(bytes32[] calldata words) external onlyIssuer {
        for (uint256 i; i < words.length; ++i) _mint(accountIn(words[i]), amountIn(words[i]));
    }

    /// Straight into the library's storage, with the supply written once.
    function postDirectly(bytes32[] calldata words) external onlyIssuer {
        assembly ("memory-safe") {
            let credited
            let key := mload(0x40)
            mstore(add(key, 0x0c), BALANCE_SLOT_SEED)
            let at := words.offset
            for { let end := add(at, shl(5, words.length)) } lt(at, end) { at := add(at, 0x20) } {
                let word := calldataload(at)
                let account := shr(96, word)
                let amount := and(shr(40, word), 0xffffffffffff)
                credited := add(credited, amount)
                mstore(key, account)
                let slot := keccak256(add(key, 0x0c), 0x20)
                sstore(slot, add(sload(slot), amount))
                mstore(0x00, amount)
                log3(0x00, 0x20, TRANSFER, 0, account)
            }
            sstore(TOTAL_SUPPLY_SLOT, add(sload(TOTAL_SUPPLY_SLOT), credited))
        }
    }

    function name() public pure override returns (string memory) {
        return "Trial";
    }

    function symbol() public pure override returns (string memory) {
        return "TRIAL";
    }
}
