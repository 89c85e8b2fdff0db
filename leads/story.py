"""What happened to a lead, in order: calls, repeats, assignments and their mails, and what still waits."""

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta

from django.db.models import QuerySet
from django.utils import timezone

from accounts.models import User
from followups.calls import Call
from followups.models import CallAttempt, EmailState, Kind, Outbox, PSFollowup, State
from leads.models import Channel, DuplicateLead, LeadMaster

SOON = timedelta(seconds=30)
BROKEN = (KeyError, TypeError, ValueError)


@dataclass(frozen=True, slots=True)
class Note:
    """A line beneath an event on what became of it: `tone` is ok, wait or bad."""

    words: str
    tone: str
    at: datetime | None = None


@dataclass(frozen=True, slots=True)
class Event:
    """One thing that happened. `kind` is captured, call, repeat, assigned or closed."""

    at: datetime
    kind: str
    title: str
    by: str = ""
    remark: str = ""
    follow_up_at: datetime | None = None
    note: Note | None = None


@dataclass(frozen=True, slots=True)
class Story:
    """`refresh` is the seconds until there may be news, 0 if nothing waits; `digest` tells stories apart."""

    events: list[Event]
    refresh: int
    digest: str


def story(lead: LeadMaster) -> Story:
    """The events of `lead`, oldest first, in five queries at most."""
    waiting = list(Outbox.objects.filter(lead=lead).order_by("id"))
    attempts = list(lead.call_attempts.select_related("by"))
    # The recorder may have come in between these two queries.
    recorded = {attempt.outbox_id for attempt in attempts}
    calls = [row for row in waiting if row.kind == Kind.ATTEMPT and row.pk not in recorded]
    people = _people(calls)
    told_calls = [*map(_attempt, attempts), *(_call_waiting(row, people) for row in calls)]
    events = [
        _captured(lead, told_calls),
        *told_calls,
        *_assignments(lead.followups.select_related("ps", "branch", "assigned_by"), waiting),
        *_repeats(lead.repeats.select_related("created_by"), waiting),
        *_closed(lead),
    ]
    # At one and the same moment, what follows from an event stands after it.
    events.sort(key=lambda event: (event.at, ORDER.index(event.kind)))
    told = repr((events, lead.updated_at, lead.attempts, lead.version)).encode()
    return Story(events, _refresh(waiting), hashlib.blake2b(told, digest_size=8).hexdigest())


ORDER = ["captured", "call", "assigned", "repeat", "closed"]


def _people(calls: list[Outbox]) -> dict[int, str]:
    """Who made the calls that wait to be recorded: their rows know ids only."""
    callers = {row.payload.get("by") for row in calls}
    return dict(User.objects.filter(pk__in=callers).values_list("pk", "name")) if callers else {}


def _refresh(waiting: list[Outbox]) -> int:
    """Two seconds while workers are at it; seldom while a mail waits for its next try; 0 for the rest."""
    alive = [row for row in waiting if row.state != State.DEAD]
    if not alive:
        return 0
    soon = timezone.now() + SOON
    return 2 if any(row.state == State.CLAIMED or row.not_before < soon for row in alive) else 20


def _captured(lead: LeadMaster, calls: list[Event]) -> Event:
    # As a rule the first remark is that of the call in which the lead was captured: it is shown once.
    remark = "" if any(call.remark == lead.first_remark for call in calls) else lead.first_remark
    return Event(
        lead.created_at,
        "captured",
        f"Captured from {lead.source} · {lead.sub_source}",
        by=lead.created_by.name if lead.created_by else "",
        remark=remark,
    )


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


def _assignments(followups: QuerySet[PSFollowup], waiting: list[Outbox]) -> Iterator[Event]:
    mails = {row.ps_followup_id: row for row in waiting if row.kind == Kind.MAIL}
    for followup in followups:
        yield Event(
            followup.assigned_at,
            "assigned",
            f"Given to {followup.ps.name}, {followup.branch.name}",
            by=followup.assigned_by.name,
            note=_mail(followup, mails.get(followup.pk)),
        )


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


def _repeats(repeats: QuerySet[DuplicateLead], waiting: list[Outbox]) -> Iterator[Event]:
    alerts = {row.payload.get("repeat"): row for row in waiting if row.kind == Kind.ALERT}
    for repeat in repeats:
        told = repeat.channel == Channel.TOLD
        yield Event(
            repeat.created_at,
            "repeat",
            "The customer called a colleague" if told else f"Asked again, from {repeat.source} · {repeat.sub_source}",
            by=repeat.created_by.name if repeat.created_by else "",
            remark=repeat.remark,
            note=_alert(alerts.get(repeat.pk)),
        )


def _alert(row: Outbox | None) -> Note | None:
    if row is None:
        return None
    if row.state == State.DEAD:
        return Note(f"The alert failed: {row.last_error}", "bad")
    return Note("The alert is on its way", "wait")


def _closed(lead: LeadMaster) -> Iterator[Event]:
    if lead.won_at:
        yield Event(lead.won_at, "closed", f"Won: {lead.lead_status}")
    if lead.lost_at:
        yield Event(lead.lost_at, "closed", f"Lost: {lead.lost_reason}")
