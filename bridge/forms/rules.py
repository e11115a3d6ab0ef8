"""Rules as a form: `exchange.rules` as a request's body, a file and the ledger write them.

`RulesForm.of(rules).rules() == rules`, also by way of `model_dump(mode="json", exclude_defaults=True)` and
`model_validate`. Fields have the names of `exchange.rules` and mean the same, except that a condition `ends` there is
`before` here: `before: 2026-03-01` is up to the last second of February.
"""

from typing import Self

from pydantic import Field, ValidationError

from bridge.forms import spelling
from bridge.forms.faults import faults_of
from bridge.forms.fields import (
    ExceptTiers,
    Flag,
    MomentField,
    MoneyField,
    Part,
    RatioField,
    RowField,
    ShareField,
    Text,
    Tiers,
    Whole,
)
from bridge.forms.spelling import Money
from exchange.errors import InvalidTerms
from exchange.points import MICRO_UNITS_MAX, MicroUnits, Points
from exchange.rules import (
    FEE_MAX,
    Bonus,
    Cap,
    Eligible,
    Expiry,
    Fee,
    MoneyFee,
    Period,
    PointsFee,
    Received,
    Rounding,
    Rules,
    Scope,
    Side,
    TierMinimum,
    When,
)


def _points(number: int | None) -> Points | None:
    return None if number is None else Points(number)


class WhenForm(Part):
    """Under which circumstances a bonus or a fee counts; what is left out always holds."""

    tiers: Tiers = ()
    except_tiers: ExceptTiers = ()
    starts: MomentField | None = Field(default=None, description="the first second; a day means its beginning in UTC")
    before: MomentField | None = Field(
        default=None, description="the first second after; a day means its beginning in UTC"
    )
    at_least: Whole | None = Field(default=None, description="source points in one transfer", examples=[10_000])
    nth_per: Period | None = Field(
        default=None, description="the period whose transfers are counted", examples=["year"]
    )
    nth_from: Whole = Field(default=1, description="the first of the period's transfers that counts", examples=[1])
    nth_to: Whole | None = Field(
        default=None, description="the last of the period's transfers that counts", examples=[2]
    )

    @classmethod
    def of(cls, when: When) -> Self:
        """The form of a condition. Raises `InvalidTerms` for moments beyond the year 9999."""
        texts = {
            name: spelling.spell_moment(moment)
            for name, moment in (("starts", when.starts), ("before", when.ends))
            if moment is not None
        }
        return cls.model_validate(
            {
                **texts,
                "tiers": sorted(when.tiers),
                "except_tiers": sorted(when.except_tiers),
                "at_least": when.at_least,
                "nth_per": when.nth_per,
                "nth_from": when.nth_from,
                "nth_to": when.nth_to,
            }
        )

    def core(self) -> When:
        """The condition itself."""
        if self.starts is not None and self.before is not None and self.before <= self.starts:
            raise InvalidTerms(
                "what ends must begin before",
                field="when.before",
                limit=spelling.spell_moment(self.starts),
                nearest=self._least_before(self.starts, self.before),
            )
        return When(
            tiers=frozenset(self.tiers),
            except_tiers=frozenset(self.except_tiers),
            starts=self.starts,
            ends=self.before,
            at_least=_points(self.at_least),
            nth_per=self.nth_per,
            nth_from=self.nth_from,
            nth_to=self.nth_to,
        )

    @staticmethod
    def _least_before(starts: int, before: int) -> str | None:
        """The nearest end: a day later where both are days, otherwise a second; None where time ends before."""
        step = 1 if starts % spelling.DAY_S or before % spelling.DAY_S else spelling.DAY_S
        return None if starts + step > spelling.MOMENT_MAX else spelling.spell_moment(starts + step)


class CapForm(Part):
    """The most that may go in a period: so many points, so many transfers, or both."""

    per: Period = Field(examples=["year"])
    points: Whole | None = Field(default=None, examples=[100_000])
    count: Whole | None = Field(default=None, description="transfers in the period", examples=[1])
    side: Side = Field(default=Side.OUT, description="out: source points; in: destination points", examples=["out"])
    scope: Scope = Field(default=Scope.MEMBER, examples=["member"])
    shared: Flag = Field(
        default=False, description="counts all directions whose terms name the same group", examples=[True]
    )
    tiers: Tiers = ()
    except_tiers: ExceptTiers = ()

    @classmethod
    def of(cls, cap: Cap) -> Self:
        """The form of a cap."""
        return cls(
            per=cap.per,
            points=cap.points,
            count=cap.count,
            side=cap.side,
            scope=cap.scope,
            shared=cap.shared,
            tiers=tuple(sorted(cap.tiers)),
            except_tiers=tuple(sorted(cap.except_tiers)),
        )

    def core(self) -> Cap:
        """The cap itself."""
        return Cap(
            per=self.per,
            points=_points(self.points),
            count=self.count,
            side=self.side,
            scope=self.scope,
            shared=self.shared,
            tiers=frozenset(self.tiers),
            except_tiers=frozenset(self.except_tiers),
        )


class BonusForm(Part):
    """More than the ratio gives, in destination points: exactly one of `ratio`, `share`, `per` and `flat`."""

    name: Text = Field(examples=["spring promotion"])
    ratio: RatioField | None = Field(default=None, description="the amount converts at this better ratio")
    share: ShareField | None = Field(default=None, description="so much more of what the ratio gives")
    per: RowField | None = Field(default=None, description="60000:5000 is 5,000 more for each 60,000 source points")
    flat: Whole | None = Field(default=None, description="so many more for the transfer", examples=[500])
    when: WhenForm = WhenForm()
    group: Text | None = Field(default=None, description="only the best of a group counts", examples=["promotions"])
    most: Whole | None = Field(default=None, description="the most that one transfer gets of it", examples=[10_000])
    member_most: Whole | None = Field(
        default=None, description="the most that one member gets of it in all, in the time that member_per says"
    )
    member_per: Period = Field(default=Period.EVER, description="day, week, month, year or ever", examples=["year"])

    @classmethod
    def of(cls, bonus: Bonus) -> Self:
        """The form of a bonus."""
        return cls(
            name=bonus.name,
            ratio=bonus.ratio,
            share=bonus.share,
            per=bonus.per,
            flat=bonus.flat,
            when=WhenForm.of(bonus.when),
            group=bonus.group,
            most=bonus.most,
            member_most=bonus.member_most,
            member_per=bonus.member_per,
        )

    def core(self) -> Bonus:
        """The bonus itself."""
        return Bonus(
            name=self.name,
            ratio=self.ratio,
            share=self.share,
            per=self.per,
            flat=_points(self.flat),
            when=self.when.core(),
            group=self.group,
            most=_points(self.most),
            member_most=_points(self.member_most),
            member_per=self.member_per,
        )


class FeeForm(Part):
    """A fee: in source points, burned on top, or in money. Each is a flat amount, a rate, or both, up to a ceiling.

    Points are `points` and `points_rate`, up to `points_ceiling`; money is `flat` and `rate`, up to `ceiling`. A rate
    is for each `per` points begun.
    """

    points: Whole | None = Field(default=None, description="source points", examples=[500])
    points_rate: Whole | None = Field(default=None, description="source points for each per points", examples=[10])
    points_ceiling: Whole | None = Field(default=None, examples=[5_000])
    flat: MoneyField | None = None
    rate: MoneyField | None = None
    per: Whole = Field(default=1, description="source points that the rate is for", examples=[1000])
    ceiling: MoneyField | None = None
    when: WhenForm = WhenForm()

    @classmethod
    def of(cls, fee: Fee) -> Self:
        """The form of a fee."""
        when = WhenForm.of(fee.when)
        if isinstance(fee, PointsFee):
            return cls(
                points=fee.points or None,
                points_rate=fee.rate or None,
                per=fee.per,
                points_ceiling=fee.ceiling,
                when=when,
            )
        flat, rate = Money(fee.currency, fee.flat), Money(fee.currency, fee.rate)
        ceiling = None if fee.ceiling is None else Money(fee.currency, fee.ceiling)
        return cls(
            flat=flat if flat.micro else None,
            rate=rate if rate.micro else None,
            per=fee.per,
            ceiling=ceiling,
            when=when,
        )

    def core(self) -> Fee:
        """The fee itself."""
        sums = {name: sum_ for name in ("flat", "rate", "ceiling") if (sum_ := getattr(self, name)) is not None}
        in_points = [name for name in ("points", "points_rate", "points_ceiling") if getattr(self, name) is not None]
        if in_points:
            if sums or (self.points_rate is None and self.per != 1):
                raise InvalidTerms("a fee is in points or in money: two fees say both", field=f"fees.{in_points[0]}")
            return self._in_points()
        currencies = sorted({each.currency for each in sums.values()})
        if not currencies:
            raise InvalidTerms("a fee says points, points_rate, flat or rate, such as SGD 27.25", field="fees.flat")
        if len(currencies) > 1:
            odd = next(name for name, each in sums.items() if each.currency != sums[next(iter(sums))].currency)
            raise InvalidTerms(f"one fee is in one currency, not in {' and '.join(currencies)}", field=f"fees.{odd}")
        self._check_sizes()
        return MoneyFee(
            currency=currencies[0],
            flat=MicroUnits(0) if self.flat is None else self.flat.micro,
            rate=MicroUnits(0) if self.rate is None else self.rate.micro,
            per=Points(self.per),
            ceiling=None if self.ceiling is None else self.ceiling.micro,
            when=self.when.core(),
        )

    def _in_points(self) -> PointsFee:
        return PointsFee(
            points=Points(self.points or 0),
            when=self.when.core(),
            rate=Points(self.points_rate or 0),
            per=Points(self.per),
            ceiling=_points(self.points_ceiling),
        )

    def _check_sizes(self) -> None:
        """Bounds that `exchange` has too, told in money and not in micro-units."""
        for name, least, most in (("flat", 0, FEE_MAX), ("rate", 0, FEE_MAX), ("ceiling", 1, MICRO_UNITS_MAX)):
            sum_: Money | None = getattr(self, name)
            if sum_ is not None and not least <= sum_.micro <= most:
                bound = spelling.spell_money(Money(sum_.currency, MicroUnits(min(max(sum_.micro, least), most))))
                said = "at least" if sum_.micro < least else "at most"
                raise InvalidTerms(f"{name} is {said} {bound}", field=f"fees.{name}", limit=bound, nearest=bound)


class EligibleForm(Part):
    """Which of a member's points may go, in days since they were earned and until they expire, and who may swap."""

    age_min_days: Whole = Field(default=0, examples=[30])
    age_max_days: Whole | None = Field(default=None, examples=[21])
    left_min_days: Whole = Field(default=0, examples=[90])
    earned_only: Flag = Field(default=False, description="leaves out points that a swap brought", examples=[True])
    member_min_days: Whole = Field(default=0, description="since the member joined the source program", examples=[30])
    linked_min_days: Whole = Field(
        default=0, description="since the memberships at source and destination were linked", examples=[7]
    )

    @classmethod
    def of(cls, eligible: Eligible) -> Self:
        """The form of what makes points eligible."""
        return cls(
            age_min_days=eligible.age_min_days,
            age_max_days=eligible.age_max_days,
            left_min_days=eligible.left_min_days,
            earned_only=eligible.earned_only,
            member_min_days=eligible.member_min_days,
            linked_min_days=eligible.linked_min_days,
        )

    def core(self) -> Eligible:
        """What makes points eligible."""
        return Eligible(
            age_min_days=self.age_min_days,
            age_max_days=self.age_max_days,
            left_min_days=self.left_min_days,
            earned_only=self.earned_only,
            member_min_days=self.member_min_days,
            linked_min_days=self.linked_min_days,
        )


class ReceivedForm(Part):
    """What becomes of received points: when they expire, and whether they may be swapped again."""

    expiry: Expiry = Field(default=Expiry.RESTARTS, examples=["restarts"])
    days: Whole | None = Field(
        default=None, description="after which they expire, where expiry shortens", examples=[90]
    )
    onward: Flag = Field(default=True, description="whether they may be swapped again", examples=[False])

    @classmethod
    def of(cls, received: Received) -> Self:
        """The form of what becomes of received points."""
        return cls(expiry=received.expiry, days=received.days, onward=received.onward)

    def core(self) -> Received:
        """What becomes of received points."""
        return Received(expiry=self.expiry, days=self.days, onward=self.onward)


class TierMinimumForm(Part):
    """Another minimum for members in some tiers."""

    tiers: Tiers
    minimum: Whole = Field(examples=[1000])

    @classmethod
    def of(cls, minimum: TierMinimum) -> Self:
        """The form of a tier's minimum."""
        return cls(tiers=tuple(sorted(minimum.tiers)), minimum=minimum.minimum)

    def core(self) -> TierMinimum:
        """The tier's minimum itself."""
        return TierMinimum(frozenset(self.tiers), Points(self.minimum))


class RulesForm(Part):
    """Everything that terms say beyond ratio, minimum, increment and price."""

    amounts: tuple[Whole, ...] = Field(
        default=(), description="the only valid amounts, rising", examples=[[2835, 5670]]
    )
    rounding: Rounding = Field(
        default=Rounding.FLOOR, description="whole: only what converts without a fraction is valid"
    )
    blocks: Flag = Field(default=False, description="the minimum must be a multiple of the increment", examples=[True])
    minimums: tuple[TierMinimumForm, ...] = ()
    tiers: Tiers = ()
    except_tiers: ExceptTiers = ()
    group: Text | None = Field(
        default=None, description="the partner group that shared caps count together", examples=["A"]
    )
    caps: tuple[CapForm, ...] = ()
    bonuses: tuple[BonusForm, ...] = ()
    fees: tuple[FeeForm, ...] = ()
    eligible: EligibleForm = EligibleForm()
    received: ReceivedForm = ReceivedForm()
    notice_days: Whole = Field(
        default=0, description="other terms are consented to so long before they begin", examples=[30]
    )

    @classmethod
    def of(cls, rules: Rules) -> Self:
        """The form of rules. Raises `InvalidTerms` for moments beyond the year 9999, which have no date."""
        return cls(
            amounts=rules.amounts,
            rounding=rules.rounding,
            blocks=rules.blocks,
            minimums=tuple(TierMinimumForm.of(each) for each in rules.minimums),
            tiers=tuple(sorted(rules.tiers)),
            except_tiers=tuple(sorted(rules.except_tiers)),
            group=rules.group,
            caps=tuple(CapForm.of(each) for each in rules.caps),
            bonuses=tuple(BonusForm.of(each) for each in rules.bonuses),
            fees=tuple(FeeForm.of(each) for each in rules.fees),
            eligible=EligibleForm.of(rules.eligible),
            received=ReceivedForm.of(rules.received),
            notice_days=rules.notice_days,
        )

    @classmethod
    def read(cls, value: object, field: str = "rules") -> Rules:
        """The rules that `value`, as JSON has it, says.

        Raises `InvalidTerms` for the first fault, naming its field below `field`.
        """
        try:
            return cls.model_validate(value).rules()
        except ValidationError as error:
            fault = faults_of(error.errors(), cls)[0]
            where = ".".join(filter(None, (field, fault.field)))
            raise InvalidTerms(
                f"{where}: {fault.detail}", field=where, limit=fault.limit, nearest=fault.nearest
            ) from None

    def core(self) -> object:
        """The rules; what is built on this form checks more."""
        return self.rules()

    def rules(self) -> Rules:
        """The rules themselves."""
        return Rules(
            amounts=tuple(Points(each) for each in self.amounts),
            rounding=self.rounding,
            blocks=self.blocks,
            minimums=tuple(each.core() for each in self.minimums),
            tiers=frozenset(self.tiers),
            except_tiers=frozenset(self.except_tiers),
            group=self.group,
            caps=tuple(each.core() for each in self.caps),
            bonuses=tuple(each.core() for each in self.bonuses),
            fees=tuple(each.core() for each in self.fees),
            eligible=self.eligible.core(),
            received=self.received.core(),
            notice_days=self.notice_days,
        )

    def written(self) -> dict[str, object]:
        """The form as JSON, without what goes without saying: what the ledger keeps and the API answers."""
        return self.model_dump(mode="json", exclude_defaults=True, by_alias=True)
