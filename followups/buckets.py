"""Where a lead stands in the working day: each bucket is one named Q, for tabs, lists, counts and “Next call” alike.

Every Pending lead is in exactly one of UNTOUCHED, CALLED, CALL_BACK, PENDING; WON and LOST are the others. TODAY,
OVERDUE and WITH_PS overlap them. Field names are those of lead_master; of ps_followup where it says so.
"""

from datetime import datetime, time, timedelta

from django.db.models import F, Q
from django.utils import timezone

from followups.catalogue import CALL_BACK as CALL_ME_BACK
from followups.catalogue import NON_CONTACTS, FinalStatus
from followups.catalogue import UNTOUCHED as NOT_CALLED

# People's Repeats: how far back they go, and how many stand on the desk.
REPEATS_FOR = timedelta(days=14)
REPEATS_SHOWN = 10

OPEN = Q(final_status=FinalStatus.PENDING.value)
WON = Q(final_status=FinalStatus.WON.value)
LOST = Q(final_status=FinalStatus.LOST.value)

FRESH = OPEN & Q(first_call_at__isnull=True)
UNTOUCHED = FRESH & Q(lead_status=NOT_CALLED)
CALL_BACK = FRESH & Q(lead_status=CALL_ME_BACK)
# The other non-contacts: a fresh lead shows nothing else, by constraint. Said as what it is not, for PostgreSQL takes a
# list of statuses for much rarer than it is, and would not use the index that has these in order.
CALLED = FRESH & ~Q(lead_status__in=[NOT_CALLED, CALL_ME_BACK]) & Q(last_attempt_at__isnull=False)
PENDING = OPEN & Q(first_call_at__isnull=False)
WITH_PS = OPEN & Q(ps__isnull=False)
# All open leads, as their two halves: a person's are then found through the partial indexes of these, not by going
# through all that the person ever had.
FRESH_OR_PENDING = FRESH | PENDING


def day_ends(now: datetime) -> datetime:
    """The midnight, in the dealer's time zone, that ends the day of `now`."""
    midnight = datetime.combine(timezone.localdate(now) + timedelta(days=1), time.min)
    return timezone.make_aware(midnight)


def today(now: datetime) -> Q:
    """Open leads that should be called by the end of the dealer's day, overdue ones included."""
    return OPEN & Q(follow_up_at__lt=day_ends(now))


def overdue(now: datetime) -> Q:
    """Open leads whose follow-up time has passed. Computed, never rewritten."""
    return OPEN & Q(follow_up_at__lt=now)


# --- The PS's desk ----------------------------------------------------------------------------------------------
# A lead can be known to its CRE and still be fresh to the PS it was given to: what counts is who spoke to the
# customer. Each open lead of a PS is in exactly one of PS_NEW, PS_TRIED, PS_PENDING.

# Of ps_followup: not yet reached by this PS, and whether somebody has tried since it was given.
PS_FRESH = Q(closed_at__isnull=True, first_call_at__isnull=True)
_MISSED_LAST = Q(lead__last_contact_at__isnull=True) | Q(lead__last_attempt_at__gt=F("lead__last_contact_at"))
_TRIED = Q(lead__lead_status__in=NON_CONTACTS, lead__last_attempt_at__gt=F("assigned_at")) & _MISSED_LAST
PS_TRIED = PS_FRESH & _TRIED
PS_NEW = PS_FRESH & ~_TRIED
# Of ps_followup: reached by this PS, and still deciding; and the same of lead_master, whose index has them in order.
_REACHED = {"closed_at__isnull": True, "first_call_at__isnull": False}
PS_PENDING = Q(**_REACHED)
PS_PENDING_LEADS = OPEN & Q(**{f"followups__{path}": value for path, value in _REACHED.items()})
# Of ps_followup: the PS has neither said “Got it” nor saved an outcome.
UNACCEPTED = Q(closed_at__isnull=True, accepted_at__isnull=True)

TEST_DRIVEN = Q(test_drive_at__isnull=False)
