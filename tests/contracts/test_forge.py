"""The Solidity tests beside this file, run by forge as one test."""

import re
from pathlib import Path

from .tools import CONTRACTS, alone, forge

SECONDS_MAX = 600
PASSED = re.compile(r"(?P<count>\d+) tests? passed")
TEST_FUNCTION = re.compile(r"^ *function (test|invariant)\w*\(", re.MULTILINE)

# A project of its own whose only test fails.
FAILING_TEST = """\
// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

contract FailingTest {
    function test_one__and_one__make_three() external pure {
        require(1 + 1 == 3, "they do not");
    }
}
"""
FAILING_PROJECT = """\
[profile.default]
src = "src"
test = "test"
solc = "{compiler}"
offline = true
"""


def test_solidity_tests__all_of_them__pass() -> None:
    sources = Path(__file__).parent.glob("*.t.sol")
    written = sum(len(TEST_FUNCTION.findall(source.read_text())) for source in sources)

    with alone(CONTRACTS):
        run = forge("test", "--isolate", root=CONTRACTS, seconds_max=SECONDS_MAX)

    assert run.returncode == 0, run.stdout
    ran = PASSED.findall(run.stdout)
    assert ran, run.stdout
    assert int(ran[-1]) == written, f"{written} tests are written, but:\n{run.stdout}"


def test_runner__a_failing_solidity_test__is_red(tmp_path: Path) -> None:
    (tmp_path / "test").mkdir()
    (tmp_path / "test" / "Failing.t.sol").write_text(FAILING_TEST)
    (tmp_path / "foundry.toml").write_text(FAILING_PROJECT.format(compiler=CONTRACTS / "solc.mjs"))

    run = forge("test", "--isolate", root=tmp_path, seconds_max=SECONDS_MAX)

    assert run.returncode != 0
    assert "they do not" in run.stdout
