"""What a desk has shown, kept in Redis for its person: five minutes at most, and not a moment after a write.

A kept value is believed if it was made after the last write that touched a lead of the person (a stamp in Redis, set at
the commit), and after the last one that came from this very browser (followups.saved), so that whoever has saved never
sees the desk as it was before, whatever Redis has lost meanwhile.
"""

import time
from contextvars import ContextVar
from datetime import datetime, timedelta
from hashlib import blake2b
from typing import Any

from django.core.cache import cache
from django.db import transaction

KEEP = timedelta(minutes=5)
# Seconds by which the clocks of two web servers may differ.
CLOCKS_DIFFER = 1.0

# Whether this request has touched anybody's desk.
has_touched: ContextVar[bool] = ContextVar("has_touched", default=False)


class Kept:
    """What is kept for one person, for one reading of their desk, which begins when this is made.

    `saved_at` is when the asking browser has last saved something, in seconds since 1970.
    """

    def __init__(self, person: int, saved_at: float) -> None:
        self._person = person
        self._saved_at = saved_at
        self._began = time.time()

    def look(self, name: str) -> Any:
        """The value of this name; None where there is none that can be believed."""
        stamp, key = _stamp(self._person), self._key(name)
        found = cache.get_many([stamp, key])
        try:
            began, until, value = found[key]
            touched = max(self._saved_at, float(found.get(stamp) or 0))
            believed = began > touched + CLOCKS_DIFFER and self._began < until
        except (KeyError, TypeError, ValueError):
            # Nothing, or nothing that we would have put there.
            return None
        return value if believed else None

    def keep(self, name: str, value: Any, until: datetime) -> None:
        """Keeps what JSON can hold, until that moment and for KEEP at most."""
        ends = min(until.timestamp(), self._began + KEEP.total_seconds())
        if ends > self._began:
            # Of when the reading began: what was written meanwhile is younger, and ends it.
            cache.set(self._key(name), [self._began, ends, value], KEEP.total_seconds())

    def _key(self, name: str) -> str:
        return f"board:{self._person}:{blake2b(name.encode(), digest_size=12).hexdigest()}"


def touched(*people: int | None) -> None:
    """Says, in the transaction that changes a lead, whose desks show it: what is kept of them ends with the commit."""
    stamps = [_stamp(person) for person in set(people) if person]
    if stamps:
        transaction.on_commit(lambda: _set(stamps), robust=True)


def _set(stamps: list[str]) -> None:
    has_touched.set(True)
    now = time.time()
    # Without an end: one of each person, and a single command, for every save pays for it.
    cache.set_many(dict.fromkeys(stamps, now), None)


def _stamp(person: int) -> str:
    return f"wrote:{person}"
