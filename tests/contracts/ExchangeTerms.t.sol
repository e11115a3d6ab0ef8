// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {IPointsExchange} from "sarraf/interfaces/IPointsExchange.sol";
import {DirectionState} from "sarraf/libraries/DirectionState.sol";
import {IToken} from "./IToken.sol";
import {vm} from "./Vm.sol";
import {World} from "./World.sol";

/// Terms: proposal, consent, delay and notice, suspension.
contract ExchangeTermsTest is World {
    // ------------------------------------------------------------ proposing

    function test_propose__either_admin__takes_the_next_number_and_puts_nothing_in_force() external {
        address proposer = adminOf[b];
        IPointsExchange.Terms memory second = IPointsExchange.Terms(5, 4, 60, 70, 80);
        vm.assertEq(uint256(propose(a, b, 3, 2, 50)), 1);
        vm.expectEmit(address(exchange));
        emit IPointsExchange.TermsProposed(address(a), address(b), 2, second, proposer);
        vm.prank(proposer);
        vm.assertEq(uint256(exchange.propose(address(a), address(b), second)), 2);

        vm.assertEq(uint256(exchange.latestProposed(address(a), address(b))), 2);
        expectAdopted(0, 0);
        wait(NOTICE);
        vm.assertEq(uint256(inForce(a, b)), 0);
        vm.assertEq(abi.encode(exchange.termsOf(address(a), address(b), 2)), abi.encode(second));
        vm.assertEq(abi.encode(exchange.termsOf(address(a), address(b), 1)), abi.encode(termsFor(3, 2, 50)));
    }

    function testFuzz_propose__any_terms_with_units__are_kept_as_given(IPointsExchange.Terms memory terms) external {
        vm.assume(terms.fromUnits != 0 && terms.toUnits != 0);
        propose(a, b, terms);
        vm.assertEq(abi.encode(exchange.termsOf(address(a), address(b), 1)), abi.encode(terms));
        vm.assertEq(abi.encode(exchange.termsOf(address(b), address(a), 1)), new bytes(5 * 32));
    }

    function testFuzz_propose__anybody_else__reverts(address caller) external {
        vm.assume(caller != adminOf[a] && caller != adminOf[b]);
        vm.expectRevert(abi.encodeWithSelector(IPointsExchange.NotProgramAdmin.selector, caller));
        vm.prank(caller);
        exchange.propose(address(a), address(b), termsFor(1, 1, 1));
    }

    function test_propose__guardian__reverts() external {
        vm.expectRevert(abi.encodeWithSelector(IPointsExchange.NotProgramAdmin.selector, guardianOf[a]));
        vm.prank(guardianOf[a]);
        exchange.propose(address(a), address(b), termsFor(1, 1, 1));
    }

    function test_propose__program_not_admitted__reverts() external {
        IToken token = newToken(STRANGER, false);
        vm.expectRevert(abi.encodeWithSelector(IPointsExchange.NotAdmitted.selector, address(token)));
        vm.prank(STRANGER);
        exchange.propose(address(a), address(token), termsFor(1, 1, 1));
        vm.expectRevert(abi.encodeWithSelector(IPointsExchange.NotAdmitted.selector, address(token)));
        vm.prank(STRANGER);
        exchange.propose(address(token), address(a), termsFor(1, 1, 1));
    }

    function test_propose__to_itself__reverts() external {
        vm.expectRevert(abi.encodeWithSelector(IPointsExchange.ProgramTwice.selector, address(a)));
        propose(a, a, 1, 1, 1);
    }

    function test_propose__zero_units__reverts() external {
        vm.expectRevert(IPointsExchange.ZeroUnits.selector);
        propose(a, b, 0, 1, 1);
        vm.expectRevert(IPointsExchange.ZeroUnits.selector);
        propose(a, b, 1, 0, 1);
        vm.assertEq(uint256(exchange.latestProposed(address(a), address(b))), 0);
    }

    function test_propose__zero_price_and_caps__is_taken() external {
        propose(a, b, IPointsExchange.Terms(1, 1, 0, 0, 0));
        vm.assertEq(uint256(exchange.latestProposed(address(a), address(b))), 1);
    }

    function test_propose__more_often_than_versions_can_count__reverts() external {
        DirectionState state = DirectionState.wrap(0).withProposal(type(uint24).max - 1, true);
        vm.store(address(exchange), slotOfDirection(), bytes32(DirectionState.unwrap(state)));
        vm.assertEq(uint256(propose(a, b, 1, 1, 1)), type(uint24).max);
        vm.expectRevert(
            abi.encodeWithSelector(IPointsExchange.NumberTooLarge.selector, type(uint24).max, uint256(1) << 24)
        );
        propose(a, b, 1, 1, 1);
    }

    /// Where the exchange keeps the direction from `a` to `b`: what reading its newest proposal reads.
    function slotOfDirection() private returns (bytes32) {
        vm.record();
        exchange.latestProposed(address(a), address(b));
        (bytes32[] memory reads,) = vm.accesses(address(exchange));
        return reads[0];
    }

    // ------------------------------------------------------------ consenting

    function test_consent__first_terms__hold_after_the_delay_in_one_direction() external {
        propose(a, b, 3, 2, 50);
        vm.expectEmit(address(exchange));
        emit IPointsExchange.TermsAdopted(
            address(a), address(b), 1, termsFor(3, 2, 50), uint64(START) + DELAY
        );
        consent(a, b, 1);
        expectAdopted(1, START + DELAY);
        vm.warp(START + DELAY - 1);
        vm.assertEq(uint256(inForce(a, b)), 0);
        vm.warp(START + DELAY);
        vm.assertEq(uint256(inForce(a, b)), 1);
        vm.assertEq(uint256(inForce(b, a)), 0);
    }

    function test_consent__changed_terms__hold_after_the_notice_and_not_a_second_earlier() external {
        agree(a, b, 3, 2, 50);
        uint256 time = block.timestamp;
        propose(a, b, 2, 1, 50);
        vm.expectEmit(address(exchange));
        emit IPointsExchange.TermsAdopted(address(a), address(b), 2, termsFor(2, 1, 50), uint64(time) + NOTICE);
        consent(a, b, 2);
        vm.warp(time + NOTICE - 1);
        vm.assertEq(uint256(inForce(a, b)), 1);
        vm.warp(time + NOTICE);
        vm.assertEq(uint256(inForce(a, b)), 2);
    }

    function test_consent__proposed_by_the_destination__is_the_sources_to_give() external {
        address proposer = adminOf[b];
        vm.prank(proposer);
        exchange.propose(address(a), address(b), termsFor(3, 2, 50));
        vm.expectRevert(abi.encodeWithSelector(IPointsExchange.NotProgramAdmin.selector, proposer));
        vm.prank(proposer);
        exchange.consent(address(a), address(b), 1);

        vm.prank(adminOf[a]);
        exchange.consent(address(a), address(b), 1);
        expectAdopted(1, START + DELAY);
    }

    function testFuzz_consent__anybody_but_the_other_side__reverts(address caller) external {
        propose(a, b, 3, 2, 50);
        vm.assume(caller != adminOf[b]);
        vm.expectRevert(abi.encodeWithSelector(IPointsExchange.NotProgramAdmin.selector, caller));
        vm.prank(caller);
        exchange.consent(address(a), address(b), 1);
    }

    function test_consent__guardian_or_the_proposer__reverts() external {
        propose(a, b, 3, 2, 50);
        address[2] memory callers = [guardianOf[b], adminOf[a]];
        for (uint256 i; i < callers.length; ++i) {
            vm.expectRevert(abi.encodeWithSelector(IPointsExchange.NotProgramAdmin.selector, callers[i]));
            vm.prank(callers[i]);
            exchange.consent(address(a), address(b), 1);
        }
    }

    function test_consent__one_admin_of_both_programs__may_give_both_words() external {
        IToken twin = newToken(adminOf[a], false);
        admit(twin);
        agree(a, twin, 1, 1, 0);
        agree(twin, a, 1, 1, 0);
        vm.assertEq(uint256(inForce(a, twin)), 1);
        vm.assertEq(uint256(inForce(twin, a)), 1);
    }

    function test_consent__after_the_admin_changed__is_the_new_admins_to_give() external {
        propose(a, b, 3, 2, 50);
        address old = adminOf[b];
        enact(old, b, abi.encodeCall(b.nominate, (STRANGER)));
        vm.prank(STRANGER);
        b.accept();

        vm.expectRevert(abi.encodeWithSelector(IPointsExchange.NotProgramAdmin.selector, old));
        consent(a, b, 1);
        adminOf[b] = STRANGER;
        consent(a, b, 1);
        expectAdopted(1, block.timestamp + DELAY);
    }

    function testFuzz_consent__any_version_but_the_standing_proposal__reverts(uint32 version) external {
        propose(a, b, 3, 2, 50);
        propose(a, b, 4, 2, 50);
        vm.assume(version != 2);
        expectNotProposed(version);
        consent(a, b, version);
    }

    function test_consent__a_version_that_ends_like_the_proposal__reverts() external {
        propose(a, b, 3, 2, 50);
        expectNotProposed((1 << 24) + 1);
        consent(a, b, (1 << 24) + 1);
    }

    function test_consent__twice__reverts() external {
        agree(a, b, 3, 2, 50);
        expectNotProposed(1);
        consent(a, b, 1);
    }

    function test_consent__nothing_proposed__reverts() external {
        expectNotProposed(0);
        consent(a, b, 0);
    }

    function test_consent__proposed_before_a_suspension__reverts() external {
        agree(a, b, 3, 2, 50);
        propose(a, b, 4, 2, 50);
        suspend(a, b, adminOf[a]);
        expectNotProposed(2);
        consent(a, b, 2);
    }

    function test_consent__while_a_change_waits__reverts_until_it_holds() external {
        agree(a, b, 3, 2, 50);
        uint256 time = block.timestamp;
        propose(a, b, 4, 2, 50);
        consent(a, b, 2);
        propose(a, b, 5, 2, 50);
        vm.warp(time + NOTICE - 1);
        vm.expectRevert(
            abi.encodeWithSelector(IPointsExchange.ChangeWaiting.selector, address(a), address(b), 2, time + NOTICE)
        );
        consent(a, b, 3);

        vm.warp(time + NOTICE);
        consent(a, b, 3);
        vm.assertEq(uint256(inForce(a, b)), 2);
        vm.warp(time + 2 * NOTICE);
        vm.assertEq(uint256(inForce(a, b)), 3);
    }

    function test_consent__while_the_first_terms_wait__reverts() external {
        propose(a, b, 3, 2, 50);
        consent(a, b, 1);
        propose(a, b, 4, 2, 50);
        vm.expectRevert(
            abi.encodeWithSelector(IPointsExchange.ChangeWaiting.selector, address(a), address(b), 1, START + DELAY)
        );
        consent(a, b, 2);
    }

    /// The start is kept in 32 bits.
    function test_consent__terms_that_would_begin_after_2106__reverts() external {
        uint256 last = type(uint32).max;
        propose(a, b, 3, 2, 50);
        vm.warp(last - DELAY + 1);
        vm.expectRevert(abi.encodeWithSelector(IPointsExchange.NumberTooLarge.selector, last, last + 1));
        consent(a, b, 1);
        vm.warp(last - DELAY);
        consent(a, b, 1);
        expectAdopted(1, last);
    }

    // ------------------------------------------------------------ suspending

    function test_suspend__either_admin_or_guardian__stops_the_direction_at_once() external {
        address[4] memory callers = [adminOf[a], adminOf[b], guardianOf[a], guardianOf[b]];
        agree(b, a, 2, 3, 50);
        for (uint256 i; i < callers.length; ++i) {
            uint32 version = agree(a, b, 3, 2, 50);
            vm.assertEq(uint256(inForce(a, b)), version);
            vm.expectEmit(address(exchange));
            emit IPointsExchange.Suspended(address(a), address(b), callers[i]);
            suspend(a, b, callers[i]);
            vm.assertEq(uint256(inForce(a, b)), 0);
        }
        vm.assertEq(uint256(inForce(b, a)), 1);
    }

    function test_suspend__while_a_change_waits__strikes_the_change_too() external {
        agree(a, b, 3, 2, 50);
        propose(a, b, 4, 2, 50);
        consent(a, b, 2);
        suspend(a, b, adminOf[a]);
        vm.assertEq(uint256(inForce(a, b)), 0);
        wait(NOTICE);
        vm.assertEq(uint256(inForce(a, b)), 0);
    }

    function test_suspend__then_new_terms__hold_after_the_notice_even_beside_a_struck_change() external {
        agree(a, b, 3, 2, 50);
        propose(a, b, 4, 2, 50);
        consent(a, b, 2);
        suspend(a, b, adminOf[a]);
        propose(a, b, 5, 2, 50);
        consent(a, b, 3);
        vm.assertEq(uint256(inForce(a, b)), 0);
        uint256 time = block.timestamp;
        vm.warp(time + NOTICE - 1);
        vm.assertEq(uint256(inForce(a, b)), 0);
        vm.warp(time + NOTICE);
        vm.assertEq(uint256(inForce(a, b)), 3);
    }

    /// What was suspended once was relied on once: only a direction that never had terms has the shorter wait.
    function test_suspend__of_the_only_terms__leaves_new_ones_the_full_notice() external {
        agree(a, b, 3, 2, 50);
        suspend(a, b, adminOf[a]);
        propose(a, b, 4, 2, 50);
        consent(a, b, 2);
        expectAdopted(2, block.timestamp + NOTICE);
    }

    function test_suspend__a_mere_proposal__strikes_it_and_the_next_is_a_first() external {
        propose(a, b, 3, 2, 50);
        suspend(a, b, guardianOf[b]);
        expectNotProposed(1);
        consent(a, b, 1);
        propose(a, b, 4, 2, 50);
        consent(a, b, 2);
        expectAdopted(2, START + DELAY);
    }

    function testFuzz_suspend__anybody_else__reverts(address caller) external {
        agree(a, b, 3, 2, 50);
        vm.assume(caller != adminOf[a] && caller != adminOf[b]);
        vm.assume(caller != guardianOf[a] && caller != guardianOf[b]);
        vm.expectRevert(abi.encodeWithSelector(IPointsExchange.NotProgramAdmin.selector, caller));
        suspend(a, b, caller);
    }

    function test_suspend__exchange_admin_and_operator__revert() external {
        address[3] memory callers = [EXCHANGE_ADMIN, OPERATOR, adminOf[c]];
        for (uint256 i; i < callers.length; ++i) {
            vm.expectRevert(abi.encodeWithSelector(IPointsExchange.NotProgramAdmin.selector, callers[i]));
            suspend(a, b, callers[i]);
        }
    }

    function test_suspend__program_not_admitted__reverts() external {
        IToken token = newToken(STRANGER, false);
        vm.expectRevert(abi.encodeWithSelector(IPointsExchange.NotAdmitted.selector, address(token)));
        suspend(token, a, STRANGER);
        vm.expectRevert(abi.encodeWithSelector(IPointsExchange.NotAdmitted.selector, address(token)));
        suspend(a, token, adminOf[a]);
    }

    // ------------------------------------------------------------ the rule in force, against its plain twin

    struct Agreed {
        uint32 version;
        uint256 effectiveAt;
    }

    Agreed[] private agreed;
    uint32 private struck;

    /// "In force is the latest adopted version whose time has come, unless it was struck out", in a plain loop.
    function plainlyInForce() private view returns (uint32 version) {
        for (uint256 i; i < agreed.length; ++i) {
            if (agreed[i].effectiveAt <= block.timestamp) version = agreed[i].version;
        }
        if (version <= struck) version = 0;
    }

    function testFuzz_inForce__any_history__is_what_the_plain_rule_says(uint256 seed) external {
        uint256 time = START;
        for (uint256 step; step < 24; ++step) {
            uint256 dice = uint256(keccak256(abi.encode(seed, step)));
            if (dice % 4 == 0) {
                suspend(a, b, adminOf[a]);
                struck = exchange.latestProposed(address(a), address(b));
            } else if (dice % 4 == 1 || dice % 4 == 2) {
                tryToAgree();
            }
            time += (dice >> 8) % NOTICE;
            vm.warp(time);
            vm.assertEq(uint256(inForce(a, b)), uint256(plainlyInForce()));
        }
    }

    function tryToAgree() private {
        uint32 version = propose(a, b, 1, 1, 1);
        vm.prank(adminOf[b]);
        try exchange.consent(address(a), address(b), version) {
            agreed.push(Agreed(version, block.timestamp + (agreed.length == 0 ? DELAY : NOTICE)));
        } catch (bytes memory reason) {
            vm.assertEq(bytes32(bytes4(reason)), bytes32(IPointsExchange.ChangeWaiting.selector));
        }
    }

    // ------------------------------------------------------------ helpers

    function expectAdopted(uint256 version, uint256 effectiveAt) private view {
        (uint32 newest, uint64 start) = exchange.latestAdopted(address(a), address(b));
        vm.assertEq(uint256(newest), version);
        vm.assertEq(uint256(start), effectiveAt);
    }

    function expectNotProposed(uint32 version) private {
        vm.expectRevert(
            abi.encodeWithSelector(IPointsExchange.NotProposed.selector, address(a), address(b), version)
        );
    }
}
