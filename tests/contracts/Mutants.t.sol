// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {IPointsExchange} from "sarraf/interfaces/IPointsExchange.sol";
import {IPointsToken} from "sarraf/interfaces/IPointsToken.sol";
import {IPowers} from "sarraf/interfaces/IPowers.sol";
import {World} from "./World.sol";
import {Vm, vm} from "./Vm.sol";

/// What `make mutants` found that no other test saw.
contract MutantsTest is World {
    function test_constructor__exchange__tells_who_has_which_role() external {
        vm.recordLogs();
        newExchange(EXCHANGE_ADMIN, OPERATOR, STANDBY_OPERATOR, defaultTimes());

        Vm.Log[] memory logs = vm.getRecordedLogs();
        vm.assertEq(logs.length, 3);
        _assertLog(logs[0], IPowers.AdminChanged.selector, EXCHANGE_ADMIN);
        _assertLog(logs[1], IPointsExchange.OperatorChanged.selector, OPERATOR);
        _assertLog(logs[2], IPointsExchange.StandbyChanged.selector, STANDBY_OPERATOR);
    }

    function test_constructor__token__tells_who_has_which_role_and_the_limits() external {
        IPointsToken.Setup memory setup = defaultSetup(address(0xAD77));
        (setup.issuance, setup.redemption, setup.release) =
            (IPointsToken.Bounds(10, 1), IPointsToken.Bounds(20, 2), IPointsToken.Bounds(30, 3));
        vm.recordLogs();
        newToken(setup);

        Vm.Log[] memory logs = vm.getRecordedLogs();
        vm.assertEq(logs.length, 7);
        _assertLog(logs[0], IPowers.AdminChanged.selector, setup.admin);
        _assertLog(logs[1], IPointsToken.IssuerChanged.selector, ISSUER);
        _assertLog(logs[2], IPointsToken.StandbyChanged.selector, STANDBY_ISSUER);
        _assertLog(logs[3], IPointsToken.GuardianChanged.selector, setup.guardian);
        for (uint256 i; i < 3; ++i) {
            vm.assertEq(logs[4 + i].topics[0], IPointsToken.LimitChanged.selector);
            vm.assertEq(logs[4 + i].topics[1], bytes32(i));
            vm.assertEq(logs[4 + i].data, abi.encode(10 * (i + 1), i + 1, 10 * (i + 1)));
        }
    }

    function test_bind__wallet_with_the_highest_address__is_bound() external {
        address highest = address(type(uint160).max);
        post(a, bindWords(1, highest));

        (address wallet,) = a.walletOf(referenceOf(1));
        vm.assertEq(wallet, highest);
    }

    function test_lowerCredit__to_what_it_is__changes_nothing_and_is_no_error() external {
        uint256 limit = exchange.creditLimit(address(a));
        vm.prank(guardianOf[a]);
        exchange.lowerCredit(address(a), uint120(limit));
        vm.assertEq(exchange.creditLimit(address(a)), limit);
    }

    function _assertLog(Vm.Log memory log, bytes32 selector, address who) private pure {
        vm.assertEq(log.topics[0], selector);
        vm.assertEq(log.topics[1], bytes32(uint256(uint160(who))));
    }
}
