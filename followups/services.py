"""What a PS does with a lead, and what supervisors do to the outbox: one function a verb, one transaction each."""

from collections.abc import Callable
from datetime import datetime
from uuid import UUID

from django.db import transaction
from django.db.models import F, QuerySet
from django.db.models.functions import Coalesce
from django.utils import timezone
from structlog.stdlib import get_logger

from accounts.models import User
from followups import kept
from followups import outcome as outcomes
from followups.models import CallRole, EmailState, Kind, Outbox, PSFollowup, State
from followups.update import SAVED_FIELDS, Told, note, tell

log = get_logger(__name__)


class NotYours(Exception):
    """The lead is not, or no longer, in the hands of this PS."""


def update_ps_lead(uid: str, actor: User, read: Callable[[PSFollowup], Told]) -> tuple[PSFollowup, Told]:
    """Saves what the PS tells of a lead that is theirs: three statements; a fourth at the first
    call or at the closing one, five where it is both.

    `read` turns what was typed into Told, against the lead as it stands under its lock; what it raises undoes all.
    Raises NotYours.
    """
    with transaction.atomic():
        followup = held(uid, actor, lock=True)
        at = timezone.now()
        told = read(followup)
        lead = followup.lead
        recorded = lead.test_drive_at
        rows = tell(lead, followup, told, actor=actor, role=CallRole.PS, at=at)
        lead.save(update_fields=SAVED_FIELDS)
        _note_call(followup, told, at)
        Outbox.objects.bulk_create(rows)
        note(lead, told, actor, drive=recorded is None and told.test_drive_at is not None, at=at)
        kept.touched(lead.cre_id, actor.pk)
    log.info("lead updated by its PS", uid=uid, status=told.call and told.call.code)
    return followup, told


def held(uid: str, actor: User, *, lock: bool = False) -> PSFollowup:
    """The open assignment of the lead `uid` to `actor`, its lead locked if asked. Raises NotYours."""
    beside = ("lead", "lead__cre", "lead__next_call_by", "branch")
    mine = PSFollowup.objects.open().filter(lead__uid=uid, ps=actor).select_related(*beside)
    if lock:
        mine = mine.select_for_update(of=("lead",), no_key=True)
    followup = mine.first()
    # Who had to wait for the lock sees the lead as it is now, and the assignment as it was.
    if followup is None or followup.lead.ps_id != actor.pk:
        raise NotYours
    followup.lead.forget_former_people()
    return followup


def saved_before(uid: str, actor: User, request_id: str) -> PSFollowup | None:
    """The assignment that this very form has closed already: its answer had got lost on the way."""
    try:
        form = UUID(request_id)
    except ValueError:
        return None
    mine = PSFollowup.objects.filter(lead__uid=uid, ps=actor, lead__saved_by=actor, lead__saved_request_id=form)
    return mine.select_related("lead").first()


def _note_call(followup: PSFollowup, told: Told, at: datetime) -> None:
    """What the call says of the assignment itself: that the PS has seen it, and has reached the customer."""
    if told.call is None:
        return
    reached = told.call.contacted and followup.first_call_at is None
    if reached or followup.accepted_at is None:
        # “Got it” may have been pressed while this save waited.
        PSFollowup.objects.filter(pk=followup.pk).update(
            accepted_at=Coalesce(F("accepted_at"), at),
            first_call_at=Coalesce(F("first_call_at"), at) if reached else F("first_call_at"),
        )
    if told.call.closes:
        outcomes.save_closed(followup)


@transaction.atomic
def send_again(rows: QuerySet[Outbox]) -> int:
    """Lets the workers try the dead ones among `rows` anew, as if never tried; returns how many.

    Waiting and claimed rows are left as they are. Whether a mail is still true is asked again at delivery.
    """
    dead = list(rows.order_by("id").filter(state=State.DEAD).select_for_update(of=("self",)))
    Outbox.objects.filter(pk__in=[row.pk for row in dead]).update(
        state=State.WAITING, tries=0, not_before=timezone.now()
    )
    mailed = [row.ps_followup_id for row in dead if row.kind == Kind.MAIL and row.ps_followup_id]
    PSFollowup.objects.filter(pk__in=mailed, email_state=EmailState.FAILED).update(
        email_state=EmailState.WAITING, email_error=""
    )
    return len(dead)
