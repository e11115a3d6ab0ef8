// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {IPointsExchange} from "sarraf/interfaces/IPointsExchange.sol";
import {IPointsToken} from "sarraf/interfaces/IPointsToken.sol";
import {ExchangeWorld} from "./ExchangeWorld.sol";
import {IToken} from "./IToken.sol";
import {LyingToken} from "./LyingToken.sol";
import {Vm, vm} from "./Vm.sol";

/// An admitted program whose contract lies, refuses, burns gas or calls back. Whatever it does, its partners lose no
/// more than the caps and the credit that they gave it, and everybody else nothing.
contract ExchangeLiesTest is ExchangeWorld {
    int256 private constant WORTH = int256(uint256(PRICE));
    address private constant LIAR_ADMIN = address(0xBAD);
    uint48 private constant CAP = 100;
    uint120 private constant CREDIT = 90 * uint120(PRICE);

    bytes4 private constant ADMIN = bytes4(keccak256("admin()"));
    bytes4 private constant GUARDIAN = IPointsToken.guardian.selector;
    bytes4 private constant BURN_LEGS = IPointsToken.burnLegs.selector;
    bytes4 private constant MINT_LEGS = IPointsToken.mintLegs.selector;
    bytes4 private constant BURN_HELD = IPointsToken.burnHeld.selector;
    bytes4 private constant MINT_HELD = IPointsToken.mintHeld.selector;

    LyingToken private liar;
    IToken private its;

    /// Between the liar and a, either way, one to one, with caps.
    function setUp() public override {
        super.setUp();
        liar = new LyingToken(address(exchange), LIAR_ADMIN);
        its = IToken(address(liar));
        (adminOf[its], guardianOf[its]) = (LIAR_ADMIN, LIAR_ADMIN);
        tokens.push(its);
        enact(EXCHANGE_ADMIN, exchange, admission(its, CREDIT));
        agree(its, a, IPointsExchange.Terms(1, 1, PRICE, CAP, CAP));
        agree(a, its, IPointsExchange.Terms(1, 1, PRICE, CAP, CAP));
        give(a, 1, 1_000);
        hold(a, wallet, 1_000);
    }

    // ------------------------------------------------------------ what it says it burned

    function test_settle__source_that_burns_nothing__pays_by_its_position() external {
        settle(pathOf(its, a), list(word(2, SWAP, 30)));
        vm.assertEq(balance(a, 2), 30);
        expectPosition(its, -30 * WORTH);
        expectPosition(a, 30 * WORTH);
    }

    function test_settle__source_that_burns_nothing__is_held_to_its_credit() external {
        settle(pathOf(its, a), list(word(2, SWAP, 90)));
        expectSettleRefused(
            pathOf(its, a),
            list(word(2, SWAP, 1)),
            abi.encodeWithSelector(IPointsExchange.OverCredit.selector, address(its), -91 * WORTH, CREDIT)
        );
    }

    /// The cap counts what the legs say. A program's own word would let it issue at its partner without end.
    function testFuzz_settle__source_that_says_any_sum__is_held_to_its_cap(uint256 said) external {
        uint32 version = agree(its, a, IPointsExchange.Terms(1, 1, 0, CAP, CAP)); // nothing else would bind
        liar.will(BURN_LEGS, LyingToken.Manner.Answers, abi.encode(said, new uint256[](1)));
        expectSettleRefused(
            pathOf(its, a), versionsOf(version), list(word(2, SWAP, 101)), overCap(address(its), address(a), 0, 101)
        );
        vm.prank(OPERATOR);
        exchange.settle(pathOf(its, a), versionsOf(version), 1, soon(), list(word(2, SWAP, 100)));
        expectSettleRefused(
            pathOf(its, a), versionsOf(version), list(word(2, SWAP, 1)), overCap(address(its), address(a), 100, 1)
        );
        expectUsed(its, a, 100, 0);
        vm.assertEq(balance(a, 2), 100);
    }

    /// Whatever it says was skipped is not minted, and nothing else is changed by its saying so.
    function testFuzz_settle__source_that_skips_at_will__is_minted_for_the_others_only(uint256 first, uint8 second)
        external
    {
        uint256 count = 264;
        uint32 version = agree(its, a, IPointsExchange.Terms(1, 1, PRICE, MOST, MOST));
        enactCredit(WIDEST_CREDIT);
        bytes32[] memory legs = new bytes32[](count);
        for (uint256 i; i < count; ++i) legs[i] = word(10 + i, SWAP, uint48(1 + i));
        uint256[] memory skipped = new uint256[](2);
        (skipped[0], skipped[1]) = (first, second);
        liar.will(BURN_LEGS, LyingToken.Manner.Answers, abi.encode(0, skipped));

        uint256 before = a.totalSupply();
        vm.recordLogs();
        vm.prank(OPERATOR);
        exchange.settle(pathOf(its, a), versionsOf(version), 1, soon(), legs);
        Vm.Log[] memory logs = vm.getRecordedLogs();
        uint256 minted;
        uint256 told;
        for (uint256 i; i < count; ++i) {
            bool left = (skipped[i / 256] >> (i % 256)) & 1 == 1;
            vm.assertEq(balance(a, 10 + i), left ? 0 : 1 + i);
            if (!left) minted += 1 + i;
            else vm.assertEq(logs[told++].data, abi.encode(uint64(1), i));
        }
        vm.assertTrue(told == logs.length || logs[told].topics[0] != IPointsExchange.LegSkipped.selector);
        vm.assertEq(a.totalSupply() - before, minted);
        expectPosition(a, int256(minted) * WORTH);
    }

    function test_settle__source_whose_bits_are_too_few__is_taken_to_have_burned_the_rest() external {
        liar.will(BURN_LEGS, LyingToken.Manner.Answers, abi.encode(0, new uint256[](0)));
        settle(pathOf(its, a), list(word(2, SWAP, 30)));
        vm.assertEq(balance(a, 2), 30);
    }

    function test_settle__source_whose_bits_are_too_many__settles_when_they_name_no_leg() external {
        liar.will(BURN_LEGS, LyingToken.Manner.Answers, abi.encode(0, new uint256[](9)));
        settle(pathOf(its, a), list(word(2, SWAP, 30)));
        vm.assertEq(balance(a, 2), 30);
    }

    function test_settle__source_that_skips_legs_that_are_not_there__reverts() external {
        uint256[] memory skipped = new uint256[](9);
        skipped[0] = 1 << 1; // one past the last
        expectAnswerRefused(abi.encode(0, skipped));
        (skipped[0], skipped[8]) = (0, 1);
        expectAnswerRefused(abi.encode(0, skipped));
        skipped[8] = type(uint256).max;
        expectAnswerRefused(abi.encode(0, skipped));
    }

    function test_settle__source_whose_answer_cannot_be_read__reverts() external {
        expectAnswerRefused(hex"00");
        expectAnswerRefused(abi.encode(30));
        expectAnswerRefused(abi.encode(30, 0x40)); // no length
        expectAnswerRefused(abi.encode(30, 0x40, 2, 0)); // two words announced, one there
        expectAnswerRefused(abi.encode(30, 0x40, type(uint256).max));
        expectAnswerRefused(abi.encode(30, 0x40, uint256(1) << 251)); // so many that their bytes wrap around to none
    }

    function expectAnswerRefused(bytes memory answer) private {
        liar.will(BURN_LEGS, LyingToken.Manner.Answers, answer);
        try this.settleFromLiar() {
            vm.assertTrue(false);
        } catch {
            expectNothingHappened();
        }
    }

    /// A call of its own, so that it can be caught.
    function settleFromLiar() external {
        settle(pathOf(its, a), list(word(2, SWAP, 30)));
    }

    // ------------------------------------------------------------ refusing

    function test_settle__source_that_refuses__reverts_with_its_reason() external {
        liar.will(BURN_LEGS, LyingToken.Manner.Refuses, "because");
        expectSettleRefused(pathOf(its, a), list(word(2, SWAP, 30)), "because");
        expectNothingHappened();
    }

    function test_settle__destination_that_refuses__reverts_with_its_reason() external {
        liar.will(MINT_LEGS, LyingToken.Manner.Refuses, "because");
        expectSettleRefused(pathOf(a, its), list(word(1, SWAP, 30)), "because");
        vm.assertEq(balance(a, 1), 1_000);
        expectNothingHappened();
    }

    function test_settle__destination_that_says_another_sum__changes_nothing_that_is_counted() external {
        bytes32[] memory legs = list(word(1, SWAP, 30));
        bytes32 path = exchange.pathId(pathOf(a, its));
        liar.will(MINT_LEGS, LyingToken.Manner.Answers, abi.encode(type(uint256).max));
        vm.expectEmit(address(exchange));
        emit IPointsExchange.Settled(path, 1, keccak256(abi.encodePacked(legs)), 30, 30);
        settle(pathOf(a, its), legs);
        expectPosition(a, -30 * WORTH);
        expectPosition(its, 30 * WORTH);
    }

    function test_swap__from_or_to_one_that_refuses__reverts_with_its_reason() external {
        liar.will(BURN_HELD, LyingToken.Manner.Refuses, "because");
        expectSwapRefused(pathOf(its, a), 30, "because");
        liar.will(MINT_HELD, LyingToken.Manner.Refuses, "because not");
        expectSwapRefused(pathOf(a, its), 30, "because not");
        expectNothingHappened();
        swap(wallet, pathOf(2), 30);
        vm.assertEq(b.balanceOf(wallet), 20);
    }

    function test_swap__from_one_that_burns_nothing__is_held_to_its_cap_and_credit() external {
        vm.assertEq(swap(wallet, pathOf(its, a), 90), 90);
        expectSwapRefused(
            pathOf(its, a),
            1,
            abi.encodeWithSelector(IPointsExchange.OverCredit.selector, address(its), -91 * WORTH, CREDIT)
        );
        expectSwapRefused(
            pathOf(its, a),
            11,
            abi.encodeWithSelector(
                IPointsExchange.OverCap.selector, address(its), address(a), true, CAP, 90, 11
            )
        );
        expectPosition(a, 90 * WORTH);
    }

    // ------------------------------------------------------------ refusing its partner's word

    /// Its contract is asked who its guardian is, too; it must not be able to keep its partner from stopping it.
    function test_suspend__source_that_does_not_answer__is_suspended_by_its_partner() external {
        bytes[3] memory answers = [bytes(""), hex"01", bytes("because of this and that, which is more than a word")];
        for (uint8 manner; manner <= uint8(type(LyingToken.Manner).max); ++manner) {
            for (uint256 i; i < answers.length; ++i) {
                liar.will(ADMIN, LyingToken.Manner(manner), answers[i]);
                liar.will(GUARDIAN, LyingToken.Manner(manner), answers[i]);
                expectPartnerStopsIt(its, a, guardianOf[a]);
                expectPartnerStopsIt(its, a, adminOf[a]);
                expectPartnerStopsIt(a, its, guardianOf[a]);
                expectPartnerStopsIt(a, its, adminOf[a]);
            }
        }
    }

    /// With little gas to spare, in a state of which nothing remains.
    function expectPartnerStopsIt(IToken from, IToken to, address by) private {
        uint256 snapshot = vm.snapshotState();
        vm.prank(by);
        exchange.lowerCaps{gas: 200_000}(address(from), address(to), 1, 1, 1);
        vm.assertEq(exchange.termsOf(address(from), address(to), 1).managedCap, 1);
        vm.prank(by);
        exchange.suspend{gas: 200_000}(address(from), address(to));
        vm.assertEq(uint256(inForce(from, to)), 0);
        vm.revertToState(snapshot);
    }

    function test_suspend__by_a_stranger_of_one_that_does_not_answer__reverts() external {
        liar.will(ADMIN, LyingToken.Manner.Exhausts, "");
        liar.will(GUARDIAN, LyingToken.Manner.Refuses, abi.encode(STRANGER));
        vm.expectRevert(abi.encodeWithSelector(IPointsExchange.NotProgramAdmin.selector, STRANGER));
        suspend(its, a, STRANGER);
    }

    /// An address is a whole word: rubbish above it is no answer.
    function test_suspend__by_one_whom_it_names_with_rubbish__reverts() external {
        liar.will(GUARDIAN, LyingToken.Manner.Answers, abi.encode(uint256(uint160(STRANGER)) | 1 << 160));
        vm.expectRevert(abi.encodeWithSelector(IPointsExchange.NotProgramAdmin.selector, STRANGER));
        suspend(its, a, STRANGER);
    }

    /// It may name whom it likes: they speak for it and for nobody else.
    function test_terms__whoever_it_calls_its_admin__speaks_for_no_other_program() external {
        liar.will(ADMIN, LyingToken.Manner.Answers, abi.encode(STRANGER));
        liar.will(GUARDIAN, LyingToken.Manner.Answers, abi.encode(STRANGER));
        bytes memory refusal = abi.encodeWithSelector(IPointsExchange.NotProgramAdmin.selector, STRANGER);
        IPointsExchange.Terms memory terms = termsFor(1, 1, 1);
        vm.expectRevert(refusal);
        suspend(a, b, STRANGER);
        vm.expectRevert(refusal);
        vm.prank(STRANGER);
        exchange.propose(address(a), address(b), terms);
        vm.expectRevert(refusal);
        vm.prank(STRANGER);
        exchange.lowerCredit(address(a), 0);

        vm.prank(STRANGER);
        uint32 version = exchange.propose(address(its), address(a), terms);
        vm.expectRevert(refusal);
        vm.prank(STRANGER);
        exchange.consent(address(its), address(a), version);
    }

    // ------------------------------------------------------------ calling back

    /// Even as the operator it cannot settle a batch within itself.
    function test_settle__operator_that_settles_the_same_batch_again__gets_it_once() external {
        makeOperator();
        bytes memory call = settleCall(pathOf(its, a), 1, list(word(2, SWAP, 30)));
        liar.willCall(BURN_LEGS, address(exchange), call);
        vm.prank(address(liar));
        (bool settled,) = address(exchange).call(call);
        vm.assertTrue(settled);
        vm.assertFalse(liar.calledBack());
        vm.assertEq(
            liar.answered(), abi.encodeWithSelector(IPointsExchange.WrongSequence.selector, uint64(2), uint64(1))
        );
        vm.assertEq(balance(a, 2), 30);
    }

    function test_settle__operator_that_settles_the_next_batch_within__is_held_to_the_cap_over_both() external {
        makeOperator();
        bytes memory call = settleCall(pathOf(its, a), 2, list(word(2, SWAP, 60)));
        liar.willCall(BURN_LEGS, address(exchange), call);
        vm.expectRevert(overCap(address(its), address(a), 60, 41));
        vm.prank(address(liar));
        exchange.settle(pathOf(its, a), firstVersions(1), 1, soon(), list(word(2, SWAP, 41)));

        liar.willCall(BURN_LEGS, address(exchange), call);
        vm.prank(address(liar));
        exchange.settle(pathOf(its, a), firstVersions(1), 1, soon(), list(word(2, SWAP, 30)));
        vm.assertTrue(liar.calledBack());
        expectUsed(its, a, 90, 0);
        vm.assertEq(balance(a, 2), 90);
        expectPosition(its, -90 * WORTH);
        expectPosition(a, 90 * WORTH);
        vm.assertEq(uint256(exchange.sequenceOf(exchange.pathId(pathOf(its, a)))), 2);
    }

    function test_settle__one_that_is_not_the_operator_and_settles_within__is_refused() external {
        liar.willCall(BURN_LEGS, address(exchange), settleCall(pathOf(2), 1, list(word(1, SWAP, 30))));
        settle(pathOf(its, a), list(word(2, SWAP, 30)));
        vm.assertFalse(liar.calledBack());
        vm.assertEq(
            liar.answered(), abi.encodeWithSelector(IPointsExchange.NotOperator.selector, address(liar))
        );
        expectPosition(b, 0);
    }

    function test_settle__one_that_swaps_within__counts_both() external {
        bytes4[2] memory moments = [BURN_LEGS, MINT_LEGS];
        hold(a, address(liar), 100);
        for (uint256 i; i < moments.length; ++i) {
            liar.willCall(moments[i], address(exchange), swapCall(pathOf(a, its), 20));
            if (i == 0) settle(pathOf(its, a), list(word(2, SWAP, 30)));
            else settle(pathOf(a, its), list(word(1, SWAP, 10)));
            vm.assertTrue(liar.calledBack());
        }
        expectUsed(its, a, 30, 0);
        expectUsed(a, its, 10, 40);
        expectPosition(its, (20 + 20 + 10 - 30) * WORTH);
        expectPosition(a, (30 - 20 - 20 - 10) * WORTH);
        vm.assertEq(a.balanceOf(address(liar)), 60);
        vm.assertEq(sumOfPositions(), 0);
    }

    function test_swap__one_that_swaps_within__counts_both_and_is_held_to_the_cap() external {
        liar.willCall(BURN_HELD, address(exchange), swapCall(pathOf(its, a), 60));
        expectSwapRefused(
            pathOf(its, a),
            41,
            abi.encodeWithSelector(
                IPointsExchange.OverCap.selector, address(its), address(a), true, CAP, 60, 41
            )
        );
        liar.willCall(BURN_HELD, address(exchange), swapCall(pathOf(its, a), 60));
        swap(wallet, pathOf(its, a), 30);
        vm.assertTrue(liar.calledBack());
        vm.assertEq(a.balanceOf(wallet), 1_030);
        vm.assertEq(a.balanceOf(address(liar)), 60);
        expectUsed(its, a, 0, 90);
        expectPosition(its, -90 * WORTH);
        expectPosition(a, 90 * WORTH);
    }

    function test_swap__destination_that_swaps_back_within__counts_both() external {
        liar.willCall(MINT_HELD, address(exchange), swapCall(pathOf(its, a), 30));
        swap(wallet, pathOf(a, its), 40);
        vm.assertTrue(liar.calledBack());
        vm.assertEq(a.balanceOf(wallet), 960);
        vm.assertEq(a.balanceOf(address(liar)), 30);
        expectPosition(its, 10 * WORTH);
        expectPosition(a, -10 * WORTH);
    }

    function test_settle__one_that_burns_or_mints_at_its_partner_within__is_refused() external {
        bytes[4] memory calls = [
            abi.encodeCall(IPointsToken.burnLegs, (list(word(1, SWAP, 30)))),
            abi.encodeCall(IPointsToken.mintLegs, (list(word(1, SWAP, 30)))),
            abi.encodeCall(IPointsToken.burnHeld, (wallet, 30)),
            abi.encodeCall(IPointsToken.mintHeld, (wallet, 30))
        ];
        for (uint256 i; i < calls.length; ++i) {
            liar.willCall(BURN_LEGS, address(a), calls[i]);
            settle(pathOf(its, a), list(word(2, SWAP, 1)));
            vm.assertFalse(liar.calledBack());
            vm.assertEq(
                liar.answered(), abi.encodeWithSelector(IPointsToken.NotExchange.selector, address(liar))
            );
        }
    }

    /// Its admin is itself: it suspends its own direction while a batch is on its way.
    function test_settle__one_that_suspends_within__reverts_as_not_in_force() external {
        liar.will(ADMIN, LyingToken.Manner.Answers, abi.encode(address(liar)));
        liar.willCall(
            BURN_LEGS, address(exchange), abi.encodeCall(IPointsExchange.suspend, (address(its), address(a)))
        );
        expectSettleRefused(
            pathOf(its, a),
            list(word(2, SWAP, 30)),
            abi.encodeWithSelector(IPointsExchange.NotInForce.selector, address(its), address(a), uint32(1))
        );
    }

    // ------------------------------------------------------------ a pause in the middle of a batch

    function test_settle__destination_paused_while_the_source_burns__reverts_whole() external {
        enact(adminOf[a], a, abi.encodeCall(IPointsToken.setGuardian, (address(liar))));
        liar.willCall(BURN_LEGS, address(a), abi.encodeCall(IPointsToken.pause, ()));
        expectSettleRefused(
            pathOf(its, a), list(word(2, SWAP, 30)), abi.encodeWithSelector(IPointsToken.Paused.selector)
        );
        vm.assertFalse(a.paused());
        expectNothingHappened();
    }

    function test_settle__source_paused_while_the_destination_mints__settles_and_is_paused() external {
        enact(adminOf[a], a, abi.encodeCall(IPointsToken.setGuardian, (address(liar))));
        liar.willCall(MINT_LEGS, address(a), abi.encodeCall(IPointsToken.pause, ()));
        settle(pathOf(a, its), list(word(1, SWAP, 30)));
        vm.assertTrue(a.paused());
        vm.assertEq(balance(a, 1), 970);
        expectSettleRefused(
            pathOf(a, its), list(word(1, SWAP, 30)), abi.encodeWithSelector(IPointsToken.Paused.selector)
        );
    }

    function test_swap__programs_paused_in_between__swaps() external {
        enact(adminOf[a], a, abi.encodeCall(IPointsToken.setGuardian, (address(liar))));
        liar.willCall(BURN_HELD, address(a), abi.encodeCall(IPointsToken.pause, ()));
        swap(wallet, pathOf(its, a), 30);
        vm.assertTrue(a.paused());
        vm.assertEq(a.balanceOf(wallet), 1_030);
    }

    // ------------------------------------------------------------ helpers

    function expectNothingHappened() private view {
        vm.assertEq(balance(a, 1), 1_000);
        vm.assertEq(balance(a, 2), 0);
        vm.assertEq(a.balanceOf(wallet), 1_000);
        vm.assertEq(a.totalSupply(), 2_000);
        for (uint256 i; i < tokens.length; ++i) expectPosition(tokens[i], 0);
        vm.assertEq(uint256(exchange.sequenceOf(exchange.pathId(pathOf(its, a)))), 0);
        vm.assertEq(uint256(exchange.sequenceOf(exchange.pathId(pathOf(a, its)))), 0);
        expectUsed(its, a, 0, 0);
        expectUsed(a, its, 0, 0);
    }

    function enactCredit(uint120 limit) private {
        vm.prank(LIAR_ADMIN);
        exchange.requestCredit(address(its), limit);
        enact(EXCHANGE_ADMIN, exchange, abi.encodeCall(IPointsExchange.grantCredit, (address(its), limit)));
    }

    function makeOperator() private {
        enact(EXCHANGE_ADMIN, exchange, abi.encodeCall(IPointsExchange.setStandby, (address(liar))));
        vm.prank(EXCHANGE_ADMIN);
        exchange.retireOperator();
    }

    function settleCall(address[] memory path, uint64 sequence, bytes32[] memory legs)
        private
        view
        returns (bytes memory)
    {
        return abi.encodeCall(IPointsExchange.settle, (path, firstVersions(1), sequence, soon(), legs));
    }

    function swapCall(address[] memory path, uint256 amount) private view returns (bytes memory) {
        return abi.encodeCall(IPointsExchange.swap, (path, amount, 0, block.timestamp));
    }

    function overCap(address from, address to, uint256 used, uint256 amount) private pure returns (bytes memory) {
        return abi.encodeWithSelector(IPointsExchange.OverCap.selector, from, to, false, CAP, used, amount);
    }
}
