// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {IToken} from "./IToken.sol";
import {vm} from "./Vm.sol";
import {World} from "./World.sol";

/// A world for tests of swaps: each program has terms with the next, 3 to 2, and there is a wallet whose key is known.
abstract contract ExchangeWorld is World {
    uint48 internal constant PRICE = 4_000;
    uint256 internal constant KEY = 0xA11CE;
    address internal wallet;

    function setUp() public virtual override {
        super.setUp();
        wallet = vm.addr(KEY);
        for (uint256 i; i + 1 < PROGRAMS; ++i) {
            propose(tokens[i], tokens[i + 1], 3, 2, PRICE);
            consent(tokens[i], tokens[i + 1], 1);
        }
        wait(DELAY);
    }

    /// Puts points straight into a wallet, as the last step of a swap does.
    function hold(IToken token, address holder, uint256 amount) internal {
        vm.prank(address(exchange));
        token.mintHeld(holder, amount);
    }

    function swap(address holder, address[] memory path, uint256 amountIn) internal returns (uint256) {
        vm.prank(holder);
        return exchange.swap(path, amountIn, 0, block.timestamp);
    }

    function expectSwapRefused(address[] memory path, uint256 amountIn, bytes memory error_) internal {
        vm.expectRevert(error_);
        vm.prank(wallet);
        exchange.swap(path, amountIn, 0, block.timestamp);
    }

    /// Sees the path's next batch refused with exactly this error.
    function expectSettleRefused(address[] memory path, bytes32[] memory legs, bytes memory error_) internal {
        expectSettleRefused(path, firstVersions(path.length - 1), legs, error_);
    }

    function expectSettleRefused(
        address[] memory path,
        uint32[] memory versions,
        bytes32[] memory legs,
        bytes memory error_
    ) internal {
        uint64 next = exchange.sequenceOf(exchange.pathId(path)) + 1;
        vm.expectRevert(error_);
        vm.prank(OPERATOR);
        exchange.settle(path, versions, next, soon(), legs);
    }

    function versionsOf(uint32 one) internal pure returns (uint32[] memory versions) {
        versions = new uint32[](1);
        versions[0] = one;
    }

    function expectPosition(IToken token, int256 expected) internal view {
        vm.assertEq(exchange.position(address(token)), expected);
    }

    function expectUsed(IToken from, IToken to, uint256 managed, uint256 held) internal view {
        (uint256 managedUsed, uint256 heldUsed) = exchange.usedOf(address(from), address(to));
        vm.assertEq(managedUsed, managed);
        vm.assertEq(heldUsed, held);
    }

    function sumOfPositions() internal view returns (int256 sum) {
        for (uint256 i; i < tokens.length; ++i) sum += exchange.position(address(tokens[i]));
    }
}
