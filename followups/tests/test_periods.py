"""Periods: the dealer's days as moments, without a gap, an overlap or a lost last day."""

from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from followups import periods
from followups.periods import LAST_MONTH, MONTH, RANGE, TODAY, WEEK, Period

INDIA = ZoneInfo("Asia/Kolkata")
moments = st.timedeltas(timedelta(0), timedelta(days=97 * 365)).map(
    lambda passed: datetime(2001, 1, 1, tzinfo=UTC) + passed
)
days = st.dates(date(2001, 1, 1), date(2098, 12, 31))
keys = st.sampled_from([TODAY, WEEK, MONTH, LAST_MONTH])


def utc(year: int, month: int, day: int, hour: int = 0, minute: int = 0) -> datetime:
    return datetime(year, month, day, hour, minute, tzinfo=UTC)


def read(now: datetime, **params: str) -> Period:
    found = periods.read({name.rstrip("_"): value for name, value in params.items()}, now)
    assert isinstance(found, Period), found
    return found


def refused(**params: str) -> dict[str, str]:
    found = periods.read({name.rstrip("_"): value for name, value in params.items()}, utc(2026, 9, 5))
    assert not isinstance(found, Period), found
    return found


def _range(first: date, last: date) -> Period:
    return read(utc(2026, 9, 5), period=RANGE, from_=first.isoformat(), to=last.isoformat())


# --- The four corners of a day --------------------------------------------------------------------------------


def test_the_day_changes_at_half_past_six_in_the_evening_utc() -> None:
    before, after = read(utc(2026, 9, 5, 18, 29), period=TODAY), read(utc(2026, 9, 5, 18, 30), period=TODAY)
    assert before[1:3] == (utc(2026, 9, 4, 18, 30), utc(2026, 9, 5, 18, 30))
    assert after[1:3] == (utc(2026, 9, 5, 18, 30), utc(2026, 9, 6, 18, 30))


def test_the_month_changes_with_the_dealers_day() -> None:
    assert read(utc(2026, 9, 30, 18, 29), period=MONTH)[1:3] == (utc(2026, 8, 31, 18, 30), utc(2026, 9, 30, 18, 30))
    assert read(utc(2026, 9, 30, 18, 30), period=MONTH)[1:3] == (utc(2026, 9, 30, 18, 30), utc(2026, 10, 31, 18, 30))
    assert read(utc(2026, 9, 30, 18, 30), period=LAST_MONTH)[1:3] == (
        utc(2026, 8, 31, 18, 30),
        utc(2026, 9, 30, 18, 30),
    )


def test_the_week_starts_on_monday() -> None:
    sunday, monday = utc(2026, 9, 6, 18, 29), utc(2026, 9, 6, 18, 30)
    assert read(sunday, period=WEEK).until == read(monday, period=WEEK).since == monday


def test_the_last_day_of_a_range_is_included() -> None:
    period = _range(date(2026, 9, 1), date(2026, 9, 5))
    assert period[1:3] == (utc(2026, 8, 31, 18, 30), utc(2026, 9, 5, 18, 30))
    assert period.words == "1 Sep 2026 to 5 Sep 2026"


def test_a_range_may_be_one_day() -> None:
    assert _range(date(2026, 9, 5), date(2026, 9, 5)).words == "5 Sep 2026"


# --- Properties -----------------------------------------------------------------------------------------------


@given(now=moments, key=keys)
def test_a_period_holds_its_first_moment_and_not_its_end(now: datetime, key: str) -> None:
    period = read(now, period=key)
    assert period.since < period.until
    assert period.since.utcoffset() == period.until.utcoffset() == timedelta(0)
    for edge in (period.since, period.until):
        local = edge.astimezone(INDIA)
        assert (local.hour, local.minute, local.second, local.microsecond) == (0, 0, 0, 0)
    if key != LAST_MONTH:
        assert period.since <= now < period.until


@given(now=moments, key=st.sampled_from([TODAY, WEEK, MONTH]))
def test_periods_follow_each_other_without_gap_or_overlap(now: datetime, key: str) -> None:
    period = read(now, period=key)
    assert read(period.until, period=key).since == period.until
    assert read(period.since - timedelta(microseconds=1), period=key).until == period.since


@given(now=moments)
def test_last_month_ends_where_this_month_starts(now: datetime) -> None:
    this, last = read(now, period=MONTH), read(now, period=LAST_MONTH)
    assert last.until == this.since
    assert last[1:3] == read(last.since, period=MONTH)[1:3]


@given(edges=st.tuples(days, days).map(sorted))
def test_a_range_holds_all_its_days_and_no_other(edges: list[date]) -> None:
    first, last = edges
    period = _range(first, last)
    assert (period.first, period.last) == (first, last)
    assert period.until - period.since == (last - first) + timedelta(days=1)
    assert period.since == _range(first - timedelta(days=1), first - timedelta(days=1)).until


@given(now=moments, key=keys)
def test_what_it_is_compared_with_lies_before_it_and_is_no_longer(now: datetime, key: str) -> None:
    period = read(now, period=key)
    earlier = periods.before(period, now)
    assert earlier.since <= earlier.until <= period.since
    passed = min(now, period.until) - period.since
    assert earlier.until - earlier.since == min(passed, period.since - earlier.since)


@given(edges=st.tuples(*[st.dates(date(2020, 1, 1), date(2039, 12, 31))] * 2).map(sorted), now=moments)
def test_a_range_is_compared_with_as_much_time_before_it(edges: list[date], now: datetime) -> None:
    period = _range(edges[0], edges[1])
    earlier = periods.before(period, now)
    assert period.since - earlier.since == period.until - period.since
    passed = max(min(now, period.until) - period.since, timedelta(0))
    assert earlier.until - earlier.since == passed


def test_a_month_is_compared_with_the_same_days_of_the_one_before() -> None:
    now = utc(2026, 9, 22, 8)
    earlier = periods.before(read(now, period=MONTH), now)
    assert earlier[1:3] == (utc(2026, 7, 31, 18, 30), utc(2026, 8, 22, 8))
    assert earlier.words == "last month, up to the same time"


def test_the_end_of_a_long_month_is_compared_with_the_whole_of_a_short_one() -> None:
    now = utc(2026, 3, 31, 12)
    assert periods.before(read(now, period=MONTH), now)[1:3] == (utc(2026, 1, 31, 18, 30), utc(2026, 2, 28, 18, 30))


def test_a_range_that_is_over_names_the_days_it_is_compared_with() -> None:
    earlier = periods.before(_range(date(2026, 9, 3), date(2026, 9, 4)), utc(2026, 9, 22))
    assert earlier.words == "the time from 1 Sep 2026 to 2 Sep 2026"


# --- What an address says -------------------------------------------------------------------------------------


def test_an_address_that_says_nothing_gets_the_default() -> None:
    now = utc(2026, 9, 5)
    assert read(now).key == MONTH
    assert read(now, period="", from_="", to="").key == MONTH
    assert periods.read({}, now, default=TODAY) == read(now, period=TODAY)


def test_two_days_without_a_period_are_a_range() -> None:
    assert read(utc(2026, 9, 5), from_="2026-09-01", to="2026-09-02").key == RANGE


@pytest.mark.parametrize(
    ("params", "errors"),
    [
        ({"period": "decade"}, {"period": "Choose one of the periods."}),
        ({"period": RANGE}, {"from": "Give the first day.", "to": "Give the last day."}),
        ({"from_": "2026-09-01"}, {"to": "Give the last day."}),
        ({"from_": "1/9/2026", "to": "2026-02-30"}, dict.fromkeys(["from", "to"], "Write the day as 2026-01-31.")),
        ({"from_": "2026-09-05", "to": "2026-09-04"}, {"to": "The last day is before the first, 5 Sep 2026."}),
        (
            {"from_": "0001-01-01", "to": "9999-12-31"},
            dict.fromkeys(["from", "to"], "Give a day from 1 Jan 2000 to 31 Dec 2099."),
        ),
    ],
)
def test_a_bad_range_is_refused_in_words_at_its_field(params: dict[str, str], errors: dict[str, str]) -> None:
    assert refused(**params) == errors


@given(typed=st.text(max_size=30))
def test_whatever_is_typed_is_a_period_or_words(typed: str) -> None:
    found = periods.read({"period": RANGE, "from": typed, "to": typed}, utc(2026, 9, 5))
    assert isinstance(found, Period) or all(found.values())


def test_the_edges_of_what_may_be_asked_can_be_told_in_utc() -> None:
    widest = _range(periods.FIRST, periods.LAST)
    assert periods.before(widest, utc(2026, 9, 5)).since < widest.since
