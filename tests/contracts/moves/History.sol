// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {IPointsExchange} from "sarraf/interfaces/IPointsExchange.sol";
import {IPointsToken} from "sarraf/interfaces/IPointsToken.sol";
import {IPowers} from "sarraf/interfaces/IPowers.sol";
import {IToken} from "../IToken.sol";
import {vm} from "../Vm.sol";
import {World} from "../World.sol";
import {Twin} from "./Twin.sol";

/// A world of three programs with tight limits, everybody in it, its twin, and what was seen so far.
///
/// Each attempt is made in the twin first. Then the contracts must say yes or no as the twin did, and afterwards every
/// balance, supply, limit, power and position must be what the twin says. The first attempt after which something is
/// different is kept, under the letters of the invariants that it breaks.
abstract contract History is World {
    uint256 internal constant TRACKED = 3;
    uint256 internal constant HOLDERS = 4;
    uint256 internal constant WALLETS = 3;
    uint256 internal constant KEY = 0xC0DE;
    uint256 internal constant THIEF_KEY = 0xBAD;
    uint120 internal constant CREDIT = 5_000_000;

    Twin public twin;

    /// Those who hold keys: the wallets and the thief.
    address[] internal people;
    /// Everybody who can come to hold points of a program.
    mapping(IToken token => address[]) internal everybody;

    mapping(string letter => string) public breachOf;
    mapping(string name => uint256) public triedOf;
    mapping(string name => uint256) public doneOf;
    /// By a move's name, a space, and the letter for which it had to be refused.
    mapping(string nameAndLetter => uint256) public refusedOf;
    /// What passed each limit, counted from supply and balances alone.
    mapping(IToken token => uint256[3]) private _passed;
    mapping(address token => uint64) public acceptedBy;
    mapping(bytes32 path => uint64) public acceptedOn;
    bytes32[] public pathsUsed;

    int256[TRACKED] private _positionSeen;
    uint256 private _attempts;
    uint256 private _brokenAt;
    uint256 private _now;
    uint256 private _dice;

    // ------------------------------------------------------------ the beginning

    function setUp() public override {
        vm.warp(START);
        _now = START;
        exchange = newExchange(EXCHANGE_ADMIN, OPERATOR, STANDBY_OPERATOR, defaultTimes());
        twin = new Twin(DELAY, NOTICE, CAP_PERIOD);
        for (uint256 i; i < WALLETS; ++i) people.push(vm.addr(KEY + i));
        people.push(vm.addr(THIEF_KEY));
        for (uint256 i; i < TRACKED; ++i) {
            tokens.push(_tightToken(address(uint160(0xAD00 + i)), i == 1));
            _list(tokens[i]);
            announce(EXCHANGE_ADMIN, exchange, admission(tokens[i], CREDIT));
        }
        (a, b, c) = (tokens[0], tokens[1], tokens[2]);
        for (uint256 i; i < TRACKED; ++i) _bindAll(tokens[i]);
        _pass(DELAY);
        for (uint256 i; i < TRACKED; ++i) {
            make(EXCHANGE_ADMIN, exchange, admission(tokens[i], CREDIT));
            twin.setCredit(address(tokens[i]), CREDIT, true);
        }
        for (uint256 i; i < TRACKED; ++i) _fundAll(tokens[i]);
    }

    function _tightToken(address admin, bool transferable) private returns (IToken token) {
        IPointsToken.Setup memory setup = defaultSetup(admin);
        setup.transferable = transferable;
        setup.issuance = IPointsToken.Bounds(30_000, 8);
        setup.redemption = IPointsToken.Bounds(20_000, 5);
        setup.release = IPointsToken.Bounds(6_000, 2);
        token = newToken(setup);
        twin.begin(
            address(token),
            ISSUER,
            STANDBY_ISSUER,
            [uint256(30_000), uint256(8), uint256(20_000), uint256(5), uint256(6_000), uint256(2)]
        );
    }

    function _list(IToken token) private {
        address[] storage all = everybody[token];
        for (uint256 i; i < HOLDERS; ++i) all.push(account(token, i));
        for (uint256 i; i < people.length; ++i) all.push(people[i]);
        all.push(address(token));
    }

    /// Each wallet belongs to the member of the same number.
    function _bindAll(IToken token) private {
        for (uint256 i; i < WALLETS; ++i) _postNext(token, bindWords(i, people[i]));
    }

    function _fundAll(IToken token) private {
        for (uint256 i; i < HOLDERS; ++i) _postNext(token, list(word(i, EARN, 4_000)));
        for (uint256 i; i < WALLETS; ++i) _postNext(token, list(releaseWord(i, 2_000)));
    }

    function _postNext(IToken token, bytes32[] memory words) internal returns (bool) {
        return _post("set up", token, token.issuer(), token.sequence() + 1, FOREVER, words);
    }

    // ------------------------------------------------------------ chance and time

    /// Begins a move: with the time of this history, and dice of its own.
    modifier move(uint256 seed) {
        vm.warp(_now);
        _dice = seed;
        ++_attempts;
        _;
    }

    function _roll(uint256 sides) internal returns (uint256) {
        _dice = uint256(keccak256(abi.encode(_dice)));
        return _dice % sides;
    }

    function _chance(uint256 outOf) internal returns (bool) {
        return _roll(outOf) == 0;
    }

    function _token() internal returns (IToken) {
        return tokens[_roll(TRACKED)];
    }

    function _person() internal returns (address) {
        return people[_roll(people.length)];
    }

    function _pass(uint256 time) internal {
        _now += time;
        vm.warp(_now);
    }

    // ------------------------------------------------------------ attempts

    /// Posts as the next number or another one, by whoever it is.
    function _post(
        string memory name,
        IToken token,
        address by,
        uint64 number,
        uint64 validUntil,
        bytes32[] memory words
    ) internal returns (bool done) {
        bytes memory call = abi.encodeCall(IPointsToken.post, (number, validUntil, words));
        bytes memory rule;
        if (by == twin.issuer(address(token)) && validUntil >= block.timestamp) {
            rule = abi.encodeCall(Twin.post, (address(token), number, words));
        }
        (uint256 supply, uint256 managed) = (token.totalSupply(), _managed(token));
        done = _attempt(name, by, address(token), call, rule, "G");
        if (!done) return false;
        ++acceptedBy[address(token)];
        uint256 credited = _creditsIn(words);
        _passed[token][0] += credited;
        unchecked {
            // Where a contract is broken these may wrap around; then they are above every allowance.
            _passed[token][1] += supply + credited - token.totalSupply();
            _passed[token][2] += managed + token.totalSupply() - supply - _managed(token);
        }
    }

    function _creditsIn(bytes32[] memory words) private view returns (uint256 credited) {
        for (uint256 i; i < words.length && uint8(words[i][20]) <= 4; ++i) credited += twin.amountOf(words[i]);
    }

    /// What members hold, without their wallets.
    function _managed(IToken token) private view returns (uint256 sum) {
        unchecked {
            for (uint256 i; i < HOLDERS; ++i) sum += balance(token, i);
        }
    }

    /// Makes a call that must be refused, or the breach is of `letter`.
    function _refused(string memory name, address by, address target, bytes memory call, string memory letter)
        internal
    {
        _attempt(name, by, target, call, "", letter);
    }

    /// Makes a call of which the twin knows the rule; without a rule it must be refused.
    function _attempt(
        string memory name,
        address by,
        address target,
        bytes memory call,
        bytes memory rule,
        string memory letter
    ) internal returns (bool done) {
        ++_attempts;
        uint256 skipped = twin.skipped();
        string memory cause = letter;
        bool expected;
        if (rule.length != 0) {
            bytes memory reason;
            (expected, reason) = address(twin).call(rule);
            if (!expected) cause = _letterOf(reason);
        }
        vm.prank(by);
        (done,) = target.call(call);
        ++triedOf[name];
        if (done) ++doneOf[name];
        else ++refusedOf[string.concat(name, " ", cause)];
        if (done && !expected) _breach(cause, name, "the contract accepted what the rules refuse");
        if (!done && expected) {
            bool blocked = twin.skipped() != skipped;
            _breach(blocked ? "C" : letter, name, "the contract refused what the rules allow");
        }
        _compare(name, letter);
    }

    function _letterOf(bytes memory reason) private pure returns (string memory) {
        bytes memory arguments = new bytes(reason.length - 4);
        for (uint256 i; i < arguments.length; ++i) arguments[i] = reason[i + 4];
        return abi.decode(arguments, (string));
    }

    function _count(string memory name) internal {
        ++doneOf[name];
    }

    /// Only what the first attempt that breaks anything breaks: what comes after it is its echo.
    function _breach(string memory letter, string memory name, string memory what) internal {
        if (_brokenAt == 0) _brokenAt = _attempts;
        if (_brokenAt != _attempts || bytes(breachOf[letter]).length != 0) return;
        breachOf[letter] = string.concat(name, ": ", what);
    }

    // ------------------------------------------------------------ comparing

    /// Points that are elsewhere than in the twin are a breach of `letter` too.
    function _compare(string memory name, string memory letter) internal {
        for (uint256 i; i < TRACKED; ++i) {
            if (twin.agrees(exchange, tokens[i], everybody[tokens[i]])) continue;
            _compareHoldings(tokens[i], name, letter);
            _comparePowers(tokens[i], name);
            _comparePosition(tokens[i], name);
        }
        _compareCredit(name);
    }

    function _compareHoldings(IToken token, string memory name, string memory letter) private {
        address[] storage all = everybody[token];
        for (uint256 i; i < all.length; ++i) {
            if (token.balanceOf(all[i]) == twin.held(address(token), all[i])) continue;
            if (i < HOLDERS) _breach("C", name, "a member has other points than the rules say");
            else _breach("F", name, "a wallet has other points than the rules say");
            _breach(letter, name, "points moved that should not");
        }
        if (token.totalSupply() != twin.supply(address(token))) _breach("A", name, "the supply is another");
    }

    function _comparePowers(IToken token, string memory name) private {
        for (uint256 i; i < 3; ++i) {
            (uint48 capacity, uint48 refill, uint256 available) = token.limitOf(IPointsToken.Limit(i));
            (uint256 capacity_, uint256 refill_, uint256 available_,) = twin.bucketOf(address(token), i);
            if (capacity != capacity_ || refill != refill_) _breach("G", name, "a limit changed");
            if (available != available_) _breach("G", name, "a limit lets through another amount");
        }
        if (token.paused() != twin.paused(address(token))) _breach("G", name, "the pause changed");
        if (token.issuer() != twin.issuer(address(token))) _breach("G", name, "the issuer changed");
        if (token.standby() != twin.standby(address(token))) _breach("G", name, "the standby changed");
        if (token.sequence() != twin.posted(address(token))) _breach("B", name, "the sequence moved");
    }

    function _comparePosition(IToken token, string memory name) private {
        if (exchange.position(address(token)) != twin.position(address(token))) {
            _breach("positions", name, "a position moved");
        }
        if (exchange.creditLimit(address(token)) != twin.creditLimit(address(token))) {
            _breach("credit", name, "a credit limit changed");
        }
    }

    /// Beside the twin's word: a position that fell is within the credit limit of this moment.
    function _compareCredit(string memory name) private {
        for (uint256 i; i < TRACKED; ++i) {
            int256 position = exchange.position(address(tokens[i]));
            if (position == _positionSeen[i]) continue;
            int256 limit = int256(exchange.creditLimit(address(tokens[i])));
            if (position < _positionSeen[i] && position < -limit) _breach("credit", name, "a program owes too much");
            _positionSeen[i] = position;
        }
    }

    // ------------------------------------------------------------ what the invariants read

    function worldOf() external view returns (IPointsExchange, IToken[] memory) {
        return (exchange, tokens);
    }

    function everybodyOf(IToken token) external view returns (address[] memory) {
        return everybody[token];
    }

    function pathCount() external view returns (uint256) {
        return pathsUsed.length;
    }

    /// What passed a limit, and all that could ever have: the first capacity, and every second's refill as it then was.
    function passedOf(IToken token, uint256 limit) external returns (uint256 passed, uint256 allowance) {
        vm.warp(_now);
        (,,, allowance) = twin.bucketOf(address(token), limit);
        passed = _passed[token][limit];
    }
}
