"""Setting up: binding the ledger to a chain, creating programs, agreeing on terms.

Each is a command on the ledger that queues a contract call; the poster sends it like any batch, and the intake follows
what became of it.
"""

from dataclasses import dataclass, fields

import sqlalchemy as sa

from bridge.chain import contracts
from bridge.chain.contracts import TermsOnChain
from bridge.chain.errors import WrongChain
from bridge.chain.finality import FinalityRule
from bridge.chain.keystore import Keystore
from bridge.chain.rpc import Block, Rpc
from bridge.posting import calls
from bridge.posting.notice import consent_due_ms
from bridge.posting.vetting import Vetting
from bridge.store import batches, blocks, chainstate, lanes, programs, terms
from bridge.store.batches import Control
from bridge.store.blocks import KnownBlock
from bridge.store.chainstate import Times
from bridge.store.programs import NewProgram, Program, ProgramLanes
from bridge.store.terms import Proposal, TermsRow
from exchange.errors import Conflict, Forbidden, Unavailable

#: Keys of the exchange. The standby's only stands by: it has an address and no lane.
ADMIN_KEY, OPERATOR_KEY, STANDBY_KEY, RELAYER_KEY = range(4)


class NotDeployed(Unavailable):
    """Raised when the exchange contract is not on the chain yet."""

    type = "not-deployed"


class TimesTooLong(Conflict):
    """Raised when quotes or batches are to last longer than the exchange was deployed for."""

    type = "times-too-long"


class SettlementCurrencyFixed(Conflict):
    """Raised when the exchange was deployed to settle in another currency than the settings name."""

    type = "settlement-currency-fixed"


@dataclass(frozen=True, slots=True)
class NewLane:
    """A signing account as the chain knows it now."""

    key_index: int
    address: bytes
    nonce: int
    wei: int


@dataclass(frozen=True, slots=True)
class ProgramKeys:
    """The accounts of a new program. The standby's key has no lane: it signs nothing before it is the issuer."""

    issuer: NewLane
    standby: NewLane
    guardian: NewLane
    admin: NewLane


class SetUp:
    """What must be asked of chain and keystore before the ledger is changed."""

    def __init__(self, rpc: Rpc, keystore: Keystore, finality: FinalityRule, *, funds_wei: int) -> None:
        self._rpc = rpc
        self._keystore = keystore
        self._finality = finality
        self._funds_wei = funds_wei

    def lane(self, key_index: int) -> NewLane:
        """The account of this key. Raises ChainError."""
        address = self._keystore.address(key_index)
        return NewLane(key_index, address, self._rpc.transaction_count(address), self._rpc.balance(address))

    def program_keys(self, first_key_index: int) -> ProgramKeys:
        """The next accounts for a new program. Raises ChainError."""
        # The standby's comes second: key indexes are given out from the highest that a lane has.
        return ProgramKeys(*(self.lane(first_key_index + place) for place in range(len(fields(ProgramKeys)))))

    def anchor(self) -> Block:
        """The newest final block: from here on the chain is followed."""
        found = self._rpc.block(self._finality.final_number(self._rpc, self._rpc.head_number()))
        assert found is not None, "a final block exists"
        return found

    def bind(self, connection: sa.Connection, *, times: Times, settlement_currency: str, now_ms: int) -> None:
        """Bind a new ledger to the chain and queue the exchange; on a bound one only check that it is the same chain.

        Raises WrongChain, TimesTooLong when quotes or batches are to last longer than the exchange allows, and
        SettlementCurrencyFixed.
        """
        chain_id, genesis = self._rpc.chain_id(), self._rpc.block(0)
        assert genesis is not None
        bound = chainstate.get(connection)
        if bound is not None:
            if (bound.chain_id, bound.genesis_hash) != (chain_id, genesis.hash):
                raise WrongChain(
                    f"this ledger belongs to chain {bound.chain_id} with genesis 0x{bound.genesis_hash.hex()},"
                    f" the node serves chain {chain_id} with genesis 0x{genesis.hash.hex()}"
                )
            _require_times(bound.times, times)
            _require_currency(bound.settlement_currency, settlement_currency)
            return
        chainstate.begin(
            connection,
            chain_id=chain_id,
            genesis_hash=genesis.hash,
            times=times,
            settlement_currency=settlement_currency,
            now_ms=now_ms,
        )
        anchor = self.anchor()
        blocks.add(connection, KnownBlock(anchor.number, anchor.hash, anchor.parent_hash, anchor.timestamp, True), [])
        admin, operator, relayer = (self.lane(index) for index in (ADMIN_KEY, OPERATOR_KEY, RELAYER_KEY))
        admin_lane = _add_lane(connection, lanes.EXCHANGE_ADMIN, admin)
        operator_lane = _add_lane(connection, lanes.EXCHANGE_OPERATOR, operator)
        relayer_lane = _add_lane(connection, lanes.RELAYER, relayer)
        for lane_id, one in ((operator_lane, operator), (relayer_lane, relayer)):
            self._fund(connection, admin_lane, lane_id, one, now_ms)
        call = calls.deploy_exchange(
            admin_lane,
            admin=admin.address,
            operator=operator.address,
            standby=self._keystore.address(STANDBY_KEY),
            times=times,
        )
        batches.add_control(connection, call, now_ms)

    def create_program(self, connection: sa.Connection, new: NewProgram, keys: ProgramKeys, now_ms: int) -> Program:
        """Enter a program and queue its token. Raises SymbolTaken, NotDeployed."""
        deployment, exchange_admin = (
            chainstate.get(connection),
            lanes.by_role(connection, lanes.EXCHANGE_ADMIN),
        )
        if deployment is None or deployment.exchange is None or exchange_admin is None:
            raise NotDeployed("the exchange is not on the chain yet; try again in a moment")
        signing = {"issuer": keys.issuer, "admin": keys.admin, "guardian": keys.guardian}
        lane_ids = {role: _add_lane(connection, f"{role}:{new.id}", one) for role, one in signing.items()}
        signers = ProgramLanes(**lane_ids, standby_key_index=keys.standby.key_index, standby=keys.standby.address)
        made = programs.add(connection, new, signers, now_ms)
        for role, one in signing.items():
            self._fund(connection, exchange_admin.id, lane_ids[role], one, now_ms)
        addresses = (each.address for each in (keys.issuer, keys.standby, keys.guardian, keys.admin))
        call = calls.deploy_token(
            new,
            exchange_admin.id,
            calls.Signers(*addresses),
            exchange=deployment.exchange,
            delay_s=deployment.delay_s,
        )
        batches.add_control(connection, call, now_ms)
        return made

    def _fund(
        self, connection: sa.Connection, from_lane: lanes.LaneId, lane_id: int, one: NewLane, now_ms: int
    ) -> None:
        if one.wei < self._funds_wei:
            call = calls.fund(lane_id, from_lane, one.address, self._funds_wei - one.wei)
            batches.add_control(connection, call, now_ms)


def announce(connection: sa.Connection, call: Control, now_ms: int) -> None:
    """Queue a call that must be announced: the announcement at once, the call itself when the delay is over."""
    deployment = chainstate.get(connection)
    assert deployment is not None
    batches.add_control(connection, calls.announcement(call), now_ms)
    # When the announcement is on the chain, that says exactly when.
    due_ms = now_ms + deployment.delay_s * 1000 if deployment.delay_s else None
    batches.add_control(connection, call, now_ms, due_ms)


def _require_times(fixed: Times, wanted: Times) -> None:
    for name in ("longest_quote_s", "longest_batch_s"):
        allowed, asked = getattr(fixed, name), getattr(wanted, name)
        if asked > allowed:
            raise TimesTooLong(
                f"{name} would be {asked}, and the exchange was deployed for at most {allowed}: a change of terms could"
                " break a firm quote; shorten quote_life_s and batch_life_s",
                limit=allowed,
                nearest=allowed,
            )


def _require_currency(fixed: str, wanted: str) -> None:
    if wanted != fixed:
        raise SettlementCurrencyFixed(
            f"the exchange was deployed to settle in {fixed}, not {wanted}: its prices and positions on the chain are"
            f" micro-units of {fixed}",
            field="SARRAF_SETTLEMENT_CURRENCY",
            limit=fixed,
            nearest=fixed,
        )


def _add_lane(connection: sa.Connection, role: str, one: NewLane) -> lanes.LaneId:
    return lanes.add(connection, role=role, key_index=one.key_index, address=one.address, next_nonce=one.nonce)


# -- terms ------------------------------------------------------------------------------------


def propose(connection: sa.Connection, proposal: Proposal, vetting: Vetting, now_ms: int) -> TermsRow:
    """Enter vetted terms and queue their proposal by the program that makes it. Raises GainingCycle."""
    vetting.require_no_gain(connection, terms.draft(connection, proposal, now_ms).agreed(), now_ms)
    row = terms.propose(connection, proposal, now_ms)
    data = contracts.encode_propose(
        *_tokens(connection, row),
        TermsOnChain(row.from_units, row.to_units, row.settlement_price_micro, row.managed_cap, row.wallet_cap),
    )
    _queue(connection, "propose", row, proposal.proposed_by, data, now_ms)
    return row


def consentable(connection: sa.Connection, terms_id: str, program_id: str | None) -> TermsRow:
    """The terms, to which this program can consent; an operator (None) speaks for it.

    Raises UnknownTerms, Forbidden, TermsStateConflict.
    """
    row = terms.by_id(connection, terms_id)
    if program_id not in (None, _other(row)):
        raise Forbidden(f"only {_other(row)}, which did not propose these terms, can consent to them", field="terms_id")
    terms.require_state(row, terms.PROPOSED, "consent to")
    return row


def consent(
    connection: sa.Connection, terms_id: str, program_id: str | None, vetting: Vetting, now_ms: int
) -> TermsRow:
    """Queue the other program's consent, for when it may be sent (`notice`).

    Raises UnknownTerms, Forbidden, TermsStateConflict, GainingCycle.
    """
    row = consentable(connection, terms_id, program_id)
    assert row.version is not None
    vetting.require_no_gain(connection, row.agreed(), now_ms)
    data = contracts.encode_consent(*_tokens(connection, row), row.version)
    terms.set_state(connection, terms_id, terms.CONSENTING)
    due_ms = consent_due_ms(connection, row, now_ms)
    _queue(connection, "consent", row, _other(row), data, now_ms, due_ms)
    return terms.by_id(connection, terms_id)


def _other(row: TermsRow) -> str:
    """The program that did not propose the terms."""
    return row.to_program_id if row.proposed_by == row.from_program_id else row.from_program_id


def suspend(connection: sa.Connection, terms_id: str, program_id: str | None, now_ms: int) -> TermsRow:
    """Queue the closing of the terms' direction by either program (an operator, None, speaks for the source).

    Raises UnknownTerms, Forbidden, TermsStateConflict.
    """
    row = terms.by_id(connection, terms_id)
    if program_id not in (None, row.from_program_id, row.to_program_id):
        raise Forbidden("only a program of this direction can suspend it", field="terms_id")
    terms.require_state(row, terms.ADOPTED, "suspend")
    data = contracts.encode_suspend(*_tokens(connection, row))
    # The guardian's lane, whose calls go out even while posting is stopped.
    guardian = programs.by_id(connection, program_id or row.from_program_id).guardian_lane_id
    _queue_on(connection, "suspend", row, guardian, data, now_ms)
    return row


def _tokens(connection: sa.Connection, row: TermsRow) -> tuple[bytes, bytes]:
    return (
        programs.by_id(connection, row.from_program_id).deployed_token,
        programs.by_id(connection, row.to_program_id).deployed_token,
    )


def _queue(
    connection: sa.Connection,
    purpose: str,
    row: TermsRow,
    program_id: str,
    calldata: bytes,
    now_ms: int,
    due_ms: int | None = None,
) -> None:
    lane_id = programs.by_id(connection, program_id).admin_lane_id
    _queue_on(connection, purpose, row, lane_id, calldata, now_ms, due_ms)


def _queue_on(
    connection: sa.Connection,
    purpose: str,
    row: TermsRow,
    lane_id: int,
    calldata: bytes,
    now_ms: int,
    due_ms: int | None = None,
) -> None:
    deployment = chainstate.get(connection)
    assert deployment is not None and deployment.exchange is not None, "programs exist only after the exchange"
    call = Control(purpose, row.id, lanes.by_id(connection, lane_id).id, deployment.exchange, calldata, calls.GAS_CALL)
    batches.add_control(connection, call, now_ms, due_ms)
