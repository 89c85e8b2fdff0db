"""Which lead most needs a call: found, and claimed for a few minutes, so that two people never dial the same customer.

Own leads, and those that nobody owns: who claims such a one owns it from then on.
"""

from collections.abc import Iterator
from datetime import datetime, timedelta

from django.db import transaction
from django.db.models import F, Q
from django.utils import timezone

from accounts.models import User
from followups import kept
from followups.buckets import CALLED, OPEN, PENDING, UNTOUCHED, overdue
from followups.catalogue import CALL_BACK
from leads.models import LeadChange, LeadMaster, LeadQuerySet

# How long a claimed lead is nobody else's to call, and how long a customer who was not reached is left in peace.
HOLD = timedelta(minutes=10)
REST = timedelta(minutes=45)


def claim(actor: User) -> LeadMaster | None:
    """The lead that `actor` should call now, theirs to call for HOLD; None where nothing needs a call.

    What others have claimed, or are claiming at this moment, is passed over; so is what `actor` claimed and left, until
    HOLD is over. One query a tier until one has a lead, and an update.
    """
    now = timezone.now()
    with transaction.atomic():
        for tier in _tiers(actor, now):
            free = tier.filter(Q(next_call_until__isnull=True) | Q(next_call_until__lte=now))
            lead = free.select_for_update(no_key=True, skip_locked=True).first()
            if lead:
                return _claimed(lead, actor, now)
    return None


def in_hand(actor: User) -> LeadQuerySet:
    """What `actor` has claimed and not called yet."""
    theirs = LeadMaster.objects.filter(OPEN, cre=actor, next_call_by=actor, next_call_until__gt=timezone.now())
    return theirs.order_by("next_call_until")


def next_promise(actor: User) -> LeadMaster | None:
    """Whom `actor` has to call next, once the time has come."""
    coming = LeadMaster.objects.filter(cre=actor, final_status="Pending", follow_up_at__gt=timezone.now())
    return coming.order_by("follow_up_at", "pk").first()


def _tiers(actor: User, now: datetime) -> Iterator[LeadQuerySet]:
    """From what cannot wait to what can. Each starts from an index on the owner, and stops at its first free row."""
    mine = LeadMaster.objects.filter(cre=actor)
    rested = (
        Q(last_attempt_at__isnull=True) | Q(last_attempt_at__lte=now - REST) | Q(follow_up_at__gt=F("last_attempt_at"))
    )
    due = mine.filter(overdue(now)).order_by("follow_up_at", "pk")
    # The time has come that was promised to a customer.
    yield due.filter(rested, lead_status=CALL_BACK)
    # New: the sooner the first call, the better; the newest customer still has the scooter in mind.
    # (A customer who asked again may have been called, though the lead's own first call is still to come.)
    ready = rested & (Q(follow_up_at__isnull=True) | Q(follow_up_at__lte=now))
    yield mine.filter(UNTOUCHED & ready).order_by("-created_at", "-pk")
    # Nobody's yet, or nobody's any more.
    yield LeadMaster.objects.filter(OPEN & ready, cre__isnull=True, ps__isnull=True).order_by("-created_at", "-pk")
    yield due.filter(rested)
    # Tried, not reached, and no time agreed.
    tried = mine.filter(CALLED, follow_up_at__isnull=True, last_attempt_at__lte=now - REST)
    yield tried.order_by("last_attempt_at", "pk")
    yield mine.filter(PENDING, rested, follow_up_at__isnull=True).order_by("-priority", "-pk")


def _claimed(lead: LeadMaster, actor: User, now: datetime) -> LeadMaster:
    lead.next_call_by, lead.next_call_until = actor, now + HOLD
    fields = ["next_call_by", "next_call_until"]
    if lead.cre_id is None:
        lead.cre, lead.cre_assigned_at, lead.updated_at = actor, now, now
        lead.version += 1
        lead.saved_by, lead.saved_request_id = actor, None
        fields += ["cre", "cre_assigned_at", "updated_at", "version", "saved_by", "saved_request_id"]
        LeadChange.objects.create(lead=lead, field="cre", after=actor.name, by=actor, at=now)
    lead.save(update_fields=fields)
    kept.touched(actor.pk)
    return lead
