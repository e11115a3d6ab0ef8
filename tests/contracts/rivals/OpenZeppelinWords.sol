// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {ERC20} from "@openzeppelin/contracts/token/ERC20/ERC20.sol";
import {Issued, TRANSFER, accountIn, amountIn} from "./Words.sol";

/// A trial for the choice of library: credits given as words, without any guard. Only measured.
contract OpenZeppelinWords is ERC20, Issued {
    constructor(address issuer) ERC20("Trial", "TRIAL") Issued(issuer) {}

    /// Through the library's own function, which writes the supply for each word.
    function postByMint(bytes32[] calldata words) external onlyIssuer {
        for (uint256 i; i < words.length; ++i) _mint(accountIn(words[i]), amountIn(words[i]));
    }

    /// Straight into the library's storage, with the supply written once. The library keeps the balances in slot 0 and
    /// the supply in slot 2: private to 5.7.0, and the run that measures this checks what `balanceOf` says.
    function postDirectly(bytes32[] calldata words) external onlyIssuer {
        assembly ("memory-safe") {
            let credited
            mstore(0x20, 0)
            let at := words.offset
            for { let end := add(at, shl(5, words.length)) } lt(at, end) { at := add(at, 0x20) } {
                let word := calldataload(at)
                let account := shr(96, word)
                let amount := and(shr(40, word), 0xffffffffffff)
                credited := add(credited, amount)
                mstore(0x00, account)
                let slot := keccak256(0x00, 0x40)
                sstore(slot, add(sload(slot), amount))
                mstore(0x00, amount)
                log3(0x00, 0x20, TRANSFER, 0, account)
            }
            sstore(2, add(sload(2), credited))
        }
    }
}
