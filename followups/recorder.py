"""Records the call attempts that saves have left in the outbox: numbered, in order, each exactly once.

A worker locks leads, takes *all* waiting attempts of each in outbox order, and in one transaction numbers and stores
them and removes the rows. One row at a time, in any order, would misnumber as soon as two workers run.
"""

from collections.abc import Collection, Iterable
from datetime import datetime, timedelta
from functools import partial
from typing import Any

from django.db import DatabaseError, OperationalError, transaction
from django.db.models import Count, F, Min, OuterRef, Subquery
from django.dispatch import Signal
from django.utils import timezone
from structlog.stdlib import get_logger

from followups import kept
from followups.calls import Call, CallNumber, following
from followups.models import CallAttempt, Kind, Outbox, State

log = get_logger(__name__)

BATCH = 200
MOST_TRIES = 8
RETRY_AFTER = timedelta(seconds=30)
BROKEN = (DatabaseError, KeyError, TypeError, ValueError)

# Sent with `seconds`, a list: how long each of them had waited since the save that made the call.
attempts_recorded = Signal()

Waiting = Outbox.objects.filter(kind=Kind.ATTEMPT, state=State.WAITING)


def record_waiting() -> int:
    """Records until nothing is left that no other worker has in its hands; returns how many attempts."""
    total = 0
    while recorded := _record_batch():
        total += recorded
    return total


def _record_batch() -> int:
    leads: list[int] = []
    try:
        with transaction.atomic():
            leads = _waiting_leads()
            return _record(leads)
    except OperationalError:
        raise
    except BROKEN:
        # One lead's row is broken: the others shall not wait for it.
        return sum(_record_alone(lead) for lead in leads)


def _waiting_leads() -> list[int]:
    """Leads with due attempts, oldest first; rows that another worker looks at are left to it."""
    rows = Waiting.filter(not_before__lte=timezone.now()).order_by("id").select_for_update(skip_locked=True)
    return list(dict.fromkeys(rows.values_list("lead_id", flat=True)[:BATCH]))


def _record_alone(lead: int) -> int:
    try:
        with transaction.atomic():
            return _record([lead])
    except OperationalError:
        raise
    except BROKEN as error:
        _set_back(lead, error)
        return 0


def _record(leads: Collection[int]) -> int:
    """In the caller's transaction: all waiting attempts of those leads that can be locked."""
    people = _lock(leads)
    locked = list(people)
    # All of them but those that were set back: a row that cannot be read does not hold its lead's others back.
    rows = list(Waiting.filter(lead_id__in=locked, not_before__lte=timezone.now()).order_by("id"))
    if not rows:
        return 0
    CallAttempt.objects.bulk_create(_number(rows, _last_numbers(locked)))
    _count(locked)
    Outbox.objects.filter(pk__in=[row.pk for row in rows]).delete()
    kept.touched(*(person for row in rows for person in people[row.lead_id]))
    transaction.on_commit(partial(_tell_recorded, [row.created_at for row in rows]))
    for row in rows:
        log.info("call attempt recorded", lead=row.lead_id, outbox_id=row.pk, request_id=row.payload.get("cause"))
    return len(rows)


def _tell_recorded(saved_at: Iterable[datetime]) -> None:
    now = timezone.now()
    attempts_recorded.send_robust(Outbox, seconds=[(now - at).total_seconds() for at in saved_at])


def _lead_model() -> Any:
    return Outbox._meta.get_field("lead").related_model


def _lock(leads: Collection[int]) -> dict[int, tuple[int | None, int | None]]:
    """Those of the leads that nobody else holds, each with its CRE and PS."""
    found = _lead_model().objects.filter(pk__in=leads).order_by("pk")
    locked = found.select_for_update(no_key=True, skip_locked=True).values_list("pk", "cre_id", "ps_id")
    return {pk: (cre, ps) for pk, cre, ps in locked}


def _last_numbers(leads: Collection[int]) -> dict[tuple[int, str], tuple[CallNumber, bool]]:
    """The latest number of each role on each lead, and whether the customer was reached then."""
    latest = (
        CallAttempt.objects.filter(lead_id__in=leads)
        .order_by("lead_id", "role", "-call_no", "-attempt")
        .distinct("lead_id", "role")
        .values_list("lead_id", "role", "call_no", "attempt", "contacted")
    )
    return {
        (lead, role): (CallNumber(call_no, attempt), contacted) for lead, role, call_no, attempt, contacted in latest
    }


def _number(rows: Iterable[Outbox], last: dict[tuple[int, str], tuple[CallNumber, bool]]) -> Iterable[CallAttempt]:
    for row in rows:
        call = Call.from_payload(row.payload)
        number, contacted = last.get((row.lead_id, call.role), (None, False))
        number = following(number, contacted=contacted)
        last[row.lead_id, call.role] = (number, call.contacted)
        yield CallAttempt(
            lead_id=row.lead_id,
            ps_followup_id=row.ps_followup_id,
            role=call.role,
            by_id=call.by,
            call_no=number.call_no,
            attempt=number.attempt,
            lead_status=call.lead_status,
            contacted=call.contacted,
            remark=call.remark,
            follow_up_at=call.follow_up_at,
            final_status_before=call.final_status_before,
            final_status_after=call.final_status_after,
            called_at=call.called_at,
            outbox_id=row.pk,
        )


def _count(leads: Collection[int]) -> None:
    """Sets the leads' count of attempts and first response from the attempts themselves."""
    of_lead = CallAttempt.objects.filter(lead=OuterRef("pk")).order_by().values("lead")
    _lead_model().objects.filter(pk__in=leads).update(
        attempts=Subquery(of_lead.annotate(number=Count("pk")).values("number")),
        first_attempt_at=Subquery(of_lead.annotate(first=Min("called_at")).values("first")),
    )


def _set_back(lead: int, error: Exception) -> None:
    """What cannot be recorded is tried again later and at last given up, where a supervisor sees it.

    That is the rows which cannot be read, or else all of the lead's that are due.
    """
    # What broke, without the row that PostgreSQL quotes: a log knows no customer. The outbox keeps it all.
    log.error("call attempt not recorded", lead=lead, error=type(error).__name__)
    due = list(Waiting.filter(lead_id=lead, not_before__lte=timezone.now()))
    broken = [row.pk for row in due if not _can_be_read(row)] or [row.pk for row in due]
    rows = Outbox.objects.filter(pk__in=broken)
    rows.update(tries=F("tries") + 1, last_error=repr(error)[:500], not_before=timezone.now() + RETRY_AFTER)
    rows.filter(tries__gte=MOST_TRIES).update(state=State.DEAD)


def _can_be_read(row: Outbox) -> bool:
    try:
        return Call.from_payload(row.payload).contacted in (True, False)
    except BROKEN:
        return False
