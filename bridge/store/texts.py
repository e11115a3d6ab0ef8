"""Texts that people write for people: reasons, and the names of persons. One line, and nothing in it that is not seen.

What does not show could make one text look like another to whoever is to approve it.
"""

from exchange.errors import Invalid

#: Characters of a reason.
REASON_LENGTH_MAX = 500
#: Why a text with the character NUL is refused: no text of PostgreSQL can have it.
NO_NUL = "the character NUL cannot be in a text: leave it out"


class UnfitText(Invalid):
    """Raised when a text is empty, too long, or has characters that do not show, such as a line's end."""

    type = "unfit-text"


def plain(value: str, field: str, length_max: int) -> str:
    """The text without the spaces around it. Raises UnfitText naming `field`."""
    text = value.strip()
    if not text:
        raise UnfitText("say something here: spaces alone are no text", field=field, limit=length_max)
    if len(text) > length_max:
        raise UnfitText(
            f"at most {length_max} characters are kept here, these are {len(text)}", field=field, limit=length_max
        )
    if not text.isprintable():
        raise UnfitText(
            "write one line of characters that show: no line ends, no control characters, none without width",
            field=field,
        )
    return text
