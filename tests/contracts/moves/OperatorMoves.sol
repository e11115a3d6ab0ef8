// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {IPointsExchange} from "sarraf/interfaces/IPointsExchange.sol";
import {IToken} from "../IToken.sol";
import {History} from "./History.sol";
import {Twin} from "./Twin.sol";

/// What comes from the exchange operator's key, in good hands and in bad ones, and paths for everybody's swaps.
abstract contract OperatorMoves is History {
    uint256 private constant BATCH_MAX = 5;
    uint256 private constant AMOUNT_MOST = 1_500;

    struct Batch {
        address by;
        address[] path;
        uint32[] versions;
        uint64 number;
        uint64 validUntil;
        bytes32[] legs;
        bool lawful; // as far as the twin is not asked
    }

    /// A well formed batch: mostly under the next number, mostly at the terms in force.
    function settle(uint256 seed) external move(seed) {
        Batch memory batch = _swaps();
        if (_chance(8)) batch.number = uint64(_roll(2 * batch.number + 2));
        if (_chance(16)) batch.by = _person();
        if (_chance(16)) batch.versions[_roll(batch.versions.length)] += 1;
        if (_chance(16)) batch.validUntil = uint64(block.timestamp - 1);
        if (_chance(16)) batch.validUntil = soon() + 1;
        _settle("settle", batch);
    }

    /// A batch of which words, path or versions are rubbish.
    function settleGarbage(uint256 seed) external move(seed) {
        Batch memory batch = _swaps();
        uint256 how = _roll(7);
        uint256 place = _roll(batch.legs.length);
        if (how == 0) batch.legs[place] = word(_roll(HOLDERS), uint8(_roll(256)), uint48(_roll(AMOUNT_MOST)));
        else if (how == 1) batch.legs[place] = word(_roll(HOLDERS), SWAP, 0);
        else if (how == 2) batch.legs = new bytes32[](0);
        else if (how == 3) batch.path[batch.path.length - 1] = batch.path[0];
        else if (how == 4) batch.versions = new uint32[](batch.versions.length + 1);
        else batch.legs[place] = word(_roll(HOLDERS), SWAP, MOST);
        if (how == 3 || how == 4) batch.lawful = false;
        _settle("settle garbage", batch);
    }

    /// As much as caps and credit let through in one leg: what a thief would do.
    function settleMost(uint256 seed) external move(seed) {
        Batch memory batch = _swaps();
        IToken source = IToken(batch.path[0]);
        uint256 holder = _roll(HOLDERS);
        uint256 held = balance(source, holder);
        if (held == 0) return;
        batch.legs = list(word(holder, SWAP, uint48(held)));
        _settle("settle most", batch);
    }

    function _settle(string memory name, Batch memory batch) private {
        bytes memory call = abi.encodeCall(
            IPointsExchange.settle, (batch.path, batch.versions, batch.number, batch.validUntil, batch.legs)
        );
        bytes memory rule;
        batch.lawful = batch.lawful && batch.by == OPERATOR;
        batch.lawful = batch.lawful && batch.validUntil >= block.timestamp && batch.validUntil <= soon();
        if (batch.lawful) {
            rule = abi.encodeCall(Twin.settle, (batch.path, batch.versions, batch.number, batch.legs));
        }
        if (!_attempt(name, batch.by, address(exchange), call, rule, "hands")) return;
        bytes32 id = keccak256(abi.encodePacked(batch.path));
        if (acceptedOn[id] == 0) pathsUsed.push(id);
        ++acceptedOn[id];
        if (batch.path.length > 2) _count("settle over two hops");
        _checkCaps(name, batch.path, false);
    }

    function _swaps() private returns (Batch memory batch) {
        batch.by = OPERATOR;
        batch.lawful = true;
        batch.path = _path();
        batch.versions = new uint32[](batch.path.length - 1);
        for (uint256 i; i < batch.versions.length; ++i) {
            batch.versions[i] = twin.inForce(batch.path[i], batch.path[i + 1]);
        }
        batch.number = exchange.sequenceOf(keccak256(abi.encodePacked(batch.path))) + 1;
        batch.validUntil = uint64(block.timestamp + _roll(LONGEST_BATCH + 1));
        batch.legs = new bytes32[](1 + _roll(BATCH_MAX));
        for (uint256 i; i < batch.legs.length; ++i) {
            batch.legs[i] = word(_roll(HOLDERS), SWAP, uint48(10 + _roll(AMOUNT_MOST)));
        }
    }

    /// Two programs, or sometimes all three, in any order.
    function _path() internal returns (address[] memory path) {
        uint256 first = _roll(TRACKED);
        uint256 step = 1 + _roll(TRACKED - 1);
        path = new address[](_chance(4) ? TRACKED : 2);
        for (uint256 i; i < path.length; ++i) path[i] = address(tokens[(first + i * step) % TRACKED]);
    }

    /// Beside the twin's word: what was used of each direction's cap is within the cap of this moment.
    function _checkCaps(string memory name, address[] memory path, bool wallet) internal {
        for (uint256 i; i + 1 < path.length; ++i) {
            (uint256 managedUsed, uint256 walletUsed) = exchange.usedOf(path[i], path[i + 1]);
            (uint256 managedSum, uint256 walletSum) = twin.usedOf(path[i], path[i + 1]);
            bool same = managedUsed == managedSum && walletUsed == walletSum;
            if (!same) _breach("caps", name, "what was used is miscounted");
            uint32 version = exchange.inForce(path[i], path[i + 1]);
            IPointsExchange.Terms memory terms = exchange.termsOf(path[i], path[i + 1], version);
            uint256 cap = wallet ? terms.walletCap : terms.managedCap;
            if ((wallet ? walletSum : managedSum) > cap) _breach("caps", name, "more than the cap was swapped");
        }
    }
}
