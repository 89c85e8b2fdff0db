"""Saving what a person tells of a lead: both desks come here, under the lead's lock and in their one transaction.

A call changes the lead through `outcome.apply` and leaves an attempt for the recorder; the rest are details. Nothing
here looks anything up: the service has locked the lead and knows its open follow-up where that is needed.
"""

from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from accounts.models import User
from followups import outcome as outcomes
from followups.calls import Call
from followups.catalogue import FinalStatus, Outcome
from followups.models import CallRole, EmailState, Kind, Outbox, PSFollowup

# What a save may change of the lead; the workers' counters are not among it.
SAVED_FIELDS = (
    *outcomes.LEAD_FIELDS,
    "model_interested",
    "test_drive_at",
    "next_call_by",
    "next_call_until",
    "version",
    "saved_by",
    "saved_request_id",
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Told:
    """What was typed, in the desk's own spelling.

    `call` is None where nobody called; `follow_up_at` None keeps what was agreed. `request_id` is the form's, `cause`
    the HTTP request's, for the log.
    """

    call: Outcome | None = None
    category: str = ""
    model: str = ""
    follow_up_at: datetime | None = None
    lost_reason: str = ""
    test_drive_at: datetime | None = None
    remark: str = ""
    request_id: UUID | None = None
    cause: str = ""


def tell(
    lead: Any, followup: PSFollowup | None, told: Told, *, actor: User, role: CallRole | None, at: datetime
) -> list[Outbox]:
    """Puts `told` into the locked `lead` and its open `followup`; the caller saves both, and the outbox rows returned.

    `role` is the caller's; None for a supervisor, who corrects but does not call.
    """
    before = lead.final_status
    lead.lead_category, lead.model_interested = told.category, told.model
    lead.test_drive_at = told.test_drive_at
    rows = []
    if told.call and role:
        outcomes.apply(lead, followup, told.call, at=at, follow_up_at=told.follow_up_at, lost_reason=told.lost_reason)
        call = _call(lead, told, before=before, by=actor.pk, role=role, at=at)
        rows.append(Outbox(kind=Kind.ATTEMPT, lead=lead, ps_followup=followup, payload=call.payload(), **_now(at)))
    else:
        lead.follow_up_at = told.follow_up_at or lead.follow_up_at
        outcomes.prioritise(lead)
    mark_saved(lead, actor, told.request_id, at=at)
    return rows


def mark_saved(lead: Any, actor: User, request_id: UUID | None, *, at: datetime) -> None:
    """Notes who saved; a lead that was in somebody's hands for the next call is free again."""
    lead.version += 1
    lead.saved_by, lead.saved_request_id, lead.updated_at = actor, request_id, at
    lead.next_call_by, lead.next_call_until = None, None


def _call(lead: Any, told: Told, *, before: str, by: int, role: CallRole, at: datetime) -> Call:
    assert told.call is not None
    return Call(
        role=role.value,
        by=by,
        lead_status=told.call.code,
        remark=told.remark,
        follow_up_at=None if told.call.closes else told.follow_up_at,
        final_status_before=before,
        final_status_after=lead.final_status,
        called_at=at,
        cause=told.cause,
    )


def _now(at: datetime) -> dict[str, datetime]:
    return {"not_before": at, "created_at": at}


def hand_over(
    lead: Any, earlier: PSFollowup | None, to: tuple[int, int], *, actor: User, told: Told, at: datetime
) -> tuple[PSFollowup, list[Outbox]]:
    """Gives the locked `lead` to another PS, `to` being branch and PS: the earlier assignment ends and a new one opens.

    Both are saved here; the caller saves the lead and the outbox rows returned: the mail to the new PS, word to the
    old one. In a save that closes the lead nobody is told: there is nothing to follow up any more.
    """
    branch_id, ps_id = to
    if earlier:
        outcomes.close(earlier, FinalStatus.PENDING, at=at)
        outcomes.save_closed(earlier)
    closes = told.call is not None and told.call.closes
    followup = PSFollowup.objects.create(
        lead=lead,
        ps_id=ps_id,
        branch_id=branch_id,
        assigned_by=actor,
        assigned_at=at,
        email_state=EmailState.NOT_NEEDED if closes else EmailState.WAITING,
    )
    lead.branch_id, lead.ps_id, lead.ps_assigned_at = branch_id, ps_id, at
    if closes:
        return followup, []
    told_to = {"cause": told.cause, "remark": told.remark}
    rows = [Outbox(kind=Kind.MAIL, lead=lead, ps_followup=followup, payload=told_to, **_now(at))]
    if earlier:
        gone = {"cause": told.cause, "taken_from": earlier.pk}
        rows.append(Outbox(kind=Kind.ALERT, lead=lead, payload=gone, **_now(at)))
    return followup, rows


def note(lead: Any, told: Told, actor: User, *, drive: bool, at: datetime) -> None:
    """Writes down what no call tells: a remark without a call, and a test drive that was recorded."""
    changes: list[dict[str, str]] = []
    if told.call is None and told.remark:
        changes.append({"field": "note", "after": told.remark})
    if drive and told.test_drive_at:
        changes.append({"field": "test_drive_at", "after": told.test_drive_at.isoformat()})
    if changes:
        row = lead.changes.model
        row.objects.bulk_create([row(lead=lead, by=actor, at=at, **change) for change in changes])
