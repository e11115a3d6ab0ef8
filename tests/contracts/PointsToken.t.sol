// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {IPointsToken} from "sarraf/interfaces/IPointsToken.sol";
import {IPowers} from "sarraf/interfaces/IPowers.sol";
import {IToken} from "./IToken.sol";
import {vm} from "./Vm.sol";
import {World} from "./World.sol";

/// Deployment, posting and the exchange's calls. Limits, powers, wallets and signatures have files of their own.
contract PointsTokenTest is World {
    event Transfer(address indexed from, address indexed to, uint256 amount);

    address private constant HOLDER = address(0xF1);

    // ------------------------------------------------------------ deployment

    function test_constructor__good_arguments__are_what_the_views_say() external {
        IToken token = newToken(goodSetup());
        vm.assertEq(token.name(), "Miles");
        vm.assertEq(token.symbol(), "MLS");
        vm.assertEq(token.issuer(), address(1));
        vm.assertEq(token.standby(), address(2));
        vm.assertEq(token.guardian(), address(3));
        vm.assertEq(token.admin(), address(4));
        vm.assertEq(token.exchange(), address(5));
        vm.assertTrue(token.transferable());
        vm.assertEq(token.delay(), 6);
        vm.assertEq(token.nominee(), address(0));
        vm.assertFalse(token.paused());
        vm.assertEq(uint256(token.decimals()), 0);
        vm.assertEq(uint256(token.sequence()), 0);
        vm.assertEq(token.totalSupply(), 0);
        vm.assertEq(token.WORDS_MAX(), 2_048);
    }

    function test_constructor__good_arguments__are_what_the_limits_say() external {
        IToken token = newToken(goodSetup());
        for (uint8 i; i < 3; ++i) {
            (uint48 capacity, uint48 refill, uint256 available) = token.limitOf(IPointsToken.Limit(i));
            vm.assertEq(uint256(capacity), 10 + 2 * uint256(i));
            vm.assertEq(uint256(refill), 11 + 2 * uint256(i));
            vm.assertEq(available, 10 + 2 * uint256(i));
        }
    }

    function test_constructor__a_needed_address_is_zero__reverts() external {
        IPointsToken.Setup memory setup = goodSetup();
        setup.issuer = address(0);
        expectZeroAddress(setup);
        setup = goodSetup();
        setup.guardian = address(0);
        expectZeroAddress(setup);
        setup = goodSetup();
        setup.admin = address(0);
        expectZeroAddress(setup);
        setup = goodSetup();
        setup.exchange = address(0);
        expectZeroAddress(setup);
    }

    function test_constructor__no_standby__is_deployed() external {
        IPointsToken.Setup memory setup = goodSetup();
        setup.standby = address(0);
        vm.assertEq(newToken(setup).standby(), address(0));
    }

    function test_constructor__standby_is_the_issuer__reverts() external {
        IPointsToken.Setup memory setup = goodSetup();
        setup.standby = setup.issuer;
        vm.expectRevert(abi.encodeWithSelector(IPointsToken.NoSuchStandby.selector, setup.issuer));
        this.deploy(setup);
    }

    function test_constructor__longest_delay__is_a_year_and_not_a_second_more() external {
        IPointsToken.Setup memory setup = goodSetup();
        setup.delay = 365 days;
        vm.assertEq(newToken(setup).delay(), 365 days);
        setup.delay = 365 days + 1;
        vm.expectRevert(abi.encodeWithSelector(IPowers.DelayTooLong.selector, 365 days, 365 days + 1));
        this.deploy(setup);
    }

    function testFuzz_accountOf__any_reference__is_the_hash_of_token_and_reference(bytes20 reference_) external view {
        bytes32 hash = keccak256(abi.encodePacked(address(a), reference_));
        vm.assertEq(a.accountOf(reference_), address(uint160(uint256(hash))));
    }

    // ------------------------------------------------------------ posting: what is posted

    function test_post__credits_and_debits__moves_points_and_reports_the_batch() external {
        bytes32[] memory words = list(word(1, EARN, 70), word(2, BONUS, 5), word(1, REDEMPTION, 30));

        vm.expectEmit(address(a));
        emit Transfer(address(0), account(a, 1), 70);
        vm.expectEmit(address(a));
        emit Transfer(address(0), account(a, 2), 5);
        vm.expectEmit(address(a));
        emit Transfer(account(a, 1), address(0), 30);
        vm.expectEmit(address(a));
        emit IPointsToken.Posted(1, keccak256(abi.encodePacked(words)), 75, 30);
        post(a, words);

        vm.assertEq(balance(a, 1), 40);
        vm.assertEq(balance(a, 2), 5);
        vm.assertEq(a.totalSupply(), 45);
        vm.assertEq(uint256(a.sequence()), 1);
    }

    function test_post__every_kind__is_a_credit_a_debit_a_wallets_or_refused() external {
        give(a, 1, 1_000);
        uint256 expected = 1_000;
        for (uint256 kind; kind < 256; ++kind) {
            if (kind == RELEASE || kind == BIND) continue;
            bytes32[] memory words = list(word(1, uint8(kind), 3));
            uint64 next = a.sequence() + 1;
            if (kind >= 1 && kind <= 4) expected += 3;
            else if (kind >= 17 && kind <= 21) expected -= 3;
            else vm.expectRevert(abi.encodeWithSelector(IPointsToken.WrongKind.selector, 0, kind));
            vm.prank(ISSUER);
            a.post(next, FOREVER, words);
            vm.assertEq(balance(a, 1), expected);
        }
    }

    /// Three words of any kinds: posted when they stand in order, else refused at the first that is out of place.
    function testFuzz_post__any_three_kinds__stand_in_order_or_are_refused(uint8 one, uint8 two, uint8 three) external {
        uint8[3] memory kinds = [one % 52, two % 52, three % 52];
        bytes32[] memory words = new bytes32[](3);
        for (uint256 i; i < 3; ++i) words[i] = word(1, kinds[i], 1);
        uint256 wrong = firstOutOfPlace(kinds);
        if (wrong == 3) post(a, words);
        else if (kinds[wrong] == BIND) expectPostRefused(a, words, wrongBinding(wrong)); // its amount is not 0
        else expectPostRefused(a, words, wrongKind(wrong, kinds[wrong]));
    }

    function test_post__debit_of_what_the_batch_itself_credits__is_posted() external {
        post(a, list(word(1, EARN, 10), word(1, REDEMPTION, 10)));
        vm.assertEq(balance(a, 1), 0);
    }

    function test_post__short_debit__is_skipped_and_reported() external {
        give(a, 2, 10);
        bytes32[] memory words = list(word(1, EARN, 4), word(1, REDEMPTION, 5), word(2, REDEMPTION, 10));

        vm.expectEmit(address(a));
        emit IPointsToken.Skipped(2, 1, account(a, 1), 5, 4);
        vm.expectEmit(address(a));
        emit IPointsToken.Posted(2, keccak256(abi.encodePacked(words)), 4, 10);
        post(a, words);

        vm.assertEq(balance(a, 1), 4);
        vm.assertEq(balance(a, 2), 0);
        vm.assertEq(a.totalSupply(), 4);
    }

    function test_post__debit_of_a_reference_that_is_nobodys__is_skipped_and_reported() external {
        vm.expectEmit(address(a));
        emit IPointsToken.Skipped(1, 0, account(a, 404), 1, 0);
        post(a, list(word(404, FEE, 1)));
        vm.assertEq(a.totalSupply(), 0);
        vm.assertEq(uint256(a.sequence()), 1);
    }

    function test_post__zero_reference__is_an_account_like_any_other() external {
        post(a, list(bytes32(uint256(EARN) << 88 | uint256(9) << 40)));
        vm.assertEq(a.balanceOf(a.accountOf(bytes20(0))), 9);
        vm.assertEq(a.balanceOf(address(0)), 0);
    }

    function test_post__amounts_at_the_words_edges__are_posted() external {
        post(a, list(word(1, EARN, 1), word(2, EARN, MOST - 1)));
        wait(1);
        give(a, 3, MOST);
        vm.assertEq(balance(a, 3), MOST);
        post(a, list(word(3, REDEMPTION, MOST)));
        wait(1);
        post(a, list(word(1, REDEMPTION, 1)));
        vm.assertEq(balance(a, 1), 0);
        vm.assertEq(balance(a, 2), MOST - 1);
        vm.assertEq(balance(a, 3), 0);
        vm.assertEq(a.totalSupply(), MOST - 1);
    }

    function test_post__a_full_batch__is_posted() external {
        post(a, earns(2_048));
        vm.assertEq(a.totalSupply(), 2_048);
    }

    function test_post__in_its_last_second__is_posted() external {
        vm.prank(ISSUER);
        a.post(1, uint64(START), list(word(1, EARN, 1)));
        vm.assertEq(balance(a, 1), 1);
    }

    // ------------------------------------------------------------ posting: what is refused

    function testFuzz_post__stranger__reverts(address caller) external {
        vm.assume(caller != ISSUER);
        vm.expectRevert(abi.encodeWithSelector(IPointsToken.NotIssuer.selector, caller));
        vm.prank(caller);
        a.post(1, FOREVER, list(word(1, EARN, 1)));
    }

    function test_post__admin_guardian_standby_or_exchange__reverts() external {
        address[4] memory callers = [adminOf[a], guardianOf[a], STANDBY_ISSUER, address(exchange)];
        for (uint256 i; i < callers.length; ++i) {
            vm.expectRevert(abi.encodeWithSelector(IPointsToken.NotIssuer.selector, callers[i]));
            vm.prank(callers[i]);
            a.post(1, FOREVER, list(word(1, EARN, 1)));
        }
    }

    function test_post__older_repeated_or_skipped_sequence__reverts() external {
        give(a, 1, 1);
        give(a, 1, 1);
        uint64[4] memory wrong = [uint64(0), 1, 2, 4];
        for (uint256 i; i < wrong.length; ++i) expectWrongSequence(3, wrong[i]);
    }

    function testFuzz_post__any_sequence_but_the_next__reverts(uint64 given) external {
        give(a, 1, 1);
        vm.assume(given != 2);
        expectWrongSequence(2, given);
    }

    /// The state counts in 32 bits: a number that is the next one in its lower bits only must not pass.
    function testFuzz_post__the_next_sequence_in_its_lower_bits_only__reverts(uint32 upper) external {
        give(a, 1, 1);
        vm.assume(upper != 0);
        expectWrongSequence(2, uint64(upper) << 32 | 2);
    }

    function test_post__a_second_too_late__reverts() external {
        vm.expectRevert(abi.encodeWithSelector(IPointsToken.Stale.selector, START - 1, START));
        vm.prank(ISSUER);
        a.post(1, uint64(START - 1), list(word(1, EARN, 1)));
    }

    function testFuzz_post__after_its_last_second__reverts(uint64 validUntil) external {
        vm.assume(validUntil < START);
        vm.expectRevert(abi.encodeWithSelector(IPointsToken.Stale.selector, validUntil, START));
        vm.prank(ISSUER);
        a.post(1, validUntil, list(word(1, EARN, 1)));
    }

    function test_post__no_words__reverts() external {
        expectPostRefused(a, new bytes32[](0), abi.encodeWithSelector(IPointsToken.EmptyBatch.selector));
    }

    function test_post__a_word_too_many__reverts() external {
        expectPostRefused(
            a, earns(2_049), abi.encodeWithSelector(IPointsToken.BatchTooLong.selector, 2_048, 2_049)
        );
    }

    function test_post__zero_amount__reverts_with_its_index() external {
        expectPostRefused(a, list(word(1, EARN, 0)), zeroAmount(0));
        expectPostRefused(a, list(word(1, EARN, 1), word(1, EARN, 0)), zeroAmount(1));
        expectPostRefused(a, list(word(1, EARN, 1), word(1, FEE, 0)), zeroAmount(1));
        expectPostRefused(a, list(word(1, EARN, 2), word(1, FEE, 1), word(1, FEE, 0)), zeroAmount(2));
        expectPostRefused(a, list(word(1, EARN, 2), word(1, FEE, 1), releaseWord(1, 0)), zeroAmount(2));
    }

    function test_post__out_of_order__reverts_with_index_and_kind() external {
        bytes32 credit = word(1, EARN, 1);
        bytes32 debit = word(1, FEE, 1);
        bytes32 release = releaseWord(1, 1);
        expectPostRefused(a, list(credit, debit, credit), wrongKind(2, EARN));
        expectPostRefused(a, list(debit, credit), wrongKind(1, EARN));
        expectPostRefused(a, list(release, credit), wrongKind(1, EARN));
        expectPostRefused(a, list(credit, release, debit), wrongKind(2, FEE));
        expectPostRefused(a, list(word(1, BIND, 0), 0, debit), wrongKind(2, FEE));
    }

    function test_post__a_refused_batch__changes_nothing() external {
        give(a, 1, 5);
        expectPostRefused(a, list(word(1, EARN, 1), word(1, SWAP, 1)), wrongKind(1, SWAP));
        vm.assertEq(balance(a, 1), 5);
        vm.assertEq(uint256(a.sequence()), 1);
    }

    function testFuzz_post__bytes_behind_the_words__reverts_with_both_ends(uint8 extra) external {
        vm.assume(extra != 0);
        bytes memory call = abi.encodeCall(a.post, (1, FOREVER, list(word(1, EARN, 1))));
        expectTrailingBytes(ISSUER, call, extra);
    }

    // ------------------------------------------------------------ the supply's edge

    function test_supply__at_its_edge__is_counted_and_not_a_point_more() external {
        fillSupply(0);
        vm.assertEq(a.totalSupply(), SUPPLY_MAX);
        bytes memory tooLarge = supplyTooLarge(SUPPLY_MAX + 1);
        expectPostRefused(a, list(word(1, EARN, 1)), tooLarge);
        vm.expectRevert(tooLarge);
        vm.prank(address(exchange));
        a.mintLegs(list(word(1, SWAP, 1)));
        vm.expectRevert(tooLarge);
        vm.prank(address(exchange));
        a.mintHeld(HOLDER, 1);
    }

    function test_supply__credits_that_the_same_batch_debits__pass_at_the_edge() external {
        fillSupply(0);
        post(a, list(word(1, EARN, 5), word(1, FEE, 5)));
        vm.assertEq(a.totalSupply(), SUPPLY_MAX);
    }

    function test_supply__the_last_points_below_its_edge__can_be_issued() external {
        fillSupply(7);
        expectPostRefused(a, list(word(1, EARN, 8)), supplyTooLarge(SUPPLY_MAX + 1));
        post(a, list(word(1, EARN, 7)));
        vm.assertEq(a.totalSupply(), SUPPLY_MAX);
    }

    /// forge-config: default.fuzz.runs = 16
    function testFuzz_supply__a_mint_over_its_edge__reverts_with_the_numbers(uint48 room, uint48 amount) external {
        vm.assume(amount > room);
        fillSupply(room);
        vm.expectRevert(supplyTooLarge(SUPPLY_MAX - room + amount));
        vm.prank(address(exchange));
        a.mintHeld(HOLDER, amount);
    }

    // ------------------------------------------------------------ legs

    function test_burnLegs__exchange__burns_what_is_there_and_marks_what_is_short() external {
        post(a, list(word(1, EARN, 10), word(2, EARN, 10)));
        vm.expectEmit(address(a));
        emit Transfer(account(a, 2), address(0), 4);
        vm.expectEmit(address(a));
        emit Transfer(account(a, 1), address(0), 10);
        vm.prank(address(exchange));
        (uint256 burned, uint256[] memory skipped) =
            a.burnLegs(list(word(1, SWAP, 11), word(2, SWAP, 4), word(1, SWAP, 10), word(404, SWAP, 1)));
        vm.assertEq(burned, 14);
        vm.assertEq(skipped.length, 1);
        vm.assertEq(skipped[0], 9);
        vm.assertEq(balance(a, 1), 0);
        vm.assertEq(balance(a, 2), 6);
        vm.assertEq(a.totalSupply(), 6);
    }

    function test_burnLegs__no_legs__burns_nothing() external {
        vm.prank(address(exchange));
        (uint256 burned, uint256[] memory skipped) = a.burnLegs(new bytes32[](0));
        vm.assertEq(burned, 0);
        vm.assertEq(skipped.length, 0);
    }

    function test_burnLegs__more_legs_than_a_word_has_bits__marks_each_in_its_own_bit() external {
        bytes32[] memory legs = new bytes32[](600);
        bytes32[] memory credits = new bytes32[](200);
        for (uint256 i; i < legs.length; ++i) legs[i] = word(i, SWAP, 1);
        for (uint256 i; i < credits.length; ++i) credits[i] = word(3 * i, EARN, 1);
        post(a, credits);
        vm.prank(address(exchange));
        (uint256 burned, uint256[] memory skipped) = a.burnLegs(legs);
        vm.assertEq(burned, 200);
        vm.assertEq(skipped.length, 3);
        for (uint256 i; i < legs.length; ++i) {
            vm.assertEq((skipped[i / 256] >> (i % 256)) & 1, i % 3 == 0 ? 0 : 1);
        }
        vm.assertEq(skipped[2] >> (600 - 512), 0);
    }

    function testFuzz_burnLegs__anybody_else__reverts(address caller) external {
        vm.assume(caller != address(exchange));
        vm.expectRevert(abi.encodeWithSelector(IPointsToken.NotExchange.selector, caller));
        vm.prank(caller);
        a.burnLegs(list(word(1, SWAP, 1)));
    }

    function testFuzz_burnLegs__another_kind__reverts(uint8 kind) external {
        vm.assume(kind != SWAP);
        give(a, 1, 2);
        vm.expectRevert(wrongKind(1, kind));
        vm.prank(address(exchange));
        a.burnLegs(list(word(1, SWAP, 1), word(1, kind, 1)));
    }

    function test_burnLegs__zero_amount__reverts_with_its_index() external {
        give(a, 1, 2);
        vm.expectRevert(zeroAmount(1));
        vm.prank(address(exchange));
        a.burnLegs(list(word(1, SWAP, 1), word(1, SWAP, 0)));
    }

    function test_mintLegs__exchange__mints_and_passes_over_zero() external {
        vm.expectEmit(address(a));
        emit Transfer(address(0), account(a, 1), 7);
        vm.expectEmit(address(a));
        emit Transfer(address(0), account(a, 3), MOST);
        vm.prank(address(exchange));
        uint256 minted = a.mintLegs(list(word(1, SWAP, 7), word(2, SWAP, 0), word(3, SWAP, MOST)));
        vm.assertEq(minted, 7 + uint256(MOST));
        vm.assertEq(balance(a, 1), 7);
        vm.assertEq(balance(a, 2), 0);
        vm.assertEq(balance(a, 3), MOST);
        vm.assertEq(a.totalSupply(), minted);
    }

    function testFuzz_mintLegs__anybody_else__reverts(address caller) external {
        vm.assume(caller != address(exchange));
        vm.expectRevert(abi.encodeWithSelector(IPointsToken.NotExchange.selector, caller));
        vm.prank(caller);
        a.mintLegs(list(word(1, SWAP, 1)));
    }

    function testFuzz_legs__bytes_behind_them__reverts_with_both_ends(uint8 extra) external {
        vm.assume(extra != 0);
        give(a, 1, 1);
        bytes32[] memory legs = list(word(1, SWAP, 1));
        expectTrailingBytes(address(exchange), abi.encodeCall(a.burnLegs, (legs)), extra);
        expectTrailingBytes(address(exchange), abi.encodeCall(a.mintLegs, (legs)), extra);
    }

    // ------------------------------------------------------------ a holder's own swap

    function testFuzz_held__exchange__mints_and_burns_at_the_holder(address holder, uint48 minted, uint48 burned)
        external
    {
        vm.assume(burned <= minted);
        vm.expectEmit(address(a));
        emit Transfer(address(0), holder, minted);
        vm.prank(address(exchange));
        a.mintHeld(holder, minted);
        vm.expectEmit(address(a));
        emit Transfer(holder, address(0), burned);
        vm.prank(address(exchange));
        a.burnHeld(holder, burned);
        vm.assertEq(a.balanceOf(holder), minted - burned);
        vm.assertEq(a.totalSupply(), minted - burned);
    }

    function testFuzz_burnHeld__more_than_the_holder_has__reverts_with_the_numbers(uint48 held, uint256 amount)
        external
    {
        vm.assume(amount > held);
        vm.prank(address(exchange));
        a.mintHeld(HOLDER, held);
        give(a, 1, 1); // so that the supply alone is no bound
        vm.expectRevert(abi.encodeWithSelector(IPointsToken.Short.selector, HOLDER, amount, held));
        vm.prank(address(exchange));
        a.burnHeld(HOLDER, amount);
    }

    function testFuzz_held__anybody_else__reverts(address caller) external {
        vm.assume(caller != address(exchange));
        bytes memory notExchange = abi.encodeWithSelector(IPointsToken.NotExchange.selector, caller);
        vm.expectRevert(notExchange);
        vm.prank(caller);
        a.mintHeld(HOLDER, 1);
        vm.expectRevert(notExchange);
        vm.prank(caller);
        a.burnHeld(HOLDER, 1);
    }

    // ------------------------------------------------------------ helpers

    /// A call of its own, because `expectRevert` takes the next call for the one that must fail.
    function deploy(IPointsToken.Setup calldata setup) external {
        newToken(setup);
    }

    function goodSetup() private pure returns (IPointsToken.Setup memory) {
        return IPointsToken.Setup({
            name: "Miles",
            symbol: "MLS",
            issuer: address(1),
            standby: address(2),
            guardian: address(3),
            admin: address(4),
            exchange: address(5),
            transferable: true,
            delay: 6,
            issuance: IPointsToken.Bounds(10, 11),
            redemption: IPointsToken.Bounds(12, 13),
            release: IPointsToken.Bounds(14, 15)
        });
    }

    function expectZeroAddress(IPointsToken.Setup memory setup) private {
        vm.expectRevert(IPowers.ZeroAddress.selector);
        this.deploy(setup);
    }

    function expectWrongSequence(uint64 expected, uint64 given) private {
        vm.expectRevert(abi.encodeWithSelector(IPointsToken.WrongSequence.selector, expected, given));
        vm.prank(ISSUER);
        a.post(given, FOREVER, list(word(1, EARN, 1)));
    }

    /// The loops read on until they read nothing, so nothing that is no word of theirs may follow.
    function expectTrailingBytes(address caller, bytes memory call, uint256 extra) private {
        bytes memory longer = bytes.concat(call, new bytes(extra));
        vm.expectRevert(
            abi.encodeWithSelector(IPointsToken.TrailingBytes.selector, call.length, longer.length)
        );
        make(caller, a, longer);
    }

    function earns(uint256 count) private pure returns (bytes32[] memory words) {
        words = new bytes32[](count);
        for (uint256 i; i < count; ++i) words[i] = word(i % 8, EARN, 1);
    }

    /// Mints up to `room` below the supply's edge, as the exchange: swaps have no limit at the token.
    function fillSupply(uint48 room) private {
        bytes32[] memory legs = new bytes32[](257);
        for (uint256 i; i < 255; ++i) legs[i] = word(i, SWAP, MOST);
        legs[255] = word(255, SWAP, MOST - room);
        legs[256] = word(256, SWAP, 255); // 256 * (2^48 - 1) + 255 = 2^56 - 1
        vm.prank(address(exchange));
        a.mintLegs(legs);
    }

    function firstOutOfPlace(uint8[3] memory kinds) private pure returns (uint256 index) {
        uint256 part; // 0: credits, 1: debits, 2: wallets
        for (; index < 3; ++index) {
            uint256 next;
            if (kinds[index] >= 1 && kinds[index] <= 4) next = 0;
            else if (kinds[index] >= 17 && kinds[index] <= 21) next = 1;
            else if (kinds[index] == RELEASE) next = 2;
            else return index;
            if (next < part) return index;
            part = next;
        }
    }

    function wrongKind(uint256 index, uint8 kind) private pure returns (bytes memory) {
        return abi.encodeWithSelector(IPointsToken.WrongKind.selector, index, kind);
    }

    function wrongBinding(uint256 index) private pure returns (bytes memory) {
        return abi.encodeWithSelector(IPointsToken.WrongBinding.selector, index);
    }

    function zeroAmount(uint256 index) private pure returns (bytes memory) {
        return abi.encodeWithSelector(IPointsToken.ZeroAmount.selector, index);
    }

    function supplyTooLarge(uint256 given) private pure returns (bytes memory) {
        return abi.encodeWithSelector(IPointsToken.SupplyTooLarge.selector, SUPPLY_MAX, given);
    }
}
