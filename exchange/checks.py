"""Checks of single values in terms, each naming the field that is at fault."""

from exchange.errors import InvalidTerms

NAME_MAX = 64
"""Characters of a name that terms give to a tier, a group or a bonus."""

NAMES_MAX = 64
"""Tiers that one condition may name."""


def check_whole(field_name: str, value: object, least: int, most: int) -> None:
    """Raises `InvalidTerms` unless `value` is a whole number from `least` to `most`."""
    if type(value) is not int:
        raise InvalidTerms(f"{field_name} is a whole number", field=field_name)
    if value < least:
        raise InvalidTerms(f"{field_name} is at least {least}", field=field_name, limit=least, nearest=least)
    if value > most:
        raise InvalidTerms(f"{field_name} is at most {most}", field=field_name, limit=most, nearest=most)


def check_currency(field_name: str, value: str) -> None:
    """Raises `InvalidTerms` unless `value` is written like an ISO 4217 code."""
    if not _is_currency(value):
        said = f"{field_name} is three capital letters, such as USD"
        raise InvalidTerms(said, field=field_name, nearest=value.upper() if _is_currency(value.upper()) else None)


def _is_currency(value: str) -> bool:
    return len(value) == 3 and value.isascii() and value.isalpha() and value.isupper()


def check_name(field_name: str, value: str) -> None:
    """Raises `InvalidTerms` unless `value` has from 1 to `NAME_MAX` characters that can be seen, and blanks between."""
    if not 1 <= len(value) <= NAME_MAX:
        nearest = value[:NAME_MAX] or None
        raise InvalidTerms(
            f"{field_name} has 1 to {NAME_MAX} characters", field=field_name, limit=NAME_MAX, nearest=nearest
        )
    if not value.isprintable() or value != value.strip():
        # What cannot be printed breaks answers (half a character), or turns a text around before the reader's eyes.
        seen = "".join(each for each in value if each.isprintable()).strip()
        raise InvalidTerms(
            f"{field_name} has characters that can be seen, and none else", field=field_name, nearest=seen or None
        )


def check_names(field_name: str, names: frozenset[str]) -> None:
    """Raises `InvalidTerms` unless each of the names is one, and there are no more than `NAMES_MAX`."""
    if len(names) > NAMES_MAX:
        raise InvalidTerms(
            f"{field_name} are at most {NAMES_MAX} names", field=field_name, limit=NAMES_MAX, nearest=NAMES_MAX
        )
    for name in names:
        check_name(field_name, name)
