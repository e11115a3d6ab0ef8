"""Three programs with rules between them and two beside them, and customers who are members of all.

ALFA becomes BRAV at 2:1 and BRAV becomes CHAR at 1:3. Directly, ALFA becomes CHAR at 4:1 with a fifth more from 1,000
points on, a fee of 5 points and one of USD 0.50, and 8,000 points a year at most.
"""

from dataclasses import dataclass
from typing import Any

from .world import Program, World, unique

#: Points of ALFA that a customer has, final on the chain.
TRIO_POINTS = 20_000
LEAST = 1_000
#: Who may swap from ECHO: older members with older links than any traveller.
SETTLED = {"member_min_days": 30, "linked_min_days": 90}
RULES = {
    "bonuses": [{"name": "big swap", "share": "20%", "when": {"at_least": LEAST}}],
    "fees": [{"points": 5}, {"flat": "USD 0.5"}],
    "caps": [{"per": "year", "points": 8_000}],
}


@dataclass(frozen=True)
class Traveller:
    """A customer's memberships."""

    alfa: str
    bravo: str
    charlie: str
    #: in the program that `Trio.tiered_to` is
    echo: str


@dataclass(frozen=True)
class Trio:
    """The programs, and the terms between them."""

    world: World
    alfa: Program
    bravo: Program
    charlie: Program
    to_bravo: dict[str, Any]
    onward: dict[str, Any]
    direct: dict[str, Any]
    #: a program to which the direction from ALFA was closed, and one to which only gold members may swap
    closed_to: Program
    tiered_to: Program

    def traveller(self, points: int = TRIO_POINTS) -> Traveller:
        """A new customer, with points once they are final."""
        programs = (self.alfa, self.bravo, self.charlie, self.closed_to, self.tiered_to)
        ids = [each.member()["id"] for each in programs]
        codes = [each.code(one) for each, one in zip(programs, ids, strict=True)]
        assert self.alfa.post("/v1/links", {"codes": codes}).status_code == 201
        if points:
            self.alfa.earn(ids[0], points, wait_s=30)
        return Traveller(ids[0], ids[1], ids[2], echo=ids[4])

    def quote(self, who: Traveller, **more: Any) -> Any:
        """Ask for a quote from ALFA to CHAR."""
        return self.alfa.post("/v1/quotes", {"member_id": who.alfa, "to_program_id": self.charlie.id} | more)

    def swap(self, quote_id: str, **more: Any) -> Any:
        """Accept a quote."""
        return self.alfa.post("/v1/swaps", {"quote_id": quote_id}, **({"key": unique()} | more))


def make_trio(world: World) -> Trio:
    """Set the three up."""
    worth = [("USD", 10_000), ("EUR", 12_000), ("USD", 5_000)]
    ids = [
        world.create(name, name[:4].upper(), money=money, point_value_micro=micro)
        for name, (money, micro) in zip(("Alfa", "Bravo", "Charlie"), worth, strict=True)
    ]
    ids += [world.create(name, name[:4].upper()) for name in ("Delta", "Echo")]
    alfa, bravo, charlie, delta, echo = (world.program(each) for each in ids)
    closed = world.agree(alfa, delta)
    assert alfa.post(f"/v1/terms/{closed['id']}/suspend").status_code == 202
    world.terms_in(closed["id"], "suspended")
    world.agree(alfa, echo, rules={"tiers": ["gold"]})
    world.agree(echo, alfa, rules={"eligible": SETTLED})
    return Trio(
        world,
        alfa,
        bravo,
        charlie,
        world.agree(alfa, bravo, ratio={"from_units": 2, "to_units": 1}, minimum=100, increment=10),
        world.agree(bravo, charlie, ratio={"from_units": 1, "to_units": 3}, minimum=1, increment=1, confirm_ratio=True),
        world.agree(alfa, charlie, ratio={"from_units": 4, "to_units": 1}, minimum=100, increment=4, rules=RULES),
        delta,
        echo,
    )
