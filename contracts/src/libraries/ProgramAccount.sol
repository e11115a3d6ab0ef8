// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

/// What a swap reads and changes of a program, in one word, lowest bits first:
///
///     | credit limit: 120 | position, signed: 120 | admitted: 16 |
///
/// Both numbers are micro-units of the settlement currency. Packed by hand, like `TokenState`.
type ProgramAccount is uint256;

using ProgramAccounts for ProgramAccount global;

// The most that a program may be owed, or be allowed to owe.
uint256 constant POSITION_MAX = uint120(type(int120).max);

library ProgramAccounts {
    uint256 private constant POSITION_AT = 120;
    uint256 private constant ADMITTED_AT = 240;
    uint256 private constant MASK = type(uint120).max;

    /// The account of a program that was just admitted.
    function opened(uint256 limit) internal pure returns (ProgramAccount) {
        return ProgramAccount.wrap((1 << ADMITTED_AT) | limit);
    }

    function admitted(ProgramAccount account) internal pure returns (bool) {
        return ProgramAccount.unwrap(account) >> ADMITTED_AT != 0;
    }

    function creditLimit(ProgramAccount account) internal pure returns (uint256) {
        return ProgramAccount.unwrap(account) & MASK;
    }

    /// Positive: it is owed; negative: it owes.
    function position(ProgramAccount account) internal pure returns (int256) {
        return int120(uint120(ProgramAccount.unwrap(account) >> POSITION_AT));
    }

    /// With another credit limit, at most `POSITION_MAX`.
    function withCreditLimit(ProgramAccount account, uint256 limit) internal pure returns (ProgramAccount) {
        return ProgramAccount.wrap((ProgramAccount.unwrap(account) & ~MASK) | limit);
    }

    /// With another position, which lies between -`POSITION_MAX` and `POSITION_MAX`.
    function withPosition(ProgramAccount account, int256 moved) internal pure returns (ProgramAccount) {
        uint256 cleared = ProgramAccount.unwrap(account) & ~(MASK << POSITION_AT);
        return ProgramAccount.wrap(cleared | ((uint256(moved) & MASK) << POSITION_AT));
    }
}
