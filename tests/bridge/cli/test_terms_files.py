"""`sarraf terms check` and `terms diff`: on files, without a service."""

from tests.bridge.cli.conftest import Sarraf, Write

PLAIN = """
terms:
  - {from: Alpha, to: Beta, ratio: "3:1", minimum: 3000, price: USD 0.01}
  - {from: Beta, to: Alpha, ratio: "1:2", price: USD 0.003}
"""


def test_check__of_a_file_without_faults__then_exits_0(sarraf: Sarraf, file: Write) -> None:
    result = sarraf("terms", "check", file(PLAIN))

    assert result.code == 0
    assert "2 terms, 0 without a ratio; 0 errors, 0 warnings" in result.out


def test_check__of_a_file_with_several_faults__then_tells_all_with_line_and_field(sarraf: Sarraf, file: Write) -> None:
    text = """terms:
  - from: Alpha
    to: Beta
    ratio: 3.1
  - {from: Beta, to: Alpha, ratio: "1:2", minimun: 5}
"""
    result = sarraf("terms", "check", file(text))

    assert result.code == 1
    lines = result.out.splitlines()
    assert lines[0].startswith("error: line 4, terms.0.ratio: a ratio is two numbers")
    assert lines[1].startswith("error: line 5, terms.1.minimun: this field is not known here; is minimum meant?")
    assert "2 errors" in lines[-1]


def test_check__as_json__then_has_each_finding_with_its_line(sarraf: Sarraf, file: Write) -> None:
    text = """terms:
  - {from: Alpha, to: Beta, ratio: "1:1", minimum: 7, increment: 5, blocks: true}
"""
    result = sarraf("terms", "check", file(text), "--json")

    assert result.code == 1
    (finding,) = result.json["findings"]
    assert (finding["severity"], finding["line"], finding["nearest"]) == ("error", 2, 10)
    assert (result.json["errors"], result.json["warnings"]) == (1, 0)


def test_check__of_directions_that_gain_on_the_way_round__then_is_an_error_on_the_last_of_them(
    sarraf: Sarraf, file: Write
) -> None:
    text = """terms:
  - {from: Alpha, to: Beta, ratio: "3:1"}
  - {from: Beta, to: Gamma, ratio: "1:1"}
  - from: Gamma
    to: Alpha
    ratio: "1:2"
    bonuses: [{name: spring, share: 60%, when: {starts: 2999-01-01, before: 2999-02-01}}]
"""
    result = sarraf("terms", "check", file(text), "--json")

    assert result.code == 1
    (finding,) = result.json["findings"]
    assert (finding["type"], finding["line"]) == ("gaining-cycle", 4)
    assert "16/15 of what went in" in finding["detail"]
    assert "An amount that gains: 15 Gamma become 48 Alpha (with spring)" in finding["detail"]


def test_check__where_a_promotion_is_over__then_it_does_not_count(sarraf: Sarraf, file: Write) -> None:
    text = """terms:
  - {from: Alpha, to: Beta, ratio: "3:1"}
  - from: Beta
    to: Alpha
    ratio: "1:2"
    bonuses: [{name: spring, share: 60%, when: {starts: 1999-01-01, before: 1999-02-01}}]
"""
    assert sarraf("terms", "check", file(text)).code == 0


def test_check__where_a_version_was_replaced__then_it_does_not_count(sarraf: Sarraf, file: Write) -> None:
    text = """terms:
  - {from: Alpha, to: Beta, ratio: "3:1"}
  - {from: Beta, to: Alpha, ratio: "1:4", starts: 1999-01-01}
  - {from: Beta, to: Alpha, ratio: "1:2", starts: 1999-02-01}
"""
    assert sarraf("terms", "check", file(text)).code == 0


def test_check__where_a_version_is_yet_to_come__then_it_counts(sarraf: Sarraf, file: Write) -> None:
    text = """terms:
  - {from: Alpha, to: Beta, ratio: "3:1"}
  - {from: Beta, to: Alpha, ratio: "1:2"}
  - {from: Beta, to: Alpha, ratio: "1:4", starts: 2999-02-01}
"""
    result = sarraf("terms", "check", file(text))
    assert result.code == 1
    assert "line 3" in result.out or "line 4" in result.out


def test_check__where_a_cycle_loses_little__then_warns_once_and_exits_0(sarraf: Sarraf, file: Write) -> None:
    text = """terms:
  - {from: Alpha, to: Beta, ratio: "3:1"}
  - {from: Beta, to: Alpha, ratio: "1:2.9"}
"""
    result = sarraf("terms", "check", file(text))

    assert result.code == 0
    assert result.out.startswith("warning: line 3: a cycle loses little: ")
    assert "0 errors, 1 warning" in result.out


def test_check__of_a_ratio_whose_inverse_is_nearer_to_the_one_before__then_asks_to_confirm_it(
    sarraf: Sarraf, file: Write
) -> None:
    text = """terms:
  - {from: Alpha, to: Beta, ratio: "3:1"}
  - {from: Alpha, to: Beta, ratio: "1:4", starts: 2999-02-01}
"""
    (finding,) = sarraf("terms", "check", file(text), "--json").json["findings"]
    assert (finding["type"], finding["line"], finding["nearest"]) == ("inverted-ratio", 3, "4:1")
    confirmed = text.replace("2999-02-01", "2999-02-01, confirmed: true")
    assert sarraf("terms", "check", file(confirmed)).code == 0


def test_check__of_terms_open_to_wallets_with_rules_that_hold_on_no_chain__then_is_an_error(
    sarraf: Sarraf, file: Write
) -> None:
    text = """terms:
  - {from: Alpha, to: Beta, ratio: "3:1", wallet_cap: 100}
  - {from: Beta, to: Alpha, ratio: "1:2", wallet_cap: 100, tiers: [gold], fees: [{points: 5}]}
"""
    (finding,) = sarraf("terms", "check", file(text), "--json").json["findings"]

    assert (finding["severity"], finding["type"], finding["line"]) == ("error", "invalid-terms", 3)
    assert (finding["field"], finding["limit"], finding["nearest"]) == ("wallet_cap", 0, 0)
    assert finding["detail"].endswith("cannot hold them to tiers, fees")
    assert sarraf("terms", "check", file(text.replace("wallet_cap: 100, tiers", "tiers"))).code == 0


def test_check__where_splitting_pays__then_says_so_with_an_example(sarraf: Sarraf, file: Write) -> None:
    text = """terms:
  - from: Alpha
    to: Beta
    ratio: "1:1"
    bonuses: [{name: welcome, flat: 5, when: {at_least: 10}}]
"""
    result = sarraf("terms", "check", file(text))

    assert result.code == 0
    assert result.out.startswith("warning: line 2: splitting a transfer may pay: ")
    assert "10 and 10 give 30 apart, 20 give 25 at once [splitting-pays]" in result.out


def test_check__of_no_file__then_says_so(sarraf: Sarraf) -> None:
    result = sarraf("terms", "check", "nowhere.yaml")

    assert (result.code, result.out) == (1, "")
    assert "nowhere.yaml cannot be read" in result.err


def test_diff__of_two_files__then_shows_field_by_field(sarraf: Sarraf, file: Write) -> None:
    after = PLAIN.replace("3:1", "4:1").replace("minimum: 3000", "minimum: 1000, caps: [{per: day, points: 5000}]")
    arguments = ("terms", "diff", file(PLAIN), file(after, "after.yaml"))

    result = sarraf(*arguments, "--json")
    assert result.json == [
        {
            "from": "Alpha",
            "to": "Beta",
            "change": "changed",
            "fields": [
                {"field": "ratio", "before": "3:1", "after": "4:1"},
                {"field": "minimum", "before": 3000, "after": 1000},
                {"field": "caps", "before": None, "after": [{"per": "day", "points": 5000}]},
            ],
        }
    ]
    shown = sarraf(*arguments).out
    assert "Alpha > Beta" in shown
    assert "per day, points 5,000" in shown
    assert "Beta > Alpha" not in shown


def test_diff__of_directions_that_one_side_lacks__then_are_added_or_removed(sarraf: Sarraf, file: Write) -> None:
    one = file('terms:\n  - {from: A, to: B, ratio: "1:1"}\n', "one.yaml")
    other = file('terms:\n  - {from: B, to: A, ratio: "2:1"}\n', "other.yaml")

    result = sarraf("terms", "diff", one, other)
    assert "A > B: removed" in result.out
    assert "B > A: added" in result.out
    assert [each["change"] for each in sarraf("terms", "diff", one, other, "--json").json] == ["removed", "added"]
    assert "Both say the same" in sarraf("terms", "diff", one, one).out


def test_diff__of_dated_versions__then_compares_those_of_the_same_beginning(sarraf: Sarraf, file: Write) -> None:
    before = file(
        """terms:
  - {from: A, to: B, ratio: "3:1"}
  - {from: A, to: B, ratio: "2:1", starts: 2030-01-01}
""",
        "before.yaml",
    )
    after = file(
        """terms:
  - {from: A, to: B, ratio: "2:1", starts: 2030-01-01, minimum: 9}
  - {from: A, to: B, ratio: "3:1"}
  - {from: A, to: B, ratio: "1:1", starts: 2031-01-01}
""",
        "after.yaml",
    )
    changes = sarraf("terms", "diff", before, after, "--json").json
    assert [(each["change"], [one["field"] for one in each["fields"]]) for each in changes] == [
        ("changed", ["minimum"]),
        ("added", []),
    ]


def test_diff__of_one_file_alone__then_asks_for_another(sarraf: Sarraf, file: Write) -> None:
    result = sarraf("terms", "diff", file(PLAIN))

    assert result.code == 1
    assert "two files, or one file and --live" in result.err
