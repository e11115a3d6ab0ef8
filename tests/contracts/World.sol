// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {IPointsExchange} from "sarraf/interfaces/IPointsExchange.sol";
import {IPointsToken} from "sarraf/interfaces/IPointsToken.sol";
import {IPowers} from "sarraf/interfaces/IPowers.sol";
import {IToken} from "./IToken.sol";
import {vm} from "./Vm.sol";

/// What most tests start from: one exchange and five admitted programs at the time `START`, each with an admin and a
/// guardian of its own, limits that are as wide as they can be, and no terms yet.
///
/// `expectRevert` takes the next call for the one that must fail. So a test that expects one calls the contract itself,
/// or uses a helper that makes that single call; those that read something first say so.
abstract contract World {
    uint8 internal constant EARN = 1;
    uint8 internal constant BONUS = 2;
    uint8 internal constant REDEMPTION = 17;
    uint8 internal constant FEE = 20;
    uint8 internal constant SWAP = 33;
    uint8 internal constant RELEASE = 49;
    uint8 internal constant BIND = 50;

    uint40 internal constant DELAY = 2 days;
    uint40 internal constant NOTICE = 7 days;
    uint40 internal constant LONGEST_QUOTE = 5 minutes;
    uint40 internal constant LONGEST_BATCH = 12 minutes;
    uint40 internal constant CAP_PERIOD = 1 days;
    /// How long an announced call stays possible after its delay.
    uint256 internal constant WINDOW = 14 days;

    uint64 internal constant FOREVER = type(uint64).max;
    uint256 internal constant START = 1_790_000_000;
    uint256 internal constant PROGRAMS = 5;
    /// The most that a word can carry, and the widest capacity, refill and cap.
    uint48 internal constant MOST = type(uint48).max;
    uint256 internal constant SUPPLY_MAX = type(uint56).max;
    /// The most that a program can be allowed to owe.
    uint120 internal constant WIDEST_CREDIT = uint120(type(int120).max);

    address internal constant EXCHANGE_ADMIN = address(0xE1);
    address internal constant OPERATOR = address(0xE2);
    address internal constant STANDBY_OPERATOR = address(0xE3);
    address internal constant ISSUER = address(0xA1);
    address internal constant STANDBY_ISSUER = address(0xA2);
    address internal constant STRANGER = address(0x5742);

    IPointsExchange internal exchange;
    IToken[] internal tokens;
    IToken internal a;
    IToken internal b;
    IToken internal c;

    /// Kept here so that the helpers below make one call only, the one that a test may expect to revert.
    mapping(IToken token => address) internal adminOf;
    mapping(IToken token => address) internal guardianOf;

    function setUp() public virtual {
        vm.warp(START - DELAY);
        exchange = newExchange(EXCHANGE_ADMIN, OPERATOR, STANDBY_OPERATOR, defaultTimes());
        for (uint256 i; i < PROGRAMS; ++i) {
            tokens.push(newToken(address(uint160(0xAD00 + i)), false));
            announce(EXCHANGE_ADMIN, exchange, admission(tokens[i], WIDEST_CREDIT));
        }
        vm.warp(START);
        for (uint256 i; i < PROGRAMS; ++i) make(EXCHANGE_ADMIN, exchange, admission(tokens[i], WIDEST_CREDIT));
        (a, b, c) = (tokens[0], tokens[1], tokens[2]);
    }

    // ------------------------------------------------------------ deploying

    /// A token of this exchange with the given admin, a guardian of its own and wide limits; not admitted.
    function newToken(address admin, bool transferable) internal returns (IToken) {
        IPointsToken.Setup memory setup = defaultSetup(admin);
        setup.transferable = transferable;
        return newToken(setup);
    }

    // Deployed by name, so that forge compiles the contracts with their own settings and the tests with quick ones.

    function newToken(IPointsToken.Setup memory setup) internal returns (IToken token) {
        token = IToken(vm.deployCode("PointsToken.sol:PointsToken", abi.encode(setup)));
        adminOf[token] = setup.admin;
        guardianOf[token] = setup.guardian;
    }

    function newExchange(address admin, address operator, address standby, IPointsExchange.Times memory times)
        internal
        returns (IPointsExchange)
    {
        bytes memory arguments = abi.encode(admin, operator, standby, times);
        return IPointsExchange(vm.deployCode("PointsExchange.sol:PointsExchange", arguments));
    }

    function defaultSetup(address admin) internal view returns (IPointsToken.Setup memory setup) {
        setup.name = "Points";
        setup.symbol = "PTS";
        setup.issuer = ISSUER;
        setup.standby = STANDBY_ISSUER;
        setup.guardian = address(uint160(admin) ^ 0x60000);
        setup.admin = admin;
        setup.exchange = address(exchange);
        setup.delay = DELAY;
        setup.issuance = IPointsToken.Bounds(MOST, MOST);
        setup.redemption = IPointsToken.Bounds(MOST, MOST);
        setup.release = IPointsToken.Bounds(MOST, MOST);
    }

    function defaultTimes() internal pure returns (IPointsExchange.Times memory) {
        return IPointsExchange.Times(DELAY, NOTICE, LONGEST_QUOTE, LONGEST_BATCH, CAP_PERIOD);
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

    function releaseWord(uint256 holder, uint48 amount) internal pure returns (bytes32) {
        return word(holder, RELEASE, amount);
    }

    /// The two words that bind a holder to a wallet; the zero address takes the binding away.
    function bindWords(uint256 holder, address wallet) internal pure returns (bytes32[] memory) {
        return list(word(holder, BIND, 0), bytes32(uint256(uint160(wallet))));
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

    function list(bytes32 one, bytes32 two, bytes32 three, bytes32 four)
        internal
        pure
        returns (bytes32[] memory words)
    {
        words = new bytes32[](4);
        (words[0], words[1], words[2], words[3]) = (one, two, three, four);
    }

    // ------------------------------------------------------------ powers

    /// Announces a call that `admin` will make of `target`.
    function announce(address admin, IPowers target, bytes memory call) internal {
        vm.prank(admin);
        target.announce(call);
    }

    /// The same, and waits until the call can be made.
    function announceAndWait(address admin, IPowers target, bytes memory call) internal {
        announce(admin, target, call);
        wait(target.delay());
    }

    /// Makes a call as `by`, with whatever revert it has.
    function make(address by, IPowers target, bytes memory call) internal {
        vm.prank(by);
        (bool done, bytes memory answer) = address(target).call(call);
        if (!done) {
            assembly ("memory-safe") {
                revert(add(answer, 0x20), mload(answer))
            }
        }
    }

    /// Announces a call, waits until it can be made, and makes it.
    function enact(address admin, IPowers target, bytes memory call) internal {
        announceAndWait(admin, target, call);
        make(admin, target, call);
    }

    function wait(uint256 time) internal {
        vm.warp(block.timestamp + time);
    }

    /// The call that admits a program and lets it owe up to `credit`.
    function admission(IToken token, uint120 credit) internal pure returns (bytes memory) {
        return abi.encodeCall(IPointsExchange.admit, (address(token), credit));
    }

    /// Admits a program as the exchange's admin would: announced, waited for and done.
    function admit(IToken token) internal {
        enact(EXCHANGE_ADMIN, exchange, admission(token, WIDEST_CREDIT));
    }

    // ------------------------------------------------------------ posting

    /// Posts `words` as the token's next batch. Reads the sequence first.
    function post(IToken token, bytes32[] memory words) internal {
        uint64 next = token.sequence() + 1;
        vm.prank(ISSUER);
        token.post(next, FOREVER, words);
    }

    /// Sees `words` refused, as the token's next batch, with exactly this error.
    function expectPostRefused(IToken token, bytes32[] memory words, bytes memory error_) internal {
        uint64 next = token.sequence() + 1;
        vm.expectRevert(error_);
        vm.prank(ISSUER);
        token.post(next, FOREVER, words);
    }

    function give(IToken token, uint256 holder, uint48 amount) internal {
        post(token, list(word(holder, EARN, amount)));
    }

    /// Binds a holder to a wallet and waits until releases reach it.
    function bind(IToken token, uint256 holder, address wallet) internal {
        post(token, bindWords(holder, wallet));
        wait(token.delay());
    }

    /// Binds a holder to a wallet, waits, gives points and releases them to it.
    function fund(IToken token, uint256 holder, address wallet, uint48 amount) internal {
        bind(token, holder, wallet);
        post(token, list(word(holder, EARN, amount), releaseWord(holder, amount)));
    }

    // ------------------------------------------------------------ terms

    /// Terms whose caps are as wide as they can be, open to wallets.
    function termsFor(uint48 fromUnits, uint48 toUnits, uint48 price)
        internal
        pure
        returns (IPointsExchange.Terms memory)
    {
        return IPointsExchange.Terms(fromUnits, toUnits, price, MOST, MOST);
    }

    /// Proposes by the source's admin, consents by the destination's and waits until the terms are in force.
    function agree(IToken from, IToken to, IPointsExchange.Terms memory terms) internal returns (uint32 version) {
        version = propose(from, to, terms);
        consent(from, to, version);
        (, uint64 effectiveAt) = exchange.latestAdopted(address(from), address(to));
        vm.warp(effectiveAt);
    }

    function agree(IToken from, IToken to, uint48 fromUnits, uint48 toUnits, uint48 price)
        internal
        returns (uint32 version)
    {
        return agree(from, to, termsFor(fromUnits, toUnits, price));
    }

    function propose(IToken from, IToken to, IPointsExchange.Terms memory terms) internal returns (uint32) {
        vm.prank(adminOf[from]);
        return exchange.propose(address(from), address(to), terms);
    }

    function propose(IToken from, IToken to, uint48 fromUnits, uint48 toUnits, uint48 price)
        internal
        returns (uint32)
    {
        return propose(from, to, termsFor(fromUnits, toUnits, price));
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

    // ------------------------------------------------------------ swaps

    /// The first `count` programs, in order.
    function pathOf(uint256 count) internal view returns (address[] memory path) {
        path = new address[](count);
        for (uint256 i; i < count; ++i) path[i] = address(tokens[i]);
    }

    function pathOf(IToken from, IToken to) internal pure returns (address[] memory path) {
        path = new address[](2);
        (path[0], path[1]) = (address(from), address(to));
    }

    /// `count` times version 1.
    function firstVersions(uint256 count) internal pure returns (uint32[] memory versions) {
        versions = new uint32[](count);
        for (uint256 i; i < count; ++i) versions[i] = 1;
    }

    /// The last second for which a batch that is sent now may be valid.
    function soon() internal view returns (uint64) {
        return uint64(block.timestamp + LONGEST_BATCH);
    }

    /// Settles `legs` as the next batch along the first `count` programs, at version 1 of each hop.
    function settle(uint256 count, bytes32[] memory legs) internal {
        settle(pathOf(count), legs);
    }

    /// Settles `legs` as the next batch along `path`, at version 1 of each hop. Reads the sequence first.
    function settle(address[] memory path, bytes32[] memory legs) internal {
        uint64 next = exchange.sequenceOf(exchange.pathId(path)) + 1;
        vm.prank(OPERATOR);
        exchange.settle(path, firstVersions(path.length - 1), next, soon(), legs);
    }
}
