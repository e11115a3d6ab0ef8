// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {IPointsToken} from "sarraf/interfaces/IPointsToken.sol";
import {IToken} from "./IToken.sol";
import {Signatures} from "./Signatures.sol";
import {vm} from "./Vm.sol";
import {World} from "./World.sol";

/// The ERC-20 side: transfers, allowances and permits of whoever holds points in a wallet.
contract PointsTokenHolderTest is World {
    event Transfer(address indexed from, address indexed to, uint256 amount);
    event Approval(address indexed owner, address indexed spender, uint256 amount);

    /// The canonical address of a contract to which Solady's token would give every holder's points.
    address private constant PERMIT2 = 0x000000000022D473030F116dDEE9F6B43aC78BA3;
    uint256 private constant KEY = 0xBEEF;
    address private constant FRIEND = address(0xF1);
    address private constant SPENDER = address(0xF2);

    bytes4 private constant INSUFFICIENT_ALLOWANCE = bytes4(keccak256("InsufficientAllowance()"));
    bytes4 private constant INVALID_PERMIT = bytes4(keccak256("InvalidPermit()"));
    bytes4 private constant PERMIT_EXPIRED = bytes4(keccak256("PermitExpired()"));

    IToken private open;
    address private holder;

    /// A program that allows transfers and `a`, which does not; the holder has a wallet with points at both, the friend
    /// has one at both without.
    function setUp() public override {
        super.setUp();
        holder = vm.addr(KEY);
        open = newToken(address(0xAD99), true);
        fund(open, 1, holder, 100);
        bind(open, 2, FRIEND);
        fund(a, 1, holder, 100);
        bind(a, 2, FRIEND);
    }

    // ------------------------------------------------------------ transfers

    function test_transfer__open_program__moves_points_to_another_members_wallet() external {
        vm.expectEmit(address(open));
        emit Transfer(holder, FRIEND, 40);
        vm.prank(holder);
        open.transfer(FRIEND, 40);
        vm.assertEq(open.balanceOf(FRIEND), 40);
        vm.assertEq(open.balanceOf(holder), 60);
        vm.assertEq(open.totalSupply(), 100);
    }

    function test_transfer__open_program__reaches_a_wallet_that_is_announced_or_was_unbound() external {
        post(open, bindWords(3, SPENDER));
        vm.prank(holder);
        open.transfer(SPENDER, 1);
        post(open, bindWords(3, address(0)));
        vm.prank(holder);
        open.transfer(SPENDER, 1);
        vm.assertEq(open.balanceOf(SPENDER), 2);
    }

    function testFuzz_transfer__to_what_is_no_members_wallet__reverts(address to, uint256 amount) external {
        vm.assume(to != holder && to != FRIEND);
        vm.expectRevert(abi.encodeWithSelector(IPointsToken.NotAWallet.selector, to));
        vm.prank(holder);
        open.transfer(to, amount);
    }

    function test_transfer__to_zero_a_managed_account_or_the_token__reverts() external {
        address[4] memory places = [address(0), account(open, 1), address(open), address(exchange)];
        vm.prank(holder);
        open.approve(SPENDER, 40);
        for (uint256 i; i < places.length; ++i) {
            bytes memory notAWallet = abi.encodeWithSelector(IPointsToken.NotAWallet.selector, places[i]);
            vm.expectRevert(notAWallet);
            vm.prank(holder);
            open.transfer(places[i], 40);
            vm.expectRevert(notAWallet);
            vm.prank(SPENDER);
            open.transferFrom(holder, places[i], 40);
        }
    }

    function test_transfer__wallet_of_another_program_only__reverts() external {
        bind(a, 3, SPENDER);
        vm.expectRevert(abi.encodeWithSelector(IPointsToken.NotAWallet.selector, SPENDER));
        vm.prank(holder);
        open.transfer(SPENDER, 1);
    }

    function testFuzz_transfer__closed_program__reverts(address to, uint256 amount) external {
        vm.expectRevert(IPointsToken.TransfersClosed.selector);
        vm.prank(holder);
        a.transfer(to, amount);
    }

    function test_transfer__closed_program__reverts_even_between_bound_wallets() external {
        vm.expectRevert(IPointsToken.TransfersClosed.selector);
        vm.prank(holder);
        a.transfer(FRIEND, 40);
    }

    function testFuzz_transfer__more_than_there_is__reverts_with_the_numbers(uint256 amount) external {
        vm.assume(amount > 100);
        bytes memory short = abi.encodeWithSelector(IPointsToken.Short.selector, holder, amount, 100);
        vm.expectRevert(short);
        vm.prank(holder);
        open.transfer(FRIEND, amount);
        vm.prank(holder);
        open.approve(SPENDER, amount);
        vm.expectRevert(short);
        vm.prank(SPENDER);
        open.transferFrom(holder, FRIEND, amount);
    }

    function testFuzz_transfer__any_amount__is_moved_and_the_supply_stays(uint8 amount) external {
        vm.assume(amount <= 100);
        vm.prank(holder);
        open.transfer(FRIEND, amount);
        vm.assertEq(open.balanceOf(FRIEND), amount);
        vm.assertEq(open.balanceOf(holder), 100 - uint256(amount));
        vm.assertEq(open.totalSupply(), 100);
    }

    function test_transfer__to_oneself_or_of_nothing__changes_no_balance() external {
        vm.prank(holder);
        open.transfer(holder, 100);
        vm.prank(holder);
        open.approve(SPENDER, 60);
        vm.prank(SPENDER);
        open.transferFrom(holder, holder, 60);
        vm.expectEmit(address(open));
        emit Transfer(holder, FRIEND, 0);
        vm.prank(holder);
        open.transfer(FRIEND, 0);
        vm.assertEq(open.balanceOf(holder), 100);
        vm.assertEq(open.balanceOf(FRIEND), 0);
        vm.assertEq(open.totalSupply(), 100);
    }

    function test_transfer__answers__true() external {
        vm.prank(holder);
        vm.assertTrue(open.transfer(FRIEND, 1));
        vm.prank(holder);
        open.approve(SPENDER, 1);
        vm.prank(SPENDER);
        vm.assertTrue(open.transferFrom(holder, FRIEND, 1));
    }

    // ------------------------------------------------------------ allowances

    function test_transferFrom__with_an_allowance__moves_points_and_uses_it_up() external {
        vm.expectEmit(address(open));
        emit Approval(holder, SPENDER, 40);
        vm.prank(holder);
        open.approve(SPENDER, 40);
        vm.prank(SPENDER);
        open.transferFrom(holder, FRIEND, 30);
        vm.assertEq(open.balanceOf(FRIEND), 30);
        vm.assertEq(open.allowance(holder, SPENDER), 10);
        vm.expectRevert(INSUFFICIENT_ALLOWANCE);
        vm.prank(SPENDER);
        open.transferFrom(holder, FRIEND, 11);
    }

    function test_transferFrom__with_an_endless_allowance__leaves_it_endless() external {
        vm.prank(holder);
        open.approve(SPENDER, type(uint256).max);
        vm.prank(SPENDER);
        open.transferFrom(holder, FRIEND, 30);
        vm.assertEq(open.allowance(holder, SPENDER), type(uint256).max);
    }

    function test_transferFrom__closed_program__reverts_in_spite_of_an_allowance() external {
        vm.prank(holder);
        a.approve(SPENDER, 40);
        vm.expectRevert(IPointsToken.TransfersClosed.selector);
        vm.prank(SPENDER);
        a.transferFrom(holder, FRIEND, 40);
    }

    function testFuzz_transferFrom__stranger_without_allowance__reverts(address caller, uint48 amount) external {
        vm.assume(amount != 0 && caller != address(0));
        vm.expectRevert(INSUFFICIENT_ALLOWANCE);
        vm.prank(caller);
        open.transferFrom(holder, FRIEND, amount);
    }

    function test_transferFrom__issuer_admin_guardian_or_exchange__have_no_allowance() external {
        address[4] memory callers = [ISSUER, adminOf[open], guardianOf[open], address(exchange)];
        for (uint256 i; i < callers.length; ++i) {
            vm.assertEq(open.allowance(holder, callers[i]), 0);
            vm.expectRevert(INSUFFICIENT_ALLOWANCE);
            vm.prank(callers[i]);
            open.transferFrom(holder, FRIEND, 1);
        }
    }

    function test_allowance__permit2__is_zero_until_given_and_then_what_was_given() external {
        vm.assertEq(open.allowance(holder, PERMIT2), 0);
        vm.expectRevert(INSUFFICIENT_ALLOWANCE);
        vm.prank(PERMIT2);
        open.transferFrom(holder, FRIEND, 1);

        vm.prank(holder);
        open.approve(PERMIT2, 5);
        vm.assertEq(open.allowance(holder, PERMIT2), 5);
        vm.prank(PERMIT2);
        open.transferFrom(holder, FRIEND, 5);
        vm.assertEq(open.allowance(holder, PERMIT2), 0);
    }

    // ------------------------------------------------------------ permits

    function test_domainSeparator__is_what_eip712_says() external view {
        vm.assertEq(open.DOMAIN_SEPARATOR(), Signatures.domainOf("Points", address(open)));
    }

    function test_permit__signed_by_the_holder__gives_an_allowance_once() external {
        permit(KEY, 25, 0, block.timestamp);
        vm.assertEq(open.allowance(holder, SPENDER), 25);
        vm.assertEq(open.nonces(holder), 1);
        vm.prank(SPENDER);
        open.transferFrom(holder, FRIEND, 25);
        vm.assertEq(open.balanceOf(FRIEND), 25);
        vm.expectRevert(INVALID_PERMIT);
        this.permitFromOutside(KEY, 25, 0, block.timestamp);
    }

    function testFuzz_permit__signed_by_anybody_else__reverts(uint128 key) external {
        vm.assume(key != 0 && key != KEY);
        vm.expectRevert(INVALID_PERMIT);
        this.permitFromOutside(key, 25, 0, block.timestamp);
    }

    function test_permit__a_second_too_late__reverts() external {
        vm.expectRevert(PERMIT_EXPIRED);
        this.permitFromOutside(KEY, 25, 0, block.timestamp - 1);
    }

    function test_permit__signed_for_another_chain__reverts() external {
        bytes32 digest = permitDigest(open, 25, 0, block.timestamp);
        (uint8 v, bytes32 r, bytes32 s) = vm.sign(KEY, digest);
        vm.chainId(block.chainid + 1);
        vm.expectRevert(INVALID_PERMIT);
        open.permit(holder, SPENDER, 25, block.timestamp, v, r, s);
    }

    function test_permit__signed_for_another_token__reverts() external {
        (uint8 v, bytes32 r, bytes32 s) = vm.sign(KEY, permitDigest(a, 25, 0, block.timestamp));
        vm.expectRevert(INVALID_PERMIT);
        open.permit(holder, SPENDER, 25, block.timestamp, v, r, s);
    }

    function test_permit__closed_program__gives_an_allowance_that_moves_nothing() external {
        (uint8 v, bytes32 r, bytes32 s) = vm.sign(KEY, permitDigest(a, 25, 0, block.timestamp));
        a.permit(holder, SPENDER, 25, block.timestamp, v, r, s);
        vm.expectRevert(IPointsToken.TransfersClosed.selector);
        vm.prank(SPENDER);
        a.transferFrom(holder, FRIEND, 25);
    }

    // ------------------------------------------------------------ helpers

    /// A call of its own, because `expectRevert` takes the next call for the one that must fail.
    function permitFromOutside(uint256 key, uint256 value, uint256 nonce, uint256 deadline) external {
        permit(key, value, nonce, deadline);
    }

    function permit(uint256 key, uint256 value, uint256 nonce, uint256 deadline) private {
        (uint8 v, bytes32 r, bytes32 s) = vm.sign(key, permitDigest(open, value, nonce, deadline));
        open.permit(holder, SPENDER, value, deadline, v, r, s);
    }

    function permitDigest(IToken token, uint256 value, uint256 nonce, uint256 deadline)
        private
        view
        returns (bytes32)
    {
        return Signatures.permitDigest("Points", address(token), holder, SPENDER, value, nonce, deadline);
    }
}
