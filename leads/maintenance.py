"""Takes the marks of a next call off leads whose time is over: nobody has them in hand any more."""

from datetime import datetime, timedelta

from django.db import transaction

from leads.models import LeadMaster, LeadQuerySet

# Long enough that nobody is still on the line with that customer, or about to save.
OVER_FOR = timedelta(hours=1)


def abandoned_claims(now: datetime) -> LeadQuerySet:
    """Leads that somebody took for the next call and left. Everybody may have them already; only the mark is left."""
    return LeadMaster.objects.filter(next_call_by__isnull=False, next_call_until__lt=now - OVER_FOR)


@transaction.atomic
def clear_abandoned_claims(now: datetime, limit: int) -> int:
    """Clears `limit` of them at most; a lead that is being saved at this moment is left for the next time."""
    free = abandoned_claims(now).select_for_update(no_key=True, skip_locked=True)
    leads = list(free.order_by("pk").values_list("pk", flat=True)[:limit])
    return LeadMaster.objects.filter(pk__in=leads).update(next_call_by=None, next_call_until=None)
