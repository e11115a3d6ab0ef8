// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {IPointsExchange} from "sarraf/interfaces/IPointsExchange.sol";
import {ExchangeWorld} from "./ExchangeWorld.sol";
import {IToken} from "./IToken.sol";
import {vm} from "./Vm.sol";

/// How much of a direction's points may be swapped in a period, by managed accounts and by holders of wallets.
contract ExchangeCapsTest is ExchangeWorld {
    uint48 private constant MANAGED_CAP = 100;
    uint48 private constant WALLET_CAP = 60;
    uint32 private constant VERSION = 2;

    /// The direction from a to b has caps; all others have the widest.
    function setUp() public override {
        super.setUp();
        agree(a, b, capped(MANAGED_CAP, WALLET_CAP));
        give(a, 1, 10_000);
        hold(a, wallet, 10_000);
    }

    function capped(uint48 managedCap, uint48 walletCap) private pure returns (IPointsExchange.Terms memory) {
        return IPointsExchange.Terms(1, 1, PRICE, managedCap, walletCap);
    }

    // ------------------------------------------------------------ what a cap lets through

    function test_settle__up_to_the_cap_in_several_batches__settles_and_not_a_point_more() external {
        settleManaged(60);
        settleManaged(40);
        expectUsed(a, b, 100, 0);
        expectManagedOverCap(100, 100, 1);
        vm.assertEq(balance(b, 1), 100);
    }

    function test_settle__a_batch_above_the_cap__reverts_with_the_numbers() external {
        expectManagedOverCap(100, 0, 101);
        settleManaged(70);
        expectManagedOverCap(100, 70, 31);
        settleManaged(30);
    }

    function test_settle__legs_together_above_the_cap__revert_although_each_fits() external {
        expectRefused(list(word(1, SWAP, 60), word(1, SWAP, 41)), overCap(false, 100, 0, 101));
    }

    function test_swap__up_to_the_cap_in_several_swaps__swaps_and_not_a_point_more() external {
        swap(wallet, pathOf(2), 35);
        swap(wallet, pathOf(2), 25);
        expectUsed(a, b, 0, 60);
        expectSwapRefused(pathOf(2), 1, overCap(true, 60, 60, 1));
    }

    function test_swap__above_the_cap__reverts_with_the_numbers() external {
        swap(wallet, pathOf(2), 35);
        expectSwapRefused(pathOf(2), 26, overCap(true, 60, 35, 26));
        vm.assertEq(a.balanceOf(wallet), 10_000 - 35);
    }

    function test_caps__one_used_up__leaves_the_other_whole() external {
        settleManaged(100);
        swap(wallet, pathOf(2), 60);
        expectUsed(a, b, 100, 60);
        expectManagedOverCap(100, 100, 1);
        expectSwapRefused(pathOf(2), 1, overCap(true, 60, 60, 1));
    }

    function test_settle__skipped_legs__use_nothing() external {
        settleLegs(list(word(9, SWAP, 100), word(1, SWAP, 100)));
        expectUsed(a, b, 100, 0);
    }

    function test_settle__refused_for_another_reason__uses_nothing() external {
        uint32[] memory versions = firstVersions(2);
        versions[0] = VERSION;
        suspend(b, c, adminOf[c]);
        expectSettleRefused(
            pathOf(3),
            versions,
            list(word(1, SWAP, 50)),
            abi.encodeWithSelector(IPointsExchange.NotInForce.selector, address(b), address(c), uint32(1))
        );
        expectUsed(a, b, 0, 0);
    }

    function test_caps__zero__close_the_direction_to_either() external {
        agree(b, a, capped(0, 0));
        give(b, 1, 10);
        hold(b, wallet, 10);
        expectSettleRefused(
            pathOf(b, a),
            list(word(1, SWAP, 1)),
            abi.encodeWithSelector(IPointsExchange.OverCap.selector, address(b), address(a), false, 0, 0, 1)
        );
        expectSwapRefused(
            pathOf(b, a),
            1,
            abi.encodeWithSelector(IPointsExchange.OverCap.selector, address(b), address(a), true, 0, 0, 1)
        );
    }

    /// A batch can carry more than a cap can say.
    function test_settle__more_than_any_cap__reverts_with_the_whole_sum() external {
        give(tokens[3], 1, MOST);
        wait(1); // for the bucket of what may be issued
        give(tokens[3], 1, MOST);
        expectSettleRefused(
            pathOf(tokens[3], tokens[4]),
            list(word(1, SWAP, MOST), word(1, SWAP, MOST)),
            abi.encodeWithSelector(
                IPointsExchange.OverCap.selector, pathAt(3), pathAt(4), false, MOST, 0, 2 * uint256(MOST)
            )
        );
        settle(pathOf(tokens[3], tokens[4]), list(word(1, SWAP, MOST)));
        expectUsed(tokens[3], tokens[4], MOST, 0);
    }

    // ------------------------------------------------------------ paths and directions

    function test_settle__a_later_hop__is_charged_what_arrives_there() external {
        agree(c, a, 1, 3, PRICE);
        give(c, 1, 100);
        address[] memory path = new address[](3);
        (path[0], path[1], path[2]) = (address(c), address(a), address(b));
        uint32[] memory versions = firstVersions(2);
        versions[1] = VERSION;
        expectSettleRefused(path, versions, list(word(1, SWAP, 34)), overCap(false, 100, 0, 102));

        vm.prank(OPERATOR);
        exchange.settle(path, versions, 1, soon(), list(word(1, SWAP, 33)));
        expectUsed(c, a, 33, 0);
        expectUsed(a, b, 99, 0);
    }

    function test_swap__a_later_hop__is_charged_what_arrives_there() external {
        agree(c, a, 1, 3, PRICE);
        hold(c, wallet, 100);
        address[] memory path = new address[](3);
        (path[0], path[1], path[2]) = (address(c), address(a), address(b));
        expectSwapRefused(path, 21, overCap(true, 60, 0, 63));
        swap(wallet, path, 20);
        expectUsed(c, a, 0, 20);
        expectUsed(a, b, 0, 60);
    }

    function test_settle__paths_that_share_a_direction__share_its_cap() external {
        settleManaged(60);
        uint32[] memory versions = firstVersions(2);
        versions[0] = VERSION;
        expectSettleRefused(pathOf(3), versions, list(word(1, SWAP, 41)), overCap(false, 100, 60, 41));
    }

    function test_settle__other_directions__are_not_touched() external {
        agree(b, a, capped(100, 60));
        settleManaged(100);
        give(b, 1, 100);
        settle(pathOf(b, a), list(word(1, SWAP, 100)));
        expectUsed(a, b, 100, 0);
        expectUsed(b, a, 100, 0);
        expectUsed(a, c, 0, 0);
    }

    // ------------------------------------------------------------ periods

    function test_caps__new_period__begin_anew_and_not_a_second_earlier() external {
        settleManaged(100);
        swap(wallet, pathOf(2), 60);
        uint256 next = (block.timestamp / CAP_PERIOD + 1) * CAP_PERIOD;
        vm.warp(next - 1);
        expectUsed(a, b, 100, 60);
        expectManagedOverCap(100, 100, 1);
        expectSwapRefused(pathOf(2), 1, overCap(true, 60, 60, 1));

        vm.warp(next);
        expectUsed(a, b, 0, 0);
        swap(wallet, pathOf(2), 60);
        expectUsed(a, b, 0, 60);
        settleManaged(100);
        expectUsed(a, b, 100, 60);
    }

    function test_caps__version_changed_within_a_period__keep_what_was_used() external {
        propose(a, b, capped(90, 50));
        consent(a, b, VERSION + 1);
        uint256 start = block.timestamp + NOTICE;
        vm.assertEq((start - 1) / CAP_PERIOD, start / CAP_PERIOD);

        vm.warp(start - 1);
        settleManaged(80);
        swap(wallet, pathOf(2), 55);
        vm.warp(start);
        expectUsed(a, b, 80, 55);
        expectSettleRefused(
            pathOf(2), versionsOf(VERSION + 1), list(word(1, SWAP, 11)), overCap(false, 90, 80, 11)
        );
        expectSwapRefused(pathOf(2), 1, overCap(true, 50, 55, 1));
    }

    function test_caps__suspended_and_agreed_anew_within_a_period__keep_what_was_used() external {
        suspend(a, b, adminOf[a]);
        propose(a, b, capped(90, 50));
        consent(a, b, VERSION + 1);
        vm.warp(block.timestamp + NOTICE);
        vm.prank(OPERATOR);
        exchange.settle(pathOf(2), versionsOf(VERSION + 1), 1, soon(), list(word(1, SWAP, 80)));
        suspend(a, b, adminOf[a]);
        expectUsed(a, b, 80, 0);
    }

    /// "Used are the points of this period", counted in plain variables.
    function testFuzz_caps__any_history__is_what_plain_counting_says(uint256 seed) external {
        uint256[2] memory used;
        uint256 period = block.timestamp / CAP_PERIOD;
        for (uint256 step; step < 24; ++step) {
            uint256 dice = uint256(keccak256(abi.encode(seed, step)));
            vm.warp(block.timestamp + (dice >> 8) % (CAP_PERIOD / 4));
            if (block.timestamp / CAP_PERIOD != period) {
                period = block.timestamp / CAP_PERIOD;
                used = [uint256(0), 0];
            }
            bool held = dice % 2 == 0;
            uint256 amount = 1 + (dice >> 64) % 50;
            uint256 cap = held ? WALLET_CAP : MANAGED_CAP;
            uint256 before = used[held ? 1 : 0];
            if (before + amount > cap) {
                if (held) expectSwapRefused(pathOf(2), amount, overCap(true, cap, before, amount));
                else expectManagedOverCap(cap, before, uint48(amount));
            } else {
                if (held) swap(wallet, pathOf(2), amount);
                else settleManaged(uint48(amount));
                used[held ? 1 : 0] += amount;
            }
            expectUsed(a, b, used[0], used[1]);
        }
    }

    // ------------------------------------------------------------ lowering

    function test_lowerCaps__admin_or_guardian_of_either_side__lowers_at_once() external {
        address[4] memory callers = [adminOf[a], guardianOf[a], adminOf[b], guardianOf[b]];
        for (uint48 i; i < callers.length; ++i) {
            (uint48 managedCap, uint48 walletCap) = (90 - i, 50 - i);
            vm.expectEmit(address(exchange));
            emit IPointsExchange.CapsLowered(address(a), address(b), VERSION, managedCap, walletCap, callers[i]);
            lower(callers[i], managedCap, walletCap);
            expectManagedOverCap(managedCap, 0, managedCap + 1);
            expectSwapRefused(pathOf(2), walletCap + 1, overCap(true, walletCap, 0, walletCap + 1));
            vm.assertEq(
                abi.encode(exchange.termsOf(address(a), address(b), VERSION)),
                abi.encode(capped(managedCap, walletCap))
            );
        }
    }

    function test_lowerCaps__below_what_was_used__lets_nothing_more_through() external {
        settleManaged(80);
        swap(wallet, pathOf(2), 40);
        lower(guardianOf[b], 50, 30);
        expectUsed(a, b, 80, 40);
        expectManagedOverCap(50, 80, 1);
        expectSwapRefused(pathOf(2), 1, overCap(true, 30, 40, 1));
    }

    function test_lowerCaps__one_of_the_two__leaves_the_other() external {
        lower(guardianOf[b], MANAGED_CAP, 0);
        settleManaged(100);
        expectSwapRefused(pathOf(2), 1, overCap(true, 0, 0, 1));
    }

    function testFuzz_lowerCaps__any_two_numbers__lower_or_revert(uint48 managedCap, uint48 walletCap) external {
        (managedCap, walletCap) = (managedCap % (2 * MANAGED_CAP), walletCap % (2 * WALLET_CAP));
        if (managedCap > MANAGED_CAP) expectNotLower(MANAGED_CAP, managedCap);
        else if (walletCap > WALLET_CAP) expectNotLower(WALLET_CAP, walletCap);
        bool lowers = managedCap <= MANAGED_CAP && walletCap <= WALLET_CAP;
        lower(adminOf[a], managedCap, walletCap);
        vm.assertEq(
            abi.encode(exchange.termsOf(address(a), address(b), VERSION)),
            abi.encode(lowers ? capped(managedCap, walletCap) : capped(MANAGED_CAP, WALLET_CAP))
        );
    }

    function test_lowerCaps__then_back__reverts() external {
        lower(adminOf[a], 50, 30);
        expectNotLower(50, 51);
        lower(adminOf[a], 51, 30);
        expectNotLower(30, 31);
        lower(adminOf[a], 50, 31);
    }

    function test_lowerCaps__unknown_version__cannot_give_it_caps() external {
        expectNotLower(0, 1);
        vm.prank(adminOf[a]);
        exchange.lowerCaps(address(a), address(b), VERSION + 1, 1, 0);
    }

    function test_lowerCaps__of_one_version__leaves_the_others() external {
        vm.prank(adminOf[a]);
        exchange.lowerCaps(address(a), address(b), 1, 0, 0);
        settleManaged(100);
        swap(wallet, pathOf(2), 60);
    }

    function test_lowerCaps__of_a_waiting_version__holds_when_it_begins() external {
        propose(a, b, capped(90, 50));
        consent(a, b, VERSION + 1);
        vm.prank(guardianOf[b]);
        exchange.lowerCaps(address(a), address(b), VERSION + 1, 9, 5);
        settleManaged(100);
        vm.warp(block.timestamp + NOTICE);
        expectSettleRefused(
            pathOf(2), versionsOf(VERSION + 1), list(word(1, SWAP, 10)), overCap(false, 9, 0, 10)
        );
    }

    function testFuzz_lowerCaps__anybody_else__reverts(address caller) external {
        vm.assume(caller != adminOf[a] && caller != adminOf[b]);
        vm.assume(caller != guardianOf[a] && caller != guardianOf[b]);
        vm.expectRevert(abi.encodeWithSelector(IPointsExchange.NotProgramAdmin.selector, caller));
        lower(caller, 0, 0);
    }

    function test_lowerCaps__exchange_admin_operator_and_another_program__revert() external {
        address[3] memory callers = [EXCHANGE_ADMIN, OPERATOR, adminOf[c]];
        for (uint256 i; i < callers.length; ++i) {
            vm.expectRevert(abi.encodeWithSelector(IPointsExchange.NotProgramAdmin.selector, callers[i]));
            lower(callers[i], 0, 0);
        }
    }

    function test_lowerCaps__program_not_admitted__reverts() external {
        IToken token = newToken(STRANGER, false);
        vm.expectRevert(abi.encodeWithSelector(IPointsExchange.NotAdmitted.selector, address(token)));
        vm.prank(STRANGER);
        exchange.lowerCaps(address(token), address(a), 1, 0, 0);
        vm.expectRevert(abi.encodeWithSelector(IPointsExchange.NotAdmitted.selector, address(token)));
        vm.prank(STRANGER);
        exchange.lowerCaps(address(a), address(token), 1, 0, 0);
    }

    // ------------------------------------------------------------ helpers

    function settleManaged(uint48 amount) private {
        settleLegs(list(word(1, SWAP, amount)));
    }

    function settleLegs(bytes32[] memory legs) private {
        uint64 next = exchange.sequenceOf(exchange.pathId(pathOf(2))) + 1;
        vm.prank(OPERATOR);
        exchange.settle(pathOf(2), versionsOf(VERSION), next, soon(), legs);
    }

    function lower(address caller, uint48 managedCap, uint48 walletCap) private {
        vm.prank(caller);
        exchange.lowerCaps(address(a), address(b), VERSION, managedCap, walletCap);
    }

    function overCap(bool held, uint256 cap, uint256 used, uint256 amount) private view returns (bytes memory) {
        return abi.encodeWithSelector(
            IPointsExchange.OverCap.selector, address(a), address(b), held, cap, used, amount
        );
    }

    function expectManagedOverCap(uint256 cap, uint256 used, uint48 amount) private {
        expectRefused(list(word(1, SWAP, amount)), overCap(false, cap, used, amount));
    }

    function expectRefused(bytes32[] memory legs, bytes memory error_) private {
        expectSettleRefused(pathOf(2), versionsOf(VERSION), legs, error_);
    }

    function expectNotLower(uint256 current, uint256 given) private {
        vm.expectRevert(abi.encodeWithSelector(IPointsExchange.NotLower.selector, current, given));
    }

    function pathAt(uint256 index) private view returns (address) {
        return address(tokens[index]);
    }
}
