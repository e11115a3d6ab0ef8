// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {IPointsExchange} from "./interfaces/IPointsExchange.sol";
import {IPointsToken} from "./interfaces/IPointsToken.sol";
import {AMOUNT_MAX, EntryWord, EntryWords} from "./libraries/EntryWord.sol";

/// What each function means is written in `IPointsExchange`.
///
/// What is trusted of an admitted program's contract: nothing that touches others. One that lies in `burnLegs` issues
/// its own points, which its position pays for like any other swap.
contract PointsExchange is IPointsExchange {
    uint256 private constant PROGRAMS_MIN = 2;
    uint256 private constant PROGRAMS_MAX = 5;

    /// The state of one direction in one slot; each number is a version, 0 is none.
    struct Direction {
        uint32 proposed; // the newest proposal
        uint32 adopted; // the newest adopted version, in force or waiting
        uint32 previous; // the version adopted before that one
        uint32 suspended; // every version up to this one is struck out
        bool proposedByFrom; // who proposed: the source's admin, else the destination's
    }

    address public immutable override admin;
    address public immutable override operator;
    uint64 public immutable override notice;

    mapping(address program => bool) public override admitted;
    mapping(address program => int256) public override position;
    mapping(bytes32 path => uint64) public override sequenceOf;

    mapping(address from => mapping(address to => Direction)) private _directions;
    mapping(address from => mapping(address to => mapping(uint32 version => Terms))) private _terms;

    constructor(address admin_, address operator_, uint64 notice_) {
        if (admin_ == address(0) || operator_ == address(0)) revert ZeroAddress();
        admin = admin_;
        operator = operator_;
        notice = notice_;
    }

    // ---------------------------------------------------------------- programs

    function admit(address program) external override {
        if (msg.sender != admin) revert NotAdmin(msg.sender);
        if (admitted[program]) revert AlreadyAdmitted(program);
        address theirs = IPointsToken(program).exchange();
        if (theirs != address(this)) revert WrongExchange(program, theirs);
        admitted[program] = true;
        emit Admitted(program);
    }

    // ---------------------------------------------------------------- terms

    function propose(address from, address to, uint48 fromUnits, uint48 toUnits, uint64 price)
        external
        override
        returns (uint32 version)
    {
        bool byFrom = _callersSide(from, to);
        if (from == to) revert ProgramTwice(from);
        if (fromUnits == 0 || toUnits == 0) revert ZeroUnits();

        Direction storage direction = _directions[from][to];
        version = direction.proposed + 1;
        direction.proposed = version;
        direction.proposedByFrom = byFrom;
        _terms[from][to][version] = Terms(fromUnits, toUnits, price, 0);
        emit TermsProposed(from, to, version, fromUnits, toUnits, price, msg.sender);
    }

    function consent(address from, address to, uint32 version) external override {
        Direction storage direction = _directions[from][to];
        uint32 adopted = direction.adopted;
        if (version != direction.proposed || version == adopted || version <= direction.suspended) {
            revert NotProposed(from, to, version);
        }
        if (!_isAdmin(direction.proposedByFrom ? to : from)) revert NotProgramAdmin(msg.sender);
        if (adopted > direction.suspended) {
            uint64 start = _terms[from][to][adopted].effectiveAt;
            if (start > block.timestamp) revert ChangeWaiting(from, to, adopted, start);
        }

        direction.previous = adopted;
        direction.adopted = version;
        Terms storage terms = _terms[from][to][version];
        terms.effectiveAt = uint64(block.timestamp) + (adopted == 0 ? 0 : notice);
        emit TermsAdopted(from, to, version, terms.fromUnits, terms.toUnits, terms.price, terms.effectiveAt);
    }

    function suspend(address from, address to) external override {
        _callersSide(from, to);
        Direction storage direction = _directions[from][to];
        direction.suspended = direction.proposed;
        emit Suspended(from, to, msg.sender);
    }

    function inForce(address from, address to) public view override returns (uint32 version) {
        Direction memory direction = _directions[from][to];
        version = direction.adopted;
        if (_terms[from][to][version].effectiveAt > block.timestamp) version = direction.previous;
        if (version <= direction.suspended) version = 0;
    }

    /// Whether the caller speaks for `from` (true) or for `to` (false), both admitted; reverts when for neither.
    /// Whoever is admin of both speaks for `from`, and may consent for `to`.
    function _callersSide(address from, address to) private view returns (bool) {
        if (!admitted[from]) revert NotAdmitted(from);
        if (!admitted[to]) revert NotAdmitted(to);
        if (_isAdmin(from)) return true;
        if (_isAdmin(to)) return false;
        revert NotProgramAdmin(msg.sender);
    }

    function _isAdmin(address program) private view returns (bool) {
        return msg.sender == IPointsToken(program).admin();
    }

    // ---------------------------------------------------------------- swaps

    function settle(
        address[] calldata path,
        uint32[] calldata versions,
        uint64 sequence,
        uint64 validUntil,
        bytes32[] calldata legs
    ) external override {
        if (msg.sender != operator) revert NotOperator(msg.sender);
        if (block.timestamp > validUntil) revert Stale(validUntil, block.timestamp);
        if (legs.length == 0) revert EmptyBatch();
        _requireInForce(path, versions);
        bytes32 id = pathId(path);
        _advance(id, sequence);

        (uint256 burned, uint256[] memory skipped) = IPointsToken(path[0]).burnLegs(legs);
        bytes32[] memory words = legs; // whose amounts turn from amounts in to amounts out
        _clearSkipped(id, sequence, words, skipped);
        _walk(path, versions, words);
        uint256 minted = IPointsToken(path[path.length - 1]).mintLegs(words);
        emit Settled(id, sequence, EntryWords.digest(legs), burned, minted);
    }

    /// Checks the path, and for each hop that the given version is the one in force.
    /// Not checked: that the programs are admitted, since without that no direction has terms.
    function _requireInForce(address[] calldata path, uint32[] calldata versions) private view {
        uint256 count = path.length;
        if (count < PROGRAMS_MIN || count > PROGRAMS_MAX) revert WrongPathLength(count);
        if (versions.length != count - 1) revert WrongVersionCount(count - 1, versions.length);
        for (uint256 i; i < count; ++i) {
            for (uint256 j = i + 1; j < count; ++j) {
                if (path[i] == path[j]) revert ProgramTwice(path[i]);
            }
        }
        for (uint256 i; i < versions.length; ++i) {
            (address from, address to, uint32 version) = (path[i], path[i + 1], versions[i]);
            if (version == 0 || version != inForce(from, to)) revert NotInForce(from, to, version);
        }
    }

    function _advance(bytes32 path, uint64 given) private {
        uint64 expected = sequenceOf[path] + 1;
        if (given != expected) revert WrongSequence(expected, given);
        sequenceOf[path] = given;
    }

    /// Sets the amounts of the legs that the source skipped to zero, and reports them.
    function _clearSkipped(bytes32 path, uint64 sequence, bytes32[] memory words, uint256[] memory skipped) private {
        for (uint256 i; i < skipped.length; ++i) {
            uint256 index = i * 256;
            for (uint256 bits = skipped[i]; bits != 0; bits >>= 1) {
                if (bits & 1 == 1) {
                    words[index] = EntryWord.unwrap(EntryWord.wrap(words[index]).withAmount(0));
                    emit LegSkipped(path, sequence, index);
                }
                ++index;
            }
        }
    }

    /// Takes the words over every hop. At each the source comes to owe the destination the points that arrived there,
    /// at the agreed price: one write a program, also for those in between.
    function _walk(address[] calldata path, uint32[] calldata versions, bytes32[] memory words) private {
        int256 received;
        for (uint256 i; i < versions.length; ++i) {
            Terms memory terms = _terms[path[i]][path[i + 1]][versions[i]];
            uint256 out = _convert(words, terms);
            int256 paid = int256(out * terms.price); // far below 2^255: the sum is below 2^128, the price below 2^64
            _movePosition(path[i], received - paid);
            received = paid;
        }
        _movePosition(path[path.length - 1], received);
    }

    /// Turns each word's amount at a hop's source into that at its destination, rounded down: a fraction of a point is
    /// never created. Returns the sum of what arrives.
    function _convert(bytes32[] memory words, Terms memory terms) private pure returns (uint256 out) {
        for (uint256 index; index < words.length; ++index) {
            EntryWord word = EntryWord.wrap(words[index]);
            uint256 amount = word.amount();
            if (amount == 0) continue; // skipped at the source
            unchecked {
                // Amount and units are below 2^48, so the product is below 2^96; `propose` refuses units of zero.
                amount = amount * terms.toUnits / terms.fromUnits;
                if (amount == 0) revert NothingOut(index);
                if (amount > AMOUNT_MAX) revert AmountTooLarge(index, amount);
                out += amount; // as many amounts below 2^48 as a transaction has legs
            }
            words[index] = EntryWord.unwrap(word.withAmount(amount));
        }
    }

    function _movePosition(address program, int256 delta) private {
        int256 moved = position[program] + delta;
        position[program] = moved;
        emit PositionMoved(program, delta, moved);
    }

    // ---------------------------------------------------------------- views

    function pathId(address[] calldata path) public pure override returns (bytes32) {
        return keccak256(abi.encodePacked(path));
    }

    function termsOf(address from, address to, uint32 version) external view override returns (Terms memory) {
        return _terms[from][to][version];
    }

    function latestProposed(address from, address to) external view override returns (uint32) {
        return _directions[from][to].proposed;
    }

    function latestAdopted(address from, address to) external view override returns (uint32) {
        return _directions[from][to].adopted;
    }
}
