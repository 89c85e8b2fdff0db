"""Works out anew what a lead's row says of other rows: attempts, first response, enquiries, and the priority from them.

Nothing else is ever repaired: what people told stays as they told it.
"""

from collections.abc import Sequence
from typing import Any

from django.db import transaction
from django.db.models import Count, Min, OuterRef, QuerySet, Subquery
from django.db.models.functions import Coalesce

from followups import kept, outcome
from followups.models import CallAttempt
from leads.models import DuplicateLead, LeadMaster

# The invariants that this makes true again, by their names in leads.invariants.
DERIVED = ("attempts counted", "first response", "enquiries counted", "priority")
# Few enough that nobody waits long for a lead's lock.
BATCH = 100


def repair(uids: Sequence[str]) -> int:
    """Sets what is derived of these leads, a few at a time under their locks; returns how many leads those were."""
    return sum(_repair(uids[start : start + BATCH]) for start in range(0, len(uids), BATCH))


@transaction.atomic
def _repair(uids: Sequence[str]) -> int:
    found = LeadMaster.objects.filter(uid__in=uids).order_by("pk")
    locked = list(found.select_for_update(no_key=True).values_list("pk", "cre_id", "ps_id"))
    leads = [pk for pk, _, _ in locked]
    # Statements after the lock: they see what was saved while we waited for it.
    calls = CallAttempt.objects.filter(lead=OuterRef("pk")).order_by().values("lead")
    repeats = DuplicateLead.objects.filter(lead=OuterRef("pk")).order_by().values("lead")
    rows = LeadMaster.objects.filter(pk__in=leads)
    rows.update(
        attempts=_number(calls),
        first_attempt_at=Subquery(calls.annotate(first=Min("called_at")).values("first")),
        enquiries=1 + _number(repeats),
    )
    counted = list(rows)
    for lead in counted:
        outcome.prioritise(lead)
    LeadMaster.objects.bulk_update(counted, ["priority"])
    kept.touched(*(person for _, *people in locked for person in people))
    return len(leads)


def _number(of_lead: QuerySet[Any, Any]) -> Coalesce:
    """How many of these rows a lead has."""
    return Coalesce(Subquery(of_lead.annotate(number=Count("pk")).values("number")), 0)
