// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {SignatureCheckerLib} from "solady/src/utils/SignatureCheckerLib.sol";
import {PointsExchange} from "sarraf/PointsExchange.sol";
import {PointsToken} from "sarraf/PointsToken.sol";
import {IPointsExchange} from "sarraf/interfaces/IPointsExchange.sol";
import {IPointsToken} from "sarraf/interfaces/IPointsToken.sol";
import {svm, vm} from "./Symbolic.sol";

/// Whoever has no points, no allowance and no signature moves no points, whatever they call: neither another's balance
/// nor the supply nor a position changes, also when the caller is a guardian, an admin, a nominee or a bound wallet.
///
/// The calls come from the ABI, one for each function that is not a view, and one for each selector that there is not:
/// a new function is covered without a word here. Storage is arbitrary (but a program that is not admitted has no
/// position), and so are the time, the caller and whose balance is watched. Bounds: arrays of up to two elements; byte
/// strings of 64 and 65 bytes, as signatures have, and of 4; what these two contracts call is one another, or has no
/// code. Hostile contracts are for the ordinary tests.
abstract contract Strangers {
    PointsExchange internal exchange;
    PointsToken internal token;
    PointsToken internal other; // so that there is something to swap with

    address internal stranger;
    address internal holder;

    function setUp() public {
        exchange = new PointsExchange(
            address(0xE1), address(0xE2), address(0xE3), IPointsExchange.Times(1 days, 1 days, 1 hours, 1 hours, 1 days)
        );
        token = _newToken();
        other = _newToken();
        svm.enableSymbolicStorage(address(token));
        svm.enableSymbolicStorage(address(other));
        svm.enableSymbolicStorage(address(exchange));
        vm.warp(svm.createUint(32, "timestamp"));
        stranger = svm.createAddress("stranger");
        holder = svm.createAddress("holder");
        vm.assume(stranger != address(token) && stranger != address(other) && stranger != address(exchange));
        vm.assume(token.balanceOf(stranger) == 0 && other.balanceOf(stranger) == 0);
    }

    /// Where transfers are open, so that fewer calls revert.
    function _newToken() private returns (PointsToken) {
        IPointsToken.Bounds memory bounds = IPointsToken.Bounds(1e9, 1e3);
        return new PointsToken(
            IPointsToken.Setup({
                name: "Points",
                symbol: "PTS",
                issuer: address(0xA1),
                standby: address(0xA2),
                guardian: address(0xA3),
                admin: address(0xA4),
                exchange: address(exchange),
                transferable: true,
                delay: 1 days,
                issuance: bounds,
                redemption: bounds,
                release: bounds
            })
        );
    }

    function _assumeNotPermitted(address permissions, bytes memory call) internal {
        (bool done,) = permissions.call(call);
        vm.assume(done);
    }
}

/// Takes the calls before the contracts do, and rules out what they would be permitted to do: by an allowance, or by a
/// signature, neither of which is a stranger's doing. Written once more from the interface, not called in the contracts.
abstract contract Permissions {
    address private immutable proof = msg.sender;

    /// Whatever else is called needs no permission. Not for the exchange: this must not pass for a program.
    fallback() external {
        require(msg.sender == proof);
    }

    function _assumeUnsigned(address signer, bytes32 domain, bytes32 structHash, bytes calldata signature) internal view {
        bytes32 digest = keccak256(abi.encodePacked(hex"1901", domain, structHash));
        vm.assume(!SignatureCheckerLib.isValidSignatureNowCalldata(signer, digest, signature));
    }
}

contract TokenPermissions is Permissions {
    bytes32 private constant REDEEM = keccak256("Redeem(address holder,uint256 amount,uint256 order,uint256 deadline)");
    bytes32 private constant DEPOSIT =
        keccak256("Deposit(address holder,bytes20 reference,uint256 amount,uint256 nonce,uint256 deadline)");

    PointsToken private immutable token;
    address private immutable stranger;

    constructor(PointsToken token_, address stranger_) {
        (token, stranger) = (token_, stranger_);
    }

    function transferFrom(address from, address, uint256) external view {
        vm.assume(token.allowance(from, stranger) == 0);
    }

    function redeemFor(address signer, uint256 amount, uint256 order, uint256 deadline, bytes calldata signature)
        external
        view
    {
        bytes32 structHash = keccak256(abi.encode(REDEEM, signer, amount, order, deadline));
        _assumeUnsigned(signer, token.DOMAIN_SEPARATOR(), structHash, signature);
    }

    function depositFor(
        address signer,
        bytes20 reference_,
        uint256 amount,
        uint256 nonce,
        uint256 deadline,
        bytes calldata signature
    ) external view {
        bytes32 structHash = keccak256(abi.encode(DEPOSIT, signer, reference_, amount, nonce, deadline));
        _assumeUnsigned(signer, token.DOMAIN_SEPARATOR(), structHash, signature);
    }
}

contract ExchangePermissions is Permissions {
    bytes32 private constant SWAP = keccak256(
        "Swap(address holder,address[] path,uint256 amountIn,uint256 minOut,uint256 nonce,uint256 deadline)"
    );

    PointsExchange private immutable exchange;

    constructor(PointsExchange exchange_) {
        exchange = exchange_;
    }

    function swapFor(
        address signer,
        address[] calldata path,
        uint256 amountIn,
        uint256 minOut,
        uint256 nonce,
        uint256 deadline,
        bytes calldata signature
    ) external view {
        bytes32 places = keccak256(abi.encodePacked(path));
        bytes32 structHash = keccak256(abi.encode(SWAP, signer, places, amountIn, minOut, nonce, deadline));
        _assumeUnsigned(signer, exchange.DOMAIN_SEPARATOR(), structHash, signature);
    }
}

contract TokenStrangersProof is Strangers {
    function check_token__stranger__moves_nothing() public {
        bytes memory call = svm.createCalldata("PointsToken");
        vm.assume(stranger != token.issuer() && stranger != token.exchange());
        _assumeNotPermitted(address(new TokenPermissions(token, stranger)), call);
        uint256 held = token.balanceOf(holder);
        uint256 supply = token.totalSupply();

        vm.prank(stranger);
        (bool done,) = address(token).call(call);

        vm.assume(done);
        vm.assertEq(token.balanceOf(holder), held);
        vm.assertEq(token.totalSupply(), supply);
    }
}

/// In three parts, since holders' swaps and the terms take the solver longest; together they are all selectors.
contract ExchangeStrangersProof is Strangers {
    function check_exchange__stranger_swaps__moves_nothing() public {
        bytes memory call = svm.createCalldata("PointsExchange");
        vm.assume(_isSwap(call));
        _checkMovesNothing(call);
    }

    function check_exchange__stranger_speaks_of_terms__moves_nothing() public {
        bytes memory call = svm.createCalldata("PointsExchange");
        vm.assume(_isOfTerms(call));
        _checkMovesNothing(call);
    }

    function check_exchange__stranger_does_anything_else__moves_nothing() public {
        bytes memory call = svm.createCalldata("PointsExchange");
        vm.assume(!_isSwap(call) && !_isOfTerms(call));
        _checkMovesNothing(call);
    }

    function _isSwap(bytes memory call) private pure returns (bool) {
        bytes4 selector = bytes4(call);
        return selector == IPointsExchange.swap.selector || selector == IPointsExchange.swapFor.selector;
    }

    function _isOfTerms(bytes memory call) private pure returns (bool) {
        bytes4 selector = bytes4(call);
        return selector == IPointsExchange.propose.selector || selector == IPointsExchange.consent.selector
            || selector == IPointsExchange.suspend.selector || selector == IPointsExchange.lowerCaps.selector;
    }

    function _checkMovesNothing(bytes memory call) private {
        vm.assume(stranger != exchange.operator());
        _assumeNotPermitted(address(new ExchangePermissions(exchange)), call);
        uint256 held = token.balanceOf(holder);
        uint256 supply = token.totalSupply();
        int256 position = exchange.position(holder);
        vm.assume(exchange.admitted(holder) || position == 0); // terms, without which none moves, need admission

        vm.prank(stranger);
        (bool done,) = address(exchange).call(call);

        vm.assume(done);
        vm.assertEq(token.balanceOf(holder), held);
        vm.assertEq(token.totalSupply(), supply);
        vm.assertEq(exchange.position(holder), position);
    }
}
