// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {ERC20} from "solady/src/tokens/ERC20.sol";

/// What the loops of `Postings` mean, in the plainest words and with Solady's own mint and burn: the twin of
/// `PointsToken.post`, `burnLegs` and `mintLegs`.
///
/// It takes batches that are well formed, derives accounts as if it were `original`, and knows no limits, no wallets
/// and no events but `Transfer`.
contract PlainToken is ERC20 {
    address private immutable original;

    constructor(address original_) {
        original = original_;
    }

    /// Credits and debits; returns the sums of both, without the debits of accounts that are short.
    function post(bytes32[] calldata words) external returns (uint256 credited, uint256 debited) {
        for (uint256 i; i < words.length; ++i) {
            uint256 amount = amountOf(words[i]);
            if (uint8(words[i][20]) < 16) {
                _mint(accountOf(words[i]), amount);
                credited += amount;
            } else if (_tryToBurn(words[i])) {
                debited += amount;
            }
        }
    }

    /// Burns; bit `i % 256` of word `i / 256` of `skipped` says that leg `i` was short.
    function burnLegs(bytes32[] calldata legs) external returns (uint256 burned, uint256[] memory skipped) {
        skipped = new uint256[]((legs.length + 255) / 256);
        for (uint256 i; i < legs.length; ++i) {
            if (_tryToBurn(legs[i])) burned += amountOf(legs[i]);
            else skipped[i / 256] += 2 ** (i % 256);
        }
    }

    /// Mints; a leg of amount 0 was skipped at the source.
    function mintLegs(bytes32[] calldata legs) external returns (uint256 minted) {
        for (uint256 i; i < legs.length; ++i) {
            uint256 amount = amountOf(legs[i]);
            if (amount == 0) continue;
            _mint(accountOf(legs[i]), amount);
            minted += amount;
        }
    }

    function accountOf(bytes32 word) public view returns (address) {
        return address(uint160(uint256(keccak256(abi.encodePacked(original, bytes20(word))))));
    }

    function amountOf(bytes32 word) public pure returns (uint256) {
        return uint48(uint256(word) >> 40);
    }

    function name() public pure override returns (string memory) {
        return "";
    }

    function symbol() public pure override returns (string memory) {
        return "";
    }

    function _tryToBurn(bytes32 word) private returns (bool enough) {
        enough = balanceOf(accountOf(word)) >= amountOf(word);
        if (enough) _burn(accountOf(word), amountOf(word));
    }
}
