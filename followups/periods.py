"""Stretches of days in the dealer's time zone, each from a moment until just before another.

An address names one: ?period=week, or ?period=range&from=2026-11-01&to=2026-11-22 with the last day included.
"""

from collections.abc import Mapping
from datetime import UTC, date, datetime, time, timedelta
from typing import NamedTuple

from django.utils import timezone

TODAY, WEEK, MONTH, LAST_MONTH, RANGE = "today", "week", "month", "last-month", "range"
WORDS = {TODAY: "Today", WEEK: "This week", MONTH: "This month", LAST_MONTH: "Last month", RANGE: "From … to …"}
DAY = timedelta(days=1)
# Days of which every moment can be told in UTC, in Python and in PostgreSQL.
FIRST, LAST = date(2000, 1, 1), date(2099, 12, 31)


class Period(NamedTuple):
    """The moments from `since` until just before `until`; `key` is its name in an address."""

    key: str
    since: datetime
    until: datetime
    words: str

    @property
    def first(self) -> date:
        return timezone.localdate(self.since)

    @property
    def last(self) -> date:
        return timezone.localdate(self.until - timedelta(microseconds=1))


def read(params: Mapping[str, str], now: datetime, *, default: str = MONTH) -> Period | dict[str, str]:
    """The period that an address asks for, `default` where it says nothing; or what is wrong, field by field."""
    given = any(params.get(field) for field in ("from", "to"))
    key = params.get("period") or (RANGE if given else default)
    if key not in WORDS:
        return {"period": "Choose one of the periods."}
    if key == RANGE:
        return _range(params.get("from", ""), params.get("to", ""))
    first, last = _days(key, timezone.localdate(now))
    return _period(key, first, last, WORDS[key])


def before(period: Period, now: datetime) -> Period:
    """What to compare `period` with: as much time as has passed of it by `now`, from the same step before.

    The step is a day, a week, a month, or as many days as the range has.
    """
    if period.key in (MONTH, LAST_MONTH):
        first = (period.first - DAY).replace(day=1)
    else:
        first = period.first - (period.last - period.first + DAY)
    since = _midnight(first)
    passed = max(min(period.until, now) - period.since, timedelta(0))
    names = {TODAY: "yesterday", WEEK: "last week", MONTH: "last month", LAST_MONTH: "the month before"}
    words = names.get(period.key) or f"the time from {said(first)} to {said(period.first - DAY)}"
    if now < period.until:
        words += ", up to the same time"
    # After a long month, a short one ends before as much time has passed.
    return Period("before", since, min(since + passed, period.since), words)


def said(day: date) -> str:
    """A day as people write it: "5 Sep 2026"."""
    return f"{day.day} {day:%b %Y}"


def _days(key: str, today: date) -> tuple[date, date]:
    """The first and the last day of a period that `today` decides."""
    if key == TODAY:
        return today, today
    if key == WEEK:
        monday = today - today.weekday() * DAY
        return monday, monday + 6 * DAY
    month = today.replace(day=1)
    if key == LAST_MONTH:
        return (month - DAY).replace(day=1), month - DAY
    return month, (month + 31 * DAY).replace(day=1) - DAY


def _range(first: str, last: str) -> Period | dict[str, str]:
    days = {"from": _day(first, "first"), "to": _day(last, "last")}
    errors = {field: day for field, day in days.items() if isinstance(day, str)}
    start, end = days["from"], days["to"]
    if isinstance(start, str) or isinstance(end, str):
        return errors
    if end < start:
        return {"to": f"The last day is before the first, {said(start)}."}
    return _period(RANGE, start, end, said(start) if start == end else f"{said(start)} to {said(end)}")


def _day(typed: str, which: str) -> date | str:
    """The day that was typed, or what is wrong with it."""
    if not typed.strip():
        return f"Give the {which} day."
    try:
        day = date.fromisoformat(typed.strip())
    except ValueError:
        return "Write the day as 2026-01-31."
    return day if FIRST <= day <= LAST else f"Give a day from {said(FIRST)} to {said(LAST)}."


def _period(key: str, first: date, last: date, words: str) -> Period:
    return Period(key, _midnight(first), _midnight(last + DAY), words)


def _midnight(day: date) -> datetime:
    """The moment at which `day` begins for the dealer, in UTC."""
    return timezone.make_aware(datetime.combine(day, time.min)).astimezone(UTC)
