// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {IPointsToken} from "sarraf/interfaces/IPointsToken.sol";
import {IPowers} from "sarraf/interfaces/IPowers.sol";
import {IToken} from "./IToken.sol";
import {vm} from "./Vm.sol";
import {World} from "./World.sol";

/// Who may change what at a token: announcing, the admin's succession, guardian, standby issuer and pause.
contract TokenPowersTest is World {
    address private constant NEXT = address(0xBB);
    address private constant WALLET = address(0xF1);

    IToken private token;
    address private admin;
    address private guardian;

    function setUp() public override {
        super.setUp();
        IPointsToken.Setup memory setup = defaultSetup(address(0xAD99));
        setup.transferable = true;
        setup.issuance = setup.redemption = setup.release = IPointsToken.Bounds(1_000, 10);
        token = newToken(setup);
        (admin, guardian) = (setup.admin, setup.guardian);
    }

    /// Every call that gives power: only the admin may make them, and only announced.
    function announcedCalls() private pure returns (bytes[] memory calls) {
        calls = new bytes[](7);
        calls[0] = abi.encodeCall(IPowers.nominate, (NEXT));
        calls[1] = abi.encodeCall(IPointsToken.unpause, ());
        calls[2] = abi.encodeCall(IPointsToken.setStandby, (NEXT));
        calls[3] = abi.encodeCall(IPointsToken.setGuardian, (NEXT));
        for (uint8 i; i < 3; ++i) {
            calls[4 + i] = abi.encodeCall(IPointsToken.setLimit, (IPointsToken.Limit(i), 1_001, 10));
        }
    }

    // ------------------------------------------------------------ announcing

    function test_announce__any_call__is_public_with_its_times() external {
        bytes memory call = abi.encodeCall(IPointsToken.setGuardian, (NEXT));
        bytes32 id = keccak256(call);
        vm.assertEq(token.readyAt(id), 0);
        vm.expectEmit(address(token));
        emit IPowers.Announced(id, call, START + DELAY, START + DELAY + WINDOW);
        announce(admin, token, call);
        vm.assertEq(token.readyAt(id), START + DELAY);
    }

    function testFuzz_announce__anybody_else__reverts(address caller, bytes calldata call) external {
        vm.assume(caller != admin);
        bytes memory notAdmin = abi.encodeWithSelector(IPowers.NotAdmin.selector, caller);
        vm.expectRevert(notAdmin);
        vm.prank(caller);
        token.announce(call);
        vm.prank(admin);
        token.announce(call);
        vm.expectRevert(notAdmin);
        vm.prank(caller);
        token.withdraw(call);
    }

    function test_announced__not_announced__reverts() external {
        bytes[] memory calls = announcedCalls();
        for (uint256 i; i < calls.length; ++i) expectNotAnnounced(calls[i]);
    }

    function test_announced__another_argument_than_announced__reverts() external {
        announceAndWait(admin, token, abi.encodeCall(IPointsToken.setGuardian, (NEXT)));
        expectNotAnnounced(abi.encodeCall(IPointsToken.setGuardian, (STRANGER)));
    }

    function test_announced__same_call_with_bytes_behind_it__is_another_call() external {
        bytes memory call = abi.encodeCall(IPointsToken.setGuardian, (NEXT));
        announceAndWait(admin, token, call);
        expectNotAnnounced(bytes.concat(call, hex"00"));
    }

    function test_announced__at_another_token__reverts() external {
        IToken sibling = newToken(admin, true);
        bytes memory call = abi.encodeCall(IPointsToken.setGuardian, (NEXT));
        announceAndWait(admin, sibling, call);
        expectNotAnnounced(call);
    }

    function test_announced__a_second_too_early__reverts_with_both_times() external {
        bytes[] memory calls = announcedCalls();
        for (uint256 i; i < calls.length; ++i) {
            uint256 ready = block.timestamp + DELAY;
            announce(admin, token, calls[i]);
            expectTooEarly(calls[i], ready);
            vm.warp(ready - 1);
            expectTooEarly(calls[i], ready);
        }
    }

    function test_announced__in_its_first_and_last_second__is_made() external {
        bytes[] memory calls = announcedCalls();
        for (uint256 i; i < calls.length; ++i) {
            bytes memory call = calls[i];
            announceAndWait(admin, token, call);
            vm.expectEmit(address(token));
            emit IPowers.Closed(keccak256(call), true);
            make(admin, token, call);
            vm.assertEq(token.readyAt(keccak256(call)), 0);

            // A limit that was raised to a number is not raised by the same number again.
            if (i >= 4) call = abi.encodeCall(IPointsToken.setLimit, (IPointsToken.Limit(uint8(i - 4)), 1_002, 10));
            announceAndWait(admin, token, call);
            wait(WINDOW);
            make(admin, token, call);
            vm.assertEq(token.readyAt(keccak256(call)), 0);
        }
    }

    function test_announced__a_second_after_its_window__reverts_with_both_times() external {
        bytes[] memory calls = announcedCalls();
        for (uint256 i; i < calls.length; ++i) {
            uint256 until = block.timestamp + DELAY + WINDOW;
            announce(admin, token, calls[i]);
            vm.warp(until + 1);
            vm.expectRevert(abi.encodeWithSelector(IPowers.TooLate.selector, until, until + 1));
            make(admin, token, calls[i]);
        }
    }

    function test_announced__made_once__must_be_announced_again() external {
        bytes memory call = abi.encodeCall(IPointsToken.setGuardian, (NEXT));
        enact(admin, token, call);
        expectNotAnnounced(call);
        enact(admin, token, call);
    }

    function testFuzz_announced__any_time__is_made_in_the_window_only(uint64 time) external {
        bytes memory call = abi.encodeCall(IPointsToken.setGuardian, (NEXT));
        announce(admin, token, call);
        uint256 ready = START + DELAY;
        uint256 now_ = START + time % (2 * (DELAY + WINDOW));
        vm.warp(now_);
        if (now_ < ready) vm.expectRevert(abi.encodeWithSelector(IPowers.TooEarly.selector, ready, now_));
        if (now_ > ready + WINDOW) {
            vm.expectRevert(abi.encodeWithSelector(IPowers.TooLate.selector, ready + WINDOW, now_));
        }
        make(admin, token, call);
        vm.assertEq(token.guardian(), now_ >= ready && now_ <= ready + WINDOW ? NEXT : guardian);
    }

    function test_announced__by_anybody_but_the_admin__reverts_in_spite_of_the_announcement() external {
        bytes[] memory calls = announcedCalls();
        for (uint256 i; i < calls.length; ++i) announce(admin, token, calls[i]);
        wait(DELAY);
        for (uint256 i; i < calls.length; ++i) {
            vm.expectRevert(abi.encodeWithSelector(IPowers.NotAdmin.selector, guardian));
            make(guardian, token, calls[i]);
            // A limit's change may also be a lowering, so strangers are told that they are no guardian.
            bytes4 error_ = i < 4 ? IPowers.NotAdmin.selector : IPointsToken.NotGuardian.selector;
            vm.expectRevert(abi.encodeWithSelector(error_, ISSUER));
            make(ISSUER, token, calls[i]);
        }
    }

    function test_announce__while_announced__reverts_with_its_time() external {
        bytes memory call = abi.encodeCall(IPointsToken.setGuardian, (NEXT));
        announce(admin, token, call);
        bytes memory already =
            abi.encodeWithSelector(IPowers.AlreadyAnnounced.selector, keccak256(call), START + DELAY);
        vm.expectRevert(already);
        announce(admin, token, call);
        vm.warp(START + DELAY + WINDOW);
        vm.expectRevert(already);
        announce(admin, token, call);
    }

    function test_announce__after_its_window__begins_anew() external {
        bytes memory call = abi.encodeCall(IPointsToken.setGuardian, (NEXT));
        announce(admin, token, call);
        uint256 late = START + DELAY + WINDOW + 1;
        vm.warp(late);
        announce(admin, token, call);
        vm.assertEq(token.readyAt(keccak256(call)), late + DELAY);
        expectTooEarly(call, late + DELAY);
        wait(DELAY);
        make(admin, token, call);
        vm.assertEq(token.guardian(), NEXT);
    }

    function test_withdraw__announced__cannot_be_made_until_announced_again() external {
        bytes memory call = abi.encodeCall(IPointsToken.setGuardian, (NEXT));
        announceAndWait(admin, token, call);
        vm.expectEmit(address(token));
        emit IPowers.Closed(keccak256(call), false);
        vm.prank(admin);
        token.withdraw(call);
        expectNotAnnounced(call);
        enact(admin, token, call);
        vm.assertEq(token.guardian(), NEXT);
    }

    function testFuzz_withdraw__not_announced__reverts(bytes calldata call) external {
        vm.expectRevert(abi.encodeWithSelector(IPowers.NotAnnounced.selector, keccak256(call)));
        vm.prank(admin);
        token.withdraw(call);
    }

    function test_announced__no_delay__still_needs_the_announcement() external {
        IPointsToken.Setup memory setup = defaultSetup(admin);
        setup.delay = 0;
        token = newToken(setup);
        bytes memory call = abi.encodeCall(IPointsToken.setGuardian, (NEXT));
        expectNotAnnounced(call);
        announce(admin, token, call);
        make(admin, token, call);
        vm.assertEq(token.guardian(), NEXT);
    }

    // ------------------------------------------------------------ the admin's succession

    function test_nominate__announced__names_and_changes_nothing_else() external {
        bytes memory call = abi.encodeCall(IPowers.nominate, (NEXT));
        announceAndWait(admin, token, call);
        vm.expectEmit(address(token));
        emit IPowers.Nominated(NEXT);
        make(admin, token, call);
        vm.assertEq(token.nominee(), NEXT);
        vm.assertEq(token.admin(), admin);
        vm.expectRevert(abi.encodeWithSelector(IPowers.NotAdmin.selector, NEXT));
        announce(NEXT, token, call);
    }

    function test_accept__nominee__has_the_powers_and_the_predecessor_has_none() external {
        enact(admin, token, abi.encodeCall(IPowers.nominate, (NEXT)));
        vm.expectEmit(address(token));
        emit IPowers.AdminChanged(NEXT);
        vm.prank(NEXT);
        token.accept();
        vm.assertEq(token.admin(), NEXT);
        vm.assertEq(token.nominee(), address(0));

        bytes memory call = abi.encodeCall(IPointsToken.setGuardian, (STRANGER));
        vm.expectRevert(abi.encodeWithSelector(IPowers.NotAdmin.selector, admin));
        announce(admin, token, call);
        vm.expectRevert(abi.encodeWithSelector(IPointsToken.NotGuardian.selector, admin));
        make(admin, token, abi.encodeCall(IPointsToken.pause, ()));
        enact(NEXT, token, call);
        vm.assertEq(token.guardian(), STRANGER);
    }

    function testFuzz_accept__anybody_else__reverts(address caller) external {
        enact(admin, token, abi.encodeCall(IPowers.nominate, (NEXT)));
        vm.assume(caller != NEXT);
        vm.expectRevert(abi.encodeWithSelector(IPowers.NotNominee.selector, caller));
        vm.prank(caller);
        token.accept();
    }

    function testFuzz_accept__nobody_nominated__reverts(address caller) external {
        vm.assume(caller != address(0)); // who cannot send a transaction
        vm.expectRevert(abi.encodeWithSelector(IPowers.NotNominee.selector, caller));
        vm.prank(caller);
        token.accept();
    }

    function test_accept__twice__reverts() external {
        enact(admin, token, abi.encodeCall(IPowers.nominate, (NEXT)));
        vm.prank(NEXT);
        token.accept();
        vm.expectRevert(abi.encodeWithSelector(IPowers.NotNominee.selector, NEXT));
        vm.prank(NEXT);
        token.accept();
    }

    function test_nominate__zero__takes_the_nomination_back_at_once() external {
        enact(admin, token, abi.encodeCall(IPowers.nominate, (NEXT)));
        vm.expectEmit(address(token));
        emit IPowers.Nominated(address(0));
        vm.prank(admin);
        token.nominate(address(0));
        vm.assertEq(token.nominee(), address(0));
        vm.expectRevert(abi.encodeWithSelector(IPowers.NotNominee.selector, NEXT));
        vm.prank(NEXT);
        token.accept();
    }

    function testFuzz_nominate__anybody_else__reverts(address caller, address next) external {
        vm.assume(caller != admin);
        vm.expectRevert(abi.encodeWithSelector(IPowers.NotAdmin.selector, caller));
        vm.prank(caller);
        token.nominate(next);
    }

    // ------------------------------------------------------------ the issuer's succession

    function test_retireIssuer__guardian_or_admin__makes_the_standby_the_issuer_at_once() external {
        address[2] memory callers = [guardian, admin];
        for (uint256 i; i < 2; ++i) {
            token = newToken(admin, false);
            guardian = guardianOf[token];
            if (i == 0) callers[0] = guardian;
            vm.expectEmit(address(token));
            emit IPointsToken.IssuerChanged(STANDBY_ISSUER);
            vm.expectEmit(address(token));
            emit IPointsToken.StandbyChanged(address(0));
            vm.prank(callers[i]);
            token.retireIssuer();
            vm.assertEq(token.issuer(), STANDBY_ISSUER);
            vm.assertEq(token.standby(), address(0));
            expectNotIssuer(ISSUER);
            vm.prank(STANDBY_ISSUER);
            token.post(1, FOREVER, list(word(1, EARN, 1)));
            vm.assertEq(balance(token, 1), 1);
        }
    }

    function test_retireIssuer__the_successor__has_what_is_left_of_the_limits_and_no_more() external {
        give(token, 1, 900);
        vm.prank(guardian);
        token.retireIssuer();
        vm.expectRevert(
            abi.encodeWithSelector(IPointsToken.OverLimit.selector, IPointsToken.Limit.Issuance, 101, 100)
        );
        vm.prank(STANDBY_ISSUER);
        token.post(2, FOREVER, list(word(1, EARN, 101)));
    }

    function test_retireIssuer__without_a_standby__leaves_nobody_who_can_post() external {
        vm.prank(guardian);
        token.retireIssuer();
        vm.prank(guardian);
        token.retireIssuer();
        vm.assertEq(token.issuer(), address(0));
        expectNotIssuer(ISSUER);
        expectNotIssuer(STANDBY_ISSUER);
        expectNotIssuer(guardian);
        expectNotIssuer(admin);
    }

    function test_retireIssuer__after_nobody_was_left__lets_a_new_standby_in() external {
        vm.prank(guardian);
        token.retireIssuer();
        vm.prank(guardian);
        token.retireIssuer();
        enact(admin, token, abi.encodeCall(IPointsToken.setStandby, (NEXT)));
        expectNotIssuer(NEXT);
        vm.prank(guardian);
        token.retireIssuer();
        vm.prank(NEXT);
        token.post(1, FOREVER, list(word(1, EARN, 1)));
    }

    function testFuzz_retireIssuer__anybody_else__reverts(address caller) external {
        vm.assume(caller != admin && caller != guardian);
        vm.expectRevert(abi.encodeWithSelector(IPointsToken.NotGuardian.selector, caller));
        vm.prank(caller);
        token.retireIssuer();
    }

    function test_setStandby__announced__is_named_and_cannot_post_yet() external {
        bytes memory call = abi.encodeCall(IPointsToken.setStandby, (NEXT));
        announceAndWait(admin, token, call);
        vm.expectEmit(address(token));
        emit IPointsToken.StandbyChanged(NEXT);
        make(admin, token, call);
        vm.assertEq(token.standby(), NEXT);
        vm.assertEq(token.issuer(), ISSUER);
        expectNotIssuer(NEXT);
    }

    function test_setStandby__zero__takes_the_standby_away_at_once() external {
        vm.expectEmit(address(token));
        emit IPointsToken.StandbyChanged(address(0));
        vm.prank(admin);
        token.setStandby(address(0));
        vm.assertEq(token.standby(), address(0));
    }

    function test_setStandby__zero_while_nobody_is_the_issuer__is_no_mistake() external {
        vm.prank(guardian);
        token.retireIssuer();
        vm.prank(guardian);
        token.retireIssuer();
        vm.prank(admin);
        token.setStandby(address(0));
        vm.assertEq(token.issuer(), address(0));
        expectNotIssuer(STANDBY_ISSUER);
    }

    function test_setStandby__the_issuer__reverts() external {
        bytes memory call = abi.encodeCall(IPointsToken.setStandby, (ISSUER));
        announceAndWait(admin, token, call);
        vm.expectRevert(abi.encodeWithSelector(IPointsToken.NoSuchStandby.selector, ISSUER));
        make(admin, token, call);
    }

    function testFuzz_setStandby__anybody_else__reverts(address caller, address next) external {
        vm.assume(caller != admin);
        vm.expectRevert(abi.encodeWithSelector(IPowers.NotAdmin.selector, caller));
        vm.prank(caller);
        token.setStandby(next);
    }

    // ------------------------------------------------------------ the guardian

    function test_setGuardian__announced__replaces_the_guardian() external {
        bytes memory call = abi.encodeCall(IPointsToken.setGuardian, (NEXT));
        announceAndWait(admin, token, call);
        vm.expectEmit(address(token));
        emit IPointsToken.GuardianChanged(NEXT);
        make(admin, token, call);
        vm.assertEq(token.guardian(), NEXT);
        vm.expectRevert(abi.encodeWithSelector(IPointsToken.NotGuardian.selector, guardian));
        vm.prank(guardian);
        token.pause();
        vm.prank(NEXT);
        token.pause();
    }

    function test_setGuardian__zero__reverts() external {
        bytes memory call = abi.encodeCall(IPointsToken.setGuardian, (address(0)));
        announceAndWait(admin, token, call);
        vm.expectRevert(IPowers.ZeroAddress.selector);
        make(admin, token, call);
    }

    function test_guardian__everything_that_gives_power__reverts() external {
        bytes memory notAdmin = abi.encodeWithSelector(IPowers.NotAdmin.selector, guardian);
        bytes[] memory calls = announcedCalls();
        for (uint256 i; i < calls.length; ++i) {
            vm.expectRevert(notAdmin);
            announce(guardian, token, calls[i]);
            vm.expectRevert(notAdmin);
            make(guardian, token, calls[i]);
        }
        expectNotIssuer(guardian);
        vm.expectRevert(notAdmin);
        vm.prank(guardian);
        token.setStandby(address(0));
        vm.expectRevert(notAdmin);
        vm.prank(guardian);
        token.nominate(address(0));
        vm.expectRevert(abi.encodeWithSelector(IPowers.NotNominee.selector, guardian));
        vm.prank(guardian);
        token.accept();
    }

    // ------------------------------------------------------------ the pause

    function test_pause__guardian_or_admin__stops_posting_and_swaps_of_managed_accounts() external {
        address[2] memory callers = [guardian, admin];
        give(token, 1, 100);
        for (uint256 i; i < 2; ++i) {
            vm.expectEmit(address(token));
            emit IPointsToken.PauseChanged(true, callers[i]);
            vm.prank(callers[i]);
            token.pause();
            vm.assertTrue(token.paused());
            expectAllStopped();
            enact(admin, token, abi.encodeCall(IPointsToken.unpause, ()));
        }
    }

    function test_pause__again__stays_paused() external {
        pause();
        pause();
        vm.assertTrue(token.paused());
    }

    function testFuzz_pause__anybody_else__reverts(address caller) external {
        vm.assume(caller != admin && caller != guardian);
        vm.expectRevert(abi.encodeWithSelector(IPointsToken.NotGuardian.selector, caller));
        vm.prank(caller);
        token.pause();
    }

    function test_pause__holders_of_wallets__are_not_stopped() external {
        fund(token, 1, WALLET, 100);
        bind(token, 2, NEXT);
        pause();
        vm.prank(WALLET);
        token.redeem(10, 1);
        vm.prank(WALLET);
        token.deposit(referenceOf(1), 10);
        vm.prank(WALLET);
        token.transfer(NEXT, 10);
        vm.prank(WALLET);
        token.approve(STRANGER, 10);
        vm.prank(STRANGER);
        token.transferFrom(WALLET, NEXT, 10);
        vm.prank(address(exchange));
        token.burnHeld(WALLET, 10);
        vm.prank(address(exchange));
        token.mintHeld(WALLET, 5);
        vm.prank(WALLET);
        token.cancel(2);
        vm.prank(WALLET);
        token.unbind(referenceOf(1));
        vm.assertEq(token.balanceOf(WALLET), 55);
        vm.assertEq(token.balanceOf(NEXT), 20);
        vm.assertEq(balance(token, 1), 10);
    }

    function test_pause__what_takes_power_away__is_not_stopped() external {
        pause();
        make(guardian, token, abi.encodeCall(IPointsToken.setLimit, (IPointsToken.Limit.Issuance, 1, 1)));
        vm.prank(guardian);
        token.retireIssuer();
        vm.prank(guardian);
        token.unbind(referenceOf(1));
        vm.assertEq(token.issuer(), STANDBY_ISSUER);
        vm.assertTrue(token.paused());
    }

    function test_unpause__announced__lets_posting_and_swaps_go_on_where_they_stopped() external {
        give(token, 1, 100);
        pause();
        bytes memory call = abi.encodeCall(IPointsToken.unpause, ());
        announceAndWait(admin, token, call);
        expectAllStopped();
        vm.expectEmit(address(token));
        emit IPointsToken.PauseChanged(false, admin);
        make(admin, token, call);
        vm.assertFalse(token.paused());
        vm.assertEq(uint256(token.sequence()), 1);
        vm.assertEq(token.totalSupply(), 100);
        give(token, 1, 1);
        vm.prank(address(exchange));
        token.burnLegs(list(word(1, SWAP, 100)));
        vm.prank(address(exchange));
        token.mintLegs(list(word(1, SWAP, 3)));
        vm.assertEq(balance(token, 1), 4);
    }

    /// Else what was announced in quiet times, or by a thief ahead of time, could undo a pause at once.
    function test_unpause__announced_before_the_pause__is_void() external {
        bytes memory call = abi.encodeCall(IPointsToken.unpause, ());
        announceAndWait(admin, token, call);
        vm.expectEmit(address(token));
        emit IPowers.Closed(keccak256(call), false);
        pause();
        vm.expectRevert(abi.encodeWithSelector(IPowers.NotAnnounced.selector, keccak256(call)));
        make(admin, token, call);
        vm.assertTrue(token.paused());
    }

    /// Bytes behind a call make another announcement of the same call.
    function test_unpause__announced_in_other_bytes_before_the_pause__is_overruled() external {
        bytes memory call = abi.encodePacked(abi.encodeCall(IPointsToken.unpause, ()), uint8(1));
        uint256 announcedAt = block.timestamp;
        announceAndWait(admin, token, call);
        pause();
        vm.expectRevert(abi.encodeWithSelector(IPointsToken.Overruled.selector, announcedAt, block.timestamp));
        make(admin, token, call);
        vm.assertTrue(token.paused());
    }

    // ------------------------------------------------------------ helpers

    function pause() private {
        vm.prank(guardian);
        token.pause();
    }

    function expectAllStopped() private {
        bytes memory paused = abi.encodeWithSelector(IPointsToken.Paused.selector);
        expectPostRefused(token, list(word(1, EARN, 1)), paused);
        expectPostRefused(token, list(word(1, REDEMPTION, 1)), paused);
        expectPostRefused(token, list(releaseWord(1, 1)), paused);
        expectPostRefused(token, bindWords(1, WALLET), paused);
        vm.expectRevert(paused);
        vm.prank(address(exchange));
        token.burnLegs(list(word(1, SWAP, 1)));
        vm.expectRevert(paused);
        vm.prank(address(exchange));
        token.mintLegs(list(word(1, SWAP, 1)));
    }

    function expectNotIssuer(address caller) private {
        vm.expectRevert(abi.encodeWithSelector(IPointsToken.NotIssuer.selector, caller));
        vm.prank(caller);
        token.post(1, FOREVER, list(word(1, EARN, 1)));
    }

    function expectNotAnnounced(bytes memory call) private {
        vm.expectRevert(abi.encodeWithSelector(IPowers.NotAnnounced.selector, keccak256(call)));
        make(admin, token, call);
    }

    function expectTooEarly(bytes memory call, uint256 ready) private {
        vm.expectRevert(abi.encodeWithSelector(IPowers.TooEarly.selector, ready, block.timestamp));
        make(admin, token, call);
    }
}
