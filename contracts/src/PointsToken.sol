// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {ERC20} from "solady/src/tokens/ERC20.sol";
import {HolderCalls} from "./HolderCalls.sol";
import {Powers} from "./Powers.sol";
import {IHolderCalls} from "./interfaces/IHolderCalls.sol";
import {IPointsToken} from "./interfaces/IPointsToken.sol";
import {Balances} from "./libraries/Balances.sol";
import {Bucket} from "./libraries/Bucket.sol";
import {AMOUNT_MAX, BIND, EntryWord, EntryWords, RELEASE} from "./libraries/EntryWord.sol";
import {Postings} from "./libraries/Postings.sol";
import {SUPPLY_MAX, TokenState} from "./libraries/TokenState.sol";

/// What each function means is written in `IPointsToken`.
///
/// Of Solady's ERC20 it keeps allowances and permit. Balances and supply it keeps itself (`Balances`, `TokenState`), so
/// nothing may call Solady's `_mint`, `_burn` or `_transfer`.
///
/// Why balances cannot overflow: each balance is at most the total supply, and every batch ends in a checked addition
/// to the supply of all that it credited. So the unchecked balance additions are right whenever the batch succeeds.
contract PointsToken is ERC20, Powers, HolderCalls, IPointsToken {
    uint256 public constant override WORDS_MAX = 2048;

    bytes32 private constant REDEEM = keccak256("Redeem(address holder,uint256 amount,uint256 order,uint256 deadline)");
    bytes32 private constant DEPOSIT =
        keccak256("Deposit(address holder,bytes20 reference,uint256 amount,uint256 nonce,uint256 deadline)");

    /// What every batch reads, in one slot.
    struct Issuer {
        address key;
        uint48 capacity; // of the issuance bucket
        uint48 refill;
    }

    /// What batches with debits read.
    struct Redemption {
        uint48 capacity;
        uint48 refill;
    }

    /// What batches with releases read and change.
    struct Release {
        uint48 capacity;
        uint48 refill;
        uint48 releasable;
        uint32 releasedAt; // when `releasable` was true
    }

    struct Binding {
        address wallet;
        uint40 effectiveAt;
    }

    address public immutable override exchange;
    bool public immutable override transferable;

    TokenState private _state;
    Issuer private _issuer;
    Redemption private _redemption;
    Release private _release;

    address public override standby;
    address public override guardian;

    mapping(Limit limit => uint256) public override loweredAt;
    uint256 private _pausedAt;

    mapping(bytes20 reference_ => Binding) private _bindings;
    mapping(address holder => bool) public override isWallet;

    string private _name;
    string private _symbol;

    constructor(Setup memory setup) Powers(setup.admin, setup.delay) {
        if (setup.issuer == address(0) || setup.guardian == address(0) || setup.exchange == address(0)) {
            revert ZeroAddress();
        }
        if (setup.standby == setup.issuer) revert NoSuchStandby(setup.standby);
        _name = setup.name;
        _symbol = setup.symbol;
        exchange = setup.exchange;
        transferable = setup.transferable;
        guardian = setup.guardian;
        standby = setup.standby;
        _issuer = Issuer(setup.issuer, setup.issuance.capacity, setup.issuance.refill);
        _redemption = Redemption(setup.redemption.capacity, setup.redemption.refill);
        uint32 timestamp = uint32(block.timestamp);
        _state = TokenState.wrap(0).withIssuance(setup.issuance.capacity, timestamp)
            .withRedemption(setup.redemption.capacity, timestamp);
        _release = Release(setup.release.capacity, setup.release.refill, setup.release.capacity, timestamp);
        emit IssuerChanged(setup.issuer);
        emit StandbyChanged(setup.standby);
        emit GuardianChanged(setup.guardian);
        emit LimitChanged(Limit.Issuance, setup.issuance.capacity, setup.issuance.refill, setup.issuance.capacity);
        emit LimitChanged(
            Limit.Redemption, setup.redemption.capacity, setup.redemption.refill, setup.redemption.capacity
        );
        emit LimitChanged(Limit.Release, setup.release.capacity, setup.release.refill, setup.release.capacity);
    }

    // ---------------------------------------------------------------- posting

    function post(uint64 sequence_, uint64 validUntil, bytes32[] calldata words) external override {
        Issuer memory issuer_ = _issuer;
        if (msg.sender != issuer_.key) revert NotIssuer(msg.sender);
        if (block.timestamp > validUntil) revert Stale(validUntil, block.timestamp);
        if (words.length == 0) revert EmptyBatch();
        if (words.length > WORDS_MAX) revert BatchTooLong(WORDS_MAX, words.length);
        Postings.requireLast(words);
        TokenState state = _state;
        if (state.paused()) revert Paused();
        state = state.advanced();
        if (sequence_ != state.sequence()) revert WrongSequence(uint64(state.sequence()), sequence_);

        (uint256 credited, uint256 index) = Postings.credit(words);
        uint256 debited;
        if (index < words.length) (debited, index) = Postings.debit(words, index, sequence_);
        if (index < words.length) _postWalletWords(words, index, sequence_);

        if (credited != 0) state = _chargeIssuance(state, issuer_, credited);
        if (debited != 0) state = _chargeRedemption(state, debited);
        unchecked {
            // Neither sum is above what its bucket held; and what was debited was in the supply or credited just now.
            _state = _withSupply(state, state.supply() + credited - debited);
        }
        emit Posted(sequence_, EntryWords.digest(words), credited, debited);
    }

    function _chargeIssuance(TokenState state, Issuer memory limit, uint256 amount) private view returns (TokenState) {
        (uint256 level, uint256 since) = state.issuance();
        level = Bucket.refilled(level, since, limit.capacity, limit.refill, block.timestamp);
        if (amount > level) revert OverLimit(Limit.Issuance, amount, level);
        unchecked {
            return state.withIssuance(level - amount, block.timestamp);
        }
    }

    function _chargeRedemption(TokenState state, uint256 amount) private view returns (TokenState) {
        Redemption memory limit = _redemption;
        (uint256 level, uint256 since) = state.redemption();
        level = Bucket.refilled(level, since, limit.capacity, limit.refill, block.timestamp);
        if (amount > level) revert OverLimit(Limit.Redemption, amount, level);
        unchecked {
            return state.withRedemption(level - amount, block.timestamp);
        }
    }

    /// Posts the words from `index` on, which must be bindings and releases.
    function _postWalletWords(bytes32[] calldata words, uint256 index, uint64 sequence_) private {
        uint256 released;
        for (; index < words.length; ++index) {
            EntryWord entry = EntryWords.entryAt(words, index);
            uint8 kind = entry.kind();
            if (kind == RELEASE) {
                released += _postRelease(entry, index, sequence_);
            } else if (kind == BIND) {
                uint256 wallet = ++index < words.length ? uint256(words[index]) : type(uint256).max;
                if (entry.amount() != 0 || wallet > type(uint160).max) revert WrongBinding(index - 1);
                _bind(entry.referenceOf(), address(uint160(wallet)));
            } else {
                // Where the loops before this one ended, so it may also be one of theirs without an amount.
                if (entry.amount() == 0) revert ZeroAmount(index);
                revert WrongKind(index, kind);
            }
        }
        if (released != 0) _chargeRelease(released);
    }

    /// Moves a release's points to the wallet; returns how many, 0 when it had to be skipped.
    function _postRelease(EntryWord entry, uint256 index, uint64 sequence_) private returns (uint256 amount) {
        amount = entry.amount();
        if (amount == 0) revert ZeroAmount(index);
        address account = Postings.accountOf(entry);
        Binding memory binding = _bindings[entry.referenceOf()];
        uint256 balance = balanceOf(account);
        if (binding.wallet == address(0) || binding.effectiveAt > block.timestamp || balance < amount) {
            emit Skipped(sequence_, index, account, amount, balance);
            return 0;
        }
        _move(account, binding.wallet, amount, balance);
        emit Released(entry.referenceOf(), binding.wallet, amount);
    }

    function _chargeRelease(uint256 amount) private {
        Release memory limit = _release;
        uint256 available =
            Bucket.refilled(limit.releasable, limit.releasedAt, limit.capacity, limit.refill, block.timestamp);
        if (amount > available) revert OverLimit(Limit.Release, amount, available);
        limit.releasable = uint48(available - amount);
        limit.releasedAt = uint32(block.timestamp);
        _release = limit;
    }

    function _bind(bytes20 reference_, address wallet) private {
        uint256 effectiveAt = wallet == address(0) ? 0 : block.timestamp + delay;
        _bindings[reference_] = Binding(wallet, uint40(effectiveAt));
        if (transferable && wallet != address(0)) isWallet[wallet] = true;
        emit Bound(reference_, wallet, effectiveAt);
    }

    // ---------------------------------------------------------------- swaps

    modifier onlyExchange() {
        if (msg.sender != exchange) revert NotExchange(msg.sender);
        _;
    }

    function burnLegs(bytes32[] calldata legs)
        external
        override
        onlyExchange
        returns (uint256 burned, uint256[] memory skipped)
    {
        TokenState state = _state;
        if (state.paused()) revert Paused();
        Postings.requireLast(legs);
        (burned, skipped) = Postings.burnLegs(legs);
        unchecked {
            _state = state.withSupply(state.supply() - burned); // no balance is above the supply
        }
    }

    function mintLegs(bytes32[] calldata legs) external override onlyExchange returns (uint256 minted) {
        TokenState state = _state;
        if (state.paused()) revert Paused();
        Postings.requireLast(legs);
        minted = Postings.mintLegs(legs);
        _state = _withSupply(state, state.supply() + minted);
    }

    function burnHeld(address holder, uint256 amount) external override onlyExchange {
        _burnHeld(holder, amount);
    }

    function mintHeld(address holder, uint256 amount) external override onlyExchange {
        TokenState state = _state;
        _state = _withSupply(state, state.supply() + amount);
        Balances.store(holder, Balances.load(holder) + amount);
        emit Transfer(address(0), holder, amount);
    }

    // ---------------------------------------------------------------- holders

    function redeem(uint256 amount, uint256 order) external override {
        _spend(msg.sender, order);
        _redeem(msg.sender, amount, order);
    }

    function redeemFor(address holder, uint256 amount, uint256 order, uint256 deadline, bytes calldata signature)
        external
        override
    {
        bytes32 structHash = keccak256(abi.encode(REDEEM, holder, amount, order, deadline));
        _requireSigned(holder, structHash, order, deadline, signature);
        _redeem(holder, amount, order);
    }

    function deposit(bytes20 reference_, uint256 amount) external override {
        _deposit(msg.sender, reference_, amount);
    }

    function depositFor(
        address holder,
        bytes20 reference_,
        uint256 amount,
        uint256 nonce,
        uint256 deadline,
        bytes calldata signature
    ) external override {
        bytes32 structHash = keccak256(abi.encode(DEPOSIT, holder, reference_, amount, nonce, deadline));
        _requireSigned(holder, structHash, nonce, deadline, signature);
        _deposit(holder, reference_, amount);
    }

    function unbind(bytes20 reference_) external override {
        if (msg.sender != _bindings[reference_].wallet) _requireGuardian();
        _bind(reference_, address(0));
    }

    function _redeem(address holder, uint256 amount, uint256 order) private {
        _requireAmount(amount);
        _burnHeld(holder, amount);
        emit Redeemed(holder, order, amount);
    }

    /// Only to the holder's own reference: with transfers closed this must not become a way around.
    function _deposit(address holder, bytes20 reference_, uint256 amount) private {
        _requireAmount(amount);
        if (_bindings[reference_].wallet != holder) revert NotBound(reference_, holder);
        uint256 balance = _requireBalance(holder, amount);
        _move(holder, _accountOf(reference_), amount, balance);
        emit Deposited(reference_, holder, amount);
    }

    function _burnHeld(address holder, uint256 amount) private {
        uint256 balance = _requireBalance(holder, amount);
        unchecked {
            Balances.store(holder, balance - amount); // not below zero: the line above
            TokenState state = _state;
            _state = state.withSupply(state.supply() - amount); // no balance is above the supply
        }
        emit Transfer(holder, address(0), amount);
    }

    function _requireAmount(uint256 amount) private pure {
        if (amount == 0) revert ZeroAmount(0);
        if (amount > AMOUNT_MAX) revert AmountTooLarge(AMOUNT_MAX, amount);
    }

    function _requireBalance(address holder, uint256 amount) private view returns (uint256 balance) {
        balance = balanceOf(holder);
        if (balance < amount) revert Short(holder, amount, balance);
    }

    /// Moves points between two addresses, of which `from` holds `balance`, at least `amount`.
    function _move(address from, address to, uint256 amount, uint256 balance) private {
        unchecked {
            Balances.store(from, balance - amount);
            // Read after the write above: the two may be one address. Both together are at most the supply.
            Balances.store(to, Balances.load(to) + amount);
        }
        emit Transfer(from, to, amount);
    }

    // ---------------------------------------------------------------- powers

    function pause() external override {
        _requireGuardian();
        _state = _state.withPaused(true);
        // Else a call that was announced in quiet times, or by a thief ahead of time, could undo the pause at once.
        _pausedAt = block.timestamp;
        // The plain one is taken back, so that it can be announced anew; others are the same call with more behind it.
        _void(keccak256(abi.encodeCall(this.unpause, ())));
        emit PauseChanged(true, msg.sender);
    }

    function unpause() external override onlyAdmin {
        uint256 announcedAt = _useAnnouncement();
        if (announcedAt < _pausedAt) revert Overruled(announcedAt, _pausedAt);
        _state = _state.withPaused(false);
        emit PauseChanged(false, msg.sender);
    }

    function setLimit(Limit limit, uint48 capacity, uint48 refill) external override {
        (uint48 oldCapacity, uint48 oldRefill, uint256 available) = limitOf(limit);
        _requireGuardian();
        if (capacity > oldCapacity || refill > oldRefill) {
            _requireAdmin();
            uint256 announcedAt = _useAnnouncement();
            if (announcedAt < loweredAt[limit]) revert Overruled(announcedAt, loweredAt[limit]);
        } else {
            loweredAt[limit] = block.timestamp;
        }
        uint48 level = uint48(available < capacity ? available : capacity);
        uint32 timestamp = uint32(block.timestamp);
        if (limit == Limit.Issuance) {
            (_issuer.capacity, _issuer.refill) = (capacity, refill);
            _state = _state.withIssuance(level, timestamp);
        } else if (limit == Limit.Redemption) {
            (_redemption.capacity, _redemption.refill) = (capacity, refill);
            _state = _state.withRedemption(level, timestamp);
        } else {
            _release = Release(capacity, refill, level, timestamp);
        }
        emit LimitChanged(limit, capacity, refill, level);
    }

    function retireIssuer() external override {
        _requireGuardian();
        address next = standby;
        _issuer.key = next;
        standby = address(0);
        emit IssuerChanged(next);
        emit StandbyChanged(address(0));
    }

    function setStandby(address next) external override onlyAdmin {
        if (next != address(0)) {
            _useAnnouncement();
            if (next == _issuer.key) revert NoSuchStandby(next);
        }
        standby = next;
        emit StandbyChanged(next);
    }

    function setGuardian(address next) external override announced {
        if (next == address(0)) revert ZeroAddress();
        guardian = next;
        emit GuardianChanged(next);
    }

    function _requireGuardian() private view {
        if (msg.sender != guardian && msg.sender != admin) revert NotGuardian(msg.sender);
    }

    // ---------------------------------------------------------------- views

    function accountOf(bytes20 reference_) external view override returns (address) {
        return _accountOf(reference_);
    }

    function walletOf(bytes20 reference_) external view override returns (address, uint256) {
        Binding memory binding = _bindings[reference_];
        return (binding.wallet, binding.effectiveAt);
    }

    function limitOf(Limit limit)
        public
        view
        override
        returns (uint48 capacity, uint48 refill, uint256 available)
    {
        uint256 level;
        uint256 since;
        if (limit == Limit.Issuance) {
            (capacity, refill) = (_issuer.capacity, _issuer.refill);
            (level, since) = _state.issuance();
        } else if (limit == Limit.Redemption) {
            (capacity, refill) = (_redemption.capacity, _redemption.refill);
            (level, since) = _state.redemption();
        } else {
            (capacity, refill) = (_release.capacity, _release.refill);
            (level, since) = (_release.releasable, _release.releasedAt);
        }
        available = Bucket.refilled(level, since, capacity, refill, block.timestamp);
    }

    function sequence() external view override returns (uint64) {
        return uint64(_state.sequence());
    }

    function paused() external view override returns (bool) {
        return _state.paused();
    }

    function issuer() external view override returns (address) {
        return _issuer.key;
    }

    function _accountOf(bytes20 reference_) private view returns (address) {
        return Postings.accountOf(EntryWord.wrap(bytes32(reference_)));
    }

    /// Checked, since issuance from all sides must not outgrow its place.
    function _withSupply(TokenState state, uint256 supply) private pure returns (TokenState) {
        if (supply > SUPPLY_MAX) revert SupplyTooLarge(SUPPLY_MAX, supply);
        return state.withSupply(supply);
    }

    // ---------------------------------------------------------------- ERC-20

    function name() public view override returns (string memory) {
        return _name;
    }

    function symbol() public view override returns (string memory) {
        return _symbol;
    }

    function decimals() public pure override returns (uint8) {
        return 0;
    }

    function totalSupply() public view override returns (uint256) {
        return _state.supply();
    }

    function DOMAIN_SEPARATOR() public view override(ERC20, HolderCalls, IHolderCalls) returns (bytes32) {
        return ERC20.DOMAIN_SEPARATOR();
    }

    function balanceOf(address holder) public view override(ERC20) returns (uint256) {
        return Balances.load(holder);
    }

    function transfer(address to, uint256 amount) public override returns (bool) {
        _transferHeld(msg.sender, to, amount);
        return true;
    }

    function transferFrom(address from, address to, uint256 amount) public override returns (bool) {
        _spendAllowance(from, msg.sender, amount);
        _transferHeld(from, to, amount);
        return true;
    }

    function _transferHeld(address from, address to, uint256 amount) private {
        if (!transferable) revert TransfersClosed();
        // Points sent to an address without a member would be lost, and ones sent to a managed account would be
        // nobody's in the program's books.
        if (!isWallet[to]) revert NotAWallet(to);
        _move(from, to, amount, _requireBalance(from, amount));
    }

    /// No contract spends a holder's points without the holder's allowance.
    function _givePermit2InfiniteAllowance() internal pure override returns (bool) {
        return false;
    }
}
