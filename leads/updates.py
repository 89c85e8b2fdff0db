"""Updating a lead that is there, correcting it, reopening it: one transaction each, whatever door they come by."""

from collections.abc import Callable, Iterator
from datetime import datetime
from typing import Any

from django.db import IntegrityError, transaction
from django.db.models import F
from django.utils import timezone
from structlog.stdlib import get_logger

from accounts.models import Role, User
from followups import kept
from followups import outcome as outcomes
from followups.buckets import OPEN
from followups.catalogue import FinalStatus
from followups.models import CallRole, Outbox, PSFollowup
from followups.update import SAVED_FIELDS, Told, hand_over, mark_saved, note, tell
from leads.capture import broken_constraint
from leads.models import LeadChange, LeadMaster
from leads.update_form import LeadTold

log = get_logger(__name__)

ONE_OPEN = "lead_master_one_open_per_phone"
DETAILS = ("customer_name", "customer_mobile_number", "alternate_number", "email")
CORRECTED = (*DETAILS, "phone_as_typed", "previous")
PLACED = ("branch", "ps", "ps_assigned_at")


class Refused(Exception):
    """What the database knows better than the form: words by field, and the lead that stands in the way, if any."""

    def __init__(self, errors: dict[str, str], rival: LeadMaster | None = None) -> None:
        super().__init__("refused")
        self.errors, self.rival = errors, rival


def update_lead(uid: str, actor: User, read: Callable[[LeadMaster], LeadTold]) -> tuple[LeadMaster, LeadTold]:
    """Saves what the owning CRE, or a supervisor, tells of a lead: as a rule three statements.

    Five where it first goes to a PS, or is closed while a PS has it, six where the number is corrected, seven where
    another PS takes over. `read` turns what was
    typed into LeadTold, against the lead as it stands under its lock; what it raises undoes all. Raises DoesNotExist
    for a lead that `actor` does not see, and Refused.
    """
    try:
        with transaction.atomic():
            lead = _locked(uid, actor)
            # From here on nobody else changes it: what is saved later was also told later.
            at = timezone.now()
            told = read(lead)
            phone, before = told.phone, (lead.cre_id, lead.ps_id)
            _update(lead, told, actor, at)
            kept.touched(*before, lead.cre_id, lead.ps_id)
    except IntegrityError as error:
        if broken_constraint(error) != ONE_OPEN:
            raise
        raise _collides("customer_mobile_number", phone, actor) from error
    log.info("lead updated", uid=uid, status=told.call and told.call.code)
    return lead, told


def _locked(uid: str, actor: User) -> LeadMaster:
    seen = LeadMaster.objects.visible_to(actor).select_related("cre", "ps", "ps__branch", "branch")
    lead = seen.select_for_update(of=("self",), no_key=True).get(uid=uid)
    lead.forget_former_people()
    return lead


def _update(lead: LeadMaster, told: LeadTold, actor: User, at: datetime) -> None:
    drive = lead.test_drive_at is None and told.test_drive_at is not None
    # Where the PS has moved to another branch and the lead goes along, that is an assignment too.
    moves = told.ps_id is not None and (told.ps_id, told.branch_id) != (lead.ps_id, lead.branch_id)
    closes = told.call is not None and told.call.closes
    followup = _open_followup(lead) if lead.ps_id and (moves or closes) else None
    given: list[Outbox] = []
    fields = list(SAVED_FIELDS)
    if moves and told.branch_id and told.ps_id:
        _check_takes_leads(told.branch_id, told.ps_id)
        followup, given = hand_over(lead, followup, (told.branch_id, told.ps_id), actor=actor, told=told, at=at)
        fields += PLACED
    elif told.branch_id != lead.branch_id:
        lead.branch_id = told.branch_id
        fields += PLACED
    if (
        told.phone != lead.customer_mobile_number
        and LeadMaster.objects.filter(OPEN, customer_mobile_number=told.phone).exists()
    ):
        # As a rule it is refused here. Left to the index alone, two that swap their numbers would wait for each other.
        raise _collides("customer_mobile_number", told.phone, actor)
    changes = list(_corrections(lead, told, actor, at))
    if changes:
        fields += [*CORRECTED, "cre", "cre_assigned_at"]
    rows = tell(lead, followup, told, actor=actor, role=_role(actor), at=at)
    lead.save(update_fields=fields)
    if followup and closes:
        outcomes.save_closed(followup)
    Outbox.objects.bulk_create([*rows, *given])
    LeadChange.objects.bulk_create(changes)
    note(lead, told, actor, drive=drive, at=at)


def _role(actor: User) -> CallRole | None:
    return CallRole.CRE if actor.role == Role.CRE else None


def _open_followup(lead: LeadMaster) -> PSFollowup | None:
    return PSFollowup.objects.open().filter(lead=lead).first()


def _check_takes_leads(branch_id: int, ps_id: int) -> None:
    """The form has asked a directory that may be a minute old; this asks the row."""
    ps = User.objects.select_related("branch").filter(pk=ps_id).first()
    if ps is None or not takes_leads(ps, branch_id):
        name = ps.name if ps else "This PS"
        raise Refused({"ps_name": f"{name} takes no new leads at this branch now: choose another."})


def takes_leads(ps: User, branch_id: int | None) -> bool:
    """Whether this person is a PS of the branch, which is open, and takes new leads."""
    sells = ps.role == Role.PS and ps.is_active and ps.available
    return bool(sells and ps.branch and ps.branch.is_active and ps.branch_id == branch_id)


def _corrections(lead: LeadMaster, told: LeadTold, actor: User, at: datetime) -> Iterator[LeadChange]:
    """Corrects the lead, and yields what was changed, for the record."""
    for field, value in zip(DETAILS, (told.customer_name, told.phone, told.alternate_number, told.email), strict=True):
        before = getattr(lead, field)
        if value == before:
            continue
        setattr(lead, field, value)
        if field == "customer_mobile_number":
            _dial_anew(lead, told.phone_as_typed)
        yield LeadChange(lead=lead, field=field, before=before, after=value, by=actor, at=at)
    if told.cre_id != lead.cre_id:
        former = lead.cre.name if lead.cre else ""
        lead.cre_id, lead.cre_assigned_at = told.cre_id, at
        yield LeadChange(
            lead=lead, field="cre", before=former, after=lead.cre.name if lead.cre else "", by=actor, at=at
        )


def _dial_anew(lead: LeadMaster, typed: str) -> None:
    """The lead has another number: so have its repeats, and it may be a customer who has been here before."""
    number = lead.customer_mobile_number
    lead.phone_as_typed = typed[:40]
    earlier = LeadMaster.objects.filter(customer_mobile_number=number, created_at__lt=lead.created_at)
    closed = earlier.exclude(pk=lead.pk).exclude(final_status=FinalStatus.PENDING).newest_first()
    lead.previous = next((row for row in closed[:10] if row.closed_at and row.closed_at <= lead.created_at), None)
    lead.repeats.update(customer_mobile_number=number)


def _collides(field: str, phone: str, actor: User) -> Refused:
    rival = LeadMaster.objects.filter(OPEN, customer_mobile_number=phone).select_related("cre").first()
    if rival is None:
        return Refused({field: "Another lead was open for this number at this very moment: save again."})
    seen = actor.role == Role.SUPERVISOR or rival.cre_id == actor.pk
    owner = rival.cre.name if rival.cre else "nobody yet"
    words = f"{rival.uid} is open for this number, with {owner}: there can be only one open lead of a customer."
    return Refused({field: words}, rival if seen else None)


def correct_lead(lead: LeadMaster, edited: dict[str, Any], actor: User) -> None:
    """Writes what a supervisor edited in the admin, and nothing else, so that the workers' counters stay as they are.

    `edited` maps fields to their new values; `lead` is locked by the caller and still holds the old ones.
    """
    at = timezone.now()
    changes = [
        LeadChange(
            lead=lead, field=field, before=str(getattr(lead, field) or ""), after=str(value or ""), by=actor, at=at
        )
        for field, value in edited.items()
    ]
    if "cre" in edited:
        assigned_at = at if edited["cre"] else None
        edited = {**edited, "cre_assigned_at": assigned_at, "next_call_by": None, "next_call_until": None}
    LeadMaster.objects.filter(pk=lead.pk).update(**edited, version=F("version") + 1, updated_at=at, saved_by=actor)
    LeadChange.objects.bulk_create(changes)
    new_owner = edited.get("cre")
    kept.touched(lead.cre_id, lead.ps_id, new_owner and new_owner.pk)


def reopen_lead(uid: str, actor: User, *, reason: str, version: int) -> LeadMaster:
    """A supervisor lets a closed lead be worked on again: it waits for a call now, and its PS has it again.

    A PS who takes no leads any more does not get it back: the CRE chooses another. Raises DoesNotExist and Refused.
    """
    try:
        with transaction.atomic():
            lead = _locked(uid, actor)
            at = timezone.now()
            phone, before = lead.customer_mobile_number, (lead.cre_id, lead.ps_id)
            _reopen(lead, actor, reason=reason, version=version, at=at)
            kept.touched(*before, lead.cre_id, lead.ps_id)
    except IntegrityError as error:
        if broken_constraint(error) != ONE_OPEN:
            raise
        raise _collides("reason", phone, actor) from error
    log.info("lead reopened", uid=uid)
    return lead


def _reopen(lead: LeadMaster, actor: User, *, reason: str, version: int, at: datetime) -> None:
    if lead.final_status == FinalStatus.PENDING:
        raise Refused({"reason": "This lead is open already."})
    if lead.version != version:
        raise Refused({"reason": "Somebody has changed this lead meanwhile. Load the page again."})
    before = lead.final_status
    outcomes.reopen(lead, at=at)
    changes = _freed_from_who_left(lead, actor, at)
    mark_saved(lead, actor, None, at=at)
    rows = _given_back(lead, actor, at)
    lead.save(update_fields=[*SAVED_FIELDS, *PLACED, "cre", "cre_assigned_at"])
    Outbox.objects.bulk_create(rows)
    told = {"field": "final_status", "before": before, "after": lead.final_status, "reason": reason}
    LeadChange.objects.bulk_create([LeadChange(lead=lead, by=actor, at=at, **told), *changes])


def _freed_from_who_left(lead: LeadMaster, actor: User, at: datetime) -> list[LeadChange]:
    """A CRE who does not work here any more calls nobody: the lead is everybody's, in their next calls."""
    if lead.cre is None or lead.cre.is_active:
        return []
    former, lead.cre_id, lead.cre_assigned_at = lead.cre.name, None, None
    return [LeadChange(lead=lead, field="cre", before=former, by=actor, at=at)]


def _given_back(lead: LeadMaster, actor: User, at: datetime) -> list[Outbox]:
    if lead.ps is None or lead.branch_id is None or lead.ps_id is None:
        return []
    if takes_leads(lead.ps, lead.branch_id):
        return hand_over(lead, None, (lead.branch_id, lead.ps_id), actor=actor, told=Told(), at=at)[1]
    lead.ps_id, lead.ps_assigned_at = None, None
    return []
