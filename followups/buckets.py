"""Where a lead stands in the working day: each bucket is one named Q, for cards, lists, exports and the API alike.

Every Pending lead is in exactly one of UNTOUCHED, CALLED, CALL_BACK, PENDING; WON and LOST are the others. TODAY,
OVERDUE and WITH_PS overlap them. Field names are those of lead_master.
"""

from datetime import datetime, time, timedelta

from django.db.models import Q
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
CALLED = FRESH & Q(lead_status__in=[code for code in NON_CONTACTS if code != CALL_ME_BACK])
PENDING = OPEN & Q(first_call_at__isnull=False)
WITH_PS = OPEN & Q(ps__isnull=False)


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
