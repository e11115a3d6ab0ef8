// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {IPointsExchange} from "sarraf/interfaces/IPointsExchange.sol";
import {IToken} from "./IToken.sol";
import {vm} from "./Vm.sol";
import {World} from "./World.sol";

/// Drives the world at random. Every call must succeed: so no short holder ever blocks a batch.
contract Handler is World {
    uint256 public constant HOLDERS = 4;
    uint256 private constant BATCH_MAX = 6;

    mapping(IToken token => uint64) public posted;
    mapping(bytes32 path => uint64) public settled;
    uint256 private time;

    function setUp() public override {
        super.setUp();
        time = START;
        for (uint256 i; i < PROGRAMS; ++i) {
            for (uint256 j; j < PROGRAMS; ++j) {
                // Between 1 to 3 and 3 to 1, and amounts from 3 on: every leg is worth a point over one hop.
                if (i != j) agree(tokens[i], tokens[j], uint48(1 + i % 3), uint48(1 + j % 3), uint64(1_000 * (j + 1)));
            }
        }
    }

    function postBatch(uint256 seed) external {
        IToken token = tokens[seed % PROGRAMS];
        bytes32[] memory entries = new bytes32[](1 + (seed >> 8) % BATCH_MAX);
        uint256 credits = (seed >> 16) % (entries.length + 1);
        for (uint256 i; i < entries.length; ++i) {
            uint256 dice = uint256(keccak256(abi.encode(seed, i)));
            uint8 kind = uint8(i < credits ? 1 + (dice >> 16) % 4 : 17 + (dice >> 16) % 5);
            entries[i] = word(dice % HOLDERS, kind, uint48(1 + (dice >> 32) % 500));
        }
        post(token, entries);
        posted[token] += 1;
    }

    function settleBatch(uint256 seed) external {
        (uint256 from, uint256 to) = (seed % PROGRAMS, (seed >> 8) % PROGRAMS);
        if (from == to) to = (to + 1) % PROGRAMS;
        address[] memory path = new address[](2);
        (path[0], path[1]) = (address(tokens[from]), address(tokens[to]));
        uint32[] memory versions = new uint32[](1);
        versions[0] = exchange.inForce(path[0], path[1]);
        if (versions[0] == 0) return;

        bytes32[] memory legs = new bytes32[](1 + (seed >> 16) % BATCH_MAX);
        for (uint256 i; i < legs.length; ++i) {
            uint256 dice = uint256(keccak256(abi.encode(seed, i)));
            legs[i] = word(dice % HOLDERS, SWAP, uint48(3 + (dice >> 32) % 200));
        }
        bytes32 id = exchange.pathId(path);
        uint64 next = exchange.sequenceOf(id) + 1;
        vm.prank(OPERATOR);
        exchange.settle(path, versions, next, FOREVER, legs);
        settled[id] += 1;
    }

    function suspendOrAgree(uint256 seed) external {
        (uint256 from, uint256 to) = (seed % PROGRAMS, (seed >> 8) % PROGRAMS);
        if (from == to) return;
        address source = address(tokens[from]);
        address destination = address(tokens[to]);
        if (exchange.inForce(source, destination) != 0) suspend(tokens[from], tokens[to], adminOf[tokens[to]]);
        else agree(tokens[from], tokens[to], uint48(1 + (seed >> 16) % 3), uint48(1 + (seed >> 24) % 3), 1_000);
        time += NOTICE;
        vm.warp(time);
    }

    function worldOf() external view returns (IPointsExchange, IToken[] memory) {
        return (exchange, tokens);
    }

    function heldBy(IToken token, uint256 holder) external view returns (uint256) {
        return balance(token, holder);
    }
}

contract InvariantsTest {
    Handler private handler;
    IPointsExchange private exchange;
    IToken[] private tokens;

    function setUp() external {
        handler = new Handler();
        handler.setUp();
        (exchange, tokens) = handler.worldOf();
    }

    /// Read by forge, as the next one: nothing but these functions of the handler is called at random.
    function targetContracts() external view returns (address[] memory targets) {
        targets = new address[](1);
        targets[0] = address(handler);
    }

    function targetSelectors() external view returns (FuzzSelector[] memory targets) {
        bytes4[] memory selectors = new bytes4[](3);
        selectors[0] = Handler.postBatch.selector;
        selectors[1] = Handler.settleBatch.selector;
        selectors[2] = Handler.suspendOrAgree.selector;
        targets = new FuzzSelector[](1);
        targets[0] = FuzzSelector(address(handler), selectors);
    }

    struct FuzzSelector {
        address target;
        bytes4[] selectors;
    }

    /// A: every point of the supply is in some account.
    function invariant_A_balances_sum_to_the_supply() external view {
        for (uint256 i; i < tokens.length; ++i) {
            uint256 sum;
            for (uint256 holder; holder < handler.HOLDERS(); ++holder) sum += handler.heldBy(tokens[i], holder);
            vm.assertEq(sum, tokens[i].totalSupply());
        }
    }

    /// B: each batch took exactly the next number.
    function invariant_B_sequences_count_the_batches() external view {
        for (uint256 i; i < tokens.length; ++i) {
            vm.assertEq(uint256(tokens[i].sequence()), handler.posted(tokens[i]));
            for (uint256 j; j < tokens.length; ++j) {
                address[] memory path = new address[](2);
                (path[0], path[1]) = (address(tokens[i]), address(tokens[j]));
                bytes32 id = exchange.pathId(path);
                vm.assertEq(uint256(exchange.sequenceOf(id)), handler.settled(id));
            }
        }
    }

    /// What one program owes, others are owed.
    function invariant_positions_sum_to_zero() external view {
        int256 sum;
        for (uint256 i; i < tokens.length; ++i) sum += exchange.position(address(tokens[i]));
        vm.assertEq(sum, 0);
    }
}
