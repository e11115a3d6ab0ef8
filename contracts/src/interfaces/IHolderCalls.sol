// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

/// @title What a holder signs and anybody may relay
/// @notice Nonces have no order: each is used at most once, and each holder has 2^256 of them. Numbers that share their
/// upper 248 bits share a storage slot, so counting up is cheapest.
///
/// A signature is 65 bytes (r, s, v), 64 bytes (EIP-2098), or whatever a contract wallet accepts (ERC-1271).
interface IHolderCalls {
    /// @notice A nonce was used or cancelled: no call can use it again.
    event NonceUsed(address indexed holder, uint256 nonce);

    /// @notice Thrown when a call rests on a nonce that was used or cancelled.
    error NonceSpent(address holder, uint256 nonce);

    /// @notice Thrown when a call arrives after the last second for which it was signed.
    error Expired(uint256 deadline, uint256 timestamp);

    /// @notice Thrown when the signature is not the holder's for this very call, contract and chain.
    error WrongSignature(address holder, bytes32 digest);

    /// @notice Makes a nonce unusable, at once: whatever was signed with it is void. The caller's nonces only.
    function cancel(uint256 nonce) external;

    /// @notice Whether a nonce was used or cancelled.
    function isSpent(address holder, uint256 nonce) external view returns (bool);

    /// @notice The EIP-712 domain: name, version "1", chain id, this contract.
    function DOMAIN_SEPARATOR() external view returns (bytes32);
}
