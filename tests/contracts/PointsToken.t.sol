// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {IPointsToken} from "sarraf/interfaces/IPointsToken.sol";
import {IToken} from "./IToken.sol";
import {vm} from "./Vm.sol";
import {World} from "./World.sol";

contract PointsTokenTest is World {
    event Transfer(address indexed from, address indexed to, uint256 amount);

    // ------------------------------------------------------------ deployment

    function test_constructor__good_arguments__are_what_the_views_say() external {
        IToken token = newToken(address(1), address(2), address(3), true);
        vm.assertEq(token.name(), "Points");
        vm.assertEq(token.symbol(), "PTS");
        vm.assertEq(token.issuer(), address(1));
        vm.assertEq(token.admin(), address(2));
        vm.assertEq(token.exchange(), address(3));
        vm.assertEq(token.transferable(), true);
        vm.assertEq(uint256(token.decimals()), 0);
        vm.assertEq(uint256(token.sequence()), 0);
        vm.assertEq(token.totalSupply(), 0);
    }

    function test_constructor__a_zero_address__reverts() external {
        for (uint256 zero; zero < 3; ++zero) {
            address[3] memory roles = [address(1), address(2), address(3)];
            roles[zero] = address(0);
            vm.expectRevert(IPointsToken.ZeroAddress.selector);
            this.deploy(roles);
        }
    }

    /// A call of its own, because `expectRevert` takes the next call for the one that must fail.
    function deploy(address[3] calldata roles) external {
        newToken(roles[0], roles[1], roles[2], true);
    }

    function testFuzz_accountOf__any_reference__is_the_hash_of_token_and_reference(bytes20 reference_) external view {
        bytes32 hash = keccak256(abi.encodePacked(address(a), reference_));
        vm.assertEq(a.accountOf(reference_), address(uint160(uint256(hash))));
    }

    // ------------------------------------------------------------ posting

    function test_post__credits_and_debits__moves_points_and_reports_the_batch() external {
        bytes32[] memory entries = list(word(1, EARN, 70), word(2, BONUS, 5), word(1, REDEMPTION, 30));

        vm.expectEmit(address(a));
        emit Transfer(address(0), account(a, 1), 70);
        vm.expectEmit(address(a));
        emit Transfer(address(0), account(a, 2), 5);
        vm.expectEmit(address(a));
        emit Transfer(account(a, 1), address(0), 30);
        vm.expectEmit(address(a));
        emit IPointsToken.Posted(1, keccak256(abi.encodePacked(entries)), 75, 30);
        post(a, entries);

        vm.assertEq(balance(a, 1), 40);
        vm.assertEq(balance(a, 2), 5);
        vm.assertEq(a.totalSupply(), 45);
        vm.assertEq(uint256(a.sequence()), 1);
    }

    function test_post__every_kind__is_a_credit_a_debit_or_refused() external {
        give(a, 1, 1_000);
        uint256 expected = 1_000;
        for (uint256 kind; kind < 256; ++kind) {
            bytes32[] memory entries = list(word(1, uint8(kind), 3));
            uint64 next = a.sequence() + 1;
            if (kind >= 1 && kind <= 4) expected += 3;
            else if (kind >= 17 && kind <= 21) expected -= 3;
            else vm.expectRevert(abi.encodeWithSelector(IPointsToken.UnknownKind.selector, 0, kind));
            vm.prank(ISSUER);
            a.post(next, FOREVER, entries);
            vm.assertEq(balance(a, 1), expected);
        }
    }

    function test_post__debit_of_what_the_batch_itself_credits__is_posted() external {
        post(a, list(word(1, EARN, 10), word(1, REDEMPTION, 10)));
        vm.assertEq(balance(a, 1), 0);
    }

    function test_post__short_debit__is_skipped_and_reported() external {
        give(a, 2, 10);
        bytes32[] memory entries = list(word(1, EARN, 4), word(1, REDEMPTION, 5), word(2, REDEMPTION, 10));

        vm.expectEmit(address(a));
        emit IPointsToken.Skipped(2, 1, account(a, 1), 5, 4);
        vm.expectEmit(address(a));
        emit IPointsToken.Posted(2, keccak256(abi.encodePacked(entries)), 4, 10);
        post(a, entries);

        vm.assertEq(balance(a, 1), 4);
        vm.assertEq(balance(a, 2), 0);
        vm.assertEq(a.totalSupply(), 4);
    }

    function testFuzz_post__stranger__reverts(address caller) external {
        vm.assume(caller != ISSUER);
        vm.expectRevert(abi.encodeWithSelector(IPointsToken.NotIssuer.selector, caller));
        vm.prank(caller);
        a.post(1, FOREVER, list(word(1, EARN, 1)));
    }

    function testFuzz_post__any_sequence_but_the_next__reverts(uint64 given) external {
        give(a, 1, 1);
        vm.assume(given != 2);
        vm.expectRevert(abi.encodeWithSelector(IPointsToken.WrongSequence.selector, 2, given));
        vm.prank(ISSUER);
        a.post(given, FOREVER, list(word(1, EARN, 1)));
    }

    function test_post__in_its_last_second__is_posted() external {
        vm.prank(ISSUER);
        a.post(1, uint64(START), list(word(1, EARN, 1)));
        vm.assertEq(balance(a, 1), 1);
    }

    function test_post__a_second_too_late__reverts() external {
        vm.expectRevert(abi.encodeWithSelector(IPointsToken.Stale.selector, START - 1, START));
        vm.prank(ISSUER);
        a.post(1, uint64(START - 1), list(word(1, EARN, 1)));
    }

    function test_post__no_entries__reverts() external {
        vm.expectRevert(IPointsToken.EmptyBatch.selector);
        vm.prank(ISSUER);
        a.post(1, FOREVER, new bytes32[](0));
    }

    function test_post__zero_credit__reverts() external {
        vm.expectRevert(abi.encodeWithSelector(IPointsToken.ZeroAmount.selector, 1));
        vm.prank(ISSUER);
        a.post(1, FOREVER, list(word(1, EARN, 1), word(1, EARN, 0)));
    }

    function test_post__zero_debit__reverts() external {
        vm.expectRevert(abi.encodeWithSelector(IPointsToken.ZeroAmount.selector, 1));
        vm.prank(ISSUER);
        a.post(1, FOREVER, list(word(1, EARN, 1), word(1, FEE, 0)));
    }

    function test_post__credit_after_debit__reverts() external {
        vm.expectRevert(abi.encodeWithSelector(IPointsToken.CreditAfterDebit.selector, 2));
        vm.prank(ISSUER);
        a.post(1, FOREVER, list(word(1, EARN, 1), word(1, FEE, 1), word(1, EARN, 1)));
    }

    // ------------------------------------------------------------ legs

    function test_burnLegs__exchange__burns_what_is_there_and_marks_what_is_short() external {
        post(a, list(word(1, EARN, 10), word(2, EARN, 10)));
        vm.prank(address(exchange));
        (uint256 burned, uint256[] memory skipped) =
            a.burnLegs(list(word(1, SWAP, 11), word(2, SWAP, 4), word(1, SWAP, 10)));
        vm.assertEq(burned, 14);
        vm.assertEq(skipped.length, 1);
        vm.assertEq(skipped[0], 1);
        vm.assertEq(balance(a, 1), 0);
        vm.assertEq(balance(a, 2), 6);
        vm.assertEq(a.totalSupply(), 6);
    }

    function test_burnLegs__more_than_256_legs__marks_each_in_its_own_bit() external {
        bytes32[] memory legs = new bytes32[](600);
        for (uint256 i; i < legs.length; ++i) legs[i] = word(i, SWAP, 1);
        for (uint256 i; i < legs.length; i += 3) give(a, i, 1);
        vm.prank(address(exchange));
        (, uint256[] memory skipped) = a.burnLegs(legs);
        vm.assertEq(skipped.length, 3);
        for (uint256 i; i < legs.length; ++i) {
            vm.assertEq((skipped[i / 256] >> (i % 256)) & 1, i % 3 == 0 ? 0 : 1);
        }
    }

    function testFuzz_burnLegs__anybody_else__reverts(address caller) external {
        vm.assume(caller != address(exchange));
        vm.expectRevert(abi.encodeWithSelector(IPointsToken.NotExchange.selector, caller));
        vm.prank(caller);
        a.burnLegs(list(word(1, SWAP, 1)));
    }

    function testFuzz_burnLegs__another_kind__reverts(uint8 kind) external {
        vm.assume(kind != SWAP);
        vm.expectRevert(abi.encodeWithSelector(IPointsToken.UnknownKind.selector, 1, kind));
        vm.prank(address(exchange));
        a.burnLegs(list(word(1, SWAP, 1), word(1, kind, 1)));
    }

    function test_burnLegs__zero_amount__reverts() external {
        vm.expectRevert(abi.encodeWithSelector(IPointsToken.ZeroAmount.selector, 0));
        vm.prank(address(exchange));
        a.burnLegs(list(word(1, SWAP, 0)));
    }

    function test_mintLegs__exchange__mints_and_passes_over_zero() external {
        vm.prank(address(exchange));
        uint256 minted = a.mintLegs(list(word(1, SWAP, 7), word(2, SWAP, 0), word(3, SWAP, type(uint48).max)));
        vm.assertEq(minted, 7 + uint256(type(uint48).max));
        vm.assertEq(balance(a, 1), 7);
        vm.assertEq(balance(a, 2), 0);
        vm.assertEq(balance(a, 3), type(uint48).max);
        vm.assertEq(a.totalSupply(), minted);
    }

    function testFuzz_mintLegs__anybody_else__reverts(address caller) external {
        vm.assume(caller != address(exchange));
        vm.expectRevert(abi.encodeWithSelector(IPointsToken.NotExchange.selector, caller));
        vm.prank(caller);
        a.mintLegs(list(word(1, SWAP, 1)));
    }

    function testFuzz_mintLegs__another_kind__reverts(uint8 kind) external {
        vm.assume(kind != SWAP);
        vm.expectRevert(abi.encodeWithSelector(IPointsToken.UnknownKind.selector, 0, kind));
        vm.prank(address(exchange));
        a.mintLegs(list(word(1, kind, 1)));
    }
}
