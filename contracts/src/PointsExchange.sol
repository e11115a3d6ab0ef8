// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {EIP712} from "solady/src/utils/EIP712.sol";
import {HolderCalls} from "./HolderCalls.sol";
import {Positions} from "./Positions.sol";
import {Powers} from "./Powers.sol";
import {TermsBook} from "./TermsBook.sol";
import {IHolderCalls} from "./interfaces/IHolderCalls.sol";
import {IPointsToken} from "./interfaces/IPointsToken.sol";
import {AMOUNT_MAX} from "./libraries/EntryWord.sol";
import {LegCalls} from "./libraries/LegCalls.sol";

/// What each function means is written in `IPointsExchange`. Terms and caps are in `TermsBook`, programs and what they
/// owe in `Positions`; here is what moves points.
///
/// What is trusted of an admitted program's contract: nothing that touches others. One that lies in `burnLegs` issues
/// its own points, which its position pays for like any other swap.
contract PointsExchange is TermsBook, HolderCalls, EIP712 {
    using LegCalls for bytes32[];

    uint256 public constant override LEGS_MAX = 1024;
    uint256 private constant PROGRAMS_MIN = 2;
    uint256 private constant PROGRAMS_MAX = 5;

    bytes32 private constant SWAP = keccak256(
        "Swap(address holder,address[] path,uint256 amountIn,uint256 minOut,uint256 nonce,uint256 deadline)"
    );

    address public override operator;
    address public override standby;

    mapping(bytes32 path => uint64) public override sequenceOf;

    constructor(address admin_, address operator_, address standby_, Times memory times)
        Powers(admin_, times.delay)
        TermsBook(times)
    {
        if (operator_ == address(0)) revert ZeroAddress();
        if (standby_ == operator_) revert NoSuchStandby(standby_);
        operator = operator_;
        standby = standby_;
        emit OperatorChanged(operator_);
        emit StandbyChanged(standby_);
    }

    // ---------------------------------------------------------------- swaps of managed accounts

    function settle(
        address[] calldata path,
        uint32[] calldata versions,
        uint64 sequence,
        uint64 validUntil,
        bytes32[] calldata legs
    ) external override {
        if (msg.sender != operator) revert NotOperator(msg.sender);
        _requireTimely(validUntil);
        if (legs.length == 0) revert EmptyBatch();
        if (legs.length > LEGS_MAX) revert BatchTooLong(LEGS_MAX, legs.length);
        _requirePath(path);
        if (versions.length != path.length - 1) revert WrongVersionCount(path.length - 1, versions.length);
        bytes32 id = pathId(path);
        _advance(id, sequence);

        bytes32[] memory words = legs.load(); // whose amounts turn from amounts in to amounts out
        bytes32 digest = words.digest();
        _burn(id, path[0], sequence, words);
        (uint256 burned, uint256 minted) = _walk(path, versions, words);
        words.mint(path[path.length - 1]);
        emit Settled(id, sequence, digest, burned, minted);
    }

    function _requireTimely(uint64 validUntil) private view {
        if (block.timestamp > validUntil) revert Stale(validUntil, block.timestamp);
        uint256 latest = block.timestamp + longestBatch;
        if (validUntil > latest) revert ValidTooLong(latest, validUntil);
    }

    function _advance(bytes32 path, uint64 given) private {
        uint64 expected = sequenceOf[path] + 1;
        if (given != expected) revert WrongSequence(expected, given);
        sequenceOf[path] = given;
    }

    /// Burns the legs at their source, and reports those that were skipped there and sets their amounts to zero.
    function _burn(bytes32 path, address source, uint64 sequence, bytes32[] memory words) private {
        uint256[] memory skipped = words.burn(source);
        for (uint256 i; i < skipped.length; ++i) {
            uint256 index = i * 256;
            for (uint256 bits = skipped[i]; bits != 0; bits >>= 1) {
                if (bits & 1 == 1) {
                    words[index] &= ~bytes32(AMOUNT_MAX << 40);
                    emit LegSkipped(path, sequence, index);
                }
                ++index;
            }
        }
    }

    /// Takes the words over every hop. At each the source comes to owe the destination the points that arrived there,
    /// at the agreed price: one write a program, also for those in between. Returns what left the first program and what
    /// arrives at the last, both counted here: a program's own word for it would let it pass its caps.
    function _walk(address[] calldata path, uint32[] calldata versions, bytes32[] memory words)
        private
        returns (uint256 burned, uint256 minted)
    {
        int256 received;
        for (uint256 i; i < versions.length; ++i) {
            if (versions[i] == 0) revert NotInForce(path[i], path[i + 1], 0);
            Terms memory terms = _inForce(path[i], path[i + 1], versions[i]);
            uint256 left;
            (left, minted) = words.convert(terms.fromUnits, terms.toUnits);
            if (i == 0) burned = left;
            _charge(path[i], path[i + 1], terms.managedCap, left, false);
            int256 paid = _price(minted, terms);
            _movePosition(path[i], received - paid);
            received = paid;
        }
        _movePosition(path[path.length - 1], received);
    }

    // ---------------------------------------------------------------- holders' own swaps

    function swap(address[] calldata path, uint256 amountIn, uint256 minOut, uint256 deadline)
        external
        override
        returns (uint256)
    {
        _requireInTime(deadline);
        return _swap(msg.sender, path, amountIn, minOut);
    }

    function swapFor(
        address holder,
        address[] calldata path,
        uint256 amountIn,
        uint256 minOut,
        uint256 nonce,
        uint256 deadline,
        bytes calldata signature
    ) external override returns (uint256) {
        // EIP-712 hashes an array as its elements, each padded to 32 bytes, joined: what names a path anyway.
        bytes32 structHash = keccak256(abi.encode(SWAP, holder, pathId(path), amountIn, minOut, nonce, deadline));
        _requireSigned(holder, structHash, nonce, deadline, signature);
        return _swap(holder, path, amountIn, minOut);
    }

    function _swap(address holder, address[] calldata path, uint256 amountIn, uint256 minOut)
        private
        returns (uint256 amount)
    {
        _requirePath(path);
        if (amountIn == 0) revert ZeroAmount();
        if (amountIn > AMOUNT_MAX) revert AmountTooLarge(0, amountIn);
        IPointsToken(path[0]).burnHeld(holder, amountIn);
        bytes32[] memory leg = LegCalls.single(amountIn);
        amount = amountIn;
        int256 received;
        for (uint256 i; i < path.length - 1; ++i) {
            Terms memory terms = _inForce(path[i], path[i + 1], 0);
            _charge(path[i], path[i + 1], terms.walletCap, amount, true);
            (, amount) = leg.convert(terms.fromUnits, terms.toUnits);
            int256 paid = _price(amount, terms);
            _movePosition(path[i], received - paid);
            received = paid;
        }
        _movePosition(path[path.length - 1], received);
        if (amount < minOut) revert TooLittleOut(minOut, amount);
        IPointsToken(path[path.length - 1]).mintHeld(holder, amount);
        emit Swapped(holder, path[0], path[path.length - 1], amountIn, amount);
    }

    // ---------------------------------------------------------------- paths

    /// Not checked: that the programs are admitted, since without that no direction has terms.
    function _requirePath(address[] calldata path) private pure {
        uint256 count = path.length;
        if (count < PROGRAMS_MIN || count > PROGRAMS_MAX) revert WrongPathLength(count);
        for (uint256 i; i < count; ++i) {
            for (uint256 j = i + 1; j < count; ++j) {
                if (path[i] == path[j]) revert ProgramTwice(path[i]);
            }
        }
    }

    function pathId(address[] calldata path) public pure override returns (bytes32) {
        return keccak256(abi.encodePacked(path));
    }

    /// What so many destination points are worth, in micro-units: far below 2^255, since a batch carries less than
    /// 2^58 points and a price is below 2^48.
    function _price(uint256 points, Terms memory terms) private pure returns (int256) {
        return int256(points * terms.price);
    }

    // ---------------------------------------------------------------- powers

    function retireOperator() external override onlyAdmin {
        address next = standby;
        operator = next;
        standby = address(0);
        emit OperatorChanged(next);
        emit StandbyChanged(address(0));
    }

    function setStandby(address next) external override onlyAdmin {
        if (next != address(0)) {
            _useAnnouncement();
            if (next == operator) revert NoSuchStandby(next);
        }
        standby = next;
        emit StandbyChanged(next);
    }

    // ---------------------------------------------------------------- EIP-712

    function DOMAIN_SEPARATOR() public view override(HolderCalls, IHolderCalls) returns (bytes32) {
        return _domainSeparator();
    }

    function _domainNameAndVersion() internal pure override returns (string memory, string memory) {
        return ("Sarraf Exchange", "1");
    }
}
