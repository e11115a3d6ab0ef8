// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {IPointsExchange} from "sarraf/interfaces/IPointsExchange.sol";
import {IPowers} from "sarraf/interfaces/IPowers.sol";
import {POSITION_MAX, ProgramAccount} from "sarraf/libraries/ProgramAccount.sol";
import {ExchangeWorld} from "./ExchangeWorld.sol";
import {IToken} from "./IToken.sol";
import {vm} from "./Vm.sol";

/// What programs owe each other, and how much each may owe.
contract ExchangeCreditTest is ExchangeWorld {
    int256 private constant WORTH = int256(uint256(PRICE));

    // ------------------------------------------------------------ positions

    /// Each hop moves what arrives times the price, from the hop's source to its destination: in plain signed sums.
    function testFuzz_positions__one_to_four_hops__are_the_plain_sums_and_sum_to_zero(uint256 seed, bool held)
        external
    {
        uint256 hops = 1 + seed % 4;
        uint256 amount = 1_000_000 + (seed >> 8) % 1_000_000;
        int256[] memory expected = new int256[](PROGRAMS);
        uint32[] memory versions = new uint32[](hops);
        uint256 moving = amount;
        for (uint256 i; i < hops; ++i) {
            uint256 dice = uint256(keccak256(abi.encode(seed, i)));
            (uint48 fromUnits, uint48 toUnits) = (uint48(1 + dice % 9), uint48(1 + (dice >> 64) % 9));
            uint48 price = uint48(dice >> 128);
            versions[i] = agree(tokens[i], tokens[i + 1], fromUnits, toUnits, price);
            moving = moving * toUnits / fromUnits;
            expected[i] -= int256(moving * price);
            expected[i + 1] += int256(moving * price);
        }

        move(pathOf(hops + 1), versions, uint48(amount), held);
        for (uint256 i; i < PROGRAMS; ++i) expectPosition(tokens[i], expected[i]);
        vm.assertEq(sumOfPositions(), 0);
        IToken last = tokens[hops];
        vm.assertEq(held ? last.balanceOf(wallet) : balance(last, 1), moving);
    }

    function move(address[] memory path, uint32[] memory versions, uint48 amount, bool held) private {
        if (held) {
            hold(IToken(path[0]), wallet, amount);
            swap(wallet, path, amount);
        } else {
            give(IToken(path[0]), 1, amount);
            vm.prank(OPERATOR);
            exchange.settle(path, versions, 1, soon(), list(word(1, SWAP, amount)));
        }
    }

    function test_positions__batches_and_swaps_there_and_back__add_up() external {
        agree(b, a, 1, 1, 7_000);
        give(a, 1, 300);
        hold(b, wallet, 50);
        settle(2, list(word(1, SWAP, 300)));
        settle(pathOf(b, a), list(word(1, SWAP, 20)));
        vm.expectEmit(address(exchange));
        emit IPointsExchange.PositionMoved(address(b), -50 * 7_000, 200 * WORTH - 70 * 7_000);
        vm.expectEmit(address(exchange));
        emit IPointsExchange.PositionMoved(address(a), 50 * 7_000, 70 * 7_000 - 200 * WORTH);
        swap(wallet, pathOf(b, a), 50);
        expectPosition(a, 70 * 7_000 - 200 * WORTH);
        expectPosition(b, 200 * WORTH - 70 * 7_000);
    }

    // ------------------------------------------------------------ the limit

    function testFuzz_settle__any_limit__lets_a_program_owe_it_and_no_more(uint120 limit) external {
        limit %= 1_000_000;
        lower(a, limit);
        give(a, 1, 3_000_000);
        uint256 points = limit / PRICE; // what the source may let arrive; 3 points give 2
        if (points > 1) {
            settle(2, list(word(1, SWAP, uint48(points / 2 * 3))));
            vm.assertTrue(exchange.position(address(a)) >= -int256(uint256(limit)));
        }
        int256 position = exchange.position(address(a));
        expectSettleRefused(
            pathOf(2), list(word(1, SWAP, 6)), overCredit(a, position - 4 * WORTH, limit)
        );
    }

    function test_settle__exactly_the_limit__settles_and_not_a_micro_unit_more() external {
        give(a, 1, 100);
        lower(a, uint120(66 * PRICE - 1));
        expectSettleRefused(pathOf(2), list(word(1, SWAP, 100)), overCredit(a, -66 * WORTH, 66 * PRICE - 1));

        lower(b, 0);
        grant(a, uint120(66 * PRICE));
        settle(2, list(word(1, SWAP, 100)));
        expectPosition(a, -66 * WORTH);
    }

    function test_swap__exactly_the_limit__swaps_and_not_a_micro_unit_more() external {
        hold(a, wallet, 100);
        lower(a, uint120(66 * PRICE - 1));
        expectSwapRefused(pathOf(2), 100, overCredit(a, -66 * WORTH, 66 * PRICE - 1));
        grant(a, uint120(66 * PRICE));
        swap(wallet, pathOf(2), 100);
        expectPosition(a, -66 * WORTH);
    }

    function test_settle__and_swap__share_one_limit() external {
        give(a, 1, 100);
        hold(a, wallet, 100);
        lower(a, uint120(100 * PRICE));
        swap(wallet, pathOf(2), 100);
        expectSettleRefused(pathOf(2), list(word(1, SWAP, 100)), overCredit(a, -132 * WORTH, 100 * PRICE));
    }

    /// A program in between owes the difference when what leaves it is worth more than what arrives.
    function test_settle__program_in_between__is_held_to_its_limit_for_the_difference() external {
        agree(b, c, 1, 1, 5 * PRICE);
        give(a, 1, 3);
        lower(b, uint120(8 * PRICE - 1));
        uint32[] memory versions = firstVersions(2);
        versions[1] = 2;
        expectSettleRefused(
            pathOf(3), versions, list(word(1, SWAP, 3)), overCredit(b, (2 - 10) * WORTH, 8 * PRICE - 1)
        );
        grant(b, uint120(8 * PRICE));
        vm.prank(OPERATOR);
        exchange.settle(pathOf(3), versions, 1, soon(), list(word(1, SWAP, 3)));
        expectPosition(b, -8 * WORTH);
    }

    /// What it is owed already counts against what it comes to owe.
    function test_settle__program_that_is_owed__may_spend_that_and_its_limit() external {
        agree(b, a, 1, 1, PRICE);
        lower(b, uint120(10 * PRICE));
        give(a, 1, 30);
        give(b, 2, 100);
        settle(2, list(word(1, SWAP, 30)));
        expectPosition(b, 20 * WORTH);
        settle(pathOf(b, a), list(word(2, SWAP, 30)));
        expectPosition(b, -10 * WORTH);
        expectSettleRefused(pathOf(b, a), list(word(2, SWAP, 1)), overCredit(b, -11 * WORTH, 10 * PRICE));
    }

    function test_settle__limit_of_zero__may_not_owe_a_micro_unit() external {
        agree(a, b, 1, 1, 1);
        give(a, 1, 1);
        lower(a, 0);
        expectSettleRefused(pathOf(2), versionsOf(2), list(word(1, SWAP, 1)), overCredit(a, -1, 0));
    }

    // ------------------------------------------------------------ beyond a lowered limit

    function test_settle__beyond_its_lowered_limit__may_owe_less_but_not_more() external {
        agree(b, a, 1, 1, PRICE);
        give(a, 1, 200);
        settle(2, list(word(1, SWAP, 150)));
        expectPosition(a, -100 * WORTH);
        lower(a, uint120(40 * PRICE));
        expectPosition(a, -100 * WORTH);

        expectSettleRefused(pathOf(2), list(word(1, SWAP, 3)), overCredit(a, -102 * WORTH, 40 * PRICE));
        settle(pathOf(b, a), list(word(1, SWAP, 50)));
        expectPosition(a, -50 * WORTH); // still beyond it
        expectSettleRefused(pathOf(2), list(word(1, SWAP, 3)), overCredit(a, -52 * WORTH, 40 * PRICE));
        settle(pathOf(b, a), list(word(1, SWAP, 12)));
        settle(2, list(word(1, SWAP, 3)));
        expectPosition(a, -40 * WORTH);
    }

    function test_swap__beyond_its_lowered_limit__may_owe_less_but_not_more() external {
        agree(b, a, 1, 1, PRICE);
        hold(a, wallet, 200);
        swap(wallet, pathOf(2), 150);
        lower(a, 0);
        expectSwapRefused(pathOf(2), 3, overCredit(a, -102 * WORTH, 0));
        swap(wallet, pathOf(b, a), 40);
        expectPosition(a, -60 * WORTH);
    }

    function test_settle__beyond_its_lowered_limit__lets_through_what_costs_it_nothing() external {
        give(a, 1, 200);
        settle(2, list(word(1, SWAP, 150)));
        uint32 version = agree(a, b, 1, 1, 0);
        lower(a, 0);
        vm.prank(OPERATOR);
        exchange.settle(pathOf(2), versionsOf(version), 2, soon(), list(word(1, SWAP, 50)));
        expectPosition(a, -100 * WORTH);
        vm.assertEq(balance(b, 1), 150);
    }

    /// In between, what counts is the difference of the two hops.
    function test_settle__beyond_its_lowered_limit__may_be_passed_through_at_a_gain() external {
        give(b, 1, 30);
        give(a, 1, 300);
        settle(pathOf(b, c), list(word(1, SWAP, 30)));
        lower(b, 0);
        expectPosition(b, -20 * WORTH);
        settle(3, list(word(1, SWAP, 9))); // 9 -> 6 -> 4
        expectPosition(b, -18 * WORTH);
    }

    // ------------------------------------------------------------ the edge of what can be counted

    function test_settle__position_at_the_edge__reaches_it_and_not_a_micro_unit_more() external {
        agree(a, b, 1, 1, 1);
        give(a, 1, 101);
        setPosition(b, int256(POSITION_MAX) - 100);
        expectSettleRefused(
            pathOf(2),
            versionsOf(2),
            list(word(1, SWAP, 101)),
            abi.encodeWithSelector(IPointsExchange.NumberTooLarge.selector, POSITION_MAX, POSITION_MAX + 1)
        );
        vm.prank(OPERATOR);
        exchange.settle(pathOf(2), versionsOf(2), 1, soon(), list(word(1, SWAP, 100)));
        expectPosition(b, int256(POSITION_MAX));
    }

    function test_settle__debt_at_the_edge__reaches_it_and_not_a_micro_unit_more() external {
        agree(a, b, 1, 1, 1);
        give(a, 1, 101);
        setPosition(a, 100 - int256(POSITION_MAX));
        expectSettleRefused(
            pathOf(2),
            versionsOf(2),
            list(word(1, SWAP, 101)),
            overCredit(a, -int256(POSITION_MAX) - 1, POSITION_MAX)
        );
        vm.prank(OPERATOR);
        exchange.settle(pathOf(2), versionsOf(2), 1, soon(), list(word(1, SWAP, 100)));
        expectPosition(a, -int256(POSITION_MAX));
    }

    function setPosition(IToken token, int256 position) private {
        vm.record();
        exchange.position(address(token));
        (bytes32[] memory reads,) = vm.accesses(address(exchange));
        ProgramAccount account = ProgramAccount.wrap(uint256(vm.load(address(exchange), reads[0])));
        bytes32 changed = bytes32(ProgramAccount.unwrap(account.withPosition(position)));
        vm.store(address(exchange), reads[0], changed);
        vm.assertEq(exchange.position(address(token)), position);
    }

    function test_admit__credit_above_what_can_be_counted__reverts() external {
        IToken token = newToken(STRANGER, false);
        expectTooLargeToAdmit(token, WIDEST_CREDIT + 1);
        expectTooLargeToAdmit(token, type(uint120).max);
        enact(EXCHANGE_ADMIN, exchange, admission(token, WIDEST_CREDIT));
        vm.assertEq(exchange.creditLimit(address(token)), POSITION_MAX);
    }

    function expectTooLargeToAdmit(IToken token, uint120 credit) private {
        announceAndWait(EXCHANGE_ADMIN, exchange, admission(token, credit));
        expectTooLarge(credit);
        make(EXCHANGE_ADMIN, exchange, admission(token, credit));
    }

    function test_grantCredit__above_what_can_be_counted__reverts() external {
        request(a, WIDEST_CREDIT + 1);
        announceAndWait(EXCHANGE_ADMIN, exchange, grantCall(a, WIDEST_CREDIT + 1));
        expectTooLarge(POSITION_MAX + 1);
        make(EXCHANGE_ADMIN, exchange, grantCall(a, WIDEST_CREDIT + 1));
        lower(a, 0);
        grant(a, WIDEST_CREDIT);
        vm.assertEq(exchange.creditLimit(address(a)), POSITION_MAX);
    }

    // ------------------------------------------------------------ asking and granting

    function test_requestCredit__programs_admin__is_noted_and_changes_nothing_else() external {
        vm.expectEmit(address(exchange));
        emit IPointsExchange.CreditRequested(address(a), 500);
        request(a, 500);
        vm.assertEq(exchange.creditRequested(address(a)), 500);
        vm.assertEq(exchange.creditLimit(address(a)), POSITION_MAX);
    }

    function testFuzz_requestCredit__anybody_else__reverts(address caller) external {
        vm.assume(caller != adminOf[a]);
        vm.expectRevert(abi.encodeWithSelector(IPointsExchange.NotProgramAdmin.selector, caller));
        vm.prank(caller);
        exchange.requestCredit(address(a), 500);
    }

    function test_requestCredit__guardian_and_exchange_admin__revert() external {
        address[2] memory callers = [guardianOf[a], EXCHANGE_ADMIN];
        for (uint256 i; i < callers.length; ++i) {
            vm.expectRevert(abi.encodeWithSelector(IPointsExchange.NotProgramAdmin.selector, callers[i]));
            vm.prank(callers[i]);
            exchange.requestCredit(address(a), 500);
        }
    }

    function test_grantCredit__asked_for_and_announced__raises_the_limit_once() external {
        lower(a, 100);
        request(a, 500);
        announceAndWait(EXCHANGE_ADMIN, exchange, grantCall(a, 500));
        vm.expectEmit(address(exchange));
        emit IPointsExchange.CreditChanged(address(a), 500);
        make(EXCHANGE_ADMIN, exchange, grantCall(a, 500));
        vm.assertEq(exchange.creditLimit(address(a)), 500);
        vm.assertEq(exchange.creditRequested(address(a)), 0);

        lower(a, 100);
        announceAndWait(EXCHANGE_ADMIN, exchange, grantCall(a, 500));
        expectNotRequested(a, 0, 500);
        make(EXCHANGE_ADMIN, exchange, grantCall(a, 500));
    }

    function test_grantCredit__not_announced_or_too_early__reverts() external {
        request(a, 500);
        vm.expectRevert(abi.encodeWithSelector(IPowers.NotAnnounced.selector, keccak256(grantCall(a, 500))));
        make(EXCHANGE_ADMIN, exchange, grantCall(a, 500));
        announce(EXCHANGE_ADMIN, exchange, grantCall(a, 500));
        uint256 ready = block.timestamp + DELAY;
        vm.warp(ready - 1);
        vm.expectRevert(abi.encodeWithSelector(IPowers.TooEarly.selector, ready, ready - 1));
        make(EXCHANGE_ADMIN, exchange, grantCall(a, 500));
    }

    function testFuzz_grantCredit__another_number_than_asked_for__reverts(uint120 asked, uint120 given) external {
        vm.assume(asked != given);
        request(a, asked);
        announceAndWait(EXCHANGE_ADMIN, exchange, grantCall(a, given));
        expectNotRequested(a, asked, given);
        make(EXCHANGE_ADMIN, exchange, grantCall(a, given));
    }

    function test_grantCredit__asked_for_something_else_since__reverts() external {
        request(a, 500);
        announceAndWait(EXCHANGE_ADMIN, exchange, grantCall(a, 500));
        request(a, 400);
        expectNotRequested(a, 400, 500);
        make(EXCHANGE_ADMIN, exchange, grantCall(a, 500));
    }

    /// Nobody but the program takes its credit away.
    function test_grantCredit__zero_that_nobody_asked_for__reverts() external {
        announceAndWait(EXCHANGE_ADMIN, exchange, grantCall(a, 0));
        expectNotRequested(a, 0, 0);
        make(EXCHANGE_ADMIN, exchange, grantCall(a, 0));
    }

    function testFuzz_grantCredit__anybody_else__reverts(address caller) external {
        vm.assume(caller != EXCHANGE_ADMIN);
        request(a, 500);
        announceAndWait(EXCHANGE_ADMIN, exchange, grantCall(a, 500));
        vm.expectRevert(abi.encodeWithSelector(IPowers.NotAdmin.selector, caller));
        make(caller, exchange, grantCall(a, 500));
    }

    // ------------------------------------------------------------ lowering

    function test_lowerCredit__admin_or_guardian__lowers_at_once() external {
        vm.expectEmit(address(exchange));
        emit IPointsExchange.CreditChanged(address(a), 500);
        vm.prank(adminOf[a]);
        exchange.lowerCredit(address(a), 500);
        vm.prank(guardianOf[a]);
        exchange.lowerCredit(address(a), 499);
        vm.assertEq(exchange.creditLimit(address(a)), 499);
    }

    /// Else a grant that was announced before an emergency would undo what was done in it.
    function test_lowerCredit__while_a_grant_is_announced__voids_what_was_asked_for() external {
        request(a, 500);
        announceAndWait(EXCHANGE_ADMIN, exchange, grantCall(a, 500));
        vm.prank(guardianOf[a]);
        exchange.lowerCredit(address(a), 100);
        expectNotRequested(a, 0, 500);
        make(EXCHANGE_ADMIN, exchange, grantCall(a, 500));
        vm.assertEq(exchange.creditLimit(address(a)), 100);
    }

    function testFuzz_lowerCredit__any_two_numbers__never_raises(uint120 current, uint120 given) external {
        current %= WIDEST_CREDIT;
        lower(a, current);
        if (given > current) {
            vm.expectRevert(abi.encodeWithSelector(IPointsExchange.NotLower.selector, current, given));
        }
        lower(a, given);
        vm.assertEq(exchange.creditLimit(address(a)), given > current ? current : given);
    }

    function testFuzz_lowerCredit__anybody_else__reverts(address caller) external {
        vm.assume(caller != adminOf[a] && caller != guardianOf[a]);
        vm.expectRevert(abi.encodeWithSelector(IPointsExchange.NotProgramAdmin.selector, caller));
        vm.prank(caller);
        exchange.lowerCredit(address(a), 0);
    }

    function test_lowerCredit__partner_exchange_admin_and_operator__revert() external {
        address[3] memory callers = [adminOf[b], EXCHANGE_ADMIN, OPERATOR];
        for (uint256 i; i < callers.length; ++i) {
            vm.expectRevert(abi.encodeWithSelector(IPointsExchange.NotProgramAdmin.selector, callers[i]));
            vm.prank(callers[i]);
            exchange.lowerCredit(address(a), 0);
        }
    }

    function test_credit__program_not_admitted__reverts() external {
        IToken token = newToken(STRANGER, false);
        bytes memory refusal = abi.encodeWithSelector(IPointsExchange.NotAdmitted.selector, address(token));
        vm.expectRevert(refusal);
        request(token, 500);
        vm.expectRevert(refusal);
        lower(token, 0);
        announceAndWait(EXCHANGE_ADMIN, exchange, grantCall(token, 500));
        vm.expectRevert(refusal);
        make(EXCHANGE_ADMIN, exchange, grantCall(token, 500));
    }

    // ------------------------------------------------------------ helpers

    function request(IToken token, uint120 limit) private {
        vm.prank(adminOf[token]);
        exchange.requestCredit(address(token), limit);
    }

    function lower(IToken token, uint120 limit) private {
        vm.prank(adminOf[token]);
        exchange.lowerCredit(address(token), limit);
    }

    function grantCall(IToken token, uint120 limit) private pure returns (bytes memory) {
        return abi.encodeCall(IPointsExchange.grantCredit, (address(token), limit));
    }

    function grant(IToken token, uint120 limit) private {
        request(token, limit);
        enact(EXCHANGE_ADMIN, exchange, grantCall(token, limit));
    }

    function overCredit(IToken token, int256 position, uint256 limit) private pure returns (bytes memory) {
        return abi.encodeWithSelector(IPointsExchange.OverCredit.selector, address(token), position, limit);
    }

    function expectNotRequested(IToken token, uint256 requested, uint256 given) private {
        vm.expectRevert(
            abi.encodeWithSelector(IPointsExchange.NotRequested.selector, address(token), requested, given)
        );
    }

    function expectTooLarge(uint256 given) private {
        vm.expectRevert(abi.encodeWithSelector(IPointsExchange.NumberTooLarge.selector, POSITION_MAX, given));
    }
}
