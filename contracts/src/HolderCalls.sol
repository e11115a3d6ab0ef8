// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {SignatureCheckerLib} from "solady/src/utils/SignatureCheckerLib.sol";
import {IHolderCalls} from "./interfaces/IHolderCalls.sol";

/// What each function means is written in `IHolderCalls`.
abstract contract HolderCalls is IHolderCalls {
    mapping(address holder => mapping(uint256 word => uint256)) private _spent;

    function cancel(uint256 nonce) external override {
        _spend(msg.sender, nonce);
    }

    function isSpent(address holder, uint256 nonce) public view override returns (bool) {
        return (_spent[holder][nonce >> 8] >> (nonce & 0xff)) & 1 == 1;
    }

    function DOMAIN_SEPARATOR() public view virtual override returns (bytes32);

    function _spend(address holder, uint256 nonce) internal {
        uint256 bit = 1 << (nonce & 0xff);
        uint256 word = _spent[holder][nonce >> 8];
        if (word & bit != 0) revert NonceSpent(holder, nonce);
        _spent[holder][nonce >> 8] = word | bit;
        emit NonceUsed(holder, nonce);
    }

    /// Requires the holder's signature of `structHash`, in time, and uses up its nonce.
    function _requireSigned(
        address holder,
        bytes32 structHash,
        uint256 nonce,
        uint256 deadline,
        bytes calldata signature
    ) internal {
        _requireInTime(deadline);
        bytes32 digest = keccak256(abi.encodePacked("\x19\x01", DOMAIN_SEPARATOR(), structHash));
        if (!SignatureCheckerLib.isValidSignatureNowCalldata(holder, digest, signature)) {
            revert WrongSignature(holder, digest);
        }
        _spend(holder, nonce);
    }

    function _requireInTime(uint256 deadline) internal view {
        if (block.timestamp > deadline) revert Expired(deadline, block.timestamp);
    }
}
