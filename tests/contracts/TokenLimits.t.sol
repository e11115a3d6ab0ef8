// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {IPointsToken} from "sarraf/interfaces/IPointsToken.sol";
import {IPowers} from "sarraf/interfaces/IPowers.sol";
import {IToken} from "./IToken.sol";
import {vm} from "./Vm.sol";
import {World} from "./World.sol";

/// The three limits of a token: what they let through, what they are charged, and who may change them.
contract TokenLimitsTest is World {
    uint8 private constant LIMITS = 3;
    uint8 private constant ADJUSTMENT_DOWN = 21;
    uint48 private constant CAPACITY = 1_000;
    uint48 private constant REFILL = 10;
    uint48 private constant HELD = 1_000_000;
    uint256 private constant MEMBER = 1;
    address private constant WALLET = address(0xF1);

    IToken private token;
    address private admin;
    address private guardian;

    /// A token whose three limits are equally narrow, with a member who has points and a wallet.
    function setUp() public override {
        super.setUp();
        IPointsToken.Setup memory setup = defaultSetup(address(0xAD99));
        setup.issuance = setup.redemption = setup.release = IPointsToken.Bounds(CAPACITY, REFILL);
        token = newToken(setup);
        (admin, guardian) = (setup.admin, setup.guardian);
        mint(MEMBER, HELD);
        bind(token, MEMBER, WALLET);
    }

    // ------------------------------------------------------------ what passes

    function test_limitOf__at_first__is_full() external view {
        for (uint8 i; i < LIMITS; ++i) assertLimit(i, CAPACITY, REFILL, CAPACITY);
    }

    function test_post__exactly_what_is_available__passes_and_leaves_nothing() external {
        for (uint8 i; i < LIMITS; ++i) {
            use(i, CAPACITY);
            assertAvailable(i, 0);
        }
    }

    function test_post__a_point_too_much__reverts_with_the_numbers() external {
        for (uint8 i; i < LIMITS; ++i) {
            expectOverLimit(i, CAPACITY + 1, CAPACITY);
            use(i, 400);
            expectOverLimit(i, 601, 600);
            use(i, 600);
            expectOverLimit(i, 1, 0);
        }
    }

    function testFuzz_post__any_amounts__pass_or_revert_by_what_is_left(uint48 first, uint48 second) external {
        for (uint8 i; i < LIMITS; ++i) {
            uint48 used = 1 + first % CAPACITY;
            uint48 left = CAPACITY - used;
            uint48 wanted = 1 + second % CAPACITY;
            use(i, used);
            if (wanted > left) expectOverLimit(i, wanted, left);
            else use(i, wanted);
            assertAvailable(i, wanted > left ? left : left - wanted);
        }
    }

    function test_post__several_words__are_charged_with_their_sum() external {
        for (uint8 i; i < LIMITS; ++i) {
            expectOver(i, list(wordFor(i, 500), wordFor(i, 400), wordFor(i, 101)), 1_001, CAPACITY);
            post(token, list(wordFor(i, 500), wordFor(i, 400), wordFor(i, 100)));
            assertAvailable(i, 0);
        }
    }

    function test_post__each_kind_of_credit_and_debit__is_charged() external {
        for (uint8 kind = EARN; kind <= 4; ++kind) post(token, list(word(MEMBER, kind, 100)));
        assertAvailable(0, 600);
        for (uint8 kind = REDEMPTION; kind <= ADJUSTMENT_DOWN; ++kind) post(token, list(word(MEMBER, kind, 100)));
        assertAvailable(1, 500);
    }

    function test_post__use_of_one_limit__leaves_the_others() external {
        for (uint8 i; i < LIMITS; ++i) {
            use(i, 700);
            for (uint8 other; other < LIMITS; ++other) assertAvailable(other, other > i ? CAPACITY : 300);
        }
    }

    function test_post__one_batch_for_all__is_charged_to_each() external {
        post(token, list(wordFor(0, 100), wordFor(1, 200), wordFor(2, 300)));
        assertAvailable(0, 900);
        assertAvailable(1, 800);
        assertAvailable(2, 700);
    }

    function test_post__skipped_words__are_not_charged() external {
        post(token, list(word(404, REDEMPTION, 5), releaseWord(404, 5), word(MEMBER, RELEASE, 1)));
        assertAvailable(1, CAPACITY);
        assertAvailable(2, CAPACITY - 1);
        post(token, list(word(404, REDEMPTION, CAPACITY + 1), releaseWord(MEMBER, HELD)));
        assertAvailable(1, CAPACITY);
        assertAvailable(2, CAPACITY - 1);
    }

    function test_limits__swaps_and_what_holders_do__are_not_charged() external {
        use(2, 500);
        vm.prank(address(exchange));
        token.burnLegs(list(word(MEMBER, SWAP, 5_000)));
        vm.prank(address(exchange));
        token.mintLegs(list(word(MEMBER, SWAP, 5_000)));
        vm.prank(address(exchange));
        token.mintHeld(WALLET, 5_000);
        vm.prank(address(exchange));
        token.burnHeld(WALLET, 2_000);
        vm.prank(WALLET);
        token.redeem(2_000, 1);
        vm.prank(WALLET);
        token.deposit(referenceOf(MEMBER), 1_500);
        assertAvailable(0, CAPACITY);
        assertAvailable(1, CAPACITY);
        assertAvailable(2, 500);
    }

    // ------------------------------------------------------------ refilling

    function test_refill__some_seconds__bring_back_as_many_times_the_refill() external {
        for (uint8 i; i < LIMITS; ++i) use(i, CAPACITY);
        wait(7);
        for (uint8 i; i < LIMITS; ++i) {
            assertAvailable(i, 70);
            expectOverLimit(i, 71, 70);
            use(i, 70);
        }
        wait(1);
        for (uint8 i; i < LIMITS; ++i) expectOverLimit(i, 11, 10);
    }

    function test_refill__a_long_time__fills_to_the_capacity_and_no_further() external {
        for (uint8 i; i < LIMITS; ++i) use(i, CAPACITY);
        wait(99);
        for (uint8 i; i < LIMITS; ++i) assertAvailable(i, 990);
        wait(1);
        for (uint8 i; i < LIMITS; ++i) assertAvailable(i, CAPACITY);
        wait(10_000 days);
        for (uint8 i; i < LIMITS; ++i) {
            assertAvailable(i, CAPACITY);
            expectOverLimit(i, CAPACITY + 1, CAPACITY);
        }
    }

    function test_refill__none__lets_through_the_capacity_once_for_ever() external {
        for (uint8 i; i < LIMITS; ++i) {
            lower(guardian, i, CAPACITY, 0);
            use(i, CAPACITY);
        }
        wait(10_000 days);
        for (uint8 i; i < LIMITS; ++i) expectOverLimit(i, 1, 0);
    }

    /// A history of uses and waits against one that is counted second by second.
    function testFuzz_refill__any_history__is_what_a_clock_counts(uint256 seed) external {
        uint256[LIMITS] memory level = [uint256(CAPACITY), CAPACITY, CAPACITY];
        for (uint256 step; step < 20; ++step) {
            uint256 dice = uint256(keccak256(abi.encode(seed, step)));
            uint256 time = (dice >> 8) % 30;
            wait(time);
            for (uint256 second; second < time; ++second) {
                for (uint8 i; i < LIMITS; ++i) level[i] = least(CAPACITY, level[i] + REFILL);
            }
            uint8 used = uint8(dice % LIMITS);
            uint48 amount = uint48(1 + (dice >> 16) % 500);
            if (amount > level[used]) {
                expectOverLimit(used, amount, level[used]);
            } else {
                use(used, amount);
                level[used] -= amount;
            }
            for (uint8 i; i < LIMITS; ++i) assertAvailable(i, level[i]);
        }
    }

    // ------------------------------------------------------------ edges

    function test_edge__the_widest_limits__pass_what_a_word_carries_once_a_second() external {
        for (uint8 i; i < LIMITS; ++i) {
            enact(admin, token, change(i, MOST, MOST));
            wait(1);
            assertLimit(i, MOST, MOST, MOST);
        }
        mint(MEMBER, MOST);
        for (uint8 i; i < LIMITS; ++i) {
            use(i, MOST);
            expectOverLimit(i, 1, 0);
        }
        wait(1);
        for (uint8 i; i < LIMITS; ++i) assertAvailable(i, MOST);
    }

    function test_edge__two_words_of_the_most__are_over_every_limit() external {
        enact(admin, token, change(0, MOST, MOST));
        enact(admin, token, change(1, MOST, MOST));
        enact(admin, token, change(2, MOST, MOST));
        wait(1);
        for (uint256 i; i < 4; ++i) mint(MEMBER, MOST);
        for (uint8 i; i < LIMITS; ++i) {
            expectOver(i, list(wordFor(i, MOST), wordFor(i, MOST)), 2 * uint256(MOST), MOST);
        }
    }

    function test_edge__a_full_refill_after_a_century__does_not_overflow() external {
        IPointsToken.Setup memory setup = defaultSetup(address(0xAD98));
        vm.warp(1);
        token = newToken(setup);
        give(token, MEMBER, MOST);
        vm.warp(type(uint32).max);
        for (uint8 i; i < LIMITS; ++i) assertAvailable(i, MOST);
        post(token, list(word(MEMBER, REDEMPTION, MOST)));
        give(token, MEMBER, MOST);
    }

    function test_edge__the_last_second_that_is_counted__is_stored_like_any_other() external {
        vm.warp(uint256(type(uint32).max) - 1);
        for (uint8 i; i < LIMITS; ++i) use(i, CAPACITY);
        vm.warp(type(uint32).max);
        for (uint8 i; i < LIMITS; ++i) {
            assertAvailable(i, REFILL);
            use(i, REFILL);
            assertAvailable(i, 0);
        }
    }

    function test_edge__no_capacity__lets_nothing_through() external {
        for (uint8 i; i < LIMITS; ++i) {
            lower(guardian, i, 0, REFILL);
            wait(1 days);
            expectOverLimit(i, 1, 0);
        }
    }

    // ------------------------------------------------------------ lowering

    function test_setLimit__lower__guardian_and_admin_at_once() external {
        for (uint8 i; i < LIMITS; ++i) {
            lower(guardian, i, CAPACITY - 1, REFILL);
            assertLimit(i, CAPACITY - 1, REFILL, CAPACITY - 1);
            lower(admin, i, CAPACITY - 1, REFILL - 1);
            assertLimit(i, CAPACITY - 1, REFILL - 1, CAPACITY - 1);
            lower(guardian, i, 0, 0);
            assertLimit(i, 0, 0, 0);
        }
    }

    function test_setLimit__the_same_again__is_no_raise() external {
        for (uint8 i; i < LIMITS; ++i) {
            use(i, 10);
            lower(guardian, i, CAPACITY, REFILL);
            assertLimit(i, CAPACITY, REFILL, CAPACITY - 10);
        }
    }

    function test_setLimit__lower__says_so_with_what_is_available() external {
        for (uint8 i; i < LIMITS; ++i) {
            use(i, 900);
            wait(3);
            vm.expectEmit(address(token));
            emit IPointsToken.LimitChanged(IPointsToken.Limit(i), 500, 7, 130);
            lower(guardian, i, 500, 7);
            vm.expectEmit(address(token));
            emit IPointsToken.LimitChanged(IPointsToken.Limit(i), 100, 7, 100);
            lower(guardian, i, 100, 7);
            use(i, 100);
        }
    }

    function testFuzz_setLimit__anybody_else__reverts(address caller, uint48 capacity, uint48 refill) external {
        vm.assume(caller != admin && caller != guardian);
        for (uint8 i; i < LIMITS; ++i) {
            vm.expectRevert(abi.encodeWithSelector(IPointsToken.NotGuardian.selector, caller));
            lower(caller, i, capacity, refill);
        }
    }

    // ------------------------------------------------------------ raising

    function test_setLimit__raise_by_the_guardian__reverts() external {
        for (uint8 i; i < LIMITS; ++i) {
            bytes memory notAdmin = abi.encodeWithSelector(IPowers.NotAdmin.selector, guardian);
            vm.expectRevert(notAdmin);
            lower(guardian, i, CAPACITY + 1, REFILL);
            vm.expectRevert(notAdmin);
            lower(guardian, i, CAPACITY, REFILL + 1);
            vm.expectRevert(notAdmin);
            lower(guardian, i, 0, REFILL + 1);
        }
    }

    function test_setLimit__raise_of_either_number_without_announcement__reverts() external {
        for (uint8 i; i < LIMITS; ++i) {
            expectNotAnnounced(change(i, CAPACITY + 1, REFILL));
            expectNotAnnounced(change(i, CAPACITY, REFILL + 1));
            expectNotAnnounced(change(i, 0, REFILL + 1));
            expectNotAnnounced(change(i, CAPACITY + 1, 0));
        }
    }

    function test_setLimit__raise_before_its_time_and_after_its_window__reverts() external {
        for (uint8 i; i < LIMITS; ++i) {
            bytes memory call = change(i, CAPACITY + 1, REFILL + 1);
            uint256 ready = block.timestamp + DELAY;
            announce(admin, token, call);
            vm.warp(ready - 1);
            vm.expectRevert(abi.encodeWithSelector(IPowers.TooEarly.selector, ready, ready - 1));
            make(admin, token, call);
            vm.warp(ready + WINDOW + 1);
            vm.expectRevert(abi.encodeWithSelector(IPowers.TooLate.selector, ready + WINDOW, ready + WINDOW + 1));
            make(admin, token, call);
        }
    }

    function test_setLimit__raise_in_its_window__is_done_once() external {
        for (uint8 i; i < LIMITS; ++i) {
            use(i, CAPACITY);
            bytes memory call = change(i, CAPACITY + 5, REFILL + 1);
            announceAndWait(admin, token, call);
            vm.expectEmit(address(token));
            emit IPointsToken.LimitChanged(IPointsToken.Limit(i), CAPACITY + 5, REFILL + 1, CAPACITY);
            make(admin, token, call);
            assertLimit(i, CAPACITY + 5, REFILL + 1, CAPACITY);
            wait(1);
            assertAvailable(i, CAPACITY + 5);
            lower(guardian, i, 1, 1);
            expectNotAnnounced(call);
        }
    }

    /// Else what was announced in quiet times, or by a thief ahead of time, could undo a lowering at once.
    function test_setLimit__raise_announced_before_a_lowering__is_overruled() external {
        for (uint8 i; i < LIMITS; ++i) {
            bytes memory call = change(i, CAPACITY + 5, REFILL);
            uint256 announcedAt = block.timestamp;
            announceAndWait(admin, token, call);
            lower(guardian, i, 1, 1);
            vm.assertEq(token.loweredAt(IPointsToken.Limit(i)), block.timestamp);
            vm.expectRevert(
                abi.encodeWithSelector(IPointsToken.Overruled.selector, announcedAt, block.timestamp)
            );
            make(admin, token, call);
            assertLimit(i, 1, 1, 1);
        }
    }

    function test_setLimit__raise_announced_after_a_lowering__is_done() external {
        for (uint8 i; i < LIMITS; ++i) {
            lower(guardian, i, 1, 1);
            bytes memory call = change(i, CAPACITY + 5, REFILL);
            announceAndWait(admin, token, call);
            make(admin, token, call);
            (uint48 capacity,,) = token.limitOf(IPointsToken.Limit(i));
            vm.assertEq(uint256(capacity), CAPACITY + 5);
        }
    }

    // ------------------------------------------------------------ changing never refills

    function test_setLimit__raised_capacity__is_not_filled_at_once() external {
        for (uint8 i; i < LIMITS; ++i) {
            lower(admin, i, CAPACITY, 0);
            use(i, CAPACITY);
            enact(admin, token, change(i, 2 * CAPACITY, 0));
            assertLimit(i, 2 * CAPACITY, 0, 0);
            expectOverLimit(i, 1, 0);
        }
    }

    function test_setLimit__capacity_down_and_up_again__does_not_bring_back_what_was_cut() external {
        for (uint8 i; i < LIMITS; ++i) {
            lower(guardian, i, 100, 0);
            enact(admin, token, change(i, CAPACITY, 0));
            assertLimit(i, CAPACITY, 0, 100);
        }
    }

    function test_setLimit__raised_refill__does_not_count_for_the_past() external {
        for (uint8 i; i < LIMITS; ++i) {
            lower(guardian, i, CAPACITY, 0);
            use(i, CAPACITY);
            bytes memory call = change(i, CAPACITY, 500);
            announceAndWait(admin, token, call);
            make(admin, token, call);
            assertAvailable(i, 0);
            wait(1);
            assertAvailable(i, 500);
        }
    }

    function test_setLimit__lowered_refill__keeps_what_came_back_before() external {
        for (uint8 i; i < LIMITS; ++i) {
            use(i, CAPACITY);
            wait(10);
            lower(guardian, i, CAPACITY, 1);
            assertAvailable(i, 100);
            wait(10);
            assertAvailable(i, 110);
        }
    }

    /// Whatever is changed to whatever, what is available right after is at most what was right before.
    function testFuzz_setLimit__any_change__never_refills(
        uint8 limit,
        uint48 used,
        uint16 time,
        uint48 capacity,
        uint48 refill
    ) external {
        limit %= LIMITS;
        use(limit, 1 + used % CAPACITY);
        bytes memory call = change(limit, capacity, refill);
        announceAndWait(admin, token, call);
        use(limit, CAPACITY);
        wait(time % 120);
        (,, uint256 before) = token.limitOf(IPointsToken.Limit(limit));
        make(admin, token, call);
        assertLimit(limit, capacity, refill, least(before, capacity));
    }

    function testFuzz_setLimit__one_limit__leaves_the_others(uint8 limit, uint48 capacity, uint48 refill) external {
        limit %= LIMITS;
        for (uint8 i; i < LIMITS; ++i) use(i, 100 + 100 * uint48(i));
        wait(1);
        lower(guardian, limit, capacity % CAPACITY, refill % REFILL);
        for (uint8 i; i < LIMITS; ++i) {
            if (i != limit) assertLimit(i, CAPACITY, REFILL, CAPACITY - 90 - 100 * uint256(i));
        }
    }

    // ------------------------------------------------------------ helpers

    function use(uint8 limit, uint48 amount) private {
        post(token, list(wordFor(limit, amount)));
    }

    /// The word that is charged to a limit.
    function wordFor(uint8 limit, uint48 amount) private pure returns (bytes32) {
        uint8[LIMITS] memory kinds = [EARN, REDEMPTION, RELEASE];
        return word(MEMBER, kinds[limit], amount);
    }

    /// Points from nowhere: the exchange's mint is charged to no limit of the token.
    function mint(uint256 holder, uint48 amount) private {
        vm.prank(address(exchange));
        token.mintLegs(list(word(holder, SWAP, amount)));
    }

    function change(uint8 limit, uint48 capacity, uint48 refill) private pure returns (bytes memory) {
        return abi.encodeCall(IPointsToken.setLimit, (IPointsToken.Limit(limit), capacity, refill));
    }

    function lower(address by, uint8 limit, uint48 capacity, uint48 refill) private {
        make(by, token, change(limit, capacity, refill));
    }

    function least(uint256 one, uint256 other) private pure returns (uint256) {
        return one < other ? one : other;
    }

    function expectOverLimit(uint8 limit, uint48 amount, uint256 available) private {
        expectOver(limit, list(wordFor(limit, amount)), amount, available);
    }

    function expectOver(uint8 limit, bytes32[] memory words, uint256 amount, uint256 available) private {
        expectPostRefused(
            token, words, abi.encodeWithSelector(IPointsToken.OverLimit.selector, limit, amount, available)
        );
    }

    function expectNotAnnounced(bytes memory call) private {
        vm.expectRevert(abi.encodeWithSelector(IPowers.NotAnnounced.selector, keccak256(call)));
        make(admin, token, call);
    }

    function assertAvailable(uint8 limit, uint256 expected) private view {
        (,, uint256 available) = token.limitOf(IPointsToken.Limit(limit));
        vm.assertEq(available, expected);
    }

    function assertLimit(uint8 limit, uint48 capacity, uint48 refill, uint256 available) private view {
        (uint48 capacity_, uint48 refill_, uint256 available_) = token.limitOf(IPointsToken.Limit(limit));
        vm.assertEq(uint256(capacity_), capacity);
        vm.assertEq(uint256(refill_), refill);
        vm.assertEq(available_, available);
    }
}
