// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {IPointsExchange} from "sarraf/interfaces/IPointsExchange.sol";
import {IToken} from "./IToken.sol";
import {vm} from "./Vm.sol";
import {World} from "./World.sol";

/// Admission of programs, and terms: proposal, consent, notice, suspension.
contract ExchangeTermsTest is World {
    // ------------------------------------------------------------ deployment and admission

    function test_constructor__good_arguments__are_what_the_views_say() external view {
        vm.assertEq(exchange.admin(), EXCHANGE_ADMIN);
        vm.assertEq(exchange.operator(), OPERATOR);
        vm.assertEq(uint256(exchange.notice()), NOTICE);
    }

    function test_constructor__a_zero_address__reverts() external {
        vm.expectRevert(IPointsExchange.ZeroAddress.selector);
        this.deploy(address(0), OPERATOR);
        vm.expectRevert(IPointsExchange.ZeroAddress.selector);
        this.deploy(EXCHANGE_ADMIN, address(0));
    }

    /// A call of its own, because `expectRevert` takes the next call for the one that must fail.
    function deploy(address admin, address operator) external {
        newExchange(admin, operator);
    }

    function test_admit__new_program__is_admitted() external {
        IToken token = newToken(address(1), false);
        vm.assertEq(exchange.admitted(address(token)), false);
        vm.expectEmit(address(exchange));
        emit IPointsExchange.Admitted(address(token));
        vm.prank(EXCHANGE_ADMIN);
        exchange.admit(address(token));
        vm.assertEq(exchange.admitted(address(token)), true);
    }

    function testFuzz_admit__anybody_else__reverts(address caller) external {
        vm.assume(caller != EXCHANGE_ADMIN);
        vm.expectRevert(abi.encodeWithSelector(IPointsExchange.NotAdmin.selector, caller));
        vm.prank(caller);
        exchange.admit(address(a));
    }

    function test_admit__twice__reverts() external {
        vm.expectRevert(abi.encodeWithSelector(IPointsExchange.AlreadyAdmitted.selector, address(a)));
        vm.prank(EXCHANGE_ADMIN);
        exchange.admit(address(a));
    }

    function test_admit__token_of_another_exchange__reverts() external {
        IToken token = newToken(ISSUER, address(1), address(0xE9), false);
        vm.expectRevert(
            abi.encodeWithSelector(IPointsExchange.WrongExchange.selector, address(token), address(0xE9))
        );
        vm.prank(EXCHANGE_ADMIN);
        exchange.admit(address(token));
    }

    // ------------------------------------------------------------ proposing

    function test_propose__either_admin__takes_the_next_number_and_puts_nothing_in_force() external {
        address proposer = adminOf[b];
        vm.assertEq(uint256(propose(a, b, 3, 2, 50)), 1);
        vm.expectEmit(address(exchange));
        emit IPointsExchange.TermsProposed(address(a), address(b), 2, 5, 4, 60, proposer);
        vm.prank(proposer);
        vm.assertEq(uint256(exchange.propose(address(a), address(b), 5, 4, 60)), 2);

        vm.assertEq(uint256(exchange.latestProposed(address(a), address(b))), 2);
        vm.assertEq(uint256(exchange.latestAdopted(address(a), address(b))), 0);
        vm.assertEq(uint256(inForce(a, b)), 0);
        IPointsExchange.Terms memory terms = exchange.termsOf(address(a), address(b), 2);
        vm.assertEq(uint256(terms.fromUnits), 5);
        vm.assertEq(uint256(terms.toUnits), 4);
        vm.assertEq(uint256(terms.price), 60);
        vm.assertEq(uint256(terms.effectiveAt), 0);
    }

    function testFuzz_propose__anybody_else__reverts(address caller) external {
        vm.assume(caller != adminOf[a] && caller != adminOf[b]);
        vm.expectRevert(abi.encodeWithSelector(IPointsExchange.NotProgramAdmin.selector, caller));
        vm.prank(caller);
        exchange.propose(address(a), address(b), 1, 1, 1);
    }

    function test_propose__program_not_admitted__reverts() external {
        IToken token = newToken(STRANGER, false);
        vm.expectRevert(abi.encodeWithSelector(IPointsExchange.NotAdmitted.selector, address(token)));
        vm.prank(STRANGER);
        exchange.propose(address(a), address(token), 1, 1, 1);
        vm.expectRevert(abi.encodeWithSelector(IPointsExchange.NotAdmitted.selector, address(token)));
        vm.prank(STRANGER);
        exchange.propose(address(token), address(a), 1, 1, 1);
    }

    function test_propose__to_itself__reverts() external {
        vm.expectRevert(abi.encodeWithSelector(IPointsExchange.ProgramTwice.selector, address(a)));
        vm.prank(adminOf[a]);
        exchange.propose(address(a), address(a), 1, 1, 1);
    }

    function test_propose__zero_units__reverts() external {
        vm.expectRevert(IPointsExchange.ZeroUnits.selector);
        vm.prank(adminOf[a]);
        exchange.propose(address(a), address(b), 0, 1, 1);
        vm.expectRevert(IPointsExchange.ZeroUnits.selector);
        vm.prank(adminOf[a]);
        exchange.propose(address(a), address(b), 1, 0, 1);
    }

    // ------------------------------------------------------------ consenting

    function test_consent__first_terms__hold_at_once_and_in_one_direction() external {
        propose(a, b, 3, 2, 50);
        vm.expectEmit(address(exchange));
        emit IPointsExchange.TermsAdopted(address(a), address(b), 1, 3, 2, 50, uint64(START));
        consent(a, b, 1);
        vm.assertEq(uint256(inForce(a, b)), 1);
        vm.assertEq(uint256(exchange.latestAdopted(address(a), address(b))), 1);
        vm.assertEq(uint256(inForce(b, a)), 0);
    }

    function test_consent__changed_terms__hold_after_the_notice_and_not_a_second_earlier() external {
        agree(a, b, 3, 2, 50);
        propose(a, b, 2, 1, 50);
        vm.expectEmit(address(exchange));
        emit IPointsExchange.TermsAdopted(address(a), address(b), 2, 2, 1, 50, uint64(START) + NOTICE);
        consent(a, b, 2);
        vm.warp(START + NOTICE - 1);
        vm.assertEq(uint256(inForce(a, b)), 1);
        vm.warp(START + NOTICE);
        vm.assertEq(uint256(inForce(a, b)), 2);
    }

    function test_consent__proposed_by_the_destination__is_the_sources_to_give() external {
        address proposer = adminOf[b];
        vm.prank(proposer);
        exchange.propose(address(a), address(b), 3, 2, 50);
        vm.expectRevert(abi.encodeWithSelector(IPointsExchange.NotProgramAdmin.selector, proposer));
        vm.prank(proposer);
        exchange.consent(address(a), address(b), 1);

        vm.prank(adminOf[a]);
        exchange.consent(address(a), address(b), 1);
        vm.assertEq(uint256(inForce(a, b)), 1);
    }

    function testFuzz_consent__anybody_but_the_other_side__reverts(address caller) external {
        propose(a, b, 3, 2, 50);
        vm.assume(caller != adminOf[b]);
        vm.expectRevert(abi.encodeWithSelector(IPointsExchange.NotProgramAdmin.selector, caller));
        vm.prank(caller);
        exchange.consent(address(a), address(b), 1);
    }

    function test_consent__one_admin_of_both_programs__may_give_both_words() external {
        IToken twin = newToken(adminOf[a], false);
        vm.prank(EXCHANGE_ADMIN);
        exchange.admit(address(twin));
        agree(a, twin, 1, 1, 0);
        agree(twin, a, 1, 1, 0);
        vm.assertEq(uint256(inForce(a, twin)), 1);
        vm.assertEq(uint256(inForce(twin, a)), 1);
    }

    function testFuzz_consent__any_version_but_the_standing_proposal__reverts(uint32 version) external {
        propose(a, b, 3, 2, 50);
        propose(a, b, 4, 2, 50);
        vm.assume(version != 2);
        expectNotProposed(version);
        consent(a, b, version);
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
        agree(a, b, 4, 2, 50);
        propose(a, b, 5, 2, 50);
        vm.expectRevert(
            abi.encodeWithSelector(IPointsExchange.ChangeWaiting.selector, address(a), address(b), 2, START + NOTICE)
        );
        consent(a, b, 3);

        vm.warp(START + NOTICE);
        consent(a, b, 3);
        vm.assertEq(uint256(inForce(a, b)), 2);
        vm.warp(START + 2 * NOTICE);
        vm.assertEq(uint256(inForce(a, b)), 3);
    }

    // ------------------------------------------------------------ suspending

    function test_suspend__either_admin__stops_the_direction_at_once() external {
        address by = adminOf[b];
        agree(a, b, 3, 2, 50);
        agree(b, a, 2, 3, 50);
        vm.expectEmit(address(exchange));
        emit IPointsExchange.Suspended(address(a), address(b), by);
        suspend(a, b, by);
        vm.assertEq(uint256(inForce(a, b)), 0);
        vm.assertEq(uint256(inForce(b, a)), 1);
        suspend(b, a, by);
        vm.assertEq(uint256(inForce(b, a)), 0);
    }

    function test_suspend__while_a_change_waits__strikes_the_change_too() external {
        agree(a, b, 3, 2, 50);
        agree(a, b, 4, 2, 50);
        suspend(a, b, adminOf[a]);
        vm.assertEq(uint256(inForce(a, b)), 0);
        vm.warp(START + NOTICE);
        vm.assertEq(uint256(inForce(a, b)), 0);
    }

    function test_suspend__then_new_terms__hold_after_the_notice_even_beside_a_struck_change() external {
        agree(a, b, 3, 2, 50);
        agree(a, b, 4, 2, 50);
        suspend(a, b, adminOf[a]);
        agree(a, b, 5, 2, 50);
        vm.assertEq(uint256(inForce(a, b)), 0);
        vm.warp(START + NOTICE - 1);
        vm.assertEq(uint256(inForce(a, b)), 0);
        vm.warp(START + NOTICE);
        vm.assertEq(uint256(inForce(a, b)), 3);
    }

    function testFuzz_suspend__anybody_else__reverts(address caller) external {
        agree(a, b, 3, 2, 50);
        vm.assume(caller != adminOf[a] && caller != adminOf[b]);
        vm.expectRevert(abi.encodeWithSelector(IPointsExchange.NotProgramAdmin.selector, caller));
        suspend(a, b, caller);
    }

    function test_suspend__program_not_admitted__reverts() external {
        IToken token = newToken(STRANGER, false);
        vm.expectRevert(abi.encodeWithSelector(IPointsExchange.NotAdmitted.selector, address(token)));
        suspend(token, a, STRANGER);
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
            agreed.push(Agreed(version, block.timestamp + (agreed.length == 0 ? 0 : NOTICE)));
        } catch (bytes memory reason) {
            vm.assertEq(bytes32(bytes4(reason)), bytes32(IPointsExchange.ChangeWaiting.selector));
        }
    }

    function expectNotProposed(uint32 version) private {
        vm.expectRevert(
            abi.encodeWithSelector(IPointsExchange.NotProposed.selector, address(a), address(b), version)
        );
    }
}
