// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {vm} from "./Vm.sol";

/// What holders sign, hashed here in plain words from the documented types, and how they sign it.
library Signatures {
    function redeemDigest(
        string memory name,
        address token,
        address holder,
        uint256 amount,
        uint256 order,
        uint256 deadline
    ) internal view returns (bytes32) {
        bytes32 typeHash = keccak256("Redeem(address holder,uint256 amount,uint256 order,uint256 deadline)");
        return digestOf(name, token, keccak256(abi.encode(typeHash, holder, amount, order, deadline)));
    }

    function depositDigest(
        string memory name,
        address token,
        address holder,
        bytes20 reference_,
        uint256 amount,
        uint256 nonce,
        uint256 deadline
    ) internal view returns (bytes32) {
        bytes32 typeHash =
            keccak256("Deposit(address holder,bytes20 reference,uint256 amount,uint256 nonce,uint256 deadline)");
        bytes32 structHash = keccak256(abi.encode(typeHash, holder, reference_, amount, nonce, deadline));
        return digestOf(name, token, structHash);
    }

    function permitDigest(
        string memory name,
        address token,
        address owner,
        address spender,
        uint256 value,
        uint256 nonce,
        uint256 deadline
    ) internal view returns (bytes32) {
        bytes32 typeHash =
            keccak256("Permit(address owner,address spender,uint256 value,uint256 nonce,uint256 deadline)");
        bytes32 structHash = keccak256(abi.encode(typeHash, owner, spender, value, nonce, deadline));
        return digestOf(name, token, structHash);
    }

    function domainOf(string memory name, address verifyingContract) internal view returns (bytes32) {
        return keccak256(
            abi.encode(
                keccak256("EIP712Domain(string name,string version,uint256 chainId,address verifyingContract)"),
                keccak256(bytes(name)),
                keccak256("1"),
                block.chainid,
                verifyingContract
            )
        );
    }

    function digestOf(string memory name, address verifyingContract, bytes32 structHash)
        internal
        view
        returns (bytes32)
    {
        return keccak256(abi.encodePacked("\x19\x01", domainOf(name, verifyingContract), structHash));
    }

    /// 65 bytes: r, s, v.
    function sign(uint256 key, bytes32 digest) internal pure returns (bytes memory) {
        (uint8 v, bytes32 r, bytes32 s) = vm.sign(key, digest);
        return abi.encodePacked(r, s, v);
    }

    /// 64 bytes, EIP-2098: r, then s with the parity in its highest bit.
    function signCompact(uint256 key, bytes32 digest) internal pure returns (bytes memory) {
        (uint8 v, bytes32 r, bytes32 s) = vm.sign(key, digest);
        return abi.encodePacked(r, bytes32(uint256(s) | uint256(v - 27) << 255));
    }
}
