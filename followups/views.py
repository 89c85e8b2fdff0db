"""The PS's desk: the leads that are theirs to follow up."""

from typing import Any

from django.http import HttpResponse
from django.shortcuts import render
from django.utils import timezone
from django.views.decorators.http import require_safe

from accounts.access import SignedInRequest, roles
from accounts.models import Role, User
from followups.buckets import REPEATS_FOR, REPEATS_SHOWN
from followups.models import PSFollowup
from followups.paging import page

REPEAT = "lead__repeats__"


@require_safe
@roles(Role.PS)
def ps_dashboard(request: SignedInRequest) -> HttpResponse:
    """The PS's open follow-ups, the newest assignment first."""
    mine = PSFollowup.objects.open().filter(ps=request.user)
    context = {
        "page": page(mine.select_related("lead", "lead__cre"), request.GET.get("page", ""), by="assigned_at"),
        "repeats": _repeats(request.user),
        "repeats_days": REPEATS_FOR.days,
    }
    return render(request, "followups/ps_dashboard.html", context)


def _repeats(user: User) -> list[dict[str, Any]]:
    """The newest enquiries of customers whom this PS follows up, shaped like rows of their ledger."""
    columns = ["created_at", "source", "sub_source", "remark", "channel", "created_by__name"]
    rows = (
        PSFollowup.objects.open()
        .filter(ps=user, **{f"{REPEAT}created_at__gt": timezone.now() - REPEATS_FOR})
        .order_by(f"-{REPEAT}created_at", f"-{REPEAT}pk")
        .values("lead__uid", "lead__customer_name", *(REPEAT + column for column in columns))
    )
    return [
        {
            "lead": {"uid": row["lead__uid"], "customer_name": row["lead__customer_name"]},
            "created_by": {"name": row[f"{REPEAT}created_by__name"]},
            **{column: row[REPEAT + column] for column in columns[:5]},
        }
        for row in rows[:REPEATS_SHOWN]
    ]
