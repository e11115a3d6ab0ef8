// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {IPointsExchange} from "sarraf/interfaces/IPointsExchange.sol";
import {LegCalls} from "sarraf/libraries/LegCalls.sol";
import {svm, vm} from "./Symbolic.sol";

/// `LegCalls.convert`, and what it means in plain Solidity.
contract Converter {
    using LegCalls for bytes32[];

    uint256 private constant AMOUNT_MAX = 2 ** 48 - 1;

    function convert(bytes32[] calldata legs, uint48 fromUnits, uint48 toUnits)
        external
        pure
        returns (bytes32[] memory words, uint256 left, uint256 arrived)
    {
        words = legs.load();
        (left, arrived) = words.convert(fromUnits, toUnits);
    }

    function convertPlainly(bytes32[] calldata legs, uint48 fromUnits, uint48 toUnits)
        external
        pure
        returns (bytes32[] memory words, uint256 left, uint256 arrived)
    {
        words = legs;
        for (uint256 i; i < legs.length; ++i) {
            (bytes20 reference_, bytes1 kind, uint48 amount, bytes5 tag) =
                (bytes20(legs[i]), legs[i][20], uint48(uint256(legs[i]) >> 40), bytes5(uint40(uint256(legs[i]))));
            if (amount == 0) continue;
            uint256 product;
            unchecked {
                product = uint256(amount) * toUnits; // cannot overflow: `check_product__fits`
            }
            uint256 converted = product / fromUnits;
            if (converted == 0) revert IPointsExchange.NothingOut(i);
            if (converted > AMOUNT_MAX) revert IPointsExchange.AmountTooLarge(i, converted);
            left += amount;
            arrived += converted;
            words[i] = bytes32(abi.encodePacked(reference_, kind, uint48(converted), tag));
        }
    }
}

/// `LegCalls.convert` is `floor(amount * toUnits / fromUnits)` for each leg: same words, same sums, same errors. For all
/// batches of one, two and three words and all units of 48 bits but zero, which `propose` refuses.
contract LegCallsProof {
    Converter private converter;

    function setUp() public {
        converter = new Converter();
    }

    function check_convert__one_leg() public {
        _convert(1);
    }

    function check_convert__two_legs() public {
        _convert(2);
    }

    function check_convert__three_legs() public {
        _convert(3);
    }

    /// The product of two numbers of 48 bits fits in 96, so that none of the arithmetic above wraps around.
    function check_product__fits(uint48 amount, uint48 toUnits) public pure {
        unchecked {
            vm.assertLt(uint256(amount) * toUnits, 2 ** 96);
        }
    }

    function _convert(uint256 count) private {
        bytes32[] memory legs = new bytes32[](count);
        for (uint256 i; i < count; ++i) legs[i] = svm.createBytes32("leg");
        (uint48 fromUnits, uint48 toUnits) =
            (uint48(svm.createUint(48, "fromUnits")), uint48(svm.createUint(48, "toUnits")));
        vm.assume(fromUnits != 0 && toUnits != 0);
        for (uint256 i; i < count; ++i) _assumeArithmetic(uint48(uint256(legs[i]) >> 40), fromUnits, toUnits);
        (bool done, bytes memory answer) =
            address(converter).call(abi.encodeCall(converter.convert, (legs, fromUnits, toUnits)));
        (bool plainlyDone, bytes memory plainAnswer) =
            address(converter).call(abi.encodeCall(converter.convertPlainly, (legs, fromUnits, toUnits)));
        vm.assertEq(done, plainlyDone);
        vm.assertEq(answer, plainAnswer);
    }

    /// Two facts of arithmetic that a solver does not find in time for itself: a product that fits (which is proved
    /// above) is divided back into its factors, and nothing times something is nothing.
    function _assumeArithmetic(uint256 amount, uint256 fromUnits, uint256 toUnits) private pure {
        unchecked {
            if (amount != 0) vm.assume(amount * toUnits / amount == toUnits);
            else vm.assume(amount * toUnits / fromUnits == 0);
        }
    }
}
