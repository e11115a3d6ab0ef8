// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {ERC20} from "solady/src/tokens/ERC20.sol";

/// What posting means, in the plainest words and with Solady's own mint and burn: the twin of `PointsToken.post`.
/// It takes batches that are well formed, and derives accounts as if it were `original`.
contract PlainToken is ERC20 {
    address private immutable original;

    constructor(address original_) {
        original = original_;
    }

    function post(bytes32[] calldata entries) external {
        for (uint256 i; i < entries.length; ++i) {
            (bytes20 reference_, uint8 kind, uint48 amount) =
                (bytes20(entries[i]), uint8(entries[i][20]), uint48(uint256(entries[i]) >> 40));
            address account = address(uint160(uint256(keccak256(abi.encodePacked(original, reference_)))));
            if (kind < 16) _mint(account, amount);
            else if (balanceOf(account) >= amount) _burn(account, amount);
        }
    }

    function name() public pure override returns (string memory) {
        return "";
    }

    function symbol() public pure override returns (string memory) {
        return "";
    }
}
