"""`sarraf quote`, `route` and `board`: prices for people, with symbols in place of ids."""

from tests.bridge.cli.conftest import NAMES, Market, Sarraf, agree


def explained(out: str) -> list[str]:
    return [" ".join(line.split()) for line in out.splitlines() if line.startswith("  ")]


def test_quote__without_a_direct_way__then_goes_by_the_best_route(sarraf: Sarraf, market: Market) -> None:
    quoted = sarraf("quote", "ALFA", "GAMA", "--member", "900", "--in", "101", "--json").json

    assert quoted["path"] == [market.ids[symbol] for symbol in NAMES]
    assert (quoted["amount_in"], quoted["amount_out"], quoted["remainder"]) == (100, 40, 1)
    assert quoted["member_id"] == market.member


def test_quote__explained__then_has_a_line_for_each_step_and_no_ids(sarraf: Sarraf, market: Market) -> None:
    result = sarraf("quote", "alfa", "gama", "--member", "900", "--in", "101", "--explain")

    assert "100 ALFA in, 40 GAMA out, 1 kept; by ALFA > BETA > GAMA; firm until" in result.out
    assert explained(result.out) == [
        "burned 100 ALFA 100 points leave",
        "through 50 BETA 100 at 2:1",
        "base 40 GAMA 50 at 5:4",
        "remainder 1 ALFA would add nothing",
        "value given 1.00 USD at home",
        "value received 0.40 USD as the programs say",
        "loss 6000 basis points",
    ]
    assert not any(program in result.out for program in market.ids.values())


def test_quote__not_explained__then_is_one_line(sarraf: Sarraf, market: Market) -> None:
    assert market.member
    result = sarraf("quote", "ALFA", "GAMA", "--member", "900", "--out", "39")

    assert result.out.count("\n") == 1
    assert "98 ALFA in, 39 GAMA out" in result.out


def test_quote__by_a_named_way_or_by_fewest_hops__then_takes_that(sarraf: Sarraf, market: Market) -> None:
    agree(sarraf, "ALFA", "GAMA", "10:1")
    asked = ("quote", "ALFA", "GAMA", "--member", "900", "--in", "100", "--json")

    def way(*arguments: str) -> int:
        return len(sarraf(*asked, *arguments).json["path"])

    assert (way(), way("--best", "points"), way("--best", "hops"), way("--via", "BETA")) == (3, 3, 2, 3)
    sent = [call for call in market.service.calls if call == ("POST", "/v1/quotes")]
    assert len(sent) == 4


def test_quote__with_a_tier__then_is_sent_along(sarraf: Sarraf, market: Market) -> None:
    assert market.member
    asked = ("quote", "ALFA", "GAMA", "--member", "900", "--in", "100", "--tier", "gold", "--json")

    assert sarraf(*asked).json["tier"] == "gold"


def test_route__with_alternatives__then_shows_them_side_by_side(sarraf: Sarraf, market: Market) -> None:
    agree(sarraf, "ALFA", "GAMA", "10:1")
    result = sarraf("route", "ALFA", "GAMA", "--in", "100")

    heading, *rows = [line for line in result.out.splitlines() if "┃" in line or "│" in line]
    assert [cell.strip() for cell in heading.split("┃")[1:-1]] == ["", "1. ALFA > BETA > GAMA", "2. ALFA > GAMA"]
    cells = {parts[1].strip(): [cell.strip() for cell in parts[2:-1]] for parts in (row.split("│") for row in rows)}
    assert cells["points out"] == ["40", "10"]
    assert cells["lost"] == ["60.00%", "90.00%"]
    assert "fee in points" not in cells
    assert market.ids["BETA"] not in result.out


def test_route__with_one_hop_only__then_leaves_out_longer_ones(sarraf: Sarraf, market: Market) -> None:
    assert market.member
    refused = sarraf("route", "ALFA", "GAMA", "--in", "100", "--hops", "1")
    assert (refused.code, "[no-route]" in refused.err) == (1, True)
    agree(sarraf, "ALFA", "GAMA", "10:1")

    found = sarraf("route", "ALFA", "GAMA", "--in", "100", "--best", "hops", "--count", "1", "--json").json
    assert [len(price["path"]) for price in found["items"]] == [2]
    assert len(sarraf("route", "ALFA", "GAMA", "--out", "5", "--json").json["items"]) == 2


def test_route__explained__then_each_has_its_lines(sarraf: Sarraf, market: Market) -> None:
    assert market.member
    agree(sarraf, "ALFA", "GAMA", "10:1")

    lines = explained(sarraf("route", "ALFA", "GAMA", "--in", "100", "--explain").out)
    assert "through 50 BETA 100 at 2:1" in lines
    assert "base 10 GAMA 100 at 10:1" in lines


def test_board__of_a_program__then_has_a_row_for_each_partner(sarraf: Sarraf, market: Market) -> None:
    agree(sarraf, "GAMA", "BETA", "4:3")
    result = sarraf("board", "BETA")

    rows = {
        cells[0]: cells
        for cells in ([cell.strip() for cell in line.split("│")[1:-1]] for line in result.out.splitlines())
        if cells
    }
    assert rows["GAMA"][:3] == ["GAMA", "5:4", "4:5"]
    assert rows["GAMA"][-2:] == ["4:3", "4/5"]
    assert rows["ALFA"][1:3] == ["-", "-"]
    assert rows["ALFA"][-2:] == ["2:1", "-"]
    assert sarraf("board", "BETA", "--json").json["program_id"] == market.ids["BETA"]
