"""Who is a member where: a household belongs to the programs of the shops where it buys."""

from collections.abc import Iterable, Mapping
from zlib import crc32

from bridge.demo.events import KINDS, Coupon, Purchase


def member_number(household: str) -> str:
    """The number under which a program knows a household."""
    return f"household-{household}"


def memberships(purchases: Iterable[Purchase]) -> dict[str, tuple[str, ...]]:
    """For each household, in order of its first purchase, the kinds of shop where it buys."""
    kinds: dict[str, set[str]] = {}
    for purchase in purchases:
        kinds.setdefault(purchase.household, set()).add(purchase.kind)
    return {household: tuple(k for k in KINDS if k in found) for household, found in kinds.items()}


def split_coupons(coupons: Iterable[Coupon], kinds: Mapping[str, tuple[str, ...]]) -> tuple[list[Coupon], int]:
    """The coupons of grocery members, and how many belong to households that are none."""
    members: list[Coupon] = []
    strangers = 0
    for coupon in coupons:
        if "grocery" in kinds.get(coupon.household, ()):
            members.append(coupon)
        else:
            strangers += 1
    return members, strangers


def share(household: str, parts: int) -> int:
    """Which of `parts` parts a household falls into: the same one on every run and every machine."""
    return crc32(household.encode()) % parts
