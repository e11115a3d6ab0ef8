// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {Loops} from "./Loops.sol";
import {svm, vm} from "./Symbolic.sol";

/// Each loop of `Postings` does what its plain form does: it succeeds or reverts alike, with the same answer (sums,
/// index, skip bits) or the same error, and leaves every account with the same balance.
///
/// For all batches of one and two words: every kind, amount, tag and reference, also such that name one account twice.
/// For batches of three words the references are three given ones, in each of the five ways in which three can be the
/// same or not; kinds, amounts and tags are all. For all balances below 2^56, which no balance can pass, being part of a
/// supply of 56 bits. Not proved: events (the fuzz twins compare them), longer batches (the loops treat words alike).
contract PostingsProof {
    Loops private loops;
    address private anybody; // stands for every account: named by a word or by none

    function setUp() public {
        loops = new Loops();
    }

    function check_credit__one_word() public {
        _credit(_begin(1));
    }

    function check_credit__two_words() public {
        _credit(_begin(2));
    }

    function check_credit__three_words() public {
        _credit(_beginThree());
    }

    function check_debit__one_word() public {
        _debit(_begin(1), 0);
    }

    function check_debit__two_words() public {
        _debit(_begin(2), 0);
    }

    function check_debit__three_words() public {
        _debit(_beginThree(), 0);
    }

    function check_debit__three_words_from_the_second() public {
        _debit(_beginThree(), 1);
    }

    function check_burnLegs__one_leg() public {
        _burnLegs(_begin(1));
    }

    function check_burnLegs__two_legs() public {
        _burnLegs(_begin(2));
    }

    function check_burnLegs__three_legs() public {
        _burnLegs(_beginThree());
    }

    function check_mintLegs__one_leg() public {
        _mintLegs(_begin(1));
    }

    function check_mintLegs__two_legs() public {
        _mintLegs(_begin(2));
    }

    function check_mintLegs__three_legs() public {
        _mintLegs(_beginThree());
    }

    // ---------------------------------------------------------------- how

    function _credit(bytes32[] memory words) private {
        _compare(abi.encodeCall(loops.credit, (words)), abi.encodeCall(loops.creditPlainly, (words)));
    }

    function _debit(bytes32[] memory words, uint256 first) private {
        _compare(abi.encodeCall(loops.debit, (words, first)), abi.encodeCall(loops.debitPlainly, (words, first)));
    }

    function _burnLegs(bytes32[] memory legs) private {
        _compare(abi.encodeCall(loops.burnLegs, (legs)), abi.encodeCall(loops.burnLegsPlainly, (legs)));
    }

    function _mintLegs(bytes32[] memory legs) private {
        _compare(abi.encodeCall(loops.mintLegs, (legs)), abi.encodeCall(loops.mintLegsPlainly, (legs)));
    }

    /// Arbitrary words, and arbitrary balances of the accounts that they name and of one more.
    function _begin(uint256 count) private returns (bytes32[] memory words) {
        anybody = svm.createAddress("anybody");
        loops.begin(anybody, svm.createUint(56, "balance"));
        words = new bytes32[](count);
        for (uint256 i; i < count; ++i) {
            words[i] = svm.createBytes32("word");
            _beginAccount(words[i]);
        }
    }

    /// Three words with given references: A A A, A A B, A B A, A B B or A B C.
    function _beginThree() private returns (bytes32[] memory words) {
        anybody = svm.createAddress("anybody");
        loops.begin(anybody, svm.createUint(56, "balance"));
        words = new bytes32[](3);
        (words[0], words[1], words[2]) = (_word("A"), _word("A"), _word("A"));
        uint256 way = svm.createUint(8, "way");
        if (way == 1) words[2] = _word("B");
        if (way == 2) words[1] = _word("B");
        if (way == 3) (words[1], words[2]) = (_word("B"), _word("B"));
        if (way == 4) (words[1], words[2]) = (_word("B"), _word("C"));
        for (uint256 i; i < 3; ++i) _beginAccount(words[i]);
    }

    /// A word with a given reference, and any kind, amount and tag.
    function _word(bytes1 name) private returns (bytes32) {
        bytes20 reference_ = bytes20(keccak256(abi.encodePacked(name)));
        return bytes32(abi.encodePacked(reference_, uint96(svm.createUint(96, "rest"))));
    }

    function _beginAccount(bytes32 word) private {
        (address account,,) = loops.read(word);
        loops.begin(account, svm.createUint(56, "balance"));
    }

    function _compare(bytes memory call, bytes memory plainCall) private {
        (bool done, bytes memory answer) = address(loops).call(call);
        (bool plainlyDone, bytes memory plainAnswer) = address(loops).call(plainCall);
        vm.assertEq(done, plainlyDone);
        vm.assertEq(answer, plainAnswer);
        vm.assertEq(loops.balanceOf(anybody), loops.plainBalanceOf(anybody));
    }
}
