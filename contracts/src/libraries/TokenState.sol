// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

/// What every batch reads and changes, in one word, lowest bits first:
///
///     | supply: 56 | sequence: 32 | issuable: 48 | issuedAt: 32 | redeemable: 48 | redeemedAt: 32 | paused: 8 |
///
/// The supply is here and not where Solady keeps it, so that a batch writes one slot instead of three. `issuable` and
/// `redeemable` are the points left in a bucket at the second beside it; seconds fit 32 bits until the year 2106.
/// Packed by hand, because the compiler writes a struct back field by field, each with a read
/// and a write of the slot.
type TokenState is uint256;

using TokenStates for TokenState global;

uint256 constant SUPPLY_MAX = type(uint56).max;

library TokenStates {
    uint256 private constant SEQUENCE_AT = 56;
    uint256 private constant ISSUANCE_AT = 88;
    uint256 private constant REDEMPTION_AT = 168;
    uint256 private constant PAUSED_AT = 248;
    uint256 private constant BUCKET_MASK = type(uint80).max;

    function supply(TokenState state) internal pure returns (uint256) {
        return TokenState.unwrap(state) & SUPPLY_MAX;
    }

    function sequence(TokenState state) internal pure returns (uint256) {
        return (TokenState.unwrap(state) >> SEQUENCE_AT) & type(uint32).max;
    }

    function paused(TokenState state) internal pure returns (bool) {
        return TokenState.unwrap(state) >> PAUSED_AT != 0;
    }

    /// The points in the issuance bucket, and when.
    function issuance(TokenState state) internal pure returns (uint256 level, uint256 since) {
        return _bucket(state, ISSUANCE_AT);
    }

    /// The points in the redemption bucket, and when.
    function redemption(TokenState state) internal pure returns (uint256 level, uint256 since) {
        return _bucket(state, REDEMPTION_AT);
    }

    /// With the next sequence number. Not checked: that it fits; there will not be 2^32 batches.
    function advanced(TokenState state) internal pure returns (TokenState) {
        unchecked {
            return TokenState.wrap(TokenState.unwrap(state) + (1 << SEQUENCE_AT));
        }
    }

    /// With another supply, which the caller has checked to be at most `SUPPLY_MAX`.
    function withSupply(TokenState state, uint256 supply_) internal pure returns (TokenState) {
        return TokenState.wrap((TokenState.unwrap(state) & ~SUPPLY_MAX) | supply_);
    }

    /// With another level, below 2^48, of the issuance bucket.
    function withIssuance(TokenState state, uint256 level, uint256 timestamp) internal pure returns (TokenState) {
        return _withBucket(state, ISSUANCE_AT, level, timestamp);
    }

    /// With another level, below 2^48, of the redemption bucket.
    function withRedemption(TokenState state, uint256 level, uint256 timestamp) internal pure returns (TokenState) {
        return _withBucket(state, REDEMPTION_AT, level, timestamp);
    }

    function withPaused(TokenState state, bool paused_) internal pure returns (TokenState) {
        uint256 cleared = TokenState.unwrap(state) & ((1 << PAUSED_AT) - 1);
        return TokenState.wrap(cleared | (uint256(paused_ ? 1 : 0) << PAUSED_AT));
    }

    function _bucket(TokenState state, uint256 shift) private pure returns (uint256 level, uint256 since) {
        uint256 word = TokenState.unwrap(state) >> shift;
        return (word & type(uint48).max, (word >> 48) & type(uint32).max);
    }

    function _withBucket(TokenState state, uint256 shift, uint256 level, uint256 timestamp)
        private
        pure
        returns (TokenState)
    {
        uint256 bucket = level | ((timestamp & type(uint32).max) << 48);
        return TokenState.wrap((TokenState.unwrap(state) & ~(BUCKET_MASK << shift)) | (bucket << shift));
    }
}
