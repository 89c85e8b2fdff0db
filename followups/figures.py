"""What a person's leads of some days have become: counted by PostgreSQL, a PS's here, a CRE's in leads.figures.

Both mean the same by the same word; templates/desk/figures_words.html says it on the pages.

assigned    leads that came in in those days (CRE), or were given in them (PS), and are this person's
contacted   of these, those whose customer was reached: by anybody (CRE), by this PS since (PS)
won, lost   of these, those that are Won or Lost now, whenever that was
open        of these, the others
conversion  won ÷ assigned, always
first call  the first attempt, whether the customer was reached or not: since the lead came in, or was given to the PS
"""

import time
from collections.abc import Iterable, Mapping
from dataclasses import astuple, dataclass
from datetime import date, timedelta
from typing import Any, NamedTuple

from django.core.cache import cache
from django.db import connection
from django.db.models import (
    BooleanField,
    Count,
    DurationField,
    Exists,
    Expression,
    ExpressionWrapper,
    F,
    Min,
    OuterRef,
    Q,
    QuerySet,
    TimeField,
    Value,
)
from django.db.models.functions import Greatest, Least, TruncDate, TruncTime

from accounts.models import Role, User
from followups.acceptance import ACCEPT_WITHIN
from followups.catalogue import FinalStatus
from followups.kept import CLOCKS_DIFFER
from followups.models import CallAttempt, PSFollowup
from followups.periods import Period
from followups.working_hours import CLOSES, DAY, MINUTE, OPENS, WORKING_DAY

TOP = 5
KEPT_SECONDS = 5 * 60


@dataclass(frozen=True, slots=True)
class Tally:
    """How many leads, and what they have become."""

    assigned: int = 0
    contacted: int = 0
    won: int = 0
    lost: int = 0

    def __add__(self, other: "Tally") -> "Tally":
        return Tally(*(mine + theirs for mine, theirs in zip(astuple(self), astuple(other), strict=True)))

    @property
    def conversion(self) -> float | None:
        """In percent; None where there is nothing to convert."""
        return 100 * self.won / self.assigned if self.assigned else None


@dataclass(frozen=True, slots=True)
class Totals(Tally):
    """One stretch of time. `called` had their first call, half of them within `to_first_call`.

    `untouched` are open and had none. The rest is of a PS: open and spoken to, accepted in time, with a test drive.
    """

    open: int = 0
    called: int = 0
    untouched: int = 0
    pending: int = 0
    accepted: int = 0
    drives: int = 0
    to_first_call: timedelta | None = None


class Pair(NamedTuple):
    """Where a lead came from."""

    source: str
    sub_source: str


@dataclass(frozen=True, slots=True)
class Figures:
    """All of one page: the period and the one before, and the period again by source, category and day."""

    now: Totals
    before: Totals
    by_pair: Mapping[Pair, Tally]
    by_category: Mapping[str, Tally]
    by_day: Mapping[date, Tally]


# --- Counting -------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Kind:
    """What is counted, in the names of its own columns.

    `at` is the moment that puts a row into a stretch of time, `lead` the way to the lead's columns; a row counts in
    the figures whose condition it meets.
    """

    at: str
    figures: Mapping[str, Q]
    lead: str = ""


def count(
    rows: QuerySet[Any], kind: Kind, period: Period, before: Period, calls: QuerySet[Any, Any] | None = None
) -> Figures:
    """The figures of a person's `rows` in one statement, which reads each of them once.

    `rows` have their `first_call`, or else a `key`, by which they find it in `calls`.
    """
    columns = ["first_call" if calls is None else "key", *(f"is_{name}" for name in kind.figures)]
    mine = _between(rows, kind.at, period, before).annotate(
        began=F(kind.at),
        day=TruncDate(kind.at),
        earlier=_flag(Q(**{f"{kind.at}__lt": period.since})),
        from_source=F(f"{kind.lead}source"),
        from_sub_source=F(f"{kind.lead}sub_source"),
        heat=F(f"{kind.lead}lead_category"),
        **{f"is_{name}": _flag(condition) for name, condition in kind.figures.items()},
    )
    text, params = mine.order_by().values(*GROUPS, "began", *columns).query.sql_with_params()
    if calls is not None:
        found, more = calls.query.sql_with_params()
        text = f"SELECT * FROM ({text}) AS given LEFT JOIN ({found}) AS calls USING (key)"  # noqa: S608
        params = (*params, *more)
    with connection.cursor() as cursor:
        cursor.execute(_statement(text, list(kind.figures)), params)
        return _figures(cursor.fetchall(), list(kind.figures))


GROUPS = ("earlier", "day", "from_source", "from_sub_source", "heat")
# Beside those of the kind.
COUNTED = {
    "assigned": "count(*)",
    "called": "count(first_call)",
    "untouched": "count(*) FILTER (WHERE is_open AND first_call IS NULL)",
    "to_first_call": "percentile_cont(0.5) WITHIN GROUP (ORDER BY first_call - began)",
}


def _between(rows: QuerySet[Any], at: str, period: Period, before: Period) -> QuerySet[Any]:
    """The rows of both stretches. The whole span is what an index scan starts from."""
    span = Q(**{f"{at}__gte": before.since, f"{at}__lt": period.until})
    return rows.filter(span, Q(**{f"{at}__gte": period.since}) | Q(**{f"{at}__lt": before.until}))


def _flag(condition: Q) -> Expression:
    return ExpressionWrapper(condition, BooleanField())


def _statement(rows: str, figures: list[str]) -> str:
    """Nothing in it but our own names and what the ORM made of ours."""
    counted = [*(f"count(*) FILTER (WHERE is_{name})" for name in figures), *COUNTED.values()]
    return (
        f"WITH mine AS MATERIALIZED ({rows}) "  # noqa: S608
        f"SELECT {', '.join(GROUPS)}, GROUPING(day), GROUPING(heat), {', '.join(counted)} FROM mine "
        "GROUP BY GROUPING SETS ((earlier), (earlier, day), (earlier, from_source, from_sub_source, heat))"
    )


def _figures(rows: Iterable[tuple[Any, ...]], figures: list[str]) -> Figures:
    totals = {True: Totals(), False: Totals()}
    by_pair: dict[Pair, Tally] = {}
    by_category: dict[str, Tally] = {}
    by_day: dict[date, Tally] = {}
    for earlier, day, source, sub_source, heat, no_day, no_group, *counts in rows:
        counted = Totals(**dict(zip((*figures, *COUNTED), counts, strict=True)))
        tally = Tally(counted.assigned, counted.contacted, counted.won, counted.lost)
        if no_day and no_group:
            totals[earlier] = counted
        elif not earlier and no_day:
            pair = Pair(source, sub_source)
            by_pair[pair] = by_pair.get(pair, Tally()) + tally
            by_category[heat] = by_category.get(heat, Tally()) + tally
        elif not earlier:
            by_day[day] = tally
    return Figures(totals[False], totals[True], by_pair, by_category, by_day)


# --- A PS's ---------------------------------------------------------------------------------------------------------

GIVEN = Kind(
    at="assigned_at",
    figures={
        "contacted": Q(first_call_at__isnull=False),
        "won": Q(lead__final_status=FinalStatus.WON),
        "lost": Q(lead__final_status=FinalStatus.LOST),
        "open": Q(closed_at__isnull=True),
        "pending": Q(closed_at__isnull=True, first_call_at__isnull=False),
        "accepted": Q(worked__lte=ACCEPT_WITHIN * MINUTE),
        "drives": Q(lead__test_drive_at__isnull=False),
    },
    lead="lead__",
)


def ps_figures(ps: User, period: Period, before: Period) -> Figures:
    """What became of the leads that `ps` was given in the period and has, or had when they closed.

    A lead that came twice counts by the last time. Calls are found by who made them, not lead by lead.
    """
    later = PSFollowup.objects.filter(ps=OuterRef("ps"), lead=OuterRef("lead"), pk__gt=OuterRef("pk"))
    given = PSFollowup.objects.filter(~Exists(later), ps=ps, lead__ps=ps).annotate(
        key=F("pk"), worked=_worked("assigned_at", "accepted_at")
    )
    calls = CallAttempt.objects.filter(by=ps, called_at__gte=before.since, ps_followup__isnull=False)
    first_calls = calls.order_by().values(key=F("ps_followup")).annotate(first_call=Min("called_at"))
    return count(given, GIVEN, period, before, first_calls)


def _worked(since: str, until: str) -> Expression:
    """`followups.working_hours.worked` between two columns, in SQL."""

    def into_the_day(at: str) -> Least:
        return Least(Greatest(TruncTime(at), Value(OPENS, TimeField())), Value(CLOSES, TimeField()))

    days = ExpressionWrapper(TruncDate(until) - TruncDate(since), DurationField())
    hours = ExpressionWrapper(into_the_day(until) - into_the_day(since), DurationField())
    return ExpressionWrapper(days * Value(WORKING_DAY / DAY) + hours, DurationField())


# --- Colleagues -----------------------------------------------------------------------------------------------------


class Place(NamedTuple):
    """Somebody's place among colleagues; who has won as many shares it."""

    number: int
    name: str
    won: int
    own: bool


def places(
    team: str, winners: QuerySet[User], leads: str, period: Period, reader: User, saved_at: float = 0
) -> list[Place]:
    """The first TOP of `winners` by leads won in the period, whenever these came in; and `reader`, if further down.

    `leads` is the way from a person to their leads. One statement, kept for five minutes under the name of the team;
    not for whose browser has saved something since (`saved_at`, in seconds since 1970).
    """
    key = f"most-won:{team}:{period.since:%Y%m%d%H%M}:{period.until:%Y%m%d%H%M}"
    match cache.get(key):
        case [float() as counted_at, list() as rows] if counted_at > saved_at + CLOCKS_DIFFER:
            pass
        case _:
            counted_at, rows = time.time(), _most_won(winners, leads, period)
            cache.set(key, [counted_at, rows], KEPT_SECONDS)
    return _places(rows, reader)


def _most_won(winners: QuerySet[User], leads: str, period: Period) -> list[tuple[int, str, int]]:
    won = {"final_status": FinalStatus.WON, "won_at__gte": period.since, "won_at__lt": period.until}
    in_period = Q(**{f"{leads}__{name}": value for name, value in won.items()})
    counted = winners.filter(in_period, is_active=True).values_list("pk", "name").annotate(won=Count(leads))
    return sorted(counted.order_by(), key=lambda row: (-row[2], row[1]))


def _places(rows: Iterable[tuple[int, str, int]], reader: User) -> list[Place]:
    """Of rows with the most won on top."""
    found: list[Place] = []
    for index, (pk, name, won) in enumerate(rows, start=1):
        number = found[-1].number if found and found[-1].won == won else index
        found.append(Place(number, name, won, pk == reader.pk))
    return [place for index, place in enumerate(found) if index < TOP or place.own]


def places_in_branch(ps: User, period: Period, saved_at: float = 0) -> list[Place]:
    """The PS of one branch, by leads won."""
    sellers = User.objects.filter(branch=ps.branch_id, role=Role.PS)
    return places(f"branch-{ps.branch_id}", sellers, "ps_leads", period, ps, saved_at)
