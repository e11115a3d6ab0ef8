// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {IHolderCalls} from "sarraf/interfaces/IHolderCalls.sol";
import {IPointsExchange} from "sarraf/interfaces/IPointsExchange.sol";
import {IPointsToken} from "sarraf/interfaces/IPointsToken.sol";
import {IPowers} from "sarraf/interfaces/IPowers.sol";
import {IToken} from "../IToken.sol";
import {vm} from "../Vm.sol";
import {History} from "./History.sol";

/// Somebody calls anything with anything. Whether the call succeeds does not matter: nothing may move, since the caller
/// is a stranger to that contract, or a key that is asked for something else than it is for.
abstract contract StrangerMoves is History {
    uint256 private constant WORDS_MAX = 12;

    bytes4[] private _tokenCalls;
    bytes4[] private _exchangeCalls;

    function _listCalls() internal {
        _tokenCalls = [
            IPointsToken.post.selector,
            IPointsToken.burnLegs.selector,
            IPointsToken.mintLegs.selector,
            IPointsToken.burnHeld.selector,
            IPointsToken.mintHeld.selector,
            IPointsToken.redeem.selector,
            IPointsToken.redeemFor.selector,
            IPointsToken.deposit.selector,
            IPointsToken.depositFor.selector,
            IPointsToken.unbind.selector,
            IPointsToken.pause.selector,
            IPointsToken.unpause.selector,
            IPointsToken.setLimit.selector,
            IPointsToken.retireIssuer.selector,
            IPointsToken.setStandby.selector,
            IPointsToken.setGuardian.selector,
            IToken.transfer.selector,
            IToken.transferFrom.selector,
            IToken.approve.selector,
            IToken.permit.selector
        ];
        _exchangeCalls = [
            IPointsExchange.settle.selector,
            IPointsExchange.swap.selector,
            IPointsExchange.swapFor.selector,
            IPointsExchange.propose.selector,
            IPointsExchange.consent.selector,
            IPointsExchange.suspend.selector,
            IPointsExchange.lowerCaps.selector,
            IPointsExchange.admit.selector,
            IPointsExchange.requestCredit.selector,
            IPointsExchange.grantCredit.selector,
            IPointsExchange.lowerCredit.selector,
            IPointsExchange.retireOperator.selector,
            IPointsExchange.setStandby.selector
        ];
        bytes4[6] memory both = [
            IHolderCalls.cancel.selector,
            IPowers.announce.selector,
            IPowers.withdraw.selector,
            IPowers.nominate.selector,
            IPowers.accept.selector,
            bytes4(0)
        ];
        for (uint256 i; i < both.length; ++i) {
            _tokenCalls.push(both[i]);
            _exchangeCalls.push(both[i]);
        }
    }

    /// Any function with well typed or random words, by a stranger or by a key of somebody else.
    function meddle(uint256 seed) external move(seed) {
        bool token = _chance(2);
        address target = token ? address(_token()) : address(exchange);
        bytes4 selector = token ? _tokenCalls[_roll(_tokenCalls.length)] : _exchangeCalls[_roll(_exchangeCalls.length)];
        if (selector == bytes4(0)) selector = bytes4(uint32(_roll(2 ** 32)));
        bytes memory call = abi.encodePacked(selector);
        for (uint256 i = _roll(WORDS_MAX); i != 0; --i) call = bytes.concat(call, _anyWord());
        _meddle(target, call);
    }

    /// The calls that would pay best, with arguments that only the caller makes wrong.
    function meddleWell(uint256 seed) external move(seed) {
        IToken token = _token();
        address from = everybody[token][_roll(everybody[token].length)];
        uint48 amount = uint48(1 + _roll(500));
        bytes32[] memory legs = list(word(_roll(HOLDERS), SWAP, amount));
        uint256 how = _roll(8);
        bytes memory call;
        if (how == 0) call = abi.encodeCall(IPointsToken.mintHeld, (STRANGER, amount));
        else if (how == 1) call = abi.encodeCall(IPointsToken.burnHeld, (from, amount));
        else if (how == 2) call = abi.encodeCall(IPointsToken.mintLegs, (legs));
        else if (how == 3) call = abi.encodeCall(IPointsToken.burnLegs, (legs));
        else if (how == 4) call = abi.encodeCall(IToken.transferFrom, (from, STRANGER, amount));
        else if (how == 5) call = abi.encodeCall(IToken.permit, (from, STRANGER, amount, FOREVER, 27, "r", "s"));
        else if (how == 6) call = abi.encodeCall(IPointsToken.retireIssuer, ());
        else call = abi.encodeCall(IPointsToken.redeemFor, (from, amount, _roll(400), FOREVER, new bytes(_roll(66))));
        _meddle(address(token), call);
    }

    function _meddle(address target, bytes memory call) private {
        address by = _meddler(target, bytes4(call));
        vm.prank(by);
        (bool done,) = target.call(call);
        ++triedOf["meddle"];
        if (done) ++doneOf["meddle"];
        _compare("meddle", "stranger");
        _comparePowersOfPlaces();
    }

    /// The powers that no move of this history changes.
    function _comparePowersOfPlaces() private {
        bool same = exchange.operator() == OPERATOR && exchange.standby() == STANDBY_OPERATOR;
        same = same && exchange.admin() == EXCHANGE_ADMIN && exchange.nominee() == address(0);
        for (uint256 i; i < TRACKED; ++i) {
            IToken token = tokens[i];
            same = same && token.admin() == adminOf[token] && token.nominee() == address(0);
            same = same && token.guardian() == guardianOf[token];
        }
        if (!same) _breach("G", "meddle", "somebody was named");
    }

    /// Never one who may do just that: those are the other moves.
    function _meddler(address target, bytes4 selector) private returns (address by) {
        by = STRANGER;
        uint256 who = _roll(5);
        if (who == 0 && selector != IPointsExchange.settle.selector) by = OPERATOR;
        if (who == 1 && selector != IPointsToken.post.selector) by = ISSUER;
        if (who == 2) by = STANDBY_OPERATOR;
        if (who == 3 && target != address(exchange)) by = EXCHANGE_ADMIN;
        if (who == 4 && target != address(exchange) && target != address(a)) by = adminOf[a];
    }

    function _anyWord() private returns (bytes32) {
        uint256 what = _roll(8);
        IToken token = _token();
        if (what == 0) return bytes32(uint256(uint160(everybody[token][_roll(everybody[token].length)])));
        if (what == 1) return bytes32(uint256(uint160(address(token))));
        if (what == 2) return bytes32(referenceOf(_roll(HOLDERS)));
        if (what == 3) return word(_roll(HOLDERS), SWAP, uint48(1 + _roll(500)));
        if (what == 4) return bytes32(32 * _roll(WORDS_MAX));
        if (what == 5) return bytes32(block.timestamp + _roll(3));
        if (what == 6) return keccak256(abi.encode(_roll(type(uint256).max)));
        return bytes32(_roll(600));
    }
}
