"""When the dealer works, every day alike: how long something has waited, and which time to propose. Pure."""

from datetime import datetime, time, timedelta

from django.utils import timezone

OPENS, CLOSES = time(9, 30), time(19, 30)
MINUTE, HOUR, DAY = timedelta(minutes=1), timedelta(hours=1), timedelta(days=1)
WORKING_DAY = timedelta(hours=10)
QUARTER = 15 * 60  # seconds


def working_minutes_before(now: datetime, minutes: int) -> datetime:
    """The latest moment from which `minutes` of working time have passed by `now`."""
    left = minutes * MINUTE
    until = now
    while left > timedelta(0):
        opens, closes = _day(until)
        worked = min(until, closes) - opens
        if worked >= left:
            return min(until, closes) - left
        left -= max(worked, timedelta(0))
        # On, from the end of the day before.
        until = opens - DAY + WORKING_DAY
    return until


def worked(since: datetime, until: datetime) -> timedelta:
    """The working time between the two; none if `until` is not later."""
    if until <= since:
        return timedelta(0)
    first, last = _day(since)[0], _day(until)[0]
    return (last - first) // DAY * WORKING_DAY + _into_the_day(until) - _into_the_day(since)


def suggestion(now: datetime, days: int) -> datetime:
    """The follow-up to propose `days` ahead, on a quarter of an hour in working hours; 0 days is in an hour.

    The forms propose the same in the browser (static/desk/desk.js).
    """
    wanted = now.replace(second=0, microsecond=0) + (days * DAY or HOUR)
    at = datetime.fromtimestamp(-(-wanted.timestamp() // QUARTER) * QUARTER, timezone.get_default_timezone())
    opens, closes = _day(at)
    if at <= closes:
        return max(at, opens)
    # What was asked for a day ahead stays on that day; a call back in an hour becomes the first of tomorrow.
    return closes if days else opens + DAY


def _into_the_day(at: datetime) -> timedelta:
    opens, closes = _day(at)
    return min(max(at, opens), closes) - opens


def _day(at: datetime) -> tuple[datetime, datetime]:
    """When the dealer's day of `at` opens and closes."""
    date = timezone.localdate(at)
    return timezone.make_aware(datetime.combine(date, OPENS)), timezone.make_aware(datetime.combine(date, CLOSES))
