// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

/// @title What stands between loyalty programs: agreed terms, swaps and what the programs owe each other
///
/// | role              | may                                                  | may never                           |
/// |-------------------|------------------------------------------------------|-------------------------------------|
/// | exchange admin    | admit programs                                       | mint, swap, change terms            |
/// | operator          | settle swaps at the terms in force                   | choose an amount out or a receiver  |
/// | a program's admin | propose, consent to, suspend its directions' terms   | speak for a direction of others     |
///
/// Admin, operator and notice are fixed at deployment. A program's admin is what its token says.
///
/// Terms are numbered per direction. A proposal takes the next number, and the number stays its version for ever; a
/// proposal that is never consented to is a version that is never in force. Only the newest proposal can be consented
/// to. Suspending strikes out every version up to the newest number, adopted or only proposed.
interface IPointsExchange {
    /// @notice What two programs agreed for one direction.
    /// @param fromUnits,toUnits So many source points become so many destination points, rounded down.
    /// @param price Micro-units of the settlement currency that the source owes the destination per destination point.
    /// @param effectiveAt Unix seconds from which the terms hold; 0 as long as they are only proposed.
    struct Terms {
        uint48 fromUnits;
        uint48 toUnits;
        uint64 price;
        uint64 effectiveAt;
    }

    /// @notice A program was admitted; it can now have terms with others.
    event Admitted(address indexed program);

    /// @notice Terms were proposed; they replace a proposal that still waits for consent.
    event TermsProposed(
        address indexed from,
        address indexed to,
        uint32 version,
        uint48 fromUnits,
        uint48 toUnits,
        uint64 price,
        address proposer
    );

    /// @notice Both sides agreed: the version is in force from `effectiveAt` until a later one is, or a suspension.
    event TermsAdopted(
        address indexed from,
        address indexed to,
        uint32 version,
        uint48 fromUnits,
        uint48 toUnits,
        uint64 price,
        uint64 effectiveAt
    );

    /// @notice One side stopped a direction: no version proposed or adopted before this event holds any longer.
    event Suspended(address indexed from, address indexed to, address by);

    /// @notice A batch of swaps was settled.
    /// @param path The path's id, see `pathId`.
    /// @param sequence The number of the batch on this path.
    /// @param digest keccak256 of the batch's legs, joined.
    /// @param burned The sum of what was burned at the first program, in points.
    /// @param minted The sum of what was minted at the last program, in points.
    event Settled(bytes32 indexed path, uint64 indexed sequence, bytes32 digest, uint256 burned, uint256 minted);

    /// @notice A leg in a settled batch found too few points at the source; nothing was burned or minted for it.
    event LegSkipped(bytes32 indexed path, uint64 sequence, uint256 index);

    /// @notice A batch changed what a program is owed (positive) or owes (negative), in micro-units.
    event PositionMoved(address indexed program, int256 delta, int256 position);

    /// @notice Thrown when an address that is needed was given as zero.
    error ZeroAddress();

    /// @notice Thrown when somebody else than the exchange's admin admits a program.
    error NotAdmin(address caller);

    /// @notice Thrown when somebody else than the operator settles.
    error NotOperator(address caller);

    /// @notice Thrown when the caller is not the program admin whose word is needed.
    error NotProgramAdmin(address caller);

    /// @notice Thrown when a program is admitted a second time.
    error AlreadyAdmitted(address program);

    /// @notice Thrown when terms name a program that is not admitted.
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

    /// @notice Thrown when a batch has no legs.
    error EmptyBatch();

    /// @notice Thrown when a leg is worth less than one point of a program on its path.
    error NothingOut(uint256 index);

    /// @notice Thrown when a leg is worth more points than a word can carry.
    error AmountTooLarge(uint256 index, uint256 out);

    /// @notice Admits a program for good. Exchange admin only.
    function admit(address program) external;

    /// @notice Proposes terms for the direction `from` -> `to`. Admin of either side only.
    /// @dev A price of 0 is allowed: programs may agree that nothing is owed.
    /// @return version The number of the proposal.
    function propose(address from, address to, uint48 fromUnits, uint48 toUnits, uint64 price)
        external
        returns (uint32 version);

    /// @notice Consents to the newest proposal and adopts it. Admin of the side that did not propose only.
    /// @dev The first terms of a direction hold at once, since no quote can rest on earlier ones; later ones hold after
    /// the notice. While a change waits, no other can be adopted: so the terms in force are always one of two versions.
    function consent(address from, address to, uint32 version) external;

    /// @notice Stops a direction at once, until new terms are proposed, consented to and in force. Admin of either side
    /// only.
    function suspend(address from, address to) external;

    /// @notice Settles a batch of swaps along a path. Operator only.
    /// @dev For each leg burns the amount in at the first program and mints the amount out at the last, both in the
    /// account of the leg's reference there. A leg whose account is short is skipped and reported by `LegSkipped`.
    /// @param path Two to five admitted programs, none twice.
    /// @param versions The version of the terms that each hop was priced with; each must be in force.
    /// @param sequence Must be `sequenceOf(pathId(path)) + 1`.
    /// @param validUntil The last block timestamp, in Unix seconds, at which the batch may be settled.
    /// @param legs Words of kind 33 with the amounts in.
    function settle(
        address[] calldata path,
        uint32[] calldata versions,
        uint64 sequence,
        uint64 validUntil,
        bytes32[] calldata legs
    ) external;

    /// @notice The id of a path: keccak256 of its addresses, each padded to 32 bytes, joined.
    function pathId(address[] calldata path) external pure returns (bytes32);

    /// @notice The number of the last settled batch of a path; 0 before the first.
    function sequenceOf(bytes32 path) external view returns (uint64);

    /// @notice One version of a direction's terms, whatever became of it; all zero when there is none.
    function termsOf(address from, address to, uint32 version) external view returns (Terms memory);

    /// @notice The newest proposal of a direction, adopted or not; 0 when there is none.
    function latestProposed(address from, address to) external view returns (uint32 version);

    /// @notice The newest adopted version of a direction, in force, waiting or suspended; 0 when there is none.
    function latestAdopted(address from, address to) external view returns (uint32 version);

    /// @notice The version at which a direction settles now; 0 when it settles nothing.
    function inForce(address from, address to) external view returns (uint32 version);

    /// @notice What a program is owed (positive) or owes (negative), in micro-units; all positions sum to zero.
    function position(address program) external view returns (int256);

    function admitted(address program) external view returns (bool);

    function admin() external view returns (address);

    function operator() external view returns (address);

    /// @notice Seconds between consent to changed terms and their start.
    function notice() external view returns (uint64);
}
