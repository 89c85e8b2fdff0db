"""What calls and assignments tell of a lead, in order: recorded, or still waiting for the workers."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.db.models import QuerySet

from accounts.models import User
from followups.calls import Call
from followups.models import CallAttempt, EmailState, Kind, Outbox, PSFollowup, State

BROKEN = (KeyError, TypeError, ValueError)


@dataclass(frozen=True, slots=True)
class Note:
    """A line beneath an event on what became of it: `tone` is ok, wait or bad."""

    words: str
    tone: str
    at: datetime | None = None


@dataclass(frozen=True, slots=True)
class Event:
    """One thing that happened. `kind` is one of leads.story.ORDER."""

    at: datetime
    kind: str
    title: str
    by: str = ""
    remark: str = ""
    follow_up_at: datetime | None = None
    note: Note | None = None


def calls(lead: Any, waiting: list[Outbox]) -> list[Event]:
    """All calls of `lead`, by CRE and PS, those included that `waiting`, its outbox, still holds. Oldest first."""
    attempts = list(lead.call_attempts.select_related("by"))
    # The recorder may have come in between these two queries.
    recorded = {attempt.outbox_id for attempt in attempts}
    rows = [row for row in waiting if row.kind == Kind.ATTEMPT and row.pk not in recorded]
    people = _people(rows)
    told = [*map(_attempt, attempts), *(_call_waiting(row, people) for row in rows)]
    return sorted(told, key=lambda event: event.at)


def waiting_for(lead: Any) -> list[Outbox]:
    """What the workers still have to do for `lead`."""
    return list(Outbox.objects.filter(lead=lead).order_by("id"))


def _people(calls: list[Outbox]) -> dict[int, str]:
    """Who made the calls that wait to be recorded: their rows know ids only."""
    callers = {row.payload.get("by") for row in calls}
    return dict(User.objects.filter(pk__in=callers).values_list("pk", "name")) if callers else {}


def _attempt(attempt: CallAttempt) -> Event:
    return Event(
        attempt.called_at,
        "call",
        f"{attempt.get_role_display()} {attempt.call_no}/{attempt.attempt}: {attempt.lead_status}",
        by=attempt.by.name,
        remark=attempt.remark,
        follow_up_at=attempt.follow_up_at,
    )


def _call_waiting(row: Outbox, people: dict[int, str]) -> Event:
    note = (
        Note(f"Could not be recorded: {row.last_error}", "bad")
        if row.state == State.DEAD
        else Note("Being recorded", "wait")
    )
    try:
        call = Call.from_payload(row.payload)
    except BROKEN:
        return Event(row.created_at, "call", "Call", note=note)
    return Event(
        call.called_at,
        "call",
        f"{call.role.upper()}: {call.lead_status}",
        by=people.get(call.by, ""),
        remark=call.remark,
        follow_up_at=call.follow_up_at,
        note=note,
    )


def assignments(followups: QuerySet[PSFollowup], waiting: list[Outbox]) -> Iterator[Event]:
    """Who was given the lead, what became of the mails, and who has said that it arrived."""
    mails = {row.ps_followup_id: row for row in waiting if row.kind == Kind.MAIL}
    for followup in followups:
        yield Event(
            followup.assigned_at,
            "assigned",
            f"Given to {followup.ps.name}, {followup.branch.name}",
            by=followup.assigned_by.name,
            note=_mail(followup, mails.get(followup.pk)),
        )
        if followup.accepted_at:
            yield Event(followup.accepted_at, "accepted", f"{followup.ps.name} has got it")


def _mail(followup: PSFollowup, row: Outbox | None) -> Note:
    """Where the mail to the PS stands."""
    address = followup.ps.email or "no address"
    match followup.email_state:
        case EmailState.SENT:
            return Note(f"E-mail sent to {address}", "ok", followup.email_sent_at)
        case EmailState.FAILED:
            return Note(f"E-mail to {address} failed: {followup.email_error or 'no reason given'}", "bad")
        case EmailState.NOT_NEEDED:
            return Note("No e-mail was needed", "ok")
        case EmailState.SENDING:
            return Note(f"E-mail to {address} is being sent", "wait")
    if row and followup.email_error:
        reason = followup.email_error.rstrip(".")
        return Note(
            f"E-mail to {address} waits after {_tries(row.tries)} ({reason}); next try",
            "wait",
            row.not_before,
        )
    return Note(f"E-mail to {address} is waiting to be sent", "wait")


def _tries(number: int) -> str:
    return "1 try" if number == 1 else f"{number} tries"
