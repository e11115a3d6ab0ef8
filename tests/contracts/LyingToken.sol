// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

/// A program that was admitted and says that it burned what it never had.
contract LyingToken {
    address public immutable exchange;
    address public immutable admin;

    constructor(address exchange_, address admin_) {
        exchange = exchange_;
        admin = admin_;
    }

    function burnLegs(bytes32[] calldata legs) external pure returns (uint256 burned, uint256[] memory skipped) {
        return (type(uint256).max, new uint256[]((legs.length + 255) / 256));
    }
}
