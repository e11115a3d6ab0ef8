// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {ERC20} from "solady/src/tokens/ERC20.sol";
import {IPointsToken} from "./interfaces/IPointsToken.sol";
import {EntryWord, EntryWords, SWAP} from "./libraries/EntryWord.sol";
import {SoladyStorage} from "./libraries/SoladyStorage.sol";

/// What each function means is written in `IPointsToken`.
///
/// Why balances cannot overflow: each balance is at most the total supply, and every batch ends in a checked addition
/// to the supply of all that it credited. So the unchecked balance additions are right whenever the batch succeeds.
contract PointsToken is ERC20, IPointsToken {
    using SoladyStorage for bytes32;

    address public immutable override issuer;
    address public immutable override admin;
    address public immutable override exchange;
    bool public immutable override transferable;

    uint64 public override sequence;

    string private _name;
    string private _symbol;

    constructor(
        string memory name_,
        string memory symbol_,
        address issuer_,
        address admin_,
        address exchange_,
        bool transferable_
    ) {
        if (issuer_ == address(0) || admin_ == address(0) || exchange_ == address(0)) revert ZeroAddress();
        _name = name_;
        _symbol = symbol_;
        issuer = issuer_;
        admin = admin_;
        exchange = exchange_;
        transferable = transferable_;
    }

    // ---------------------------------------------------------------- posting

    function post(uint64 sequence_, uint64 validUntil, bytes32[] calldata entries) external override {
        if (msg.sender != issuer) revert NotIssuer(msg.sender);
        if (block.timestamp > validUntil) revert Stale(validUntil, block.timestamp);
        if (entries.length == 0) revert EmptyBatch();
        _advance(sequence_);

        (uint256 credited, uint256 firstDebit) = _credit(entries);
        uint256 debited = _debit(sequence_, entries, firstDebit);

        SoladyStorage.storeSupply(totalSupply() + credited - debited);
        emit Posted(sequence_, EntryWords.digest(entries), credited, debited);
    }

    function _advance(uint64 given) private {
        uint64 expected = sequence + 1;
        if (given != expected) revert WrongSequence(expected, given);
        sequence = given;
    }

    /// Posts the credits that the batch begins with; returns their sum and the index of the first other entry.
    function _credit(bytes32[] calldata entries) private returns (uint256 credited, uint256 index) {
        for (; index < entries.length; ++index) {
            EntryWord entry = EntryWords.entryAt(entries, index);
            if (!EntryWords.isCredit(entry.kind())) break;
            uint256 amount = entry.amount();
            if (amount == 0) revert ZeroAmount(index);
            _add(_accountOf(entry), amount);
            unchecked {
                credited += amount; // as many amounts below 2^48 as a transaction has entries
            }
        }
    }

    /// Posts the entries from `index` on, which must be debits; returns the sum of those that were not skipped.
    function _debit(uint64 sequence_, bytes32[] calldata entries, uint256 index) private returns (uint256 debited) {
        for (; index < entries.length; ++index) {
            EntryWord entry = EntryWords.entryAt(entries, index);
            uint8 kind = entry.kind();
            if (!EntryWords.isDebit(kind)) {
                if (EntryWords.isCredit(kind)) revert CreditAfterDebit(index);
                revert UnknownKind(index, kind);
            }
            uint256 amount = entry.amount();
            if (amount == 0) revert ZeroAmount(index);
            address account = _accountOf(entry);
            if (!_take(account, amount)) {
                emit Skipped(sequence_, index, account, amount, balanceOf(account));
                continue;
            }
            unchecked {
                debited += amount;
            }
        }
    }

    // ---------------------------------------------------------------- swaps

    function burnLegs(bytes32[] calldata legs)
        external
        override
        returns (uint256 burned, uint256[] memory skipped)
    {
        if (msg.sender != exchange) revert NotExchange(msg.sender);
        skipped = new uint256[]((legs.length + 255) / 256);
        for (uint256 index; index < legs.length; ++index) {
            EntryWord leg = EntryWords.entryAt(legs, index);
            if (leg.kind() != SWAP) revert UnknownKind(index, leg.kind());
            uint256 amount = leg.amount();
            if (amount == 0) revert ZeroAmount(index);
            if (!_take(_accountOf(leg), amount)) {
                skipped[index / 256] |= 1 << (index % 256);
                continue;
            }
            unchecked {
                burned += amount;
            }
        }
        SoladyStorage.storeSupply(totalSupply() - burned);
    }

    function mintLegs(bytes32[] calldata legs) external override returns (uint256 minted) {
        if (msg.sender != exchange) revert NotExchange(msg.sender);
        for (uint256 index; index < legs.length; ++index) {
            EntryWord leg = EntryWords.entryAt(legs, index);
            if (leg.kind() != SWAP) revert UnknownKind(index, leg.kind());
            uint256 amount = leg.amount();
            if (amount == 0) continue; // skipped at the source
            _add(_accountOf(leg), amount);
            unchecked {
                minted += amount;
            }
        }
        SoladyStorage.storeSupply(totalSupply() + minted);
    }

    // ---------------------------------------------------------------- balances: nothing else mints or burns

    function _add(address account, uint256 amount) private {
        bytes32 slot = SoladyStorage.balanceSlot(account);
        unchecked {
            // At most the supply that the batch ends with; see the head of the file.
            slot.store(slot.load() + amount);
        }
        emit Transfer(address(0), account, amount);
    }

    /// Takes all of `amount` and returns true, or, when the account is short, nothing and returns false.
    function _take(address account, uint256 amount) private returns (bool) {
        bytes32 slot = SoladyStorage.balanceSlot(account);
        uint256 balance = slot.load();
        if (balance < amount) return false;
        unchecked {
            slot.store(balance - amount); // not below zero: the line above
        }
        emit Transfer(account, address(0), amount);
        return true;
    }

    // ---------------------------------------------------------------- accounts

    function accountOf(bytes20 reference_) external view override returns (address) {
        return _accountOf(EntryWord.wrap(bytes32(reference_)));
    }

    /// `address(uint160(uint256(keccak256(abi.encodePacked(address(this), the entry's first 20 bytes)))))`, but in the
    /// scratch space, since the plain words would allocate memory for every entry.
    function _accountOf(EntryWord entry) private view returns (address account) {
        assembly ("memory-safe") {
            mstore(0x00, shl(96, address()))
            mstore(0x14, entry) // its first 20 bytes are the reference; the 12 behind them are not hashed
            account := shr(96, shl(96, keccak256(0x00, 0x28)))
        }
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

    /// Solady calls this from `transfer` and `transferFrom`; this contract never calls Solady's mint and burn.
    function _beforeTokenTransfer(address, address to, uint256) internal view override {
        if (!transferable) revert TransfersClosed();
        if (to == address(0)) revert ZeroAddress();
    }

    /// No contract spends a holder's points without the holder's allowance.
    function _givePermit2InfiniteAllowance() internal pure override returns (bool) {
        return false;
    }
}
