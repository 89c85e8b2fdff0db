"""Carries out a request to put the database in order, step by step, and writes down how each went.

One at a time: who works holds an advisory lock, on a connection of its own, as long as PostgreSQL is at it.
"""

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from logging import INFO, WARNING
from typing import Any

from django.db import DatabaseError, Error, connection
from django.db.backends.base.base import BaseDatabaseWrapper
from django.utils import timezone
from structlog.stdlib import get_logger

from followups.tasks import show_up
from performance import database, optimize_plan
from performance.catalogue_reading import reason, sentence
from performance.database import INVALID, LOOSE, VALID
from performance.models import Optimization
from performance.optimize_plan import ANALYZE, DONE, FAILED, NOT_NEEDED, NOT_TRIED, RUNNING, WAITING, Step

log = get_logger(__name__)

LOCK = "SELECT pg_try_advisory_lock(1684370283, 1)"  # "desk" in bytes
# The same one, as far as it can be held behind a pooler: until the end of the transaction.
BRIEF_LOCK = "SELECT pg_try_advisory_xact_lock(1684370283, 1)"
PROCESS = "SELECT pg_backend_pid()"
# Building beside others means waiting for them, and nobody waits for that; a constraint takes the whole table.
LOCK_TIMEOUT, BRIEF_LOCK_TIMEOUT = "5min", "2s"
# As often as the page looks. Whoever has missed three beats may be dead; the lock knows.
HEARTBEAT_SECONDS = 2
SILENT = timedelta(seconds=3 * HEARTBEAT_SECONDS)
# In seconds, and how often in vain.
KEEPALIVES = {"keepalives_idle": 30, "keepalives_interval": 10, "keepalives_count": 3}
ENDED = "The worker ended before it was done."
POOLED = (
    "Nothing was done: the worker reaches PostgreSQL through a pooler, which may carry each statement to another of "
    "its connections, and then neither the lock nor the time limits hold. Start the worker with a DATABASE_URL that "
    "leads to PostgreSQL itself (tell whoever looks after the server), and apply again."
)
CHANGED = "The database has changed since this was asked for, so nothing was done. Look at what there is to do now."
UNUSABLE = "PostgreSQL did not refuse, but the index cannot be used."


def look() -> None:
    """Takes the waiting request, if there is one; notices one whose worker has died."""
    job = optimize_plan.unfinished()
    if job is None or (job.seen_at and timezone.now() - job.seen_at < SILENT):
        return
    with _own_connection() as own:
        direct = _is_direct(own)
        # One transaction from here on, where only such a lock is ours.
        own.set_autocommit(direct)
        if _asked(own, LOCK if direct else BRIEF_LOCK) is not True:
            return
        # Only now is it certain that nobody else is at it.
        job.refresh_from_db()
        if job.state == Optimization.State.RUNNING:
            _lost(job)
        elif job.state == Optimization.State.WAITING and direct:
            _carry_out(job, own)
        elif job.state == Optimization.State.WAITING:
            _give_up(job, POOLED)


@contextmanager
def _own_connection() -> Iterator[BaseDatabaseWrapper]:
    """Asks the network whether PostgreSQL is there at all while it is silent, as it may be for hours."""
    own = connection.copy()
    own.settings_dict["OPTIONS"] |= KEEPALIVES
    try:
        yield own
    finally:
        own.close()


def _is_direct(own: BaseDatabaseWrapper) -> bool:
    """Whether whoever answered the connection is whoever answers its statements; a pooler answers in its own name."""
    own.ensure_connection()
    return bool(_asked(own, PROCESS) == own.connection.info.backend_pid)


def _asked(own: BaseDatabaseWrapper, sql: str) -> Any:
    with own.cursor() as cursor:
        cursor.execute(sql)
        return cursor.fetchone()[0]


def _carry_out(job: Optimization, own: BaseDatabaseWrapper) -> None:
    # An index of a big table takes as long as it takes.
    _asked(own, "SELECT set_config('statement_timeout', '0', false)")
    job.state, job.started_at, job.seen_at = Optimization.State.RUNNING, timezone.now(), timezone.now()
    job.save(update_fields=["state", "started_at", "seen_at"])
    log.info("optimization", job=str(job.pk), by=job.asked_by_id, cause=job.cause, state="running")
    with _seen(job):
        for step in job.steps:
            _try(job, step, own)
    _conclude(job)


def _conclude(job: Optimization) -> None:
    failed = sum(step["state"] == FAILED for step in job.steps)
    _end(job, f"{failed} of {len(job.steps)} steps failed." if failed else f"All done: {_steps(job)}.")


def _steps(job: Optimization) -> str:
    return "1 step" if len(job.steps) == 1 else f"{len(job.steps)} steps"


@contextmanager
def _seen(job: Optimization) -> Iterator[None]:
    """Says now and then that somebody is at it, while this thread waits for PostgreSQL."""
    over = threading.Event()

    def beat() -> None:
        while not over.wait(HEARTBEAT_SECONDS):
            try:
                Optimization.objects.filter(pk=job.pk).update(seen_at=timezone.now())
                # The rounds of this worker may have to wait meanwhile: it is alive all the same.
                show_up()
            except Error:
                # The next beat takes a new one.
                connection.close()
        connection.close()

    beating = threading.Thread(target=beat, daemon=True)
    beating.start()
    try:
        yield
    finally:
        over.set()
        beating.join()


def _try(job: Optimization, step: dict[str, Any], own: BaseDatabaseWrapper) -> None:
    """Does one step and notes how it went; the next ones are tried all the same, unless they build on this one."""
    failed_before = {other["index"] for other in job.steps if other["state"] == FAILED}
    if own.connection.closed:
        # The lock went with it.
        _note(job, step, NOT_TRIED, error="The connection to PostgreSQL was lost.")
        return
    if step["index"] and step["index"] in failed_before:
        _note(job, step, NOT_TRIED, error="It builds on a step that failed.")
        return
    _note(job, step, RUNNING)
    started = time.perf_counter()
    try:
        state, error = _do(Step.of(step), own)
    except optimize_plan.Unreadable as unread:
        state, error = FAILED, str(unread)
    except Error as trouble:
        state, error = FAILED, _reason(trouble)
    step["seconds"] = round(time.perf_counter() - started, 3)
    _note(job, step, state, error)


def _note(job: Optimization, step: dict[str, Any], state: str, error: str = "") -> None:
    step["state"], step["error"] = state, error
    # A long step may have outlived it.
    connection.close_if_unusable_or_obsolete()
    job.seen_at = timezone.now()
    job.save(update_fields=["steps", "seen_at"])
    if state != RUNNING:
        about = {"kind": step["kind"], "table": step["table"], "index": step["index"], "error": error}
        log.info("optimization step", job=str(job.pk), state=state, seconds=step["seconds"], **about)


def _do(step: Step, own: BaseDatabaseWrapper) -> tuple[str, str]:
    """What became of it. Only what the plan of this moment wants is done, whatever the request says."""
    if step.kind == ANALYZE:
        warned = _execute(step, own)
        return (FAILED, warned) if warned else (DONE, "")
    before = database.structure()
    if step.sql not in {wanted.sql for wanted in optimize_plan.plan(before)}:
        return (NOT_NEEDED, "") if _stands(step, before) else (FAILED, CHANGED)
    try:
        _execute(step, own)
    except DatabaseError as trouble:
        return FAILED, " ".join([_reason(trouble), *_left(step, before)])
    return (DONE, "") if _stands(step, database.structure()) else (FAILED, UNUSABLE)


def _stands(step: Step, found: database.Report) -> bool:
    """Whether what the step is for is there and valid."""
    state = next((index.state for index in found.indexes if index.name == step.index), "")
    return state == VALID or (state == LOOSE and not step.sql.startswith("ALTER TABLE"))


def _execute(step: Step, own: BaseDatabaseWrapper) -> str:
    """Returns what PostgreSQL warned of: it says of a table that may not be analyzed that it was skipped."""
    warned: list[str] = []

    def note(diagnosis: Any) -> None:
        if diagnosis.severity_nonlocalized == "WARNING":
            warned.append(sentence(diagnosis.message_primary))

    patience = BRIEF_LOCK_TIMEOUT if step.sql.startswith("ALTER TABLE") else LOCK_TIMEOUT
    with own.cursor() as cursor:
        cursor.execute("SELECT set_config('lock_timeout', %s, false)", [patience])
        own.connection.add_notice_handler(note)
        try:
            cursor.execute(step.sql)
        finally:
            own.connection.remove_notice_handler(note)
    return " ".join(warned)


def _reason(trouble: Error) -> str:
    code = getattr(trouble.__cause__, "sqlstate", None)
    words = reason(trouble)
    return f"{words} (SQLSTATE {code}.)" if code else words


def _left(step: Step, before: database.Report) -> Iterator[str]:
    """What a build that failed has left behind."""
    known = {index.name: index.state for index in before.indexes}
    try:
        now = database.structure().indexes
    except Error:
        return
    for index in now:
        if index.name == step.index and index.state == INVALID and known.get(index.name) != INVALID:
            yield "An unfinished index was left. When the reason is gone, apply again to rebuild it."
        elif index.table == step.table and index.state != VALID and index.name not in known:
            yield f"{index.name} was left: it costs time on each save. {database.DROP_IT}"


def _lost(job: Optimization) -> None:
    """Nobody holds the lock: the worker has ended, and so has PostgreSQL's work for it."""
    if job.steps_over == len(job.steps):
        _conclude(job)
        return
    found = database.structure()
    if not found.readable:
        # Look again later, when it can be told what has become of the step.
        return
    for step in job.steps:
        if step["state"] == RUNNING:
            finished = _stands(Step.of(step), found)
            step["state"] = DONE if finished else FAILED
            step["error"] = "PostgreSQL finished it after the worker had ended." if finished else ENDED
    _give_up(job, ENDED)


def _give_up(job: Optimization, why: str) -> None:
    for step in job.steps:
        if step["state"] == WAITING:
            step["state"] = NOT_TRIED
    _end(job, why, failed=True)


def _end(job: Optimization, message: str, *, failed: bool = False) -> None:
    bad = failed or any(step["state"] in (FAILED, NOT_TRIED) for step in job.steps)
    job.state = Optimization.State.FAILED if bad else Optimization.State.DONE
    job.message, job.ended_at = message, timezone.now()
    job.save(update_fields=["state", "message", "steps", "ended_at"])
    log.log(
        WARNING if bad else INFO, "optimization", job=str(job.pk), by=job.asked_by_id, cause=job.cause, state=job.state
    )
