"""Notices: which days of expiry members are to be told of today, so many days ahead."""

from collections.abc import Iterable

#: The longest time ahead of an expiry, in days, and how many different ones a program may choose.
LEAD_DAYS_MAX = 365
LEADS_MAX = 8


def days_to_tell(leads: Iterable[int], lead: int, today: int) -> range:
    """The days whose expiry is told `lead` days ahead, or as late as today.

    Where the telling was late, one notice does for each day: the one of the shortest lead that is due. So these are the
    days behind those that a shorter lead reaches, and none that is over. `lead` is one of `leads`.
    """
    shorter = max((one for one in leads if one < lead), default=-1)
    return range(today + shorter + 1, today + lead + 1)
