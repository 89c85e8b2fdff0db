"""What a call's outcome does to a lead and its open follow-up: the only writer of their status."""

from datetime import datetime
from typing import Protocol

from django.db.models import Case, F, Value, When

from followups.catalogue import CALL_BACK, UNTOUCHED, FinalStatus, FollowUp, Outcome
from followups.models import EmailState, PSFollowup
from followups.priority import priority


class Lead(Protocol):
    """The part of a lead that an outcome touches."""

    lead_status: str
    lead_category: str
    final_status: str
    lost_reason: str
    follow_up_at: datetime | None
    first_call_at: datetime | None
    last_contact_at: datetime | None
    last_attempt_at: datetime | None
    won_at: datetime | None
    lost_at: datetime | None
    enquiries: int
    priority: int
    updated_at: datetime


LEAD_FIELDS = tuple(Lead.__annotations__)


def apply(
    lead: Lead,
    followup: PSFollowup | None,
    outcome: Outcome,
    *,
    at: datetime,
    follow_up_at: datetime | None = None,
    lost_reason: str = "",
) -> None:
    """Sets what `outcome`, told at `at`, means for `lead` and its open `followup`; the caller saves both.

    A closing outcome closes both and drops the follow-up date; won and lost are stamped once. A missed call erases
    neither the first call nor, without a time of its own, what was agreed before.
    """
    lead.lead_status = outcome.code
    lead.final_status = outcome.implies.value
    if follow_up_at or outcome.contacted or outcome.follow_up == FollowUp.NONE:
        lead.follow_up_at = None if outcome.follow_up == FollowUp.NONE else follow_up_at
    # Two people may have called the customer within a moment, and be saved the other way round.
    lead.last_attempt_at = max(lead.last_attempt_at or at, at)
    if outcome.contacted:
        lead.first_call_at = min(lead.first_call_at or at, at)
        lead.last_contact_at = max(lead.last_contact_at or at, at)
    lead.won_at = (lead.won_at or at) if outcome.implies == FinalStatus.WON else None
    lead.lost_at = (lead.lost_at or at) if outcome.implies == FinalStatus.LOST else None
    lead.lost_reason = (lost_reason or outcome.code) if outcome.implies == FinalStatus.LOST else ""
    prioritise(lead)
    lead.updated_at = at
    if followup and outcome.closes:
        close(followup, outcome.implies, at=at)


def reopen(lead: Lead, *, at: datetime) -> None:
    """A closed `lead` waits for a call again, from `at` on; what was learnt of it before stays."""
    lead.lead_status, lead.final_status = UNTOUCHED, FinalStatus.PENDING.value
    lead.won_at, lead.lost_at, lead.lost_reason = None, None, ""
    lead.follow_up_at = at
    prioritise(lead)


def prioritise(lead: Lead) -> None:
    """Works the priority out anew, after the status or the category."""
    promised = lead.lead_status == CALL_BACK
    lead.priority = priority(category=lead.lead_category, enquiries=lead.enquiries, promised=promised)


def save_closed(followup: PSFollowup) -> None:
    """Saves an assignment that `close` has ended. A worker may be noting just now that its mail has gone out."""
    no_mail = Case(
        When(email_state=EmailState.WAITING, then=Value(EmailState.NOT_NEEDED.value)), default=F("email_state")
    )
    PSFollowup.objects.filter(pk=followup.pk).update(
        closed_at=followup.closed_at, final_status=followup.final_status, email_state=no_mail
    )


def close(followup: PSFollowup, final: FinalStatus, *, at: datetime) -> None:
    """Ends an assignment with the lead's final status; a mail that has not gone out is no longer needed."""
    followup.closed_at = followup.closed_at or at
    followup.final_status = final.value
    if followup.email_state == EmailState.WAITING:
        followup.email_state = EmailState.NOT_NEEDED
