// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {IPointsToken} from "sarraf/interfaces/IPointsToken.sol";
import {IToken} from "./IToken.sol";
import {vm} from "./Vm.sol";
import {World} from "./World.sol";

/// The ERC-20 side: what somebody who holds points at an address of their own may do with them.
contract PointsTokenHolderTest is World {
    /// Also the canonical address of a contract to which Solady's token would give every holder's points.
    address private constant PERMIT2 = 0x000000000022D473030F116dDEE9F6B43aC78BA3;
    address private constant FRIEND = address(0xF1);
    uint256 private constant KEY = 0xBEEF;

    IToken private open;

    function setUp() public override {
        super.setUp();
        open = newToken(address(0xAD99), true);
        give(open, 1, 100);
        give(a, 1, 100);
    }

    function test_transfer__open_program__moves_points() external {
        vm.prank(account(open, 1));
        open.transfer(FRIEND, 40);
        vm.assertEq(open.balanceOf(FRIEND), 40);
        vm.assertEq(balance(open, 1), 60);
    }

    function test_transfer__closed_program__reverts() external {
        vm.expectRevert(IPointsToken.TransfersClosed.selector);
        vm.prank(account(a, 1));
        a.transfer(FRIEND, 40);
    }

    function test_transfer__to_zero__reverts() external {
        vm.expectRevert(IPointsToken.ZeroAddress.selector);
        vm.prank(account(open, 1));
        open.transfer(address(0), 40);
    }

    function test_transferFrom__closed_program__reverts_in_spite_of_an_allowance() external {
        vm.prank(account(a, 1));
        a.approve(FRIEND, 40);
        vm.expectRevert(IPointsToken.TransfersClosed.selector);
        vm.prank(FRIEND);
        a.transferFrom(account(a, 1), FRIEND, 40);
    }

    function test_transferFrom__to_zero__reverts() external {
        vm.prank(account(open, 1));
        open.approve(FRIEND, 40);
        vm.expectRevert(IPointsToken.ZeroAddress.selector);
        vm.prank(FRIEND);
        open.transferFrom(account(open, 1), address(0), 40);
    }

    function test_allowance__permit2__is_zero_until_given() external {
        vm.assertEq(open.allowance(account(open, 1), PERMIT2), 0);
        vm.expectRevert(bytes4(keccak256("InsufficientAllowance()")));
        vm.prank(PERMIT2);
        open.transferFrom(account(open, 1), PERMIT2, 1);
    }

    function testFuzz_transferFrom__stranger_without_allowance__reverts(address caller, uint48 amount) external {
        vm.assume(amount != 0 && caller != address(0));
        vm.expectRevert(bytes4(keccak256("InsufficientAllowance()")));
        vm.prank(caller);
        open.transferFrom(account(open, 1), caller, amount);
    }

    function test_permit__signed_by_the_holder__gives_an_allowance() external {
        bytes32 structHash = keccak256(
            abi.encode(
                keccak256("Permit(address owner,address spender,uint256 value,uint256 nonce,uint256 deadline)"),
                vm.addr(KEY),
                FRIEND,
                25,
                0,
                START
            )
        );
        bytes32 domain = keccak256(
            abi.encode(
                keccak256("EIP712Domain(string name,string version,uint256 chainId,address verifyingContract)"),
                keccak256("Points"),
                keccak256("1"),
                block.chainid,
                address(open)
            )
        );
        vm.assertEq(open.DOMAIN_SEPARATOR(), domain);
        (uint8 v, bytes32 r, bytes32 s) = vm.sign(KEY, keccak256(abi.encodePacked("\x19\x01", domain, structHash)));
        open.permit(vm.addr(KEY), FRIEND, 25, START, v, r, s);
        vm.assertEq(open.allowance(vm.addr(KEY), FRIEND), 25);
    }
}
