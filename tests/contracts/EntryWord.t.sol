// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {EntryWord, EntryWords} from "sarraf/libraries/EntryWord.sol";
import {vm} from "./Vm.sol";

contract EntryWordTest {
    function testFuzz_fields__any_word__are_where_the_layout_says(
        bytes20 reference_,
        uint8 kind,
        uint48 amount,
        bytes5 tag
    ) external pure {
        EntryWord word = EntryWord.wrap(bytes32(abi.encodePacked(reference_, kind, amount, tag)));
        vm.assertEq(word.kind(), kind);
        vm.assertEq(word.amount(), amount);
    }

    function testFuzz_withAmount__any_word__changes_nothing_else(
        bytes20 reference_,
        uint8 kind,
        uint48 amount,
        bytes5 tag,
        uint48 newAmount
    ) external pure {
        EntryWord word = EntryWord.wrap(bytes32(abi.encodePacked(reference_, kind, amount, tag)));
        bytes32 changed = bytes32(abi.encodePacked(reference_, kind, newAmount, tag));
        vm.assertEq(EntryWord.unwrap(word.withAmount(newAmount)), changed);
    }

    function test_kinds__all_256__are_credits_debits_or_neither() external pure {
        for (uint256 kind; kind < 256; ++kind) {
            vm.assertEq(EntryWords.isCredit(uint8(kind)), kind >= 1 && kind <= 4);
            vm.assertEq(EntryWords.isDebit(uint8(kind)), kind >= 17 && kind <= 21);
        }
    }

    function testFuzz_digest__any_words__is_the_hash_of_the_words_joined(bytes32[] calldata words) external pure {
        vm.assertEq(EntryWords.digest(words), keccak256(abi.encodePacked(words)));
    }

    function testFuzz_entryAt__every_index__is_the_word_there(bytes32[] calldata words) external pure {
        for (uint256 i; i < words.length; ++i) {
            vm.assertEq(EntryWord.unwrap(EntryWords.entryAt(words, i)), words[i]);
        }
    }
}
