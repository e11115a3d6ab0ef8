// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {IToken} from "../IToken.sol";
import {History} from "./History.sol";

/// What comes from an issuer's key, in good hands and in bad ones.
abstract contract IssuerMoves is History {
    uint256 private constant BATCH_MAX = 6;
    uint256 private constant AMOUNT_MOST = 2_500;

    /// A well formed batch: mostly under the next number, mostly by the issuer, mostly in time.
    function post(uint256 seed) external move(seed) {
        IToken token = _token();
        uint64 number = token.sequence() + 1;
        if (_chance(8)) number = uint64(_roll(2 * number + 2));
        address by = _chance(16) ? _person() : token.issuer();
        uint64 validUntil = _chance(16) ? uint64(block.timestamp - 1) : uint64(block.timestamp);
        _post("post", token, by, number, validUntil, _batch());
    }

    /// As much as a batch can ask for of one limit, again and again: what a thief would do.
    function drain(uint256 seed) external move(seed) {
        IToken token = _token();
        uint256 limit = _roll(3);
        if (limit == 2) limit = _roll(3);
        (,, uint256 available,) = twin.bucketOf(address(token), limit);
        uint48 amount = uint48(_chance(3) ? available + 1 + _roll(100) : available);
        uint8 kind = limit == 0 ? 1 : limit == 1 ? 17 : RELEASE;
        bytes32[] memory words = list(word(_roll(HOLDERS), kind, amount));
        if (_post("drain", token, token.issuer(), token.sequence() + 1, FOREVER, words)) {
            (,, uint256 left,) = twin.bucketOf(address(token), limit);
            if (available != 0 && left == 0) _count("drain to the last point");
        }
    }

    /// A batch of which some words are rubbish.
    function postGarbage(uint256 seed) external move(seed) {
        IToken token = _token();
        bytes32[] memory words = _batch();
        // Mostly near the end, where a word of another kind may well be in its place.
        for (uint256 i = _chance(4) ? 3 : 1; i != 0; --i) {
            uint256 place = _chance(3) ? _roll(words.length) : words.length - 1;
            words[place] = _garbage(words[place]);
            if (place != 0 && _chance(4)) words[place - 1] = word(_roll(HOLDERS), BIND, 0);
        }
        _post("garbage", token, token.issuer(), token.sequence() + 1, FOREVER, words);
    }

    /// Binds a member to the wallet that is theirs, or to any address that this history knows: what a thief would do.
    function bind(uint256 seed) external move(seed) {
        IToken token = _token();
        uint256 member = _roll(HOLDERS);
        address wallet = people[member];
        if (_chance(3)) wallet = _chance(4) ? address(0) : everybody[token][_roll(everybody[token].length)];
        _post("bind", token, token.issuer(), token.sequence() + 1, FOREVER, bindWords(member, wallet));
    }

    function _batch() private returns (bytes32[] memory words) {
        words = new bytes32[](1 + _roll(BATCH_MAX));
        uint256 credits = _roll(words.length + 1);
        uint256 debits = credits + _roll(words.length - credits + 1);
        for (uint256 i; i < words.length; ++i) {
            uint8 kind = uint8(i < credits ? 1 + _roll(4) : i < debits ? 17 + _roll(5) : RELEASE);
            words[i] = word(_roll(HOLDERS), kind, uint48(1 + _roll(AMOUNT_MOST)));
        }
    }

    /// Never another reference: what a batch does to accounts that nobody counts would not be seen.
    function _garbage(bytes32 good) private returns (bytes32) {
        uint256 how = _roll(6);
        uint8 kind = uint8(good[20]);
        if (how == 0) return word(_roll(HOLDERS), uint8(_roll(256)), uint48(_roll(AMOUNT_MOST)));
        if (how == 1) return word(_roll(HOLDERS), kind, 0);
        if (how == 2) return word(_roll(HOLDERS), kind, MOST);
        if (how == 3) return word(_roll(HOLDERS), BIND, uint48(_roll(2)));
        if (how == 4) return word(_roll(HOLDERS), kind == RELEASE ? 17 : RELEASE, uint48(1 + _roll(AMOUNT_MOST)));
        return bytes32(uint256(uint160(_person())));
    }
}
