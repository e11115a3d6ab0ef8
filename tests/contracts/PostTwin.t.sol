// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {IPointsToken} from "sarraf/interfaces/IPointsToken.sol";
import {PlainToken} from "./PlainToken.sol";
import {Vm, vm} from "./Vm.sol";
import {World} from "./World.sol";

/// The batch loop against its plain twin: the same batches give the same balances, supply and Transfer events.
contract PostTwinTest is World {
    uint256 private constant BATCHES = 3;
    uint256 private constant HOLDERS = 4;
    uint256 private constant ENTRIES_MAX = 12;
    bytes32 private constant TRANSFER = keccak256("Transfer(address,address,uint256)");

    function testFuzz_post__random_batches__does_what_the_plain_twin_does(uint256 seed) external {
        PlainToken twin = new PlainToken(address(a));
        for (uint256 batch; batch < BATCHES; ++batch) {
            bytes32[] memory entries = randomBatch(seed, batch);
            vm.recordLogs();
            post(a, entries);
            twin.post(entries);
            assertSameTransfers(vm.getRecordedLogs(), address(twin));
            vm.assertEq(a.totalSupply(), twin.totalSupply());
            for (uint256 holder; holder < HOLDERS; ++holder) {
                vm.assertEq(balance(a, holder), twin.balanceOf(account(a, holder)));
            }
        }
    }

    /// Some credits, then some debits, over few holders, with amounts small enough for debits to be both met and short.
    function randomBatch(uint256 seed, uint256 batch) private pure returns (bytes32[] memory entries) {
        uint256 random = uint256(keccak256(abi.encode(seed, batch)));
        entries = new bytes32[](1 + random % ENTRIES_MAX);
        uint256 credits = (random >> 8) % (entries.length + 1);
        for (uint256 i; i < entries.length; ++i) {
            uint256 dice = uint256(keccak256(abi.encode(random, i)));
            uint8 kind = uint8(i < credits ? 1 + (dice >> 16) % 4 : 17 + (dice >> 16) % 5);
            entries[i] = word(dice % HOLDERS, kind, uint48(1 + (dice >> 32) % 100));
        }
    }

    function assertSameTransfers(Vm.Log[] memory logs, address twin) private view {
        uint256 ours;
        uint256 theirs;
        while (true) {
            while (ours < logs.length && !isTransferOf(logs[ours], address(a))) ++ours;
            while (theirs < logs.length && !isTransferOf(logs[theirs], twin)) ++theirs;
            vm.assertEq(ours == logs.length, theirs == logs.length);
            if (ours == logs.length) return;
            vm.assertEq(logs[ours].topics[1], logs[theirs].topics[1]);
            vm.assertEq(logs[ours].topics[2], logs[theirs].topics[2]);
            vm.assertEq(logs[ours].data, logs[theirs].data);
            ++ours;
            ++theirs;
        }
    }

    function isTransferOf(Vm.Log memory log, address emitter) private pure returns (bool) {
        return log.emitter == emitter && log.topics[0] == TRANSFER;
    }
}
