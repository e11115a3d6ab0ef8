from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.end_to_end.running import ServiceProcess


@pytest.fixture
def service(tmp_path: Path) -> Iterator[ServiceProcess]:
    """A service that is ready; whatever the test did to it, nothing of it is left afterwards."""
    process = ServiceProcess(tmp_path / "data")
    process.start()
    yield process
    process.stop()
