// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {IPointsExchange} from "sarraf/interfaces/IPointsExchange.sol";
import {IPowers} from "sarraf/interfaces/IPowers.sol";
import {IToken} from "./IToken.sol";
import {vm} from "./Vm.sol";
import {World} from "./World.sol";

/// What the exchange's admin may do and how long everybody is warned before: deployment, admission, operator, handover.
contract ExchangePowersTest is World {
    IToken private fresh;

    function setUp() public override {
        super.setUp();
        fresh = newToken(STRANGER, false);
    }

    // ------------------------------------------------------------ deployment

    function test_constructor__good_arguments__are_what_the_views_say() external view {
        vm.assertEq(exchange.admin(), EXCHANGE_ADMIN);
        vm.assertEq(exchange.nominee(), address(0));
        vm.assertEq(exchange.operator(), OPERATOR);
        vm.assertEq(exchange.standby(), STANDBY_OPERATOR);
        vm.assertEq(exchange.delay(), DELAY);
        vm.assertEq(exchange.notice(), NOTICE);
        vm.assertEq(exchange.longestQuote(), LONGEST_QUOTE);
        vm.assertEq(exchange.longestBatch(), LONGEST_BATCH);
        vm.assertEq(exchange.capPeriod(), CAP_PERIOD);
    }

    function test_constructor__zero_admin_or_operator__reverts() external {
        vm.expectRevert(IPowers.ZeroAddress.selector);
        this.deploy(address(0), OPERATOR, STANDBY_OPERATOR, defaultTimes());
        vm.expectRevert(IPowers.ZeroAddress.selector);
        this.deploy(EXCHANGE_ADMIN, address(0), STANDBY_OPERATOR, defaultTimes());
    }

    function test_constructor__no_standby__deploys() external {
        vm.assertEq(newExchange(EXCHANGE_ADMIN, OPERATOR, address(0), defaultTimes()).standby(), address(0));
    }

    function test_constructor__standby_that_is_the_operator__reverts() external {
        vm.expectRevert(abi.encodeWithSelector(IPointsExchange.NoSuchStandby.selector, OPERATOR));
        this.deploy(EXCHANGE_ADMIN, OPERATOR, OPERATOR, defaultTimes());
    }

    function testFuzz_constructor__notice_below_quote_and_batch_or_delay__reverts(IPointsExchange.Times memory times)
        external
    {
        times.capPeriod = CAP_PERIOD;
        times.delay %= 365 days + 1;
        uint256 least = uint256(times.longestQuote) + times.longestBatch;
        if (times.delay > least) least = times.delay;
        if (times.notice < least) {
            vm.expectRevert(abi.encodeWithSelector(IPointsExchange.NoticeTooShort.selector, least, times.notice));
        }
        this.deploy(EXCHANGE_ADMIN, OPERATOR, STANDBY_OPERATOR, times);
    }

    function test_constructor__a_second_less_notice_than_quote_and_batch__reverts() external {
        IPointsExchange.Times memory times = defaultTimes();
        times.delay = 0;
        times.notice = LONGEST_QUOTE + LONGEST_BATCH;
        this.deploy(EXCHANGE_ADMIN, OPERATOR, STANDBY_OPERATOR, times);
        times.notice -= 1;
        vm.expectRevert(
            abi.encodeWithSelector(IPointsExchange.NoticeTooShort.selector, times.notice + 1, times.notice)
        );
        this.deploy(EXCHANGE_ADMIN, OPERATOR, STANDBY_OPERATOR, times);
    }

    function test_constructor__a_second_less_notice_than_delay__reverts() external {
        IPointsExchange.Times memory times = defaultTimes();
        times.notice = DELAY;
        this.deploy(EXCHANGE_ADMIN, OPERATOR, STANDBY_OPERATOR, times);
        times.notice -= 1;
        vm.expectRevert(abi.encodeWithSelector(IPointsExchange.NoticeTooShort.selector, DELAY, DELAY - 1));
        this.deploy(EXCHANGE_ADMIN, OPERATOR, STANDBY_OPERATOR, times);
    }

    function test_constructor__delay_above_a_year__reverts() external {
        IPointsExchange.Times memory times = defaultTimes();
        (times.delay, times.notice) = (365 days, 366 days);
        this.deploy(EXCHANGE_ADMIN, OPERATOR, STANDBY_OPERATOR, times);
        times.delay += 1;
        vm.expectRevert(abi.encodeWithSelector(IPowers.DelayTooLong.selector, 365 days, times.delay));
        this.deploy(EXCHANGE_ADMIN, OPERATOR, STANDBY_OPERATOR, times);
    }

    function test_constructor__cap_period_below_an_hour__reverts() external {
        IPointsExchange.Times memory times = defaultTimes();
        times.capPeriod = 1 hours;
        this.deploy(EXCHANGE_ADMIN, OPERATOR, STANDBY_OPERATOR, times);
        times.capPeriod -= 1;
        vm.expectRevert(
            abi.encodeWithSelector(IPointsExchange.PeriodTooShort.selector, 1 hours, times.capPeriod)
        );
        this.deploy(EXCHANGE_ADMIN, OPERATOR, STANDBY_OPERATOR, times);
    }

    /// A call of its own, because `expectRevert` takes the next call for the one that must fail.
    function deploy(address admin, address operator, address standby, IPointsExchange.Times memory times) external {
        newExchange(admin, operator, standby, times);
    }

    // ------------------------------------------------------------ admission

    function test_admit__announced_and_ripe__admits_with_the_announced_credit() external {
        bytes memory call = admission(fresh, 77);
        vm.expectEmit(address(exchange));
        emit IPowers.Announced(keccak256(call), call, START + DELAY, START + DELAY + WINDOW);
        announce(EXCHANGE_ADMIN, exchange, call);
        vm.assertEq(exchange.readyAt(keccak256(call)), START + DELAY);
        vm.assertEq(exchange.admitted(address(fresh)), false);

        vm.warp(START + DELAY);
        vm.expectEmit(address(exchange));
        emit IPowers.Closed(keccak256(call), true);
        vm.expectEmit(address(exchange));
        emit IPointsExchange.Admitted(address(fresh), 77);
        make(EXCHANGE_ADMIN, exchange, call);
        vm.assertEq(exchange.admitted(address(fresh)), true);
        vm.assertEq(exchange.creditLimit(address(fresh)), 77);
        vm.assertEq(exchange.position(address(fresh)), 0);
        vm.assertEq(exchange.readyAt(keccak256(call)), 0);
    }

    function test_admit__not_announced__reverts() external {
        expectNotAnnounced(admission(fresh, 77));
        make(EXCHANGE_ADMIN, exchange, admission(fresh, 77));
    }

    function testFuzz_admit__another_credit_than_announced__reverts(uint120 credit) external {
        vm.assume(credit != 77);
        announceAndWait(EXCHANGE_ADMIN, exchange, admission(fresh, 77));
        expectNotAnnounced(admission(fresh, credit));
        make(EXCHANGE_ADMIN, exchange, admission(fresh, credit));
    }

    function testFuzz_admit__before_the_delay_is_over__reverts(uint256 time) external {
        time %= DELAY;
        announce(EXCHANGE_ADMIN, exchange, admission(fresh, 77));
        vm.warp(START + time);
        vm.expectRevert(abi.encodeWithSelector(IPowers.TooEarly.selector, START + DELAY, START + time));
        make(EXCHANGE_ADMIN, exchange, admission(fresh, 77));
    }

    function test_admit__in_the_last_second_of_the_window__admits() external {
        announce(EXCHANGE_ADMIN, exchange, admission(fresh, 77));
        vm.warp(START + DELAY + WINDOW);
        make(EXCHANGE_ADMIN, exchange, admission(fresh, 77));
        vm.assertEq(exchange.admitted(address(fresh)), true);
    }

    function test_admit__after_the_window__reverts_until_announced_anew() external {
        announce(EXCHANGE_ADMIN, exchange, admission(fresh, 77));
        uint256 time = START + DELAY + WINDOW + 1;
        vm.warp(time);
        vm.expectRevert(abi.encodeWithSelector(IPowers.TooLate.selector, time - 1, time));
        make(EXCHANGE_ADMIN, exchange, admission(fresh, 77));
        enact(EXCHANGE_ADMIN, exchange, admission(fresh, 77));
        vm.assertEq(exchange.admitted(address(fresh)), true);
    }

    function test_admit__withdrawn__reverts() external {
        bytes memory call = admission(fresh, 77);
        announceAndWait(EXCHANGE_ADMIN, exchange, call);
        vm.prank(EXCHANGE_ADMIN);
        exchange.withdraw(call);
        expectNotAnnounced(call);
        make(EXCHANGE_ADMIN, exchange, call);
    }

    function testFuzz_admit__anybody_else__reverts(address caller) external {
        vm.assume(caller != EXCHANGE_ADMIN);
        announceAndWait(EXCHANGE_ADMIN, exchange, admission(fresh, 77));
        vm.expectRevert(abi.encodeWithSelector(IPowers.NotAdmin.selector, caller));
        make(caller, exchange, admission(fresh, 77));
    }

    function test_admit__twice__reverts_and_leaves_credit_as_it_was() external {
        announceAndWait(EXCHANGE_ADMIN, exchange, admission(a, 77));
        vm.expectRevert(abi.encodeWithSelector(IPointsExchange.AlreadyAdmitted.selector, address(a)));
        make(EXCHANGE_ADMIN, exchange, admission(a, 77));
        vm.assertEq(exchange.creditLimit(address(a)), WIDEST_CREDIT);
    }

    function test_admit__token_of_another_exchange__reverts() external {
        (IPointsExchange here, address other) = (exchange, address(0xE9));
        exchange = IPointsExchange(other);
        IToken token = newToken(STRANGER, false);
        exchange = here;
        announceAndWait(EXCHANGE_ADMIN, exchange, admission(token, 77));
        vm.expectRevert(abi.encodeWithSelector(IPointsExchange.WrongExchange.selector, address(token), other));
        make(EXCHANGE_ADMIN, exchange, admission(token, 77));
    }

    function test_admit__address_without_code__reverts() external {
        announceAndWait(EXCHANGE_ADMIN, exchange, admission(IToken(STRANGER), 77));
        vm.expectRevert();
        make(EXCHANGE_ADMIN, exchange, admission(IToken(STRANGER), 77));
    }

    // ------------------------------------------------------------ the operator

    function test_retireOperator__standby_named__takes_over_at_once() external {
        agree(a, b, 3, 2, 50);
        give(a, 1, 100);
        vm.expectEmit(address(exchange));
        emit IPointsExchange.OperatorChanged(STANDBY_OPERATOR);
        vm.expectEmit(address(exchange));
        emit IPointsExchange.StandbyChanged(address(0));
        vm.prank(EXCHANGE_ADMIN);
        exchange.retireOperator();
        vm.assertEq(exchange.operator(), STANDBY_OPERATOR);
        vm.assertEq(exchange.standby(), address(0));

        vm.expectRevert(abi.encodeWithSelector(IPointsExchange.NotOperator.selector, OPERATOR));
        settleAs(OPERATOR);
        settleAs(STANDBY_OPERATOR);
        vm.assertEq(balance(b, 1), 6);
    }

    function test_retireOperator__no_standby__leaves_nobody_to_settle() external {
        agree(a, b, 3, 2, 50);
        give(a, 1, 100);
        vm.prank(EXCHANGE_ADMIN);
        exchange.retireOperator();
        vm.prank(EXCHANGE_ADMIN);
        exchange.retireOperator();
        vm.assertEq(exchange.operator(), address(0));
        address[3] memory callers = [OPERATOR, STANDBY_OPERATOR, EXCHANGE_ADMIN];
        for (uint256 i; i < callers.length; ++i) {
            vm.expectRevert(abi.encodeWithSelector(IPointsExchange.NotOperator.selector, callers[i]));
            settleAs(callers[i]);
        }
    }

    function test_retireOperator__nobody_left__a_standby_named_later_takes_over() external {
        vm.prank(EXCHANGE_ADMIN);
        exchange.retireOperator();
        vm.prank(EXCHANGE_ADMIN);
        exchange.retireOperator();
        enact(EXCHANGE_ADMIN, exchange, abi.encodeCall(IPointsExchange.setStandby, (OPERATOR)));
        vm.prank(EXCHANGE_ADMIN);
        exchange.retireOperator();
        vm.assertEq(exchange.operator(), OPERATOR);
    }

    function testFuzz_retireOperator__anybody_else__reverts(address caller) external {
        vm.assume(caller != EXCHANGE_ADMIN);
        vm.expectRevert(abi.encodeWithSelector(IPowers.NotAdmin.selector, caller));
        vm.prank(caller);
        exchange.retireOperator();
    }

    function test_setStandby__announced_and_ripe__names_who_takes_over() external {
        bytes memory call = abi.encodeCall(IPointsExchange.setStandby, (STRANGER));
        announceAndWait(EXCHANGE_ADMIN, exchange, call);
        vm.expectEmit(address(exchange));
        emit IPointsExchange.StandbyChanged(STRANGER);
        make(EXCHANGE_ADMIN, exchange, call);
        vm.assertEq(exchange.standby(), STRANGER);
        vm.assertEq(exchange.operator(), OPERATOR);
    }

    function test_setStandby__not_announced_or_too_early__reverts() external {
        bytes memory call = abi.encodeCall(IPointsExchange.setStandby, (STRANGER));
        expectNotAnnounced(call);
        make(EXCHANGE_ADMIN, exchange, call);
        announce(EXCHANGE_ADMIN, exchange, call);
        vm.warp(START + DELAY - 1);
        vm.expectRevert(abi.encodeWithSelector(IPowers.TooEarly.selector, START + DELAY, START + DELAY - 1));
        make(EXCHANGE_ADMIN, exchange, call);
        vm.assertEq(exchange.standby(), STANDBY_OPERATOR);
    }

    /// Retiring the operator must never leave it in place.
    function test_setStandby__the_operator__reverts() external {
        bytes memory call = abi.encodeCall(IPointsExchange.setStandby, (OPERATOR));
        announceAndWait(EXCHANGE_ADMIN, exchange, call);
        vm.expectRevert(abi.encodeWithSelector(IPointsExchange.NoSuchStandby.selector, OPERATOR));
        make(EXCHANGE_ADMIN, exchange, call);
    }

    function test_setStandby__zero__takes_the_standby_away_at_once() external {
        vm.prank(EXCHANGE_ADMIN);
        exchange.setStandby(address(0));
        vm.assertEq(exchange.standby(), address(0));
        vm.prank(EXCHANGE_ADMIN);
        exchange.retireOperator();
        vm.prank(EXCHANGE_ADMIN);
        exchange.setStandby(address(0)); // nobody stands by for nobody
    }

    function testFuzz_setStandby__anybody_else__reverts(address caller, address next) external {
        vm.assume(caller != EXCHANGE_ADMIN);
        vm.expectRevert(abi.encodeWithSelector(IPowers.NotAdmin.selector, caller));
        vm.prank(caller);
        exchange.setStandby(next);
    }

    // ------------------------------------------------------------ handing over

    function test_accept__nominee__takes_over_and_the_old_admin_can_do_nothing() external {
        bytes memory call = abi.encodeCall(IPowers.nominate, (STRANGER));
        expectNotAnnounced(call);
        make(EXCHANGE_ADMIN, exchange, call);
        announceAndWait(EXCHANGE_ADMIN, exchange, call);
        vm.expectEmit(address(exchange));
        emit IPowers.Nominated(STRANGER);
        make(EXCHANGE_ADMIN, exchange, call);
        vm.assertEq(exchange.admin(), EXCHANGE_ADMIN);
        vm.assertEq(exchange.nominee(), STRANGER);

        vm.expectEmit(address(exchange));
        emit IPowers.AdminChanged(STRANGER);
        vm.prank(STRANGER);
        exchange.accept();
        vm.assertEq(exchange.admin(), STRANGER);
        vm.assertEq(exchange.nominee(), address(0));

        vm.expectRevert(abi.encodeWithSelector(IPowers.NotAdmin.selector, EXCHANGE_ADMIN));
        vm.prank(EXCHANGE_ADMIN);
        exchange.retireOperator();
        vm.prank(STRANGER);
        exchange.retireOperator();
        vm.assertEq(exchange.operator(), STANDBY_OPERATOR);
    }

    function testFuzz_accept__anybody_but_the_nominee__reverts(address caller) external {
        vm.assume(caller != STRANGER);
        enact(EXCHANGE_ADMIN, exchange, abi.encodeCall(IPowers.nominate, (STRANGER)));
        vm.expectRevert(abi.encodeWithSelector(IPowers.NotNominee.selector, caller));
        vm.prank(caller);
        exchange.accept();
    }

    function test_nominate__zero__takes_the_nomination_back_at_once() external {
        enact(EXCHANGE_ADMIN, exchange, abi.encodeCall(IPowers.nominate, (STRANGER)));
        vm.prank(EXCHANGE_ADMIN);
        exchange.nominate(address(0));
        vm.expectRevert(abi.encodeWithSelector(IPowers.NotNominee.selector, STRANGER));
        vm.prank(STRANGER);
        exchange.accept();
    }

    function testFuzz_nominate_announce_withdraw__anybody_else__revert(address caller, bytes calldata call) external {
        vm.assume(caller != EXCHANGE_ADMIN);
        bytes memory refusal = abi.encodeWithSelector(IPowers.NotAdmin.selector, caller);
        vm.expectRevert(refusal);
        vm.prank(caller);
        exchange.nominate(address(0));
        vm.expectRevert(refusal);
        vm.prank(caller);
        exchange.announce(call);
        vm.expectRevert(refusal);
        vm.prank(caller);
        exchange.withdraw(call);
    }

    function test_announce__twice__reverts_as_long_as_the_first_can_be_made() external {
        bytes memory call = admission(fresh, 77);
        announce(EXCHANGE_ADMIN, exchange, call);
        vm.warp(START + DELAY + WINDOW);
        vm.expectRevert(abi.encodeWithSelector(IPowers.AlreadyAnnounced.selector, keccak256(call), START + DELAY));
        announce(EXCHANGE_ADMIN, exchange, call);
    }

    // ------------------------------------------------------------ helpers

    function settleAs(address caller) private {
        vm.prank(caller);
        exchange.settle(pathOf(a, b), firstVersions(1), 1, soon(), list(word(1, SWAP, 10)));
    }

    function expectNotAnnounced(bytes memory call) private {
        vm.expectRevert(abi.encodeWithSelector(IPowers.NotAnnounced.selector, keccak256(call)));
    }
}
