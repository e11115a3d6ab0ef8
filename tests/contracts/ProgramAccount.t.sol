// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {POSITION_MAX, ProgramAccount, ProgramAccounts} from "sarraf/libraries/ProgramAccount.sol";
import {vm} from "./Vm.sol";

/// The word in which a program's position and credit limit are packed.
contract ProgramAccountTest {
    function testFuzz_account__any_numbers__are_read_as_written(uint120 first, int120 position, uint120 second)
        external
        pure
    {
        (first, second) = (uint120(first % (POSITION_MAX + 1)), uint120(second % (POSITION_MAX + 1)));
        if (position == type(int120).min) position += 1;
        ProgramAccount account = ProgramAccounts.opened(first);
        expectIs(account, 0, first);
        account = account.withPosition(position);
        expectIs(account, position, first);
        account = account.withCreditLimit(second);
        expectIs(account, position, second);
        expectIs(account.withPosition(-position), -position, second);
    }

    function test_account__at_the_edges__keeps_each_number_to_itself() external pure {
        int256 edge = int256(POSITION_MAX);
        ProgramAccount account = ProgramAccounts.opened(POSITION_MAX);
        expectIs(account.withPosition(edge), edge, POSITION_MAX);
        expectIs(account.withPosition(-edge), -edge, POSITION_MAX);
        expectIs(account.withPosition(-1).withCreditLimit(0), -1, 0);
        expectIs(account.withPosition(-1).withPosition(0).withCreditLimit(0), 0, 0);
    }

    function test_account__never_opened__is_not_admitted() external pure {
        ProgramAccount account;
        vm.assertFalse(account.admitted());
        vm.assertFalse(account.withPosition(-1).withCreditLimit(POSITION_MAX).admitted());
    }

    function expectIs(ProgramAccount account, int256 position, uint256 limit) private pure {
        vm.assertTrue(account.admitted());
        vm.assertEq(account.position(), position);
        vm.assertEq(account.creditLimit(), limit);
    }
}
