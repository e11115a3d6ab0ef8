// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {ERC20} from "solady/src/tokens/ERC20.sol";

/// The same airdrop over the other library. Only measured, never deployed by the service.
contract SoladyToken is ERC20 {
    address private immutable _issuer;

    error NotIssuer(address caller);

    constructor(address issuer) {
        _issuer = issuer;
    }

    function airdrop(address[] calldata to, uint256[] calldata amounts) external {
        if (msg.sender != _issuer) revert NotIssuer(msg.sender);
        for (uint256 i; i < to.length; ++i) _mint(to[i], amounts[i]);
    }

    function name() public pure override returns (string memory) {
        return "Rival";
    }

    function symbol() public pure override returns (string memory) {
        return "RIVAL";
    }
}
