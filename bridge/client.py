"""A typed, synchronous client of the HTTP API.

It imports nothing of the service, so that it stays what a partner's own client would be. A call that may be
repeated without harm is repeated, within the limits below, when the service cannot be reached or says that
it is busy (429, 503): reads, and every change that carries its own idempotency key. All else is sent once.

    ClientError
    +-- ServiceUnreachable    nobody answered
    +-- UnexpectedAnswer      somebody answered, but not this API
    +-- ProblemAnswer         the service refused, and says why
"""

import random
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from types import TracebackType
from typing import Any, Self, TypedDict, Unpack, cast
from urllib.parse import quote as url_quote
from urllib.parse import urlsplit

import httpx2

from bridge.answers import (
    Adjustment,
    AdjustmentPage,
    Audit,
    Balance,
    Board,
    BreakerState,
    BulkAnswer,
    EarningRate,
    EarnItem,
    Expiration,
    ExpirationPage,
    Hold,
    HolderCall,
    HoldPage,
    Lane,
    Limit,
    Link,
    LinkCode,
    Member,
    MemberPage,
    OddAccount,
    OddAccountPage,
    Operation,
    OperationPage,
    PowerCalls,
    Program,
    ProgramKey,
    ProgramOnChain,
    ProgramPage,
    Quote,
    Readiness,
    Routes,
    Status,
    Terms,
    TermsCheck,
    TermsPage,
    TermsProposal,
    Wallet,
    WalletChallenge,
    Wallets,
)

DEFAULT_URL = "http://127.0.0.1:8080"

CONNECT_TIMEOUT_S = 5.0
READ_TIMEOUT_S = 60.0
AUDIT_TIMEOUT_S = 300.0
EVENTS_SILENCE_S_MAX = 90.0

ATTEMPTS_MAX = 6
BACKOFF_S_FIRST = 0.2
BACKOFF_S_MAX = 5.0
RETRY_AFTER_S_MAX = 30.0
BUSY = frozenset({429, 503})

CONNECTIONS_MAX = 32
PAGE_ITEMS = 200
PAGES_MAX = 100_000
BULK_ITEMS_MAX = 1_000
WAIT_S_MAX = 30
BODY_SHOWN_MAX = 200

PROBLEM_PREFIX = "urn:sarraf:problem:"
LOOPBACK = frozenset({"127.0.0.1", "localhost", "::1"})


class ClientError(Exception):
    """Root of everything that a call can end in besides its answer."""


class ServiceUnreachable(ClientError):
    """Raised when no answer came, after as many attempts as the call allows."""

    def __init__(self, url: str, reason: str) -> None:
        super().__init__(f"the service at {url} cannot be reached: {reason}")
        self.url = url
        self.reason = reason


class UnexpectedAnswer(ClientError):
    """Raised when an answer is neither this API's success nor its problem: another server, or a proxy."""

    def __init__(self, status: int, body: str) -> None:
        super().__init__(f"unexpected answer with status {status}: {body[:BODY_SHOWN_MAX]!r}")
        self.status = status
        self.body = body


class ProblemAnswer(ClientError):
    """Raised when the service refused a call and said why (RFC 9457).

    `type` is the stable slug, such as "insufficient-points"; `field`, `limit` and `nearest` are None where
    the refusal has none.
    """

    def __init__(self, status: int, body: Mapping[str, Any]) -> None:
        self.status = status
        self.type = str(body.get("type", "about:blank")).removeprefix(PROBLEM_PREFIX)
        self.title = str(body.get("title") or self.type)
        self.detail = str(body.get("detail") or self.title)
        self.field: str | None = body.get("field")
        self.limit: int | str | None = body.get("limit")
        self.nearest: int | str | None = body.get("nearest")
        self.request_id: str | None = body.get("request_id")
        super().__init__(self.detail)


@dataclass(frozen=True, slots=True)
class Posted:
    """An operation that was asked for. `replayed`: an earlier request with the same key had made it."""

    operation: Operation
    replayed: bool


@dataclass(frozen=True, slots=True)
class Enrolled:
    """A member. `created` is False when the number was enrolled before."""

    member: Member
    created: bool


class OperationEvent(TypedDict):
    """What the event stream tells of one step of one operation."""

    operation_id: str
    program_id: str
    kind: str
    state: str
    at: str


class Client:
    """The API at one URL under one key. May be shared by threads; close it, or use it in a `with` block."""

    def __init__(
        self,
        url: str = DEFAULT_URL,
        api_key: str | None = None,
        *,
        transport: httpx2.BaseTransport | None = None,
        read_timeout_s: float = READ_TIMEOUT_S,
        sleep: Callable[[float], None] = time.sleep,
        chance: Callable[[], float] = random.random,
    ) -> None:
        self.url = url.rstrip("/")
        self._read_timeout_s = read_timeout_s
        self._sleep = sleep
        self._chance = chance
        host = urlsplit(self.url).hostname or ""
        headers = {"User-Agent": "sarraf-client", "Accept": "application/json"}
        if api_key is not None:
            headers["Authorization"] = f"Bearer {api_key}"
        self._http = httpx2.Client(
            base_url=self.url,
            headers=headers,
            transport=transport,
            timeout=_timeout(read_timeout_s),
            limits=httpx2.Limits(max_connections=CONNECTIONS_MAX, max_keepalive_connections=CONNECTIONS_MAX),
            # A proxy named in the environment is never meant for this machine itself.
            trust_env=host not in LOOPBACK,
            # Making a TLS context costs more than the call; plain HTTP has no use for one.
            verify=self.url.startswith("https:"),
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        """Close the connections."""
        self._http.close()

    # Programs and keys

    def create_program(
        self,
        *,
        name: str,
        symbol: str,
        currency: str,
        earning_rate: EarningRate,
        expiry_days: int | None = None,
        limits: Mapping[str, Limit] | None = None,
        transferable: bool = False,
        credit_limit_micro: int | None = None,
        money: str | None = None,
        point_value_micro: int | None = None,
        notice_days: Sequence[int] = (),
        debt_limit: int | None = None,
    ) -> Program:
        """Ask for a program; its token is being deployed until its state is "active".

        `limits` by name (issuance, redemption, release) and the credit limit are the service's own where left out, and
        so is `money`, the currency for whose micro-units a point is redeemed at home.
        """
        body: dict[str, object] = {
            "name": name,
            "symbol": symbol,
            "currency": currency,
            "earning_rate": earning_rate,
            "expiry_days": expiry_days,
            "transferable": transferable,
            "notice_days": list(notice_days),
        }
        if limits is not None:
            body["limits"] = dict(limits)
        if credit_limit_micro is not None:
            body["credit_limit_micro"] = credit_limit_micro
        if money is not None:
            body["money"] = money
        if point_value_micro is not None:
            body["point_value_micro"] = point_value_micro
        if debt_limit is not None:
            body["debt_limit"] = debt_limit
        return cast(Program, self._post("/v1/programs", body))

    def program(self, program_id: str) -> Program:
        """One program."""
        return cast(Program, self._get(f"/v1/programs/{_part(program_id)}"))

    def programs(self) -> Iterator[Program]:
        """All programs, page by page."""
        for page in self._pages("/v1/programs", {}, page_items=None):
            yield from cast(ProgramPage, page)["items"]

    def set_point_value(self, program_id: str, *, money: str, point_value_micro: int | None) -> Program:
        """Say what one point is worth at home, in micro-units of `money`; None: nobody knows."""
        body = {"money": money, "point_value_micro": point_value_micro}
        path = f"/v1/programs/{_part(program_id)}/value"
        return cast(Program, _json(self._send("PUT", path, body=body, repeatable=True)))

    def set_debt_limit(self, program_id: str, points: int) -> Program:
        """Say what one member may owe when points are taken back that are spent."""
        path = f"/v1/programs/{_part(program_id)}/debt-limit"
        return cast(Program, _json(self._send("PUT", path, body={"points": points}, repeatable=True)))

    def set_notices(self, program_id: str, notice_days: Sequence[int]) -> Program:
        """Say how many days ahead a program's members are told of what expires."""
        path = f"/v1/programs/{_part(program_id)}/notices"
        body = {"notice_days": list(notice_days)}
        return cast(Program, _json(self._send("PUT", path, body=body, repeatable=True)))

    def program_on_chain(self, program_id: str) -> ProgramOnChain:
        """What a program's token says now, and the last calls of its guardian and admin."""
        return cast(ProgramOnChain, self._get(f"/v1/programs/{_part(program_id)}/chain"))

    def pause(self, program_id: str) -> PowerCalls:
        """Stop a program's posting at once; pausing twice is pausing once."""
        return cast(PowerCalls, self._post(f"/v1/programs/{_part(program_id)}/pause", None, repeatable=True))

    def unpause(self, program_id: str) -> PowerCalls:
        """Announce that a program's posting goes on."""
        return cast(PowerCalls, self._post(f"/v1/programs/{_part(program_id)}/unpause", None))

    def set_limits(self, program_id: str, limits: Mapping[str, Limit]) -> PowerCalls:
        """Change limits: at once where neither number grows, else announced."""
        return cast(PowerCalls, self._post(f"/v1/programs/{_part(program_id)}/limits", dict(limits)))

    def create_key(self, program_id: str, scopes: Sequence[str], *, person: str | None = None) -> ProgramKey:
        """A new key of a program, held by a person. The secret is in this answer only."""
        body = _given({"scopes": list(scopes), "person": person})
        return cast(ProgramKey, self._post(f"/v1/programs/{_part(program_id)}/keys", body))

    def revoke_key(self, key_id: str) -> None:
        """End a key at once."""
        self._send("DELETE", f"/v1/keys/{_part(key_id)}", repeatable=True)

    # Members and links

    def enrol(self, member_number: str) -> Enrolled:
        """Enrol a member number in the key's program; an enrolled number gives the same member again."""
        response = self._send("POST", "/v1/members", body={"member_number": member_number}, repeatable=True)
        return Enrolled(cast(Member, _json(response)), response.status_code == 201)

    def member(self, member_id: str) -> Member:
        """One member."""
        return cast(Member, self._get(f"/v1/members/{_part(member_id)}"))

    def members(self, *, member_number: str | None = None) -> Iterator[Member]:
        """All members that the key may see, page by page."""
        for page in self._pages("/v1/members", {"member_number": member_number}):
            yield from cast(MemberPage, page)["items"]

    def balance(self, member_id: str) -> Balance:
        """A member's points."""
        return cast(Balance, self._get(f"/v1/members/{_part(member_id)}/balance"))

    def expirations(self, member_id: str) -> Iterator[Expiration]:
        """The days on which points of a member expire, the first first, page by page."""
        for page in self._pages(f"/v1/members/{_part(member_id)}/expirations", {}):
            yield from cast(ExpirationPage, page)["items"]

    def link_code(self, member_id: str) -> LinkCode:
        """A one-time code for one side of a link. Asking again is harmless: a spare code runs out unused."""
        return cast(LinkCode, self._post(f"/v1/members/{_part(member_id)}/link-codes", None, repeatable=True))

    def link(self, codes: Sequence[str]) -> Link:
        """Link the memberships that the codes stand for."""
        return cast(Link, self._post("/v1/links", {"codes": list(codes)}))

    def show_link(self, link_id: str) -> Link:
        """One link."""
        return cast(Link, self._get(f"/v1/links/{_part(link_id)}"))

    # Earning and redeeming

    def earn_bulk(self, items: Sequence[EarnItem]) -> BulkAnswer:
        """Up to BULK_ITEMS_MAX earns, each of which succeeds or is refused on its own."""
        assert 1 <= len(items) <= BULK_ITEMS_MAX
        return cast(BulkAnswer, self._post("/v1/earns/bulk", {"items": list(items)}, repeatable=True))

    def earn(
        self,
        member_number: str,
        *,
        key: str,
        spend_minor: int,
        available_at: str | None = None,
        wait_s: int | None = None,
    ) -> Posted:
        """Points for one purchase of `spend_minor` cents, now or at a time to come."""
        body = {"member_number": member_number, "spend_minor": spend_minor} | _given({"available_at": available_at})
        return self._operation("/v1/earns", body, key=key, wait_s=wait_s)

    def change_earn(
        self, operation_id: str, *, key: str, points: int | None = None, available_at: str | None = None
    ) -> Operation:
        """Change an earn whose points are still to come; refused with `earn-not-pending` once they have."""
        path, body = f"/v1/earns/{_part(operation_id)}", _given({"points": points, "available_at": available_at})
        headers = {"Idempotency-Key": key}
        return cast(Operation, _json(self._send("PATCH", path, body=body, headers=headers, repeatable=True)))

    def cancel_earn(self, operation_id: str, *, key: str) -> Operation:
        """Cancel an earn whose points are still to come; refused with `earn-not-pending` once they have."""
        return cast(Operation, self._keyed(f"/v1/earns/{_part(operation_id)}/cancel", None, key=key))

    def redeem(
        self,
        member_number: str,
        *,
        key: str,
        points: int,
        wait_s: int | None = None,
    ) -> Posted:
        """Spend points; refused with `insufficient-points` when they are not there."""
        body = {"member_number": member_number, "points": points}
        return self._operation("/v1/redemptions", body, key=key, wait_s=wait_s)

    def reverse(self, operation_id: str, *, key: str, points: int | None = None, wait_s: int | None = None) -> Posted:
        """Take back an earn or a redemption: all that is left of it, or so many points."""
        body = _given({"operation_id": operation_id, "points": points})
        return self._operation("/v1/reversals", body, key=key, wait_s=wait_s)

    def hold(self, member_number: str, *, key: str, points: int, expires_in_s: int | None = None) -> Hold:
        """Hold points for a till, for so long or for an hour; refused like a redemption."""
        body = _given({"member_number": member_number, "points": points, "expires_in_s": expires_in_s})
        return cast(Hold, self._keyed("/v1/holds", body, key=key))

    def capture(
        self, hold_id: str, *, key: str, points: int | None = None, final: bool = False, wait_s: int | None = None
    ) -> Posted:
        """Redeem held points, all that are left unless told otherwise; a `final` capture frees the rest."""
        body = _given({"points": points}) | {"final": final}
        return self._operation(f"/v1/holds/{_part(hold_id)}/captures", body, key=key, wait_s=wait_s)

    def void(self, hold_id: str, *, key: str) -> Hold:
        """Free what is left of a hold."""
        return cast(Hold, self._keyed(f"/v1/holds/{_part(hold_id)}/void", None, key=key))

    def show_hold(self, hold_id: str) -> Hold:
        """One hold."""
        return cast(Hold, self._get(f"/v1/holds/{_part(hold_id)}"))

    def holds(self, member_id: str) -> Iterator[Hold]:
        """A member's holds, the newest first, page by page."""
        for page in self._pages(f"/v1/members/{_part(member_id)}/holds", {}):
            yield from cast(HoldPage, page)["items"]

    # Adjustments

    def propose_adjustment(
        self,
        *,
        points: int,
        reason: str,
        key: str,
        member_id: str | None = None,
        member_number: str | None = None,
        account: str | None = None,
    ) -> Adjustment:
        """Propose points for a member (below zero: from), or for an account that is nobody's."""
        named = {"member_id": member_id, "member_number": member_number, "account": account}
        body = _given({**named, "points": points, "reason": reason})
        return cast(Adjustment, self._keyed("/v1/adjustments", body, key=key))

    def propose_thaw(self, account: str, *, reason: str, key: str) -> Adjustment:
        """Propose that a frozen account may spend again."""
        body = {"account": account, "thaw": True, "reason": reason}
        return cast(Adjustment, self._keyed("/v1/adjustments", body, key=key))

    def approve_adjustment(self, adjustment_id: str, *, key: str) -> Adjustment:
        """Approve what another person proposed."""
        return cast(Adjustment, self._keyed(f"/v1/adjustments/{_part(adjustment_id)}/approve", None, key=key))

    def reject_adjustment(self, adjustment_id: str, *, reason: str, key: str) -> Adjustment:
        """Reject what another person proposed."""
        path = f"/v1/adjustments/{_part(adjustment_id)}/reject"
        return cast(Adjustment, self._keyed(path, {"reason": reason}, key=key))

    def adjustment(self, adjustment_id: str) -> Adjustment:
        """One adjustment."""
        return cast(Adjustment, self._get(f"/v1/adjustments/{_part(adjustment_id)}"))

    def adjustments(self, *, state: str | None = None) -> Iterator[Adjustment]:
        """All adjustments that the key may see, newest first, page by page."""
        for page in self._pages("/v1/adjustments", {"state": state}):
            yield from cast(AdjustmentPage, page)["items"]

    def odd_accounts(self, *, state: str | None = None) -> Iterator[OddAccount]:
        """Accounts that are frozen or nobody's, page by page."""
        for page in self._pages("/v1/accounts", {"state": state}):
            yield from cast(OddAccountPage, page)["items"]

    # Wallets

    def wallet_challenge(self, member_id: str, address: str, *, reference: str | None = None) -> WalletChallenge:
        """What the wallet at `address` is to sign. Asking again is harmless: a spare challenge runs out unused."""
        path = f"/v1/members/{_part(member_id)}/wallet-challenges"
        return cast(WalletChallenge, self._post(path, {"address": address, "reference": reference}, repeatable=True))

    def bind_wallet(self, member_id: str, *, message: str, signature: str) -> Wallet:
        """Bind the wallet that signed the message."""
        path = f"/v1/members/{_part(member_id)}/wallets"
        return cast(Wallet, self._post(path, {"message": message, "signature": signature}))

    def wallets(self, member_id: str) -> list[Wallet]:
        """A member's wallets, the newest first."""
        return cast(Wallets, self._get(f"/v1/members/{_part(member_id)}/wallets"))["items"]

    def wallet(self, member_id: str, wallet_id: str) -> Wallet:
        """One wallet of a member."""
        return cast(Wallet, self._get(f"/v1/members/{_part(member_id)}/wallets/{_part(wallet_id)}"))

    def unbind_wallet(self, member_id: str, wallet_id: str) -> Wallet:
        """End a binding; ending it twice is ending it once."""
        path = f"/v1/members/{_part(member_id)}/wallets/{_part(wallet_id)}"
        return cast(Wallet, _json(self._send("DELETE", path, repeatable=True)))

    def release(self, member_id: str, wallet_id: str, *, key: str, points: int, wait_s: int | None = None) -> Posted:
        """Move points from the member's account to its bound wallet."""
        body = {"wallet_id": wallet_id, "points": points}
        return self._operation(f"/v1/members/{_part(member_id)}/releases", body, key=key, wait_s=wait_s)

    def holder_call(
        self,
        wallet_id: str,
        *,
        kind: str,
        points: int,
        path: Sequence[str] | None = None,
        min_out: int | None = None,
        expires_in_s: int | None = None,
    ) -> HolderCall:
        """What the wallet's holder signs or sends to redeem, deposit or swap. A spare one runs out unused.

        For a swap, `path` is the ids of the programs behind the wallet's own, the destination last.
        """
        asked = {
            "kind": kind,
            "points": points,
            "path": None if path is None else list(path),
            "min_out": min_out,
            "expires_in_s": expires_in_s,
        }
        body = {name: value for name, value in asked.items() if value is not None}
        return cast(HolderCall, self._post(f"/v1/wallets/{_part(wallet_id)}/calls", body, repeatable=True))

    def show_holder_call(self, wallet_id: str, call_id: str) -> HolderCall:
        """One call of a wallet."""
        return cast(HolderCall, self._get(f"/v1/wallets/{_part(wallet_id)}/calls/{_part(call_id)}"))

    def sign_holder_call(self, wallet_id: str, call_id: str, signature: str) -> HolderCall:
        """Hand in the wallet's signature, to be relayed."""
        path = f"/v1/wallets/{_part(wallet_id)}/calls/{_part(call_id)}/signature"
        return cast(HolderCall, self._post(path, {"signature": signature}))

    def cancel_holder_call(self, wallet_id: str, call_id: str) -> HolderCall:
        """Withdraw a call that was not relayed; withdrawing it twice is withdrawing it once."""
        path = f"/v1/wallets/{_part(wallet_id)}/calls/{_part(call_id)}"
        return cast(HolderCall, _json(self._send("DELETE", path, repeatable=True)))

    # Terms, quotes and swaps

    def propose_terms(self, **wanted: Unpack[TermsProposal]) -> Terms:
        """Propose terms for one direction; the other program consents."""
        return cast(Terms, self._post("/v1/terms", _given(wanted)))

    def check_terms(self, **wanted: Unpack[TermsProposal]) -> TermsCheck:
        """What proposing the same terms would be answered; nothing changes."""
        return cast(TermsCheck, self._post("/v1/terms/check", _given(wanted), repeatable=True))

    def consent(self, terms_id: str) -> Terms:
        """Consent to the other program's proposal."""
        return cast(Terms, self._post(f"/v1/terms/{_part(terms_id)}/consent", None))

    def suspend(self, terms_id: str) -> Terms:
        """Suspend a direction at once."""
        return cast(Terms, self._post(f"/v1/terms/{_part(terms_id)}/suspend", None))

    def show_terms(self, terms_id: str) -> Terms:
        """One version of one direction's terms."""
        return cast(Terms, self._get(f"/v1/terms/{_part(terms_id)}"))

    def list_terms(
        self,
        *,
        from_program_id: str | None = None,
        to_program_id: str | None = None,
        state: str | None = None,
    ) -> Iterator[Terms]:
        """Terms, page by page, of the directions and state asked for."""
        asked = {"from_program_id": from_program_id, "to_program_id": to_program_id, "state": state}
        for page in self._pages("/v1/terms", asked, page_items=None):
            yield from cast(TermsPage, page)["items"]

    def quote(
        self,
        *,
        to_program_id: str,
        member_id: str | None = None,
        member_number: str | None = None,
        amount_in: int | None = None,
        amount_out: int | None = None,
        path: Sequence[str] | None = None,
        route: str | None = None,
        tier: str | None = None,
    ) -> Quote:
        """A firm offer for one of `amount_in` and `amount_out`. Asking again is harmless: offers expire.

        It leads along `path`, the ids of the programs from the member's own to the destination; or along the best route
        by `route` ("points" or "hops"); or, left out, directly.
        """
        asked = {
            "to_program_id": to_program_id,
            "member_id": member_id,
            "member_number": member_number,
            "amount_in": amount_in,
            "amount_out": amount_out,
            "path": None if path is None else list(path),
            "route": route,
            "tier": tier,
        }
        return cast(Quote, self._post("/v1/quotes", _given(asked), repeatable=True))

    def routes(
        self,
        *,
        from_program_id: str,
        to_program_id: str,
        amount_in: int | None = None,
        amount_out: int | None = None,
        best: str | None = None,
        hops_max: int | None = None,
        count: int | None = None,
        tier: str | None = None,
        member_id: str | None = None,
    ) -> Routes:
        """The best routes for one of `amount_in` and `amount_out`, by "points" or "hops": an indication, no offer.

        For a member what is left of the caps counts.
        """
        asked = {
            "from_program_id": from_program_id,
            "to_program_id": to_program_id,
            "amount_in": amount_in,
            "amount_out": amount_out,
            "best": best,
            "hops_max": hops_max,
            "count": count,
            "tier": tier,
            "member_id": member_id,
        }
        return cast(Routes, self._get("/v1/routes", params=_given(asked)))

    def board(self, program_id: str) -> Board:
        """All partners of a program, with what points cost there and bring here."""
        return cast(Board, self._get("/v1/board", params={"program_id": program_id}))

    def show_quote(self, quote_id: str) -> Quote:
        """One quote."""
        return cast(Quote, self._get(f"/v1/quotes/{_part(quote_id)}"))

    def swap(self, quote_id: str, *, key: str, wait_s: int | None = None) -> Posted:
        """Accept a quote."""
        return self._operation("/v1/swaps", {"quote_id": quote_id}, key=key, wait_s=wait_s)

    # Operations and the state of things

    def operation(self, operation_id: str) -> Operation:
        """One operation with its steps."""
        return cast(Operation, self._get(f"/v1/operations/{_part(operation_id)}"))

    def operations(
        self,
        *,
        member_id: str | None = None,
        kind: str | None = None,
        state: str | None = None,
        page_items: int = PAGE_ITEMS,
    ) -> Iterator[Operation]:
        """Operations that the key may see, page by page."""
        asked = {"member_id": member_id, "kind": kind, "state": state}
        for page in self._pages("/v1/operations", asked, page_items=page_items):
            yield from cast(OperationPage, page)["items"]

    def audit(self) -> Audit:
        """Ledger against chain, now. May take a while."""
        return cast(Audit, self._get("/v1/audit", timeout_s=AUDIT_TIMEOUT_S))

    def status(self) -> Status:
        """Where chain, posting and ledger stand."""
        return cast(Status, self._get("/v1/status"))

    def reconcile(self) -> Audit:
        """Ledger against chain, now, by the service itself: a difference trips the breaker. May take a while."""
        return cast(Audit, _json(self._send("POST", "/v1/audit", repeatable=True, timeout_s=AUDIT_TIMEOUT_S)))

    def breaker(self) -> BreakerState:
        """Whether posting is stopped, and why."""
        return cast(BreakerState, self._get("/v1/breaker"))

    def trip_breaker(self, reason: str) -> None:
        """Stop posting by hand."""
        self._send("PUT", "/v1/breaker", body={"reason": reason}, repeatable=True)

    def reset_breaker(self, reason: str, *, seen: int) -> None:
        """Let posting go on; refused while ledger and chain differ, or when something was found that was not `seen`."""
        params = {"reason": reason, "seen": str(seen)}
        self._send("DELETE", "/v1/breaker", params=params, repeatable=True, timeout_s=AUDIT_TIMEOUT_S)

    def lanes(self) -> list[Lane]:
        """How every signing account stands."""
        return cast("list[Lane]", self._get("/v1/lanes")["items"])

    def readiness(self) -> tuple[bool, Readiness]:
        """Whether the service is ready, with its checks. Asked once: not being ready is an answer too."""
        response = self._send("GET", "/readyz", repeatable=False, raise_for=False)
        if response.status_code not in (200, 503):
            raise _refusal(response)
        return response.status_code == 200, cast(Readiness, _json(response))

    def watch(self, *, after: str | None = None) -> Iterator[tuple[str, OperationEvent]]:
        """Steps of operations as they happen, each with its cursor; takes up again after a lost connection.

        Raises ServiceUnreachable when the connection was lost ATTEMPTS_MAX times without an event between.
        """
        failures = 0
        cursor = after
        while True:
            try:
                for event in self._stream(cursor):
                    failures = 0
                    cursor = event.id or cursor
                    if event.event == "operation":
                        yield cursor or "", cast(OperationEvent, event.json())
            except httpx2.TransportError as error:
                failures += 1
                if failures >= ATTEMPTS_MAX:
                    raise ServiceUnreachable(self.url, _reason(error)) from error
            else:
                failures += 1
                if failures >= ATTEMPTS_MAX:
                    raise ServiceUnreachable(self.url, "the event stream ends again and again")
            self._sleep(self._backoff_s(failures))

    def _stream(self, cursor: str | None) -> Iterator[httpx2.ServerSentEvent]:
        headers = {"Accept": "text/event-stream"}
        if cursor is not None:
            headers["Last-Event-ID"] = cursor
        timeout = _timeout(EVENTS_SILENCE_S_MAX)
        with self._http.stream("GET", "/v1/events", headers=headers, timeout=timeout) as response:
            if not response.is_success:
                response.read()
                raise _refusal(response)
            yield from httpx2.EventSource(response)

    def _operation(self, path: str, body: Mapping[str, Any], *, key: str, wait_s: int | None) -> Posted:
        headers = {"Idempotency-Key": key}
        timeout_s = None
        if wait_s is not None:
            assert 0 <= wait_s <= WAIT_S_MAX
            headers["Prefer"] = f"wait={wait_s}"
            timeout_s = self._read_timeout_s + wait_s
        response = self._send("POST", path, body=body, headers=headers, repeatable=True, timeout_s=timeout_s)
        replayed = response.headers.get("Idempotency-Replayed", "").lower() == "true"
        return Posted(cast(Operation, _json(response)), replayed)

    def _keyed(self, path: str, body: Mapping[str, Any] | None, *, key: str) -> Any:
        """Ask for what is done at once, under an idempotency key."""
        return _json(self._send("POST", path, body=body, headers={"Idempotency-Key": key}, repeatable=True))

    def _get(self, path: str, *, params: Mapping[str, Any] | None = None, timeout_s: float | None = None) -> Any:
        return _json(self._send("GET", path, params=params, repeatable=True, timeout_s=timeout_s))

    def _post(self, path: str, body: Mapping[str, Any] | None, *, repeatable: bool = False) -> Any:
        return _json(self._send("POST", path, body=body, repeatable=repeatable))

    def _pages(
        self,
        path: str,
        asked: Mapping[str, str | None],
        *,
        page_items: int | None = PAGE_ITEMS,
    ) -> Iterator[Any]:
        params = {name: value for name, value in asked.items() if value is not None}
        if page_items is not None:
            params["limit"] = str(page_items)
        for _ in range(PAGES_MAX):
            page = _json(self._send("GET", path, params=params, repeatable=True))
            yield page
            cursor = page.get("next")
            if cursor is None:
                return
            params["cursor"] = cursor
        raise AssertionError(f"{path} has more than {PAGES_MAX} pages, or its cursors run in a circle")

    def _send(
        self,
        method: str,
        path: str,
        *,
        repeatable: bool,
        body: Mapping[str, Any] | None = None,
        params: Mapping[str, Any] | None = None,
        headers: Mapping[str, str] | None = None,
        timeout_s: float | None = None,
        raise_for: bool = True,
    ) -> httpx2.Response:
        request = self._http.build_request(
            method,
            path,
            json=body,
            params=params,
            headers=headers,
            timeout=_timeout(self._read_timeout_s if timeout_s is None else timeout_s),
        )
        response = self._repeat(request) if repeatable else self._once(request)
        if raise_for and not response.is_success:
            raise _refusal(response)
        return response

    def _once(self, request: httpx2.Request) -> httpx2.Response:
        try:
            return self._http.send(request)
        except httpx2.RequestError as error:
            raise ServiceUnreachable(self.url, _reason(error)) from error

    def _repeat(self, request: httpx2.Request) -> httpx2.Response:
        """Send until an answer is neither "busy" nor missing, ATTEMPTS_MAX times at most."""
        attempt = 1
        while True:
            try:
                response = self._http.send(request)
            except httpx2.TransportError as error:
                if attempt == ATTEMPTS_MAX:
                    raise ServiceUnreachable(self.url, _reason(error)) from error
                wait_s = self._backoff_s(attempt)
            except httpx2.RequestError as error:
                raise ServiceUnreachable(self.url, _reason(error)) from error
            else:
                if response.status_code not in BUSY or attempt == ATTEMPTS_MAX:
                    return response
                told_s = _retry_after_s(response)
                # A longer pause than this is for the caller to decide about, who sees the refusal itself.
                if told_s is not None and told_s > RETRY_AFTER_S_MAX:
                    return response
                wait_s = self._backoff_s(attempt) if told_s is None else told_s
            self._sleep(wait_s)
            attempt += 1

    def _backoff_s(self, attempt: int) -> float:
        """Doubling from BACKOFF_S_FIRST; half of it by chance, so that many clients do not return as one."""
        full = min(BACKOFF_S_FIRST * (1 << (attempt - 1)), BACKOFF_S_MAX)
        return full / 2 + full / 2 * self._chance()


def _given(asked: Mapping[str, Any]) -> dict[str, Any]:
    """What is not left out."""
    return {name: value for name, value in asked.items() if value is not None}


def _timeout(read_s: float) -> httpx2.Timeout:
    return httpx2.Timeout(read_s, connect=CONNECT_TIMEOUT_S)


def _part(value: str) -> str:
    """An id as one path segment, whatever a caller typed."""
    return url_quote(value, safe="")


def _json(response: httpx2.Response) -> Any:
    try:
        value = response.json()
    except ValueError as error:
        raise UnexpectedAnswer(response.status_code, response.text) from error
    if not isinstance(value, dict):
        raise UnexpectedAnswer(response.status_code, response.text)
    return value


def _refusal(response: httpx2.Response) -> ClientError:
    try:
        body = response.json()
    except ValueError:
        return UnexpectedAnswer(response.status_code, response.text)
    if not isinstance(body, dict) or "type" not in body:
        return UnexpectedAnswer(response.status_code, response.text)
    return ProblemAnswer(response.status_code, body)


def _reason(error: Exception) -> str:
    return str(error) or type(error).__name__


def _retry_after_s(response: httpx2.Response) -> float | None:
    """What `Retry-After` asks for, in seconds; None when it is absent or cannot be read."""
    told = response.headers.get("Retry-After")
    if told is None:
        return None
    if told.isdecimal():
        return float(told)
    try:
        at = parsedate_to_datetime(told)
    except ValueError:
        return None
    if at.tzinfo is None:
        at = at.replace(tzinfo=UTC)
    return max(0.0, (at - datetime.now(UTC)).total_seconds())
