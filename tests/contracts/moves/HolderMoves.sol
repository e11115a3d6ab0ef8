// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {IHolderCalls} from "sarraf/interfaces/IHolderCalls.sol";
import {IPointsExchange} from "sarraf/interfaces/IPointsExchange.sol";
import {IPointsToken} from "sarraf/interfaces/IPointsToken.sol";
import {IToken} from "../IToken.sol";
import {vm} from "../Vm.sol";
import {OperatorMoves} from "./OperatorMoves.sol";
import {Twin} from "./Twin.sol";

/// What holders of wallets do, by transaction or by a signature that somebody else relays, and what a relayer may try.
abstract contract HolderMoves is OperatorMoves {
    uint256 private constant AMOUNT_MOST = 800;
    /// Few, so that some are used twice.
    uint256 private constant NONCES = 400;

    bytes32 private constant REDEEM = keccak256("Redeem(address holder,uint256 amount,uint256 order,uint256 deadline)");
    bytes32 private constant DEPOSIT =
        keccak256("Deposit(address holder,bytes20 reference,uint256 amount,uint256 nonce,uint256 deadline)");
    bytes32 private constant SWAP_CALL = keccak256(
        "Swap(address holder,address[] path,uint256 amountIn,uint256 minOut,uint256 nonce,uint256 deadline)"
    );

    struct Signed {
        address target;
        bytes call;
    }

    /// Every signed call that was made, for those who would make it again.
    Signed[] private _made;

    function redeem(uint256 seed) external move(seed) {
        (IToken token, uint256 who) = (_token(), _roll(people.length));
        (uint256 amount, uint256 order) = (_amount(), _roll(NONCES));
        bytes memory rule = abi.encodeCall(Twin.redeem, (address(token), people[who], amount, order));
        if (_chance(2)) {
            bytes memory call = abi.encodeCall(IPointsToken.redeem, (amount, order));
            _attempt("redeem", people[who], address(token), call, rule, "F");
            return;
        }
        uint256 deadline = _deadline();
        bytes32 hash = keccak256(abi.encode(REDEEM, people[who], amount, order, deadline));
        (bytes memory signature, bool good) = _sign(who, token, hash);
        bytes memory relayed =
            abi.encodeCall(IPointsToken.redeemFor, (people[who], amount, order, deadline, signature));
        _relay("redeem for", address(token), relayed, good && deadline >= block.timestamp ? rule : bytes(""));
    }

    function deposit(uint256 seed) external move(seed) {
        (IToken token, uint256 who) = (_token(), _roll(people.length));
        // Mostly where the wallet is bound, unless that changed.
        bytes20 reference_ = referenceOf(_chance(8) ? _roll(HOLDERS) : who);
        uint256 amount = _amount();
        if (_chance(2)) {
            bytes memory call = abi.encodeCall(IPointsToken.deposit, (reference_, amount));
            bytes memory rule = abi.encodeCall(Twin.deposit, (address(token), people[who], reference_, amount));
            _attempt("deposit", people[who], address(token), call, rule, "F");
        } else {
            _depositFor(token, who, reference_, amount);
        }
    }

    function _depositFor(IToken token, uint256 who, bytes20 reference_, uint256 amount) private {
        (uint256 nonce, uint256 deadline) = (_roll(NONCES), _deadline());
        bytes32 hash = keccak256(abi.encode(DEPOSIT, people[who], reference_, amount, nonce, deadline));
        (bytes memory signature, bool good) = _sign(who, token, hash);
        bytes memory call = abi.encodeCall(
            IPointsToken.depositFor, (people[who], reference_, amount, nonce, deadline, signature)
        );
        bytes memory rule;
        if (good && deadline >= block.timestamp) {
            rule = abi.encodeCall(Twin.depositFor, (address(token), people[who], reference_, amount, nonce));
        }
        _relay("deposit for", address(token), call, rule);
    }

    function swap(uint256 seed) external move(seed) {
        uint256 who = _roll(people.length);
        address[] memory path = _path();
        (uint256 amount, uint256 minOut, uint256 deadline) = (10 + _amount(), _roll(30), _deadline());
        bool done;
        if (_chance(2)) {
            bytes memory call = abi.encodeCall(IPointsExchange.swap, (path, amount, minOut, deadline));
            bytes memory rule;
            if (deadline >= block.timestamp) rule = abi.encodeCall(Twin.swap, (people[who], path, amount, minOut));
            done = _attempt("swap", people[who], address(exchange), call, rule, "hands");
        } else {
            done = _swapFor(who, path, amount, minOut, deadline);
        }
        if (done) _checkCaps("swap", path, true);
    }

    function _swapFor(uint256 who, address[] memory path, uint256 amount, uint256 minOut, uint256 deadline)
        private
        returns (bool)
    {
        uint256 nonce = _roll(NONCES);
        bytes32 hash = keccak256(
            abi.encode(SWAP_CALL, people[who], keccak256(abi.encodePacked(path)), amount, minOut, nonce, deadline)
        );
        (bytes memory signature, bool good) = _sign(who, exchange, hash);
        bytes memory call = abi.encodeCall(
            IPointsExchange.swapFor, (people[who], path, amount, minOut, nonce, deadline, signature)
        );
        bytes memory rule;
        if (good && deadline >= block.timestamp) {
            rule = abi.encodeCall(Twin.swapFor, (address(exchange), people[who], path, amount, minOut, nonce));
        }
        return _relay("swap for", address(exchange), call, rule);
    }

    function transfer(uint256 seed) external move(seed) {
        IToken token = _chance(4) ? _token() : b;
        address from = _person();
        (address to, uint256 amount) = (everybody[token][_roll(everybody[token].length)], _amount());
        bytes memory rule;
        if (token.transferable()) rule = abi.encodeCall(Twin.transfer, (address(token), from, to, amount));
        _attempt("transfer", from, address(token), abi.encodeCall(IToken.transfer, (to, amount)), rule, "F");
        bytes memory taking = abi.encodeCall(IToken.transferFrom, (from, to, 1 + amount));
        _refused("transfer from", STRANGER, address(token), taking, "F");
    }

    /// A holder's own ways to stop things: of a nonce, or of a binding.
    function cancelOrUnbind(uint256 seed) external move(seed) {
        (IToken token, address by) = (_token(), _person());
        if (!_chance(4)) {
            (address place, uint256 nonce) = (_chance(2) ? address(exchange) : address(token), _roll(NONCES));
            bytes memory rule = abi.encodeCall(Twin.cancel, (place, by, nonce));
            _attempt("cancel", by, place, abi.encodeCall(IHolderCalls.cancel, (nonce)), rule, "F");
        } else {
            bytes20 reference_ = referenceOf(_roll(HOLDERS));
            (address wallet,) = twin.binding(address(token), reference_);
            bytes memory rule;
            if (wallet == by) rule = abi.encodeCall(Twin.unbind, (address(token), reference_));
            _attempt("unbind", by, address(token), abi.encodeCall(IPointsToken.unbind, (reference_)), rule, "F");
        }
    }

    /// A call that was made once, made again or with one byte changed.
    function replay(uint256 seed) external move(seed) {
        if (_made.length == 0) return;
        Signed memory signed = _made[_roll(_made.length)];
        if (_chance(2)) {
            uint256 place = 4 + _roll(signed.call.length - 4);
            signed.call[place] = bytes1(uint8(signed.call[place]) ^ uint8(1 + _roll(255)));
        }
        _refused("replay", STRANGER, signed.target, signed.call, "F");
    }

    function _relay(string memory name, address target, bytes memory call, bytes memory rule)
        private
        returns (bool done)
    {
        done = _attempt(name, STRANGER, target, call, rule, target == address(exchange) ? "hands" : "F");
        if (done) _made.push(Signed(target, call));
    }

    /// The person's signature of a call of `place`, or one that is worth nothing.
    function _sign(uint256 who, IHolderCalls place, bytes32 hash) private returns (bytes memory, bool good) {
        uint256 key = who == people.length - 1 ? THIEF_KEY : KEY + who;
        good = !_chance(8);
        if (!good) key = key == THIEF_KEY ? KEY : THIEF_KEY;
        bytes32 digest = keccak256(abi.encodePacked("\x19\x01", place.DOMAIN_SEPARATOR(), hash));
        (uint8 v, bytes32 r, bytes32 s) = vm.sign(key, digest);
        if (_chance(2)) return (abi.encodePacked(r, s, v), good);
        return (abi.encodePacked(r, bytes32(uint256(s) | (uint256(v - 27) << 255))), good); // EIP-2098
    }

    function _amount() private returns (uint256) {
        return _chance(16) ? (_chance(2) ? 0 : uint256(MOST) + 1) : 1 + _roll(AMOUNT_MOST);
    }

    function _deadline() private returns (uint256) {
        return _chance(16) ? block.timestamp - 1 : block.timestamp + _roll(3);
    }
}
