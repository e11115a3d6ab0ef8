// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {IPointsExchange} from "sarraf/interfaces/IPointsExchange.sol";
import {IPointsToken} from "sarraf/interfaces/IPointsToken.sol";
import {IPowers} from "sarraf/interfaces/IPowers.sol";
import {IToken} from "../IToken.sol";
import {vm} from "../Vm.sol";
import {History} from "./History.sol";
import {Twin} from "./Twin.sol";

/// What guardians do and try, and what admins announce, try too early, and do when it is time.
abstract contract KeeperMoves is History {
    uint160 private _issuersNamed;

    // ------------------------------------------------------------ guardians

    /// Lowers a limit or tries to raise it, or takes a binding away.
    function guard(uint256 seed) external move(seed) {
        IToken token = _token();
        if (_chance(4)) _unbind(token, referenceOf(_roll(HOLDERS)));
        else _guardLimit(token);
    }

    function _unbind(IToken token, bytes20 reference_) private {
        bytes memory rule = abi.encodeCall(Twin.unbind, (address(token), reference_));
        bytes memory call = abi.encodeCall(IPointsToken.unbind, (reference_));
        _attempt("guard binding", guardianOf[token], address(token), call, rule, "F");
    }

    function _guardLimit(IToken token) private {
        uint256 limit = _roll(3);
        (uint256 capacity, uint256 refill,,) = twin.bucketOf(address(token), limit);
        capacity = _near(capacity);
        refill = _near(refill);
        bytes memory rule = abi.encodeCall(Twin.setLimit, (address(token), limit, capacity, refill, false));
        _attempt("guard limit", guardianOf[token], address(token), _limitCall(limit, capacity, refill), rule, "G");
    }

    /// Mostly a little less, sometimes a little more.
    function _near(uint256 number) private returns (uint256) {
        return _chance(6) ? number + 1 + _roll(number + 1) : number - _roll(number / 4 + 1);
    }

    /// Pauses a program; the guardian cannot end that, and the admin does so at once or at the next such move.
    function guardPause(uint256 seed) external move(seed) {
        IToken token = _token();
        for (uint256 i; i < TRACKED; ++i) if (twin.paused(address(tokens[i]))) token = tokens[i];
        bytes memory unpausing = abi.encodeCall(IPointsToken.unpause, ());
        if (!twin.paused(address(token))) {
            bytes memory rule = abi.encodeCall(Twin.setPaused, (address(token), true));
            bytes memory call = abi.encodeCall(IPointsToken.pause, ());
            _attempt("pause", guardianOf[token], address(token), call, rule, "G");
            _refused("guardian's unpause", guardianOf[token], address(token), unpausing, "G");
            if (_chance(4)) return;
        }
        _enact("unpause", token, unpausing, abi.encodeCall(Twin.setPaused, (address(token), false)));
    }

    /// Retires an issuer in favour of its standby; the admin names another standby.
    function guardIssuer(uint256 seed) external move(seed) {
        IToken token = _token();
        address next = address(0xA1000 + ++_issuersNamed);
        bytes memory naming = abi.encodeCall(IPointsToken.setStandby, (next));
        if (twin.standby(address(token)) == address(0) || _chance(4)) {
            _enact("set standby", token, naming, abi.encodeCall(Twin.setStandby, (address(token), next)));
            _refused("made twice", adminOf[token], address(token), naming, "G");
        } else {
            bytes memory rule = abi.encodeCall(Twin.retireIssuer, (address(token)));
            bytes memory call = abi.encodeCall(IPointsToken.retireIssuer, ());
            _attempt("retire issuer", guardianOf[token], address(token), call, rule, "G");
        }
        _refused("guardian's standby", guardianOf[token], address(token), naming, "G");
    }

    /// Suspends a direction, lowers its caps or its program's credit, or tries to raise them.
    function guardExchange(uint256 seed) external move(seed) {
        (IToken from, IToken to) = _direction();
        address by = guardianOf[_chance(2) ? from : to];
        if (_chance(8)) {
            bytes memory rule = abi.encodeCall(Twin.suspend, (address(from), address(to)));
            bytes memory call = abi.encodeCall(IPointsExchange.suspend, (address(from), address(to)));
            _attempt("suspend", by, address(exchange), call, rule, "terms");
        } else if (_chance(3)) {
            uint120 limit = uint120(_near(twin.creditLimit(address(from))));
            bytes memory rule = abi.encodeCall(Twin.setCredit, (address(from), limit, false));
            bytes memory call = abi.encodeCall(IPointsExchange.lowerCredit, (address(from), limit));
            if (by != guardianOf[from]) rule = "";
            _attempt("lower credit", by, address(exchange), call, rule, "credit");
        } else {
            _lowerCaps(address(from), address(to), by);
        }
    }

    function _lowerCaps(address from, address to, address by) private {
        uint32 version = twin.inForce(from, to);
        IPointsExchange.Terms memory terms = exchange.termsOf(from, to, version);
        (uint48 managed, uint48 wallet) = (uint48(_near(terms.managedCap)), uint48(_near(terms.walletCap)));
        bytes memory rule = abi.encodeCall(Twin.lowerCaps, (from, to, version, managed, wallet));
        bytes memory call = abi.encodeCall(IPointsExchange.lowerCaps, (from, to, version, managed, wallet));
        _attempt("lower caps", by, address(exchange), call, rule, "caps");
    }

    // ------------------------------------------------------------ admins

    /// Sets a limit to any numbers, most of them higher ones.
    function raiseLimit(uint256 seed) external move(seed) {
        IToken token = _token();
        (uint256 limit, uint256 capacity, uint256 refill) = (_roll(3), 3_000 + _roll(40_000), 1 + _roll(12));
        (uint256 oldCapacity, uint256 oldRefill,,) = twin.bucketOf(address(token), limit);
        bytes memory rule = abi.encodeCall(Twin.setLimit, (address(token), limit, capacity, refill, true));
        bytes memory call = _limitCall(limit, capacity, refill);
        if (capacity > oldCapacity || refill > oldRefill) _enact("raise limit", token, call, rule);
        else _attempt("lower limit", adminOf[token], address(token), call, rule, "G");
    }

    function raiseCredit(uint256 seed) external move(seed) {
        IToken token = _token();
        uint120 limit = uint120(_roll(2 * CREDIT));
        bytes memory grant = abi.encodeCall(IPointsExchange.grantCredit, (address(token), limit));
        vm.prank(EXCHANGE_ADMIN);
        exchange.announce(grant);
        _pass(DELAY);
        _refused("unasked credit", EXCHANGE_ADMIN, address(exchange), grant, "credit");
        vm.prank(adminOf[token]);
        exchange.requestCredit(address(token), limit);
        bytes memory rule = abi.encodeCall(Twin.setCredit, (address(token), limit, true));
        _attempt("grant credit", EXCHANGE_ADMIN, address(exchange), grant, rule, "credit");
    }

    /// Both admins agree to terms of any kind; sometimes one of them proposes what the other never answers.
    function agree(uint256 seed) external move(seed) {
        (IToken from, IToken to) = _direction();
        _agree(from, to);
        if (!_chance(4)) _pass(NOTICE);
    }

    function _agree(IToken from, IToken to) internal {
        IPointsExchange.Terms memory terms = IPointsExchange.Terms({
            fromUnits: uint48(1 + _roll(5)),
            toUnits: uint48(1 + _roll(5)),
            price: uint48(_roll(600)),
            managedCap: uint48(2_000 + _roll(20_000)),
            walletCap: _chance(8) ? 0 : uint48(200 + _roll(4_000))
        });
        bytes memory rule = abi.encodeCall(Twin.propose, (address(from), address(to), terms));
        bytes memory call = abi.encodeCall(IPointsExchange.propose, (address(from), address(to), terms));
        _attempt("propose", adminOf[from], address(exchange), call, rule, "terms");

        uint32 version = twin.proposed(address(from), address(to));
        rule = abi.encodeCall(Twin.consent, (address(from), address(to), version));
        call = abi.encodeCall(IPointsExchange.consent, (address(from), address(to), version));
        _refused("consent alone", adminOf[from], address(exchange), call, "terms");
        if (!_chance(8)) _attempt("consent", adminOf[to], address(exchange), call, rule, "terms");
    }

    /// Announces a call, tries it too early, waits, and makes it.
    function _enact(string memory name, IToken token, bytes memory call, bytes memory rule) private {
        address admin = adminOf[token];
        _refused("unannounced", admin, address(token), call, "G");
        vm.prank(admin);
        token.announce(call);
        _pass(_roll(DELAY));
        _refused("too early", admin, address(token), call, "G");
        vm.prank(admin);
        token.withdraw(call);
        vm.prank(admin);
        token.announce(call);
        _pass(DELAY - 1);
        _refused("too early", admin, address(token), call, "G");
        _pass(1 + (_chance(16) ? WINDOW : _roll(WINDOW)));
        _attempt(name, admin, address(token), call, rule, "G");
    }

    function _direction() private returns (IToken from, IToken to) {
        uint256 first = _roll(TRACKED);
        return (tokens[first], tokens[(first + 1 + _roll(TRACKED - 1)) % TRACKED]);
    }

    function _limitCall(uint256 limit, uint256 capacity, uint256 refill) private pure returns (bytes memory) {
        return abi.encodeCall(IPointsToken.setLimit, (IPointsToken.Limit(limit), uint48(capacity), uint48(refill)));
    }

    // ------------------------------------------------------------ time

    function pass(uint256 seed) external move(seed) {
        uint256 unit = _roll(4);
        _pass(1 + _roll(unit == 0 ? 1 minutes : unit == 1 ? 1 hours : unit == 2 ? 6 hours : 1 days));
        _compare("pass", "A");
    }
}
