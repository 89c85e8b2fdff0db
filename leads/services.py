"""Adding a lead, and telling its owner that the customer called; `leads.updates` changes one that is there."""

import uuid
from datetime import timedelta

from django.db import transaction
from django.utils import timezone
from structlog.stdlib import get_logger

from accounts.models import User
from followups import kept
from followups.models import Kind, Outbox
from followups.priority import REPEAT_POINTS
from leads.capture import Captured, capture, saved_before
from leads.forms import LeadForm
from leads.models import Channel, DuplicateLead, LeadMaster
from leads.records import Enquiry

log = get_logger(__name__)


def capture_lead(enquiry: Enquiry, actor: User) -> Captured:
    """Saves an enquiry: see `leads.capture.capture`, which decides. Raises NotAllowed for who may not."""
    captured = capture(enquiry, actor)
    log.info(
        "lead captured",
        outcome=captured.outcome.value,
        uid=captured.uid,
        replayed=captured.replayed,
        milliseconds=round(captured.milliseconds, 1),
        statements=captured.statements,
    )
    return captured


def capture_form(form: LeadForm, actor: User, *, channel: Channel, cause: str) -> Captured | None:
    """Saves what was typed, whatever door it came by; None where the form has errors. Raises NotAllowed.

    A form that was saved and has become invalid since is answered as it was then.
    """
    if form.is_valid():
        return capture_lead(form.enquiry(channel=channel, cause=cause), actor)
    return saved_before(*form.identity(), actor)


def tell_owner(*, uid: str, phone: str, remark: str, actor: User) -> LeadMaster | None:
    """A customer of a colleague called: the owner is alerted, and finds the call among the Repeats.

    `phone` (E.164) must be the lead's: whoever tells has had the customer on the line. None, and nothing written,
    where there is no open lead of this uid and phone.
    """
    now = timezone.now()
    with transaction.atomic():
        lead = (
            LeadMaster.objects.select_for_update(no_key=True)
            .filter(uid=uid, customer_mobile_number=phone, final_status="Pending")
            .first()
        )
        if lead is None:
            return None
        if _told_just_now(lead, actor, remark):
            return lead
        repeat = DuplicateLead.objects.create(
            lead=lead,
            customer_mobile_number=lead.customer_mobile_number,
            customer_name=lead.customer_name,
            source=lead.source,
            sub_source=lead.sub_source,
            external_ref=f"told-{uuid.uuid4()}",
            remark=remark,
            channel=Channel.TOLD,
            created_by=actor,
            created_at=now,
        )
        lead.enquiries += 1
        lead.priority += REPEAT_POINTS
        lead.updated_at = now
        lead.save(update_fields=["enquiries", "priority", "updated_at"])
        Outbox.objects.create(
            kind=Kind.ALERT, lead_id=lead.pk, payload={"repeat": repeat.pk, "by": actor.pk, "remark": remark}
        )
        kept.touched(lead.cre_id, lead.ps_id)
    log.info("owner told", uid=uid)
    return lead


def _told_just_now(lead: LeadMaster, actor: User, remark: str) -> bool:
    """Whether this is a second click: the same person, the same words, within five minutes."""
    since = timezone.now() - timedelta(minutes=5)
    same = {"channel": Channel.TOLD, "created_by": actor, "remark": remark, "created_at__gt": since}
    return lead.repeats.filter(**same).exists()
