"""Working time is counted from 9:30 to 19:30 of each of the dealer's days, and what is proposed lies within it."""

from datetime import UTC, datetime, timedelta

import pytest
from django.utils import timezone
from hypothesis import given
from hypothesis import strategies as st

from followups.working_hours import suggestion, worked, working_minutes_before

INDIA = timedelta(hours=5, minutes=30)
MINUTE = timedelta(minutes=1)
EARLIEST, LATEST = datetime(2026, 1, 1), datetime(2028, 12, 31)  # noqa: DTZ001 - hypothesis adds the time zone

moments = st.datetimes(min_value=EARLIEST, max_value=LATEST, timezones=st.just(UTC))
whole_minutes = moments.map(lambda at: at.replace(second=0, microsecond=0))


def at(clock: str, day: int = 20) -> datetime:
    """That time on the dealer's clock, in November 2026."""
    time = ":".join(part.zfill(2) for part in clock.split(":"))
    return timezone.make_aware(datetime.fromisoformat(f"2026-11-{day} {time}"))


def works(minute: datetime) -> bool:
    """Whether the minute that begins then is working time; the slow way, on a clock of its own."""
    local = minute.astimezone(UTC) + INDIA
    return 9 * 60 + 30 <= local.hour * 60 + local.minute < 19 * 60 + 30


@pytest.mark.parametrize(
    ("now", "since"),
    [
        (at("15:00"), at("14:30")),
        (at("10:00"), at("9:30")),
        (at("9:59"), at("19:29", day=19)),
        (at("9:30"), at("19:00", day=19)),
        (at("3:00"), at("19:00", day=19)),
        (at("19:30"), at("19:00")),
        (at("23:59"), at("19:00")),
        (at("14:00:30"), at("13:30:30")),
    ],
)
def test_half_an_hour_of_working_time_skips_the_night(now: datetime, since: datetime) -> None:
    assert working_minutes_before(now, 30) == since


@given(now=whole_minutes, minutes=st.integers(0, 1500))
def test_so_many_working_minutes_ago_is_what_counting_each_minute_finds(now: datetime, minutes: int) -> None:
    since, left = now, minutes
    while left:
        since -= MINUTE
        left -= works(since)
    assert working_minutes_before(now, minutes) == since


@given(since=whole_minutes, length=st.integers(-100, 5000))
def test_working_time_is_what_counting_each_minute_finds(since: datetime, length: int) -> None:
    until = since + length * MINUTE
    counted = sum(works(since + minute * MINUTE) for minute in range(length))
    assert worked(since, until) == counted * MINUTE


@given(now=moments, minutes=st.integers(1, 1500))
def test_that_moment_is_the_latest_of_its_kind(now: datetime, minutes: int) -> None:
    since = working_minutes_before(now, minutes)
    assert worked(since, now) == minutes * MINUTE
    assert worked(since + timedelta(microseconds=1), now) < minutes * MINUTE


@pytest.mark.parametrize(
    ("now", "days", "proposed"),
    [
        (at("15:00"), 0, at("16:00")),
        (at("15:01"), 0, at("16:15")),
        (at("15:00:59"), 0, at("16:00")),
        (at("18:30"), 0, at("19:30")),
        (at("18:31"), 0, at("9:30", day=21)),
        (at("23:50"), 0, at("9:30", day=21)),
        (at("6:00"), 0, at("9:30")),
        (at("15:07"), 3, at("15:15", day=23)),
        (at("6:00"), 3, at("9:30", day=23)),
        (at("21:00"), 3, at("19:30", day=23)),
        (at("23:59"), 3, at("9:30", day=24)),
    ],
)
def test_a_follow_up_is_proposed_in_working_hours(now: datetime, days: int, proposed: datetime) -> None:
    assert suggestion(now, days) == proposed


def as_the_browser_does(now: datetime, days: int) -> datetime:
    """static/desk/desk.js, line by line."""
    opens, closes, day_long = 570, 1170, 1440
    minutes = int((now + INDIA - datetime(1970, 1, 1, tzinfo=UTC)) // MINUTE) + (days * day_long or 60)
    rounded = -(-minutes // 15) * 15
    day = rounded // day_long * day_long
    if rounded - day > closes:
        rounded = day + closes if days else day + day_long + opens
    else:
        rounded = max(rounded, day + opens)
    return datetime(1970, 1, 1, tzinfo=UTC) + rounded * MINUTE - INDIA


@given(now=moments, days=st.integers(0, 40))
def test_server_and_browser_propose_the_same(now: datetime, days: int) -> None:
    proposed = suggestion(now, days)
    assert proposed == as_the_browser_does(now, days)
    local = proposed.astimezone(UTC) + INDIA
    assert 570 <= local.hour * 60 + local.minute <= 1170
    assert local.minute % 15 == 0
    assert proposed > now
