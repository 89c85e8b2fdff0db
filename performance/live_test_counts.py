"""What a live test leaves behind: rows that carry a number of the tests, counted before it and after."""

from typing import NamedTuple

from django.db import connection

from followups.models import Outbox, PSFollowup
from leads.models import DuplicateLead, LeadMaster
from performance.live_test_findings import Count
from performance.live_work import RANGE

# Counting the outbox stops here.
MOST_WAITING = 100_000


class Counted(NamedTuple):
    own: dict[str, int]
    others: dict[str, str]


def counted() -> Counted:
    """Exactly, through the phone indexes, what carries a number of the tests; and how much there is of all.

    A follow-up or a row of the outbox cannot be without its lead: that is a foreign key.
    """
    leads = LeadMaster.objects.filter(customer_mobile_number__range=RANGE)
    repeats = DuplicateLead.objects.filter(customer_mobile_number__range=RANGE)
    own = {
        "Leads with a number of the tests": leads.count(),
        "Repeats with a number of the tests": repeats.count(),
        "Assignments of such leads": PSFollowup.objects.filter(lead__customer_mobile_number__range=RANGE).count(),
        "Waiting work for such leads (outbox)": Outbox.objects.filter(
            lead__customer_mobile_number__range=RANGE
        ).count(),
    }
    waiting = Outbox.objects.order_by()[: MOST_WAITING + 1].count()
    all_work = f"{waiting:,}" if waiting <= MOST_WAITING else f"more than {MOST_WAITING:,}"
    return Counted(own, {"Waiting work of everybody (outbox)": all_work, **_estimates()})


def _estimates() -> dict[str, str]:
    tables = [model._meta.db_table for model in (LeadMaster, DuplicateLead, PSFollowup)]
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT relname, n_live_tup FROM pg_stat_user_tables WHERE relname = ANY (%s) ORDER BY relname", [tables]
        )
        return {f"Rows of {table}, as PostgreSQL estimates": f"{rows:,}" for table, rows in cursor.fetchall()}


def compared(before: Counted | None, after: Counted | None) -> list[Count]:
    if before is None or after is None:
        return []
    return [
        *(Count(words, f"{count:,}", f"{after.own[words]:,}", own=True) for words, count in before.own.items()),
        *(Count(words, count, after.others.get(words, "")) for words, count in before.others.items()),
    ]
