"""Live tests: how fast the desk's own code is on its real data, now, without leaving anything behind.

Each round is a transaction of its own that is rolled back: PostgreSQL shows nobody what was in it, so no worker finds
work and no page a lead. Whatever a round would do after its commit is forgotten with it. For the time of a test this
thread's cache is one that keeps nothing, so pages are made anew and nothing of them stays.
"""

import math
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from typing import Any, NamedTuple, TypeVar

import structlog
from django.core.cache import DEFAULT_CACHE_ALIAS, caches
from django.core.cache.backends.dummy import DummyCache
from django.db import DatabaseError, connection, transaction
from django.db.models import QuerySet
from psycopg import errors
from structlog.stdlib import get_logger

from accounts.models import User
from followups.models import Outbox, PSFollowup
from leads.models import DuplicateLead, LeadMaster
from performance import explained, live_work
from performance.explained import Way
from performance.live_work import RANGE, Part, Unfit
from performance.measuring import Measured
from performance.models import LiveTest

log = get_logger(__name__)
T = TypeVar("T")

MOST_ROUNDS, ROUNDS = 100, 20
LOCK_MILLISECONDS, STATEMENT_MILLISECONDS = 100, 2000
# No further round begins after this.
LONGEST_SECONDS = 5.0
# By which PostgreSQL knows that a live test is under way, in whatever process.
LOCK = 4_610_001
SHOWN, KEPT = 10, 50
# Counting the outbox stops here.
MOST_WAITING = 100_000

FAST, SLOW, FAILED = "fast", "slow", "failed"
UNEXPLAINED = "PostgreSQL could not say which indexes it takes; the log says why. Try again in a minute."
VERDICTS = {FAST: "As fast as agreed.", SLOW: "Slower than agreed.", FAILED: "Not finished."}


class Busy(Exception):
    """Another live test is under way."""


@dataclass(frozen=True)
class Trial:
    """One of the tests, in words; `parts` finds out what its rounds do."""

    name: str
    words: str
    about: str
    parts: Callable[[], list[Part]]


TESTS = {
    trial.name: trial
    for trial in (
        Trial(
            "capture",
            "Test lead creation",
            "Saves new leads as a CRE’s form does, with the call, a PS and the mail to the PS, and takes them back.",
            live_work.capture_parts,
        ),
        Trial(
            "duplicate_check",
            "Test duplicate check",
            "Asks for numbers that nobody has, and for those of the newest open leads.",
            live_work.duplicate_check_parts,
        ),
        Trial(
            "dashboard",
            "Test dashboard",
            "Builds the dashboards of the busiest CRE and the busiest PS, without the cache.",
            live_work.dashboard_parts,
        ),
    )
}


# --- What a run found: plain values, kept as JSON -----------------------------------------------------------------


@dataclass
class Line:
    """What one operation took. Milliseconds; statements and their time are those of a typical round."""

    words: str
    operation: str
    budget: float
    rounds: int
    p50: float
    p95: float
    slowest: float
    statements: int
    database: float

    @property
    def share(self) -> float:
        """Of the budget, in percent."""
        return 100 * self.p95 / self.budget


@dataclass
class Count:
    """Rows before and after. Of the test's `own` there must be none; the others move as people work."""

    words: str
    before: str
    after: str
    own: bool = False


@dataclass
class Found:
    verdict: str
    trouble: str
    seconds: float
    message: str = ""
    done: int = 0
    lines: list[Line] = field(default_factory=list)
    ways: list[dict[str, Any]] = field(default_factory=list)
    counts: list[Count] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)
    # Of the line that comes closest to its budget, or exceeds it most; for the history.
    p50: float = 0.0
    p95: float = 0.0
    share: float = 0.0


class Try(NamedTuple):
    """One round's time, statements and their time, in seconds."""

    seconds: float
    statements: int
    database: float


# --- Running ------------------------------------------------------------------------------------------------------


def run(name: str, rounds: int, supervisor: User) -> LiveTest:
    """Carries out a test and keeps what it found. Raises Busy while another one is under way, in any process."""
    trial = TESTS[name]
    rounds = min(rounds, MOST_ROUNDS)
    with _alone():
        log.info("live test begins", test=name, rounds=rounds, by=supervisor.pk)
        found = _found(trial, rounds)
        kept = LiveTest.objects.create(name=name, asked_by=supervisor, rounds=rounds, result=asdict(found))
        _forget_old(name)
    log.info(
        "live test done",
        test=name,
        by=supervisor.pk,
        verdict=found.verdict,
        rounds=found.done,
        seconds=found.seconds,
        p95=found.p95,
        warnings=found.warnings,
    )
    return kept


@contextmanager
def _alone() -> Iterator[None]:
    """One test at a time, whoever asks: a lock that a transaction holds on a connection of its own.

    So it ends with the process, however that ends; and it is held behind a pooler that lends connections by the
    transaction, as a session's lock would not be.
    """
    own = connection.copy()
    try:
        own.set_autocommit(False)
        with own.cursor() as cursor:
            cursor.execute(
                "SELECT pg_try_advisory_xact_lock(%s), set_config('idle_in_transaction_session_timeout', '60s', true)",
                [LOCK],
            )
            if not cursor.fetchone()[0]:
                raise Busy
        yield
    finally:
        own.close()


def _found(trial: Trial, rounds: int) -> Found:
    before = _patiently(_counted)
    tries: list[tuple[Part, list[Try]]] = []
    statements: list[tuple[str, Any]] = []
    trouble, stopped = "", False
    started = time.perf_counter()
    try:
        with _unnoticed(trial):
            tries = [(part, []) for part in trial.parts()]
            stopped = _rounds(tries, rounds, statements)
    except Unfit as error:
        trouble = str(error)
    except Exception as error:
        # Whatever it is: the round is rolled back, and the page says so.
        trouble = _said(error)
        log.warning("live test failed", test=trial.name, error=type(error).__name__, exc_info=True)
    seconds = time.perf_counter() - started
    untried = [f"“{part.words}”" for part, tried in tries if not tried]
    if stopped and untried:
        trouble = (
            f"No round of {' and '.join(untried)} fitted into {LONGEST_SECONDS:.0f} seconds. That is far too slow."
        )
    ways = _patiently(lambda: explained.ways(statements))
    counts = _compared(before, _patiently(_counted))
    return _judged(tries, ways, counts, seconds, trouble, stopped)


def _patiently(look: Callable[[], T]) -> T | None:
    """What `look` finds with the patience of a round, before and after all of them; None where it finds nothing."""
    try:
        with transaction.atomic(durable=True):
            _limit(writes=False)
            return look()
    except DatabaseError:
        log.warning("live test: could not look", exc_info=True)
        return None


def _rounds(tries: Sequence[tuple[Part, list[Try]]], rounds: int, statements: list[tuple[str, Any]]) -> bool:
    """Does the parts in turn. Whether it had to end before all rounds were done.

    A round of each goes before, which does not count but for the time: the process then has what it keeps between
    requests, and the statements are noted.
    """
    started = time.perf_counter()

    def late() -> bool:
        return time.perf_counter() - started > LONGEST_SECONDS

    for part, _ in tries[:rounds]:
        if late():
            return True
        with connection.execute_wrapper(_noting(statements)):
            _round(part)
    for number in range(rounds):
        if late():
            return True
        part, tried = tries[number % len(tries)]
        tried.append(_round(part))
    return False


def _noting(statements: list[tuple[str, Any]]) -> Callable[..., Any]:
    """Django's hook around each statement: writes down what can be explained, with its parameters, for a moment."""

    def note(execute: Callable[..., Any], sql: Any, params: Any, many: bool, context: Any) -> Any:
        if isinstance(sql, str) and not many and sql.split(None, 1)[0] in explained.EXPLAINED:
            statements.append((sql, params))
        return execute(sql, params, many, context)

    return note


def _round(part: Part) -> Try:
    """One transaction, which leaves by an error or by being rolled back."""
    with transaction.atomic(durable=True):
        _limit(writes=part.writes)
        measured = Measured()
        try:
            part.once()
        finally:
            measured.end()
        checks = _check_as_a_commit_would() if part.writes else 0.0
        transaction.set_rollback(True)
    # The savepoints stand where a save has its BEGIN and COMMIT, which nobody counts either.
    asked = [sql for sql, _ in measured.statements if "SAVEPOINT" not in str(sql)[:20]]
    return Try(measured.seconds + checks, len(asked), measured.database_seconds + checks)


def _limit(*, writes: bool) -> None:
    """Until the end of this transaction: nobody waits for us for long, and what only reads cannot write."""
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT set_config('lock_timeout', %s, true), set_config('statement_timeout', %s, true), "
            "set_config('transaction_read_only', %s, true)",
            [f"{LOCK_MILLISECONDS}ms", f"{STATEMENT_MILLISECONDS}ms", "off" if writes else "on"],
        )


def _check_as_a_commit_would() -> float:
    """The foreign keys, which PostgreSQL otherwise looks at in the COMMIT. How many seconds that took."""
    started = time.perf_counter()
    with connection.cursor() as cursor:
        cursor.execute("SET CONSTRAINTS ALL IMMEDIATE")
    return time.perf_counter() - started


@contextmanager
def _unnoticed(trial: Trial) -> Iterator[None]:
    """Keeps the rounds out of the cache that all share, and marks what they log: no customer stands behind it."""
    shared = caches[DEFAULT_CACHE_ALIAS]
    caches[DEFAULT_CACHE_ALIAS] = DummyCache("", {})
    try:
        with structlog.contextvars.bound_contextvars(live_test=trial.name):
            yield
    finally:
        caches[DEFAULT_CACHE_ALIAS] = shared


def _said(error: Exception) -> str:
    if isinstance(error.__cause__, errors.LockNotAvailable):
        return (
            f"A round waited {LOCK_MILLISECONDS} ms for something that a colleague holds, and gave way. Nothing is "
            "wrong with that: try again."
        )
    if isinstance(error.__cause__, errors.QueryCanceled):
        return f"A statement took longer than {STATEMENT_MILLISECONDS // 1000} seconds and was stopped."
    return f"The desk’s own code failed ({type(error).__name__}); the reason is in the log."


# --- What is left -------------------------------------------------------------------------------------------------


class _Counted(NamedTuple):
    own: dict[str, int]
    others: dict[str, str]


def _counted() -> _Counted:
    """Exactly, through the phone indexes, what carries a number of the tests; and how much there is of all.

    A follow-up or a row of the outbox cannot be without its lead: that is a foreign key.
    """
    leads = LeadMaster.objects.filter(customer_mobile_number__range=RANGE)
    repeats = DuplicateLead.objects.filter(customer_mobile_number__range=RANGE)
    own = {
        "Leads with a number of the tests": leads.count(),
        "Repeats with a number of the tests": repeats.count(),
        "Assignments of such leads": PSFollowup.objects.filter(lead__customer_mobile_number__range=RANGE).count(),
        "Waiting work for such leads (outbox)": Outbox.objects.filter(
            lead__customer_mobile_number__range=RANGE
        ).count(),
    }
    waiting = Outbox.objects.order_by()[: MOST_WAITING + 1].count()
    all_work = f"{waiting:,}" if waiting <= MOST_WAITING else f"more than {MOST_WAITING:,}"
    return _Counted(own, {"Waiting work of everybody (outbox)": all_work, **_estimates()})


def _estimates() -> dict[str, str]:
    tables = [model._meta.db_table for model in (LeadMaster, DuplicateLead, PSFollowup)]
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT relname, n_live_tup FROM pg_stat_user_tables WHERE relname = ANY (%s) ORDER BY relname", [tables]
        )
        return {f"Rows of {table}, as PostgreSQL estimates": f"{rows:,}" for table, rows in cursor.fetchall()}


def _compared(before: _Counted | None, after: _Counted | None) -> list[Count]:
    if before is None or after is None:
        return []
    return [
        *(Count(words, f"{count:,}", f"{after.own[words]:,}", own=True) for words, count in before.own.items()),
        *(Count(words, count, after.others.get(words, "")) for words, count in before.others.items()),
    ]


# --- What to say of it --------------------------------------------------------------------------------------------


def _judged(
    tries: Sequence[tuple[Part, list[Try]]],
    ways: list[Way] | None,
    counts: list[Count],
    seconds: float,
    trouble: str,
    stopped: bool,
) -> Found:
    lines = [_line(part, tried) for part, tried in tries if tried]
    left = [count.words for count in counts if count.own and count.after != "0"]
    slow = [line for line in lines if line.share > 100]
    untried = [part.words for part, tried in tries if not tried]
    worst = max(lines, key=lambda line: line.share, default=None)
    verdict = FAILED if trouble or left else SLOW if slow else FAST
    found = Found(verdict, trouble, round(seconds, 3))
    found.done = sum(line.rounds for line in lines)
    found.lines, found.counts = lines, counts
    found.ways = [{**asdict(way), "big": way.big} for way in ways or []]
    found.warnings = [
        *(f"{words}: there are some, and there must be none. Tell an engineer at once." for words in left),
        *([] if counts else ["The rows could not be counted this time; the log says why. Try again in a minute."]),
        *(_slow_words(line) for line in slow),
        *([UNEXPLAINED] if ways is None and not trouble else []),
        *filter(None, (way.warning for way in ways or [])),
        *(f"“{words}” was not tried: choose more rounds." for words in untried if not trouble),
        *([f"Ended after {found.done} rounds, for {LONGEST_SECONDS:.0f} seconds had passed."] if stopped else []),
    ]
    if worst:
        found.p50, found.p95, found.share = worst.p50, worst.p95, round(worst.share, 1)
    found.message = " ".join(filter(None, [VERDICTS[verdict], trouble, *(_words(line) for line in lines)]))
    return found


def _line(part: Part, tried: list[Try]) -> Line:
    times = sorted(1000 * one.seconds for one in tried)
    return Line(
        part.words,
        part.operation.name,
        part.operation.budget,
        len(tried),
        _quantile(times, 0.5),
        _quantile(times, 0.95),
        round(times[-1], 2),
        round(_quantile(sorted(one.statements for one in tried), 0.5)),
        _quantile(sorted(1000 * one.database for one in tried), 0.5),
    )


def _quantile(ordered: Sequence[float], share: float) -> float:
    """The least of the measured values within which that share of them stayed."""
    return round(ordered[math.ceil(share * len(ordered)) - 1], 2)


def _words(line: Line) -> str:
    return f"{line.words}: half within {line.p50:.1f} ms, 95 % within {line.p95:.1f} ms, agreed {line.budget:.0f} ms."


def _slow_words(line: Line) -> str:
    return f"“{line.words}” takes longer than agreed: {line.p95:.0f} ms instead of {line.budget:.0f} ms."


# --- What is kept and shown ---------------------------------------------------------------------------------------


def _runs(name: str) -> QuerySet[LiveTest]:
    return LiveTest.objects.filter(name=name).order_by("-at")


def _forget_old(name: str) -> None:
    LiveTest.objects.filter(pk__in=list(_runs(name).values_list("pk", flat=True)[KEPT:])).delete()


class Limits(NamedTuple):
    """What a test keeps within."""

    rounds: int = MOST_ROUNDS
    seconds: float = LONGEST_SECONDS
    lock_milliseconds: int = LOCK_MILLISECONDS
    statement_seconds: int = STATEMENT_MILLISECONDS // 1000


class Past(NamedTuple):
    """A former run; `bar` is its share of the budget in percent, 200 at most."""

    run: LiveTest
    verdict: str
    bar: float


@dataclass(frozen=True)
class Panel:
    """A test as the page shows it: what it is, its latest run, and the last ten."""

    trial: Trial
    past: list[Past]
    limits = Limits()

    @property
    def latest(self) -> LiveTest | None:
        return self.past[0].run if self.past else None

    @property
    def verdict(self) -> str:
        return self.past[0].verdict if self.past else ""

    @property
    def left(self) -> str:
        """What the latest run has left behind, in words."""
        counts = self.latest.result.get("counts", []) if self.latest else []
        return "nothing" if all(count["after"] == "0" for count in counts if count["own"]) else "something!"

    @property
    def rounds(self) -> int:
        """What the field offers: as many as last time."""
        return self.past[0].run.rounds if self.past else ROUNDS

    def as_json(self) -> dict[str, Any]:
        return {
            "test": self.trial.name,
            "words": self.trial.words,
            "runs": [{"at": one.run.at.isoformat(), "rounds": one.run.rounds, **one.run.result} for one in self.past],
        }


def panel(name: str) -> Panel:
    runs = _runs(name).select_related("asked_by")[:SHOWN]
    return Panel(
        TESTS[name],
        [_past(one) for one in runs],
    )


def _past(run: LiveTest) -> Past:
    """Also of one that another release of the desk has kept."""
    return Past(run, VERDICTS.get(run.result.get("verdict", ""), ""), min(run.result.get("share", 0.0), 200.0))


def overview() -> list[Panel]:
    """All tests for the page: one statement each."""
    return [panel(name) for name in TESTS]
