"""Violations: which invariant of a run is broken."""

#: Which invariant is broken when an assertion of that letter fails.
LETTERS = {
    "A": "conservation",
    "B": "exactly once",
    "C": "no overdraft",
    "D": "firm",
    "F": "consent",
    "I": "integer",
    "K": "held points are captured or freed, and nobody else's",
    "L": "liveness: everything comes to rest",
    "O": "no more is taken back than there was, and what is owed is paid once",
    "P": "two persons: nothing is adjusted that another has not approved",
    "R": "a refusal or a failure has a cause",
    "T": "no false alarm: the breaker trips only for theft",
    "X": "expired points are never spent, and burned once",
}


class Violation(Exception):
    """Raised when something that must always hold does not. The first letter says what."""

    def __init__(self, letter: str, told: str) -> None:
        super().__init__(f"{letter} ({LETTERS[letter]}): {told}")
        self.letter = letter
