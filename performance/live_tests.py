"""Live tests: how fast the desk's own code is on its real data, now, without leaving anything behind.

Each round is a transaction of its own that is rolled back: PostgreSQL shows nobody what was in it, so no worker finds
work and no page a lead. Whatever a round would do after its commit is forgotten with it. For the time of a test this
thread's cache is one that keeps nothing, so pages are made anew and nothing of them stays.
"""

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from typing import Any, TypeVar

import structlog
from django.core.cache import DEFAULT_CACHE_ALIAS, caches
from django.core.cache.backends.dummy import DummyCache
from django.db import DatabaseError, connection, transaction
from django.db.models import QuerySet
from psycopg import errors
from structlog.stdlib import get_logger

from accounts.models import User
from performance import live_work, query_plans
from performance.live_test_counts import compared, counted
from performance.live_test_findings import LONGEST_SECONDS, Found, Try, judged
from performance.live_work import Part, Unfit
from performance.measuring import Measured
from performance.models import LiveTest

log = get_logger(__name__)
T = TypeVar("T")

MOST_ROUNDS, ROUNDS = 100, 20
LOCK_MILLISECONDS, STATEMENT_MILLISECONDS = 100, 2000
# By which PostgreSQL knows that a live test is under way, in whatever process.
LOCK = 4_610_001
KEPT = 50


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
    before = _patiently(counted)
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
    ways = _patiently(lambda: query_plans.ways(statements))
    counts = compared(before, _patiently(counted))
    return judged(tries, ways, counts, seconds, trouble, stopped)


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
        if isinstance(sql, str) and not many and sql.split(None, 1)[0] in query_plans.EXPLAINED:
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


# --- What is kept and shown ---------------------------------------------------------------------------------------


def runs(name: str) -> QuerySet[LiveTest]:
    return LiveTest.objects.filter(name=name).order_by("-at")


def _forget_old(name: str) -> None:
    LiveTest.objects.filter(pk__in=list(runs(name).values_list("pk", flat=True)[KEPT:])).delete()
