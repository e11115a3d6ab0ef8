// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {IHolderCalls} from "sarraf/interfaces/IHolderCalls.sol";
import {IPointsExchange} from "sarraf/interfaces/IPointsExchange.sol";
import {IPointsToken} from "sarraf/interfaces/IPointsToken.sol";
import {ContractWallet} from "./ContractWallet.sol";
import {ExchangeWorld} from "./ExchangeWorld.sol";
import {IToken} from "./IToken.sol";
import {Signatures} from "./Signatures.sol";
import {vm} from "./Vm.sol";

/// Swaps by holders of wallets, by transaction and by signature.
contract ExchangeSwapTest is ExchangeWorld {
    int256 private constant WORTH = int256(uint256(PRICE));
    uint256 private constant NONCE = 0x1234_05;
    /// The order of the curve: r, n - s is a signature as good as r, s.
    uint256 private constant CURVE_ORDER = 0xFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFEBAAEDCE6AF48A03BBFD25E8CD0364141;

    /// What a holder signs, but for the path.
    struct Order {
        address holder;
        uint256 amountIn;
        uint256 minOut;
        uint256 nonce;
        uint256 deadline;
    }

    function setUp() public override {
        super.setUp();
        hold(a, wallet, 1_000);
    }

    // ------------------------------------------------------------ by transaction

    function test_swap__one_hop__burns_mints_and_moves_positions() external {
        vm.expectEmit(address(exchange));
        emit IPointsExchange.PositionMoved(address(a), -66 * WORTH, -66 * WORTH);
        vm.expectEmit(address(exchange));
        emit IPointsExchange.PositionMoved(address(b), 66 * WORTH, 66 * WORTH);
        vm.expectEmit(address(exchange));
        emit IPointsExchange.Swapped(wallet, address(a), address(b), 100, 66);
        vm.assertEq(swap(wallet, pathOf(2), 100), 66);

        vm.assertEq(a.balanceOf(wallet), 900);
        vm.assertEq(b.balanceOf(wallet), 66);
        vm.assertEq(a.totalSupply(), 900);
        vm.assertEq(b.totalSupply(), 66);
        expectPosition(a, -66 * WORTH);
        expectPosition(b, 66 * WORTH);
        expectUsed(a, b, 0, 100);
    }

    /// Whole paths, in the plain arithmetic of floors; the programs in between mint nothing.
    function testFuzz_swap__one_to_four_hops__is_the_plain_floor_at_each(uint256 seed) external {
        uint256 hops = 1 + seed % 4;
        uint256 amount = 1 + (seed >> 8) % 1_000;
        uint256 out = amount;
        for (uint256 i; i < hops; ++i) {
            uint256 dice = uint256(keccak256(abi.encode(seed, i)));
            (uint48 fromUnits, uint48 toUnits) = (uint48(1 + dice % 5), uint48(1 + (dice >> 64) % 5));
            agree(tokens[i], tokens[i + 1], fromUnits, toUnits, PRICE);
            out = out * toUnits / fromUnits;
        }
        if (out == 0) {
            expectSwapRefused(
                pathOf(hops + 1), amount, abi.encodeWithSelector(IPointsExchange.NothingOut.selector, 0)
            );
            return;
        }
        vm.assertEq(swap(wallet, pathOf(hops + 1), amount), out);
        vm.assertEq(a.balanceOf(wallet), 1_000 - amount);
        vm.assertEq(tokens[hops].balanceOf(wallet), out);
        for (uint256 i = 1; i < hops; ++i) vm.assertEq(tokens[i].totalSupply(), 0);
        vm.assertEq(sumOfPositions(), 0);
    }

    function testFuzz_swap__any_amount_and_ratio__gives_the_floor_or_refuses(
        uint256 amount,
        uint48 fromUnits,
        uint48 toUnits
    ) external {
        vm.assume(fromUnits != 0 && toUnits != 0);
        agree(b, a, fromUnits, toUnits, PRICE);
        hold(b, wallet, MOST);
        if (amount % 4 != 0) amount %= uint256(MOST) + 2;
        if (amount == 0) {
            expectSwapRefused(pathOf(b, a), 0, abi.encodeWithSelector(IPointsExchange.ZeroAmount.selector));
        } else if (amount > MOST) {
            expectTooLarge(amount, amount);
        } else if (amount * toUnits / fromUnits == 0) {
            expectSwapRefused(
                pathOf(b, a), amount, abi.encodeWithSelector(IPointsExchange.NothingOut.selector, 0)
            );
        } else if (amount * toUnits / fromUnits > MOST) {
            expectTooLarge(amount, amount * toUnits / fromUnits);
        } else {
            vm.assertEq(swap(wallet, pathOf(b, a), amount), amount * toUnits / fromUnits);
        }
    }

    function expectTooLarge(uint256 amount, uint256 reported) private {
        expectSwapRefused(
            pathOf(b, a), amount, abi.encodeWithSelector(IPointsExchange.AmountTooLarge.selector, 0, reported)
        );
    }

    function test_swap__the_most_that_an_operation_carries__swaps() external {
        agree(b, a, 1, 1, PRICE);
        hold(b, wallet, MOST);
        swap(wallet, pathOf(b, a), MOST);
        vm.assertEq(a.balanceOf(wallet), 1_000 + uint256(MOST));
    }

    function test_swap__too_much_in_the_middle__reverts_although_the_end_would_fit() external {
        agree(b, c, 1, 2, PRICE);
        agree(c, a, 2, 1, PRICE);
        hold(b, wallet, MOST);
        address[] memory path = new address[](3);
        (path[0], path[1], path[2]) = (address(b), address(c), address(a));
        expectSwapRefused(
            path, MOST, abi.encodeWithSelector(IPointsExchange.AmountTooLarge.selector, 0, 2 * uint256(MOST))
        );
    }

    function test_swap__exactly_the_least_out__swaps_and_not_a_point_less() external {
        vm.expectRevert(abi.encodeWithSelector(IPointsExchange.TooLittleOut.selector, 67, 66));
        vm.prank(wallet);
        exchange.swap(pathOf(2), 100, 67, block.timestamp);
        vm.prank(wallet);
        vm.assertEq(exchange.swap(pathOf(2), 100, 66, block.timestamp), 66);
    }

    /// What the least out is for: terms may have changed since the holder looked.
    function test_swap__terms_changed_since__refuses_what_the_holder_did_not_ask_for() external {
        agree(a, b, 2, 1, PRICE);
        vm.expectRevert(abi.encodeWithSelector(IPointsExchange.TooLittleOut.selector, 66, 50));
        vm.prank(wallet);
        exchange.swap(pathOf(2), 100, 66, block.timestamp);
    }

    function test_swap__a_second_past_its_deadline__reverts() external {
        vm.expectRevert(
            abi.encodeWithSelector(IHolderCalls.Expired.selector, block.timestamp - 1, block.timestamp)
        );
        vm.prank(wallet);
        exchange.swap(pathOf(2), 100, 0, block.timestamp - 1);
    }

    function test_swap__more_than_is_held__reverts() external {
        expectSwapRefused(pathOf(2), 1_001, abi.encodeWithSelector(IPointsToken.Short.selector, wallet, 1_001, 1_000));
    }

    function testFuzz_swap__any_caller__moves_the_callers_points_only(address caller) external {
        vm.assume(caller != wallet && uint160(caller) > type(uint32).max);
        hold(a, caller, 100);
        swap(caller, pathOf(2), 100);
        vm.assertEq(a.balanceOf(wallet), 1_000);
        vm.assertEq(b.balanceOf(wallet), 0);
        vm.assertEq(a.balanceOf(caller), 0);
        vm.assertEq(b.balanceOf(caller), 66);
    }

    // ------------------------------------------------------------ paths

    function test_swap__too_short_or_too_long_a_path__reverts() external {
        address[] memory long = new address[](6);
        for (uint256 i; i < 6; ++i) long[i] = address(uint160(i + 1));
        expectSwapRefused(pathOf(0), 9, abi.encodeWithSelector(IPointsExchange.WrongPathLength.selector, 0));
        expectSwapRefused(pathOf(1), 9, abi.encodeWithSelector(IPointsExchange.WrongPathLength.selector, 1));
        expectSwapRefused(long, 9, abi.encodeWithSelector(IPointsExchange.WrongPathLength.selector, 6));
    }

    function test_swap__a_program_twice__reverts() external {
        agree(b, a, 2, 3, PRICE);
        address[] memory path = pathOf(3);
        path[2] = address(a);
        expectSwapRefused(path, 9, abi.encodeWithSelector(IPointsExchange.ProgramTwice.selector, address(a)));
    }

    function test_swap__no_terms__reverts() external {
        expectSwapRefused(pathOf(a, c), 9, notInForce(a, c));
        IToken stranger = newToken(STRANGER, false);
        expectSwapRefused(pathOf(a, stranger), 9, notInForce(a, stranger));
    }

    // ------------------------------------------------------------ who may stop it

    function test_swap__closed_to_wallets__reverts_while_managed_accounts_settle() external {
        agree(a, b, IPointsExchange.Terms(3, 2, PRICE, MOST, 0));
        expectSwapRefused(
            pathOf(2),
            1,
            abi.encodeWithSelector(IPointsExchange.OverCap.selector, address(a), address(b), true, 0, 0, 1)
        );
        give(a, 1, 30);
        vm.prank(OPERATOR);
        exchange.settle(pathOf(2), versionsOf(2), 1, soon(), list(word(1, SWAP, 30)));
        vm.assertEq(balance(b, 1), 20);
    }

    function test_swap__one_hop_closed_to_wallets__reverts() external {
        agree(b, c, IPointsExchange.Terms(3, 2, PRICE, MOST, 0));
        expectSwapRefused(
            pathOf(3),
            9,
            abi.encodeWithSelector(IPointsExchange.OverCap.selector, address(b), address(c), true, 0, 0, 6)
        );
    }

    function test_swap__suspended__reverts() external {
        suspend(b, c, guardianOf[b]);
        swap(wallet, pathOf(2), 100);
        expectSwapRefused(pathOf(3), 100, notInForce(b, c));
    }

    function test_swap__programs_paused__swaps_all_the_same() external {
        for (uint256 i; i < 3; ++i) {
            vm.prank(guardianOf[tokens[i]]);
            tokens[i].pause();
        }
        vm.assertEq(swap(wallet, pathOf(3), 100), 44);
        vm.assertEq(c.balanceOf(wallet), 44);
    }

    function test_swap__no_operator__swaps_all_the_same() external {
        vm.prank(EXCHANGE_ADMIN);
        exchange.setStandby(address(0));
        vm.prank(EXCHANGE_ADMIN);
        exchange.retireOperator();
        vm.assertEq(swap(wallet, pathOf(2), 100), 66);
    }

    // ------------------------------------------------------------ by signature

    function test_domain__is_the_documented_one() external view {
        vm.assertEq(
            exchange.DOMAIN_SEPARATOR(), Signatures.domainOf("Sarraf Exchange", address(exchange))
        );
    }

    function test_swapFor__signed_65_bytes__anybody_may_relay_and_the_holder_receives() external {
        Order memory order = orderOf(100);
        bytes memory signature = Signatures.sign(KEY, digestOf(pathOf(3), order));
        vm.expectEmit(address(exchange));
        emit IHolderCalls.NonceUsed(wallet, NONCE);
        vm.expectEmit(address(exchange));
        emit IPointsExchange.Swapped(wallet, address(a), address(c), 100, 44);
        vm.assertEq(swapFor(pathOf(3), order, signature), 44);
        vm.assertEq(a.balanceOf(wallet), 900);
        vm.assertEq(c.balanceOf(wallet), 44);
        vm.assertEq(c.balanceOf(STRANGER), 0);
        vm.assertTrue(exchange.isSpent(wallet, NONCE));
    }

    function test_swapFor__signed_64_bytes__swaps() external {
        Order memory order = orderOf(100);
        swapFor(pathOf(2), order, Signatures.signCompact(KEY, digestOf(pathOf(2), order)));
        vm.assertEq(b.balanceOf(wallet), 66);
    }

    function test_swapFor__contract_wallet_that_approved__swaps() external {
        ContractWallet holder = new ContractWallet(ContractWallet.Answer.Accept);
        hold(a, address(holder), 100);
        Order memory order = orderOf(100);
        order.holder = address(holder);
        holder.approve(digestOf(pathOf(2), order), "any bytes");
        expectWrongSignature(pathOf(2), order, "other bytes");
        swapFor(pathOf(2), order, "any bytes");
        vm.assertEq(b.balanceOf(address(holder)), 66);
    }

    function test_swapFor__contract_wallet_that_does_not_accept__reverts() external {
        for (uint8 answer = 1; answer <= uint8(type(ContractWallet.Answer).max); ++answer) {
            Order memory order = orderOf(100);
            order.holder = address(new ContractWallet(ContractWallet.Answer(answer)));
            hold(a, order.holder, 100);
            expectWrongSignature(pathOf(2), order, "any bytes");
        }
    }

    function testFuzz_swapFor__any_key_and_order__swaps_for_the_signer(uint256 key, uint256 nonce, uint8 amount)
        external
    {
        vm.assume(amount > 1);
        key = 1 + key % (CURVE_ORDER - 1);
        Order memory order = Order(vm.addr(key), amount, 1, nonce, FOREVER);
        hold(a, order.holder, amount);
        uint256 before = b.balanceOf(order.holder);
        swapFor(pathOf(2), order, Signatures.sign(key, digestOf(pathOf(2), order)));
        vm.assertEq(b.balanceOf(order.holder) - before, uint256(amount) * 2 / 3);
        vm.assertTrue(exchange.isSpent(order.holder, nonce));
    }

    function test_swapFor__replayed__reverts() external {
        Order memory order = orderOf(100);
        bytes memory signature = Signatures.sign(KEY, digestOf(pathOf(2), order));
        swapFor(pathOf(2), order, signature);
        vm.expectRevert(abi.encodeWithSelector(IHolderCalls.NonceSpent.selector, wallet, NONCE));
        swapFor(pathOf(2), order, signature);
        vm.expectRevert(abi.encodeWithSelector(IHolderCalls.NonceSpent.selector, wallet, NONCE));
        swapFor(pathOf(2), order, Signatures.signCompact(KEY, digestOf(pathOf(2), order)));
    }

    function test_swapFor__replayed_with_the_other_s__reverts() external {
        Order memory order = orderOf(100);
        (uint8 v, bytes32 r, bytes32 s) = vm.sign(KEY, digestOf(pathOf(2), order));
        swapFor(pathOf(2), order, abi.encodePacked(r, s, v));
        bytes memory twin = abi.encodePacked(r, CURVE_ORDER - uint256(s), v == 27 ? 28 : 27);
        vm.expectRevert(abi.encodeWithSelector(IHolderCalls.NonceSpent.selector, wallet, NONCE));
        swapFor(pathOf(2), order, twin);
        vm.assertEq(a.balanceOf(wallet), 900);
    }

    function test_swapFor__refused_for_another_reason__leaves_the_nonce() external {
        Order memory order = orderOf(100);
        order.minOut = 67;
        bytes memory signature = Signatures.sign(KEY, digestOf(pathOf(2), order));
        vm.expectRevert(abi.encodeWithSelector(IPointsExchange.TooLittleOut.selector, 67, 66));
        swapFor(pathOf(2), order, signature);
        vm.assertFalse(exchange.isSpent(wallet, NONCE));
    }

    function test_swapFor__nonces_of_one_word__are_each_used_once() external {
        for (uint256 nonce; nonce < 3; ++nonce) {
            Order memory order = orderOf(10);
            order.nonce = 255 + nonce;
            swapFor(pathOf(2), order, Signatures.sign(KEY, digestOf(pathOf(2), order)));
        }
        vm.assertEq(b.balanceOf(wallet), 18);
        vm.assertFalse(exchange.isSpent(wallet, 254));
        vm.assertFalse(exchange.isSpent(wallet, 258));
    }

    function test_swapFor__cancelled__reverts() external {
        Order memory order = orderOf(100);
        bytes memory signature = Signatures.sign(KEY, digestOf(pathOf(2), order));
        vm.expectEmit(address(exchange));
        emit IHolderCalls.NonceUsed(wallet, NONCE);
        vm.prank(wallet);
        exchange.cancel(NONCE);
        vm.expectRevert(abi.encodeWithSelector(IHolderCalls.NonceSpent.selector, wallet, NONCE));
        swapFor(pathOf(2), order, signature);
    }

    function testFuzz_cancel__by_another__leaves_the_holders_nonce(address caller) external {
        vm.assume(caller != wallet);
        vm.prank(caller);
        exchange.cancel(NONCE);
        vm.assertFalse(exchange.isSpent(wallet, NONCE));
        Order memory order = orderOf(100);
        swapFor(pathOf(2), order, Signatures.sign(KEY, digestOf(pathOf(2), order)));
    }

    function test_cancel__twice__reverts() external {
        vm.prank(wallet);
        exchange.cancel(NONCE);
        vm.expectRevert(abi.encodeWithSelector(IHolderCalls.NonceSpent.selector, wallet, NONCE));
        vm.prank(wallet);
        exchange.cancel(NONCE);
    }

    /// A nonce is one contract's: what is spent at a token is not spent here.
    function test_cancel__at_a_token__leaves_the_exchanges_nonce() external {
        vm.prank(wallet);
        a.cancel(NONCE);
        Order memory order = orderOf(100);
        swapFor(pathOf(2), order, Signatures.sign(KEY, digestOf(pathOf(2), order)));
        vm.assertEq(b.balanceOf(wallet), 66);
    }

    function test_swapFor__at_its_deadline__swaps_and_not_a_second_later() external {
        Order memory order = orderOf(100);
        order.deadline = block.timestamp;
        bytes memory signature = Signatures.sign(KEY, digestOf(pathOf(2), order));
        vm.warp(order.deadline + 1);
        vm.expectRevert(abi.encodeWithSelector(IHolderCalls.Expired.selector, order.deadline, order.deadline + 1));
        swapFor(pathOf(2), order, signature);
        vm.warp(order.deadline);
        swapFor(pathOf(2), order, signature);
        vm.assertEq(b.balanceOf(wallet), 66);
    }

    function test_swapFor__signed_for_another_chain__reverts() external {
        Order memory order = orderOf(100);
        uint256 here = block.chainid;
        vm.chainId(here + 1);
        bytes memory signature = Signatures.sign(KEY, digestOf(pathOf(2), order));
        vm.chainId(here);
        expectWrongSignature(pathOf(2), order, signature);
    }

    /// After a fork of the chain, what was signed for this one is void on the other.
    function test_swapFor__on_a_forked_chain__takes_the_forks_signatures_only() external {
        Order memory order = orderOf(100);
        bytes memory signature = Signatures.sign(KEY, digestOf(pathOf(2), order));
        vm.chainId(block.chainid + 1);
        expectWrongSignature(pathOf(2), order, signature);
        swapFor(pathOf(2), order, Signatures.sign(KEY, digestOf(pathOf(2), order)));
        vm.assertEq(b.balanceOf(wallet), 66);
    }

    function test_swapFor__signed_for_another_contract__reverts() external {
        Order memory order = orderOf(100);
        bytes32 digest = Signatures.digestOf("Sarraf Exchange", address(a), structHash(pathOf(2), order));
        expectWrongSignature(pathOf(2), order, Signatures.sign(KEY, digest));
        digest = Signatures.digestOf("Points", address(exchange), structHash(pathOf(2), order));
        expectWrongSignature(pathOf(2), order, Signatures.sign(KEY, digest));
    }

    function test_swapFor__anything_changed_after_signing__reverts() external {
        Order memory order = orderOf(100);
        bytes memory signature = Signatures.sign(KEY, digestOf(pathOf(3), order));
        expectWrongSignature(pathOf(2), order, signature);
        order.amountIn = 99;
        expectWrongSignature(pathOf(3), order, signature);
        order = orderOf(100);
        order.minOut = 0;
        expectWrongSignature(pathOf(3), order, signature);
        order = orderOf(100);
        order.nonce += 1;
        expectWrongSignature(pathOf(3), order, signature);
        order = orderOf(100);
        order.deadline += 1;
        expectWrongSignature(pathOf(3), order, signature);
        order = orderOf(100);
        order.holder = STRANGER;
        expectWrongSignature(pathOf(3), order, signature);
        swapFor(pathOf(3), orderOf(100), signature);
    }

    function testFuzz_swapFor__any_other_bytes__revert(bytes calldata signature) external {
        expectWrongSignature(pathOf(2), orderOf(100), signature);
    }

    function test_swapFor__wrong_lengths_and_the_zero_holder__revert() external {
        Order memory order = orderOf(100);
        bytes memory signature = Signatures.sign(KEY, digestOf(pathOf(2), order));
        expectWrongSignature(pathOf(2), order, "");
        expectWrongSignature(pathOf(2), order, abi.encodePacked(signature, bytes1(0)));
        order.holder = address(0); // what ecrecover answers for nonsense
        expectWrongSignature(pathOf(2), order, new bytes(65));
        expectWrongSignature(pathOf(2), order, signature);
    }

    /// Nobody can sign for a managed account, and no signature opens one.
    function test_swapFor__managed_account__reverts() external {
        give(a, 1, 100);
        Order memory order = orderOf(100);
        order.holder = account(a, 1);
        expectWrongSignature(pathOf(2), order, Signatures.sign(KEY, digestOf(pathOf(2), order)));
    }

    // ------------------------------------------------------------ helpers

    function orderOf(uint256 amountIn) private view returns (Order memory) {
        return Order(wallet, amountIn, 1, NONCE, block.timestamp + 1 hours);
    }

    function swapFor(address[] memory path, Order memory order, bytes memory signature) private returns (uint256) {
        vm.prank(STRANGER);
        return exchange.swapFor(
            order.holder, path, order.amountIn, order.minOut, order.nonce, order.deadline, signature
        );
    }

    function expectWrongSignature(address[] memory path, Order memory order, bytes memory signature) private {
        bytes32 digest = digestOf(path, order);
        vm.expectRevert(abi.encodeWithSelector(IHolderCalls.WrongSignature.selector, order.holder, digest));
        swapFor(path, order, signature);
    }

    function digestOf(address[] memory path, Order memory order) private view returns (bytes32) {
        return Signatures.digestOf("Sarraf Exchange", address(exchange), structHash(path, order));
    }

    /// As EIP-712 says it: an array is the hash of its elements, each in 32 bytes.
    function structHash(address[] memory path, Order memory order) private pure returns (bytes32) {
        bytes memory elements;
        for (uint256 i; i < path.length; ++i) elements = bytes.concat(elements, abi.encode(path[i]));
        bytes32 typeHash = keccak256(
            "Swap(address holder,address[] path,uint256 amountIn,uint256 minOut,uint256 nonce,uint256 deadline)"
        );
        return keccak256(
            abi.encode(
                typeHash,
                order.holder,
                keccak256(elements),
                order.amountIn,
                order.minOut,
                order.nonce,
                order.deadline
            )
        );
    }

    function notInForce(IToken from, IToken to) private pure returns (bytes memory) {
        return abi.encodeWithSelector(IPointsExchange.NotInForce.selector, address(from), address(to), uint32(0));
    }
}
