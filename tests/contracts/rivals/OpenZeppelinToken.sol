// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {ERC20} from "@openzeppelin/contracts/token/ERC20/ERC20.sol";

/// What most programs would deploy: the library as it is, and an issuer. Only measured, never deployed by the service.
contract OpenZeppelinToken is ERC20 {
    address private immutable _issuer;

    error NotIssuer(address caller);

    modifier onlyIssuer() {
        if (msg.sender != _issuer) revert NotIssuer(msg.sender);
        _;
    }

    constructor(address issuer) ERC20("Rival", "RIVAL") {
        _issuer = issuer;
    }

    function mint(address to, uint256 amount) external onlyIssuer {
        _mint(to, amount);
    }

    function burn(address from, uint256 amount) external onlyIssuer {
        _burn(from, amount);
    }

    function airdrop(address[] calldata to, uint256[] calldata amounts) external onlyIssuer {
        for (uint256 i; i < to.length; ++i) _mint(to[i], amounts[i]);
    }
}
