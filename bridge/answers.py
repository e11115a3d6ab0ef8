"""The shapes of the API's answers, for whoever calls it.

These are plain dictionaries, exactly as the service sent them: a client keeps working when the service learns
a new field. Amounts are integers of points, money is integer micro-units, times are RFC 3339 strings in UTC.
"""

from typing import Any, Literal, NotRequired, TypedDict

ProgramState = Literal["deploying", "active"]
TermsState = Literal[
    "proposing",
    "proposed",
    "consenting",
    "in_force",
    "announced",
    "superseded",
    "suspending",
    "suspended",
    "failed",
]
OperationState = Literal["accepted", "submitted", "confirmed", "final", "failed", "cancelled"]
BulkStatus = Literal["accepted", "replayed", "nothing_earned", "refused"]


class EarningRate(TypedDict):
    """So many points for every full `per_minor_units` (cents, say) that a member spends."""

    points: int
    per_minor_units: int


class Ratio(TypedDict):
    """`from_units` source points become `to_units` destination points."""

    from_units: int
    to_units: int


class Limit(TypedDict):
    """A limit of posting: so many points at once, so many come back each second."""

    capacity: int
    refill_per_second: int


class Program(TypedDict):
    """A loyalty program and its token."""

    id: str
    name: str
    symbol: str
    currency: str
    earning_rate: EarningRate
    expiry_days: int | None
    state: str
    token: str | None
    issuer: str | None
    standby_issuer: str | None
    guardian: str | None
    admin: str | None
    transferable: bool
    limits: dict[str, Limit]
    credit_limit_micro: int
    money: str
    point_value_micro: int | None
    notice_days: list[int]
    debt_limit: int
    created_at: str


class LimitNow(Limit):
    """A limit, and the points that it lets through now."""

    available: int


class PowerCall(TypedDict):
    """A call of a program's guardian or admin; `ready_at` None: it can be made at once."""

    id: str
    call: Literal["pause", "unpause", "set-limit"]
    limit: str | None
    capacity: int | None
    refill_per_second: int | None
    ready_at: str | None
    state: Literal["queued", "submitted", "confirmed", "final", "given_up", "failed"]
    reason: str | None
    created_at: str


class PowerCalls(TypedDict):
    """The calls that a request queued."""

    program_id: str
    calls: list[PowerCall]


class ProgramOnChain(TypedDict):
    """What a program's token and the exchange say at `block`, and the program's last calls."""

    program_id: str
    token: str
    block: int
    paused: bool
    issuer: str
    standby_issuer: str | None
    guardian: str
    admin: str
    limits: dict[str, LimitNow]
    sequence: int
    position_micro: int
    credit_limit_micro: int
    calls: list[PowerCall]


class ProgramPage(TypedDict):
    """One page of programs, with the cursors of its neighbours."""

    items: list[Program]
    next: str | None
    previous: str | None


class ProgramKey(TypedDict):
    """A fresh API key. `key` is shown in this answer and never again."""

    id: str
    key: str
    scopes: list[str]
    program_id: str | None
    person: str | None


class Member(TypedDict):
    """One customer's enrolment in one program."""

    id: str
    program_id: str
    member_number: str
    reference: str
    account: str
    link_id: str | None
    created_at: str


class MemberPage(TypedDict):
    """One page of members."""

    items: list[Member]
    next: str | None
    previous: str | None


class AccountBalance(TypedDict):
    """The points of one of a member's managed accounts."""

    reference: str
    address: str
    posted: int
    available: int
    held: int


class PendingEarn(TypedDict):
    """Points that will come."""

    operation_id: str
    points: int
    available_at: str


class Expiration(TypedDict):
    """All of a member's points that expire on a day in UTC, and when the first of them do."""

    day: str
    points: int
    first_at: str


class ExpirationPage(TypedDict):
    """One page of days."""

    items: list[Expiration]
    next: str | None
    previous: str | None


class Balance(TypedDict):
    """What a member has: on chain (`posted`), to spend (`available`), to swap (`swappable`), for a till (`held`)."""

    member_id: str
    program_id: str
    posted: int
    available: int
    swappable: int
    held: int
    pending_in: int
    pending_out: int
    incoming: int
    pending_earns: list[PendingEarn]
    debt: int
    accounts: list[AccountBalance]
    block: int | None


class LinkCode(TypedDict):
    """A one-time code that proves one membership when a link is made."""

    code: str
    member_id: str
    expires_at: str


class LinkedMember(TypedDict):
    """One side of a link."""

    member_id: str
    program_id: str


class Link(TypedDict):
    """One customer's proof that several memberships are theirs."""

    id: str
    members: list[LinkedMember]
    created_at: str


class Step(TypedDict):
    """When an operation reached a state."""

    state: str
    at: str


class SwapHop(TypedDict):
    """What a swap does in one direction, before bonuses."""

    from_program_id: str
    to_program_id: str
    terms_id: str
    amount_in: int
    amount_out: int
    settlement_micro: int


class SwapExtra(TypedDict):
    """A bonus or a fee of a swap: an operation of its own."""

    operation_id: str
    kind: str
    program_id: str
    points: int
    state: str


class SwapDetail(TypedDict):
    """The other half of a swap: what arrives, where, and under which terms; a holder's own names no quote or terms."""

    to_program_id: str
    to_member_id: str | None
    points_out: int
    quote_id: str | None
    terms_id: str | None
    settlement_micro: int | None
    path: list[str]
    hops: list[SwapHop]
    extras: list[SwapExtra]


class Throttle(TypedDict):
    """The limit under which an operation's batch waits for room."""

    limit: str
    needed: int
    available: int


class Reversal(TypedDict):
    """What a reversal took back of an earn (`taken`, `expired`, `owed`), or returned of a redemption."""

    operation_id: str
    taken: int
    returned: int
    expired: int
    owed: int


class AdjustmentDetail(TypedDict):
    """Why an adjustment was made, and who stands for it; `points` are below zero where they were taken."""

    adjustment_id: str
    points: int
    reason: str
    proposed_by: str
    approved_by: str


class Adjustment(TypedDict):
    """Points by hand, or (kind "thaw") a frozen account: who proposed and decided it, when and why."""

    id: str
    program_id: str
    kind: str
    member_id: str | None
    account: str | None
    points: int
    reason: str
    state: str
    proposed_by: str
    proposed_key_id: str
    decided_by: str | None
    decided_key_id: str | None
    note: str | None
    operation_id: str | None
    created_at: str
    expires_at: str
    decided_at: str | None


class AdjustmentPage(TypedDict):
    """One page of adjustments."""

    items: list[Adjustment]
    next: str | None
    previous: str | None


class OddAccount(TypedDict):
    """A managed account that is frozen, or of which nobody knows whose it is."""

    address: str
    reference: str
    program_id: str
    member_id: str | None
    frozen: bool
    posted: int
    available: int


class OddAccountPage(TypedDict):
    """One page of such accounts."""

    items: list[OddAccount]
    next: str | None
    previous: str | None


class Operation(TypedDict):
    """One accepted request that changes points, and how far it has come."""

    id: str
    kind: str
    program_id: str
    member_id: str | None
    points: int
    state: str
    reason: str | None
    idempotency_key: str | None
    tag: str | None
    created_at: str
    occurred_at: str | None
    available_at: str | None
    pending: bool
    steps: list[Step]
    batch_id: str | None
    throttled: Throttle | None
    transaction: str | None
    block: int | None
    swap: SwapDetail | None
    of_swap: str | None
    adjustment: AdjustmentDetail | None
    reversal: Reversal | None
    of_credit: str | None
    hold_id: str | None


class Hold(TypedDict):
    """Points that a till authorised: how many are captured, how many are left to be, and how the hold ended."""

    id: str
    program_id: str
    member_id: str
    points: int
    captured: int
    left: int
    state: Literal["open", "captured", "voided", "expired"]
    expires_at: str
    created_at: str
    closed_at: str | None


class HoldPage(TypedDict):
    """One page of holds."""

    items: list[Hold]
    next: str | None
    previous: str | None


class WalletChallenge(TypedDict):
    """What a wallet is to sign, so that it can be bound to a member's account: `message`, as it stands."""

    nonce: str
    domain: str
    address: str
    statement: str
    uri: str
    version: str
    chain_id: int
    issued_at: str
    expires_at: str
    message: str


class Wallet(TypedDict):
    """A wallet of a member, and how many points it holds."""

    id: str
    program_id: str
    member_id: str
    address: str
    reference: str
    account: str
    state: str
    effective_at: str | None
    points: int
    bind_operation_id: str
    unbind_operation_id: str | None
    created_at: str


class Wallets(TypedDict):
    """A member's wallets, the newest first."""

    items: list[Wallet]


class Transaction(TypedDict):
    """A transaction for the holder of a wallet to send."""

    chain_id: int
    to: str
    data: str


class HolderCall(TypedDict):
    """A call of a wallet: `typed_data` to sign, or `transaction` to send; `cancellation` voids it on the chain."""

    id: str
    wallet_id: str
    kind: str
    state: str
    reason: str | None
    points: int
    number: int
    path: list[str] | None
    min_out: int | None
    expires_at: str
    typed_data: dict[str, Any]
    transaction: Transaction
    cancellation: Transaction
    operation_id: str | None
    created_at: str


class OperationPage(TypedDict):
    """One page of operations."""

    items: list[Operation]
    next: str | None
    previous: str | None


class EarnItem(TypedDict):
    """One purchase in a bulk call; `event_id` is its idempotency key."""

    event_id: str
    member_number: NotRequired[str]
    member_id: NotRequired[str]
    spend_minor: NotRequired[int]
    points: NotRequired[int]
    occurred_at: NotRequired[str]
    available_at: NotRequired[str]


class Problem(TypedDict, total=False):
    """An RFC 9457 problem, as it stands in a refused item of a bulk call."""

    type: str
    title: str
    status: int
    detail: str
    field: str | None
    limit: int | str | None
    nearest: int | str | None


class BulkResult(TypedDict):
    """What became of one item."""

    event_id: str
    status: BulkStatus
    operation_id: str | None
    points: int
    problem: Problem | None


class BulkCounts(TypedDict):
    """How many items ended which way."""

    accepted: int
    replayed: int
    nothing_earned: int
    refused: int


class BulkAnswer(TypedDict):
    """The results of a bulk call, in the order that the items were sent."""

    results: list[BulkResult]
    counts: BulkCounts


class Converted(TypedDict):
    """How a settlement price was converted: `price_micro` of `base`, at so much `quote` for one (an exact fraction)."""

    price_micro: int
    base: str
    quote: str
    rate: str
    date: str
    source: str


class Warned(TypedDict):
    """What is no reason to refuse terms, and yet worth a look."""

    type: str
    detail: str


class Terms(TypedDict):
    """What two programs agreed for one direction; `rules` is what its ratio does not say."""

    id: str
    from_program_id: str
    to_program_id: str
    version: int | None
    ratio: Ratio
    minimum: int
    increment: int
    settlement_price_micro: int
    currency: str
    fx: Converted | None
    managed_cap: int
    wallet_cap: int
    rules: dict[str, Any]
    confirmed_ratio: bool
    state: str
    reason: str | None
    starts_at: str | None
    effective_at: str | None
    proposed_by: str
    created_at: str
    warnings: list[Warned]


class TermsProposal(TypedDict):
    """What is proposed for one direction. Left out, caps and currency are the service's own, and every amount goes.

    The price is in `currency`. `rules` is what the ratio does not say; `confirm_ratio` stands by a ratio that looks
    inverted.
    """

    from_program_id: str
    to_program_id: str
    ratio: Ratio
    minimum: NotRequired[int]
    increment: NotRequired[int]
    settlement_price_micro: int
    currency: NotRequired[str | None]
    managed_cap: NotRequired[int | None]
    wallet_cap: NotRequired[int | None]
    rules: NotRequired[dict[str, Any] | None]
    starts_at: NotRequired[str | None]
    confirm_ratio: NotRequired[bool]


class TermsPage(TypedDict):
    """One page of terms."""

    items: list[Terms]
    next: NotRequired[str | None]
    previous: NotRequired[str | None]


class TermsCheck(TypedDict):
    """What proposing terms would answer: nothing speaks against them but the warnings."""

    settlement_price_micro: int
    currency: str
    fx: Converted | None
    warnings: list[Warned]


class ExplanationLine(TypedDict):
    """One line of how a price came about; `program` is the id of the one whose points it is about."""

    label: str
    detail: str
    points: int
    micro: int | None
    currency: str | None
    program: str | None


class Hop(TypedDict):
    """What a swap does in one direction, before bonuses."""

    from_program_id: str
    to_program_id: str
    terms_id: str
    terms_version: int
    ratio: Ratio
    amount_in: int
    amount_out: int
    settlement_micro: int


class Bonus(TypedDict):
    """What one bonus adds."""

    name: str
    points: int


class Money(TypedDict):
    """Micro-units of a currency."""

    micro: int
    currency: str


class Value(TypedDict):
    """What is given and received in money; `lost_bp` is in hundredths of a percent, `note` says by which rates."""

    given_micro: int
    received_micro: int
    currency: str
    lost_bp: int
    note: str


class Price(TypedDict):
    """What a swap along `path` burns (`amount_in`, `fee_points`) and brings (`amount_out`, by itself `base_out`)."""

    from_program_id: str
    to_program_id: str
    path: list[str]
    amount_in: int
    amount_out: int
    base_out: int
    bonuses: list[Bonus]
    fee_points: int
    fees_money: list[Money]
    remainder: int
    nearest_below: int
    nearest_above: int | None
    hops: list[Hop]
    settlement_micro: int
    currency: str
    value: Value | None
    explanation: list[ExplanationLine]


class SignedOffer(TypedDict):
    """A promise (EIP-712), and the exchange operator's signature under it."""

    typed_data: dict[str, Any]
    signature: str
    signer: str


class Quote(Price):
    """A firm offer: exact in, guaranteed out, until `expires_at`."""

    id: str
    member_id: str
    to_member_id: str
    tier: str | None
    terms_id: str
    terms_version: int
    expires_at: str
    state: str
    signed: SignedOffer


class Routes(TypedDict):
    """Indicative routes, the best first; unless `complete` a better one may have been missed."""

    items: list[Price]
    complete: bool


class PointValue(TypedDict):
    """What one point gives in money at home, and what the points received for it do."""

    given_micro: int
    received_micro: int
    currency: str
    lost_bp: int
    note: str


class RateChange(TypedDict):
    """A change of a direction's ratio; `before` is None where there was none."""

    at: str
    terms_id: str
    before: Ratio | None
    after: Ratio


class BoardDirection(TypedDict):
    """One direction on the board, as it stands now."""

    terms_id: str
    version: int
    state: str
    ratio: Ratio
    inverse: Ratio
    minimum: int
    increment: int
    fees: list[dict[str, Any]]
    bonuses: list[dict[str, Any]]
    changed: RateChange
    coming: RateChange | None
    value: PointValue | None


class BoardPartner(TypedDict):
    """A partner: what its points cost (`out`), what they bring (`back`), and what both together leave of a point."""

    program_id: str
    symbol: str
    name: str
    out: BoardDirection | None
    back: BoardDirection | None
    round_trip: str | None


class Board(TypedDict):
    """All partners of a program, by symbol."""

    program_id: str
    symbol: str
    at: str
    partners: list[BoardPartner]


class Block(TypedDict):
    """A block's number and hash."""

    number: int
    hash: str


class Difference(TypedDict):
    """One account whose ledger balance is not its balance on chain; a wallet has no reference."""

    account: str
    reference: str | None
    ledger: int
    chain: int


class PositionCheck(TypedDict):
    """A program's position in micro-units, by the ledger and by the chain."""

    ledger: int
    chain: int


class AuditedProgram(TypedDict):
    """One program's row of an audit."""

    program_id: str
    name: str
    symbol: str
    currency: str
    token: str
    events: int
    points_earned: int
    points_redeemed: int
    points_expired: int
    points_to_come: int
    swapped_in: int
    swapped_out: int
    supply: int
    ledger: int
    points_held: int
    owed: int
    accounts: int
    differences: int
    differing: list[Difference]
    position_micro: PositionCheck
    batches: int
    items: int
    gas_used: int


class AuditedPath(TypedDict):
    """What the swaps along one path cost on chain."""

    path: list[str]
    batches: int
    items: int
    gas_used: int


class Audit(TypedDict):
    """Ledger against chain at one final block."""

    verdict: Literal["ok", "differences"]
    block: Block
    checked_at: str
    duration_ms: int
    programs: list[AuditedProgram]
    settlements: list[AuditedPath]
    positions_sum: int
    differences: int


class ChainStatus(TypedDict):
    """Where the chain and its indexer stand."""

    chain_id: int
    url_kind: str
    exchange: str | None
    head: int
    final: int
    indexed: int
    finality: str


class Breaker(TypedDict):
    """Why posting has stopped."""

    alarm: str
    reason: str
    since: str


class Reconciled(TypedDict):
    """How the newest comparison that the service made by itself ended."""

    block: int
    at: str
    differences: int


class BreakerPast(TypedDict):
    """One time that the breaker was tripped, with its alarm, or reset, without."""

    id: int
    at: str
    alarm: str | None
    reason: str


class BreakerState(TypedDict):
    """Whether posting is stopped and why, and what happened before, newest first."""

    tripped: bool
    alarm: str | None
    reason: str | None
    since: str | None
    history: list[BreakerPast]


class OldestNonce(TypedDict):
    """The first nonce of a lane that is in no block."""

    nonce: int
    batch_id: str
    since: str
    attempts: int
    max_fee_wei: int
    tip_wei: int


class LaneTrouble(TypedDict):
    """What keeps a lane from going on, or soon will."""

    type: str
    text: str
    since: str


class LaneLeader(TypedDict):
    """The process that posts on a lane, since when."""

    process: str
    since: str


class Lane(TypedDict):
    """One signing account and its nonces; `leader` is None while no process posts on it."""

    role: str
    address: str
    next_nonce: int
    unmined: int
    oldest: OldestNonce | None
    trouble: LaneTrouble | None
    leader: LaneLeader | None


class PostingStatus(TypedDict):
    """What still waits on its way to the chain."""

    accepted_waiting: int
    batches_in_flight: int
    batches_throttled: int
    oldest_waiting_s: float | None
    breaker: Breaker | None
    reconciled: Reconciled | None


class BarredDirection(TypedDict):
    """A direction that is not quoted, since points could gain on the way round: `detail` shows it."""

    from_program_id: str
    to_program_id: str
    detail: str


class MarketStatus(TypedDict):
    """How many directions are in force, and which are not quoted."""

    directions: int
    barred: list[BarredDirection]


class Totals(TypedDict):
    """Counts of what the ledger holds."""

    operations: int
    members: int
    programs: int


class RecoveryStatus(TypedDict):
    """The newest time that the ledger took in what it lacked."""

    reason: str
    since: str
    ended: str | None
    batches: int | None
    matched: int | None
    restored: int | None
    orphans: int | None


class Leader(TypedDict):
    """A process that leads: whether it follows the chain and keeps times, on how many lanes it posts, since when."""

    process: str
    here: bool
    chain: bool
    keeper: bool
    lanes: int
    since: str


class Status(TypedDict):
    """How the service is doing; `process` is the one that answered."""

    version: str
    chain: ChainStatus
    posting: PostingStatus
    market: MarketStatus
    recovery: RecoveryStatus | None
    process: str
    leaders: list[Leader]
    totals: Totals


class Check(TypedDict):
    """One line of a readiness answer."""

    name: str
    ok: bool
    detail: str


class Readiness(TypedDict):
    """Whether the service can take requests, and which check says no."""

    checks: list[Check]
