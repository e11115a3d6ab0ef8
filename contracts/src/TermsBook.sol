// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {Positions} from "./Positions.sol";
import {DirectionState} from "./libraries/DirectionState.sol";

/// The agreed terms of every direction, and how much of their caps is used. The meanings are in `IPointsExchange`.
abstract contract TermsBook is Positions {
    /// With shorter periods their number would outgrow its 24 bits within a lifetime.
    uint256 private constant PERIOD_MIN = 1 hours;

    uint256 public immutable override notice;
    uint256 public immutable override longestQuote;
    uint256 public immutable override longestBatch;
    uint256 public immutable override capPeriod;

    mapping(address from => mapping(address to => DirectionState)) private _directions;
    mapping(address from => mapping(address to => mapping(uint256 version => Terms))) private _terms;

    constructor(Times memory times) {
        uint256 least = uint256(times.longestQuote) + times.longestBatch;
        if (times.delay > least) least = times.delay;
        if (times.notice < least) revert NoticeTooShort(least, times.notice);
        if (times.capPeriod < PERIOD_MIN) revert PeriodTooShort(PERIOD_MIN, times.capPeriod);
        notice = times.notice;
        longestQuote = times.longestQuote;
        longestBatch = times.longestBatch;
        capPeriod = times.capPeriod;
    }

    // ---------------------------------------------------------------- agreeing

    function propose(address from, address to, Terms calldata terms) external override returns (uint32 version) {
        bool byFrom = _callersSide(from, to);
        if (from == to) revert ProgramTwice(from);
        if (terms.fromUnits == 0 || terms.toUnits == 0) revert ZeroUnits();

        DirectionState direction = _directions[from][to];
        uint256 next = direction.proposed() + 1;
        if (next > type(uint24).max) revert NumberTooLarge(type(uint24).max, next);
        version = uint32(next);
        _directions[from][to] = direction.withProposal(next, byFrom);
        _terms[from][to][version] = terms;
        emit TermsProposed(from, to, version, terms, msg.sender);
    }

    function consent(address from, address to, uint32 version) external override {
        DirectionState direction = _directions[from][to];
        uint256 adopted = direction.adopted();
        if (version != direction.proposed() || version == adopted || version <= direction.suspended()) {
            revert NotProposed(from, to, version);
        }
        if (!_isAdmin(direction.proposedByFrom() ? to : from)) revert NotProgramAdmin(msg.sender);
        if (adopted > direction.suspended() && direction.effectiveAt() > block.timestamp) {
            revert ChangeWaiting(from, to, uint32(adopted), uint64(direction.effectiveAt()));
        }

        // The first terms of a direction change nothing that anybody could rely on, so they wait only for the delay.
        uint256 effectiveAt = block.timestamp + (adopted == 0 ? delay : notice);
        if (effectiveAt > type(uint32).max) revert NumberTooLarge(type(uint32).max, effectiveAt);
        _directions[from][to] = direction.withAdoption(effectiveAt);
        emit TermsAdopted(from, to, version, _terms[from][to][version], uint64(effectiveAt));
    }

    function suspend(address from, address to) external override {
        _requireGuardianOfEither(from, to);
        _directions[from][to] = _directions[from][to].withSuspension();
        emit Suspended(from, to, msg.sender);
    }

    function lowerCaps(address from, address to, uint32 version, uint48 managedCap, uint48 walletCap)
        external
        override
    {
        _requireGuardianOfEither(from, to);
        Terms storage terms = _terms[from][to][version];
        if (managedCap > terms.managedCap) revert NotLower(terms.managedCap, managedCap);
        if (walletCap > terms.walletCap) revert NotLower(terms.walletCap, walletCap);
        (terms.managedCap, terms.walletCap) = (managedCap, walletCap);
        emit CapsLowered(from, to, version, managedCap, walletCap, msg.sender);
    }

    /// Whether the caller speaks for `from` (true) or for `to` (false), both admitted; reverts when for neither.
    /// Whoever is admin of both speaks for `from`, and may consent for `to`.
    function _callersSide(address from, address to) private view returns (bool) {
        _requireAdmitted(from);
        _requireAdmitted(to);
        if (_isAdmin(from)) return true;
        if (_isAdmin(to)) return false;
        revert NotProgramAdmin(msg.sender);
    }

    function _requireGuardianOfEither(address from, address to) private view {
        _requireAdmitted(from);
        _requireAdmitted(to);
        if (!_isGuardian(from) && !_isGuardian(to)) revert NotProgramAdmin(msg.sender);
    }

    // ---------------------------------------------------------------- using

    /// The terms in force of a direction. `version` is what the caller reckoned with; 0 is none, for the holder of a
    /// wallet, whom the least amount out protects.
    function _inForce(address from, address to, uint256 version) internal view returns (Terms memory) {
        uint256 current = _directions[from][to].inForce(block.timestamp);
        if (current == 0 || (version != 0 && version != current)) revert NotInForce(from, to, uint32(version));
        return _terms[from][to][current];
    }

    /// Charges `amount` source points to a direction's cap in this period.
    function _charge(address from, address to, uint256 cap, uint256 amount, bool wallet) internal {
        DirectionState direction = _directions[from][to];
        uint256 period = _period();
        (uint256 managedUsed, uint256 walletUsed) = direction.used(period);
        uint256 used = wallet ? walletUsed : managedUsed;
        unchecked {
            // A batch carries less than 2^58 points, so this is far from 2^256; what is not above the cap fits 48 bits.
            if (used + amount > cap) revert OverCap(from, to, wallet, cap, used, amount);
            if (wallet) walletUsed += amount;
            else managedUsed += amount;
        }
        _directions[from][to] = direction.withUsed(period, managedUsed, walletUsed);
    }

    function _period() private view returns (uint256) {
        return (block.timestamp / capPeriod) & type(uint24).max;
    }

    // ---------------------------------------------------------------- views

    function inForce(address from, address to) external view override returns (uint32) {
        return uint32(_directions[from][to].inForce(block.timestamp));
    }

    function termsOf(address from, address to, uint32 version) external view override returns (Terms memory) {
        return _terms[from][to][version];
    }

    function latestProposed(address from, address to) external view override returns (uint32) {
        return uint32(_directions[from][to].proposed());
    }

    function latestAdopted(address from, address to) external view override returns (uint32, uint64) {
        DirectionState direction = _directions[from][to];
        return (uint32(direction.adopted()), uint64(direction.effectiveAt()));
    }

    function usedOf(address from, address to) external view override returns (uint256, uint256) {
        return _directions[from][to].used(_period());
    }
}
