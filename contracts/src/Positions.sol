// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {Powers} from "./Powers.sol";
import {IPointsExchange} from "./interfaces/IPointsExchange.sol";
import {IPointsToken} from "./interfaces/IPointsToken.sol";
import {IPowers} from "./interfaces/IPowers.sol";
import {POSITION_MAX, ProgramAccount, ProgramAccounts} from "./libraries/ProgramAccount.sol";

/// Which programs there are, what each is owed or owes, and how much it may owe. The meanings are in `IPointsExchange`.
abstract contract Positions is Powers, IPointsExchange {
    /// Enough for a view that reads one slot of a contract not touched before.
    uint256 private constant ROLE_GAS = 30_000;

    mapping(address program => ProgramAccount) private _accounts;
    mapping(address program => uint256) public override creditRequested;

    function admit(address program, uint120 limit) external override announced {
        if (_accounts[program].admitted()) revert AlreadyAdmitted(program);
        address theirs = IPointsToken(program).exchange();
        if (theirs != address(this)) revert WrongExchange(program, theirs);
        _requireCountable(limit);
        _accounts[program] = ProgramAccounts.opened(limit);
        emit Admitted(program, limit);
    }

    function requestCredit(address program, uint120 limit) external override {
        _requireAdmitted(program);
        if (!_isAdmin(program)) revert NotProgramAdmin(msg.sender);
        creditRequested[program] = limit;
        emit CreditRequested(program, limit);
    }

    function grantCredit(address program, uint120 limit) external override announced {
        _requireAdmitted(program);
        uint256 requested = creditRequested[program];
        if (limit == 0 || limit != requested) revert NotRequested(program, requested, limit);
        _requireCountable(limit);
        delete creditRequested[program];
        _accounts[program] = _accounts[program].withCreditLimit(limit);
        emit CreditChanged(program, limit);
    }

    function lowerCredit(address program, uint120 limit) external override {
        _requireAdmitted(program);
        if (!_isGuardian(program)) revert NotProgramAdmin(msg.sender);
        uint256 current = _accounts[program].creditLimit();
        if (limit > current) revert NotLower(current, limit);
        delete creditRequested[program]; // else a grant that is announced already would undo this
        _accounts[program] = _accounts[program].withCreditLimit(limit);
        emit CreditChanged(program, limit);
    }

    /// Moves a position. A program that owes more than its limit, because that was lowered, may still come to owe less.
    function _movePosition(address program, int256 delta) internal {
        ProgramAccount account = _accounts[program];
        // Positions are below 2^119, deltas below 2^107.
        int256 moved;
        unchecked {
            moved = account.position() + delta;
        }
        uint256 limit = account.creditLimit();
        if (delta < 0 && moved < -int256(limit)) revert OverCredit(program, moved, limit);
        // Below no position can be: `_requireCountable`. Above, the others' limits would have to be that large together.
        if (moved > int256(POSITION_MAX)) revert NumberTooLarge(POSITION_MAX, uint256(moved));
        _accounts[program] = account.withPosition(moved);
        emit PositionMoved(program, delta, moved);
    }

    function _requireAdmitted(address program) internal view {
        if (!_accounts[program].admitted()) revert NotAdmitted(program);
    }

    /// Whether the caller is the program's admin.
    function _isAdmin(address program) internal view returns (bool) {
        return _answersCaller(program, IPowers.admin.selector);
    }

    /// Whether the caller may use a guardian's powers for the program, which its admin may too.
    function _isGuardian(address program) internal view returns (bool) {
        return _answersCaller(program, IPointsToken.guardian.selector) || _isAdmin(program);
    }

    /// Whether a view of a program's token answers the caller's address. A token that reverts, answers nonsense or burns
    /// its gas says no: it must not keep the partner on the other side from stopping a direction.
    function _answersCaller(address program, bytes4 view_) private view returns (bool answered) {
        assembly ("memory-safe") {
            mstore(0x00, view_)
            answered := staticcall(ROLE_GAS, program, 0x00, 0x04, 0x00, 0x20)
            answered := and(answered, and(gt(returndatasize(), 0x1f), eq(mload(0x00), caller())))
        }
    }

    function _requireCountable(uint256 limit) private pure {
        if (limit > POSITION_MAX) revert NumberTooLarge(POSITION_MAX, limit);
    }

    // ---------------------------------------------------------------- views

    function position(address program) external view override returns (int256) {
        return _accounts[program].position();
    }

    function creditLimit(address program) external view override returns (uint256) {
        return _accounts[program].creditLimit();
    }

    function admitted(address program) external view override returns (bool) {
        return _accounts[program].admitted();
    }
}
