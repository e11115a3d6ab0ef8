"""Streams and lanes: what is posted in order, and the nonces that carry it."""

import pytest
import sqlalchemy as sa

from bridge.chain import contracts
from bridge.store import batches, lanes, programs, streams
from bridge.store.batches import Control
from bridge.store.programs import Program
from bridge.store.schema import program
from tests.bridge.store.ledgers import Ledger


def test_for_program__of_a_new_program__is_its_own_on_its_issuers_lane(ledger: Ledger, air: Program) -> None:
    found = ledger.ask(streams.for_program, air.id)
    assert (found.kind, found.programs, found.lane_id) == (streams.PROGRAM, [air.id], air.issuer_lane_id)
    assert found.last_sequence == 0


def test_for_path__at_its_first_use__is_made_once_for_each_direction(
    ledger: Ledger, air: Program, box: Program
) -> None:
    there = ledger.do(streams.for_path, [air.id, box.id])
    back = ledger.do(streams.for_path, [box.id, air.id])
    assert ledger.do(streams.for_path, [air.id, box.id]) == there
    assert there.id != back.id
    assert there.programs == [air.id, box.id]
    operator = ledger.ask(lanes.by_role, lanes.EXCHANGE_OPERATOR)
    assert operator is not None
    assert there.lane_id == back.lane_id == operator.id


def test_tokens__of_a_path__stand_in_its_order(ledger: Ledger, air: Program, box: Program) -> None:
    back = ledger.do(streams.for_path, [box.id, air.id])
    assert ledger.ask(streams.tokens, back) == [box.token, air.token]


def test_reserve_nonce__each_time__is_the_next(ledger: Ledger, air: Program) -> None:
    lane_id = air.issuer_lane_id
    made = [
        ledger.do(batches.add_control, Control("fund", str(number), lane_id, b"\1" * 20, b"", 21_000), 1)
        for number in range(3)
    ]
    assert [ledger.do(lanes.reserve_nonce, lane_id, one) for one in made] == [0, 1, 2]
    assert ledger.ask(lanes.by_id, air.issuer_lane_id).next_nonce == 3
    assert ledger.ask(lanes.by_id, air.admin_lane_id).next_nonce == 0


def test_lane__of_a_key_that_is_taken__is_refused_by_the_database(ledger: Ledger) -> None:
    taken = ledger.ask(lanes.next_key_index) - 1
    with pytest.raises(sa.exc.IntegrityError):
        ledger.do(lanes.add, role="another", key_index=taken, address=bytes(20), next_nonce=0)


def test_next_key_index__of_a_ledger__is_above_all_taken(ledger: Ledger) -> None:
    taken = [one.key_index for one in ledger.ask(lanes.all_lanes)]
    standing_by = [one.standby_key_index for one in ledger.ask(programs.all_programs)]
    assert None not in standing_by and not set(taken) & set(standing_by)
    assert ledger.ask(lanes.next_key_index) == max(taken) + 1


def test_next_key_index__with_a_key_that_stands_by_above_all_lanes__is_above_it(ledger: Ledger, air: Program) -> None:
    highest = ledger.ask(lanes.next_key_index) + 5
    with ledger.database.write() as connection:
        connection.execute(program.update().where(program.c.id == air.id).values(standby_key_index=highest))
    assert ledger.ask(lanes.next_key_index) == highest + 1


def test_by_path_id__of_a_path_in_use__finds_it_by_the_contracts_name(
    ledger: Ledger, air: Program, box: Program, car: Program
) -> None:
    paths = [[air, box], [box, air], [air, box, car]]
    for path in paths:
        made = ledger.do(streams.for_path, [one.id for one in path])
        assert made.path_id == contracts.path_id([one.deployed_token for one in path])
    for path in paths:
        found = ledger.ask(streams.by_path_id, contracts.path_id([one.deployed_token for one in path]))
        assert found is not None and found.programs == [one.id for one in path]
    assert ledger.ask(streams.by_path_id, contracts.path_id([car.deployed_token, air.deployed_token])) is None
    assert ledger.ask(streams.for_program, air.id).path_id is None
