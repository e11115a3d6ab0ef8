"""Many calls at once, in few threads, with progress: a bar at a terminal, plain lines elsewhere."""

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import FIRST_EXCEPTION, ThreadPoolExecutor, wait
from contextlib import contextmanager
from threading import Lock
from typing import Protocol, TypeVar

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

PLAIN_LINES = 10

Item = TypeVar("Item")
Result = TypeVar("Result")


class Advance(Protocol):
    """Says that `count` more are done. May be called from any thread."""

    def __call__(self, count: int = 1) -> None: ...


@contextmanager
def progress(console: Console, label: str, total: int) -> Iterator[Advance]:
    """Show how much of a long part is done."""
    if total == 0:
        yield _ignore
    elif console.is_terminal:
        columns = (TextColumn(label), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
        with Progress(*columns, console=console) as bars:
            task = bars.add_task(label, total=total)
            yield lambda count=1: bars.advance(task, count)
    else:
        yield _PlainLines(console, label, total)


def _ignore(count: int = 1) -> None:
    pass


class _PlainLines:
    """One line for every tenth of the whole, so that a log stays short."""

    def __init__(self, console: Console, label: str, total: int) -> None:
        self._console = console
        self._label = label
        self._total = total
        self._done = 0
        self._told = 0
        self._lock = Lock()

    def __call__(self, count: int = 1) -> None:
        with self._lock:
            self._done += count
            reached = self._done * PLAIN_LINES // self._total
            if reached > self._told:
                self._told = reached
                self._console.print(f"{self._label}: {self._done:,} of {self._total:,}", highlight=False)


def spread(
    call: Callable[[Item], Result], items: Sequence[Item], *, workers: int, advance: Advance = _ignore
) -> list[Result]:
    """`call` for each item by several threads, the results in the items' order.

    The first error ends the rest: what has not begun is dropped, what runs is awaited, the error is raised.
    """
    errors: list[BaseException] = []

    def one(item: Item) -> Result:
        if errors:
            raise _Dropped
        try:
            result = call(item)
        except BaseException as error:
            errors.append(error)
            raise
        advance()
        return result

    with ThreadPoolExecutor(max_workers=workers, thread_name_prefix="demo") as pool:
        futures = [pool.submit(one, item) for item in items]
        try:
            wait(futures, return_when=FIRST_EXCEPTION)
        finally:
            for future in futures:
                future.cancel()
    if errors:
        raise errors[0]
    return [future.result() for future in futures]


class _Dropped(Exception):
    """Raised in place of a call that need not be made any more."""
