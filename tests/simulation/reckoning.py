"""What a partner may be refused, and what may fail: reckoned from what the partners know and what the chain had.

It knows nothing of how the service decides. Where it cannot be sure it lets a refusal pass, so it reckons with the
least that a member must have, and with all that the ledger can have believed of the chain's limits.
"""

from collections.abc import Mapping, Sequence
from itertools import pairwise

from bridge.chain.contracts import Limit
from bridge.store import blocks, terms
from bridge.store.database import Database
from bridge.store.members import Member
from bridge.store.quotes import OPEN_QUOTES_MAX, Quote
from exchange.words import EntryKind
from tests.bridge.store.ledgers import FIRMNESS
from tests.simulation.causes import Causes, amounts_of
from tests.simulation.chain import Network, Powers
from tests.simulation.ground import FEE_MAX, RATIOS, Ground
from tests.simulation.request import EARNS, REDEMPTIONS, TAKING, Request

#: Under which limit of its program each request comes.
LIMITS = {
    "earn": Limit.ISSUANCE,
    "pending": Limit.ISSUANCE,
    "change": Limit.ISSUANCE,
    "redemption": Limit.REDEMPTION,
    "hold": Limit.REDEMPTION,
    "capture": Limit.REDEMPTION,
    "release": Limit.RELEASE,
}
#: What no partner here is ever short of, unless an admin lowers it.
CREDIT_WIDE_MICRO = 10**12


class Reckoning:
    """Reckons for one run. `requests` is everything that was ever asked, `answers` what was accepted of it."""

    def __init__(
        self, ground: Ground, network: Network, requests: Sequence[Request], answers: Mapping[Request, str]
    ) -> None:
        self.database: Database | None = None
        #: the service's clock was off, so that it took other terms for those in force
        self.clock_jumped = False
        #: offers that only a ledger had which was lost
        self.lost_offers: set[str] = set()
        self._causes = Causes(requests)
        self._ground = ground
        self._network = network
        self._requests = requests
        self._answers = answers
        self._tokens = {one.id: one.deployed_token for one in ground.programs}
        self._members = {one.id: one for one in ground.members}
        #: since which of the network's blocks the terms of an offer may have changed
        self._offered_at: dict[str, int] = {}
        self._offered: list[tuple[str, int]] = []

    # -- what was told ------------------------------------------------------------------------------

    @property
    def restored(self) -> bool:
        """Whether the ledger was put back to a copy."""
        return self._causes.restored

    @property
    def latest_ms(self) -> int:
        """The latest time that the service has seen."""
        return self._causes.latest_ms

    def noticed(self, service_ms: int) -> None:
        """The service's clock shows this."""
        self._causes.latest_ms = max(self._causes.latest_ms, service_ms)

    def quote_asked(self, member_id: str, now_ms: int) -> None:
        """The ledger may hold an offer of this moment."""
        self._offered.append((member_id, now_ms + FIRMNESS.quote_life_ms))

    def asked(self, one: Request) -> None:
        """Something is asked now: what is final may be another answer's when this one's arrives."""
        self._causes.early.discard(one)
        if one.kind == "reversal" and one.of is not None and one.of.kind in REDEMPTIONS:
            made = self._network.effects[self._ground.final_number + 1 : self._final_number() + 1]
            if not any(each.tag == one.of.tag for effects in made for each in effects):
                self._causes.early.add(one)

    def offered(self, offer: Quote) -> None:
        """An offer arrived."""
        self._offered_at[offer.id] = self._final_at()

    def put_back(self, offers: set[str]) -> None:
        """The ledger was put back to a copy with these offers."""
        self._causes.restored = True
        self.lost_offers |= self._offered_at.keys() - offers

    # -- whose points -------------------------------------------------------------------------------

    def references(self, member_id: str) -> set[bytes]:
        """Under which references a member's points may lie: those of all memberships of the customer."""
        who = self._members[member_id]
        linked = [one for one in self._ground.members if who.link_id is not None and one.link_id == who.link_id]
        return {one.reference for one in (who, *linked)}

    def member(self, member_id: str) -> Member:
        """The member with this id."""
        return self._members[member_id]

    # -- refusals -----------------------------------------------------------------------------------

    def may_refuse(self, one: Request, why: str, now_ms: int) -> bool:
        """Whether there is a cause to refuse this, as far as the partners' and the chain's words go."""
        if why == "over-limit":
            return self._over_limit(one)
        if why == "insufficient-points" and one.kind in TAKING:
            return self._held_at_least(one) < self._needs(one)
        if one.kind == "swap":
            return self._may_refuse_swap(one, why, now_ms)
        if why == "cannot-split":
            return self._in_several_accounts(one.member_id)
        if why == "idempotency-key-reused":
            return self._is_changed(one)
        return self._causes.may_refuse(one, why, self._held_at_least(one))

    def _is_changed(self, one: Request) -> bool:
        """Whether it is an earn that a lost ledger changed: the chain tells of other points than the partner does."""
        return self.restored and one.kind == "pending" and len(amounts_of(self._requests, one)) > 1

    def _may_refuse_swap(self, one: Request, why: str, now_ms: int) -> bool:
        offer = one.offer
        assert offer is not None
        match why:
            case "quote-expired":
                return now_ms > offer.expires_ms
            case "quote-used":
                return any(each.offer is offer and each is not one and each.taken_max for each in self._requests)
            case "points-not-final":
                return self._final_at_least(one) < self._needs(one)
            case "no-terms" | "direction-closed":
                return self._terms_changed(offer)
            case "cannot-split":
                return self._in_several_accounts(one.member_id)
            case "unknown-quote":
                return offer.id in self.lost_offers
        return False

    def may_refuse_quote(self, member_id: str, path: Sequence[str], amount: int, why: str, now_ms: int) -> bool:
        """Whether there is a cause to make no offer."""
        hops = list(pairwise(self._tokens[each] for each in path))
        match why:
            case "insufficient-points":
                return self._holds_at_least(member_id, None) < amount + FEE_MAX
            case "too-many-quotes":
                known = [each for who, each in self._offered if who == member_id and each >= now_ms]
                return len(known) > OPEN_QUOTES_MAX
            case "no-terms" | "direction-closed":
                return self._may_be_closed(hops)
            case "over-limit":
                return self._may_be_lowered(hops, amount)
            case "no-route":
                return len(path) > 2  # what a program between takes or gives is agreed in the ground
            case "nothing-out" | "below-minimum":
                return amount <= _NOTHING_MAX
        return False

    # -- failures -----------------------------------------------------------------------------------

    def may_fail(self, offer: Quote) -> bool:
        """Whether a swap that was accepted can have become impossible."""
        return self._terms_changed(offer) or self._lowered_below(offer, self._offered_at.get(offer.id, 0))

    # -- points -------------------------------------------------------------------------------------

    def _needs(self, one: Request) -> int:
        return one.points + (0 if one.offer is None else one.offer.fee_points)

    def _held_at_least(self, one: Request) -> int:
        return self._holds_at_least(one.member_id, one)

    def _holds_at_least(self, member_id: str, but: Request | None) -> int:
        """What a member must have to spend: what came for sure, less all that may have gone."""
        came = sum(
            each.points
            for each in self._requests
            if each.kind == "earn" and each.member_id == member_id and each in self._answers
        )
        return self._alive(member_id) + came - self._gone_at_most(member_id, but)

    def _alive(self, member_id: str) -> int:
        """What of a member's first points cannot have expired: what expires goes first, but this counts it as spent."""
        return self._ground.alive(member_id, self._causes.latest_ms + 1_000)

    def _gone_at_most(self, member_id: str, but: Request | None) -> int:
        theirs = [each for each in self._requests if each.member_id == member_id and each is not but]
        # The hold of a capture can be lost with a ledger, and authorised anew.
        twice = (each.points for each in theirs if self.restored and each.kind == "capture" and each.may_stand)
        return sum(each.taken_max for each in theirs) + sum(twice)

    def _final_at_least(self, one: Request) -> int:
        """What of it a swap may take: earns that are final for the ledger."""
        who = self._members[one.member_id]
        token, final = self._tokens[who.program_id], self._final_number()
        came = sum(
            each.change
            for made in self._network.effects[self._ground.final_number + 1 : final + 1]
            for each in made
            if (each.token, each.reference, each.kind) == (token, who.reference, EntryKind.EARN)
        )
        return self._alive(one.member_id) + came - self._gone_at_most(one.member_id, one)

    def _in_several_accounts(self, member_id: str) -> bool:
        """Whether a swap may have brought points under another membership's reference."""
        who = self._members[member_id]
        return any(
            each.offer is not None
            and each.offer.to_program_id == who.program_id
            and self._members[each.member_id].link_id == who.link_id
            for each in self._requests
        )

    # -- limits and terms ---------------------------------------------------------------------------

    def _final_number(self) -> int:
        assert self.database is not None
        with self.database.read() as connection:
            final = blocks.newest_final(connection)
        assert final is not None
        return final.number

    def _final_at(self) -> int:
        """Where the ledger's newest final block stands among all that were ever made."""
        assert self.database is not None
        with self.database.read() as connection:
            final = blocks.newest_final(connection)
        assert final is not None
        return self._network.made_at[final.hash]

    def _since(self, at: int) -> Sequence[Powers]:
        return self._network.decided[at:]

    def _over_limit(self, one: Request) -> bool:
        if one.offer is not None:
            return self._lowered_below(one.offer, self._final_at())
        name = _limit_of(one)
        if name is None:
            return False
        limit = self._tokens[one.program.id], name
        return any(each.limits[limit].capacity < abs(one.points) for each in self._since(self._final_at()))

    def _lowered_below(self, offer: Quote, since: int) -> bool:
        """Whether a cap or what a program may owe was so low that the swap might not fit."""
        hops = [((self._tokens[each.from_program_id], self._tokens[each.to_program_id]), each) for each in offer.hops]
        return any(
            powers.caps.get(hop, terms.MANAGED_CAP) < told.amount_in
            or powers.credit_limits.get(hop[0], CREDIT_WIDE_MICRO) < CREDIT_WIDE_MICRO
            for powers in self._since(since)
            for hop, told in hops
        )

    def _may_be_lowered(self, hops: Sequence[tuple[bytes, bytes]], amount: int) -> bool:
        most = amount * _GROWTH_MAX
        return any(
            powers.caps.get(hop, terms.MANAGED_CAP) < most
            or powers.credit_limits.get(hop[0], CREDIT_WIDE_MICRO) < CREDIT_WIDE_MICRO
            for powers in self._since(self._final_at())
            for hop in hops
        )

    def _terms_changed(self, offer: Quote) -> bool:
        """Whether there was ever another version than one and the same since the ledger can have known the offer's."""
        since = 0 if self._knows_no_time else self._offered_at.get(offer.id, 0)
        hops = [(self._tokens[each.from_program_id], self._tokens[each.to_program_id]) for each in offer.hops]
        return any(len({_version(each, hop) for each in self._since(since)}) > 1 for hop in hops) or self.clock_jumped

    def _may_be_closed(self, hops: Sequence[tuple[bytes, bytes]]) -> bool:
        if self.clock_jumped:
            return True
        versions = [{_version(each, hop) for each in self._since(0)} for hop in hops]
        if self._knows_no_time:
            return any(len(each) > 1 for each in versions)
        return any(_version(each, hop) is None for hop in hops for each in self._since(self._final_at()))

    @property
    def _knows_no_time(self) -> bool:
        """Whether the ledger may go by older terms than those of the newest final block."""
        return self.clock_jumped or self.restored


def _limit_of(one: Request) -> Limit | None:
    if one.kind == "reversal":
        assert one.of is not None
        return Limit.REDEMPTION if one.of.kind in EARNS else Limit.ISSUANCE
    if one.kind in ("proposal", "approval"):
        return Limit.ISSUANCE if one.points > 0 else Limit.REDEMPTION
    return LIMITS.get(one.kind)


def _version(powers: Powers, hop: tuple[bytes, bytes]) -> int | None:
    found = powers.terms.get(hop)
    return None if found is None else found[2]


#: The most that a point becomes before the last of three hops.
_GROWTH_MAX = max(-(-to_units // from_units) for from_units, to_units in RATIOS) ** 2
#: The most of which nothing may arrive after three hops and a fee.
_NOTHING_MAX = max(-(-from_units // to_units) for from_units, to_units in RATIOS) ** 3 + FEE_MAX
