// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

/// The cheat codes that halmos answers: those of forge that the proofs use, and its own.
interface Vm {
    function assertEq(address left, address right) external pure;
    function assertEq(bool left, bool right) external pure;
    function assertEq(bytes calldata left, bytes calldata right) external pure;
    function assertEq(int256 left, int256 right) external pure;
    function assertEq(uint256 left, uint256 right) external pure;
    function assertLe(uint256 left, uint256 right) external pure;
    function assertLt(uint256 left, uint256 right) external pure;
    function assume(bool condition) external pure;
    function prank(address sender) external;
    function warp(uint256 timestamp) external;
}

interface Svm {
    function createAddress(string calldata name) external returns (address);
    function createBytes32(string calldata name) external returns (bytes32);
    function createCalldata(string calldata contractName) external returns (bytes memory);
    function createUint(uint256 bits, string calldata name) external returns (uint256);
    function enableSymbolicStorage(address account) external;
}

Vm constant vm = Vm(address(uint160(uint256(keccak256("hevm cheat code")))));
Svm constant svm = Svm(address(uint160(uint256(keccak256("svm cheat code")))));
