"""`sarraf backup`, `restore` and `rebuild`: what they say, and with which exit code."""

from io import StringIO
from pathlib import Path

import pytest
from rich.console import Console

from bridge import rebuilding
from bridge.backups import Manifest
from bridge.chain.errors import ChainCannotRestore
from bridge.cli import rebuild
from bridge.posting.rebuild import Rebuilt
from bridge.posting.rebuild_found import FoundExchange, FoundKey, LeftOut
from bridge.posting.reconciler import Report
from bridge.rebuilding import RebuiltChain, RebuiltLedger
from bridge.settings import Settings
from bridge.store.blocks import KnownBlock
from bridge.store.chainstate import Recovery, Times
from bridge.store.comparison import Comparison, Posted, Sides
from tests.bridge.cli.conftest import Sarraf
from tests.bridge.store.ledgers import Ledger

TOKEN = b"\xaa" * 20


@pytest.fixture(autouse=True)
def _node_that_is_away(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SARRAF_RPC_URL", "http://127.0.0.1:1")


@pytest.fixture
def data(tmp_path: Path) -> Path:
    """A data directory whose ledger has one program and one operation."""
    made = Ledger.in_file(tmp_path / "data" / "ledger.sqlite3")
    made.bind()
    made.earn(made.member(made.program("AIR"), "ann"), 5)
    made.close()
    return tmp_path / "data"


def test_backup_and_restore__of_a_ledger__say_what_they_did(sarraf: Sarraf, data: Path, tmp_path: Path) -> None:
    copy = str(tmp_path / "copy.sqlite3")
    made = sarraf("--data", str(data), "backup", copy)
    assert made.code == 0, made.err
    assert "Backed up" in made.out and "31337" in made.out and "signing keys are not in it" in made.out
    again = sarraf("--data", str(data), "backup", copy)
    assert again.code == 1 and "[file-exists]" in again.err
    forced = sarraf("--data", str(data), "backup", copy, "--force", "--json")
    assert (forced.json["operations"], forced.json["manifest"]) == (1, f"{copy}.json")
    restored = sarraf("--data", str(data), "restore", copy)
    assert restored.code == 0, restored.err
    for said in ("has 1 operations", "is kept in", "could not be asked", "same keys"):
        assert said in restored.out
    told = sarraf("--data", str(data), "restore", copy, "--json").json
    assert (told["operations"], told["kept_operations"], told["chain_compared"]) == (1, 1, False)
    assert told["manifest_compared"] and Path(told["kept"]).exists()


def test_restore__of_nothing__fails_with_one_line(sarraf: Sarraf, data: Path) -> None:
    result = sarraf("--data", str(data), "restore", "nowhere.sqlite3")
    assert (result.code, result.out) == (1, "")
    assert result.err.count("\n") == 1 and "[no-ledger]" in result.err


def test_rebuild_chain__tells_how_far_it_is_and_the_verdict(
    sarraf: Sarraf, data: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def made(_settings: Settings, tell: rebuilding.Progress, *, force: bool) -> RebuiltChain:
        assert not force
        for done in range(1, 101):
            tell(done, 100)
        return RebuiltChain(101, 100, bytes(32), data / "chain-before")

    monkeypatch.setattr(rebuilding, "rebuild_chain", made)
    result = sarraf("--data", str(data), "rebuild", "chain")
    assert result.code == 0 and result.out.startswith("ok: 101 blocks compared")
    assert result.err.splitlines() == [f"rebuilding the chain: {done} of 100" for done in range(10, 101, 10)]
    assert sarraf("--data", str(data), "rebuild", "chain", "--json").json["head"]["number"] == 100

    def differs(*_: object, **_named: object) -> RebuiltChain:
        raise ChainCannotRestore("the chain has another block than the journal", number=3)

    monkeypatch.setattr(rebuilding, "rebuild_chain", differs)
    failed = sarraf("--data", str(data), "rebuild", "chain")
    assert failed.code == 1 and "at block 3" in failed.err


def rebuilt(*, differences: int = 0, breaker: str | None = None, left_out: bool = False) -> RebuiltLedger:
    key = FoundKey(bytes(20), 0)
    skipped = [LeftOut(TOKEN, "CAR", "its issuer 0xcc is no key of this keystore")] if left_out else []
    found = FoundExchange(TOKEN, 1, bytes(32), 9, Times(0, 0, 0, 0, 0), key, key, key, [], skipped)
    report = Report(KnownBlock(9, bytes(32), bytes(32), 1, True), [], [], 0, 0, certain=True)
    learnt = Recovery(1, "rebuilt", True, 9, 0, None, None, None, None, None)
    only = [Posted(TOKEN, b"12345", points) for points in range(differences)]
    compared = Comparison(Sides(7, only, []), Sides(2, [], []), Sides(1, [], []))
    manifest = Manifest("2027", "1", "00", 1, "0001", 1, None, None, 9, None, 7)
    return RebuiltLedger(Path("anew"), manifest, Rebuilt(found, ["AIR"], learnt, report, breaker), compared)


@pytest.mark.parametrize(
    ("given", "code", "said"),
    [
        (rebuilt(), 0, "ok: 7 operations"),
        (rebuilt(differences=2), 1, "only in the present ledger: 1 points of token 0xaaaa"),
        (rebuilt(breaker="a batch that nobody can read"), 1, "not everything could be followed: a batch"),
        (rebuilt(left_out=True), 1, "CAR (0xaaaa"),
        (rebuilt(), 0, "name them by --program-id"),
        (rebuilt(), 0, "goes on from here"),
        (rebuilt(), 0, "members' numbers, links, API keys, holds, quotes and the rules of terms"),
    ],
)
def test_rebuild_ledger__says_what_differs_and_what_the_chain_does_not_know(
    sarraf: Sarraf, data: Path, monkeypatch: pytest.MonkeyPatch, given: RebuiltLedger, code: int, said: str
) -> None:
    monkeypatch.setattr(rebuilding, "rebuild_ledger", lambda *_, **_named: given)
    result = sarraf("--data", str(data), "rebuild", "ledger")
    assert result.code == code and said in result.out
    told = sarraf("--data", str(data), "rebuild", "ledger", "--json").json
    assert (told["verdict"] == "ok" and not told["present"]["differences"]) is (code == 0)


def test_rebuild_ledger__told_what_is_no_address_or_id__says_which(sarraf: Sarraf) -> None:
    for arguments in (["--exchange", "0x12"], ["--exchange", "zz"], ["--program-id", "0x12"], ["--program-id", "x=y"]):
        result = sarraf("rebuild", "ledger", *arguments)
        assert result.code == 1 and arguments[1].partition("=")[0] in result.err


def test_comparison__of_many_differences__names_only_the_first() -> None:
    shown = StringIO()
    rebuild._show_ledger(rebuilt(differences=rebuild.NAMED_MAX + 5), Console(width=200, file=shown))
    text = shown.getvalue()
    assert text.count("only in the present ledger:") == rebuild.NAMED_MAX
    assert f"{rebuild.NAMED_MAX + 5} only there" in text
