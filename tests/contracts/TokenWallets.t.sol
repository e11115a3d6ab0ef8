// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {IPointsToken} from "sarraf/interfaces/IPointsToken.sol";
import {IToken} from "./IToken.sol";
import {vm} from "./Vm.sol";
import {World} from "./World.sol";

/// Between a managed account and a member's wallet: binding, releasing and depositing.
contract TokenWalletsTest is World {
    event Transfer(address indexed from, address indexed to, uint256 amount);

    uint256 private constant MEMBER = 1;
    address private constant WALLET = address(0xF1);
    address private constant OTHER = address(0xF2);

    // ------------------------------------------------------------ binding

    function test_bind__new_wallet__is_announced_with_the_time_of_its_effect() external {
        vm.expectEmit(address(a));
        emit IPointsToken.Bound(referenceOf(MEMBER), WALLET, START + DELAY);
        post(a, bindWords(MEMBER, WALLET));
        assertBound(WALLET, START + DELAY);
    }

    function testFuzz_bind__any_wallet__is_bound_after_the_delay(uint256 member, address wallet) external {
        vm.assume(wallet != address(0));
        post(a, bindWords(member, wallet));
        (address bound, uint256 effectiveAt) = a.walletOf(referenceOf(member));
        vm.assertEq(bound, wallet);
        vm.assertEq(effectiveAt, START + DELAY);
    }

    function test_bind__another_wallet__replaces_the_first_and_waits_anew() external {
        bind(a, MEMBER, WALLET);
        give(a, MEMBER, 10);
        post(a, bindWords(MEMBER, OTHER));
        assertBound(OTHER, START + 2 * DELAY);
        expectSkipped(10, 10);
        post(a, list(releaseWord(MEMBER, 10)));
        wait(DELAY);
        post(a, list(releaseWord(MEMBER, 10)));
        vm.assertEq(a.balanceOf(WALLET), 0);
        vm.assertEq(a.balanceOf(OTHER), 10);
    }

    function test_bind__the_same_wallet_again__waits_anew() external {
        bind(a, MEMBER, WALLET);
        post(a, bindWords(MEMBER, WALLET));
        assertBound(WALLET, START + 2 * DELAY);
    }

    function test_bind__to_zero__takes_the_binding_away_at_once() external {
        bind(a, MEMBER, WALLET);
        vm.expectEmit(address(a));
        emit IPointsToken.Bound(referenceOf(MEMBER), address(0), 0);
        post(a, bindWords(MEMBER, address(0)));
        assertBound(address(0), 0);
    }

    function test_bind__several_members_in_one_batch__are_bound_each() external {
        bytes32[] memory words = new bytes32[](5);
        (words[0], words[1]) = (word(1, BIND, 0), wordOf(WALLET));
        words[2] = releaseWord(3, 1); // skipped: the member has no wallet
        (words[3], words[4]) = (word(2, BIND, 0), wordOf(OTHER));
        post(a, words);
        (address first,) = a.walletOf(referenceOf(1));
        (address second,) = a.walletOf(referenceOf(2));
        vm.assertEq(first, WALLET);
        vm.assertEq(second, OTHER);
    }

    function test_bind__one_member_twice_in_one_batch__is_bound_to_the_last() external {
        post(a, list(word(MEMBER, BIND, 0), wordOf(WALLET), word(MEMBER, BIND, 0), wordOf(OTHER)));
        assertBound(OTHER, START + DELAY);
    }

    function test_bind__two_members_to_one_wallet__both_reach_it() external {
        fund(a, 1, WALLET, 10);
        fund(a, 2, WALLET, 20);
        vm.assertEq(a.balanceOf(WALLET), 30);
    }

    /// The second word is an address and no entry, whatever it looks like.
    function test_bind__wallet_word_that_looks_like_an_entry__is_only_an_address() external {
        address odd = address(uint160(uint256(EARN) << 88 | uint256(5) << 40));
        post(a, bindWords(MEMBER, odd));
        assertBound(odd, START + DELAY);
        vm.assertEq(a.totalSupply(), 0);
    }

    function test_bind__without_its_second_word__reverts_with_its_index() external {
        expectPostRefused(a, list(word(MEMBER, BIND, 0)), wrongBinding(0));
        expectPostRefused(a, list(word(MEMBER, EARN, 1), word(MEMBER, BIND, 0)), wrongBinding(1));
        expectPostRefused(
            a, list(word(MEMBER, BIND, 0), wordOf(WALLET), word(MEMBER, BIND, 0)), wrongBinding(2)
        );
    }

    function testFuzz_bind__with_an_amount__reverts(uint48 amount) external {
        vm.assume(amount != 0);
        expectPostRefused(a, list(word(MEMBER, BIND, amount), wordOf(WALLET)), wrongBinding(0));
    }

    function testFuzz_bind__second_word_is_no_address__reverts(uint256 second) external {
        vm.assume(second > type(uint160).max);
        expectPostRefused(a, list(word(MEMBER, BIND, 0), bytes32(second)), wrongBinding(0));
    }

    function test_isWallet__where_transfers_are_closed__is_never_true() external {
        bind(a, MEMBER, WALLET);
        vm.assertFalse(a.isWallet(WALLET));
    }

    function test_isWallet__where_transfers_are_open__is_true_from_the_binding_on_for_ever() external {
        IToken open = newToken(address(0xAD99), true);
        vm.assertFalse(open.isWallet(WALLET));
        post(open, bindWords(MEMBER, WALLET));
        vm.assertTrue(open.isWallet(WALLET));
        post(open, bindWords(MEMBER, address(0)));
        vm.assertTrue(open.isWallet(WALLET));
        vm.assertFalse(open.isWallet(address(0)));
    }

    // ------------------------------------------------------------ unbinding

    function test_unbind__wallet_guardian_or_admin__takes_the_binding_away_at_once() external {
        address[3] memory callers = [WALLET, guardianOf[a], adminOf[a]];
        for (uint256 i; i < callers.length; ++i) {
            post(a, bindWords(MEMBER, WALLET));
            vm.expectEmit(address(a));
            emit IPointsToken.Bound(referenceOf(MEMBER), address(0), 0);
            vm.prank(callers[i]);
            a.unbind(referenceOf(MEMBER));
            assertBound(address(0), 0);
        }
    }

    function test_unbind__before_the_binding_has_effect__stops_what_a_stolen_issuer_key_bound() external {
        give(a, MEMBER, 10);
        post(a, bindWords(MEMBER, OTHER));
        vm.prank(guardianOf[a]);
        a.unbind(referenceOf(MEMBER));
        wait(DELAY);
        expectSkipped(10, 10);
        post(a, list(releaseWord(MEMBER, 10)));
        vm.assertEq(a.balanceOf(OTHER), 0);
        vm.assertEq(balance(a, MEMBER), 10);
    }

    function testFuzz_unbind__anybody_else__reverts(address caller) external {
        post(a, bindWords(MEMBER, WALLET));
        vm.assume(caller != WALLET && caller != guardianOf[a] && caller != adminOf[a]);
        vm.expectRevert(abi.encodeWithSelector(IPointsToken.NotGuardian.selector, caller));
        vm.prank(caller);
        a.unbind(referenceOf(MEMBER));
    }

    function test_unbind__wallet_that_was_replaced__reverts() external {
        post(a, bindWords(MEMBER, WALLET));
        post(a, bindWords(MEMBER, OTHER));
        vm.expectRevert(abi.encodeWithSelector(IPointsToken.NotGuardian.selector, WALLET));
        vm.prank(WALLET);
        a.unbind(referenceOf(MEMBER));
    }

    function test_unbind__reference_that_is_nobodys__is_the_guardians_and_changes_nothing() external {
        vm.expectRevert(abi.encodeWithSelector(IPointsToken.NotGuardian.selector, STRANGER));
        vm.prank(STRANGER);
        a.unbind(referenceOf(404));
        vm.prank(guardianOf[a]);
        a.unbind(referenceOf(404));
        (address wallet,) = a.walletOf(referenceOf(404));
        vm.assertEq(wallet, address(0));
    }

    // ------------------------------------------------------------ releasing

    function test_release__bound_wallet__moves_the_points_and_not_the_supply() external {
        bind(a, MEMBER, WALLET);
        give(a, MEMBER, 100);
        bytes32[] memory words = list(releaseWord(MEMBER, 60));
        vm.expectEmit(address(a));
        emit Transfer(account(a, MEMBER), WALLET, 60);
        vm.expectEmit(address(a));
        emit IPointsToken.Released(referenceOf(MEMBER), WALLET, 60);
        vm.expectEmit(address(a));
        emit IPointsToken.Posted(3, keccak256(abi.encodePacked(words)), 0, 0);
        post(a, words);
        vm.assertEq(balance(a, MEMBER), 40);
        vm.assertEq(a.balanceOf(WALLET), 60);
        vm.assertEq(a.totalSupply(), 100);
    }

    function test_release__of_what_the_batch_itself_credits_and_debits__sees_what_is_left() external {
        bind(a, MEMBER, WALLET);
        post(a, list(word(MEMBER, EARN, 10), word(MEMBER, FEE, 4), releaseWord(MEMBER, 6)));
        vm.assertEq(balance(a, MEMBER), 0);
        vm.assertEq(a.balanceOf(WALLET), 6);
        vm.assertEq(a.totalSupply(), 6);
    }

    function test_release__short__is_skipped_whole_and_the_rest_is_posted() external {
        bind(a, MEMBER, WALLET);
        give(a, MEMBER, 10);
        vm.expectEmit(address(a));
        emit IPointsToken.Skipped(3, 0, account(a, MEMBER), 11, 10);
        post(a, list(releaseWord(MEMBER, 11), releaseWord(MEMBER, 10)));
        vm.assertEq(a.balanceOf(WALLET), 10);
    }

    function test_release__a_second_before_the_binding_has_effect__is_skipped() external {
        give(a, MEMBER, 10);
        post(a, bindWords(MEMBER, WALLET));
        vm.warp(START + DELAY - 1);
        expectSkipped(10, 10);
        post(a, list(releaseWord(MEMBER, 10)));
        vm.assertEq(a.balanceOf(WALLET), 0);
        vm.warp(START + DELAY);
        post(a, list(releaseWord(MEMBER, 10)));
        vm.assertEq(a.balanceOf(WALLET), 10);
    }

    function test_release__in_the_batch_of_the_binding__is_skipped() external {
        give(a, MEMBER, 10);
        post(a, list(word(MEMBER, BIND, 0), wordOf(WALLET), releaseWord(MEMBER, 10)));
        vm.assertEq(a.balanceOf(WALLET), 0);
        vm.assertEq(balance(a, MEMBER), 10);
    }

    function test_release__no_wallet__is_skipped() external {
        give(a, MEMBER, 10);
        expectSkipped(10, 10);
        post(a, list(releaseWord(MEMBER, 10)));
        vm.assertEq(a.balanceOf(address(0)), 0);
        vm.assertEq(balance(a, MEMBER), 10);
    }

    function test_release__after_unbinding__is_skipped() external {
        bind(a, MEMBER, WALLET);
        give(a, MEMBER, 10);
        post(a, list(word(MEMBER, BIND, 0), 0, releaseWord(MEMBER, 10)));
        vm.assertEq(a.balanceOf(WALLET), 0);
        vm.assertEq(balance(a, MEMBER), 10);
    }

    function test_release__reference_that_is_nobodys__is_skipped() external {
        vm.expectEmit(address(a));
        emit IPointsToken.Skipped(1, 0, account(a, 404), 1, 0);
        post(a, list(releaseWord(404, 1)));
    }

    function test_release__to_the_managed_account_itself__changes_no_balance() external {
        bind(a, MEMBER, account(a, MEMBER));
        give(a, MEMBER, 10);
        post(a, list(releaseWord(MEMBER, 7)));
        vm.assertEq(balance(a, MEMBER), 10);
        vm.assertEq(a.totalSupply(), 10);
    }

    function test_release__the_most_that_a_word_carries__arrives() external {
        fund(a, MEMBER, WALLET, MOST);
        vm.assertEq(a.balanceOf(WALLET), MOST);
        vm.assertEq(balance(a, MEMBER), 0);
    }

    function testFuzz_release__any_amount__moves_whole_or_is_skipped(uint48 held, uint48 amount) external {
        vm.assume(held != 0 && amount != 0);
        bind(a, MEMBER, WALLET);
        give(a, MEMBER, held);
        post(a, list(releaseWord(MEMBER, amount)));
        uint256 released = amount <= held ? amount : 0;
        vm.assertEq(a.balanceOf(WALLET), released);
        vm.assertEq(balance(a, MEMBER), held - released);
        vm.assertEq(a.totalSupply(), held);
    }

    // ------------------------------------------------------------ depositing

    function test_deposit__own_reference__brings_the_points_back() external {
        fund(a, MEMBER, WALLET, 100);
        vm.expectEmit(address(a));
        emit Transfer(WALLET, account(a, MEMBER), 60);
        vm.expectEmit(address(a));
        emit IPointsToken.Deposited(referenceOf(MEMBER), WALLET, 60);
        vm.prank(WALLET);
        a.deposit(referenceOf(MEMBER), 60);
        vm.assertEq(a.balanceOf(WALLET), 40);
        vm.assertEq(balance(a, MEMBER), 60);
        vm.assertEq(a.totalSupply(), 100);
    }

    function testFuzz_deposit__any_amount__arrives_or_reverts_with_the_numbers(uint48 held, uint48 amount) external {
        vm.assume(held != 0 && amount != 0);
        fund(a, MEMBER, WALLET, held);
        if (amount > held) {
            vm.expectRevert(abi.encodeWithSelector(IPointsToken.Short.selector, WALLET, amount, held));
        }
        vm.prank(WALLET);
        a.deposit(referenceOf(MEMBER), amount);
        vm.assertEq(balance(a, MEMBER), amount > held ? 0 : amount);
    }

    function test_deposit__before_the_binding_has_effect__is_taken() external {
        fund(a, MEMBER, WALLET, 10);
        post(a, bindWords(2, WALLET));
        vm.prank(WALLET);
        a.deposit(referenceOf(2), 10);
        vm.assertEq(balance(a, 2), 10);
    }

    function test_deposit__somebody_elses_reference__reverts() external {
        fund(a, MEMBER, WALLET, 10);
        bind(a, 2, OTHER);
        expectNotBound(referenceOf(2));
        expectNotBound(referenceOf(404));
        expectNotBound(bytes20(0));
    }

    function test_deposit__after_unbinding__reverts() external {
        fund(a, MEMBER, WALLET, 10);
        vm.prank(WALLET);
        a.unbind(referenceOf(MEMBER));
        expectNotBound(referenceOf(MEMBER));
    }

    function test_deposit__after_another_wallet_was_bound__reverts() external {
        fund(a, MEMBER, WALLET, 10);
        post(a, bindWords(MEMBER, OTHER));
        expectNotBound(referenceOf(MEMBER));
    }

    function test_deposit__nothing__reverts() external {
        fund(a, MEMBER, WALLET, 10);
        vm.expectRevert(abi.encodeWithSelector(IPointsToken.ZeroAmount.selector, 0));
        vm.prank(WALLET);
        a.deposit(referenceOf(MEMBER), 0);
    }

    function testFuzz_deposit__more_than_an_operation_carries__reverts(uint256 amount) external {
        vm.assume(amount > MOST);
        fund(a, MEMBER, WALLET, MOST);
        vm.expectRevert(abi.encodeWithSelector(IPointsToken.AmountTooLarge.selector, MOST, amount));
        vm.prank(WALLET);
        a.deposit(referenceOf(MEMBER), amount);
    }

    // ------------------------------------------------------------ helpers

    function wordOf(address wallet) private pure returns (bytes32) {
        return bytes32(uint256(uint160(wallet)));
    }

    function wrongBinding(uint256 index) private pure returns (bytes memory) {
        return abi.encodeWithSelector(IPointsToken.WrongBinding.selector, index);
    }

    /// The next batch's first word is the member's and is skipped.
    function expectSkipped(uint256 amount, uint256 held) private {
        uint64 next = a.sequence() + 1;
        vm.expectEmit(address(a));
        emit IPointsToken.Skipped(next, 0, account(a, MEMBER), amount, held);
    }

    function expectNotBound(bytes20 reference_) private {
        vm.expectRevert(abi.encodeWithSelector(IPointsToken.NotBound.selector, reference_, WALLET));
        vm.prank(WALLET);
        a.deposit(reference_, 1);
    }

    function assertBound(address wallet, uint256 effectiveAt) private view {
        (address wallet_, uint256 effectiveAt_) = a.walletOf(referenceOf(MEMBER));
        vm.assertEq(wallet_, wallet);
        vm.assertEq(effectiveAt_, effectiveAt);
    }
}
