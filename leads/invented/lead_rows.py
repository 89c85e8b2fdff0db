"""The rows of one invented lead's life, unsaved, as capture, the update and the recorder would have written them.

The rules are theirs: `followups.outcome`, `followups.calls.following`, the catalogue. What happens is
`leads.invented.chronicle`'s choice; nothing here asks the database or chance.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, Generic, TypeVar

from django.db import models
from django.db.models.base import ModelState

from followups import outcome as outcomes
from followups.calls import CallNumber, following
from followups.catalogue import FinalStatus, Outcome
from followups.models import CallRole, EmailState, PSFollowup
from leads.models import DuplicateLead, LeadMaster

# How soon the workers come to what a save has left them.
AFTER_A_MOMENT = timedelta(seconds=1)
PENDING = FinalStatus.PENDING.value
Row = TypeVar("Row", bound=models.Model)


class Blank(Generic[Row]):
    """Fills in rows of a model faster than the model itself, which asks for each default each time."""

    def __init__(self, model: type[Row]) -> None:
        self._model = model
        self._values = {
            field.attname: None if field.primary_key else field.get_default() for field in model._meta.concrete_fields
        }

    def filled(self, **columns: Any) -> Row:
        """An unsaved row. Times and JSON, whose defaults are made anew each time, must be among `columns`."""
        assert columns.keys() <= self._values.keys()
        row = self._model.__new__(self._model)
        row._state = ModelState()
        row.__dict__.update(self._values, **columns)
        return row


@dataclass(frozen=True, slots=True, kw_only=True)
class Call:
    """A call as it was told: by whom, when, and how it ended."""

    outcome: Outcome
    by: int
    at: datetime
    role: CallRole = CallRole.CRE
    remark: str = ""
    follow_up_at: datetime | None = None


@dataclass(slots=True, kw_only=True)
class Attempt:
    """A row of call_attempt, column by column. There are millions, and a model's instance takes its time."""

    lead_id: int
    ps_followup_id: int | None
    role: str
    by_id: int
    call_no: int
    attempt: int
    lead_status: str
    contacted: bool
    remark: str
    follow_up_at: datetime | None
    final_status_before: str
    final_status_after: str
    called_at: datetime
    recorded_at: datetime
    outbox_id: int


@dataclass(slots=True, kw_only=True)
class Change:
    """A row of lead_change, column by column."""

    lead_id: int
    field: str
    before: str
    after: str
    reason: str
    by_id: int
    at: datetime


@dataclass(slots=True)
class History:
    """One lead with all that belongs to it; `outbox` gives the ids that its calls had while they waited."""

    lead: LeadMaster
    outbox: Iterator[int]
    followups: list[PSFollowup] = field(default_factory=list)
    attempts: list[Attempt] = field(default_factory=list)
    repeats: list[DuplicateLead] = field(default_factory=list)
    changes: list[Change] = field(default_factory=list)
    _numbers: dict[CallRole, tuple[CallNumber, bool]] = field(default_factory=dict)

    @property
    def assigned(self) -> PSFollowup | None:
        """The open assignment: the latest one, until it is closed."""
        latest = self.followups[-1] if self.followups else None
        return latest if latest and latest.closed_at is None else None

    @property
    def pairs(self) -> set[tuple[str, str]]:
        """From where the customer has asked already."""
        asked_again = {(repeat.source, repeat.sub_source) for repeat in self.repeats}
        return {(self.lead.source, self.lead.sub_source), *asked_again}

    def captured(self, call: Call) -> None:
        """The call in which the lead was typed in."""
        self._apply(call, None)
        self._attempt(call, self.followups[-1] if self.followups else None)

    def called(self, call: Call) -> None:
        """A later call, saved by a person. A PS who calls has accepted the lead."""
        followup = self.assigned
        if followup and call.role == CallRole.PS:
            followup.accepted_at = followup.accepted_at or call.at
            if call.outcome.contacted:
                followup.first_call_at = followup.first_call_at or call.at
        self._apply(call, followup)
        self._saved(call.by, call.at)
        self._attempt(call, followup)

    def owned(self, cre: int, name: str, at: datetime, *, by: int) -> None:
        """A supervisor gives the lead, which nobody owned, to a CRE."""
        self.lead.cre_id, self.lead.cre_assigned_at = cre, at
        self._note("cre", "", name, by=by, at=at)
        self._saved(by, at)

    def assign(self, followup: PSFollowup, *, closing: Outcome | None = None) -> None:
        """The lead goes to a PS, with a mail; none goes out where the same save closes the lead."""
        self.lead.ps_id, self.lead.ps_assigned_at = followup.ps_id, followup.assigned_at
        if closing and closing.closes:
            outcomes.close(followup, closing.implies, at=followup.assigned_at)
        else:
            followup.email_state = EmailState.SENT
            followup.email_sent_at = followup.assigned_at + AFTER_A_MOMENT
        self.followups.append(followup)

    def reassign(self, followup: PSFollowup) -> None:
        """Another PS takes over: the earlier assignment ends, the lead stays as it is."""
        if self.assigned:
            outcomes.close(self.assigned, FinalStatus.PENDING, at=followup.assigned_at)
        self.assign(followup)
        self._saved(followup.assigned_by_id, followup.assigned_at)

    def ridden(self, ridden_at: datetime, *, by: int, at: datetime) -> None:
        """The call just told says when the customer rode the scooter."""
        self.lead.test_drive_at = ridden_at
        self._note("test_drive_at", "", ridden_at.isoformat(), by=by, at=at)

    def corrected(self, column: str, after: str, *, by: int, at: datetime) -> None:
        """What was typed wrongly is put right."""
        self._note(column, getattr(self.lead, column), after, by=by, at=at)
        setattr(self.lead, column, after)
        self._saved(by, at)

    def reopened(self, followup: PSFollowup | None, *, by: int, at: datetime, reason: str) -> None:
        """A supervisor opens the closed lead again, with a new assignment, or taken away from its PS."""
        lead, before = self.lead, self.lead.final_status
        outcomes.reopen(lead, at=at)
        self._note("final_status", before, lead.final_status, by=by, at=at, reason=reason)
        lead.ps_id, lead.ps_assigned_at = None, None
        if followup:
            self.assign(followup)
        self._saved(by, at)

    def asked_again(self, repeat: DuplicateLead, call: Call) -> None:
        """An enquiry from another pair: a row in the ledger, the call, and up the lead goes."""
        lead = self.lead
        self.repeats.append(repeat)
        lead.enquiries += 1
        outcomes.prioritise(lead)
        if call.outcome.contacted:
            lead.first_call_at = lead.first_call_at or call.at
            lead.last_contact_at = call.at
        lead.last_attempt_at = call.at
        lead.updated_at = call.at
        self._attempt(call, None)

    def _note(self, column: str, before: str, after: str, *, by: int, at: datetime, reason: str = "") -> None:
        self.changes.append(
            Change(lead_id=self.lead.pk, field=column, before=before, after=after, reason=reason, by_id=by, at=at)
        )

    def _saved(self, by: int, at: datetime) -> None:
        self.lead.saved_by_id, self.lead.updated_at = by, at
        self.lead.version += 1

    def _apply(self, call: Call, followup: PSFollowup | None) -> None:
        outcomes.apply(self.lead, followup, call.outcome, at=call.at, follow_up_at=call.follow_up_at)

    def _attempt(self, call: Call, followup: PSFollowup | None) -> None:
        """What the recorder adds, and what it notes on the lead."""
        lead, outcome = self.lead, call.outcome
        last, reached = self._numbers.get(call.role, (None, False))
        number = following(last, contacted=reached)
        self._numbers[call.role] = (number, outcome.contacted)
        lead.attempts += 1
        lead.first_attempt_at = lead.first_attempt_at or call.at
        self.attempts.append(
            Attempt(
                lead_id=lead.pk,
                ps_followup_id=followup.pk if followup else None,
                role=call.role.value,
                by_id=call.by,
                call_no=number.call_no,
                attempt=number.attempt,
                lead_status=outcome.code,
                contacted=outcome.contacted,
                remark=call.remark,
                follow_up_at=None if outcome.closes else call.follow_up_at,
                final_status_before=PENDING,
                final_status_after=lead.final_status,
                called_at=call.at,
                recorded_at=call.at + AFTER_A_MOMENT,
                outbox_id=next(self.outbox),
            )
        )
