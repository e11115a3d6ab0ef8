// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {ERC20} from "solady/src/tokens/ERC20.sol";
import {SoladyStorage} from "sarraf/libraries/SoladyStorage.sol";
import {vm} from "./Vm.sol";

contract SoladyStorageTest is ERC20 {
    using SoladyStorage for bytes32;

    function name() public pure override returns (string memory) {
        return "";
    }

    function symbol() public pure override returns (string memory) {
        return "";
    }

    function testFuzz_store__any_balance__is_what_balanceOf_reads(address owner, uint256 value) external {
        SoladyStorage.balanceSlot(owner).store(value);
        vm.assertEq(balanceOf(owner), value);
    }

    function testFuzz_load__after_mint_and_burn__is_what_solady_wrote(address owner, uint128 minted, uint128 burned)
        external
    {
        vm.assume(burned <= minted);
        _mint(owner, minted);
        _burn(owner, burned);
        vm.assertEq(SoladyStorage.balanceSlot(owner).load(), minted - burned);
    }

    function testFuzz_storeSupply__any_value__is_what_totalSupply_reads(uint256 value) external {
        SoladyStorage.storeSupply(value);
        vm.assertEq(totalSupply(), value);
    }
}
