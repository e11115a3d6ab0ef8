"""The hub: tells whoever waits that the ledger has changed.

It carries no content. Who is woken reads the ledger again, so nothing is lost when a notice is.
"""

import asyncio
import threading


class Hub:
    """Wakes threads and coroutines after each commit."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._threads: set[threading.Event] = set()
        self._coroutines: set[tuple[asyncio.AbstractEventLoop, asyncio.Event]] = set()

    def notify(self) -> None:
        """The ledger has changed; may be called from any thread."""
        with self._lock:
            for event in self._threads:
                event.set()
            for loop, waiting in self._coroutines:
                if not loop.is_closed():
                    loop.call_soon_threadsafe(waiting.set)

    def thread_listener(self) -> threading.Event:
        """An event that is set at each change; the caller waits on it and clears it."""
        event = threading.Event()
        with self._lock:
            self._threads.add(event)
        return event

    def listener(self) -> "Listener":
        """For a coroutine: `async with hub.listener() as changes: await changes.wait(seconds)`."""
        return Listener(self)

    def _add(self, listener: tuple[asyncio.AbstractEventLoop, asyncio.Event]) -> None:
        with self._lock:
            self._coroutines.add(listener)

    def _remove(self, listener: tuple[asyncio.AbstractEventLoop, asyncio.Event]) -> None:
        with self._lock:
            self._coroutines.discard(listener)


class Listener:
    """One coroutine's ear at the hub."""

    def __init__(self, hub: Hub) -> None:
        self._hub = hub
        self._event = asyncio.Event()

    async def __aenter__(self) -> "Listener":
        self._registered = (asyncio.get_running_loop(), self._event)
        self._hub._add(self._registered)
        return self

    async def __aexit__(self, *_: object) -> None:
        self._hub._remove(self._registered)

    async def wait(self, seconds: float) -> bool:
        """Wait for a change since the last wait, at most so long; whether there was one."""
        try:
            await asyncio.wait_for(self._event.wait(), seconds)
        except TimeoutError:
            return False
        self._event.clear()
        return True
