// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {IPointsToken} from "sarraf/interfaces/IPointsToken.sol";
import {Balances} from "sarraf/libraries/Balances.sol";
import {Postings} from "sarraf/libraries/Postings.sol";

/// The four loops of `Postings` and, under the same names with an ending, what they mean in plain Solidity: checked
/// arithmetic, an ordinary mapping, errors where they occur. Both keep balances of their own, which begin alike.
contract Loops {
    mapping(address account => uint256) public plainBalanceOf;

    function begin(address account, uint256 balance) external {
        Balances.store(account, balance);
        plainBalanceOf[account] = balance;
    }

    function balanceOf(address account) external view returns (uint256) {
        return Balances.load(account);
    }

    // ---------------------------------------------------------------- the loops

    function credit(bytes32[] calldata words) external returns (uint256, uint256) {
        return Postings.credit(words);
    }

    function debit(bytes32[] calldata words, uint256 first) external returns (uint256, uint256) {
        return Postings.debit(words, first, 1);
    }

    function burnLegs(bytes32[] calldata legs) external returns (uint256, uint256[] memory) {
        return Postings.burnLegs(legs);
    }

    function mintLegs(bytes32[] calldata legs) external returns (uint256) {
        return Postings.mintLegs(legs);
    }

    // ---------------------------------------------------------------- what they mean

    function creditPlainly(bytes32[] calldata words) external returns (uint256 credited, uint256 index) {
        for (; index < words.length; ++index) {
            (address account, uint8 kind, uint48 amount) = read(words[index]);
            if (kind < 1 || kind > 4 || amount == 0) break;
            plainBalanceOf[account] += amount;
            credited += amount;
        }
    }

    function debitPlainly(bytes32[] calldata words, uint256 first) external returns (uint256 debited, uint256 index) {
        for (index = first; index < words.length; ++index) {
            (address account, uint8 kind, uint48 amount) = read(words[index]);
            if (kind < 17 || kind > 21 || amount == 0) break;
            if (plainBalanceOf[account] < amount) continue;
            plainBalanceOf[account] -= amount;
            debited += amount;
        }
    }

    function burnLegsPlainly(bytes32[] calldata legs) external returns (uint256 burned, uint256[] memory skipped) {
        skipped = new uint256[]((legs.length + 255) / 256);
        for (uint256 index; index < legs.length; ++index) {
            (address account, uint8 kind, uint48 amount) = read(legs[index]);
            if (kind != 33) revert IPointsToken.WrongKind(index, kind);
            if (amount == 0) revert IPointsToken.ZeroAmount(index);
            if (plainBalanceOf[account] < amount) {
                skipped[index / 256] += 2 ** (index % 256);
            } else {
                plainBalanceOf[account] -= amount;
                burned += amount;
            }
        }
    }

    function mintLegsPlainly(bytes32[] calldata legs) external returns (uint256 minted) {
        for (uint256 index; index < legs.length; ++index) {
            (address account,, uint48 amount) = read(legs[index]);
            plainBalanceOf[account] += amount;
            minted += amount;
        }
    }

    function read(bytes32 word) public view returns (address account, uint8 kind, uint48 amount) {
        account = address(uint160(uint256(keccak256(abi.encodePacked(address(this), bytes20(word))))));
        kind = uint8(word[20]);
        amount = uint48(uint256(word) >> 40);
    }
}
