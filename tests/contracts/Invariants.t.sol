// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {IPointsExchange} from "sarraf/interfaces/IPointsExchange.sol";
import {IToken} from "./IToken.sol";
import {vm} from "./Vm.sol";
import {Everybody} from "./moves/Everybody.sol";

/// What holds after every move of everybody, with the letters of docs/architecture.md where it has one.
///
/// |           | what must hold                                                                                      |
/// |-----------|-----------------------------------------------------------------------------------------------------|
/// | A         | every program: the balances of everybody sum to the total supply, and both are what the rules say   |
/// | B         | a batch is accepted exactly when its number is the next one; accepted batches are the sequence      |
/// | C         | no account is overdrawn, and one that is short never blocks a batch                                 |
/// | F         | a wallet's points move only by its holder's transaction or signature, each signature once           |
/// | G         | whatever issuer, guardian and operator do: credits, debits and releases stay below what the limit   |
/// |           | held at first and what came back over time; no limit grows, no pause ends, nobody is named at once  |
/// | positions | the programs' positions sum to zero                                                                 |
/// | credit    | a program's position never falls below what it may owe at that time                                 |
/// | hands     | what a swap burns of a reference or a wallet arrives at the same reference or wallet, at the terms  |
/// | caps      | what managed accounts and wallets swap in a period stays within the caps of each direction          |
/// | terms     | swaps happen at the terms in force only, which begin when consent and notice say                    |
/// | stranger  | a call by a stranger moves no points, whatever it calls                                             |
///
/// `History` makes each attempt in a twin of the contracts first and keeps the first difference under its letter.
/// What can be counted from the chain alone is counted here as well.
contract InvariantsTest {
    struct FuzzSelector {
        address target;
        bytes4[] selectors;
    }

    Everybody private everybody;
    IPointsExchange private exchange;
    IToken[] private tokens;

    function setUp() external {
        everybody = new Everybody();
        everybody.setUp();
        everybody.begin(1);
        (exchange, tokens) = everybody.worldOf();
    }

    /// Read by forge, as the next one: nothing but the moves is called at random.
    function targetContracts() external view returns (address[] memory targets) {
        targets = new address[](1);
        targets[0] = address(everybody);
    }

    function targetSelectors() external view returns (FuzzSelector[] memory targets) {
        targets = new FuzzSelector[](1);
        targets[0] = FuzzSelector(address(everybody), everybody.moves());
    }

    /// One campaign for all, since a history that is tested for one costs no more when it is tested for each.
    function invariant_every_letter_holds() external {
        _assertNoBreach();
        for (uint256 i; i < tokens.length; ++i) {
            _assertConserved(tokens[i]);
            _assertCounted(tokens[i]);
            _assertBounded(tokens[i]);
        }
        _assertPathsCounted();
        _assertPositionsSumToZero();
    }

    /// A
    function _assertConserved(IToken token) private view {
        address[] memory all = everybody.everybodyOf(token);
        uint256 sum;
        for (uint256 i; i < all.length; ++i) sum += token.balanceOf(all[i]);
        vm.assertEq(sum, token.totalSupply(), "A: balances and supply");
    }

    /// B
    function _assertCounted(IToken token) private view {
        uint256 accepted = everybody.acceptedBy(address(token));
        vm.assertEq(uint256(token.sequence()), accepted, "B: sequence and accepted batches");
    }

    function _assertPathsCounted() private view {
        for (uint256 i; i < everybody.pathCount(); ++i) {
            bytes32 path = everybody.pathsUsed(i);
            vm.assertEq(uint256(exchange.sequenceOf(path)), everybody.acceptedOn(path), "B: a path's sequence");
        }
    }

    /// G
    function _assertBounded(IToken token) private {
        for (uint256 limit; limit < 3; ++limit) {
            (uint256 passed, uint256 allowance) = everybody.passedOf(token, limit);
            vm.assertLe(passed, allowance);
        }
    }

    function _assertPositionsSumToZero() private view {
        int256 sum;
        for (uint256 i; i < tokens.length; ++i) sum += exchange.position(address(tokens[i]));
        vm.assertEq(sum, 0);
    }

    function _assertNoBreach() private view {
        string[11] memory letters =
            ["A", "B", "C", "F", "G", "positions", "credit", "hands", "caps", "terms", "stranger"];
        string memory all;
        for (uint256 i; i < letters.length; ++i) {
            string memory breach = everybody.breachOf(letters[i]);
            if (bytes(breach).length != 0) all = string.concat(all, letters[i], ": ", breach, "; ");
        }
        vm.assertEq(all, "");
    }

    /// So that nothing above holds only because nothing happened.
    function test_moves__a_thousand_of_them__meet_every_case() external {
        bytes4[] memory moves = everybody.moves();
        for (uint256 i; i < 1_000; ++i) {
            uint256 dice = uint256(keccak256(abi.encode(i)));
            (bool done,) = address(everybody).call(abi.encodeWithSelector(moves[dice % moves.length], dice));
            require(done, "a move reverted");
        }
        this.invariant_every_letter_holds();
        _assertDone();
        _assertRefused();
    }

    function _assertDone() private view {
        string[29] memory names = [
            "post",
            "drain",
            "drain to the last point",
            "garbage",
            "bind",
            "settle",
            "settle over two hops",
            "settle garbage",
            "settle most",
            "redeem",
            "redeem for",
            "deposit",
            "deposit for",
            "swap",
            "swap for",
            "transfer",
            "cancel",
            "guard limit",
            "guard binding",
            "pause",
            "unpause",
            "set standby",
            "retire issuer",
            "suspend",
            "lower credit",
            "lower caps",
            "raise limit",
            "grant credit",
            "consent"
        ];
        for (uint256 i; i < names.length; ++i) {
            require(everybody.doneOf(names[i]) >= 3, names[i]);
        }
        require(everybody.twin().skipped() >= 10, "skipped");
    }

    function _assertRefused() private view {
        string[18] memory names = [
            "post B",
            "post G",
            "drain G",
            "garbage C",
            "settle B",
            "settle caps",
            "settle credit",
            "settle terms",
            "settle hands",
            "swap C",
            "swap caps",
            "swap credit",
            "redeem for F",
            "replay F",
            "guard limit G",
            "too early G",
            "lower caps caps",
            "unasked credit credit"
        ];
        for (uint256 i; i < names.length; ++i) {
            require(everybody.refusedOf(names[i]) >= 1, names[i]);
        }
    }
}
