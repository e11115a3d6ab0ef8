// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {IHolderCalls} from "sarraf/interfaces/IHolderCalls.sol";
import {IPointsToken} from "sarraf/interfaces/IPointsToken.sol";
import {ContractWallet} from "./ContractWallet.sol";
import {IToken} from "./IToken.sol";
import {Signatures} from "./Signatures.sol";
import {vm} from "./Vm.sol";
import {World} from "./World.sol";

/// What holders of wallets do by themselves or sign for others to relay: redeeming and depositing, each order and nonce
/// at most once.
contract TokenSignaturesTest is World {
    event Transfer(address indexed from, address indexed to, uint256 amount);

    uint256 private constant KEY = 0xBEEF;
    uint256 private constant MEMBER = 1;
    uint256 private constant ORDER = 777;
    /// The order of the curve: `CURVE - s` with the other parity is a second signature of the same digest.
    uint256 private constant CURVE = 0xFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFEBAAEDCE6AF48A03BBFD25E8CD0364141;

    address private holder;
    uint256 private deadline;

    function setUp() public override {
        super.setUp();
        holder = vm.addr(KEY);
        fund(a, MEMBER, holder, 100);
        deadline = block.timestamp + 1 hours;
    }

    // ------------------------------------------------------------ redeeming by transaction

    function test_redeem__holder__burns_for_the_order() external {
        vm.expectEmit(address(a));
        emit IHolderCalls.NonceUsed(holder, ORDER);
        vm.expectEmit(address(a));
        emit Transfer(holder, address(0), 40);
        vm.expectEmit(address(a));
        emit IPointsToken.Redeemed(holder, ORDER, 40);
        redeem(40, ORDER);
        vm.assertEq(a.balanceOf(holder), 60);
        vm.assertEq(a.totalSupply(), 60);
        vm.assertTrue(a.isSpent(holder, ORDER));
    }

    function test_redeem__same_order_again__reverts() external {
        redeem(40, ORDER);
        vm.expectRevert(nonceSpent(ORDER));
        redeem(1, ORDER);
    }

    function test_redeem__same_order_of_another_holder__is_its_own() external {
        address other = vm.addr(KEY + 1);
        fund(a, 2, other, 5);
        redeem(40, ORDER);
        vm.prank(other);
        a.redeem(5, ORDER);
        vm.assertEq(a.balanceOf(other), 0);
    }

    function test_redeem__nothing__reverts() external {
        vm.expectRevert(abi.encodeWithSelector(IPointsToken.ZeroAmount.selector, 0));
        redeem(0, ORDER);
    }

    function testFuzz_redeem__any_amount__is_burned_or_refused_with_the_numbers(uint256 amount) external {
        vm.assume(amount != 0);
        bytes memory refusal;
        if (amount > MOST) {
            refusal = abi.encodeWithSelector(IPointsToken.AmountTooLarge.selector, MOST, amount);
        } else if (amount > 100) {
            refusal = abi.encodeWithSelector(IPointsToken.Short.selector, holder, amount, 100);
        }
        if (refusal.length != 0) vm.expectRevert(refusal);
        redeem(amount, ORDER);
        vm.assertEq(a.balanceOf(holder), refusal.length != 0 ? 100 : 100 - amount);
        vm.assertEq(a.isSpent(holder, ORDER), refusal.length == 0);
    }

    function test_redeem__amounts_at_the_words_edges__are_burned_or_refused() external {
        vm.prank(address(exchange));
        a.mintHeld(holder, MOST);
        redeem(1, 1);
        redeem(MOST, 2);
        vm.assertEq(a.balanceOf(holder), 99);
        vm.expectRevert(abi.encodeWithSelector(IPointsToken.AmountTooLarge.selector, MOST, uint256(MOST) + 1));
        redeem(uint256(MOST) + 1, 3);
    }

    function test_redeem__who_has_nothing__reverts() external {
        vm.expectRevert(abi.encodeWithSelector(IPointsToken.Short.selector, STRANGER, 1, 0));
        vm.prank(STRANGER);
        a.redeem(1, ORDER);
    }

    // ------------------------------------------------------------ redeeming by signature

    function test_redeemFor__signature_of_65_bytes__burns_for_the_order() external {
        vm.expectEmit(address(a));
        emit IHolderCalls.NonceUsed(holder, ORDER);
        vm.expectEmit(address(a));
        emit IPointsToken.Redeemed(holder, ORDER, 40);
        redeemFor(holder, 40, ORDER, Signatures.sign(KEY, redeemDigest(40, ORDER)));
        vm.assertEq(a.balanceOf(holder), 60);
        vm.assertEq(a.totalSupply(), 60);
    }

    function test_redeemFor__signature_of_64_bytes__burns_for_the_order() external {
        redeemFor(holder, 40, ORDER, Signatures.signCompact(KEY, redeemDigest(40, ORDER)));
        vm.assertEq(a.balanceOf(holder), 60);
    }

    function testFuzz_redeemFor__any_order_and_relayer__burns_with_either_length(
        uint256 order,
        address relayer,
        uint128 key,
        bool compact
    ) external {
        vm.assume(key != 0);
        address signer = vm.addr(key);
        vm.prank(address(exchange));
        a.mintHeld(signer, 10);
        bytes32 digest = Signatures.redeemDigest("Points", address(a), signer, 10, order, deadline);
        bytes memory signature = compact ? Signatures.signCompact(key, digest) : Signatures.sign(key, digest);
        uint256 before = a.balanceOf(signer);
        vm.prank(relayer);
        a.redeemFor(signer, 10, order, deadline, signature);
        vm.assertEq(before - a.balanceOf(signer), 10);
        vm.assertTrue(a.isSpent(signer, order));
    }

    function test_redeemFor__in_its_last_second__burns() external {
        bytes memory signature = Signatures.sign(KEY, redeemDigest(40, ORDER));
        vm.warp(deadline);
        redeemFor(holder, 40, ORDER, signature);
        vm.assertEq(a.balanceOf(holder), 60);
    }

    function test_redeemFor__a_second_too_late__reverts_with_both_times() external {
        bytes memory signature = Signatures.sign(KEY, redeemDigest(40, ORDER));
        vm.warp(deadline + 1);
        vm.expectRevert(abi.encodeWithSelector(IHolderCalls.Expired.selector, deadline, deadline + 1));
        redeemFor(holder, 40, ORDER, signature);
    }

    function test_redeemFor__replayed__reverts_in_either_length() external {
        bytes32 digest = redeemDigest(40, ORDER);
        redeemFor(holder, 40, ORDER, Signatures.sign(KEY, digest));
        vm.expectRevert(nonceSpent(ORDER));
        redeemFor(holder, 40, ORDER, Signatures.sign(KEY, digest));
        vm.expectRevert(nonceSpent(ORDER));
        redeemFor(holder, 40, ORDER, Signatures.signCompact(KEY, digest));
        vm.assertEq(a.balanceOf(holder), 60);
    }

    /// Every signature has a twin that recovers to the same signer: it must not be worth a second redemption.
    function test_redeemFor__the_signatures_twin__cannot_be_used_after_it() external {
        (uint8 v, bytes32 r, bytes32 s) = vm.sign(KEY, redeemDigest(40, ORDER));
        redeemFor(holder, 40, ORDER, abi.encodePacked(r, s, v));
        vm.expectRevert(nonceSpent(ORDER));
        redeemFor(holder, 40, ORDER, abi.encodePacked(r, bytes32(CURVE - uint256(s)), v == 27 ? uint8(28) : uint8(27)));
    }

    function test_redeemFor__order_redeemed_by_transaction__reverts() external {
        redeem(40, ORDER);
        bytes memory signature = Signatures.sign(KEY, redeemDigest(40, ORDER));
        vm.expectRevert(nonceSpent(ORDER));
        redeemFor(holder, 40, ORDER, signature);
    }

    function test_redeemFor__cancelled__reverts() external {
        bytes memory signature = Signatures.sign(KEY, redeemDigest(40, ORDER));
        vm.prank(holder);
        a.cancel(ORDER);
        vm.expectRevert(nonceSpent(ORDER));
        redeemFor(holder, 40, ORDER, signature);
    }

    function test_redeemFor__more_than_there_is__reverts_and_the_order_stays_unused() external {
        bytes memory signature = Signatures.sign(KEY, redeemDigest(101, ORDER));
        vm.expectRevert(abi.encodeWithSelector(IPointsToken.Short.selector, holder, 101, 100));
        redeemFor(holder, 101, ORDER, signature);
        vm.assertFalse(a.isSpent(holder, ORDER));
        vm.prank(address(exchange));
        a.mintHeld(holder, 1);
        redeemFor(holder, 101, ORDER, signature);
        vm.assertEq(a.balanceOf(holder), 0);
    }

    function test_redeemFor__nothing_or_too_much__reverts() external {
        bytes memory signature = Signatures.sign(KEY, redeemDigest(0, ORDER));
        vm.expectRevert(abi.encodeWithSelector(IPointsToken.ZeroAmount.selector, 0));
        redeemFor(holder, 0, ORDER, signature);
        uint256 amount = uint256(MOST) + 1;
        signature = Signatures.sign(KEY, redeemDigest(amount, ORDER));
        vm.expectRevert(abi.encodeWithSelector(IPointsToken.AmountTooLarge.selector, MOST, amount));
        redeemFor(holder, amount, ORDER, signature);
    }

    // ------------------------------------------------------------ signatures that are not the holder's for this call

    function testFuzz_redeemFor__signed_by_anybody_else__reverts(uint128 key, bool compact) external {
        vm.assume(key != 0 && key != KEY);
        bytes32 digest = redeemDigest(40, ORDER);
        expectWrongSignature(compact ? Signatures.signCompact(key, digest) : Signatures.sign(key, digest));
    }

    function testFuzz_redeemFor__signed_for_other_numbers__reverts(uint256 amount, uint256 order, uint256 until)
        external
    {
        vm.assume(amount != 40 || order != ORDER || until != deadline);
        bytes32 digest = Signatures.redeemDigest("Points", address(a), holder, amount, order, until);
        expectWrongSignature(Signatures.sign(KEY, digest));
    }

    function test_redeemFor__signed_for_another_holder__reverts() external {
        bytes32 digest = Signatures.redeemDigest("Points", address(a), STRANGER, 40, ORDER, deadline);
        expectWrongSignature(Signatures.sign(KEY, digest));
    }

    function test_redeemFor__signed_for_another_contract__reverts() external {
        bytes32 digest = Signatures.redeemDigest("Points", address(b), holder, 40, ORDER, deadline);
        expectWrongSignature(Signatures.sign(KEY, digest));
    }

    function test_redeemFor__signed_for_another_name__reverts() external {
        bytes32 digest = Signatures.redeemDigest("Sarraf Exchange", address(a), holder, 40, ORDER, deadline);
        expectWrongSignature(Signatures.sign(KEY, digest));
    }

    function test_redeemFor__signed_for_another_chain__reverts() external {
        bytes memory signature = Signatures.sign(KEY, redeemDigest(40, ORDER));
        vm.chainId(block.chainid + 1);
        expectWrongSignature(signature);
    }

    function test_domainSeparator__on_another_chain__is_that_chains() external {
        bytes32 here = a.DOMAIN_SEPARATOR();
        vm.assertEq(here, Signatures.domainOf("Points", address(a)));
        vm.chainId(block.chainid + 1);
        vm.assertEq(a.DOMAIN_SEPARATOR(), Signatures.domainOf("Points", address(a)));
        vm.assertFalse(a.DOMAIN_SEPARATOR() == here);
    }

    function test_redeemFor__signed_as_a_deposit__reverts() external {
        bytes32 digest =
            Signatures.depositDigest("Points", address(a), holder, referenceOf(MEMBER), 40, ORDER, deadline);
        expectWrongSignature(Signatures.sign(KEY, digest));
    }

    function testFuzz_redeemFor__any_bytes__are_no_signature(bytes calldata signature) external {
        expectWrongSignature(signature);
    }

    function test_redeemFor__other_lengths__reverts() external {
        bytes memory signature = Signatures.sign(KEY, redeemDigest(40, ORDER));
        expectWrongSignature("");
        expectWrongSignature(bytes.concat(signature, hex"00"));
        expectWrongSignature(cut(signature, 63));
    }

    function test_redeemFor__parity_that_does_not_exist__reverts() external {
        bytes memory signature = Signatures.sign(KEY, redeemDigest(40, ORDER));
        for (uint256 v; v < 256; ++v) {
            if (v == uint8(signature[64])) continue;
            bytes memory changed = bytes.concat(cut(signature, 64), bytes1(uint8(v)));
            expectWrongSignature(changed);
        }
    }

    /// What cannot be recovered recovers to zero: nobody may redeem what lies at the zero address.
    function testFuzz_redeemFor__zero_holder__reverts(bytes calldata signature) external {
        vm.prank(address(exchange));
        a.mintHeld(address(0), 10);
        bytes32 digest = Signatures.redeemDigest("Points", address(a), address(0), 10, ORDER, deadline);
        vm.expectRevert(abi.encodeWithSelector(IHolderCalls.WrongSignature.selector, address(0), digest));
        redeemFor(address(0), 10, ORDER, signature);
        vm.expectRevert(abi.encodeWithSelector(IHolderCalls.WrongSignature.selector, address(0), digest));
        redeemFor(address(0), 10, ORDER, new bytes(65));
    }

    function test_redeemFor__managed_account__has_no_key() external {
        give(a, 2, 10);
        address managed = account(a, 2);
        bytes32 digest = Signatures.redeemDigest("Points", address(a), managed, 10, ORDER, deadline);
        bytes memory signature = Signatures.sign(KEY, digest);
        vm.expectRevert(abi.encodeWithSelector(IHolderCalls.WrongSignature.selector, managed, digest));
        redeemFor(managed, 10, ORDER, signature);
    }

    // ------------------------------------------------------------ wallets that are contracts

    function test_redeemFor__contract_wallet_that_accepts__burns_once() external {
        (ContractWallet wallet, bytes32 digest) = contractWallet(ContractWallet.Answer.Accept);
        bytes memory signature = "two of three owners agreed";
        wallet.approve(digest, signature);
        redeemFor(address(wallet), 40, ORDER, signature);
        vm.assertEq(a.balanceOf(address(wallet)), 60);
        vm.expectRevert(abi.encodeWithSelector(IHolderCalls.NonceSpent.selector, wallet, ORDER));
        redeemFor(address(wallet), 40, ORDER, signature);
    }

    function test_redeemFor__contract_wallet_that_accepts_something_else__reverts() external {
        (ContractWallet wallet, bytes32 digest) = contractWallet(ContractWallet.Answer.Accept);
        wallet.approve(digest, "approval");
        vm.expectRevert(abi.encodeWithSelector(IHolderCalls.WrongSignature.selector, wallet, digest));
        redeemFor(address(wallet), 40, ORDER, "another approval");
        bytes32 other = Signatures.redeemDigest("Points", address(a), address(wallet), 41, ORDER, deadline);
        vm.expectRevert(abi.encodeWithSelector(IHolderCalls.WrongSignature.selector, wallet, other));
        redeemFor(address(wallet), 41, ORDER, "approval");
    }

    function test_redeemFor__contract_wallet_that_denies_or_lies__reverts() external {
        for (uint8 answer = 1; answer <= uint8(type(ContractWallet.Answer).max); ++answer) {
            (ContractWallet wallet, bytes32 digest) = contractWallet(ContractWallet.Answer(answer));
            bytes[2] memory signatures = [bytes("approval"), Signatures.sign(KEY, digest)];
            for (uint256 i; i < 2; ++i) {
                vm.expectRevert(abi.encodeWithSelector(IHolderCalls.WrongSignature.selector, wallet, digest));
                redeemFor(address(wallet), 40, ORDER, signatures[i]);
            }
            vm.assertEq(a.balanceOf(address(wallet)), 100);
            vm.assertFalse(a.isSpent(address(wallet), ORDER));
        }
    }

    function test_redeemFor__contract_that_is_no_wallet__reverts() external {
        vm.prank(address(exchange));
        a.mintHeld(address(exchange), 100);
        bytes32 digest = Signatures.redeemDigest("Points", address(a), address(exchange), 40, ORDER, deadline);
        vm.expectRevert(abi.encodeWithSelector(IHolderCalls.WrongSignature.selector, exchange, digest));
        redeemFor(address(exchange), 40, ORDER, "approval");
    }

    // ------------------------------------------------------------ depositing by signature

    function test_depositFor__signature_of_either_length__brings_the_points_back() external {
        bytes20 reference_ = referenceOf(MEMBER);
        vm.expectEmit(address(a));
        emit IHolderCalls.NonceUsed(holder, 1);
        vm.expectEmit(address(a));
        emit IPointsToken.Deposited(reference_, holder, 40);
        depositFor(reference_, 40, 1, Signatures.sign(KEY, depositDigest(reference_, 40, 1)));
        depositFor(reference_, 50, 2, Signatures.signCompact(KEY, depositDigest(reference_, 50, 2)));
        vm.assertEq(a.balanceOf(holder), 10);
        vm.assertEq(balance(a, MEMBER), 90);
        vm.assertEq(a.totalSupply(), 100);
    }

    function test_depositFor__contract_wallet_that_accepts__brings_the_points_back() external {
        (ContractWallet wallet,) = contractWallet(ContractWallet.Answer.Accept);
        bind(a, 2, address(wallet));
        deadline = block.timestamp + 1 hours;
        bytes32 digest =
            Signatures.depositDigest("Points", address(a), address(wallet), referenceOf(2), 40, 1, deadline);
        wallet.approve(digest, "approval");
        a.depositFor(address(wallet), referenceOf(2), 40, 1, deadline, "approval");
        vm.assertEq(balance(a, 2), 40);
    }

    function test_depositFor__replayed_cancelled_or_late__reverts() external {
        bytes20 reference_ = referenceOf(MEMBER);
        bytes memory signature = Signatures.sign(KEY, depositDigest(reference_, 40, 1));
        depositFor(reference_, 40, 1, signature);
        vm.expectRevert(nonceSpent(1));
        depositFor(reference_, 40, 1, signature);

        signature = Signatures.sign(KEY, depositDigest(reference_, 40, 2));
        vm.prank(holder);
        a.cancel(2);
        vm.expectRevert(nonceSpent(2));
        depositFor(reference_, 40, 2, signature);

        signature = Signatures.sign(KEY, depositDigest(reference_, 40, 3));
        vm.warp(deadline + 1);
        vm.expectRevert(abi.encodeWithSelector(IHolderCalls.Expired.selector, deadline, deadline + 1));
        depositFor(reference_, 40, 3, signature);
    }

    function test_depositFor__order_that_was_redeemed__is_the_same_number() external {
        redeem(1, 1);
        bytes memory signature = Signatures.sign(KEY, depositDigest(referenceOf(MEMBER), 40, 1));
        vm.expectRevert(nonceSpent(1));
        depositFor(referenceOf(MEMBER), 40, 1, signature);
    }

    function testFuzz_depositFor__signed_for_anything_else__reverts(
        bytes20 reference_,
        uint256 amount,
        uint256 nonce,
        uint256 until
    ) external {
        bytes20 own = referenceOf(MEMBER);
        vm.assume(reference_ != own || amount != 40 || nonce != 1 || until != deadline);
        bytes memory signature = Signatures.sign(
            KEY, Signatures.depositDigest("Points", address(a), holder, reference_, amount, nonce, until)
        );
        vm.expectRevert(
            abi.encodeWithSelector(IHolderCalls.WrongSignature.selector, holder, depositDigest(own, 40, 1))
        );
        depositFor(own, 40, 1, signature);
    }

    function test_depositFor__another_chain_contract_or_kind_of_call__reverts() external {
        bytes20 own = referenceOf(MEMBER);
        bytes32 atB = Signatures.depositDigest("Points", address(b), holder, own, 40, 1, deadline);
        expectWrongDeposit(Signatures.sign(KEY, atB));
        expectWrongDeposit(Signatures.sign(KEY, redeemDigest(40, 1)));
        bytes memory signature = Signatures.sign(KEY, depositDigest(own, 40, 1));
        vm.chainId(block.chainid + 1);
        expectWrongDeposit(signature);
    }

    function test_depositFor__somebody_elses_reference__reverts_although_it_was_signed() external {
        bind(a, 2, STRANGER);
        deadline = block.timestamp + 1 hours;
        bytes memory signature = Signatures.sign(KEY, depositDigest(referenceOf(2), 40, 1));
        vm.expectRevert(abi.encodeWithSelector(IPointsToken.NotBound.selector, referenceOf(2), holder));
        depositFor(referenceOf(2), 40, 1, signature);
        vm.assertFalse(a.isSpent(holder, 1));
    }

    // ------------------------------------------------------------ nonces

    function test_cancel__unused__says_so_and_cannot_be_used() external {
        vm.assertFalse(a.isSpent(holder, ORDER));
        vm.expectEmit(address(a));
        emit IHolderCalls.NonceUsed(holder, ORDER);
        vm.prank(holder);
        a.cancel(ORDER);
        vm.assertTrue(a.isSpent(holder, ORDER));
        vm.expectRevert(nonceSpent(ORDER));
        redeem(1, ORDER);
    }

    function test_cancel__used_or_cancelled__reverts() external {
        redeem(1, ORDER);
        vm.expectRevert(nonceSpent(ORDER));
        vm.prank(holder);
        a.cancel(ORDER);
        vm.prank(holder);
        a.cancel(1);
        vm.expectRevert(nonceSpent(1));
        vm.prank(holder);
        a.cancel(1);
    }

    function test_cancel__by_anybody_else__cancels_their_own_only() external {
        vm.prank(STRANGER);
        a.cancel(ORDER);
        vm.assertTrue(a.isSpent(STRANGER, ORDER));
        vm.assertFalse(a.isSpent(holder, ORDER));
        redeem(40, ORDER);
        vm.assertEq(a.balanceOf(holder), 60);
    }

    function testFuzz_cancel__one_nonce__leaves_every_other(uint256 nonce, uint256 other) external {
        vm.prank(holder);
        a.cancel(nonce);
        vm.assertTrue(a.isSpent(holder, nonce));
        if (other != nonce) vm.assertFalse(a.isSpent(holder, other));
        uint256 neighbour = nonce ^ 1;
        uint256 across = nonce ^ 256;
        vm.assertFalse(a.isSpent(holder, neighbour));
        vm.assertFalse(a.isSpent(holder, across));
        redeem(1, neighbour);
        redeem(1, across);
    }

    function test_cancel__the_same_nonce_at_another_token__is_another() external {
        vm.prank(holder);
        a.cancel(ORDER);
        vm.assertFalse(b.isSpent(holder, ORDER));
    }

    // ------------------------------------------------------------ helpers

    function redeem(uint256 amount, uint256 order) private {
        vm.prank(holder);
        a.redeem(amount, order);
    }

    /// Relayed by whoever: here by this contract.
    function redeemFor(address holder_, uint256 amount, uint256 order, bytes memory signature) private {
        a.redeemFor(holder_, amount, order, deadline, signature);
    }

    function depositFor(bytes20 reference_, uint256 amount, uint256 nonce, bytes memory signature) private {
        a.depositFor(holder, reference_, amount, nonce, deadline, signature);
    }

    function redeemDigest(uint256 amount, uint256 order) private view returns (bytes32) {
        return Signatures.redeemDigest("Points", address(a), holder, amount, order, deadline);
    }

    function depositDigest(bytes20 reference_, uint256 amount, uint256 nonce) private view returns (bytes32) {
        return Signatures.depositDigest("Points", address(a), holder, reference_, amount, nonce, deadline);
    }

    /// A wallet with 100 points, and what it has to sign to redeem 40.
    function contractWallet(ContractWallet.Answer answer) private returns (ContractWallet wallet, bytes32 digest) {
        wallet = new ContractWallet(answer);
        vm.prank(address(exchange));
        a.mintHeld(address(wallet), 100);
        digest = Signatures.redeemDigest("Points", address(a), address(wallet), 40, ORDER, deadline);
    }

    function expectWrongSignature(bytes memory signature) private {
        bytes32 digest = redeemDigest(40, ORDER);
        vm.expectRevert(abi.encodeWithSelector(IHolderCalls.WrongSignature.selector, holder, digest));
        redeemFor(holder, 40, ORDER, signature);
    }

    function expectWrongDeposit(bytes memory signature) private {
        bytes32 digest = depositDigest(referenceOf(MEMBER), 40, 1);
        vm.expectRevert(abi.encodeWithSelector(IHolderCalls.WrongSignature.selector, holder, digest));
        depositFor(referenceOf(MEMBER), 40, 1, signature);
    }

    function nonceSpent(uint256 nonce) private view returns (bytes memory) {
        return abi.encodeWithSelector(IHolderCalls.NonceSpent.selector, holder, nonce);
    }

    function cut(bytes memory whole, uint256 length) private pure returns (bytes memory part) {
        part = new bytes(length);
        for (uint256 i; i < length; ++i) part[i] = whole[i];
    }
}
