"""What the desk keeps at hand: how much of it, how old, how often it helped. And how to throw it away."""

import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any

from django.core.cache import cache
from django.db import connection

from accounts import directory
from leads import sources
from performance import timings
from performance.cache_names import KEPT, Kept, kept_of
from performance.timings import WINDOWS

# A look at Redis ends after so many keys or seconds; what was not seen by then is said to be more.
MOST_KEYS = 10_000
MOST_SECONDS_LOOKING = 0.2
AT_ONCE = 1000
SAMPLE = 20
# Clearing has to come to an end too, where others write faster than it deletes.
MOST_SECONDS_CLEARING = 10.0

ALL = "all"
IN_REDIS = "Redis"
IN_PROCESS = "Memory of each process"


@dataclass(frozen=True)
class Rate:
    """How often a cache was asked, and how often it knew."""

    words: str
    hits: int = 0
    misses: int = 0

    @property
    def asked(self) -> int:
        return self.hits + self.misses

    @property
    def share(self) -> float | None:
        return self.hits / self.asked if self.asked else None

    @property
    def percent(self) -> float | None:
        return None if self.share is None else self.share * 100


@dataclass(frozen=True)
class CacheState:
    """A cache as it is now. `entries` is exact unless there are `more`; `bytes` and ages (seconds) are of a sample.

    None is what nobody knows: an empty cache has no age, and no process can look into another's memory.
    """

    name: str
    words: str
    holds: str
    where: str
    stale: str
    entries: int | None
    more: bool = False
    bytes: int | None = None
    oldest: int | None = None
    youngest: int | None = None
    rates: tuple[Rate, ...] = ()

    @property
    def hour(self) -> Rate | None:
        return next((rate for rate in self.rates if rate.words == WINDOWS["hour"].words), None)

    def as_json(self) -> dict[str, Any]:
        rates = [{"window": rate.words, "hits": rate.hits, "misses": rate.misses} for rate in self.rates]
        return {**{name: getattr(self, name) for name in _PLAIN}, "rates": rates}


_PLAIN = [name for name in CacheState.__dataclass_fields__ if name != "rates"]


@dataclass(frozen=True)
class InProcess:
    """What a process reads from the database once a minute and keeps for itself."""

    name: str
    words: str
    holds: str
    stale: str
    entries: Callable[[], int]
    age: Callable[[], float | None]
    forget: Callable[[], None]


PROCESS = (
    InProcess(
        "directory",
        "Branches and PS",
        "Names by which forms find a branch and a PS. A save asks the database again; so does a name that is not here.",
        f"{directory.KEEP_SECONDS} seconds.",
        directory.entries,
        directory.age,
        directory.forget,
    ),
    InProcess(
        "sources",
        "Sources",
        "Pairs of source and sub-source that forms offer. Statuses are part of the program: there is nothing to clear.",
        f"{sources.KEEP_SECONDS} seconds.",
        sources.entries,
        sources.age,
        sources.forget,
    ),
)
WORDS = {one.name: one.words for one in (*KEPT, *PROCESS)}


# --- What there is --------------------------------------------------------------------------------------------------
def overview() -> list[CacheState]:
    """Each cache, after a look at Redis that is bounded. Raises timings.Away."""
    rates = {window: timings.reads(window) for window in WINDOWS}
    seen = _look()
    return [*(_state(kept, seen, rates) for kept in KEPT), *map(_of_this_process, PROCESS)]


def _of_this_process(one: InProcess) -> CacheState:
    seconds = one.age()
    age = None if seconds is None else int(seconds)
    return CacheState(one.name, one.words, one.holds, IN_PROCESS, one.stale, one.entries(), oldest=age, youngest=age)


@dataclass
class _Seen:
    """Keys by cache, and whether there may be more of them."""

    keys: dict[str, list[str]] = field(default_factory=dict)
    more: bool = False


def _look() -> _Seen:
    seen, ends, number = _Seen(), time.monotonic() + MOST_SECONDS_LOOKING, 0
    for keys in _batches(_key("*")):
        for key, kept in _belonging(keys):
            seen.keys.setdefault(kept.name, []).append(key)
        number += len(keys)
        if number >= MOST_KEYS or time.monotonic() > ends:
            seen.more = True
            break
    return seen


def _batches(pattern: str) -> Iterator[list[str]]:
    cursor = 0
    while True:
        with timings.asking() as redis:
            cursor, found = redis.scan(cursor, match=pattern, count=AT_ONCE)
            keys = [str(key) for key in found]
        yield keys
        if not cursor:
            return


def _key(name: str) -> str:
    """As the cache writes it: behind its prefix and version."""
    return str(cache.make_key(name))


def _belonging(keys: Iterable[str]) -> Iterator[tuple[str, Kept]]:
    start = len(_key(""))
    for key in keys:
        kept = kept_of(key[start:])
        if kept is not None:
            yield key, kept


def _state(kept: Kept, seen: _Seen, rates: dict[str, dict[str, timings.Figures]]) -> CacheState:
    keys = seen.keys.get(kept.name, [])
    sizes, ages = _sampled(keys[:: max(1, len(keys) // SAMPLE)][:SAMPLE], kept)
    return CacheState(
        kept.name,
        kept.words,
        kept.holds,
        IN_REDIS,
        kept.stale,
        len(keys),
        seen.more,
        _bytes(sizes, len(keys)),
        max(ages, default=None),
        min(ages, default=None),
        tuple(_rate(WINDOWS[window].words, found.get(kept.name)) for window, found in rates.items()),
    )


def _bytes(sizes: list[int], entries: int) -> int | None:
    """Of all, by the sizes of some."""
    if not entries:
        return 0
    return round(sum(sizes) / len(sizes) * entries) if sizes else None


def _rate(words: str, figures: timings.Figures | None) -> Rate:
    return Rate(words, figures.hits, figures.misses) if figures else Rate(words)


def _sampled(keys: list[str], kept: Kept) -> tuple[list[int], list[int]]:
    """Bytes and seconds of each that is still there."""
    if not keys:
        return [], []
    with timings.asking() as redis, redis.pipeline(transaction=False) as pipeline:
        for key in keys:
            pipeline.memory_usage(key)
            pipeline.ttl(key)
        # A Redis may be forbidden to say how much memory something takes.
        answers = pipeline.execute(raise_on_error=False)
        sizes = [size for size in answers[::2] if isinstance(size, int)]
        # A session's last minutes may be fewer than what an entry is given.
        ages = [max(0, kept.seconds - left) for left in answers[1::2] if isinstance(left, int) and left >= 0]
    return sizes, ages


# --- Throwing it away -----------------------------------------------------------------------------------------------
def clear(name: str) -> dict[str, int]:
    """Forgets one cache of WORDS, or ALL; how many entries of which. Raises KeyError, timings.Away, and DatabaseError:
    without PostgreSQL, what Redis keeps is all that people have.

    Nothing else in Redis is touched: neither queues nor timings nor marks. What each process keeps for itself is gone
    from this one at once, from others within their minute.
    """
    if name != ALL and name not in WORDS:
        raise KeyError(name)
    # First what may fail.
    cleared = {kept.name: 0 for kept in KEPT if name in (ALL, kept.name)}
    if cleared:
        with connection.cursor() as cursor:
            cursor.execute("SELECT 1")
        _unlink(cleared)
    for one in PROCESS:
        if name in (ALL, one.name):
            cleared[one.name] = one.entries()
            one.forget()
    return cleared


def _unlink(cleared: dict[str, int]) -> None:
    ends = time.monotonic() + MOST_SECONDS_CLEARING
    for keys in _batches(_key("*")):
        doomed = [(key, kept.name) for key, kept in _belonging(keys) if kept.name in cleared]
        if doomed:
            with timings.asking() as redis, redis.pipeline(transaction=False) as pipeline:
                for key, _ in doomed:
                    pipeline.unlink(key)
                for (_, of), gone in zip(doomed, pipeline.execute(), strict=True):
                    cleared[of] += gone
        if time.monotonic() > ends:
            raise timings.Away("too slow")
