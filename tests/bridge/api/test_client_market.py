"""The typed client against the service itself: it is understood, and answers have the shapes that it says."""

from collections.abc import Iterator
from typing import Any, get_type_hints

import pytest

from bridge import answers
from bridge.client import Client

from .trio import Traveller, Trio
from .world import unique


@pytest.fixture
def client(trio: Trio) -> Iterator[Client]:
    with Client(trio.world.url, trio.alfa.key) as made:
        yield made


@pytest.fixture(scope="module")
def who(trio: Trio) -> Traveller:
    return trio.traveller()


def check_shape(answer: Any, shape: Any) -> None:
    """The answer has exactly the fields of its TypedDict."""
    assert set(answer) == set(get_type_hints(shape)), shape.__name__


def test_client__then_reads_the_board_and_routes(client: Client, trio: Trio, who: Traveller) -> None:
    board = client.board(trio.alfa.id)
    routes = client.routes(
        from_program_id=trio.alfa.id, to_program_id=trio.charlie.id, amount_in=1_000, count=2, member_id=who.alfa
    )

    check_shape(board, answers.Board)
    check_shape(board["partners"][0], answers.BoardPartner)
    direct = next(each["out"] for each in board["partners"] if each["symbol"] == "CHAR")
    check_shape(direct, answers.BoardDirection)
    assert direct is not None and direct["value"] is not None
    check_shape(direct["changed"], answers.RateChange)
    check_shape(direct["value"], answers.PointValue)
    check_shape(routes, answers.Routes)
    assert len(routes["items"]) == 2
    for price in routes["items"]:
        check_shape(price, answers.Price)
        check_shape(price["hops"][0], answers.Hop)
        check_shape(price["explanation"][0], answers.ExplanationLine)
        check_shape(price["value"], answers.Value)


def test_client__then_quotes_along_a_path_and_swaps(client: Client, trio: Trio, who: Traveller) -> None:
    asked = {"to_program_id": trio.charlie.id, "member_id": who.alfa, "amount_in": 2_000}
    through = client.quote(**asked, path=[trio.alfa.id, trio.bravo.id, trio.charlie.id])  # type: ignore[arg-type]
    best = client.quote(**asked, route="points", tier="gold")  # type: ignore[arg-type]
    direct = client.quote(**asked)  # type: ignore[arg-type]
    swap = client.swap(direct["id"], key=unique()).operation

    assert through["path"] == best["path"] and best["tier"] == "gold"
    check_shape(direct, answers.Quote)
    check_shape(direct["signed"], answers.SignedOffer)
    check_shape(direct["bonuses"][0], answers.Bonus)
    check_shape(direct["fees_money"][0], answers.Money)
    check_shape(swap, answers.Operation)
    assert swap["swap"] is not None
    check_shape(swap["swap"], answers.SwapDetail)
    check_shape(swap["swap"]["hops"][0], answers.SwapHop)
    check_shape(swap["swap"]["extras"][0], answers.SwapExtra)


def test_client__then_checks_and_proposes_terms(client: Client, trio: Trio) -> None:
    wanted: answers.TermsProposal = {
        "from_program_id": trio.charlie.id,
        "to_program_id": trio.alfa.id,
        "ratio": {"from_units": 12, "to_units": 1},
        "minimum": 24,
        "increment": 12,
        "settlement_price_micro": 10_000,
        "currency": "EUR",
        "rules": {"bonuses": [{"name": "b", "flat": 1}]},
        "starts_at": None,
    }

    checked, proposed = client.check_terms(**wanted), client.propose_terms(**wanted)

    check_shape(checked, answers.TermsCheck)
    check_shape(proposed, answers.Terms)
    check_shape(proposed["fx"], answers.Converted)
    check_shape(proposed["warnings"][0], answers.Warned)
    assert {name: proposed[name] for name in checked} == checked  # type: ignore[literal-required]


def test_client__then_reads_the_status(client: Client) -> None:
    check_shape(client.status()["market"], answers.MarketStatus)
