// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {AMOUNT_MAX, BIND, EntryWord, EntryWords, RELEASE, SWAP} from "sarraf/libraries/EntryWord.sol";
import {vm} from "./Vm.sol";

contract EntryWordTest {
    function test_numbers__of_the_format__are_the_documented_ones() external pure {
        vm.assertEq(uint256(SWAP), 33);
        vm.assertEq(uint256(RELEASE), 49);
        vm.assertEq(uint256(BIND), 50);
        vm.assertEq(AMOUNT_MAX, 2 ** 48 - 1);
    }

    function test_fields__a_word_written_out__are_read_from_their_places() external pure {
        EntryWord word = EntryWord.wrap(0x000102030405060708090a0b0c0d0e0f1011121331a0a1a2a3a4a5f0f1f2f3f4);
        vm.assertEq(bytes32(word.referenceOf()), bytes20(hex"000102030405060708090a0b0c0d0e0f10111213"));
        vm.assertEq(uint256(word.kind()), 0x31);
        vm.assertEq(word.amount(), 0xa0a1a2a3a4a5);
    }

    function testFuzz_fields__any_word__are_where_the_layout_says(
        bytes20 reference_,
        uint8 kind,
        uint48 amount,
        bytes5 tag
    ) external pure {
        EntryWord word = EntryWord.wrap(bytes32(abi.encodePacked(reference_, kind, amount, tag)));
        vm.assertEq(bytes32(word.referenceOf()), bytes32(reference_));
        vm.assertEq(uint256(word.kind()), kind);
        vm.assertEq(word.amount(), amount);
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
