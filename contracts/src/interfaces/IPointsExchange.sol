// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {IHolderCalls} from "./IHolderCalls.sol";
import {IPowers} from "./IPowers.sol";

/// @title What stands between loyalty programs: agreed terms, swaps and what the programs owe each other
///
/// | role                       | may                                                | may never                         |
/// |----------------------------|----------------------------------------------------|-----------------------------------|
/// | operator                   | settle swaps of managed accounts, at the terms in  | choose an amount out, a receiver  |
/// |                            | force and within caps                              | or a wallet                       |
/// | a program's admin          | propose, consent to, suspend its directions, lower | speak for directions of others    |
/// |                            | their caps and its own credit limit                |                                   |
/// | a program's guardian       | suspend, lower                                     | propose, consent                  |
/// | exchange admin             | retire the operator; announced and after the       | mint, swap, change terms, caps or |
/// |                            | delay: admit programs, grant credit that a program | a program's keys                  |
/// |                            | asked for, name the standby operator               |                                   |
/// | holder of a wallet         | swap where the terms allow it                      | be stopped where they do          |
///
/// Times are fixed at deployment. A program's admin and guardian are what its token says.
///
/// Terms are numbered per direction. A proposal takes the next number, and the number stays its version for ever; a
/// proposal that is never consented to is a version that is never in force. Only the newest proposal can be consented
/// to. Suspending strikes out every version up to the newest number, adopted or only proposed.
interface IPointsExchange is IHolderCalls, IPowers {
    /// @notice What two programs agree on for one direction, in one storage slot.
    /// @param fromUnits,toUnits So many source points become so many destination points, rounded down.
    /// @param price Micro-units of the settlement currency that the source owes the destination per destination point.
    /// @param managedCap Source points that managed accounts may swap in a period.
    /// @param walletCap Source points that holders of wallets may swap in a period; 0 closes the direction to them.
    struct Terms {
        uint48 fromUnits;
        uint48 toUnits;
        uint48 price;
        uint48 managedCap;
        uint48 walletCap;
    }

    /// @notice The times, in seconds, that are fixed at deployment.
    /// @param delay Between announcing and doing; also between consent to a direction's first terms and their start.
    /// @param notice Between consent to changed terms and their start: at least `longestQuote + longestBatch`, so that a
    /// firm quote cannot be broken by a change, and at least `delay`.
    /// @param longestQuote How long a quote may be firm.
    /// @param longestBatch How far ahead a batch's `validUntil` may lie.
    /// @param capPeriod How long a period of caps lasts, at least an hour.
    struct Times {
        uint40 delay;
        uint40 notice;
        uint40 longestQuote;
        uint40 longestBatch;
        uint40 capPeriod;
    }

    // ---------------------------------------------------------------- events

    /// @notice A program was admitted and may owe up to `creditLimit` micro-units.
    event Admitted(address indexed program, uint256 creditLimit);

    /// @notice A program asks to be allowed to owe up to `limit` micro-units.
    event CreditRequested(address indexed program, uint256 limit);

    /// @notice What a program may owe changed, in micro-units.
    event CreditChanged(address indexed program, uint256 limit);

    /// @notice Terms were proposed; they replace a proposal that still waits for consent.
    event TermsProposed(address indexed from, address indexed to, uint32 version, Terms terms, address proposer);

    /// @notice Both sides agreed: the version is in force from `effectiveAt` until a later one is, or a suspension.
    event TermsAdopted(address indexed from, address indexed to, uint32 version, Terms terms, uint64 effectiveAt);

    /// @notice One side stopped a direction: no version proposed or adopted before this event holds any longer.
    event Suspended(address indexed from, address indexed to, address by);

    /// @notice One side lowered the caps of a version.
    event CapsLowered(
        address indexed from, address indexed to, uint32 version, uint48 managedCap, uint48 walletCap, address by
    );

    /// @notice A batch of swaps was settled.
    /// @param path The path's id, see `pathId`.
    /// @param sequence The number of the batch on this path.
    /// @param digest keccak256 of the batch's legs, joined.
    /// @param burned The sum of what left the first program, in points.
    /// @param minted The sum of what arrived at the last program, in points.
    event Settled(bytes32 indexed path, uint64 indexed sequence, bytes32 digest, uint256 burned, uint256 minted);

    /// @notice A leg in a settled batch found too few points at the source; nothing was burned or minted for it.
    event LegSkipped(bytes32 indexed path, uint64 sequence, uint256 index);

    /// @notice A holder swapped points of a wallet from the path's first program to its last.
    event Swapped(
        address indexed holder, address indexed from, address indexed to, uint256 amountIn, uint256 amountOut
    );

    /// @notice What a program is owed (positive) or owes (negative) changed, in micro-units.
    event PositionMoved(address indexed program, int256 delta, int256 position);

    /// @notice Who may settle changed; zero means nobody.
    event OperatorChanged(address indexed operator);

    /// @notice Who takes over when the operator is retired changed; zero means nobody.
    event StandbyChanged(address indexed standby);

    // ---------------------------------------------------------------- errors

    /// @notice Thrown when somebody else than the operator settles.
    error NotOperator(address caller);

    /// @notice Thrown when the standby would be the operator itself.
    error NoSuchStandby(address standby);

    /// @notice Thrown when the caller is not the program's admin, or guardian, whose word is needed.
    error NotProgramAdmin(address caller);

    /// @notice Thrown when a program is admitted a second time.
    error AlreadyAdmitted(address program);

    /// @notice Thrown when a program is named that is not admitted.
    error NotAdmitted(address program);

    /// @notice Thrown when a token is admitted that takes orders from another exchange.
    error WrongExchange(address program, address exchange);

    /// @notice Thrown when one side of a ratio is zero.
    error ZeroUnits();

    /// @notice Thrown when a program stands twice in a path or on both sides of terms.
    error ProgramTwice(address program);

    /// @notice Thrown when consent is given to a version that does not stand: replaced, adopted, struck out or unknown.
    error NotProposed(address from, address to, uint32 version);

    /// @notice Thrown when terms would be adopted while an earlier change still waits for its start.
    error ChangeWaiting(address from, address to, uint32 version, uint64 effectiveAt);

    /// @notice Thrown when lowering would raise.
    error NotLower(uint256 current, uint256 given);

    /// @notice Thrown when credit is granted that the program did not ask for.
    error NotRequested(address program, uint256 requested, uint256 given);

    /// @notice Thrown when a number does not fit its place.
    error NumberTooLarge(uint256 max, uint256 given);

    /// @notice Thrown at deployment when changed terms could begin before a quote and its batch have ended.
    error NoticeTooShort(uint256 least, uint256 given);

    /// @notice Thrown at deployment when a period of caps is too short to be counted.
    error PeriodTooShort(uint256 least, uint256 given);

    /// @notice Thrown when a path does not have two to five programs.
    error WrongPathLength(uint256 length);

    /// @notice Thrown when there is not exactly one version for each hop.
    error WrongVersionCount(uint256 hops, uint256 versions);

    /// @notice Thrown when swaps rest on terms that are not in force.
    error NotInForce(address from, address to, uint32 version);

    /// @notice Thrown when a batch is not exactly the next one of its path.
    error WrongSequence(uint64 expected, uint64 given);

    /// @notice Thrown when a batch arrives after the last second in which it was valid.
    error Stale(uint64 validUntil, uint256 timestamp);

    /// @notice Thrown when a batch would be valid for longer than the notice allows for.
    error ValidTooLong(uint256 latest, uint256 given);

    /// @notice Thrown when a batch has no legs.
    error EmptyBatch();

    /// @notice Thrown when a batch has more legs than `LEGS_MAX`.
    error BatchTooLong(uint256 max, uint256 given);

    /// @notice Thrown when a holder's swap moves no points.
    error ZeroAmount();

    /// @notice Thrown when a leg is so small that no point arrives at some hop.
    error NothingOut(uint256 index);

    /// @notice Thrown when an amount is above 2^48 - 1, given or at some hop.
    error AmountTooLarge(uint256 index, uint256 amount);

    /// @notice Thrown when a holder's swap gives less than the holder asked for.
    error TooLittleOut(uint256 min, uint256 out);

    /// @notice Thrown when a direction's cap does not let an amount through in this period, in source points.
    error OverCap(address from, address to, bool wallet, uint256 cap, uint256 used, uint256 amount);

    /// @notice Thrown when a program would come to owe more than its credit limit, in micro-units.
    error OverCredit(address program, int256 position, uint256 limit);

    // ---------------------------------------------------------------- the operator's call

    /// @notice Settles a batch of swaps of managed accounts along a path. Operator only.
    /// @dev For each leg burns the amount in at the first program and mints the amount out at the last, both in the
    /// account of the leg's reference there. A leg whose account is short is skipped and reported by `LegSkipped`.
    /// @param path Two to five admitted programs, none twice.
    /// @param versions The version of the terms that each hop was priced with; each must be in force.
    /// @param sequence Must be `sequenceOf(pathId(path)) + 1`.
    /// @param validUntil The last block timestamp, in Unix seconds, at which the batch may be settled; at most
    /// `longestBatch` ahead.
    /// @param legs At most `LEGS_MAX` words of kind 33 with the amounts in.
    function settle(
        address[] calldata path,
        uint32[] calldata versions,
        uint64 sequence,
        uint64 validUntil,
        bytes32[] calldata legs
    ) external;

    // ---------------------------------------------------------------- holders' calls

    /// @notice Swaps the caller's points along a path, into the caller's own hands, at the terms in force.
    /// @param path Two to five admitted programs, none twice, each hop open to wallets.
    /// @param amountIn Points of the first program to give.
    /// @param minOut The least number of points of the last program to accept.
    /// @param deadline The last block timestamp, in Unix seconds, at which the swap may happen.
    /// @return amountOut Points of the last program that arrived.
    function swap(address[] calldata path, uint256 amountIn, uint256 minOut, uint256 deadline)
        external
        returns (uint256 amountOut);

    /// @notice The same for a holder who signed
    /// `Swap(address holder,address[] path,uint256 amountIn,uint256 minOut,uint256 nonce,uint256 deadline)`.
    function swapFor(
        address holder,
        address[] calldata path,
        uint256 amountIn,
        uint256 minOut,
        uint256 nonce,
        uint256 deadline,
        bytes calldata signature
    ) external returns (uint256 amountOut);

    // ---------------------------------------------------------------- terms

    /// @notice Proposes terms for a direction. Admin of either program.
    /// @return version The number of the proposal.
    function propose(address from, address to, Terms calldata terms) external returns (uint32 version);

    /// @notice Agrees to the newest proposal of a direction and adopts it. Admin of the side that did not propose.
    /// @dev The first terms of a direction hold after the delay; later ones after the notice. While a change waits, no
    /// other can be adopted: so the terms in force are always one of two versions.
    function consent(address from, address to, uint32 version) external;

    /// @notice Stops a direction at once, until new terms are proposed, consented to and in force. Admin or guardian of
    /// either side.
    function suspend(address from, address to) external;

    /// @notice Lowers the caps of a version, at once. Admin or guardian of either side. What was used stays used.
    function lowerCaps(address from, address to, uint32 version, uint48 managedCap, uint48 walletCap) external;

    // ---------------------------------------------------------------- powers

    /// @notice Admits a program and lets it owe up to `creditLimit` micro-units. Exchange admin, announced.
    function admit(address program, uint120 creditLimit) external;

    /// @notice Asks that a program may owe more. The program's admin.
    function requestCredit(address program, uint120 limit) external;

    /// @notice Grants what a program asked for. Exchange admin, announced.
    function grantCredit(address program, uint120 limit) external;

    /// @notice Lowers what a program may owe, at once. The program's admin or guardian.
    function lowerCredit(address program, uint120 limit) external;

    /// @notice Makes the standby the operator, at once; without a standby nobody can settle. Exchange admin.
    function retireOperator() external;

    /// @notice Names who takes over when the operator is retired. Exchange admin, announced; zero at once.
    function setStandby(address next) external;

    // ---------------------------------------------------------------- views

    /// @notice How many legs a batch may have.
    function LEGS_MAX() external view returns (uint256);

    /// @notice The id of a path: keccak256 of its addresses, each padded to 32 bytes, joined.
    function pathId(address[] calldata path) external pure returns (bytes32);

    /// @notice The number of the last settled batch of a path; 0 before the first.
    function sequenceOf(bytes32 path) external view returns (uint64);

    /// @notice One version of a direction's terms, whatever became of it; all zero when there is none.
    function termsOf(address from, address to, uint32 version) external view returns (Terms memory);

    /// @notice The newest proposal of a direction, adopted or not; 0 when there is none.
    function latestProposed(address from, address to) external view returns (uint32 version);

    /// @notice The newest adopted version of a direction and its start; zero when there is none.
    function latestAdopted(address from, address to) external view returns (uint32 version, uint64 effectiveAt);

    /// @notice The version at which a direction settles now; 0 when it settles nothing.
    function inForce(address from, address to) external view returns (uint32 version);

    /// @notice Source points swapped in the current period, by managed accounts and by holders of wallets.
    function usedOf(address from, address to) external view returns (uint256 managed, uint256 wallet);

    /// @notice What a program is owed (positive) or owes (negative), in micro-units; all positions sum to zero.
    function position(address program) external view returns (int256);

    /// @notice What a program may owe, in micro-units.
    function creditLimit(address program) external view returns (uint256);

    /// @notice What a program asked to be allowed to owe, in micro-units; 0 when nothing is asked.
    function creditRequested(address program) external view returns (uint256);

    /// @notice Whether a program was admitted.
    function admitted(address program) external view returns (bool);

    /// @notice Who may settle; zero when nobody may.
    function operator() external view returns (address);

    /// @notice Who takes over when the operator is retired; zero when nobody does.
    function standby() external view returns (address);

    /// @notice Seconds between consent to changed terms and their start.
    function notice() external view returns (uint256);

    /// @notice Seconds for which a quote may be firm.
    function longestQuote() external view returns (uint256);

    /// @notice Seconds that a batch's `validUntil` may lie ahead.
    function longestBatch() external view returns (uint256);

    /// @notice Seconds that a period of caps lasts.
    function capPeriod() external view returns (uint256);
}
