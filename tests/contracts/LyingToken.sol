// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {IPointsToken} from "sarraf/interfaces/IPointsToken.sol";

/// A program whose contract answers whatever it was told to answer, and may call back while it is asked.
///
/// Without being told it burns and mints what it is asked for, in words only: it keeps no balances.
contract LyingToken {
    enum Manner {
        Answers,
        Refuses, // reverts with the answer as the reason
        Exhausts // burns all gas that it was given
    }

    mapping(bytes4 selector => Manner) private _manners;
    mapping(bytes4 selector => bytes) private _answers;

    bytes4 private _when; // asked this, it calls back
    address private _target;
    bytes private _call;

    /// Whether the call back succeeded, and with what.
    bool public calledBack;
    bytes public answered;

    constructor(address exchange_, address admin_) {
        _answers[IPointsToken.exchange.selector] = abi.encode(exchange_);
        _answers[bytes4(keccak256("admin()"))] = abi.encode(admin_);
        _answers[IPointsToken.guardian.selector] = abi.encode(admin_);
        _answers[IPointsToken.mintLegs.selector] = abi.encode(0);
    }

    function will(bytes4 selector, Manner manner, bytes calldata answer) external {
        (_manners[selector], _answers[selector]) = (manner, answer);
    }

    /// Asked `selector`, it first makes `call` of `target`, once.
    function willCall(bytes4 selector, address target, bytes calldata call) external {
        (_when, _target, _call) = (selector, target, call);
    }

    fallback(bytes calldata) external returns (bytes memory answer) {
        if (_when == msg.sig && _target != address(0)) {
            address target = _target;
            _target = address(0);
            (calledBack, answered) = target.call(_call);
        }
        Manner manner = _manners[msg.sig];
        answer = _answers[msg.sig];
        if (manner == Manner.Refuses) {
            assembly ("memory-safe") {
                revert(add(answer, 0x20), mload(answer))
            }
        }
        if (manner == Manner.Exhausts) {
            assembly ("memory-safe") {
                invalid()
            }
        }
        if (answer.length == 0 && msg.sig == IPointsToken.burnLegs.selector) {
            bytes32[] memory legs = abi.decode(msg.data[4:], (bytes32[]));
            uint256 burned;
            for (uint256 i; i < legs.length; ++i) burned += uint48(uint256(legs[i]) >> 40);
            answer = abi.encode(burned, new uint256[]((legs.length + 255) / 256));
        }
    }
}
