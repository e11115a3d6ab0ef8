// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {IPointsToken} from "sarraf/interfaces/IPointsToken.sol";
import {PlainToken} from "./PlainToken.sol";
import {Vm, vm} from "./Vm.sol";
import {World} from "./World.sol";

/// The batch loops against their plain twin: the same batches give the same sums, skips, balances, supply and Transfer
/// events.
contract PostTwinTest is World {
    uint256 private constant BATCHES = 3;
    uint256 private constant HOLDERS = 4;
    uint256 private constant WORDS = 12;
    bytes32 private constant TRANSFER = keccak256("Transfer(address,address,uint256)");

    PlainToken private twin;

    function setUp() public override {
        super.setUp();
        twin = new PlainToken(address(a));
    }

    function testFuzz_post__random_batches__does_what_the_plain_twin_does(uint256 seed) external {
        for (uint256 batch; batch < BATCHES; ++batch) postToBoth(randomEntries(seed, batch));
    }

    function testFuzz_burnLegs__random_batches__does_what_the_plain_twin_does(uint256 seed) external {
        for (uint256 batch; batch < BATCHES; ++batch) {
            postToBoth(randomEntries(seed, batch));
            burnAtBoth(randomLegs(seed, batch, 1 + seed % WORDS, 1));
        }
    }

    /// More legs than a word has bits, with accounts that have points for some of their legs only.
    /// forge-config: default.fuzz.runs = 16
    function testFuzz_burnLegs__more_legs_than_a_word_has_bits__marks_what_the_plain_twin_marks(uint256 seed) external {
        bytes32[] memory credits = new bytes32[](HOLDERS);
        for (uint256 holder; holder < HOLDERS; ++holder) credits[holder] = word(holder, EARN, 2_000);
        postToBoth(credits);
        burnAtBoth(randomLegs(seed, 0, 255 + seed % 4, 1));
    }

    function testFuzz_mintLegs__random_batches__does_what_the_plain_twin_does(uint256 seed) external {
        for (uint256 batch; batch < BATCHES; ++batch) {
            bytes32[] memory legs = randomLegs(seed, batch, 1 + seed % WORDS, 0);
            vm.recordLogs();
            vm.prank(address(exchange));
            uint256 minted = a.mintLegs(legs);
            vm.assertEq(minted, twin.mintLegs(legs));
            assertSameState();
        }
    }

    /// Bits of a word that no loop may read: the whole space of tags, and references that differ in one byte.
    function testFuzz_post__any_reference_and_tag__does_what_the_plain_twin_does(bytes32 pattern, uint40 amount)
        external
    {
        vm.assume(amount != 0);
        bytes32 mask = bytes32(uint256(type(uint96).max) ^ type(uint40).max);
        bytes32 fields = bytes32(uint256(EARN) << 88 | uint256(amount) << 40);
        bytes32 one = (pattern & ~mask) | fields;
        bytes32 other = one ^ bytes32(uint256(1) << 96);
        postToBoth(list(one, other, one));
        vm.assertEq(twin.balanceOf(a.accountOf(bytes20(one))), 2 * uint256(amount));
        vm.assertEq(a.balanceOf(a.accountOf(bytes20(one))), 2 * uint256(amount));
        vm.assertEq(a.balanceOf(a.accountOf(bytes20(other))), amount);
    }

    // ------------------------------------------------------------ doing both

    function postToBoth(bytes32[] memory words) private {
        uint64 sequence = a.sequence() + 1;
        vm.recordLogs();
        vm.prank(ISSUER);
        a.post(sequence, FOREVER, words);
        (uint256 credited, uint256 debited) = twin.post(words);
        Vm.Log[] memory logs = assertSameState();
        Vm.Log memory posted = lastOf(logs, IPointsToken.Posted.selector);
        vm.assertEq(posted.data, abi.encode(keccak256(abi.encodePacked(words)), credited, debited));
    }

    function burnAtBoth(bytes32[] memory legs) private {
        vm.recordLogs();
        vm.prank(address(exchange));
        (uint256 burned, uint256[] memory skipped) = a.burnLegs(legs);
        (uint256 plainlyBurned, uint256[] memory plainlySkipped) = twin.burnLegs(legs);
        vm.assertEq(burned, plainlyBurned);
        vm.assertEq(abi.encode(skipped), abi.encode(plainlySkipped));
        assertSameState();
    }

    function assertSameState() private returns (Vm.Log[] memory logs) {
        logs = vm.getRecordedLogs();
        assertSameTransfers(logs);
        vm.assertEq(a.totalSupply(), twin.totalSupply());
        for (uint256 holder; holder < HOLDERS; ++holder) {
            vm.assertEq(balance(a, holder), twin.balanceOf(account(a, holder)));
        }
    }

    // ------------------------------------------------------------ batches

    /// Some credits, then some debits, over few holders, with amounts small enough for debits to be both met and short.
    function randomEntries(uint256 seed, uint256 batch) private pure returns (bytes32[] memory words) {
        uint256 random = uint256(keccak256(abi.encode(seed, batch)));
        words = new bytes32[](1 + random % WORDS);
        uint256 credits = (random >> 8) % (words.length + 1);
        for (uint256 i; i < words.length; ++i) {
            uint256 dice = uint256(keccak256(abi.encode(random, i)));
            uint8 kind = uint8(i < credits ? 1 + (dice >> 16) % 4 : 17 + (dice >> 16) % 5);
            words[i] = word(dice % HOLDERS, kind, uint48(1 + (dice >> 32) % 100));
        }
    }

    function randomLegs(uint256 seed, uint256 batch, uint256 count, uint256 least)
        private
        pure
        returns (bytes32[] memory legs)
    {
        legs = new bytes32[](count);
        for (uint256 i; i < count; ++i) {
            uint256 dice = uint256(keccak256(abi.encode("leg", seed, batch, i)));
            // A third has the least amount, so that legs of 0 come up where they may.
            uint256 amount = (dice >> 16) % 3 == 0 ? least : 1 + (dice >> 32) % 100;
            legs[i] = word(dice % HOLDERS, SWAP, uint48(amount));
        }
    }

    // ------------------------------------------------------------ logs

    function assertSameTransfers(Vm.Log[] memory logs) private view {
        uint256 ours;
        uint256 theirs;
        while (true) {
            while (ours < logs.length && !isTransferOf(logs[ours], address(a))) ++ours;
            while (theirs < logs.length && !isTransferOf(logs[theirs], address(twin))) ++theirs;
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

    function lastOf(Vm.Log[] memory logs, bytes32 topic) private pure returns (Vm.Log memory found) {
        for (uint256 i; i < logs.length; ++i) {
            if (logs[i].topics[0] == topic) found = logs[i];
        }
    }
}
