// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

/// @title The points of one loyalty program
/// @notice An ERC-20 with EIP-2612 permit and no decimals, whose supply only two callers can change.
///
/// | role     | may                                                              | may never                   |
/// |----------|------------------------------------------------------------------|-----------------------------|
/// | issuer   | post entries: credit and debit managed accounts                  | touch an address with a key |
/// | exchange | burn and mint the legs of agreed swaps, in managed accounts      | touch an address with a key |
/// | admin    | speak for the program on the exchange: propose, consent, suspend | change any balance          |
/// | holder   | approve, permit; transfer, if the program allows it              |                             |
///
/// Issuer, exchange and admin are fixed at deployment. No function adds a minter.
///
/// A managed account is an address that is the hash of this token and a 20-byte reference. Nobody holds its key, so
/// only entries that show the reference move its points.
interface IPointsToken {
    /// @notice A batch of entries was posted.
    /// @param sequence The number of the batch, one more than that of the batch before.
    /// @param digest keccak256 of the batch's entries, joined.
    /// @param credited The sum of the batch's credits, in points.
    /// @param debited The sum of the batch's debits that were not skipped, in points.
    event Posted(uint64 indexed sequence, bytes32 digest, uint256 credited, uint256 debited);

    /// @notice A debit in a posted batch found too few points and was left out; ledger and chain disagree.
    /// @param sequence The number of the batch.
    /// @param index The entry's place in the batch, from 0.
    /// @param account The managed account.
    /// @param amount What should have been debited, in points.
    /// @param balance What was there at that moment, in points.
    event Skipped(uint64 indexed sequence, uint256 index, address account, uint256 amount, uint256 balance);

    /// @notice Thrown when an address that is needed was given as zero, or points would be sent to it.
    error ZeroAddress();

    /// @notice Thrown when a holder transfers points of a program that does not allow it.
    error TransfersClosed();

    /// @notice Thrown when somebody else than the issuer posts.
    error NotIssuer(address caller);

    /// @notice Thrown when somebody else than the exchange burns or mints legs.
    error NotExchange(address caller);

    /// @notice Thrown when a batch is not exactly the next one.
    error WrongSequence(uint64 expected, uint64 given);

    /// @notice Thrown when a batch arrives after the last second in which it was valid.
    error Stale(uint64 validUntil, uint256 timestamp);

    /// @notice Thrown when a batch has no entries.
    error EmptyBatch();

    /// @notice Thrown when an entry moves no points.
    error ZeroAmount(uint256 index);

    /// @notice Thrown when an entry's kind does not exist or does not belong into this kind of batch.
    error UnknownKind(uint256 index, uint8 kind);

    /// @notice Thrown when a credit stands behind a debit: debits of a batch may rely on all of its credits.
    error CreditAfterDebit(uint256 index);

    /// @notice Posts a batch of entries: first credits, then debits. Issuer only.
    /// @dev A debit of an account that is short is skipped and reported by `Skipped`; it never reverts the batch.
    /// Every entry that is not skipped emits the ERC-20 `Transfer`, the batch emits one `Posted`.
    /// @param sequence Must be `sequence() + 1`.
    /// @param validUntil The last block timestamp, in Unix seconds, at which the batch may be posted.
    /// @param entries The entries; kinds 1 to 4 are credits, 17 to 21 debits.
    function post(uint64 sequence, uint64 validUntil, bytes32[] calldata entries) external;

    /// @notice Burns the source side of a batch of swaps. Exchange only.
    /// @dev A leg of an account that is short is skipped.
    /// @param legs Words of kind 33 with the amounts in.
    /// @return burned The sum of what was burned, in points.
    /// @return skipped Bit `i % 256` of word `i / 256` is set when leg `i` was skipped.
    function burnLegs(bytes32[] calldata legs) external returns (uint256 burned, uint256[] memory skipped);

    /// @notice Mints the destination side of a batch of swaps. Exchange only.
    /// @param legs Words of kind 33 with the amounts out; amount 0 is a leg that was skipped at the source.
    /// @return minted The sum of what was minted, in points.
    function mintLegs(bytes32[] calldata legs) external returns (uint256 minted);

    /// @notice The managed account that a reference names at this token.
    function accountOf(bytes20 reference_) external view returns (address);

    /// @notice The number of the last posted batch; 0 before the first.
    function sequence() external view returns (uint64);

    function issuer() external view returns (address);

    function admin() external view returns (address);

    function exchange() external view returns (address);

    /// @notice Whether holders may transfer points among themselves.
    function transferable() external view returns (bool);
}
