"""What every route stands on: the running service, and how a route reads and writes the ledger."""

import asyncio
import threading
from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass, field
from typing import Annotated, TypeVar, cast

import sqlalchemy as sa
from fastapi import Depends, Request

from bridge.api.keyring import KeyRing
from bridge.api.metrics import Metrics
from bridge.api.rates import RateLimiter
from bridge.chain.embedded import EmbeddedChain
from bridge.chain.finality import FinalityRule
from bridge.chain.rpc import Rpc
from bridge.posting.clock import Clock
from bridge.posting.gatekeeper import Gatekeeper
from bridge.posting.hub import Hub
from bridge.posting.market import MarketKeeper
from bridge.posting.offers import Offers
from bridge.posting.quoting import Quoting
from bridge.posting.reconciler import Reconciler
from bridge.posting.recovery import Recovery
from bridge.posting.service import Posting
from bridge.posting.setup import SetUp
from bridge.posting.vetting import Vetting
from bridge.settings import Settings
from bridge.store.database import Database
from bridge.store.writer import LedgerWriter, SharedCommand
from exchange.fx import RateSource

Result = TypeVar("Result")
Item = TypeVar("Item")


@dataclass
class Service:
    """Everything that runs, wired together by `bridge.bootstrap`."""

    settings: Settings
    clock: Clock
    database: Database
    writer: LedgerWriter
    hub: Hub
    rpc: Rpc
    chain_id: int
    embedded: EmbeddedChain | None
    finality: FinalityRule
    set_up: SetUp
    rates: RateSource
    gatekeeper: Gatekeeper
    market: MarketKeeper
    vetting: Vetting
    quoting: Quoting
    offers: Offers
    reconciler: Reconciler
    recovery: Recovery
    posting: Posting
    bug: threading.Event
    limiter: RateLimiter
    metrics: Metrics
    #: set when the service is about to stop: event streams end
    stopping: threading.Event = field(default_factory=threading.Event)
    known_keys: KeyRing = field(default_factory=KeyRing)
    #: Key indexes are chosen before the command that takes them, so one program is created at a time.
    creating_program: asyncio.Lock = field(default_factory=asyncio.Lock)
    #: One audit at a time: each asks the node for every balance.
    auditing: threading.Lock = field(default_factory=threading.Lock)

    def read(self, query: Callable[[sa.Connection], Result]) -> Result:
        """Ask the ledger."""
        with self.database.read() as connection:
            return query(connection)

    async def write(
        self, command: Callable[[sa.Connection], Result], weight: int = 1, *, while_recovering: bool = False
    ) -> Result:
        """Change the ledger; returns after the commit. Raises what the command raises, TooBusy and Recovering.

        Only what takes power away is written `while_recovering`: a stolen key may be why the ledger is behind.
        """
        if not while_recovering:
            self.recovery.require_over()
        return await asyncio.wrap_future(self.writer.submit(command, weight))

    async def write_shared(
        self, command: SharedCommand[Item, Result], items: Sequence[Item], *, share: Hashable
    ) -> Sequence[Result]:
        """Like `write`, in one call with what other requests of the same `share` ask for at the same moment."""
        self.recovery.require_over()
        return await asyncio.wrap_future(self.writer.submit_shared(command, items, share=share))


# Dependencies are coroutines throughout: a plain function would cost a change of thread for each request.
async def _service(request: Request) -> Service:
    return cast(Service, request.app.state.service)


#: The running service, for a route's signature.
TheService = Annotated[Service, Depends(_service)]
