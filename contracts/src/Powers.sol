// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {IPowers} from "./interfaces/IPowers.sol";

/// What each function means is written in `IPowers`.
abstract contract Powers is IPowers {
    /// How long an announced call stays possible. Without an end, a call that was announced and forgotten could be
    /// made years later by whoever then holds the admin's key, with nobody watching.
    uint256 internal constant WINDOW = 14 days;

    /// A longer delay would be a mistake that nobody could mend.
    uint256 private constant DELAY_MAX = 365 days;

    uint256 public immutable override delay;

    address public override admin;
    address public override nominee;

    mapping(bytes32 id => uint256) public override readyAt;

    constructor(address admin_, uint256 delay_) {
        if (admin_ == address(0)) revert ZeroAddress();
        if (delay_ > DELAY_MAX) revert DelayTooLong(DELAY_MAX, delay_);
        admin = admin_;
        delay = delay_;
        emit AdminChanged(admin_);
    }

    modifier onlyAdmin() {
        _requireAdmin();
        _;
    }

    /// For a call that the admin must have announced.
    modifier announced() {
        _requireAdmin();
        _useAnnouncement();
        _;
    }

    function announce(bytes calldata call) external override onlyAdmin {
        bytes32 id = keccak256(call);
        uint256 ready = readyAt[id];
        // One that was never made and whose window is over may be announced anew.
        if (ready != 0 && block.timestamp <= ready + WINDOW) revert AlreadyAnnounced(id, ready);
        ready = block.timestamp + delay;
        readyAt[id] = ready;
        emit Announced(id, call, ready, ready + WINDOW);
    }

    function withdraw(bytes calldata call) external override onlyAdmin {
        bytes32 id = keccak256(call);
        if (!_void(id)) revert NotAnnounced(id);
    }

    function nominate(address next) external override onlyAdmin {
        if (next != address(0)) _useAnnouncement();
        nominee = next;
        emit Nominated(next);
    }

    function accept() external override {
        if (msg.sender != nominee) revert NotNominee(msg.sender);
        admin = msg.sender;
        nominee = address(0);
        emit AdminChanged(msg.sender);
    }

    /// Requires that this very call was announced and is ripe, and closes the announcement; returns when it was made.
    function _useAnnouncement() internal returns (uint256 announcedAt) {
        bytes32 id = keccak256(msg.data);
        uint256 ready = readyAt[id];
        if (ready == 0) revert NotAnnounced(id);
        if (block.timestamp < ready) revert TooEarly(ready, block.timestamp);
        if (block.timestamp > ready + WINDOW) revert TooLate(ready + WINDOW, block.timestamp);
        delete readyAt[id];
        emit Closed(id, true);
        return ready - delay;
    }

    /// Takes an announcement back; whether there was one.
    function _void(bytes32 id) internal returns (bool there) {
        there = readyAt[id] != 0;
        if (!there) return false;
        delete readyAt[id];
        emit Closed(id, false);
    }

    function _requireAdmin() internal view {
        if (msg.sender != admin) revert NotAdmin(msg.sender);
    }
}
