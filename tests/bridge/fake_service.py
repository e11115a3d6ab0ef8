"""A small stand-in for the service: the API's answers from plain dictionaries, with finality at once.

It knows enough rules to be a fair partner for the client, the demo and the command line; the real rules are
tested with the real service. Reach it in memory (`transport`) or on a loopback port (`listening`).
"""

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Lock, Thread
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import httpx2

from tests.bridge.fake_adjustments import FakeAdjustments
from tests.bridge.fake_market import FakeMarket, Json, Refused

OPERATOR_KEY = "sarraf_operator_secret"
PAGE_ITEMS_MAX = 200
LEADER = {
    "process": "fake-1-0",
    "here": True,
    "chain": True,
    "keeper": False,
    "lanes": 3,
    "since": "2026-11-22T10:00:00.000Z",
}


@dataclass
class Reply:
    """One answer."""

    status: int
    body: Json | None
    headers: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Ask:
    """One authenticated request: the caller's program (None: an operator) and the id in the path, if any."""

    caller: Any
    item: Any
    query: Json
    headers: Json
    body: Json


class FakeService:
    """The state behind the answers. `calls` lists every request as (method, path)."""

    def __init__(self) -> None:
        self.calls: list[tuple[str, str]] = []
        self.programs: dict[str, Json] = {}
        self.powers: dict[str, list[Json]] = {}
        self.keys: dict[str, str] = {}
        self.members: dict[str, Json] = {}
        self.codes: dict[str, str] = {}
        self.links: dict[str, Json] = {}
        self.terms: dict[str, Json] = {}
        self.quotes: dict[str, Json] = {}
        self.operations: dict[str, Json] = {}
        self.replies: dict[tuple[str, str], tuple[Json, Json]] = {}
        self.points: dict[str, int] = {}
        self.order: list[tuple[str, str]] = []
        self.breaker: Json | None = None
        self.waiting: list[tuple[int, int]] = []
        self.chain_error = 0
        self.adjusting = FakeAdjustments()
        self.odd_accounts: list[Json] = []
        self.market = FakeMarket(self.programs, self.terms)
        self.vetted: Callable[[Json], tuple[Refused | None, list[Json]]] = lambda _body: (None, [])
        self.broken: Callable[[str, str], Reply | None] = lambda _method, _path: None
        self._count = 0
        self._lock = Lock()

    def answer(self, method: str, target: str, headers: dict[str, str], body: bytes) -> Reply:
        """What the service says to a request; `headers` have lower-case names."""
        url = urlsplit(target)
        with self._lock:
            self.calls.append((method, url.path))
            broken = self.broken(method, url.path)
            if broken is not None:
                return broken
            try:
                return self._route(
                    method,
                    url.path.strip("/").split("/"),
                    dict(parse_qsl(url.query)),
                    headers,
                    json.loads(body) if body else {},
                )
            except Refused as refused:
                return Reply(refused.status, refused.body, {"content-type": "application/problem+json"})

    def _route(self, method: str, path: list[str], query: Json, headers: Json, body: Json) -> Reply:
        if path == ["readyz"]:
            return Reply(200, {"checks": [{"name": "database", "ok": True, "detail": ""}]})
        key = headers.get("authorization", "").removeprefix("Bearer ")
        if key != OPERATOR_KEY and key not in self.keys:
            raise Refused(401, "unauthorized", "no valid API key")
        caller = self.keys.get(key)
        assert path[0] == "v1"
        name = "_" + "_".join([method.lower(), path[1].replace("-", "_"), *path[3:]]).replace("-", "_")
        if path[1:] == ["terms", "check"]:
            name = "_post_terms_check"
        if path[1:] == ["earns", "bulk"]:
            return self._bulk(caller, body)
        handler: Callable[[Ask], Reply] | None = getattr(self, name, None)
        if handler is None:
            raise Refused(404, "not-found", f"there is no {method} {'/'.join(path)}")
        item = path[2] if len(path) > 2 else None
        return handler(Ask(caller, item, query, headers, body))

    def _id(self, prefix: str) -> str:
        self._count += 1
        return f"{prefix}_{self._count:06d}"

    # Programs

    def _post_programs(self, ask: Ask) -> Reply:
        if ask.caller is not None:
            raise Refused(403, "forbidden", "only an operator creates programs")
        if any(program["symbol"] == ask.body["symbol"] for program in self.programs.values()):
            raise Refused(409, "symbol-taken", f"{ask.body['symbol']} is taken", field="symbol")
        program = {
            "id": self._id("prg"),
            "money": "USD",
            "point_value_micro": None,
            "notice_days": [],
            "debt_limit": 0,
            **ask.body,
            "state": "deploying",
            "token": None,
            "issuer": "0xissuer",
            "admin": "0xadmin",
            "created_at": "2026-11-21T21:00:00Z",
        }
        self.programs[program["id"]] = program
        return Reply(202, dict(program))

    def _get_programs(self, ask: Ask) -> Reply:
        for program in self.programs.values():
            program["state"], program["token"] = "active", "0xtoken" + program["id"]
        if ask.item is not None:
            return Reply(200, self._found(self.programs, ask.item))
        return Reply(200, {"items": list(self.programs.values()), "next": None, "previous": None})

    def _get_programs_chain(self, ask: Ask) -> Reply:
        found = self._found(self.programs, ask.item)
        limits = {name: {**one, "available": one["capacity"]} for name, one in found.get("limits", {}).items()}
        told = {"program_id": ask.item, "block": 7, "paused": self._paused(ask.item), "limits": limits}
        return Reply(200, {**told, "calls": self.powers.get(ask.item, [])})

    def _post_programs_pause(self, ask: Ask) -> Reply:
        return self._power(ask, {"call": "pause"})

    def _post_programs_unpause(self, ask: Ask) -> Reply:
        return self._power(ask, {"call": "unpause", "ready_at": "2026-11-23T21:00:00.000Z"})

    def _post_programs_limits(self, ask: Ask) -> Reply:
        self._found(self.programs, ask.item)["limits"] = ask.body
        return self._power(ask, *({"call": "set-limit", "limit": name, **one} for name, one in ask.body.items()))

    def _power(self, ask: Ask, *calls: Json) -> Reply:
        self._found(self.programs, ask.item)
        empty = dict.fromkeys(("limit", "capacity", "refill_per_second", "ready_at", "reason"))
        made = [{"id": self._id("bat"), **empty, "state": "queued", **one} for one in calls]
        self.powers[ask.item] = [*made, *self.powers.get(ask.item, [])]
        return Reply(202, {"program_id": ask.item, "calls": made})

    def _paused(self, program_id: str) -> bool:
        return next((one["call"] == "pause" for one in self.powers.get(program_id, []) if one["limit"] is None), False)

    def _put_programs_value(self, ask: Ask) -> Reply:
        found = self._found(self.programs, ask.item)
        found |= ask.body
        return Reply(200, dict(found))

    def _post_programs_keys(self, ask: Ask) -> Reply:
        if sum(program == ask.item for program in self.keys.values()) == 2:
            raise Refused(409, "too-many-keys", "two keys are live", limit=2)
        key_id = self._id("key")
        key = f"sarraf_{key_id}_secret"
        self.keys[key] = ask.item
        person = ask.body.get("person")
        body = {"id": key_id, "key": key, "scopes": ask.body["scopes"], "program_id": ask.item, "person": person}
        return Reply(201, body)

    @staticmethod
    def _found(where: dict[str, Json], item: str) -> Json:
        if item not in where:
            raise Refused(404, "not-found", f"there is no {item}")
        return where[item]

    # Adjustments

    def _post_adjustments(self, ask: Ask) -> Reply:
        assert ask.headers["idempotency-key"]
        return Reply(201, self.adjusting.proposed(ask.body))

    def _get_adjustments(self, ask: Ask) -> Reply:
        if ask.item is not None:
            return Reply(200, self._found(self.adjusting.adjustments, ask.item))
        state = ask.query.get("state")
        found = [one for one in self.adjusting.adjustments.values() if state in (None, one["state"])]
        return self._page(found[::-1], ask.query)

    def _post_adjustments_approve(self, ask: Ask) -> Reply:
        assert ask.headers["idempotency-key"]
        return Reply(200, self.adjusting.decided(ask.item, "approved"))

    def _post_adjustments_reject(self, ask: Ask) -> Reply:
        return Reply(200, self.adjusting.decided(ask.item, "rejected", ask.body["reason"]))

    def _get_accounts(self, ask: Ask) -> Reply:
        state = ask.query.get("state")
        found = [one for one in self.odd_accounts if state != "frozen" or one["frozen"]]
        return self._page(found, ask.query)

    # Members and links

    def _member_by_number(self, program_id: str, number: str) -> Json:
        for member in self.members.values():
            if member["program_id"] == program_id and member["member_number"] == number:
                return member
        raise Refused(404, "member-not-found", f"{number} is no member", field="member_number")

    def _post_members(self, ask: Ask) -> Reply:
        if ask.caller is None:
            raise Refused(403, "forbidden", "an operator key is bound to no program")
        try:
            return Reply(200, self._member_by_number(ask.caller, ask.body["member_number"]))
        except Refused:
            pass
        member = {
            "id": self._id("mbr"),
            "program_id": ask.caller,
            "member_number": ask.body["member_number"],
            "reference": "0xref",
            "account": "0xacc",
            "link_id": None,
            "created_at": "2026-11-21T21:00:00Z",
        }
        self.members[member["id"]] = member
        self.points[member["id"]] = 0
        return Reply(201, dict(member))

    def _get_members(self, ask: Ask) -> Reply:
        if ask.item is not None:
            return Reply(200, self._found(self.members, ask.item))
        number = ask.query.get("member_number")
        found = [
            member
            for member in self.members.values()
            if ask.caller in (None, member["program_id"]) and number in (None, member["member_number"])
        ]
        return self._page(found, ask.query)

    @staticmethod
    def _page(found: list[Json], query: Json) -> Reply:
        start = int(query.get("cursor", 0))
        limit = int(query.get("limit", 50))
        if not 1 <= limit <= PAGE_ITEMS_MAX:
            raise Refused(422, "invalid-request", "limit", field="limit", limit=PAGE_ITEMS_MAX)
        after = start + limit
        return Reply(
            200,
            {
                "items": found[start:after],
                "next": str(after) if after < len(found) else None,
                "previous": None,
            },
        )

    def _get_members_expirations(self, ask: Ask) -> Reply:
        """Whatever a member has expires in two halves, ten days apart."""
        half = self.points[self._found(self.members, ask.item)["id"]] // 2
        days = [{"day": day, "points": half, "first_at": f"{day}T08:00:00Z"} for day in ("2026-12-01", "2026-12-11")]
        return self._page(days, ask.query)

    def _put_programs_debt_limit(self, ask: Ask) -> Reply:
        program = self._found(self.programs, ask.item)
        program["debt_limit"] = ask.body["points"]
        return Reply(200, dict(program))

    def _put_programs_notices(self, ask: Ask) -> Reply:
        program = self._found(self.programs, ask.item)
        program["notice_days"] = sorted(ask.body["notice_days"], reverse=True)
        return Reply(200, dict(program))

    def _get_members_balance(self, ask: Ask) -> Reply:
        member = self._found(self.members, ask.item)
        points = self.points[ask.item]
        return Reply(
            200,
            {
                "member_id": ask.item,
                "program_id": member["program_id"],
                "posted": points,
                "available": points,
                "swappable": points,
                "held": 0,
                "pending_in": 0,
                "pending_out": 0,
                "incoming": 0,
                "pending_earns": [],
                "debt": 0,
                "accounts": [],
                "block": 7,
            },
        )

    def _post_members_link_codes(self, ask: Ask) -> Reply:
        code = self._id("code")
        self.codes[code] = ask.item
        return Reply(201, {"code": code, "member_id": ask.item, "expires_at": "2026-11-21T22:00:00Z"})

    def _post_links(self, ask: Ask) -> Reply:
        members = [self.members[self.codes.pop(code)] for code in ask.body["codes"]]
        link_id = next((m["link_id"] for m in members if m["link_id"]), None) or self._id("lnk")
        for member in members:
            member["link_id"] = link_id
        link = {
            "id": link_id,
            "members": [{"member_id": m["id"], "program_id": m["program_id"]} for m in members],
            "created_at": "2026-11-21T21:00:00Z",
        }
        self.links[link_id] = link
        return Reply(201, link)

    def _get_links(self, ask: Ask) -> Reply:
        return Reply(200, self._found(self.links, ask.item))

    # Points

    def _bulk(self, caller: Any, body: Json) -> Reply:
        results = [self._earn_item(caller, item) for item in body["items"]]
        statuses = [result["status"] for result in results]
        names = ("accepted", "replayed", "nothing_earned", "refused")
        return Reply(200, {"results": results, "counts": {name: statuses.count(name) for name in names}})

    def _earn_item(self, caller: str, item: Json) -> Json:
        self.order.append((item["member_number"], item["event_id"]))
        result: Json = {"event_id": item["event_id"], "operation_id": None, "points": 0, "problem": None}
        known = self.replies.get((caller, item["event_id"]))
        if known is not None:
            operation = known[1]
            return {
                **result,
                "status": "replayed",
                "operation_id": operation["id"],
                "points": operation["points"],
            }
        try:
            member = self._member_by_number(caller, item["member_number"])
        except Refused as refused:
            return {**result, "status": "refused", "problem": refused.body}
        rate = self.programs[caller]["earning_rate"]
        points = item["spend_minor"] * rate["points"] // rate["per_minor_units"]
        operation = self._operation("earn", caller, member["id"], points, item["event_id"])
        self.replies[caller, item["event_id"]] = (item, operation)
        self.points[member["id"]] += points
        status = "accepted" if points else "nothing_earned"
        return {**result, "status": status, "operation_id": operation["id"], "points": points}

    def _operation(self, kind: str, program: str, member: str, points: int, key: str) -> Json:
        operation: Json = {
            "id": self._id("op"),
            "kind": kind,
            "program_id": program,
            "member_id": member,
            "points": points,
            "state": "final",
            "reason": None,
            "idempotency_key": key,
            "tag": "0x0102030405",
            "created_at": "2026-11-21T21:00:00Z",
            "occurred_at": None,
            "steps": [{"state": "accepted", "at": "2026-11-21T21:00:00Z"}],
            "batch_id": "bat_1",
            "transaction": "0xhash",
            "block": 7,
            "swap": None,
            "of_swap": None,
        }
        self.operations[operation["id"]] = operation
        return operation

    def _idempotent(self, caller: str, headers: Json, body: Json) -> Reply | None:
        key = headers.get("idempotency-key")
        if key is None:
            raise Refused(400, "idempotency-key-missing", "Idempotency-Key is missing")
        known = self.replies.get((caller, key))
        if known is None:
            return None
        if known[0] != body:
            raise Refused(422, "idempotency-key-reused", "the key was used for another request")
        return Reply(202, known[1], {"idempotency-replayed": "true"})

    def _post_redemptions(self, ask: Ask) -> Reply:
        known = self._idempotent(ask.caller, ask.headers, ask.body)
        if known is not None:
            return known
        key = ask.headers["idempotency-key"]
        self.order.append((ask.body["member_number"], key))
        member = self._member_by_number(ask.caller, ask.body["member_number"])
        have = self.points[member["id"]]
        if have < ask.body["points"]:
            raise Refused(
                409,
                "insufficient-points",
                f"{ask.body['points']} points asked for, {have} there",
                field="points",
                limit=have,
                nearest=have,
            )
        self.points[member["id"]] -= ask.body["points"]
        operation = self._operation("redemption", ask.caller, member["id"], ask.body["points"], key)
        self.replies[ask.caller, key] = (ask.body, operation)
        return Reply(202, operation)

    # Terms, quotes, swaps

    def _post_terms(self, ask: Ask) -> Reply:
        terms = {
            "id": self._id("trm"),
            "version": None,
            "currency": "USD",
            "managed_cap": 10_000_000,
            "wallet_cap": 0,
            "rules": {},
            **ask.body,
            "state": "proposing",
            "effective_at": None,
            "warnings": [],
            "proposed_by": ask.caller,
            "created_at": "2026-11-21T21:00:00Z",
        }
        self.terms[terms["id"]] = terms
        return Reply(202, dict(terms))

    def _post_terms_consent(self, ask: Ask) -> Reply:
        terms = self._found(self.terms, ask.item)
        if ask.caller == terms["proposed_by"]:
            raise Refused(403, "forbidden", "the other program consents")
        terms["state"] = "consenting"
        return Reply(202, dict(terms))

    def _post_terms_suspend(self, ask: Ask) -> Reply:
        terms = self._found(self.terms, ask.item)
        terms["state"] = "suspended"
        return Reply(202, dict(terms))

    def _get_terms(self, ask: Ask) -> Reply:
        following = {"proposing": "proposed", "consenting": "in_force"}
        for terms in self.terms.values():
            terms["state"] = following.get(terms["state"], terms["state"])
        if ask.item is not None:
            return Reply(200, self._found(self.terms, ask.item))
        found = [
            terms for terms in self.terms.values() if all(terms[name] == value for name, value in ask.query.items())
        ]
        return Reply(200, {"items": found, "next": None, "previous": None})

    def _post_terms_check(self, ask: Ask) -> Reply:
        problem, warnings = self.vetted(ask.body)
        if problem is not None:
            raise problem
        told = {"settlement_price_micro": ask.body["settlement_price_micro"], "currency": "USD", "fx": None}
        return Reply(200, {**told, "warnings": warnings})

    def _post_quotes(self, ask: Ask) -> Reply:
        member_id = ask.body.get("member_id") or self._member_by_number(ask.caller, ask.body["member_number"])["id"]
        member = self._found(self.members, member_id)
        other = next(
            (
                m
                for m in self.members.values()
                if m["link_id"] is not None
                and m["link_id"] == member["link_id"]
                and m["program_id"] == ask.body["to_program_id"]
            ),
            None,
        )
        if other is None:
            raise Refused(409, "not-linked", "the member is linked to none of that program")
        ends = (member["program_id"], ask.body["to_program_id"])
        if ask.body.get("route", "direct") == "direct":
            price = self.market.price(tuple(ask.body.get("path") or ends), ask.body)
        else:
            price = self.market.best(*ends, ask.body, ask.body["route"])[0]
        quote = {
            **price,
            "id": self._id("quo"),
            "member_id": member_id,
            "to_member_id": other["id"],
            "tier": ask.body.get("tier"),
            "terms_id": price["hops"][0]["terms_id"],
            "terms_version": 1,
            "expires_at": "2026-11-21T21:01:00Z",
            "state": "open",
            "signed": {"typed_data": {}, "signature": "0x00", "signer": "0xoperator"},
        }
        self.quotes[quote["id"]] = quote
        return Reply(201, quote)

    def _get_quotes(self, ask: Ask) -> Reply:
        found = self.quotes.get(ask.item)
        if found is None or ask.caller not in (None, found["from_program_id"]):
            raise Refused(404, "unknown-quote", f"there is no quote {ask.item}")
        return Reply(200, found)

    def _get_routes(self, ask: Ask) -> Reply:
        wanted: dict[str, Any] = {
            name: int(ask.query[name]) for name in ("amount_in", "amount_out") if name in ask.query
        }
        ends = (ask.query["from_program_id"], ask.query["to_program_id"])
        found = self.market.best(*ends, wanted, ask.query.get("best", "points"), int(ask.query.get("hops_max", 4)))
        return Reply(200, {"items": found[: int(ask.query.get("count", 1))], "complete": True})

    def _get_board(self, ask: Ask) -> Reply:
        return Reply(200, self.market.board(ask.query["program_id"]))

    def _post_swaps(self, ask: Ask) -> Reply:
        known = self._idempotent(ask.caller, ask.headers, ask.body)
        if known is not None:
            return known
        quote = self._found(self.quotes, ask.body["quote_id"])
        self.points[quote["member_id"]] -= quote["amount_in"] + quote["fee_points"]
        self.points[quote["to_member_id"]] += quote["amount_out"]
        key = ask.headers["idempotency-key"]
        operation = self._operation("swap", ask.caller, quote["member_id"], quote["amount_in"], key)
        operation["swap"] = {
            "to_program_id": quote["to_program_id"],
            "to_member_id": quote["to_member_id"],
            "points_out": quote["base_out"],
            "quote_id": quote["id"],
            "terms_id": quote["terms_id"],
            "settlement_micro": quote["settlement_micro"],
            "path": quote["path"],
            "hops": quote["hops"],
            "extras": [],
        }
        for bonus in quote["bonuses"]:
            self._operation("bonus", quote["to_program_id"], quote["to_member_id"], bonus["points"], "")
        self.replies[ask.caller, key] = (ask.body, operation)
        return Reply(202, operation)

    def _get_operations(self, ask: Ask) -> Reply:
        if ask.item is not None:
            return Reply(200, self._found(self.operations, ask.item))
        asked = {name: ask.query[name] for name in ("member_id", "kind", "state") if name in ask.query}
        found = [
            operation
            for operation in self.operations.values()
            if ask.caller in (None, operation["program_id"])
            and all(operation[name] == value for name, value in asked.items())
        ]
        return self._page(found, ask.query)

    # State of things

    def _get_status(self, _ask: Ask) -> Reply:
        waiting, batches = self.waiting.pop(0) if self.waiting else (0, 0)
        return Reply(
            200,
            {
                "version": "0.1.0",
                "chain": {
                    "chain_id": 31337,
                    "url_kind": "embedded",
                    "exchange": "0xexchange",
                    "head": 7,
                    "final": 7,
                    "indexed": 7,
                    "finality": "depth:0",
                },
                "posting": {
                    "accepted_waiting": waiting,
                    "batches_in_flight": batches,
                    "oldest_waiting_s": None,
                    "breaker": self.breaker,
                },
                "process": "fake-1-0",
                "leaders": [LEADER],
                "totals": {
                    "operations": len(self.operations),
                    "members": len(self.members),
                    "programs": len(self.programs),
                },
            },
        )

    def _get_audit(self, _ask: Ask) -> Reply:
        rows = [self._audited(program) for program in self.programs.values()]
        differences = sum(row["differences"] for row in rows)
        return Reply(
            200,
            {
                "verdict": "differences" if differences else "ok",
                "block": {"number": 7, "hash": "0xblock"},
                "checked_at": "2026-11-21T21:00:00Z",
                "duration_ms": 3,
                "programs": rows,
                "settlements": [{"path": ["RMDY", "BSKT"], "batches": 1, "items": 4, "gas_used": 100_000}],
                "positions_sum": 0,
                "differences": differences,
            },
        )

    def _audited(self, program: Json) -> Json:
        mine = [member for member in self.members.values() if member["program_id"] == program["id"]]
        done = list(self.operations.values())
        ledger = sum(self.points[member["id"]] for member in mine)

        def total(kind: str) -> int:
            return sum(o["points"] for o in done if o["kind"] == kind and o["program_id"] == program["id"])

        wrong = [{"account": "0xacc", "reference": "0xref", "ledger": 5, "chain": 5 + self.chain_error}]
        return {
            "program_id": program["id"],
            "name": program["name"],
            "symbol": program["symbol"],
            "currency": program["currency"],
            "token": program["token"],
            "events": sum(o["kind"] == "earn" and o["program_id"] == program["id"] for o in done),
            "points_earned": total("earn") + total("bonus"),
            "points_redeemed": total("redemption"),
            "points_expired": 0,
            "points_to_come": 0,
            "swapped_in": sum(
                o["swap"]["points_out"] for o in done if o["swap"] and o["swap"]["to_program_id"] == program["id"]
            ),
            "swapped_out": total("swap"),
            "supply": ledger + self.chain_error,
            "ledger": ledger,
            "accounts": len(mine),
            "differences": 1 if self.chain_error else 0,
            "differing": wrong if self.chain_error else [],
            "position_micro": {"ledger": 0, "chain": 0},
            "batches": 2,
            "items": len(mine),
            "gas_used": 25_000 * len(mine),
        }

    # Ways to reach it

    @property
    def transport(self) -> httpx2.MockTransport:
        """For a client in the same process."""

        def handle(request: httpx2.Request) -> httpx2.Response:
            headers = {name.lower(): value for name, value in request.headers.items()}
            reply = self.answer(request.method, str(request.url), headers, request.content)
            return httpx2.Response(reply.status, json=reply.body, headers=reply.headers)

        return httpx2.MockTransport(handle)


@contextmanager
def listening(service: FakeService) -> Iterator[str]:
    """Serve on a free loopback port; gives the URL."""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def _serve(self) -> None:
            length = int(self.headers.get("content-length") or 0)
            headers = {name.lower(): value for name, value in self.headers.items()}
            reply = service.answer(self.command, self.path, headers, self.rfile.read(length))
            body = json.dumps(reply.body).encode() if reply.body is not None else b""
            self.send_response(reply.status)
            for name, value in {"content-type": "application/json", **reply.headers}.items():
                self.send_header(name, value)
            self.send_header("content-length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        do_GET = do_POST = do_PUT = do_DELETE = _serve

        def log_message(self, format: str, *args: Any) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    thread = Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}"
    finally:
        server.shutdown()
        server.server_close()
        thread.join(timeout=5)
