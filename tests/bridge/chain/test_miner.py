from typing import Any

import pytest

from bridge.chain import miner as miner_module
from bridge.chain.miner import Miner
from bridge.chain.rpc import Block, Rpc

HEAD = Block(7, b"\x01" * 32, b"\x02" * 32, 1000, 0, 0, 0, ())


class Recorder(Rpc):
    """Records the seconds that blocks were mined at."""

    def __init__(self) -> None:
        super().__init__("http://nowhere")
        self.seconds: list[int] = []

    def request(self, method: str, *params: Any) -> Any:
        if method == "evm_setNextBlockTimestamp":
            self.seconds.append(params[0])
        return "0x0"


class Monotonic:
    """Stands in for the machine's monotonic clock."""

    def __init__(self) -> None:
        self.now = 50.0

    def monotonic(self) -> float:
        return self.now


@pytest.fixture
def elapsed(monkeypatch: pytest.MonkeyPatch) -> Monotonic:
    monotonic = Monotonic()
    monkeypatch.setattr(miner_module, "time", monotonic)
    return monotonic


def test_miner__before_its_interval__waits(elapsed: Monotonic) -> None:
    miner = Miner(Recorder(), HEAD, lambda: 2000, 1000)
    assert not miner.mine_if_due()
    elapsed.now += 0.99
    assert not miner.mine_if_due()
    elapsed.now += 0.01
    assert miner.mine_if_due()
    assert (miner.number, miner.timestamp) == (8, 2000)
    assert not miner.mine_if_due()


@pytest.mark.usefixtures("elapsed")
def test_miner__within_one_second__makes_one_block() -> None:
    rpc = Recorder()
    miner = Miner(rpc, HEAD, lambda: 1001, 0)
    assert [miner.mine_if_due() for _ in range(3)] == [True, False, False]
    assert rpc.seconds == [1001]


def test_miner__with_the_clock_set_back__goes_on_a_second_at_a_time(elapsed: Monotonic) -> None:
    rpc = Recorder()
    miner = Miner(rpc, HEAD, lambda: 400, 0)
    assert not miner.mine_if_due()
    for _ in range(4):
        elapsed.now += 0.5
        miner.mine_if_due()
    assert rpc.seconds == [1001, 1002]
