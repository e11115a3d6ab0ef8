"""Refusals: their families, their slugs, and that the drawing tells the truth."""

import re

import pytest

from exchange import errors
from exchange.errors import SarrafError

SLUGS = {
    "DirectionClosed": "direction-closed",
    "GainingCycle": "gaining-cycle",
    "InvalidTermsFile": "invalid-terms-file",
    "InvertedRatio": "inverted-ratio",
    "NoRate": "no-rate",
    "NoRoute": "no-route",
    "NotEligible": "not-eligible",
    "OverCap": "over-cap",
    "TooManyHolds": "too-many-holds",
    "TooManyQuotes": "too-many-quotes",
    "UnevenMinimum": "uneven-minimum",
    "BelowMinimum": "below-minimum",
    "CannotSplit": "cannot-split",
    "EarnNotPending": "earn-not-pending",
    "Forbidden": "forbidden",
    "HoldClosed": "hold-closed",
    "IdempotencyKeyMissing": "idempotency-key-missing",
    "IdempotencyKeyReused": "idempotency-key-reused",
    "InsufficientPoints": "insufficient-points",
    "InvalidAmount": "invalid-amount",
    "InvalidRatio": "invalid-ratio",
    "InvalidTerms": "invalid-terms",
    "OverLimit": "over-limit",
    "LinkCodeInvalid": "link-code-invalid",
    "LinkConflict": "link-conflict",
    "MoreThanOriginal": "more-than-original",
    "NotReversible": "not-reversible",
    "PointsSpent": "points-spent",
    "NoTerms": "no-terms",
    "NotLinked": "not-linked",
    "NothingOut": "nothing-out",
    "PointsNotFinal": "points-not-final",
    "ProgramNotActive": "program-not-active",
    "QuoteExpired": "quote-expired",
    "QuoteUsed": "quote-used",
    "ReleaseTooFar": "release-too-far",
    "SymbolTaken": "symbol-taken",
    "TermsStateConflict": "terms-state",
    "TooBusy": "too-busy",
    "Unauthenticated": "unauthenticated",
    "UnknownHold": "unknown-hold",
    "UnknownLink": "unknown-link",
    "UnknownMember": "unknown-member",
    "UnknownOperation": "unknown-operation",
    "UnknownProgram": "unknown-program",
    "UnknownQuote": "unknown-quote",
    "UnknownTerms": "unknown-terms",
}
FAMILIES = {"Malformed", "NotFound", "Conflict", "Invalid", "Unavailable"}
CLASSES = {
    name: each
    for name, each in vars(errors).items()
    if isinstance(each, type) and issubclass(each, SarrafError) and each is not SarrafError
}


def drawn_parents() -> dict[str, str]:
    """Each class that the module's docstring draws, with the class that it is drawn under."""
    parents: dict[str, str] = {}
    family = ""
    for line in (errors.__doc__ or "").splitlines():
        if match := re.fullmatch(r"      (\w+) +\d{3}\b.*", line):
            family = match[1]
            parents[family] = "SarrafError"
        elif re.fullmatch(r"        \w+(  \w+)*", line):
            parents |= dict.fromkeys(line.split(), family)
    return parents


def test_slugs__of_every_refusal__are_the_published_ones() -> None:
    assert {name: each.type for name, each in CLASSES.items() if name not in FAMILIES} == SLUGS


def test_families__as_kinds_of_answer__have_no_slug_of_their_own() -> None:
    assert not [name for name in FAMILIES if hasattr(CLASSES[name], "type")]


def test_drawing__in_the_docstring__is_the_hierarchy() -> None:
    assert drawn_parents() == {name: each.__bases__[0].__name__ for name, each in CLASSES.items()}


@pytest.mark.parametrize("name", SLUGS)
def test_docstring__of_a_refusal__says_when_it_is_raised(name: str) -> None:
    assert (CLASSES[name].__doc__ or "").startswith("Raised when ")


def test_refusal__with_all_it_can_say__keeps_it() -> None:
    error = errors.BelowMinimum("at least 1,000", field="amount_in", limit=1000, nearest=1000)
    assert (str(error), error.detail) == ("at least 1,000", "at least 1,000")
    assert (error.field, error.limit, error.nearest) == ("amount_in", 1000, 1000)


def test_refusal__with_a_sentence_only__names_nothing_else() -> None:
    error = errors.QuoteExpired("the quote has expired")
    assert (error.field, error.limit, error.nearest) == (None, None, None)
