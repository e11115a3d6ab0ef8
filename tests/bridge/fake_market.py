"""The prices of the fake service: hop by hop, each amount tried one by one, and just enough rules for the tests."""

from collections.abc import Iterable, Iterator, Sequence
from itertools import pairwise
from typing import Any, cast

AMOUNTS_TRIED_MAX = 20_000
HOPS_MAX = 4

Json = dict[str, Any]


class Refused(Exception):
    """An answer that is a problem."""

    def __init__(self, status: int, slug: str, detail: str, **more: Any) -> None:
        self.status = status
        self.body = {"type": f"urn:sarraf:problem:{slug}", "title": slug, "status": status}
        self.body |= {"detail": detail, "request_id": "req_1", **more}


class FakeMarket:
    """Knows minimum, increment, ratio, and bonuses that are a share from some amount on."""

    def __init__(self, programs: dict[str, Json], terms: dict[str, Json]) -> None:
        self.programs = programs
        self.terms = terms

    def price(self, path: Sequence[str], wanted: Json) -> Json:
        """What is wanted along one path. Raises Refused."""
        hops = [self._direction(*ends) for ends in pairwise(path)]
        if "amount_out" in wanted:
            least = self._least(hops, wanted["amount_out"])
            if least is None:
                raise Refused(422, "invalid-amount", "one swap cannot give that much", field="amount_out")
            return self._priced(path, hops, least, least)
        offered = wanted["amount_in"]
        greatest = next((each for each in range(offered, 0, -1) if self._amounts(hops, each) is not None), None)
        if greatest is None:
            minimum = self._least(hops, 1)
            detail = f"{offered} is below the minimum"
            raise Refused(422, "below-minimum", detail, field="amount_in", limit=minimum, nearest=minimum)
        least = self._least(hops, self._out(hops, greatest))
        assert least is not None
        return self._priced(path, hops, least, offered)

    def best(self, source: str, destination: str, wanted: Json, best: str, hops_max: int = HOPS_MAX) -> list[Json]:
        """The prices along all paths, the best first. Raises Refused."""
        found: list[Json] = []
        nearest: list[int | None] = []
        for path in self._paths((source,), destination, hops_max):
            try:
                found.append(self.price(path, wanted))
            except Refused as refused:
                nearest.append(cast(int | None, refused.body.get("nearest")))
        if not found:
            least = min((each for each in nearest if each is not None), default=None)
            raise Refused(409, "no-route", "no route leads there", field="to_program_id", limit=least, nearest=least)

        def rank(price: Json) -> tuple[int, int]:
            gain = -price["amount_out"] if "amount_in" in wanted else price["amount_in"]
            return (len(price["hops"]), gain) if best == "hops" else (gain, len(price["hops"]))

        return sorted(found, key=rank)

    def board(self, program_id: str) -> Json:
        """Every partner of a program, both ways."""
        partners = []
        for other in self.programs.values():
            out, back = self._row(program_id, other["id"]), self._row(other["id"], program_id)
            if out or back:
                ends = {"program_id": other["id"], "symbol": other["symbol"], "name": other["name"]}
                partners.append({**ends, "out": out, "back": back, "round_trip": "4/5" if out and back else None})
        symbol = self.programs[program_id]["symbol"]
        return {"program_id": program_id, "symbol": symbol, "at": "2026-11-21T21:00:00Z", "partners": partners}

    def _row(self, source: str, destination: str) -> Json | None:
        terms = next(iter(self._in_force(source, destination)), None)
        if terms is None:
            return None
        ratio = terms["ratio"]
        changed = {"at": "2026-11-21T21:00:00Z", "terms_id": terms["id"], "before": None, "after": ratio}
        return {
            "terms_id": terms["id"],
            "version": 1,
            "state": "in_force",
            "ratio": ratio,
            "inverse": {"from_units": ratio["to_units"], "to_units": ratio["from_units"]},
            "minimum": terms["minimum"],
            "increment": terms["increment"],
            "fees": [],
            "bonuses": (terms.get("rules") or {}).get("bonuses", []),
            "changed": changed,
            "coming": None,
            "value": None,
        }

    def _in_force(self, source: str, destination: str) -> Iterator[Json]:
        for terms in self.terms.values():
            ends = (terms["from_program_id"], terms["to_program_id"])
            if ends == (source, destination) and terms["state"] != "suspended":
                yield terms

    def _direction(self, source: str, destination: str) -> Json:
        for terms in self._in_force(source, destination):
            return terms
        raise Refused(409, "no-terms", "no terms are in force in this direction", field="to_program_id")

    def _paths(self, path: tuple[str, ...], destination: str, hops_max: int) -> Iterable[tuple[str, ...]]:
        if path[-1] == destination:
            yield path
        elif len(path) <= hops_max:
            for terms in list(self.terms.values()):
                onward = terms["to_program_id"]
                if terms["from_program_id"] == path[-1] and onward not in path and terms["state"] != "suspended":
                    yield from self._paths((*path, onward), destination, hops_max)

    @staticmethod
    def _amounts(hops: Sequence[Json], amount: int) -> list[int] | None:
        """What stands before each hop and after the last; None where some hop does not take it."""
        amounts = [amount]
        for hop in hops:
            standing = amounts[-1]
            if standing < hop["minimum"] or (standing - hop["minimum"]) % hop["increment"]:
                return None
            amounts.append(standing * hop["ratio"]["to_units"] // hop["ratio"]["from_units"])
        return amounts if amounts[-1] else None

    def _bonuses(self, hops: Sequence[Json], amounts: Sequence[int]) -> list[Json]:
        return [
            {"name": bonus["name"], "points": amounts[-1] * int(bonus["share"].rstrip("%")) // 100}
            for bonus in (hops[-1].get("rules") or {}).get("bonuses", [])
            if amounts[-2] >= bonus.get("when", {}).get("at_least", 1)
        ]

    def _out(self, hops: Sequence[Json], amount: int) -> int:
        amounts = self._amounts(hops, amount)
        return 0 if amounts is None else amounts[-1] + sum(each["points"] for each in self._bonuses(hops, amounts))

    def _least(self, hops: Sequence[Json], out: int) -> int | None:
        first = hops[0]
        tried = range(first["minimum"], first["minimum"] + AMOUNTS_TRIED_MAX, first["increment"])
        return next((each for each in tried if self._out(hops, each) >= out), None)

    def _priced(self, path: Sequence[str], hops: Sequence[Json], amount: int, offered: int) -> Json:
        amounts = self._amounts(hops, amount)
        assert amounts is not None
        bonuses = self._bonuses(hops, amounts)
        out = amounts[-1] + sum(each["points"] for each in bonuses)
        value = self._value(path, amount, out)
        settlements = [after * hop["settlement_price_micro"] for hop, after in zip(hops, amounts[1:], strict=True)]
        return {
            "from_program_id": path[0],
            "to_program_id": path[-1],
            "path": list(path),
            "amount_in": amount,
            "amount_out": out,
            "base_out": amounts[-1],
            "bonuses": bonuses,
            "fee_points": 0,
            "fees_money": [],
            "remainder": offered - amount,
            "nearest_below": amount,
            "nearest_above": None,
            "hops": [
                {
                    "from_program_id": hop["from_program_id"],
                    "to_program_id": hop["to_program_id"],
                    "terms_id": hop["id"],
                    "terms_version": 1,
                    "ratio": hop["ratio"],
                    "amount_in": before,
                    "amount_out": after,
                    "settlement_micro": owed,
                }
                for hop, before, after, owed in zip(hops, amounts, amounts[1:], settlements, strict=False)
            ],
            "settlement_micro": settlements[0],
            "currency": "USD",
            "value": value,
            "explanation": _lines(path, hops, amounts, bonuses, offered, value),
        }

    def _value(self, path: Sequence[str], given: int, received: int) -> Json | None:
        here, there = (self.programs[each].get("point_value_micro") for each in (path[0], path[-1]))
        if here is None or there is None:
            return None
        one, other = given * here, received * there
        told = {"given_micro": one, "received_micro": other, "currency": "USD", "note": "as the programs say"}
        return {**told, "lost_bp": (one - other) * 10_000 // one}


def _lines(
    path: Sequence[str],
    hops: Sequence[Json],
    amounts: Sequence[int],
    bonuses: Sequence[Json],
    offered: int,
    value: Json | None,
) -> list[Json]:
    def line(label: str, detail: str, points: int = 0, program: str | None = None, micro: int | None = None) -> Json:
        money = {"micro": micro, "currency": None if micro is None else "USD"}
        return {"label": label, "detail": detail, "points": points, "program": program, **money}

    lines = [line("burned", f"{amounts[0]:,} points leave", amounts[0], path[0])]
    for place, hop in enumerate(hops):
        label = "base" if place == len(hops) - 1 else "through"
        ratio = f"{hop['ratio']['from_units']}:{hop['ratio']['to_units']}"
        lines.append(line(label, f"{amounts[place]:,} at {ratio}", amounts[place + 1], path[place + 1]))
    lines += [line("bonus", each["name"], each["points"], path[-1]) for each in bonuses]
    if offered > amounts[0]:
        lines.append(line("remainder", "would add nothing", offered - amounts[0], path[0]))
    if value is not None:
        lines.append(line("value given", "at home", micro=value["given_micro"]))
        lines.append(line("value received", value["note"], micro=value["received_micro"]))
        lines.append(line("loss", f"{value['lost_bp']} basis points"))
    return lines
