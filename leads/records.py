"""What an enquiry would write: the lead, its follow-up, its call, or the row in the ledger of repeats."""

import json
import time
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from django.conf import settings
from django.db import models
from django.utils import timezone

from accounts.models import Role, User
from followups import outcome as outcomes
from followups.calls import Call
from followups.catalogue import CALL_BACK, UNTOUCHED, FinalStatus, Pipeline
from followups.catalogue import Outcome as CallOutcome
from followups.models import Outbox, PSFollowup
from followups.priority import priority
from leads import uid
from leads.models import Channel, DuplicateLead, LeadMaster


@dataclass(frozen=True, slots=True, kw_only=True)
class Enquiry:
    """What was typed, in the desk's own spelling; `leads.forms.LeadForm` makes one.

    `phone` is E.164, `letter` the first of the uid, `cause` the id of the HTTP request, for the log.
    """

    customer_name: str
    phone: str
    source: str
    sub_source: str
    letter: str
    call: CallOutcome
    phone_as_typed: str = ""
    alternate_number: str = ""
    email: str = ""
    category: str = ""
    model: str = ""
    branch_id: int | None = None
    ps_id: int | None = None
    follow_up_at: datetime | None = None
    remark: str = ""
    campaign: str = ""
    external_ref: str = ""
    pipeline: str = Pipeline.DIGITAL.value
    channel: str = Channel.DESK.value
    request_id: UUID | None = None
    cause: str = ""


class Records:
    """Every row that capturing `enquiry` may write; which of them it does write, the statement decides."""

    def __init__(self, enquiry: Enquiry, actor: User) -> None:
        at = timezone.now()
        self.lead = _lead(enquiry, actor, at)
        self.repeat = _repeat(enquiry, actor, at)
        self.followup = _followup(enquiry, actor, at)
        self.call = _call(enquiry, actor, at) if enquiry.call.code != UNTOUCHED else None
        self.outbox = Outbox(not_before=at, created_at=at)
        self.mail = {"cause": enquiry.cause}
        self.alert = {"by": actor.pk, "remark": enquiry.remark, "cause": enquiry.cause}

    def as_json(self) -> dict[str, str | None]:
        """The parameters of the capture statement."""
        return {
            "lead": _record(self.lead),
            "followup": _record(self.followup) if self.followup else None,
            "repeat": _record(self.repeat),
            "outbox": _record(self.outbox),
            "call": json.dumps(self.call.payload()) if self.call else None,
            "mail": json.dumps(self.mail),
            "alert": json.dumps(self.alert),
        }


def _lead(enquiry: Enquiry, actor: User, at: datetime) -> LeadMaster:
    # A closing outcome is applied afterwards, by its one writer: until then the lead is untouched.
    status = UNTOUCHED if enquiry.call.closes else enquiry.call.code
    cre_id = actor.pk if actor.role == Role.CRE else None
    reached_at = at if enquiry.call.contacted else None
    return LeadMaster(
        uid=uid.make(
            letter=enquiry.letter,
            phone=enquiry.phone,
            pair=(enquiry.source, enquiry.sub_source),
            nanoseconds=time.time_ns(),
            key=settings.SECRET_KEY.encode()[:64],
        ),
        customer_name=enquiry.customer_name,
        customer_mobile_number=enquiry.phone,
        phone_as_typed=enquiry.phone_as_typed,
        alternate_number=enquiry.alternate_number,
        email=enquiry.email,
        source=enquiry.source,
        sub_source=enquiry.sub_source,
        campaign=enquiry.campaign,
        external_ref=enquiry.external_ref,
        pipeline=enquiry.pipeline,
        branch_id=enquiry.branch_id,
        cre_id=cre_id,
        cre_assigned_at=at if cre_id else None,
        ps_id=enquiry.ps_id,
        ps_assigned_at=at if enquiry.ps_id else None,
        lead_status=status,
        lead_category=enquiry.category,
        model_interested=enquiry.model,
        follow_up_at=None if enquiry.call.closes else enquiry.follow_up_at,
        first_call_at=reached_at,
        last_contact_at=reached_at,
        last_attempt_at=at if enquiry.call.code != UNTOUCHED else None,
        priority=priority(category=enquiry.category, enquiries=1, promised=status == CALL_BACK),
        first_remark=enquiry.remark,
        request_id=enquiry.request_id,
        created_by_id=actor.pk,
        created_at=at,
        updated_at=at,
    )


def _followup(enquiry: Enquiry, actor: User, at: datetime) -> PSFollowup | None:
    if enquiry.ps_id is None or enquiry.branch_id is None:
        return None
    followup = PSFollowup(ps_id=enquiry.ps_id, branch_id=enquiry.branch_id, assigned_by_id=actor.pk, assigned_at=at)
    if enquiry.call.closes:
        outcomes.close(followup, enquiry.call.implies, at=at)
    return followup


def _call(enquiry: Enquiry, actor: User, at: datetime) -> Call:
    return Call(
        role="cre",
        by=actor.pk,
        lead_status=enquiry.call.code,
        remark=enquiry.remark,
        follow_up_at=None if enquiry.call.closes else enquiry.follow_up_at,
        final_status_before=FinalStatus.PENDING.value,
        final_status_after=enquiry.call.implies.value,
        called_at=at,
        cause=enquiry.cause,
    )


def _repeat(enquiry: Enquiry, actor: User, at: datetime) -> DuplicateLead:
    return DuplicateLead(
        customer_mobile_number=enquiry.phone,
        customer_name=enquiry.customer_name,
        source=enquiry.source,
        sub_source=enquiry.sub_source,
        campaign=enquiry.campaign,
        external_ref=enquiry.external_ref,
        remark=enquiry.remark,
        payload={
            "phone_as_typed": enquiry.phone_as_typed,
            "alternate_number": enquiry.alternate_number,
            "email": enquiry.email,
            "lead_status": enquiry.call.code,
            "lead_category": enquiry.category,
            "model_interested": enquiry.model,
            "branch": enquiry.branch_id,
            "ps": enquiry.ps_id,
            "follow_up_at": enquiry.follow_up_at and enquiry.follow_up_at.isoformat(),
        },
        channel=enquiry.channel,
        request_id=enquiry.request_id,
        created_by_id=actor.pk,
        created_at=at,
    )


def _record(row: models.Model) -> str:
    """`row` as JSON by column, as jsonb_populate_record reads it back."""
    fields = [field for field in row._meta.concrete_fields if not field.primary_key]
    return json.dumps({field.column: getattr(row, field.attname) for field in fields}, default=str)
