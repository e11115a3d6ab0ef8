"""The ledger's tables.

Amounts are integers of points, money is integer micro-units, times are integer milliseconds since 1970 in UTC
(columns end in `_ms`), hashes, addresses and references are raw bytes.
"""

import sqlalchemy as sa

# Stable names for constraints, so that a migration can name what it alters on every back end.
metadata = sa.MetaData(
    naming_convention={
        "ix": "ix_%(table_name)s_%(column_0_N_name)s",
        "uq": "uq_%(table_name)s_%(column_0_N_name)s",
        "ck": "ck_%(table_name)s_%(constraint_name)s",
        "fk": "fk_%(table_name)s_%(column_0_N_name)s_%(referred_table_name)s",
        "pk": "pk_%(table_name)s",
    }
)


def _id(name: str = "id") -> sa.Column[str]:
    return sa.Column(name, sa.String(40), primary_key=True)


def _points(name: str) -> sa.Column[int]:
    return sa.Column(name, sa.BigInteger, nullable=False, server_default="0")


def _ms(name: str, *, nullable: bool = False) -> sa.Column[int]:
    return sa.Column(name, sa.BigInteger, nullable=nullable)


def _serial() -> sa.Column[int]:
    # SQLite numbers rows by itself only where the column is exactly INTEGER.
    return sa.Column("id", sa.BigInteger().with_variant(sa.Integer, "sqlite"), primary_key=True, autoincrement=True)


#: One signing account and its nonces.
lane = sa.Table(
    "lane",
    metadata,
    _serial(),
    sa.Column("role", sa.String(64), nullable=False, unique=True),
    sa.Column("key_index", sa.Integer, nullable=False, unique=True),
    sa.Column("address", sa.LargeBinary(20), nullable=False),
    sa.Column("next_nonce", sa.BigInteger, nullable=False),
    sa.Column("doubtful_below", sa.BigInteger, nullable=False, server_default="0"),
)

#: The one row that a writer locks before it reads: processes write in turns, so that each sees all that was written.
turn = sa.Table(
    "turn",
    metadata,
    sa.Column("id", sa.Integer, primary_key=True, autoincrement=False),
    sa.CheckConstraint("id = 1", name="single"),
)

#: Each writing process with the number of its last commit, which tells whether one was made whose answer got lost.
writer = sa.Table(
    "writer",
    metadata,
    sa.Column("process", sa.String(64), primary_key=True),
    sa.Column("commits", sa.BigInteger, nullable=False),
    _ms("at_ms"),
)

#: Who may act in one matter until when: post on a lane, follow the chain, keep times. The token rises with each new
#: holder, and whoever writes under an older one is refused.
lease = sa.Table(
    "lease",
    metadata,
    sa.Column("name", sa.String(64), primary_key=True),
    sa.Column("token", sa.BigInteger, nullable=False),
    #: None: given back
    sa.Column("holder", sa.String(64), nullable=True),
    #: when the holder took it, or when it was given back
    _ms("since_ms"),
    _ms("until_ms"),
)

#: Where the exchange contract stands on each chain.
deployment = sa.Table(
    "deployment",
    metadata,
    sa.Column("chain_id", sa.BigInteger, primary_key=True, autoincrement=False),
    sa.Column("genesis_hash", sa.LargeBinary(32), nullable=False),
    sa.Column("exchange", sa.LargeBinary(20), nullable=True),
    #: the exchange's times, fixed when it is deployed
    sa.Column("delay_s", sa.BigInteger, nullable=False),
    sa.Column("notice_s", sa.BigInteger, nullable=False),
    sa.Column("longest_quote_s", sa.BigInteger, nullable=False),
    sa.Column("longest_batch_s", sa.BigInteger, nullable=False),
    sa.Column("cap_period_s", sa.BigInteger, nullable=False),
    #: the currency of positions and prices on the chain, fixed then too
    sa.Column("settlement_currency", sa.String(3), nullable=False),
    sa.Column("transaction_hash", sa.LargeBinary(32), nullable=True),
    sa.Column("block_number", sa.BigInteger, nullable=True),
    _ms("created_ms"),
)

#: The one breaker: a row while posting is stopped.
breaker = sa.Table(
    "breaker",
    metadata,
    sa.Column("id", sa.Integer, primary_key=True, autoincrement=False),
    sa.Column("alarm", sa.String(32), nullable=False),
    sa.Column("reason", sa.Text, nullable=False),
    _ms("tripped_ms"),
    sa.CheckConstraint("id = 1", name="single"),
)

#: Every time that the breaker was tripped (with its alarm) or reset (without).
breaker_event = sa.Table(
    "breaker_event",
    metadata,
    _serial(),
    sa.Column("alarm", sa.String(32), nullable=True),
    sa.Column("reason", sa.Text, nullable=False),
    _ms("at_ms"),
)

#: Times in which the chain was ahead of the ledger, and what was learnt of it. One of them at most has no end.
recovery = sa.Table(
    "recovery",
    metadata,
    _serial(),
    sa.Column("reason", sa.Text, nullable=False),
    #: whether somebody said that the ledger was restored; else the chain was only found to be ahead
    sa.Column("marked", sa.Boolean, nullable=False),
    #: the head of the chain when it began, which must be final and read before it ends; None until the service starts
    sa.Column("until_block", sa.BigInteger, nullable=True),
    _ms("since_ms"),
    _ms("ended_ms", nullable=True),
    sa.Column("batches", sa.Integer, nullable=True),
    sa.Column("matched", sa.Integer, nullable=True),
    sa.Column("restored", sa.Integer, nullable=True),
    sa.Column("orphans", sa.Integer, nullable=True),
)

program = sa.Table(
    "program",
    metadata,
    _id(),
    sa.Column("name", sa.String(64), nullable=False),
    sa.Column("symbol", sa.String(11), nullable=False, unique=True),
    sa.Column("currency", sa.String(32), nullable=False),
    sa.Column("earn_points", sa.BigInteger, nullable=False),
    sa.Column("earn_per_minor_units", sa.BigInteger, nullable=False),
    sa.Column("expiry_days", sa.Integer, nullable=True),
    sa.Column("issuer_lane_id", sa.ForeignKey("lane.id"), nullable=False),
    sa.Column("admin_lane_id", sa.ForeignKey("lane.id"), nullable=False),
    sa.Column("guardian_lane_id", sa.ForeignKey("lane.id"), nullable=False),
    #: the key that stands by to become the issuer: reserved, and without a lane until it does
    sa.Column("standby_key_index", sa.Integer, nullable=True, unique=True),
    sa.Column("standby", sa.LargeBinary(20), nullable=True),
    sa.Column("transferable", sa.Boolean, nullable=False),
    #: what the program may owe, in micro-units, as the exchange last said
    sa.Column("credit_limit_micro", sa.BigInteger, nullable=False),
    #: the currency in which its points are redeemed at home, and what one is worth there; None: nobody said
    sa.Column("money", sa.String(3), nullable=False),
    sa.Column("point_value_micro", sa.BigInteger, nullable=True),
    sa.Column("token", sa.LargeBinary(20), nullable=True, unique=True),
    sa.Column("state", sa.String(16), nullable=False),
    _ms("created_ms"),
    #: what one member may owe after a reversal of points that are spent already; 0: such a reversal is refused
    sa.Column("debt_limit", sa.BigInteger, nullable=False, server_default="0"),
    #: how many days ahead of an expiry members are told of it, such as [30, 7]
    sa.Column("notice_days", sa.JSON, nullable=False, server_default="[]"),
)

#: What bounds a program's posting (issuance, redemption, release), as its token last said.
program_limit = sa.Table(
    "program_limit",
    metadata,
    sa.Column("program_id", sa.ForeignKey("program.id"), primary_key=True),
    sa.Column("name", sa.String(16), primary_key=True),
    sa.Column("capacity", sa.BigInteger, nullable=False),
    sa.Column("refill_per_second", sa.BigInteger, nullable=False),
)

api_key = sa.Table(
    "api_key",
    metadata,
    _id(),
    sa.Column("program_id", sa.ForeignKey("program.id"), nullable=True),
    sa.Column("scopes", sa.String(128), nullable=False),
    sa.Column("secret_hash", sa.LargeBinary(32), nullable=False),
    _ms("created_ms"),
    _ms("revoked_ms", nullable=True),
    #: who holds it; whoever approves must be another one than who proposed
    sa.Column("person", sa.String(64), nullable=True),
)

link = sa.Table("link", metadata, _id(), _ms("created_ms"))

member = sa.Table(
    "member",
    metadata,
    _id(),
    sa.Column("program_id", sa.ForeignKey("program.id"), nullable=False),
    sa.Column("member_number", sa.String(64), nullable=False),
    sa.Column("link_id", sa.ForeignKey("link.id"), nullable=True, index=True),
    _ms("created_ms"),
    #: since when it is in its link
    _ms("linked_ms", nullable=True),
    sa.UniqueConstraint("program_id", "member_number"),
)

#: One-time codes by which the sides of a link prove that they are one customer's.
link_code = sa.Table(
    "link_code",
    metadata,
    sa.Column("code_hash", sa.LargeBinary(32), primary_key=True),
    sa.Column("member_id", sa.ForeignKey("member.id"), nullable=False, index=True),
    _ms("expires_ms"),
    _ms("used_ms", nullable=True),
)

#: Members' managed accounts, holders' wallets, and each program's system accounts (issued, redeemed, swapped) that
#: stand against them. A wallet has an address and no member: whose it is says the binding, and may change. An orphan is
#: a managed account that only the chain tells of: whose its reference is got lost with the ledger that knew.
account = sa.Table(
    "account",
    metadata,
    _serial(),
    sa.Column("program_id", sa.ForeignKey("program.id"), nullable=False),
    sa.Column("kind", sa.String(16), nullable=False),
    sa.Column("member_id", sa.ForeignKey("member.id"), nullable=True, index=True),
    sa.Column("reference", sa.LargeBinary(20), nullable=True),
    sa.Column("address", sa.LargeBinary(20), nullable=True, index=True),
    sa.Column("frozen", sa.Boolean, nullable=False, server_default=sa.false()),
    _points("credits_pending"),
    _points("credits_posted"),
    _points("debits_pending"),
    _points("debits_posted"),
    _points("incoming_pending"),
    _points("held"),
    sa.UniqueConstraint("program_id", "reference"),
    sa.CheckConstraint("(kind = 'member') = (member_id IS NOT NULL)", name="member_kind"),
    sa.CheckConstraint(
        "credits_pending >= 0 AND debits_pending >= 0 AND incoming_pending >= 0 AND held >= 0"
        " AND credits_posted >= 0 AND debits_posted >= 0",
        name="counters_not_negative",
    ),
    # The last line of defence against an overdraft: nobody's account owes. Where the chain took points that are held
    # for what is not on the chain yet, the account is frozen; even then it holds no less than nothing there.
    sa.CheckConstraint(
        "kind IN ('issued', 'redeemed', 'swapped') OR CASE WHEN frozen THEN credits_posted >= debits_posted"
        " ELSE credits_posted + credits_pending >= debits_posted + debits_pending + held END",
        name="no_overdraft",
    ),
)
sa.Index(
    "uq_account_system",
    account.c.program_id,
    account.c.kind,
    unique=True,
    sqlite_where=account.c.address.is_(None),
    postgresql_where=account.c.address.is_(None),
)
sa.Index(
    "uq_account_wallet",
    account.c.program_id,
    account.c.address,
    unique=True,
    sqlite_where=sa.text("kind = 'wallet'"),
    postgresql_where=sa.text("kind = 'wallet'"),
)

#: What must be posted in order: one program's entries, or one swap path's legs.
stream = sa.Table(
    "stream",
    metadata,
    _serial(),
    sa.Column("key", sa.String(256), nullable=False, unique=True),
    sa.Column("kind", sa.String(16), nullable=False),
    sa.Column("lane_id", sa.ForeignKey("lane.id"), nullable=False),
    sa.Column("last_sequence", sa.BigInteger, nullable=False, server_default="0"),
    #: what the contract calls a path in its events; NULL for a program's stream
    sa.Column("path_id", sa.LargeBinary(32), nullable=True, unique=True),
)

#: Operations of one stream frozen together, or (kind `control`) one call that sets the contracts up. Never edited.
batch = sa.Table(
    "batch",
    metadata,
    _id(),
    sa.Column("kind", sa.String(16), nullable=False),
    sa.Column("stream_id", sa.ForeignKey("stream.id"), nullable=True),
    sa.Column("lane_id", sa.ForeignKey("lane.id"), nullable=False),
    sa.Column("sequence", sa.BigInteger, nullable=True),
    sa.Column("valid_until", sa.BigInteger, nullable=True),
    sa.Column("digest", sa.LargeBinary(32), nullable=True),
    sa.Column("purpose", sa.String(32), nullable=False),
    sa.Column("subject", sa.String(40), nullable=True),
    sa.Column("target", sa.LargeBinary(20), nullable=True),
    sa.Column("calldata", sa.LargeBinary, nullable=False),
    sa.Column("value_wei", sa.String(32), nullable=False, server_default="0"),
    sa.Column("gas_limit", sa.BigInteger, nullable=False),
    sa.Column("item_count", sa.Integer, nullable=False),
    #: ids of the frozen entries in the order of their words, 8 bytes each
    sa.Column("entry_ids", sa.LargeBinary, nullable=False),
    #: places of the debits that the chain skipped in the block that holds the batch, 4 bytes each
    sa.Column("skipped", sa.LargeBinary, nullable=False, default=b""),
    #: ours; foreign: only the chain tells of it; torn: ours, but of what it froze something was posted by another.
    #: What the last two did is read from their words
    sa.Column("origin", sa.String(8), nullable=False, server_default="ours"),
    #: what the chain says of the words beyond them: the terms of each hop, the wallets that were released to
    sa.Column("told", sa.JSON(none_as_null=True), nullable=True),
    #: what it takes from each limit that it meets on the chain
    sa.Column("demand", sa.JSON, nullable=False),
    #: the limit that keeps it from being signed: its name, what is needed, what is available
    sa.Column("throttled", sa.JSON(none_as_null=True), nullable=True),
    #: not to be signed before: the chain would refuse it
    _ms("due_ms", nullable=True),
    sa.Column("state", sa.String(16), nullable=False, index=True),
    sa.Column("reason", sa.Text, nullable=True),
    sa.Column("transaction_hash", sa.LargeBinary(32), nullable=True),
    sa.Column("block_number", sa.BigInteger, nullable=True, index=True),
    #: where its event stands among those of its block
    sa.Column("place", sa.Integer, nullable=False, server_default="0"),
    sa.Column("gas_used", sa.BigInteger, nullable=True),
    _ms("created_ms"),
    _ms("submitted_ms", nullable=True),
    _ms("confirmed_ms", nullable=True),
    _ms("final_ms", nullable=True),
)
sa.Index("ix_batch_stream_sequence", batch.c.stream_id, batch.c.sequence)

#: One nonce of a lane serves one batch for ever, and a batch has one nonce at a time: another only once the first is
#: `foreign`, used up at a final block by a transaction that is not ours.
nonce = sa.Table(
    "nonce",
    metadata,
    sa.Column("lane_id", sa.ForeignKey("lane.id"), primary_key=True),
    sa.Column("number", sa.BigInteger, primary_key=True, autoincrement=False),
    sa.Column("batch_id", sa.ForeignKey("batch.id"), nullable=False, index=True),
    sa.Column("state", sa.String(8), nullable=False),
    #: the canonical block that holds one of its attempts, whatever that did there
    sa.Column("mined_block", sa.BigInteger, nullable=True, index=True),
)
sa.Index(
    "uq_nonce_batch_live",
    nonce.c.batch_id,
    unique=True,
    sqlite_where=sa.text("state = 'live'"),
    postgresql_where=sa.text("state = 'live'"),
)
sa.Index(
    "ix_nonce_unmined",
    nonce.c.lane_id,
    nonce.c.number,
    sqlite_where=sa.text("mined_block IS NULL AND state = 'live'"),
    postgresql_where=sa.text("mined_block IS NULL AND state = 'live'"),
)

#: Every signed transaction, stored before it is sent. Those of one nonce differ in their fees, and any may be mined.
attempt = sa.Table(
    "attempt",
    metadata,
    sa.Column("hash", sa.LargeBinary(32), primary_key=True),
    sa.Column("lane_id", sa.BigInteger, nullable=False),
    sa.Column("nonce", sa.BigInteger, nullable=False),
    #: 0 for the nonce's first, one more for each that replaces it
    sa.Column("place", sa.Integer, nullable=False),
    sa.Column("raw", sa.LargeBinary, nullable=False),
    sa.Column("max_fee_wei", sa.BigInteger, nullable=False),
    sa.Column("tip_wei", sa.BigInteger, nullable=False),
    _ms("created_ms"),
    #: when a node first took it, and the newest block then; anew after its block was reorganised away
    _ms("taken_ms", nullable=True),
    sa.Column("taken_block", sa.BigInteger, nullable=True),
    #: when it was last handed to a node, whatever that answered
    _ms("sent_ms", nullable=True),
    sa.ForeignKeyConstraint(["lane_id", "nonce"], ["nonce.lane_id", "nonce.number"]),
    sa.UniqueConstraint("lane_id", "nonce", "place"),
)

#: What keeps a lane's transactions from being mined, one at a time; no row: nothing does.
lane_trouble = sa.Table(
    "lane_trouble",
    metadata,
    sa.Column("lane_id", sa.ForeignKey("lane.id"), primary_key=True),
    sa.Column("type", sa.String(16), nullable=False),
    sa.Column("text", sa.Text, nullable=False),
    _ms("since_ms"),
)

#: The canonical chain as far as it was followed.
block = sa.Table(
    "block",
    metadata,
    sa.Column("number", sa.BigInteger, primary_key=True, autoincrement=False),
    sa.Column("hash", sa.LargeBinary(32), nullable=False, unique=True),
    sa.Column("parent_hash", sa.LargeBinary(32), nullable=False),
    sa.Column("timestamp", sa.BigInteger, nullable=False),
    sa.Column("final", sa.Boolean, nullable=False),
)

#: The journal from which a wiped embedded chain is rebuilt.
block_transaction = sa.Table(
    "block_transaction",
    metadata,
    sa.Column("block_number", sa.ForeignKey("block.number"), primary_key=True),
    sa.Column("position", sa.Integer, primary_key=True),
    sa.Column("raw", sa.LargeBinary, nullable=False),
)

operation = sa.Table(
    "operation",
    metadata,
    sa.Column("seq", sa.BigInteger().with_variant(sa.Integer, "sqlite"), primary_key=True, autoincrement=True),
    sa.Column("id", sa.String(40), nullable=False, unique=True),
    sa.Column("kind", sa.String(16), nullable=False),
    sa.Column("program_id", sa.ForeignKey("program.id"), nullable=False),
    #: None: a holder did it whose wallet is bound to no member of this program
    sa.Column("member_id", sa.ForeignKey("member.id"), nullable=True),
    sa.Column("points", sa.BigInteger, nullable=False),
    sa.Column("state", sa.String(16), nullable=False),
    sa.Column("reason", sa.Text, nullable=True),
    #: key and hash of the request; None where nobody asked for it here, but a holder did it on the chain
    sa.Column("idempotency_key", sa.String(255), nullable=True),
    sa.Column("request_hash", sa.LargeBinary(32), nullable=True),
    #: None where no entry was posted for it
    sa.Column("tag", sa.LargeBinary(5), nullable=True),
    #: known from the chain alone: its key is known again when its request is repeated
    sa.Column("restored", sa.Boolean, nullable=False, server_default=sa.false()),
    #: None where nothing is to be posted, or not yet: until the swap that it comes after is final
    sa.Column("stream_id", sa.ForeignKey("stream.id"), nullable=True),
    sa.Column("batch_id", sa.ForeignKey("batch.id"), nullable=True, index=True),
    #: the swap that a bonus or a fee comes after, the credit that a repayment is made of, the earn that an expiry is of
    sa.Column("after_id", sa.ForeignKey("operation.id"), nullable=True),
    _ms("occurred_ms", nullable=True),
    _ms("created_ms"),
    #: an earn whose points come later: when
    _ms("release_ms", nullable=True),
    #: the hold that a redemption captured from
    sa.Column("hold_id", sa.ForeignKey("hold.id"), nullable=True, index=True),
    #: the earn or redemption that a reversal takes back
    sa.Column("reverses_id", sa.ForeignKey("operation.id"), nullable=True, index=True),
    #: points of a reversal that had expired: of an earn they count as taken back, of a redemption they came back so
    sa.Column("expired_points", sa.BigInteger, nullable=True),
    sa.UniqueConstraint("program_id", "idempotency_key"),
)
sa.Index("ix_operation_member_seq", operation.c.member_id, operation.c.seq)
sa.Index("ix_operation_program_seq", operation.c.program_id, operation.c.seq)
sa.Index(
    "ix_operation_after",
    operation.c.after_id,
    sqlite_where=operation.c.after_id.is_not(None),
    postgresql_where=operation.c.after_id.is_not(None),
)
sa.Index(
    "ix_operation_restored",
    operation.c.program_id,
    operation.c.tag,
    sqlite_where=sa.text("restored AND idempotency_key IS NULL"),
    postgresql_where=sa.text("restored AND idempotency_key IS NULL"),
)

#: What waits for a batch, apart from expiries, of which a night can bring very many, and they themselves.
WAITING = "operation.state = 'accepted' AND operation.batch_id IS NULL AND operation.kind <> 'expiry'"
WAITING_EXPIRY = "operation.state = 'accepted' AND operation.batch_id IS NULL AND operation.kind = 'expiry'"
for _name, _where in (("ix_operation_waiting", WAITING), ("ix_operation_waiting_expiry", WAITING_EXPIRY)):
    sa.Index(
        _name,
        operation.c.stream_id,
        operation.c.seq,
        sqlite_where=sa.text(_where.replace("operation.", "")),
        postgresql_where=sa.text(_where.replace("operation.", "")),
    )

#: Earns whose points are still to come.
UNRELEASED = "operation.release_ms IS NOT NULL AND operation.state = 'accepted' AND operation.stream_id IS NULL"
for _name, _columns in (
    ("ix_operation_release", (operation.c.release_ms, operation.c.seq)),
    ("ix_operation_unreleased", (operation.c.member_id, operation.c.release_ms)),
):
    sa.Index(
        _name,
        *_columns,
        sqlite_where=sa.text(UNRELEASED.replace("operation.", "")),
        postgresql_where=sa.text(UNRELEASED.replace("operation.", "")),
    )

#: Requests under an idempotency key that are no operation of their own: what each was, and what came of it.
request = sa.Table(
    "request",
    metadata,
    sa.Column("program_id", sa.ForeignKey("program.id"), primary_key=True),
    sa.Column("idempotency_key", sa.String(255), primary_key=True),
    sa.Column("request_hash", sa.LargeBinary(32), nullable=False),
    #: the id of what it made or changed
    sa.Column("subject", sa.String(40), nullable=False),
    _ms("created_ms"),
)

#: Points that a till has authorised and not captured yet: unavailable to all others, and not on their way to the chain.
hold = sa.Table(
    "hold",
    metadata,
    _id(),
    sa.Column("program_id", sa.ForeignKey("program.id"), nullable=False),
    sa.Column("member_id", sa.ForeignKey("member.id"), nullable=False),
    sa.Column("points", sa.BigInteger, nullable=False),
    sa.Column("captured", sa.BigInteger, nullable=False, server_default="0"),
    sa.Column("state", sa.String(16), nullable=False),
    _ms("expires_ms"),
    _ms("created_ms"),
    _ms("closed_ms", nullable=True),
    sa.CheckConstraint("points > 0 AND captured >= 0 AND captured <= points", name="captured_in_range"),
)
sa.Index("ix_hold_member", hold.c.member_id, hold.c.state)
sa.Index(
    "ix_hold_open",
    hold.c.expires_ms,
    sqlite_where=sa.text("state = 'open'"),
    postgresql_where=sa.text("state = 'open'"),
)

#: What an open hold still takes from each lot.
hold_take = sa.Table(
    "hold_take",
    metadata,
    sa.Column("hold_id", sa.ForeignKey("hold.id"), primary_key=True),
    sa.Column("lot_id", sa.ForeignKey("lot.id"), primary_key=True, index=True),
    sa.Column("amount", sa.BigInteger, nullable=False),
    sa.CheckConstraint("amount > 0", name="amount_positive"),
)

#: What a member owes: points of a reversal that were spent already. Never a negative balance. Below zero only where a
#: restored ledger saw on the chain what paid off a debt that it does not know: what the member paid ahead.
debt = sa.Table(
    "debt",
    metadata,
    sa.Column("member_id", sa.ForeignKey("member.id"), primary_key=True),
    sa.Column("points", sa.BigInteger, nullable=False),
)

#: How an operation changed its member's debt: a reversal adds to it, what pays it off takes from it.
debt_change = sa.Table(
    "debt_change",
    metadata,
    sa.Column("operation_id", sa.ForeignKey("operation.id"), primary_key=True),
    sa.Column("member_id", sa.ForeignKey("member.id"), nullable=False, index=True),
    sa.Column("points", sa.BigInteger, nullable=False),
)

#: That a member was told, so many days ahead, of what expires on a day in UTC (days since 1970).
expiry_notice = sa.Table(
    "expiry_notice",
    metadata,
    sa.Column("member_id", sa.ForeignKey("member.id"), primary_key=True),
    sa.Column("day", sa.Integer, primary_key=True, autoincrement=False),
    sa.Column("lead_days", sa.Integer, primary_key=True, autoincrement=False),
    sa.Column("program_id", sa.ForeignKey("program.id"), nullable=False, index=True),
    sa.Column("points", sa.BigInteger, nullable=False),
    _ms("created_ms"),
)

#: Up to which lot, in the order in which they expire, a program's members were told so many days ahead.
notice_reach = sa.Table(
    "notice_reach",
    metadata,
    sa.Column("program_id", sa.ForeignKey("program.id"), primary_key=True),
    sa.Column("lead_days", sa.Integer, primary_key=True, autoincrement=False),
    _ms("expires_ms"),
    sa.Column("lot_id", sa.BigInteger, nullable=False),
)

#: A correction by hand: proposed by one person, and made only once another approved it. Points below zero take away.
adjustment = sa.Table(
    "adjustment",
    metadata,
    _id(),
    sa.Column("program_id", sa.ForeignKey("program.id"), nullable=False, index=True),
    #: whose points; None where the account is named, which then is nobody's, or is to be thawed
    sa.Column("member_id", sa.ForeignKey("member.id"), nullable=True, index=True),
    sa.Column("account_id", sa.ForeignKey("account.id"), nullable=True),
    #: below zero: taken away; 0: the account is to be thawed
    sa.Column("points", sa.BigInteger, nullable=False),
    sa.Column("reason", sa.Text, nullable=False),
    sa.Column("state", sa.String(16), nullable=False),
    #: what the chain will know the operation by: made of the proposal's idempotency key, whoever approves when
    sa.Column("tag", sa.LargeBinary(5), nullable=False),
    #: persons, and the keys that they used
    sa.Column("proposed_by", sa.String(64), nullable=False),
    sa.Column("proposed_key", sa.ForeignKey("api_key.id"), nullable=False),
    sa.Column("decided_by", sa.String(64), nullable=True),
    sa.Column("decided_key", sa.ForeignKey("api_key.id"), nullable=True),
    #: why it was rejected
    sa.Column("note", sa.Text, nullable=True),
    #: what it became once it was approved
    sa.Column("operation_id", sa.ForeignKey("operation.id"), nullable=True, unique=True),
    _ms("created_ms"),
    _ms("expires_ms"),
    _ms("decided_ms", nullable=True),
)
sa.Index(
    "ix_adjustment_open",
    adjustment.c.expires_ms,
    sqlite_where=sa.text("state = 'proposed'"),
    postgresql_where=sa.text("state = 'proposed'"),
)

#: The effect of an operation on one account, against a system account: balanced by construction.
entry = sa.Table(
    "entry",
    metadata,
    _serial(),
    sa.Column("operation_id", sa.ForeignKey("operation.id"), nullable=False, index=True),
    sa.Column("program_id", sa.ForeignKey("program.id"), nullable=False),
    #: entries of one swap leg share its number
    sa.Column("leg", sa.Integer, nullable=False),
    sa.Column("kind", sa.Integer, nullable=False),
    sa.Column("credit", sa.Boolean, nullable=False),
    sa.Column("amount", sa.BigInteger, nullable=False),
    sa.Column("account_id", sa.ForeignKey("account.id"), nullable=False, index=True),
    sa.Column("contra_id", sa.ForeignKey("account.id"), nullable=False),
    sa.Column("state", sa.String(8), nullable=False),
    sa.CheckConstraint("amount > 0", name="amount_positive"),
)

#: The points of one credit with their own expiry; `pending` until a swap's points are final.
lot = sa.Table(
    "lot",
    metadata,
    _serial(),
    sa.Column("account_id", sa.ForeignKey("account.id"), nullable=False),
    sa.Column("operation_id", sa.ForeignKey("operation.id"), nullable=False, index=True),
    sa.Column("amount", sa.BigInteger, nullable=False),
    sa.Column("remaining", sa.BigInteger, nullable=False),
    sa.Column("pending", sa.Boolean, nullable=False),
    #: whether a swap brought it, and whether it may be swapped again
    sa.Column("received", sa.Boolean, nullable=False, server_default=sa.false()),
    sa.Column("onward", sa.Boolean, nullable=False, server_default=sa.true()),
    #: its time is over and it was left alone: it lies in a wallet or in a frozen account, is nobody's, or is too much
    sa.Column("aside", sa.Boolean, nullable=False, server_default=sa.false()),
    _ms("earned_ms"),
    _ms("expires_ms", nullable=True),
    sa.CheckConstraint("remaining >= 0 AND remaining <= amount", name="remaining_in_range"),
)
sa.Index(
    "ix_lot_spendable",
    lot.c.account_id,
    sqlite_where=sa.text("remaining > 0"),
    postgresql_where=sa.text("remaining > 0"),
)

#: What was left alone, and is looked at again.
sa.Index("ix_lot_aside", lot.c.account_id, sqlite_where=sa.text("aside"), postgresql_where=sa.text("aside"))

#: What can still expire, in the order in which it does: whoever expires lots reads those that are due and no others.
EXPIRING = "lot.remaining > 0 AND NOT lot.pending AND NOT lot.aside AND lot.expires_ms IS NOT NULL"
sa.Index(
    "ix_lot_expiring",
    lot.c.expires_ms,
    lot.c.id,
    sqlite_where=sa.text(EXPIRING.replace("lot.", "")),
    postgresql_where=sa.text(EXPIRING.replace("lot.", "")),
)

#: What an operation took from each lot, so that a hold can be given back to where it came from.
lot_take = sa.Table(
    "lot_take",
    metadata,
    sa.Column("operation_id", sa.ForeignKey("operation.id"), primary_key=True),
    sa.Column("lot_id", sa.ForeignKey("lot.id"), primary_key=True, index=True),
    sa.Column("amount", sa.BigInteger, nullable=False),
)

terms = sa.Table(
    "terms",
    metadata,
    _id(),
    sa.Column("from_program_id", sa.ForeignKey("program.id"), nullable=False),
    sa.Column("to_program_id", sa.ForeignKey("program.id"), nullable=False),
    sa.Column("version", sa.Integer, nullable=True),
    sa.Column("from_units", sa.BigInteger, nullable=False),
    sa.Column("to_units", sa.BigInteger, nullable=False),
    sa.Column("minimum", sa.BigInteger, nullable=False),
    sa.Column("increment", sa.BigInteger, nullable=False),
    sa.Column("settlement_price_micro", sa.BigInteger, nullable=False),
    sa.Column("currency", sa.String(3), nullable=False),
    #: source points that managed accounts, and holders of wallets, may swap in a period
    sa.Column("managed_cap", sa.BigInteger, nullable=False),
    sa.Column("wallet_cap", sa.BigInteger, nullable=False),
    #: what the contract does not hold, in the form that files and the API have for it; empty: nothing
    sa.Column("rules", sa.JSON, nullable=False, server_default="{}"),
    #: not in force before
    _ms("starts_ms", nullable=True),
    #: somebody looked at a ratio that seemed inverted, and stood by it
    sa.Column("confirmed_ratio", sa.Boolean, nullable=False, server_default=sa.false()),
    #: how the settlement price was converted: from which currency and amount, at which rate of which date
    sa.Column("fx", sa.JSON(none_as_null=True), nullable=True),
    sa.Column("state", sa.String(16), nullable=False),
    sa.Column("reason", sa.Text, nullable=True),
    sa.Column("proposed_by", sa.ForeignKey("program.id"), nullable=False),
    _ms("effective_ms", nullable=True),
    _ms("suspended_ms", nullable=True),
    _ms("created_ms"),
    #: the block that told of a version that was adopted past this service, whose rules are not known here
    sa.Column("foreign_block", sa.BigInteger, nullable=True),
    #: every change of a row takes the next number, so that who keeps terms in memory reads only what changed
    sa.Column("revision", sa.BigInteger, nullable=False, index=True),
)
sa.Index("ix_terms_direction", terms.c.from_program_id, terms.c.to_program_id)
sa.Index("ix_terms_into", terms.c.to_program_id, terms.c.from_program_id)

#: A firm offer. What it takes of caps is reserved while it is open, used from when it is accepted, and given back when
#: it expires or its swap fails.
quote = sa.Table(
    "quote",
    metadata,
    _id(),
    sa.Column("program_id", sa.ForeignKey("program.id"), nullable=False),
    sa.Column("member_id", sa.ForeignKey("member.id"), nullable=False),
    sa.Column("to_program_id", sa.ForeignKey("program.id"), nullable=False),
    sa.Column("to_member_id", sa.ForeignKey("member.id"), nullable=False),
    sa.Column("tier", sa.String(64), nullable=True),
    sa.Column("amount_in", sa.BigInteger, nullable=False),
    #: what the swap itself brings, and that with all bonuses
    sa.Column("base_out", sa.BigInteger, nullable=False),
    sa.Column("amount_out", sa.BigInteger, nullable=False),
    sa.Column("bonuses", sa.JSON, nullable=False),
    #: source points burned on top, and what is owed in money
    sa.Column("fee_points", sa.BigInteger, nullable=False),
    sa.Column("fees", sa.JSON, nullable=False),
    sa.Column("remainder", sa.BigInteger, nullable=False),
    #: the least amount in that gives more
    sa.Column("nearest_above", sa.BigInteger, nullable=True),
    sa.Column("settlement_micro", sa.BigInteger, nullable=False),
    sa.Column("value", sa.JSON(none_as_null=True), nullable=True),
    sa.Column("explanation", sa.JSON, nullable=False),
    sa.Column("signature", sa.LargeBinary, nullable=True),
    #: the address whose key made it: the operator may be another one later
    sa.Column("signer", sa.LargeBinary(20), nullable=True),
    _ms("created_ms"),
    _ms("expires_ms"),
    _ms("accepted_ms", nullable=True),
    #: its swap failed: what it took of caps was given back
    sa.Column("failed", sa.Boolean, nullable=False, server_default=sa.false()),
)
sa.Index("ix_quote_member", quote.c.member_id, quote.c.accepted_ms, quote.c.expires_ms)

#: Whose a quote was when it was made: every membership of the customer, so that what was counted stays theirs after
#: they leave the link.
quote_customer = sa.Table(
    "quote_customer",
    metadata,
    sa.Column("quote_id", sa.ForeignKey("quote.id"), primary_key=True),
    sa.Column("member_id", sa.ForeignKey("member.id"), primary_key=True),
    #: the quote's: one that was accepted in a period expires in it or later
    _ms("expires_ms"),
)
sa.Index("ix_quote_customer_member", quote_customer.c.member_id, quote_customer.c.expires_ms, quote_customer.c.quote_id)

#: What a quote does in each direction along its path, in order, under which terms.
quote_hop = sa.Table(
    "quote_hop",
    metadata,
    sa.Column("quote_id", sa.ForeignKey("quote.id"), primary_key=True),
    sa.Column("place", sa.Integer, primary_key=True),
    sa.Column("from_program_id", sa.ForeignKey("program.id"), nullable=False),
    sa.Column("to_program_id", sa.ForeignKey("program.id"), nullable=False),
    sa.Column("terms_id", sa.ForeignKey("terms.id"), nullable=False),
    sa.Column("amount_in", sa.BigInteger, nullable=False),
    sa.Column("amount_out", sa.BigInteger, nullable=False),
    #: what bonuses add to that; on the last hop only
    sa.Column("bonus", sa.BigInteger, nullable=False),
    sa.Column("settlement_micro", sa.BigInteger, nullable=False),
    #: the group that its terms named then, by which shared caps count it; empty: none
    sa.Column("partner_group", sa.String(64), nullable=False),
    #: what it takes of caps, bonus and all: less than the amounts where the chain carried only some legs
    sa.Column("used_out", sa.BigInteger, nullable=False),
    sa.Column("used_in", sa.BigInteger, nullable=False),
    #: until when it is reserved; None once the quote was accepted
    _ms("reserved_until_ms", nullable=True),
)
#: Shared caps count by one end of a direction, the source's or the destination's.
for _end in ("from", "to"):
    sa.Index(
        f"ix_quote_hop_reserved_{_end}",
        quote_hop.c[f"{_end}_program_id"],
        quote_hop.c.reserved_until_ms,
        sqlite_where=quote_hop.c.reserved_until_ms.is_not(None),
        postgresql_where=quote_hop.c.reserved_until_ms.is_not(None),
    )

#: What was swapped in each direction under terms of each group on each day in UTC (days since 1970), failed swaps left
#: out: a year's sum must not read a year's swaps.
swap_day = sa.Table(
    "swap_day",
    metadata,
    sa.Column("from_program_id", sa.ForeignKey("program.id"), primary_key=True),
    sa.Column("to_program_id", sa.ForeignKey("program.id"), primary_key=True),
    sa.Column("partner_group", sa.String(64), primary_key=True),
    sa.Column("day", sa.Integer, primary_key=True, autoincrement=False),
    sa.Column("points_out", sa.BigInteger, nullable=False),
    sa.Column("points_in", sa.BigInteger, nullable=False),
    sa.Column("swaps", sa.BigInteger, nullable=False),
)
sa.Index("ix_swap_day_from", swap_day.c.from_program_id, swap_day.c.day)
sa.Index("ix_swap_day_to", swap_day.c.to_program_id, swap_day.c.day)

#: What a swap adds to its operation. One quote serves one swap, whose hops are the quote's. A holder's own swap has no
#: quote, and no terms are named for it.
swap = sa.Table(
    "swap",
    metadata,
    sa.Column("operation_id", sa.ForeignKey("operation.id"), primary_key=True),
    sa.Column("quote_id", sa.ForeignKey("quote.id"), nullable=True, unique=True),
    sa.Column("to_program_id", sa.ForeignKey("program.id"), nullable=False, index=True),
    sa.Column("to_member_id", sa.ForeignKey("member.id"), nullable=True),
    #: what the chain mints; bonuses are operations of their own
    sa.Column("points_out", sa.BigInteger, nullable=False),
    #: None where it is more than a database counts to, which only a holder's own swap can be
    sa.Column("settlement_micro", sa.BigInteger, nullable=True),
)

#: What a leg of a swap becomes in the programs between source and destination, where it has no entry: after the hop at
#: `place`.
leg_hop = sa.Table(
    "leg_hop",
    metadata,
    sa.Column("operation_id", sa.ForeignKey("operation.id"), primary_key=True),
    sa.Column("leg", sa.Integer, primary_key=True),
    sa.Column("place", sa.Integer, primary_key=True),
    sa.Column("points", sa.BigInteger, nullable=False),
)

#: What happened, in order: one row for an accepted operation, one row for all operations of a batch.
event = sa.Table(
    "event",
    metadata,
    _serial(),
    sa.Column("state", sa.String(16), nullable=False),
    sa.Column("program_id", sa.ForeignKey("program.id"), nullable=False),
    sa.Column("operation_id", sa.ForeignKey("operation.id"), nullable=True),
    sa.Column("batch_id", sa.ForeignKey("batch.id"), nullable=True),
    _ms("at_ms"),
    #: the id of what it is about where that is no operation: a hold, an adjustment, a member
    sa.Column("subject", sa.String(40), nullable=True),
    #: what is to be told of it beyond that
    sa.Column("told", sa.JSON(none_as_null=True), nullable=True),
    sqlite_autoincrement=True,
)

#: One-time questions to a wallet: whoever answers with its signature proves that the wallet is theirs.
wallet_challenge = sa.Table(
    "wallet_challenge",
    metadata,
    sa.Column("nonce", sa.String(32), primary_key=True),
    sa.Column("member_id", sa.ForeignKey("member.id"), nullable=False, index=True),
    #: the managed account that is to be bound
    sa.Column("account_id", sa.ForeignKey("account.id"), nullable=False),
    sa.Column("address", sa.LargeBinary(20), nullable=False),
    sa.Column("statement", sa.Text, nullable=False),
    _ms("created_ms"),
    _ms("expires_ms"),
    _ms("used_ms", nullable=True),
)

#: A wallet of a member: the address to which a managed account's points can be released.
wallet = sa.Table(
    "wallet",
    metadata,
    _id(),
    sa.Column("program_id", sa.ForeignKey("program.id"), nullable=False),
    sa.Column("member_id", sa.ForeignKey("member.id"), nullable=False, index=True),
    #: the managed account whose reference is bound
    sa.Column("account_id", sa.ForeignKey("account.id"), nullable=False, index=True),
    #: the account of kind `wallet` that holds what was released
    sa.Column("holding_id", sa.ForeignKey("account.id"), nullable=False),
    sa.Column("address", sa.LargeBinary(20), nullable=False),
    sa.Column("state", sa.String(16), nullable=False),
    #: from when releases reach it; known once the binding is final on the chain
    _ms("effective_ms", nullable=True),
    sa.Column("bind_operation_id", sa.ForeignKey("operation.id"), nullable=False, unique=True),
    sa.Column("unbind_operation_id", sa.ForeignKey("operation.id"), nullable=True, unique=True),
    _ms("created_ms"),
)
sa.Index("ix_wallet_program_address", wallet.c.program_id, wallet.c.address)

#: A call that a holder is to sign or to make: redeem, deposit or swap points of a wallet.
holder_call = sa.Table(
    "holder_call",
    metadata,
    _id(),
    sa.Column("wallet_id", sa.ForeignKey("wallet.id"), nullable=False, index=True),
    sa.Column("kind", sa.String(16), nullable=False),
    #: whose bitmap the number is of: the token, or for a swap the exchange
    sa.Column("contract", sa.LargeBinary(20), nullable=False),
    sa.Column("holder", sa.LargeBinary(20), nullable=False),
    sa.Column("number", sa.BigInteger, nullable=False),
    sa.Column("points", sa.BigInteger, nullable=False),
    #: for a swap: ids of the programs along the path, joined by `>`, and the least that must come of it
    sa.Column("path", sa.String(256), nullable=True),
    sa.Column("min_out", sa.BigInteger, nullable=True),
    #: the last second in which it counts
    sa.Column("deadline", sa.BigInteger, nullable=False),
    sa.Column("state", sa.String(16), nullable=False),
    sa.Column("reason", sa.Text, nullable=True),
    sa.Column("signature", sa.LargeBinary, nullable=True),
    sa.Column("operation_id", sa.ForeignKey("operation.id"), nullable=True),
    _ms("created_ms"),
    sa.UniqueConstraint("contract", "holder", "number"),
)

#: What holders did on the chain and what the chain says of bindings, in order; booked when its block is final.
holder_event = sa.Table(
    "holder_event",
    metadata,
    _serial(),
    sa.Column("block_number", sa.BigInteger, nullable=False, index=True),
    sa.Column("transaction_hash", sa.LargeBinary(32), nullable=False),
    sa.Column("kind", sa.String(16), nullable=False),
    #: who emitted it: a token, or the exchange
    sa.Column("contract", sa.LargeBinary(20), nullable=False),
    sa.Column("holder", sa.LargeBinary(20), nullable=False),
    #: the other side: who received a transfer, the destination's token of a swap
    sa.Column("other", sa.LargeBinary(20), nullable=True),
    #: the source's token of a swap
    sa.Column("source", sa.LargeBinary(20), nullable=True),
    sa.Column("reference", sa.LargeBinary(20), nullable=True),
    #: numbers of the chain have 256 bits: what may be larger than a database counts to is kept as bytes
    sa.Column("amount", sa.BigInteger, nullable=False, server_default="0"),
    sa.Column("amount_out", sa.BigInteger, nullable=False, server_default="0"),
    #: the nonce or order that it used up
    sa.Column("number", sa.LargeBinary(32), nullable=True),
    _ms("effective_ms", nullable=True),
    #: how a swap moved positions: [token in hexadecimal, micro-units as text]
    sa.Column("positions", sa.JSON, nullable=True),
    sa.Column("operation_id", sa.ForeignKey("operation.id"), nullable=True, index=True),
    _ms("block_ms"),
    _ms("seen_ms"),
    _ms("booked_ms", nullable=True),
)
sa.Index(
    "ix_holder_event_waiting",
    holder_event.c.block_number,
    holder_event.c.id,
    sqlite_where=sa.text("booked_ms IS NULL"),
    postgresql_where=sa.text("booked_ms IS NULL"),
)
sa.Index("ix_holder_event_number", holder_event.c.contract, holder_event.c.holder, holder_event.c.number)

#: What final swaps without a quote here, holders' own and restored ones, made each program owe (below zero) or be owed,
#: in micro-units: as text, since it may be more than a database counts to.
wallet_position = sa.Table(
    "wallet_position",
    metadata,
    sa.Column("program_id", sa.ForeignKey("program.id"), primary_key=True),
    sa.Column("micro", sa.String(48), nullable=False),
)
