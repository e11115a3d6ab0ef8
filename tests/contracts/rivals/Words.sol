// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

// What the trials of the two libraries share: the words, whose first 20 bytes are the account here, and an issuer.

uint256 constant TRANSFER = 0xddf252ad1be2c89b69c2b068fc378daa952ba7f163c4a11628f55a4df523b3ef;

function accountIn(bytes32 word) pure returns (address) {
    return address(bytes20(word));
}

function amountIn(bytes32 word) pure returns (uint256) {
    return (uint256(word) >> 40) & 0xffffffffffff;
}

abstract contract Issued {
    address private immutable _issuer;

    error NotIssuer(address caller);

    modifier onlyIssuer() {
        if (msg.sender != _issuer) revert NotIssuer(msg.sender);
        _;
    }

    constructor(address issuer) {
        _issuer = issuer;
    }
}
