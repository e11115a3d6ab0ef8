// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

/// The state of one direction, in one word, lowest bits first:
///
///     | managedUsed: 48 | walletUsed: 48 | period: 24 | effectiveAt: 32 |
///     | proposed: 24 | adopted: 24 | previous: 24 | suspended: 24 | proposedByFrom: 8 |
///
/// `managedUsed` and `walletUsed` are the source points swapped in the period with that number. `proposed`, `adopted`,
/// `previous` and `suspended` are versions, 0 is none: the newest proposal, the newest adopted version (in force or
/// waiting until `effectiveAt`), the one adopted before it, and the one up to which all are struck out. Seconds fit 32
/// bits until the year 2106. Packed by hand, like `TokenState`.
type DirectionState is uint256;

using DirectionStates for DirectionState global;

library DirectionStates {
    uint256 private constant WALLET_AT = 48;
    uint256 private constant PERIOD_AT = 96;
    uint256 private constant USE_MASK = type(uint120).max; // both sums and their period
    uint256 private constant EFFECTIVE_AT = 120;
    uint256 private constant PROPOSED_AT = 152;
    uint256 private constant ADOPTED_AT = 176;
    uint256 private constant PREVIOUS_AT = 200;
    uint256 private constant SUSPENDED_AT = 224;
    uint256 private constant BY_FROM_AT = 248;

    // ---------------------------------------------------------------- versions

    function proposed(DirectionState state) internal pure returns (uint256) {
        return _version(state, PROPOSED_AT);
    }

    function adopted(DirectionState state) internal pure returns (uint256) {
        return _version(state, ADOPTED_AT);
    }

    function suspended(DirectionState state) internal pure returns (uint256) {
        return _version(state, SUSPENDED_AT);
    }

    function effectiveAt(DirectionState state) internal pure returns (uint256) {
        return (DirectionState.unwrap(state) >> EFFECTIVE_AT) & type(uint32).max;
    }

    /// Whether the newest proposal was made by the source's admin, and not by the destination's.
    function proposedByFrom(DirectionState state) internal pure returns (bool) {
        return DirectionState.unwrap(state) >> BY_FROM_AT != 0;
    }

    /// The version that holds at `timestamp`; 0 when none does.
    function inForce(DirectionState state, uint256 timestamp) internal pure returns (uint256 version) {
        version = _version(state, state.effectiveAt() > timestamp ? PREVIOUS_AT : ADOPTED_AT);
        if (version <= state.suspended()) version = 0;
    }

    /// With a new proposal; the caller has checked that its number fits 24 bits.
    function withProposal(DirectionState state, uint256 version, bool byFrom) internal pure returns (DirectionState) {
        uint256 cleared = _without(state, PROPOSED_AT, type(uint24).max);
        cleared &= (1 << BY_FROM_AT) - 1;
        return DirectionState.wrap(cleared | (version << PROPOSED_AT) | (uint256(byFrom ? 1 : 0) << BY_FROM_AT));
    }

    /// With the newest proposal adopted from `timestamp` on, which fits 32 bits.
    function withAdoption(DirectionState state, uint256 timestamp) internal pure returns (DirectionState) {
        uint256 before = state.adopted();
        uint256 cleared = _without(state, ADOPTED_AT, type(uint48).max); // adopted and, above it, previous
        cleared &= ~(uint256(type(uint32).max) << EFFECTIVE_AT);
        return DirectionState.wrap(
            cleared | (state.proposed() << ADOPTED_AT) | (before << PREVIOUS_AT) | (timestamp << EFFECTIVE_AT)
        );
    }

    /// With every version up to the newest proposal struck out.
    function withSuspension(DirectionState state) internal pure returns (DirectionState) {
        uint256 cleared = _without(state, SUSPENDED_AT, type(uint24).max);
        return DirectionState.wrap(cleared | (state.proposed() << SUSPENDED_AT));
    }

    // ---------------------------------------------------------------- use

    /// Source points swapped in the given period, by managed accounts and by holders of wallets.
    function used(DirectionState state, uint256 period) internal pure returns (uint256 managed, uint256 wallet) {
        uint256 word = DirectionState.unwrap(state);
        if ((word >> PERIOD_AT) & type(uint24).max != period) return (0, 0);
        return (word & type(uint48).max, (word >> WALLET_AT) & type(uint48).max);
    }

    /// With other sums, each below 2^48, of the given period, below 2^24.
    function withUsed(DirectionState state, uint256 period, uint256 managed, uint256 wallet)
        internal
        pure
        returns (DirectionState)
    {
        uint256 cleared = DirectionState.unwrap(state) & ~USE_MASK;
        return DirectionState.wrap(cleared | (period << PERIOD_AT) | (wallet << WALLET_AT) | managed);
    }

    function _version(DirectionState state, uint256 shift) private pure returns (uint256) {
        return (DirectionState.unwrap(state) >> shift) & type(uint24).max;
    }

    function _without(DirectionState state, uint256 shift, uint256 mask) private pure returns (uint256) {
        return DirectionState.unwrap(state) & ~(mask << shift);
    }
}
