"""What has to be done now and then: each job by its name, bounded, in small batches beside the running desk.

A job does the same twice over, so a job by hand beside beat's does no harm. `lead_change` and the admin's own log are
kept for good.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import timedelta
from logging import INFO, WARNING
from typing import Any

from axes.models import AccessAttempt, AccessFailureLog, AccessLog
from django.contrib.sessions.models import Session
from django.db.models import QuerySet
from django.utils import timezone
from structlog.stdlib import get_logger

from followups import maintenance as outbox
from leads.invariants import INVARIANTS
from leads.maintenance import abandoned_claims, clear_abandoned_claims
from leads.repair import DERIVED
from performance import doctor

log = get_logger(__name__)

BATCH = 1000
# What is more waits for the next time.
BATCHES = 50
SIGN_INS_KEPT = timedelta(days=30)


@dataclass(frozen=True, slots=True)
class Done:
    """How many rows a job has dealt with, or would deal with, or has found; and what else there is to say."""

    number: int
    notes: list[str] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class Job:
    """`says` tells what it does, `found` is what stands behind the number; run it with whether it may only look.

    Where it finds anything it `alarms`: something has gone wrong.
    """

    name: str
    says: str
    found: str
    run: Callable[[bool], Done]
    alarms: bool = False


def run(job: Job, *, dry_run: bool = False) -> Done:
    """Does the job, or only looks what there is to do; a line in the log where there was something."""
    done = job.run(dry_run)
    if done.number and not dry_run:
        log.log(WARNING if job.alarms else INFO, "maintenance", job=job.name, rows=done.number, notes=done.notes)
    return done


# --- The jobs -------------------------------------------------------------------------------------------------------


def _sessions(dry_run: bool) -> Done:
    return Done(_delete(Session.objects.filter(expire_date__lt=timezone.now()), dry_run))


def _sign_ins(dry_run: bool) -> Done:
    since = timezone.now() - SIGN_INS_KEPT
    kept_by_axes = (AccessAttempt, AccessFailureLog, AccessLog)
    return Done(sum(_delete(model.objects.filter(attempt_time__lt=since), dry_run) for model in kept_by_axes))


def _claims(dry_run: bool) -> Done:
    now = timezone.now()
    if dry_run:
        return Done(abandoned_claims(now).count())
    return Done(_in_batches(lambda: clear_abandoned_claims(now, BATCH)))


def _outbox(dry_run: bool) -> Done:
    found = list(outbox.stuck(timezone.now()))
    more = {True: " or more", False: ""}
    notes = [
        f"{stuck.number:,}{more[stuck.number == outbox.MOST]}, from row {stuck.oldest} on: {stuck.words}"
        for stuck in found
    ]
    return Done(sum(stuck.number for stuck in found), notes)


def _counters(dry_run: bool) -> Done:
    if not dry_run:
        return Done(doctor.repaired())
    found = doctor.examine(invariant for invariant in INVARIANTS if invariant.name in DERIVED)
    uids = {uid for finding in found for uid in finding.uids}
    return Done(len(uids), [finding.words for finding in found])


JOBS = {
    job.name: job
    for job in (
        Job("sessions", "Deletes sessions that have expired.", "expired sessions", _sessions),
        Job(
            "sign-ins",
            f"Deletes failed sign-ins older than {SIGN_INS_KEPT.days} days.",
            "old failed sign-ins",
            _sign_ins,
        ),
        Job(
            "next-calls",
            "Clears the marks of next calls that were taken and left.",
            "abandoned next calls",
            _claims,
        ),
        Job(
            "outbox",
            "Tells what stays in the outbox; it changes nothing.",
            "outbox rows that somebody has to look at",
            _outbox,
            alarms=True,
        ),
        Job(
            "counters",
            "Counts attempts, first response, enquiries and priority anew where they are wrong.",
            "leads with a wrong counter",
            _counters,
            alarms=True,
        ),
    )
}


def _delete(rows: QuerySet[Any, Any], dry_run: bool) -> int:
    """Rows that nothing refers to."""
    if dry_run:
        return rows.count()

    def some() -> int:
        due = list(rows.values_list("pk", flat=True)[:BATCH])
        # Its condition again: a session may have been renewed since.
        _, deleted = rows.filter(pk__in=due).delete()
        return deleted.get(rows.model._meta.label, 0)

    return _in_batches(some)


def _in_batches(some: Callable[[], int]) -> int:
    """Does `some` until it finds less than a batch, BATCHES times at most; returns how many rows that were."""

    def numbers() -> Iterator[int]:
        for _ in range(BATCHES):
            number = some()
            yield number
            if number < BATCH:
                return

    return sum(numbers())
