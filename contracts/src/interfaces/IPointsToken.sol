// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {IHolderCalls} from "./IHolderCalls.sol";
import {IPowers} from "./IPowers.sol";

/// @title The points of one loyalty program
/// @notice An ERC-20 with EIP-2612 permit and no decimals.
///
/// | role     | may                                                              | may never                        |
/// |----------|------------------------------------------------------------------|----------------------------------|
/// | issuer   | post entries within the limits: credit and debit managed         | move a wallet's points, mint to  |
/// |          | accounts, bind wallets, release points to bound ones             | a wallet, raise a limit          |
/// | guardian | pause, lower limits, stop bindings, retire the issuer            | unpause, raise, name anybody     |
/// | admin    | what the guardian may; announced and after the delay: unpause,   | move points, name an issuer at   |
/// |          | raise limits, name guardian, standby issuer and next admin       | once, add a second issuer        |
/// | exchange | burn and mint the two sides of agreed swaps                      | post, change a limit             |
/// | holder   | of a wallet: redeem, deposit, approve, permit, and transfer to   | be stopped by a pause            |
/// |          | other bound wallets where the program allows it                  |                                  |
///
/// Exchange, delay and transferability are fixed at deployment. No function adds a minter.
///
/// A managed account is an address that is the hash of this token and a 20-byte reference. Nobody holds its key, so
/// only entries that show the reference move its points. A wallet is an address with a key.
///
/// A limit is a bucket: so many points can be posted at once (capacity), and what was used comes back over time
/// (refill, in points per second). Changing a limit never refills it.
interface IPointsToken is IHolderCalls, IPowers {
    /// @notice What a limit bounds: all credits; all debits of managed accounts; releases to wallets.
    enum Limit {
        Issuance,
        Redemption,
        Release
    }

    /// @notice A limit's two numbers: capacity in points, refill in points per second.
    struct Bounds {
        uint48 capacity;
        uint48 refill;
    }

    /// @notice What is chosen when a program's token is deployed. Limits begin full.
    struct Setup {
        string name;
        string symbol;
        address issuer;
        address standby; // may be zero
        address guardian;
        address admin;
        address exchange;
        bool transferable;
        uint40 delay;
        Bounds issuance;
        Bounds redemption;
        Bounds release;
    }

    // ---------------------------------------------------------------- events

    /// @notice A batch of entries was posted.
    /// @param sequence The number of the batch, one more than that of the batch before.
    /// @param digest keccak256 of the batch's words, joined.
    /// @param credited The sum of the batch's credits, in points.
    /// @param debited The sum of the batch's debits that were not skipped, in points.
    event Posted(uint64 indexed sequence, bytes32 digest, uint256 credited, uint256 debited);

    /// @notice A debit found too few points and was left out, or a release found too few or no wallet in effect.
    /// @param sequence The number of the batch.
    /// @param index The entry's place among the batch's words, from 0.
    /// @param account The managed account.
    /// @param amount What should have left it, in points.
    /// @param balance What was there at that moment, in points.
    event Skipped(uint64 indexed sequence, uint256 index, address account, uint256 amount, uint256 balance);

    /// @notice A member's wallet was announced: releases reach it from `effectiveAt` on. Zero takes a binding away.
    event Bound(bytes20 indexed reference_, address indexed wallet, uint256 effectiveAt);

    /// @notice Points moved from a managed account to its bound wallet.
    event Released(bytes20 indexed reference_, address indexed wallet, uint256 amount);

    /// @notice Points moved from a wallet to its managed account.
    event Deposited(bytes20 indexed reference_, address indexed wallet, uint256 amount);

    /// @notice A holder burned points for the order that the program gave out under this number.
    event Redeemed(address indexed holder, uint256 indexed order, uint256 amount);

    /// @notice A limit was changed; `available` is what it lets through right now, in points.
    event LimitChanged(Limit indexed limit, uint48 capacity, uint48 refill, uint256 available);

    /// @notice Posting and swaps of managed accounts stopped or go on.
    event PauseChanged(bool paused, address by);

    /// @notice Who may post changed; zero means nobody.
    event IssuerChanged(address indexed issuer);

    /// @notice Who takes over when the issuer is retired changed; zero means nobody.
    event StandbyChanged(address indexed standby);

    /// @notice Who may pause and lower changed.
    event GuardianChanged(address indexed guardian);

    // ---------------------------------------------------------------- errors

    /// @notice Thrown when a holder transfers points of a program that does not allow it.
    error TransfersClosed();

    /// @notice Thrown when points are transferred to an address that is no member's wallet here.
    error NotAWallet(address to);

    /// @notice Thrown when somebody else than the issuer posts.
    error NotIssuer(address caller);

    /// @notice Thrown when somebody else than the exchange burns or mints.
    error NotExchange(address caller);

    /// @notice Thrown when somebody else than guardian or admin uses a guardian's power.
    error NotGuardian(address caller);

    /// @notice Thrown when a batch is not exactly the next one.
    error WrongSequence(uint64 expected, uint64 given);

    /// @notice Thrown when a batch arrives after the last second in which it was valid.
    error Stale(uint64 validUntil, uint256 timestamp);

    /// @notice Thrown when a batch has no words.
    error EmptyBatch();

    /// @notice Thrown when a batch has more words than `WORDS_MAX`.
    error BatchTooLong(uint256 max, uint256 given);

    /// @notice Thrown when the words of a batch are not the last bytes of the call.
    error TrailingBytes(uint256 expected, uint256 given);

    /// @notice Thrown when an entry or a call moves no points.
    error ZeroAmount(uint256 index);

    /// @notice Thrown when an entry's kind does not exist or stands in a place where it may not: first credits, then
    /// debits, then bindings and releases.
    error WrongKind(uint256 index, uint8 kind);

    /// @notice Thrown when a binding is not a word with amount 0 and then a word that is an address.
    error WrongBinding(uint256 index);

    /// @notice Thrown when a batch would take more than a limit lets through now.
    error OverLimit(Limit limit, uint256 amount, uint256 available);

    /// @notice Thrown when one call of a holder would move more than an operation can carry, 2^48 - 1 points.
    error AmountTooLarge(uint256 max, uint256 given);

    /// @notice Thrown when a mint would bring the supply above what the token can count.
    error SupplyTooLarge(uint256 max, uint256 given);

    /// @notice Thrown when posting or a swap of managed accounts meets a paused program.
    error Paused();

    /// @notice Thrown when a holder has too few points.
    error Short(address holder, uint256 amount, uint256 balance);

    /// @notice Thrown when points would be deposited to a reference that is not bound to the holder's wallet.
    error NotBound(bytes20 reference_, address wallet);

    /// @notice Thrown when a raise was announced before somebody lowered the limit, or unpausing before somebody paused: it
    /// must be announced anew.
    error Overruled(uint256 announcedAt, uint256 overruledAt);

    /// @notice Thrown when the standby would be the issuer itself.
    error NoSuchStandby(address standby);

    // ---------------------------------------------------------------- the issuer's call

    /// @notice Posts a batch of words: first credits, then debits, then bindings and releases. Issuer only.
    /// @dev A debit of an account that is short is skipped and reported by `Skipped`; it never reverts the batch.
    /// Every entry that is not skipped emits the ERC-20 `Transfer`, the batch emits one `Posted`.
    /// @param sequence Must be `sequence() + 1`.
    /// @param validUntil The last block timestamp, in Unix seconds, at which the batch may be posted.
    /// @param words At most `WORDS_MAX`; kinds 1 to 4 are credits, 17 to 21 debits, 49 releases; 50 binds the
    /// reference to the wallet in the word that follows, after the delay, or to none when that word is zero, at once.
    function post(uint64 sequence, uint64 validUntil, bytes32[] calldata words) external;

    // ---------------------------------------------------------------- the exchange's calls

    /// @notice Burns the source side of a batch of swaps. Exchange only.
    /// @dev A leg of an account that is short is skipped.
    /// @param legs Words of kind 33 with the amounts in.
    /// @return burned The sum of what was burned, in points.
    /// @return skipped Bit `i % 256` of word `i / 256` is set when leg `i` was skipped.
    function burnLegs(bytes32[] calldata legs) external returns (uint256 burned, uint256[] memory skipped);

    /// @notice Mints the destination side of a batch of swaps. Exchange only.
    /// @param legs Words with the amounts out; amount 0 is a leg that was skipped at the source.
    /// @return minted The sum of what was minted, in points.
    function mintLegs(bytes32[] calldata legs) external returns (uint256 minted);

    /// @notice Burns the source side of a holder's own swap. Exchange only.
    function burnHeld(address holder, uint256 amount) external;

    /// @notice Mints the destination side of a holder's own swap. Exchange only.
    function mintHeld(address holder, uint256 amount) external;

    // ---------------------------------------------------------------- holders' calls

    /// @notice Burns the caller's points for an order. The order is a nonce: each is redeemed at most once.
    function redeem(uint256 amount, uint256 order) external;

    /// @notice The same for a holder who signed `Redeem(address holder,uint256 amount,uint256 order,uint256 deadline)`.
    function redeemFor(address holder, uint256 amount, uint256 order, uint256 deadline, bytes calldata signature)
        external;

    /// @notice Brings the caller's points to the managed account of a reference that is bound to the caller.
    function deposit(bytes20 reference_, uint256 amount) external;

    /// @notice The same for a holder who signed
    /// `Deposit(address holder,bytes20 reference,uint256 amount,uint256 nonce,uint256 deadline)`.
    function depositFor(
        address holder,
        bytes20 reference_,
        uint256 amount,
        uint256 nonce,
        uint256 deadline,
        bytes calldata signature
    ) external;

    /// @notice Takes a binding away, at once. Guardian, admin, or the bound wallet.
    function unbind(bytes20 reference_) external;

    // ---------------------------------------------------------------- powers

    /// @notice Stops posting and swaps of managed accounts, at once. Holders of wallets are not stopped. Whatever was
    /// announced of unpausing is void. Guardian, admin.
    function pause() external;

    /// @notice Lets posting and swaps of managed accounts go on. Admin, announced.
    function unpause() external;

    /// @notice Changes a limit. When neither number grows: guardian or admin, at once, and raises of this limit that are
    /// announced already are void; else admin, announced.
    function setLimit(Limit limit, uint48 capacity, uint48 refill) external;

    /// @notice Makes the standby the issuer, at once; without a standby nobody can post any longer. Guardian, admin.
    function retireIssuer() external;

    /// @notice Names who takes over when the issuer is retired. Admin, announced; zero at once.
    function setStandby(address next) external;

    /// @notice Names the guardian. Admin, announced.
    function setGuardian(address next) external;

    // ---------------------------------------------------------------- views

    /// @notice How many words a batch may have.
    function WORDS_MAX() external view returns (uint256);

    /// @notice The managed account that a reference names at this token.
    function accountOf(bytes20 reference_) external view returns (address);

    /// @notice The wallet of a reference and from when releases reach it; zero when there is none.
    function walletOf(bytes20 reference_) external view returns (address wallet, uint256 effectiveAt);

    /// @notice Whether points may be transferred to an address: at a program that allows transfers, whether it was ever
    /// bound as a member's wallet; elsewhere never.
    function isWallet(address holder) external view returns (bool);

    /// @notice A limit's capacity, refill, and what it lets through right now, in points.
    function limitOf(Limit limit) external view returns (uint48 capacity, uint48 refill, uint256 available);

    /// @notice When a limit was last lowered, in Unix seconds; 0 when it never was.
    function loweredAt(Limit limit) external view returns (uint256);

    /// @notice The number of the last posted batch; 0 before the first.
    function sequence() external view returns (uint64);

    /// @notice Whether posting and swaps of managed accounts are stopped.
    function paused() external view returns (bool);

    /// @notice Who may post; zero when nobody may.
    function issuer() external view returns (address);

    /// @notice Who takes over when the issuer is retired; zero when nobody does.
    function standby() external view returns (address);

    /// @notice Who may pause and lower.
    function guardian() external view returns (address);

    /// @notice The exchange that burns and mints the sides of swaps; fixed at deployment.
    function exchange() external view returns (address);

    /// @notice Whether holders may transfer points to other members' wallets.
    function transferable() external view returns (bool);
}
