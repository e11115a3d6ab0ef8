// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {HolderMoves} from "./HolderMoves.sol";
import {IssuerMoves} from "./IssuerMoves.sol";
import {KeeperMoves} from "./KeeperMoves.sol";
import {StrangerMoves} from "./StrangerMoves.sol";

/// All who act, in one history.
contract Everybody is IssuerMoves, HolderMoves, KeeperMoves, StrangerMoves {
    /// Terms for every direction, in force.
    function begin(uint256 seed) external move(seed) {
        _listCalls();
        for (uint256 i; i < TRACKED; ++i) {
            for (uint256 j; j < TRACKED; ++j) {
                // Until both agreed: a proposal may stay unanswered.
                while (i != j && twin.adoptionsOf(address(tokens[i]), address(tokens[j])) == 0) {
                    _agree(tokens[i], tokens[j]);
                }
            }
        }
        _pass(DELAY);
    }

    /// The moves that are played at random. What is for work stands twice or more, so that there is something to lose.
    function moves() external pure returns (bytes4[] memory selectors) {
        selectors = new bytes4[](29);
        bytes4[29] memory all = [
            this.post.selector,
            this.post.selector,
            this.post.selector,
            this.post.selector,
            this.drain.selector,
            this.postGarbage.selector,
            this.bind.selector,
            this.settle.selector,
            this.settle.selector,
            this.settle.selector,
            this.settleGarbage.selector,
            this.settleMost.selector,
            this.redeem.selector,
            this.deposit.selector,
            this.swap.selector,
            this.swap.selector,
            this.transfer.selector,
            this.cancelOrUnbind.selector,
            this.replay.selector,
            this.meddle.selector,
            this.meddleWell.selector,
            this.guard.selector,
            this.guardPause.selector,
            this.guardIssuer.selector,
            this.guardExchange.selector,
            this.raiseLimit.selector,
            this.raiseCredit.selector,
            this.agree.selector,
            this.pass.selector
        ];
        for (uint256 i; i < all.length; ++i) selectors[i] = all[i];
    }
}
