// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {Balances} from "sarraf/libraries/Balances.sol";
import {vm} from "./Vm.sol";
import {World} from "./World.sol";

contract BalancesTest is World {
    /// More than the token has variables of its own.
    uint256 private constant VARIABLES_MAX = 256;

    function testFuzz_store__any_account__is_what_load_reads(address account, uint256 points) external {
        Balances.store(account, points);
        vm.assertEq(Balances.load(account), points);
    }

    function testFuzz_slotOf__two_accounts__differs(address one, address other) external pure {
        vm.assume(one != other);
        vm.assertEq(Balances.slotOf(one) == Balances.slotOf(other), false);
    }

    function testFuzz_slotOf__any_account__is_no_variable_of_the_compiler(address account) external pure {
        vm.assertEq(uint256(Balances.slotOf(account)) >= VARIABLES_MAX, true);
    }

    function test_seed__is_the_end_of_its_preimage() external pure {
        vm.assertEq(Balances.SEED, uint256(keccak256("sarraf.balance")) & type(uint96).max);
    }

    function testFuzz_slotOf__a_posted_account__is_where_the_token_wrote(uint256 holder, uint48 amount) external {
        vm.assume(amount != 0);
        give(a, holder, amount);
        vm.assertEq(uint256(vm.load(address(a), Balances.slotOf(account(a, holder)))), amount);
        vm.assertEq(balance(a, holder), amount);
    }
}
