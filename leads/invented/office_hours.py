"""When things happen in invented histories: in office hours, more on some days than on others. Pure."""

import random
from collections.abc import Iterator
from datetime import datetime, timedelta
from itertools import accumulate

from followups import working_hours

INDIA = timedelta(hours=5, minutes=30)
HOUR = timedelta(hours=1)
OPENS, CLOSES = (timedelta(hours=at.hour, minutes=at.minute) for at in (working_hours.OPENS, working_hours.CLOSES))
# Customers' first calls, by hour, by weekday from Monday, and by month: the festivals are in autumn.
BY_HOUR = [0.02] * 7 + [
    0.05,
    0.2,
    0.8,
    1.2,
    1.5,
    1.3,
    0.9,
    0.9,
    1.1,
    1.3,
    1.5,
    1.3,
    0.8,
    0.3,
    0.1,
    0.05,
    0.03,
]
BY_WEEKDAY = [1.0, 0.95, 0.95, 1.0, 1.1, 1.3, 1.15]
BY_MONTH = [0.9, 0.9, 1.1, 1.1, 0.9, 0.9, 0.8, 0.9, 1.1, 1.4, 1.3, 1.0]


def moments(count: int, since: datetime, until: datetime, chance: random.Random) -> Iterator[datetime]:
    """`count` moments between the two (in UTC), in order, as thick as customers call."""
    sums = list(accumulate(_weights(since, until)))
    slot, before = 0, 0.0
    for place in range(count):
        target = (place + chance.random()) / count * sums[-1]
        while sums[slot] < target and slot < len(sums) - 1:
            before, slot = sums[slot], slot + 1
        yield min(since + HOUR * slot + HOUR * ((target - before) / (sums[slot] - before)), until)


def _weights(since: datetime, until: datetime) -> Iterator[float]:
    start = since
    while start < until:
        local = start + INDIA
        whole = BY_HOUR[local.hour] * BY_WEEKDAY[local.weekday()] * BY_MONTH[local.month - 1]
        yield whole * min(1.0, (until - start) / HOUR)
        start += HOUR


def in_hours(at: datetime, chance: random.Random) -> datetime:
    """`at`, or some moment of the next morning when the office is closed then."""
    local = at + INDIA
    of_day = timedelta(hours=local.hour, minutes=local.minute)
    if OPENS <= of_day < CLOSES:
        return at
    opening = local.replace(hour=0, minute=0, second=0) + OPENS + timedelta(seconds=chance.random() * 9000)
    return opening - INDIA + timedelta(days=of_day >= CLOSES)


def promised(at: datetime, days: int, chance: random.Random) -> datetime:
    """A follow-up as people agree on one: `days` later, on the half-hour, in office hours, after `at`."""
    local = (at + INDIA).replace(hour=10, minute=0, second=0, microsecond=0)
    wanted = local + timedelta(days=days, minutes=30 * chance.randrange(18)) - INDIA
    return wanted if wanted > at else wanted + timedelta(days=1)
