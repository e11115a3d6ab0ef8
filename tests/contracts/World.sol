// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {IPointsExchange} from "sarraf/interfaces/IPointsExchange.sol";
import {IToken} from "./IToken.sol";
import {vm} from "./Vm.sol";

/// What most tests start from: one exchange and five admitted programs, each with an admin of its own, no terms yet.
abstract contract World {
    uint8 internal constant EARN = 1;
    uint8 internal constant BONUS = 2;
    uint8 internal constant REDEMPTION = 17;
    uint8 internal constant FEE = 20;
    uint8 internal constant SWAP = 33;

    uint64 internal constant NOTICE = 1 days;
    uint64 internal constant FOREVER = type(uint64).max;
    uint256 internal constant START = 1_790_000_000;
    uint256 internal constant PROGRAMS = 5;

    address internal constant EXCHANGE_ADMIN = address(0xE1);
    address internal constant OPERATOR = address(0xE2);
    address internal constant ISSUER = address(0xA1);
    address internal constant STRANGER = address(0x5742);

    IPointsExchange internal exchange;
    IToken[] internal tokens;
    IToken internal a;
    IToken internal b;
    IToken internal c;

    /// Kept here so that the helpers below make one call only, the one that a test may expect to revert.
    mapping(IToken token => address) internal adminOf;

    function setUp() public virtual {
        vm.warp(START);
        exchange = newExchange(EXCHANGE_ADMIN, OPERATOR);
        for (uint256 i; i < PROGRAMS; ++i) {
            tokens.push(newToken(address(uint160(0xAD00 + i)), false));
            vm.prank(EXCHANGE_ADMIN);
            exchange.admit(address(tokens[i]));
        }
        (a, b, c) = (tokens[0], tokens[1], tokens[2]);
    }

    function newToken(address admin, bool transferable) internal returns (IToken token) {
        token = newToken(ISSUER, admin, address(exchange), transferable);
        adminOf[token] = admin;
    }

    // Deployed by name, so that forge compiles the contracts with their own settings and the tests with quick ones.

    function newToken(address issuer, address admin, address exchange_, bool transferable) internal returns (IToken) {
        bytes memory arguments = abi.encode("Points", "PTS", issuer, admin, exchange_, transferable);
        return IToken(vm.deployCode("PointsToken.sol:PointsToken", arguments));
    }

    function newExchange(address admin, address operator) internal returns (IPointsExchange) {
        bytes memory arguments = abi.encode(admin, operator, NOTICE);
        return IPointsExchange(vm.deployCode("PointsExchange.sol:PointsExchange", arguments));
    }

    // ------------------------------------------------------------ words

    /// The reference of holder number `holder`.
    function referenceOf(uint256 holder) internal pure returns (bytes20) {
        return bytes20(keccak256(abi.encode("holder", holder)));
    }

    /// A word whose tag is all ones, so that a function that reads into the tag is found out.
    function word(uint256 holder, uint8 kind, uint48 amount) internal pure returns (bytes32) {
        return bytes32(abi.encodePacked(referenceOf(holder), kind, amount, bytes5(type(uint40).max)));
    }

    function balance(IToken token, uint256 holder) internal view returns (uint256) {
        return token.balanceOf(account(token, holder));
    }

    /// Derived here in plain words, so that the token's own derivation is tested by every test.
    function account(IToken token, uint256 holder) internal pure returns (address) {
        return address(uint160(uint256(keccak256(abi.encodePacked(address(token), referenceOf(holder))))));
    }

    function list(bytes32 one) internal pure returns (bytes32[] memory words) {
        words = new bytes32[](1);
        words[0] = one;
    }

    function list(bytes32 one, bytes32 two) internal pure returns (bytes32[] memory words) {
        words = new bytes32[](2);
        (words[0], words[1]) = (one, two);
    }

    function list(bytes32 one, bytes32 two, bytes32 three) internal pure returns (bytes32[] memory words) {
        words = new bytes32[](3);
        (words[0], words[1], words[2]) = (one, two, three);
    }

    // ------------------------------------------------------------ doing things as who may

    /// Posts `words` as the token's next batch.
    function post(IToken token, bytes32[] memory words) internal {
        uint64 next = token.sequence() + 1;
        vm.prank(ISSUER);
        token.post(next, FOREVER, words);
    }

    function give(IToken token, uint256 holder, uint48 amount) internal {
        post(token, list(word(holder, EARN, amount)));
    }

    /// Proposes by the source's admin and consents by the destination's.
    function agree(IToken from, IToken to, uint48 fromUnits, uint48 toUnits, uint64 price)
        internal
        returns (uint32 version)
    {
        version = propose(from, to, fromUnits, toUnits, price);
        consent(from, to, version);
    }

    function propose(IToken from, IToken to, uint48 fromUnits, uint48 toUnits, uint64 price)
        internal
        returns (uint32)
    {
        vm.prank(adminOf[from]);
        return exchange.propose(address(from), address(to), fromUnits, toUnits, price);
    }

    function consent(IToken from, IToken to, uint32 version) internal {
        vm.prank(adminOf[to]);
        exchange.consent(address(from), address(to), version);
    }

    function suspend(IToken from, IToken to, address by) internal {
        vm.prank(by);
        exchange.suspend(address(from), address(to));
    }

    function inForce(IToken from, IToken to) internal view returns (uint32) {
        return exchange.inForce(address(from), address(to));
    }

    /// The first `count` programs, in order.
    function pathOf(uint256 count) internal view returns (address[] memory path) {
        path = new address[](count);
        for (uint256 i; i < count; ++i) path[i] = address(tokens[i]);
    }

    /// `count` times version 1.
    function firstVersions(uint256 count) internal pure returns (uint32[] memory versions) {
        versions = new uint32[](count);
        for (uint256 i; i < count; ++i) versions[i] = 1;
    }

    /// Settles `legs` as the next batch along the first `count` programs, at version 1 of each hop.
    function settle(uint256 count, bytes32[] memory legs) internal {
        address[] memory path = pathOf(count);
        uint64 next = exchange.sequenceOf(exchange.pathId(path)) + 1;
        vm.prank(OPERATOR);
        exchange.settle(path, firstVersions(count - 1), next, FOREVER, legs);
    }
}
