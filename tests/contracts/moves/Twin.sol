// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {IPointsExchange} from "sarraf/interfaces/IPointsExchange.sol";
import {IPointsToken} from "sarraf/interfaces/IPointsToken.sol";
import {IToken} from "../IToken.sol";

/// What points, limits, terms and positions must become: the rules in the plainest words and without a line of the
/// contracts. Where it refuses, the contracts must refuse, and the letter says which invariant would fall otherwise.
///
/// It is asked in the same block before the contracts are, so both see the same time. Who may call is not its matter.
contract Twin {
    uint256 private constant LIMITS = 3;
    uint256 private constant MOST = 2 ** 48 - 1;

    struct Bucket {
        uint256 capacity;
        uint256 refill;
        uint256 level;
        uint256 since;
        uint256 allowance; // all that it could ever have let through until `since`
    }

    struct Binding {
        address wallet;
        uint256 effectiveAt;
    }

    struct Adoption {
        uint32 version;
        uint256 start;
    }

    error Refused(string letter);

    uint256 private immutable delay;
    uint256 private immutable notice;
    uint256 private immutable capPeriod;

    mapping(address token => mapping(address account => uint256)) public held;
    mapping(address token => uint256) public supply;
    mapping(address token => uint64) public posted;
    mapping(address token => bool) public paused;
    mapping(address token => address) public issuer;
    mapping(address token => address) public standby;
    mapping(address token => Bucket[LIMITS]) private _buckets;
    mapping(address token => mapping(bytes20 reference_ => Binding)) public binding;
    mapping(address token => mapping(address account => bool)) public isWallet;
    mapping(address place => mapping(address holder => mapping(uint256 nonce => bool))) public isSpent;

    mapping(bytes32 path => uint64) public settled;
    mapping(address token => int256) public position;
    mapping(address token => uint256) public creditLimit;
    mapping(address from => mapping(address to => mapping(uint32 version => IPointsExchange.Terms))) private _terms;
    mapping(address from => mapping(address to => uint32)) public proposed;
    mapping(address from => mapping(address to => uint32)) public struck;
    mapping(address from => mapping(address to => Adoption[])) private _adoptions;
    mapping(bytes32 directionDayAndKind => uint256) private _used;

    /// How many debits, releases and legs were left out, over all of history.
    uint256 public skipped;

    constructor(uint256 delay_, uint256 notice_, uint256 capPeriod_) {
        (delay, notice, capPeriod) = (delay_, notice_, capPeriod_);
    }

    /// A program's beginning: capacity and refill of each limit, all of them full.
    function begin(address token, address issuer_, address standby_, uint256[6] calldata bounds) external {
        (issuer[token], standby[token]) = (issuer_, standby_);
        for (uint256 i; i < LIMITS; ++i) {
            (uint256 capacity, uint256 refill) = (bounds[2 * i], bounds[2 * i + 1]);
            _buckets[token][i] = Bucket(capacity, refill, capacity, block.timestamp, capacity);
        }
    }

    // ------------------------------------------------------------ posting

    function post(address token, uint64 number, bytes32[] calldata words) external {
        _require(number == posted[token] + 1, "B");
        _require(!paused[token] && words.length != 0, "G");
        posted[token] = number;
        uint256[LIMITS] memory sums;
        uint256 stage;
        for (uint256 i; i < words.length; ++i) {
            uint256 limit = _limitOf(uint8(words[i][20]));
            _require(limit >= stage, "C");
            stage = limit;
            if (uint8(words[i][20]) == 50) {
                _require(amountOf(words[i]) == 0 && i + 1 < words.length, "F");
                _bind(token, bytes20(words[i]), words[++i]);
            } else {
                sums[limit] += _postOne(token, words[i], limit);
            }
        }
        for (uint256 i; i < LIMITS; ++i) if (sums[i] != 0) _take(_buckets[token][i], sums[i]);
    }

    function _limitOf(uint8 kind) private pure returns (uint256) {
        if (kind >= 1 && kind <= 4) return 0;
        if (kind >= 17 && kind <= 21) return 1;
        _require(kind == 49 || kind == 50, "C");
        return 2;
    }

    function _postOne(address token, bytes32 word, uint256 limit) private returns (uint256 amount) {
        amount = amountOf(word);
        _require(amount != 0, "C");
        address account = accountOf(token, bytes20(word));
        if (limit == 0) {
            _add(token, account, amount);
            return amount;
        }
        Binding memory bound = binding[token][bytes20(word)];
        bool reachable = limit == 1 || (bound.wallet != address(0) && bound.effectiveAt <= block.timestamp);
        if (!reachable || held[token][account] < amount) {
            ++skipped;
            return 0;
        }
        _subtract(token, account, amount);
        if (limit == 2) _add(token, bound.wallet, amount);
    }

    function _bind(address token, bytes20 reference_, bytes32 wallet) private {
        _require(uint256(wallet) <= type(uint160).max, "F");
        address to = address(uint160(uint256(wallet)));
        binding[token][reference_] = Binding(to, to == address(0) ? 0 : block.timestamp + delay);
        if (to != address(0)) isWallet[token][to] = true;
    }

    // ------------------------------------------------------------ limits and who may post

    function _take(Bucket storage bucket, uint256 amount) private {
        _refill(bucket);
        _require(amount <= bucket.level, "G");
        bucket.level -= amount;
    }

    function _refill(Bucket storage bucket) private {
        uint256 refill = (block.timestamp - bucket.since) * bucket.refill;
        bucket.allowance += refill;
        bucket.level += refill;
        if (bucket.level > bucket.capacity) bucket.level = bucket.capacity;
        bucket.since = block.timestamp;
    }

    function setLimit(address token, uint256 limit, uint256 capacity, uint256 refill, bool raising) external {
        Bucket storage bucket = _buckets[token][limit];
        _require(raising || (capacity <= bucket.capacity && refill <= bucket.refill), "G");
        _refill(bucket);
        (bucket.capacity, bucket.refill) = (capacity, refill);
        if (bucket.level > capacity) bucket.level = capacity;
    }

    function setPaused(address token, bool value) external {
        paused[token] = value;
    }

    function retireIssuer(address token) external {
        (issuer[token], standby[token]) = (standby[token], address(0));
    }

    function setStandby(address token, address next) external {
        _require(next != issuer[token], "G");
        standby[token] = next;
    }

    function unbind(address token, bytes20 reference_) external {
        delete binding[token][reference_];
    }

    /// Capacity, refill, what it lets through now, and all that it could ever have let through.
    function bucketOf(address token, uint256 limit)
        public
        view
        returns (uint256 capacity, uint256 refill, uint256 available, uint256 allowance)
    {
        Bucket memory bucket = _buckets[token][limit];
        uint256 refilled = (block.timestamp - bucket.since) * bucket.refill;
        available = bucket.level + refilled;
        if (available > bucket.capacity) available = bucket.capacity;
        return (bucket.capacity, bucket.refill, available, bucket.allowance + refilled);
    }

    // ------------------------------------------------------------ what holders do

    function redeem(address token, address holder, uint256 amount, uint256 order) external {
        _spend(token, holder, order);
        _require(amount <= MOST && amount != 0, "F");
        _subtract(token, holder, amount);
    }

    function deposit(address token, address holder, bytes20 reference_, uint256 amount) public {
        _require(amount <= MOST && amount != 0, "F");
        _require(binding[token][reference_].wallet == holder, "F");
        _subtract(token, holder, amount);
        _add(token, accountOf(token, reference_), amount);
    }

    function depositFor(address token, address holder, bytes20 reference_, uint256 amount, uint256 nonce) external {
        _spend(token, holder, nonce);
        deposit(token, holder, reference_, amount);
    }

    function transfer(address token, address from, address to, uint256 amount) external {
        _require(isWallet[token][to], "F");
        _subtract(token, from, amount);
        _add(token, to, amount);
    }

    function cancel(address place, address holder, uint256 nonce) external {
        _spend(place, holder, nonce);
    }

    function _spend(address place, address holder, uint256 nonce) private {
        _require(!isSpent[place][holder][nonce], "F");
        isSpent[place][holder][nonce] = true;
    }

    // ------------------------------------------------------------ swaps

    function settle(address[] calldata path, uint32[] calldata versions, uint64 number, bytes32[] calldata legs)
        external
    {
        bytes32 id = keccak256(abi.encodePacked(path));
        _require(number == settled[id] + 1, "B");
        settled[id] = number;
        address last = path[path.length - 1];
        _require(!paused[path[0]] && !paused[last] && legs.length != 0, "G");
        for (uint256 i; i < versions.length; ++i) {
            _require(versions[i] != 0 && versions[i] == inForce(path[i], path[i + 1]), "terms");
        }
        uint256[] memory amounts = _burn(path[0], legs);
        _carry(path, amounts, false);
        for (uint256 i; i < legs.length; ++i) _add(last, accountOf(last, bytes20(legs[i])), amounts[i]);
    }

    function _burn(address token, bytes32[] calldata legs) private returns (uint256[] memory amounts) {
        amounts = new uint256[](legs.length);
        for (uint256 i; i < legs.length; ++i) {
            uint256 amount = amountOf(legs[i]);
            _require(amount != 0 && uint8(legs[i][20]) == 33, "hands");
            address account = accountOf(token, bytes20(legs[i]));
            if (held[token][account] < amount) {
                ++skipped;
                continue;
            }
            _subtract(token, account, amount);
            amounts[i] = amount;
        }
    }

    function swap(address holder, address[] calldata path, uint256 amountIn, uint256 minOut) public {
        _require(amountIn != 0 && amountIn <= MOST, "F");
        _subtract(path[0], holder, amountIn);
        uint256[] memory amounts = new uint256[](1);
        amounts[0] = amountIn;
        _carry(path, amounts, true);
        _require(amounts[0] >= minOut, "F");
        _add(path[path.length - 1], holder, amounts[0]);
    }

    function swapFor(
        address exchange,
        address holder,
        address[] calldata path,
        uint256 amountIn,
        uint256 minOut,
        uint256 nonce
    ) external {
        _spend(exchange, holder, nonce);
        swap(holder, path, amountIn, minOut);
    }

    /// Takes the amounts over every hop, with caps and positions. What is 0 was left out and stays 0.
    function _carry(address[] calldata path, uint256[] memory amounts, bool wallet) private {
        int256[] memory deltas = new int256[](path.length);
        for (uint256 hop; hop + 1 < path.length; ++hop) {
            uint32 version = inForce(path[hop], path[hop + 1]);
            _require(version != 0, "terms");
            IPointsExchange.Terms memory terms = _terms[path[hop]][path[hop + 1]][version];
            uint256 amountIn;
            uint256 amountOut;
            for (uint256 i; i < amounts.length; ++i) {
                if (amounts[i] == 0) continue;
                amountIn += amounts[i];
                amounts[i] = amounts[i] * terms.toUnits / terms.fromUnits;
                _require(amounts[i] != 0 && amounts[i] <= MOST, "hands");
                amountOut += amounts[i];
            }
            bytes32 key = _usedKey(path[hop], path[hop + 1], wallet);
            _used[key] += amountIn;
            _require(_used[key] <= (wallet ? terms.walletCap : terms.managedCap), "caps");
            deltas[hop] -= int256(amountOut * terms.price);
            deltas[hop + 1] += int256(amountOut * terms.price);
        }
        for (uint256 i; i < path.length; ++i) {
            position[path[i]] += deltas[i];
            _require(deltas[i] >= 0 || position[path[i]] >= -int256(creditLimit[path[i]]), "credit");
        }
    }

    function usedOf(address from, address to) external view returns (uint256 managed, uint256 wallet) {
        return (_used[_usedKey(from, to, false)], _used[_usedKey(from, to, true)]);
    }

    function _usedKey(address from, address to, bool wallet) private view returns (bytes32) {
        return keccak256(abi.encode(from, to, block.timestamp / capPeriod, wallet));
    }

    // ------------------------------------------------------------ terms and credit

    function propose(address from, address to, IPointsExchange.Terms calldata terms) external {
        _terms[from][to][++proposed[from][to]] = terms;
    }

    function consent(address from, address to, uint32 version) external {
        Adoption[] storage adoptions = _adoptions[from][to];
        uint256 count = adoptions.length;
        _require(version == proposed[from][to] && version > struck[from][to], "terms");
        if (count != 0) {
            Adoption memory last = adoptions[count - 1];
            _require(version != last.version, "terms");
            _require(last.start <= block.timestamp || last.version <= struck[from][to], "terms");
        }
        adoptions.push(Adoption(version, block.timestamp + (count == 0 ? delay : notice)));
    }

    function suspend(address from, address to) external {
        struck[from][to] = proposed[from][to];
    }

    function lowerCaps(address from, address to, uint32 version, uint48 managedCap, uint48 walletCap) external {
        IPointsExchange.Terms storage terms = _terms[from][to][version];
        _require(managedCap <= terms.managedCap && walletCap <= terms.walletCap, "caps");
        (terms.managedCap, terms.walletCap) = (managedCap, walletCap);
    }

    function setCredit(address token, uint256 limit, bool raising) external {
        _require(raising || limit <= creditLimit[token], "credit");
        creditLimit[token] = limit;
    }

    function adoptionsOf(address from, address to) external view returns (uint256) {
        return _adoptions[from][to].length;
    }

    function inForce(address from, address to) public view returns (uint32 version) {
        Adoption[] storage adoptions = _adoptions[from][to];
        for (uint256 i = adoptions.length; i != 0; --i) {
            if (adoptions[i - 1].start > block.timestamp) continue;
            version = adoptions[i - 1].version;
            return version > struck[from][to] ? version : 0;
        }
    }

    // ------------------------------------------------------------ comparing

    /// Whether a program stands on the chain as it does here; what differs is the caller's to find out.
    function agrees(IPointsExchange exchange, IToken token, address[] calldata everybody)
        external
        view
        returns (bool same)
    {
        address key = address(token);
        same = token.totalSupply() == supply[key] && token.sequence() == posted[key] && token.paused() == paused[key];
        same = same && token.issuer() == issuer[key] && token.standby() == standby[key];
        same = same && exchange.position(key) == position[key] && exchange.creditLimit(key) == creditLimit[key];
        for (uint256 i; i < everybody.length && same; ++i) {
            same = token.balanceOf(everybody[i]) == held[key][everybody[i]];
        }
        for (uint256 i; i < LIMITS && same; ++i) same = _bucketAgrees(token, i);
    }

    function _bucketAgrees(IToken token, uint256 limit) private view returns (bool) {
        (uint48 capacity, uint48 refill, uint256 available) = token.limitOf(IPointsToken.Limit(limit));
        (uint256 capacity_, uint256 refill_, uint256 available_,) = bucketOf(address(token), limit);
        return capacity == capacity_ && refill == refill_ && available == available_;
    }

    // ------------------------------------------------------------ words and balances

    function accountOf(address token, bytes20 reference_) public pure returns (address) {
        return address(uint160(uint256(keccak256(abi.encodePacked(token, reference_)))));
    }

    function amountOf(bytes32 word) public pure returns (uint256) {
        return uint48(bytes6(word << 168));
    }

    function _add(address token, address account, uint256 amount) private {
        held[token][account] += amount;
        supply[token] += amount;
    }

    function _subtract(address token, address account, uint256 amount) private {
        _require(held[token][account] >= amount, "C");
        held[token][account] -= amount;
        supply[token] -= amount;
    }

    function _require(bool condition, string memory letter) private pure {
        if (!condition) revert Refused(letter);
    }
}
