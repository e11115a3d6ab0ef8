// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {IPointsExchange} from "sarraf/interfaces/IPointsExchange.sol";
import {IPointsToken} from "sarraf/interfaces/IPointsToken.sol";
import {IPowers} from "sarraf/interfaces/IPowers.sol";
import {IToken} from "./IToken.sol";
import {LyingToken} from "./LyingToken.sol";
import {vm} from "./Vm.sol";
import {World} from "./World.sol";

/// What a thief of each key gets, played out to the last point.
///
/// The limits: issuance 10,000,000 points and 100 a second; redemption the same; release 1,000,000 and 10 a second;
/// each direction 10,000,000 managed and 1,000,000 wallet points a day; credit 10^12 micro-units; terms of 1 to 1, and
/// 10,000 micro-units for a point; delay 2 days, notice 7 days.
///
/// | stolen                          | the thief gets                                                                |
/// |---------------------------------|-------------------------------------------------------------------------------|
/// | issuer, for an hour             | 10,360,000 points into managed accounts, and as many burned                   |
/// | for 6 hours, 24 hours, 48 hours | 12,160,000; 18,640,000; 27,280,000                                            |
/// | into a wallet                   | nothing for 2 days; then 1,000,000 at once and 36,000 an hour, if the new     |
/// |                                 | binding stands until then                                                     |
/// | operator                        | nothing that leaves its owner; moves 10,000,000 points a day and direction    |
/// |                                 | into the same members' accounts elsewhere; at 6 to 1 and back at 1 to 4, such |
/// |                                 | a round costs the members 3,333,332 of 9,999,996 points                       |
/// | guardian                        | nothing; posting stands still for 2 days, directions for 7, and an emptied    |
/// |                                 | limit is full again 27 h 46 min 40 s after it is raised                       |
/// | program admin                   | nothing for 2 days; then any issuance of its own points, 2^48 - 1 a batch     |
/// | a whole program gone bad        | of each partner 11,000,000 points a day, 22,000,000 around midnight; of all   |
/// |                                 | partners together 100,000,000 points, which is its credit of 10^12 micro-     |
/// |                                 | units: on 10 days at one partner (8 days and a second at the least), on 5 at  |
/// |                                 | two; from each nothing more once that partner suspends                        |
/// | exchange admin                  | nothing for 2 days; then what the operator's thief gets; a program that it    |
/// |                                 | admits has no terms with anybody                                              |
/// | exchange admin and program      | the credit grows to any number after 2 days; the caps stay: 11,000,000 a day  |
/// | host of two programs, 6 hours   | 24,320,000 points in managed accounts, of which 20,000,000 may have become    |
/// |                                 | points of a partner elsewhere; nothing in wallets                             |
contract StolenKeysTest is World {
    uint48 private constant CAPACITY = 10_000_000;
    uint48 private constant REFILL = 100;
    uint48 private constant RELEASE_CAPACITY = 1_000_000;
    uint48 private constant RELEASE_REFILL = 10;
    uint48 private constant MANAGED_CAP = 10_000_000;
    uint48 private constant WALLET_CAP = 1_000_000;
    uint48 private constant PRICE = 10_000;
    uint120 private constant CREDIT = 10 ** 12;

    address private constant THIEF = address(0xBAD);
    address private constant MEMBERS_WALLET = address(0xFA);

    /// Members: the thief's own enrolment and an honest one.
    uint256 private constant THIEFS = 0;
    uint256 private constant HONEST = 1;

    /// Three programs with the limits above, terms in every direction, the first second of a day, and limits full.
    function setUp() public override {
        vm.warp(START);
        exchange = newExchange(EXCHANGE_ADMIN, OPERATOR, STANDBY_OPERATOR, defaultTimes());
        for (uint256 i; i < 3; ++i) {
            tokens.push(_program(address(uint160(0xAD00 + i))));
            enact(EXCHANGE_ADMIN, exchange, admission(tokens[i], CREDIT));
        }
        (a, b, c) = (tokens[0], tokens[1], tokens[2]);
        for (uint256 i; i < 3; ++i) {
            for (uint256 j; j < 3; ++j) if (i != j) agree(tokens[i], tokens[j], _terms(1, 1));
        }
        post(a, bindWords(HONEST, MEMBERS_WALLET));
        wait(DELAY);
        post(a, list(word(HONEST, EARN, 5_000), releaseWord(HONEST, 2_000)));
        _waitForMidnight();
        wait(CAP_PERIOD);
    }

    function _program(address admin) private returns (IToken) {
        IPointsToken.Setup memory setup = defaultSetup(admin);
        setup.issuance = IPointsToken.Bounds(CAPACITY, REFILL);
        setup.redemption = IPointsToken.Bounds(CAPACITY, REFILL);
        setup.release = IPointsToken.Bounds(RELEASE_CAPACITY, RELEASE_REFILL);
        return newToken(setup);
    }

    function _terms(uint48 fromUnits, uint48 toUnits) private pure returns (IPointsExchange.Terms memory) {
        return IPointsExchange.Terms(fromUnits, toUnits, PRICE, MANAGED_CAP, WALLET_CAP);
    }

    // ------------------------------------------------------------ issuer

    function test_issuer__stolen_for_hours__issues_what_the_bucket_holds_and_refills() external {
        uint256 before = a.totalSupply();
        _issueFor(a, 1);
        vm.assertEq(a.totalSupply() - before, 10_360_000);
        _issueFor(a, 5);
        vm.assertEq(a.totalSupply() - before, 12_160_000);
        _issueFor(a, 18);
        vm.assertEq(a.totalSupply() - before, 18_640_000);
        _issueFor(a, 24);
        vm.assertEq(a.totalSupply() - before, 27_280_000);
        vm.assertEq(balance(a, THIEFS), 27_280_000);
        _assertMemberUntouched();

        _pause(a);
        uint64 next = a.sequence() + 1;
        bytes memory call = abi.encodeCall(IPointsToken.post, (next, FOREVER, list(word(THIEFS, EARN, 1))));
        vm.assertEq(_assertRefused(ISSUER, address(a), call), abi.encodeWithSelector(IPointsToken.Paused.selector));
    }

    function test_issuer__stolen__burns_as_much_as_members_hold_within_the_bucket() external {
        for (uint256 i; i < 3; ++i) {
            post(a, list(word(HONEST, EARN, CAPACITY)));
            wait(uint256(CAPACITY) / REFILL);
        }
        uint256 before = balance(a, HONEST);
        for (uint256 hour; hour <= 6; ++hour) {
            if (hour != 0) wait(1 hours);
            _takeAll(a, HONEST, REDEMPTION, IPointsToken.Limit.Redemption);
        }
        vm.assertEq(before - balance(a, HONEST), 12_160_000);
        vm.assertEq(a.balanceOf(MEMBERS_WALLET), 2_000);
    }

    function test_issuer__retired_by_the_guardian__gives_way_to_the_standby_at_once() external {
        vm.prank(guardianOf[a]);
        a.retireIssuer();
        uint64 next = a.sequence() + 1;
        vm.expectRevert(abi.encodeWithSelector(IPointsToken.NotIssuer.selector, ISSUER));
        vm.prank(ISSUER);
        a.post(next, FOREVER, list(word(THIEFS, EARN, 1)));
        vm.prank(STANDBY_ISSUER);
        a.post(next, FOREVER, list(word(HONEST, EARN, 1)));
    }

    function test_issuer__stolen__reaches_a_wallet_after_the_delay_only_and_within_the_release_limit() external {
        post(a, list(word(THIEFS, EARN, CAPACITY)));
        post(a, bindWords(THIEFS, THIEF));
        post(a, bindWords(HONEST, THIEF)); // and the honest member's wallet is cut off from new releases
        wait(DELAY - 1);
        post(a, list(releaseWord(THIEFS, 1), releaseWord(HONEST, 1)));
        vm.assertEq(a.balanceOf(THIEF), 0);

        wait(1);
        _takeAll(a, THIEFS, RELEASE, IPointsToken.Limit.Release);
        vm.assertEq(a.balanceOf(THIEF), 1_000_000);
        wait(1 hours);
        _takeAll(a, THIEFS, RELEASE, IPointsToken.Limit.Release);
        vm.assertEq(a.balanceOf(THIEF), 1_036_000);
        vm.assertEq(a.balanceOf(MEMBERS_WALLET), 2_000);
    }

    function test_issuer__its_binding_taken_away_in_time__reaches_no_wallet() external {
        post(a, list(word(THIEFS, EARN, CAPACITY)));
        post(a, bindWords(THIEFS, THIEF));
        wait(DELAY - 1);
        vm.prank(guardianOf[a]);
        a.unbind(referenceOf(THIEFS));
        wait(10 * DELAY);
        post(a, list(releaseWord(THIEFS, 1)));
        vm.assertEq(a.balanceOf(THIEF), 0);
    }

    // ------------------------------------------------------------ operator

    function test_operator__stolen__moves_members_points_up_to_the_cap_into_their_own_accounts() external {
        _give(a, HONEST, 30_000_000);
        uint256 before = balance(a, HONEST);
        address[] memory path = pathOf(a, b);
        settle(path, list(word(HONEST, SWAP, MANAGED_CAP)));
        _assertOverCap(a, b, HONEST);
        vm.assertEq(balance(a, HONEST), before - 10_000_000);
        vm.assertEq(balance(b, HONEST), 10_000_000);

        wait(CAP_PERIOD);
        settle(path, list(word(HONEST, SWAP, MANAGED_CAP)));
        vm.assertEq(balance(b, HONEST), 20_000_000);
        vm.assertEq(balance(a, THIEFS) + balance(b, THIEFS), 0);
        vm.assertEq(a.balanceOf(MEMBERS_WALLET), 2_000);

        suspend(a, b, guardianOf[b]);
        uint64 next = exchange.sequenceOf(exchange.pathId(path)) + 1;
        vm.expectRevert(
            abi.encodeWithSelector(IPointsExchange.NotInForce.selector, address(a), address(b), uint32(1))
        );
        vm.prank(OPERATOR);
        exchange.settle(path, firstVersions(1), next, soon(), list(word(HONEST, SWAP, 1)));
    }

    /// Nobody gains by it: the programs owe each other what the members lost, and their books say whose it was.
    function test_operator__stolen__wears_members_points_down_by_the_spread() external {
        uint32 there = agree(a, b, _terms(6, 1));
        uint32 back = agree(b, a, _terms(1, 4));
        post(a, list(word(HONEST, EARN, 9_999_996)));
        uint256 before = balance(a, HONEST);
        _settleAt(pathOf(a, b), there, word(HONEST, SWAP, 9_999_996));
        _settleAt(pathOf(b, a), back, word(HONEST, SWAP, 1_666_666));
        vm.assertEq(before - balance(a, HONEST), 3_333_332);
        vm.assertEq(balance(a, THIEFS) + balance(b, THIEFS), 0);
    }

    function test_operator__retired_by_the_exchange_admin__gives_way_to_the_standby_at_once() external {
        vm.prank(EXCHANGE_ADMIN);
        exchange.retireOperator();
        vm.assertEq(exchange.operator(), STANDBY_OPERATOR);
        address[] memory path = pathOf(a, b);
        vm.expectRevert(abi.encodeWithSelector(IPointsExchange.NotOperator.selector, OPERATOR));
        vm.prank(OPERATOR);
        exchange.settle(path, firstVersions(1), 1, soon(), list(word(HONEST, SWAP, 1)));
    }

    // ------------------------------------------------------------ guardian

    function test_guardian__stolen__takes_nothing_and_gives_nobody_power() external {
        uint256 supply = a.totalSupply();
        _stopEverything();
        vm.assertEq(a.issuer(), address(0)); // the standby was retired as well
        _assertGuardianRefused(address(a), abi.encodeCall(IPointsToken.unpause, ()));
        _assertGuardianRefused(
            address(a), abi.encodeCall(IPointsToken.setLimit, (IPointsToken.Limit.Issuance, 1, 0))
        );
        _assertGuardianRefused(address(a), abi.encodeCall(IPointsToken.setStandby, (THIEF)));
        _assertGuardianRefused(address(a), abi.encodeCall(IPointsToken.setGuardian, (THIEF)));
        _assertGuardianRefused(address(a), abi.encodeCall(IPowers.nominate, (THIEF)));
        _assertGuardianRefused(address(a), abi.encodeCall(IPowers.announce, ("")));
        _assertGuardianRefused(
            address(exchange), abi.encodeCall(IPointsExchange.propose, (address(a), address(b), _terms(1, 9)))
        );
        _assertGuardianRefused(
            address(exchange), abi.encodeCall(IPointsExchange.requestCredit, (address(a), CREDIT))
        );
        _assertMemberUntouched();
        vm.assertEq(a.totalSupply(), supply);
        vm.prank(MEMBERS_WALLET); // whom no guardian can stop
        a.redeem(500, 1);
    }

    function test_guardian__stolen__the_admin_undoes_it_after_the_delay() external {
        _stopEverything();
        address newIssuer = address(0xA3);
        bytes[] memory calls = new bytes[](4);
        calls[0] = abi.encodeCall(IPointsToken.setGuardian, (address(0x61)));
        calls[1] = abi.encodeCall(IPointsToken.setStandby, (newIssuer));
        calls[2] = abi.encodeCall(IPointsToken.setLimit, (IPointsToken.Limit.Issuance, CAPACITY, REFILL));
        calls[3] = abi.encodeCall(IPointsToken.unpause, ());
        for (uint256 i; i < calls.length; ++i) announce(adminOf[a], a, calls[i]);
        uint32 version = propose(a, b, _terms(1, 1));
        consent(a, b, version);

        wait(DELAY);
        for (uint256 i; i < calls.length; ++i) make(adminOf[a], a, calls[i]);
        vm.prank(adminOf[a]);
        a.retireIssuer();
        vm.assertEq(a.issuer(), newIssuer);
        _assertAvailable(a, IPointsToken.Limit.Issuance, 0);
        wait(27 hours + 46 minutes + 39 seconds);
        _assertAvailable(a, IPointsToken.Limit.Issuance, CAPACITY - REFILL);
        wait(1);
        _assertAvailable(a, IPointsToken.Limit.Issuance, CAPACITY);

        vm.assertEq(uint256(inForce(a, b)), 0);
        vm.warp(block.timestamp + NOTICE - DELAY - uint256(CAPACITY) / REFILL);
        vm.assertEq(uint256(inForce(a, b)), version);
    }

    // ------------------------------------------------------------ program admin

    function test_program_admin__stolen__has_nothing_before_the_delay_and_any_issuance_after() external {
        bytes memory naming = abi.encodeCall(IPointsToken.setStandby, (THIEF));
        bytes memory raising = abi.encodeCall(IPointsToken.setLimit, (IPointsToken.Limit.Issuance, MOST, MOST));
        announce(adminOf[a], a, naming);
        announce(adminOf[a], a, raising);
        uint256 ready = block.timestamp + DELAY;
        wait(DELAY - 1);
        vm.expectRevert(abi.encodeWithSelector(IPowers.TooEarly.selector, ready, ready - 1));
        make(adminOf[a], a, naming);
        vm.expectRevert(abi.encodeWithSelector(IPowers.TooEarly.selector, ready, ready - 1));
        make(adminOf[a], a, raising);
        vm.assertEq(a.issuer(), ISSUER);

        wait(1);
        make(adminOf[a], a, naming);
        make(adminOf[a], a, raising);
        vm.prank(adminOf[a]);
        a.retireIssuer();
        _postAs(THIEF, a, word(THIEFS, EARN, CAPACITY));
        wait(1);
        _postAs(THIEF, a, word(THIEFS, EARN, MOST));
        vm.assertEq(balance(a, THIEFS), uint256(MOST) + CAPACITY);
        _assertMemberUntouched();
    }

    function test_program_admin__stolen__cannot_change_terms_alone() external {
        uint32 version = propose(a, b, _terms(1, 1_000));
        vm.expectRevert(abi.encodeWithSelector(IPointsExchange.NotProgramAdmin.selector, adminOf[a]));
        vm.prank(adminOf[a]);
        exchange.consent(address(a), address(b), version);
        wait(10 * NOTICE);
        vm.assertEq(uint256(inForce(a, b)), 1);
    }

    // ------------------------------------------------------------ a whole program gone bad

    function test_program_gone_bad__one_partner__takes_its_caps_a_day_until_its_credit_is_gone() external {
        LyingToken bad = _badProgram();
        uint256 supply = b.totalSupply();
        _agreeWithBad(bad, b);
        _waitForMidnight();
        wait(CAP_PERIOD - 1);
        uint256 begin = block.timestamp; // the last second of a day, when the caps come twice
        _swapAll(bad, b);
        vm.assertEq(b.totalSupply() - supply, 11_000_000);
        wait(1);
        _swapAll(bad, b);
        vm.assertEq(b.totalSupply() - supply, 22_000_000);
        for (; exchange.position(address(bad)) != -int256(uint256(CREDIT)); _swapAll(bad, b)) wait(CAP_PERIOD);
        vm.assertEq(block.timestamp - begin, 8 days + 1 seconds);
        vm.assertEq(b.totalSupply() - supply, 100_000_000);
        vm.assertEq(exchange.position(address(b)), int256(10 ** 12));
        wait(CAP_PERIOD);
        _assertNoMore(bad, b);
    }

    function test_program_gone_bad__two_partners__takes_its_credit_once() external {
        LyingToken bad = _badProgram();
        uint256 supply = b.totalSupply() + c.totalSupply();
        _agreeWithBad(bad, b);
        _agreeWithBad(bad, c);
        _waitForMidnight();
        uint256 day;
        for (; exchange.position(address(bad)) != -int256(uint256(CREDIT)); ++day) {
            _swapAll(bad, b);
            _swapAll(bad, c);
            wait(CAP_PERIOD);
        }
        vm.assertEq(day, 5);
        vm.assertEq(b.totalSupply() + c.totalSupply() - supply, 100_000_000);
        _assertNoMore(bad, b);
        _assertNoMore(bad, c);
    }

    function test_program_gone_bad__suspended_by_its_partner__takes_no_more() external {
        LyingToken bad = _badProgram();
        _agreeWithBad(bad, b);
        suspend(IToken(address(bad)), b, guardianOf[b]);
        _assertNoMore(bad, b);
        vm.assertEq(exchange.position(address(bad)), 0);
    }

    // ------------------------------------------------------------ exchange admin

    function test_exchange_admin__stolen__stops_swaps_at_once_and_no_more() external {
        vm.prank(EXCHANGE_ADMIN);
        exchange.retireOperator();
        vm.prank(EXCHANGE_ADMIN);
        exchange.retireOperator();
        vm.assertEq(exchange.operator(), address(0));

        _assertRefused(EXCHANGE_ADMIN, address(exchange), admission(_program(THIEF), CREDIT));
        _assertRefused(EXCHANGE_ADMIN, address(exchange), abi.encodeCall(IPointsExchange.setStandby, (THIEF)));
        _assertRefused(
            EXCHANGE_ADMIN, address(exchange), abi.encodeCall(IPointsExchange.lowerCredit, (address(a), 0))
        );
        _assertRefused(EXCHANGE_ADMIN, address(exchange), _suspension());
        _assertRefused(
            EXCHANGE_ADMIN,
            address(exchange),
            abi.encodeCall(IPointsExchange.propose, (address(a), address(b), _terms(1, 9)))
        );
        _assertRefused(EXCHANGE_ADMIN, address(a), abi.encodeCall(IPointsToken.mintHeld, (THIEF, 1)));
        _assertRefused(EXCHANGE_ADMIN, address(a), abi.encodeCall(IPointsToken.pause, ()));
        _assertRefused(EXCHANGE_ADMIN, address(a), abi.encodeCall(IPointsToken.retireIssuer, ()));
        _assertMemberUntouched();
    }

    function test_exchange_admin__stolen__after_the_delay_is_an_operator_with_a_program_without_terms() external {
        _give(a, HONEST, 20_000_000);
        bytes memory naming = abi.encodeCall(IPointsExchange.setStandby, (THIEF));
        bytes memory credit = abi.encodeCall(IPointsExchange.grantCredit, (address(a), WIDEST_CREDIT));
        LyingToken bad = new LyingToken(address(exchange), THIEF);
        bytes memory admission_ = admission(IToken(address(bad)), WIDEST_CREDIT);
        announce(EXCHANGE_ADMIN, exchange, naming);
        announce(EXCHANGE_ADMIN, exchange, credit);
        announceAndWait(EXCHANGE_ADMIN, exchange, admission_);
        make(EXCHANGE_ADMIN, exchange, naming);
        make(EXCHANGE_ADMIN, exchange, admission_);
        vm.prank(EXCHANGE_ADMIN);
        exchange.retireOperator();
        _assertRefused(EXCHANGE_ADMIN, address(exchange), credit); // the program never asked

        _assertNoTerms(bad);
        vm.prank(THIEF);
        exchange.settle(pathOf(a, b), firstVersions(1), 1, soon(), list(word(HONEST, SWAP, MANAGED_CAP)));
        vm.assertEq(balance(b, HONEST), 10_000_000);
        vm.assertEq(balance(b, THIEFS), 0);
    }

    function test_exchange_admin__stolen_with_a_program__still_leaves_the_caps() external {
        LyingToken bad = _badProgram();
        _agreeWithBad(bad, b);
        vm.prank(THIEF);
        exchange.requestCredit(address(bad), WIDEST_CREDIT);
        enact(
            EXCHANGE_ADMIN,
            exchange,
            abi.encodeCall(IPointsExchange.grantCredit, (address(bad), WIDEST_CREDIT))
        );
        uint256 supply = b.totalSupply();
        _waitForMidnight();
        for (uint256 day; day < 20; ++day) {
            _swapAll(bad, b);
            wait(CAP_PERIOD);
        }
        vm.assertEq(b.totalSupply() - supply, 20 * 11_000_000);
    }

    // ------------------------------------------------------------ host

    function test_host__stolen_with_the_hot_keys_of_two_programs__is_the_sum() external {
        uint256 elsewhere = c.totalSupply();
        post(a, bindWords(THIEFS, THIEF));
        for (uint256 hour; hour <= 6; ++hour) {
            if (hour != 0) wait(1 hours);
            _takeAll(a, THIEFS, EARN, IPointsToken.Limit.Issuance);
            _takeAll(b, THIEFS, EARN, IPointsToken.Limit.Issuance);
        }
        settle(pathOf(a, c), list(word(THIEFS, SWAP, MANAGED_CAP)));
        settle(pathOf(b, c), list(word(THIEFS, SWAP, MANAGED_CAP)));
        _assertOverCap(a, c, THIEFS);
        _assertOverCap(b, c, THIEFS);
        post(a, list(releaseWord(THIEFS, 1)));

        vm.assertEq(balance(a, THIEFS) + balance(b, THIEFS) + balance(c, THIEFS), 2 * 12_160_000);
        vm.assertEq(c.totalSupply() - elsewhere, 20_000_000);
        vm.assertEq(exchange.position(address(c)), int256(20_000_000) * int256(uint256(PRICE)));
        vm.assertEq(a.balanceOf(THIEF) + b.balanceOf(THIEF) + c.balanceOf(THIEF), 0);
        _assertMemberUntouched();
    }

    // ------------------------------------------------------------ thieves' hands

    /// Takes all that a limit lets through, and not a point more.
    function _takeAll(IToken token, uint256 member, uint8 kind, IPointsToken.Limit limit) private {
        (,, uint256 available) = token.limitOf(limit);
        if (available != 0) post(token, list(word(member, kind, uint48(available))));
        uint64 next = token.sequence() + 1;
        bytes32[] memory one = list(word(member, kind, 1));
        vm.expectRevert(abi.encodeWithSelector(IPointsToken.OverLimit.selector, limit, 1, 0));
        vm.prank(ISSUER);
        token.post(next, FOREVER, one);
    }

    /// Issues whatever can be issued, at once and then every hour.
    function _issueFor(IToken token, uint256 hours_) private {
        _takeAll(token, THIEFS, EARN, IPointsToken.Limit.Issuance);
        for (; hours_ != 0; --hours_) {
            wait(1 hours);
            _takeAll(token, THIEFS, EARN, IPointsToken.Limit.Issuance);
        }
    }

    function _postAs(address by, IToken token, bytes32 one) private {
        uint64 next = token.sequence() + 1;
        vm.prank(by);
        token.post(next, FOREVER, list(one));
    }

    function _settleAt(address[] memory path, uint32 version, bytes32 leg) private {
        uint32[] memory versions = new uint32[](1);
        versions[0] = version;
        uint64 next = exchange.sequenceOf(exchange.pathId(path)) + 1;
        vm.prank(OPERATOR);
        exchange.settle(path, versions, next, soon(), list(leg));
    }

    /// All that a guardian can do to `a`.
    function _stopEverything() private {
        address guardian = guardianOf[a];
        _pause(a);
        for (uint256 i; i < 3; ++i) {
            vm.prank(guardian);
            a.setLimit(IPointsToken.Limit(i), 0, 0);
        }
        for (uint256 i; i < 2; ++i) {
            vm.prank(guardian);
            a.retireIssuer();
        }
        vm.prank(guardian);
        a.unbind(referenceOf(HONEST));
        suspend(a, b, guardian);
        vm.prank(guardian);
        exchange.lowerCaps(address(a), address(c), 1, 0, 0);
        vm.prank(guardian);
        exchange.lowerCredit(address(a), 0);
    }

    /// A program whose contract burns nothing and says it did; its admin and guardian are the thief.
    function _badProgram() private returns (LyingToken bad) {
        bad = new LyingToken(address(exchange), THIEF);
        enact(EXCHANGE_ADMIN, exchange, admission(IToken(address(bad)), CREDIT));
    }

    function _agreeWithBad(LyingToken bad, IToken partner) private {
        vm.prank(THIEF);
        uint32 version = exchange.propose(address(bad), address(partner), _terms(1, 1));
        consent(IToken(address(bad)), partner, version);
        wait(DELAY);
    }

    /// Swaps what caps and credit let through: the operator settles what the program's members seem to want, and the
    /// thief swaps from a wallet.
    function _swapAll(LyingToken bad, IToken partner) private {
        (uint256 managed, uint256 wallet) = exchange.usedOf(address(bad), address(partner));
        uint256 amount = _least(MANAGED_CAP - managed, _creditLeft(bad));
        if (amount != 0) settle(pathOf(IToken(address(bad)), partner), list(word(THIEFS, SWAP, uint48(amount))));
        amount = _least(WALLET_CAP - wallet, _creditLeft(bad));
        if (amount != 0) _swapAsThief(bad, partner, amount);
        _assertNoMore(bad, partner);
    }

    function _swapAsThief(LyingToken bad, IToken partner, uint256 amount) private {
        vm.prank(THIEF);
        exchange.swap(pathOf(IToken(address(bad)), partner), amount, amount, block.timestamp);
    }

    /// In points.
    function _creditLeft(LyingToken bad) private view returns (uint256) {
        int256 left = exchange.position(address(bad)) + int256(exchange.creditLimit(address(bad)));
        return uint256(left) / PRICE;
    }

    function _least(uint256 left, uint256 right) private pure returns (uint256) {
        return left < right ? left : right;
    }

    function _give(IToken token, uint256 member, uint256 points) private {
        for (; points != 0; points -= CAPACITY) {
            post(token, list(word(member, EARN, CAPACITY)));
            wait(uint256(CAPACITY) / REFILL);
        }
        _waitForMidnight();
    }

    function _pause(IToken token) private {
        vm.prank(guardianOf[token]);
        token.pause();
    }

    function _waitForMidnight() private {
        vm.warp((block.timestamp / CAP_PERIOD + 1) * CAP_PERIOD);
    }

    // ------------------------------------------------------------ what must not have happened

    function _assertMemberUntouched() private view {
        vm.assertEq(balance(a, HONEST), 3_000);
        vm.assertEq(a.balanceOf(MEMBERS_WALLET), 2_000);
    }

    function _assertAvailable(IToken token, IPointsToken.Limit limit, uint256 expected) private view {
        (,, uint256 available) = token.limitOf(limit);
        vm.assertEq(available, expected);
    }

    function _assertOverCap(IToken from, IToken to, uint256 member) private {
        uint64 next = exchange.sequenceOf(exchange.pathId(pathOf(from, to))) + 1;
        bytes memory call = abi.encodeCall(
            IPointsExchange.settle,
            (pathOf(from, to), firstVersions(1), next, soon(), list(word(member, SWAP, 1)))
        );
        bytes memory reason = _assertRefused(OPERATOR, address(exchange), call);
        vm.assertEq(
            reason,
            abi.encodeWithSelector(
                IPointsExchange.OverCap.selector, address(from), address(to), false, MANAGED_CAP, MANAGED_CAP, 1
            )
        );
    }

    /// Neither the operator nor the thief gets one more point out of the bad program.
    function _assertNoMore(LyingToken bad, IToken partner) private {
        address[] memory path = pathOf(IToken(address(bad)), partner);
        uint64 next = exchange.sequenceOf(exchange.pathId(path)) + 1;
        bytes32[] memory legs = list(word(THIEFS, SWAP, 1));
        _assertRefused(
            OPERATOR,
            address(exchange),
            abi.encodeCall(IPointsExchange.settle, (path, firstVersions(1), next, soon(), legs))
        );
        bytes memory call = abi.encodeCall(IPointsExchange.swap, (path, 1, 1, block.timestamp));
        _assertRefused(THIEF, address(exchange), call);
    }

    function _assertNoTerms(LyingToken bad) private {
        for (uint256 i; i < tokens.length; ++i) {
            address[] memory path = pathOf(IToken(address(bad)), tokens[i]);
            bytes memory call = abi.encodeCall(IPointsExchange.swap, (path, 1, 1, block.timestamp));
            _assertRefused(THIEF, address(exchange), call);
        }
    }

    function _assertGuardianRefused(address target, bytes memory call) private {
        _assertRefused(guardianOf[a], target, call);
    }

    function _assertRefused(address by, address target, bytes memory call) private returns (bytes memory reason) {
        bool done;
        vm.prank(by);
        (done, reason) = target.call(call);
        vm.assertFalse(done);
    }

    function _suspension() private view returns (bytes memory) {
        return abi.encodeCall(IPointsExchange.suspend, (address(a), address(b)));
    }
}
