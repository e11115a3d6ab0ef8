"""Every refusal that a caller can cause and should be told.

Only these are caught: the API turns one into a problem document, a bulk call into one item's result.
Whatever is not a `SarrafError` is a bug and nobody catches it. A family says what kind of answer is due;
the leaf's `type` says which.

    SarrafError
      Malformed                    400  the request lacks what any such request needs
        IdempotencyKeyMissing
      Unauthenticated              401
      Forbidden                    403
      NotFound                     404
        UnknownProgram  UnknownMember  UnknownQuote  UnknownTerms  UnknownOperation  UnknownLink
        UnknownHold
      Conflict                     409  well formed, but things do not stand that way
        InsufficientPoints  PointsNotFinal  CannotSplit
        HoldClosed  TooManyHolds
        EarnNotPending
        MoreThanOriginal  NotReversible  PointsSpent
        NotLinked  LinkConflict
        NoTerms  DirectionClosed  NoRoute  TermsStateConflict  GainingCycle
        QuoteExpired  QuoteUsed  TooManyQuotes
        OverCap  NotEligible  NoRate
        SymbolTaken  ProgramNotActive
      Invalid                      422  can never be right as it is
        InvalidAmount  BelowMinimum  NothingOut
        InvalidRatio  InvertedRatio  InvalidTerms  UnevenMinimum  InvalidTermsFile
        OverLimit  ReleaseTooFar
        LinkCodeInvalid
        IdempotencyKeyReused
      Unavailable                  503  right, but not now
        TooBusy

Other rooms derive their own from `SarrafError` or from a family.
"""

from typing import ClassVar


class SarrafError(Exception):
    """Root of what a caller can cause and should be told.

    `detail` is one sentence for a person; `field` names the part of the request that is at fault, `limit`
    the bound that it met and `nearest` the nearest value that would pass, where there is one.
    """

    type: ClassVar[str]
    """Stable slug, such as `insufficient-points`; part of the API and never changed."""

    def __init__(
        self,
        detail: str,
        *,
        field: str | None = None,
        limit: int | str | None = None,
        nearest: int | str | None = None,
    ) -> None:
        super().__init__(detail)
        self.detail = detail
        self.field = field
        self.limit = limit
        self.nearest = nearest


class Malformed(SarrafError):
    """Family: the request lacks what any such request needs."""


class NotFound(SarrafError):
    """Family: what the request names does not exist, or not for this caller."""


class Conflict(SarrafError):
    """Family: the request is well formed, but things do not stand that way now."""


class Invalid(SarrafError):
    """Family: the request can never be right as it is."""


class Unavailable(SarrafError):
    """Family: the request may be right, but the service cannot take it now."""


class Unauthenticated(SarrafError):
    """Raised when a request carries no key, or one that is unknown or revoked."""

    type = "unauthenticated"


class Forbidden(SarrafError):
    """Raised when a key is known but may not do this."""

    type = "forbidden"


class IdempotencyKeyMissing(Malformed):
    """Raised when a request that changes points carries no idempotency key."""

    type = "idempotency-key-missing"


class UnknownProgram(NotFound):
    """Raised when no such program exists."""

    type = "unknown-program"


class UnknownMember(NotFound):
    """Raised when no such member exists in the caller's program."""

    type = "unknown-member"


class UnknownQuote(NotFound):
    """Raised when no such quote was given to the caller's program."""

    type = "unknown-quote"


class UnknownTerms(NotFound):
    """Raised when no such terms exist between programs that the caller may see."""

    type = "unknown-terms"


class UnknownOperation(NotFound):
    """Raised when no such operation exists in the caller's program."""

    type = "unknown-operation"


class UnknownLink(NotFound):
    """Raised when no such link holds a member of the caller's program."""

    type = "unknown-link"


class UnknownHold(NotFound):
    """Raised when no such hold exists in the caller's program."""

    type = "unknown-hold"


class HoldClosed(Conflict):
    """Raised when a hold is captured or voided that is captured, voided or expired already."""

    type = "hold-closed"


class TooManyHolds(Conflict):
    """Raised when a member has as many open holds as one member may have."""

    type = "too-many-holds"


class EarnNotPending(Conflict):
    """Raised when an earn is to be changed or cancelled whose points have come, or that was cancelled before."""

    type = "earn-not-pending"


class InsufficientPoints(Conflict):
    """Raised when fewer points are available than the request would take."""

    type = "insufficient-points"


class MoreThanOriginal(Conflict):
    """Raised when reversals of one operation would take back more than it was."""

    type = "more-than-original"


class NotReversible(Conflict):
    """Raised when an operation cannot be reversed, or not yet: of another kind, failed, not final, or a holder's."""

    type = "not-reversible"


class PointsSpent(Conflict):
    """Raised when points of an earn are to be taken back that are spent, and the member may not owe so many."""

    type = "points-spent"


class PointsNotFinal(Conflict):
    """Raised when the points are there, but too few of them are final on the chain yet for a swap."""

    type = "points-not-final"


class CannotSplit(Conflict):
    """Raised when the points lie in accounts from which no split takes them without a loss in rounding."""

    type = "cannot-split"


class NotLinked(Conflict):
    """Raised when no link proves that both memberships belong to one customer."""

    type = "not-linked"


class LinkConflict(Conflict):
    """Raised when a link would join two members of one program, or a member who is linked elsewhere."""

    type = "link-conflict"


class NoTerms(Conflict):
    """Raised when no terms are in force in the direction asked for."""

    type = "no-terms"


class DirectionClosed(Conflict):
    """Raised when a direction has terms, but they are suspended, about to be replaced, or not for the member's tier."""

    type = "direction-closed"


class NoRoute(Conflict):
    """Raised when no route leads from one program to another for the amount asked for."""

    type = "no-route"


class GainingCycle(Conflict):
    """Raised when terms would complete a cycle of directions that could return more than went in."""

    type = "gaining-cycle"


class OverCap(Conflict):
    """Raised when an amount is more than a cap of the terms lets through, or lets through now."""

    type = "over-cap"


class NotEligible(Conflict):
    """Raised when too few of the points may be swapped under the terms: too young, too old, or received by a swap.

    And when none may yet, since the member or the link is too new; `nearest` is then the moment from which on.
    """

    type = "not-eligible"


class NoRate(Conflict):
    """Raised when money has to be converted and no rate between the two currencies is known."""

    type = "no-rate"


class TooManyQuotes(Conflict):
    """Raised when a member has as many open quotes as one member may have."""

    type = "too-many-quotes"


class TermsStateConflict(Conflict):
    """Raised when terms are not in the state that the step asked for begins at."""

    type = "terms-state"


class QuoteExpired(Conflict):
    """Raised when a quote is accepted after its deadline."""

    type = "quote-expired"


class QuoteUsed(Conflict):
    """Raised when a quote is accepted a second time."""

    type = "quote-used"


class SymbolTaken(Conflict):
    """Raised when another program already has the symbol."""

    type = "symbol-taken"


class ProgramNotActive(Conflict):
    """Raised when a program's token is not deployed yet, so that nothing of it can be posted."""

    type = "program-not-active"


class InvalidAmount(Invalid):
    """Raised when an amount is no whole number within the bounds that every amount has."""

    type = "invalid-amount"


class BelowMinimum(Invalid):
    """Raised when an amount is less than the minimum of the terms."""

    type = "below-minimum"


class NothingOut(Invalid):
    """Raised when an amount is so small that it converts to no whole point."""

    type = "nothing-out"


class InvalidRatio(Invalid):
    """Raised when a side of a ratio or of an earning rate is no whole number within its bounds."""

    type = "invalid-ratio"


class InvertedRatio(Invalid):
    """Raised when a ratio looks as if its two sides had been exchanged, and nobody confirmed it."""

    type = "inverted-ratio"


class UnevenMinimum(Invalid):
    """Raised when terms demand whole blocks and their minimum is no number of them."""

    type = "uneven-minimum"


class InvalidTermsFile(Invalid):
    """Raised when a file of terms cannot be read as such; `field` says where, with its line."""

    type = "invalid-terms-file"


class InvalidTerms(Invalid):
    """Raised when terms contradict themselves or go beyond what the exchange can hold."""

    type = "invalid-terms"


class OverLimit(Invalid):
    """Raised when an amount is more than a program's limit, or a cap, lets through in one piece."""

    type = "over-limit"


class ReleaseTooFar(Invalid):
    """Raised when the points of an earn are to come later than the ledger takes upon itself."""

    type = "release-too-far"


class LinkCodeInvalid(Invalid):
    """Raised when a link code is unknown, used up or out of date."""

    type = "link-code-invalid"


class IdempotencyKeyReused(Invalid):
    """Raised when an idempotency key comes back with another request than the one it named first."""

    type = "idempotency-key-reused"


class TooBusy(Unavailable):
    """Raised when a queue is at its named limit."""

    type = "too-busy"
