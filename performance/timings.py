"""Rolling histograms of what the desk does, shared by all its processes in Redis.

A request leaves one tuple in this process's memory; a thread writes what has gathered to Redis once a second, in one
round trip. So no request ever waits for Redis, whatever state it is in. A process that is killed loses its last second;
a batch that Redis did not take is dropped and counted, never sent again: it may have arrived.
"""

import atexit
import bisect
import os
import threading
import time
from collections import Counter, deque
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from django.conf import settings
from redis import Redis
from redis.backoff import NoBackoff
from redis.exceptions import ResponseError
from redis.retry import Retry
from structlog.stdlib import get_logger

from performance import statements as sql_statements
from performance.cache_names import kept_of
from performance.operations import Operation

log = get_logger(__name__)

# Bounds in milliseconds, a fifth apart: a quantile is at most that far from the truth.
STEP = 2**0.25
# To 18 hours, for mail that has waited out a night; the last bucket has no end.
BOUNDS = [0.25 * STEP**number for number in range(113)]
PREFIX = "desk:timings"
TOTALS = f"{PREFIX}:totals"  # since Redis was emptied, for Prometheus
# Counted apart from the operations, in hashes of their own: kinds of SQL statements, and looks into each cache.
SQL, CACHES = ":sql", ":caches"
FINE, COARSE = 60, 600  # seconds in a slot
KEPT = {FINE: 2 * 3600, COARSE: 26 * 3600}
OWN_KEPT = 50
OWN_SECONDS = 24 * 3600
FLUSH_SECONDS = 1.0
PATIENCE_SECONDS = 0.25  # of the writing thread, and of the two pages that show figures
PAUSE_SECONDS = 5.0  # after Redis has failed us
MOST_WAITING = 20_000

OK, REFUSED, FAILED = "ok", "refused", "failed"


class Timing(NamedTuple):
    at: float
    operation: Operation
    seconds: float
    statements: int
    database_seconds: float
    hits: int
    misses: int
    outcome: str
    created: bool = False
    person: int | None = None
    # Each statement with its seconds, each key that the cache was asked for: the writing thread sorts them by kind.
    sql: Sequence[tuple[Any, float]] = ()
    reads: Sequence[tuple[Any, bool]] = ()
    rows: int = 0


class Away(Exception):
    """Redis did not answer in time, or not sensibly, or it refused what it was asked."""


# --- Writing --------------------------------------------------------------------------------------------------------
_waiting: deque[Timing] = deque(maxlen=MOST_WAITING)
_something = threading.Event()
_flushing = threading.Lock()
_writer: threading.Thread | None = None
_lost = 0
_pause_until = 0.0


def record(timing: Timing) -> None:
    """Costs an append: the writing is done by a thread."""
    _waiting.append(timing)
    if not _something.is_set():
        _something.set()
        _start_writer()


def _start_writer() -> None:
    global _writer
    if _writer is None or not _writer.is_alive():
        _writer = threading.Thread(target=_write_now_and_then, name="timings", daemon=True)
        try:
            _writer.start()
        except RuntimeError:
            # At the end of a process no thread starts any more, and atexit flushes; else the next request tries again.
            _something.clear()


def _write_now_and_then() -> None:
    while True:
        _something.wait()
        time.sleep(FLUSH_SECONDS)
        _something.clear()
        flush()


def flush() -> None:
    """Writes what has gathered. Never raises, and does not try a Redis that has just failed."""
    global _lost
    with _flushing:
        batch = [_waiting.popleft() for _ in range(len(_waiting))]
        if not batch:
            return
        try:
            _write(batch)
        except Away:
            _lost += len(batch)


def _write(batch: list[Timing]) -> None:
    global _lost
    lost = _lost
    own: dict[int, list[str]] = {}
    for timing in batch:
        if timing.person is not None:
            own.setdefault(timing.person, []).append(_own_entry(timing))
    with asking() as redis, redis.pipeline(transaction=False) as pipeline:
        for key, counts in _by_slot(batch).items():
            for name, count in counts.items():
                if count:
                    pipeline.hincrby(key, name, count)
            if not key.startswith(TOTALS):
                pipeline.expire(key, KEPT[int(key.split(":")[2])])
        if lost:
            pipeline.hincrby(TOTALS, "lost", lost)
        for person, entries in own.items():
            key = _own_key(person)
            pipeline.lpush(key, *entries[-OWN_KEPT:])
            pipeline.ltrim(key, 0, OWN_KEPT - 1)
            pipeline.expire(key, OWN_SECONDS)
        pipeline.execute()
    _lost -= lost


def _by_slot(batch: list[Timing]) -> dict[str, Counter[str]]:
    """What the hashes in Redis grow by. A name there is what was counted, and a bucket's number or a word."""
    minutes: dict[tuple[int, str], dict[str, Figures]] = {}
    for timing in batch:
        minute = int(timing.at // FINE)
        _count_operation(minutes.setdefault((minute, ""), {}), timing)
        if timing.sql:
            _count_sql(minutes.setdefault((minute, SQL), {}), timing.sql)
        if timing.reads:
            _count_reads(minutes.setdefault((minute, CACHES), {}), timing.reads)
    slots: dict[str, Counter[str]] = {}
    for (minute, family), found in minutes.items():
        counter = Counter({f"{name} {what}": count for name, of in found.items() for what, count in of.told()})
        slots[_slot(FINE, minute, family)] = counter
        for key in (_slot(COARSE, minute * FINE // COARSE, family), TOTALS + family):
            slots.setdefault(key, Counter()).update(counter)
    return slots


def _of(into: "dict[str, Figures]", name: str) -> "Figures":
    found = into.get(name)
    if found is None:
        found = into[name] = Figures()
    return found


def _count_operation(into: "dict[str, Figures]", timing: Timing) -> None:
    of = _of(into, timing.operation.name)
    of.took(timing.seconds, timing.operation.budget)
    of.add(timing.outcome, 1)
    of.created += timing.created
    of.statements += timing.statements
    of.rows += timing.rows
    of.database += round(timing.database_seconds * 1_000_000)
    of.hits += timing.hits
    of.misses += timing.misses


def _count_sql(into: "dict[str, Figures]", sql: Sequence[tuple[Any, float]]) -> None:
    for text, seconds in sql:
        _of(into, sql_statements.kind_of(text)).took(seconds, sql_statements.BUDGET)


def _count_reads(into: "dict[str, Figures]", reads: Sequence[tuple[Any, bool]]) -> None:
    for key, hit in reads:
        kept = kept_of(str(key))
        if kept is not None:
            of = _of(into, kept.name)
            if hit:
                of.hits += 1
            else:
                of.misses += 1


def _slot(seconds: int, number: int, family: str = "") -> str:
    return f"{PREFIX}:{seconds}:{number}{family}"


def _own_key(person: int) -> str:
    return f"{PREFIX}:person:{person}"


def _own_entry(timing: Timing) -> str:
    return f"{timing.at:.0f} {timing.operation.name} {timing.seconds * 1000:.1f}"


# --- Redis ----------------------------------------------------------------------------------------------------------
_clients: dict[str, "Redis"] = {}


def _redis(url: str) -> "Redis":
    """A client of our own: the cache's ignores errors, and waits less long. Like the cache's, it tries nothing twice
    and speaks protocol 2: with 3, an old answer on a connection would not be noticed (crm.settings)."""
    if url not in _clients:
        _clients[url] = Redis.from_url(
            url,
            decode_responses=True,
            socket_timeout=PATIENCE_SECONDS,
            socket_connect_timeout=PATIENCE_SECONDS,
            retry=Retry(NoBackoff(), 0),
            protocol=2,
            driver_info=None,
        )
    return _clients[url]


@contextmanager
def asking() -> Iterator["Redis"]:
    """Raises Away for whatever goes wrong inside, and at once for a while after that: one time-out in five seconds.

    A Redis that refuses a command has answered, so it is asked the next thing.
    """
    global _pause_until
    if time.monotonic() < _pause_until:
        raise Away
    try:
        yield _redis(settings.REDIS_URL)
    except ResponseError as error:
        log.warning("timings: Redis refuses", reason=type(error).__name__)
        raise Away from error
    except Exception as error:
        _pause_until = time.monotonic() + PAUSE_SECONDS
        log.warning("timings: Redis is away", reason=type(error).__name__)
        raise Away from error


def _begin_anew() -> None:
    """In a forked child: its parent's thread is not there, and what waits is the parent's to write."""
    global _writer, _flushing, _something
    _waiting.clear()
    _writer, _flushing, _something = None, threading.Lock(), threading.Event()
    _clients.clear()


os.register_at_fork(after_in_child=_begin_anew)
atexit.register(flush)


# --- Reading --------------------------------------------------------------------------------------------------------
class Window(NamedTuple):
    words: str
    slot: int
    slots: int


# The present slot is not full yet, so one more than that is read: a window is never shorter than it says.
WINDOWS = {
    "minutes": Window("Last 5 minutes", FINE, 6),
    "hour": Window("Last hour", FINE, 61),
    "day": Window("Last day", COARSE, 145),
}


@dataclass
class Figures:
    """What became of one operation, or kind of statement, in a window; times in milliseconds."""

    buckets: Counter[int] = field(default_factory=Counter)
    ok: int = 0
    refused: int = 0
    failed: int = 0
    over: int = 0
    created: int = 0
    microseconds: int = 0
    statements: int = 0
    rows: int = 0  # that the statements gave back or changed
    database: int = 0  # microseconds
    hits: int = 0
    misses: int = 0

    @property
    def count(self) -> int:
        return sum(self.buckets.values())

    @property
    def p50(self) -> float | None:
        return quantile(self.buckets, 0.5)

    @property
    def p95(self) -> float | None:
        return quantile(self.buckets, 0.95)

    @property
    def p99(self) -> float | None:
        return quantile(self.buckets, 0.99)

    def took(self, seconds: float, budget: float) -> None:
        milliseconds = seconds * 1000
        self.buckets[bisect.bisect_left(BOUNDS, milliseconds)] += 1
        self.microseconds += round(milliseconds * 1000)
        if milliseconds > budget:
            self.over += 1

    def told(self) -> Iterator[tuple[str, int]]:
        """What `add` takes back."""
        yield from ((str(number), count) for number, count in self.buckets.items())
        yield from ((what, getattr(self, what)) for what in _WORDS)

    def add(self, what: str, count: int) -> None:
        if what.isdigit():
            self.buckets[int(what)] += count
        elif what in _WORDS:
            setattr(self, what, getattr(self, what) + count)


_WORDS = set(Figures.__dataclass_fields__) - {"buckets"}


def quantile(buckets: Counter[int], share: float) -> float | None:
    """The time within which `share` of all stayed, from the bucket in which it lies, as if evenly spread there."""
    total = sum(buckets.values())
    wanted, seen = share * total, 0
    for number in sorted(buckets):
        count = buckets[number]
        if count and seen + count >= wanted:
            low = BOUNDS[number - 1] if number else 0.0
            high = BOUNDS[number] if number < len(BOUNDS) else low
            return low + (high - low) * (wanted - seen) / count
        seen += count
    return None


def figures(window: str, family: str = "") -> dict[str, Figures]:
    """By operation, what happened in one of WINDOWS. Raises Away."""
    _, seconds, slots = WINDOWS[window]
    now = int(time.time() // seconds)
    return _gathered(_hashes([_slot(seconds, now - back, family) for back in range(slots)]))


def statements(window: str) -> dict[str, Figures]:
    """By kind of SQL statement, how many there were and how long they took. Raises Away."""
    return figures(window, SQL)


def reads(window: str) -> dict[str, Figures]:
    """By cache, `hits` and `misses`; nothing else of its figures is filled. Raises Away."""
    return figures(window, CACHES)


def history(slots: int = 36) -> list[tuple[int, dict[str, Figures]]]:
    """The last ten-minute slots, oldest first, each with the time it began. Raises Away."""
    now = int(time.time() // COARSE)
    numbers = [now - back for back in reversed(range(slots))]
    found = _hashes([_slot(COARSE, number) for number in numbers])
    return [(number * COARSE, _gathered([one])) for number, one in zip(numbers, found, strict=True)]


def totals() -> tuple[dict[str, Figures], int]:
    """All that was ever counted, and how many timings Redis did not take. Raises Away."""
    found = _hashes([TOTALS])
    return _gathered(found), found[0].get("lost", 0)


def totals_of(family: str) -> dict[str, Figures]:
    """All that was ever counted of SQL or CACHES. Raises Away."""
    return _gathered(_hashes([TOTALS + family]))


def leads_per_minute(slots: int = 5) -> float:
    """Leads created in the last full minutes, on average. Raises Away."""
    now = int(time.time() // FINE)
    found = _gathered(_hashes([_slot(FINE, now - back) for back in range(1, slots + 1)]))
    return sum(one.created for one in found.values()) / slots


class Own(NamedTuple):
    at: float
    operation: str
    milliseconds: float


def own(person: int) -> list[Own]:
    """A person's last timings, newest first. Raises Away."""
    with asking() as redis:
        rows = [str(row).split(" ") for row in redis.lrange(_own_key(person), 0, OWN_KEPT - 1)]
        return [Own(float(at), operation, float(milliseconds)) for at, operation, milliseconds in rows]


def _hashes(keys: list[str]) -> list[dict[str, int]]:
    with asking() as redis, redis.pipeline(transaction=False) as pipeline:
        for key in keys:
            pipeline.hgetall(key)
        # What is no hash of counts fails here.
        return [{name: int(count) for name, count in found.items()} for found in pipeline.execute()]


def _gathered(hashes: Iterable[dict[str, int]]) -> dict[str, Figures]:
    gathered: dict[str, Figures] = {}
    for found in hashes:
        for name, count in found.items():
            of, _, what = name.rpartition(" ")
            if of:
                gathered.setdefault(of, Figures()).add(what, count)
    return gathered
