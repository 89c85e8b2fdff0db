"""What happened to a lead, in order: calls, repeats, assignments and their mails, and what still waits."""

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta

from django.db.models import QuerySet
from django.utils import timezone

from followups.events import Event, Note, assignments, calls, waiting_for
from followups.models import Kind, Outbox, State
from followups.wording import moment_in_words
from leads.models import Channel, DuplicateLead, LeadChange, LeadMaster

SOON = timedelta(seconds=30)


@dataclass(frozen=True, slots=True)
class Story:
    """`refresh` is the seconds until there may be news, 0 if nothing waits; `digest` tells stories apart."""

    events: list[Event]
    refresh: int
    digest: str


def story(lead: LeadMaster) -> Story:
    """The events of `lead`, newest first, in six queries at most."""
    waiting = waiting_for(lead)
    told_calls = calls(lead, waiting)
    events = [
        _captured(lead, told_calls),
        *told_calls,
        *assignments(lead.followups.select_related("ps", "branch", "assigned_by"), waiting),
        *_repeats(lead.repeats.select_related("created_by"), waiting),
        *_changed(lead.changes.select_related("by")),
        *_closed(lead),
    ]
    # At one and the same moment, what follows from an event stands after it.
    events.sort(key=lambda event: (event.at, ORDER.index(event.kind)), reverse=True)
    told = repr((events, lead.updated_at, lead.attempts, lead.version)).encode()
    return Story(events, _refresh(waiting), hashlib.blake2b(told, digest_size=8).hexdigest())


ORDER = ["captured", "call", "assigned", "accepted", "repeat", "changed", "closed"]


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


WORDS = {
    "customer_name": "Name corrected",
    "customer_mobile_number": "Number corrected",
    "alternate_number": "Other number corrected",
    "email": "E-mail corrected",
}


def _changed(changes: QuerySet[LeadChange]) -> Iterator[Event]:
    for change in changes:
        yield Event(change.at, "changed", _change(change), by=change.by.name, remark=_reason(change))


def _change(change: LeadChange) -> str:
    match change.field:
        case "note":
            return "Note"
        case "cre":
            if not change.after:
                return f"Taken from {change.before}"
            return f"Given to {change.after}" + (f", before with {change.before}" if change.before else "")
        case "test_drive_at":
            return f"Test drive done on {moment_in_words(datetime.fromisoformat(change.after))}"
        case "final_status":
            return f"Reopened: it was {change.before}"
    return f"{WORDS.get(change.field, change.field)}: {change.before or 'none'} → {change.after or 'none'}"


def _reason(change: LeadChange) -> str:
    return change.after if change.field == "note" else change.reason
