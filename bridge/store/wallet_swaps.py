"""What a holder's own swap would give under the terms in force, and whether they let it."""

from collections.abc import Sequence
from itertools import pairwise

import sqlalchemy as sa

from bridge.store import paths, programs, terms
from bridge.store.paths import PATH_PROGRAMS_MAX, InvalidPath
from exchange.errors import Conflict, InvalidAmount, NothingOut, OverLimit
from exchange.points import POINTS_MAX, Points
from exchange.ratio import Ratio

__all__ = ["PATH_PROGRAMS_MAX", "ClosedToWallets", "InvalidPath", "outcome"]


class ClosedToWallets(Conflict):
    """Raised when terms of the path are not open to holders of wallets."""

    type = "closed-to-wallets"


def outcome(connection: sa.Connection, path: Sequence[str], amount: Points, now_ms: int) -> Points:
    """What arrives at the end of the path for `amount`, rounded down at each hop as the contract does.

    Raises InvalidPath, UnknownProgram, ProgramNotActive, NoTerms, DirectionClosed, ClosedToWallets, OverLimit,
    NothingOut and InvalidAmount. A cap that is used up for now, or a credit limit, only the chain tells.
    """
    paths.require(path)
    for program_id in path:
        assert programs.by_id(connection, program_id).deployed_token
    for source, destination in pairwise(path):
        agreed = terms.in_force(connection, source, destination, now_ms)
        if agreed.wallet_cap == 0:
            raise ClosedToWallets(
                f"the terms from {source} to {destination} are not open to holders of wallets", field="path"
            )
        if unbound := agreed.agreed().rules.bound_only_here:
            raise ClosedToWallets(
                f"the terms from {source} to {destination} have rules that hold on no chain: {', '.join(unbound)}",
                field="path",
            )
        if amount > agreed.wallet_cap:
            raise OverLimit(
                f"the terms from {source} to {destination} let wallets swap {agreed.wallet_cap:,} points in a period,"
                f" {amount:,} can never be swapped",
                field="points",
                limit=agreed.wallet_cap,
            )
        amount = Ratio(Points(agreed.from_units), Points(agreed.to_units)).convert(amount)
        if amount == 0:
            raise NothingOut(f"nothing arrives from {source} at {destination}", field="points")
        if amount > POINTS_MAX:
            raise InvalidAmount("more arrives than one swap can carry", field="points", limit=POINTS_MAX)
    return amount
