"""“Got it”: a PS says that a lead has arrived. What nobody accepts in time is shown to its CRE and branch head."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import ClassVar

from django.db.models import Q
from structlog.stdlib import get_logger

from accounts.models import Role, User
from followups import kept
from followups.buckets import UNACCEPTED
from followups.catalogue import FinalStatus
from followups.models import FollowupQuerySet, PSFollowup
from followups.working_hours import WORKING_DAY, worked, working_minutes_before

# Working minutes that a PS has to accept a lead.
ACCEPT_WITHIN = 30
WAITING_SHOWN = 10
# How far back a CRE's leads are looked through. What has waited longer stays before the branch head.
CRE_LOOKS_BACK = timedelta(days=30)

log = get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Waiting:
    """A lead that was given to a PS and not accepted in time; `waited` is working time in words."""

    uid: str
    customer: str
    ps: str
    given_at: datetime
    waited: str
    within: ClassVar[int] = ACCEPT_WITHIN


def accept(uid: str, ps: User, now: datetime) -> PSFollowup | None:
    """Notes once that `ps` has got the lead; the open assignment as it now stands, None if there is none of theirs."""
    theirs = PSFollowup.objects.open().filter(lead__uid=uid, ps=ps)
    accepted = theirs.filter(accepted_at__isnull=True).update(accepted_at=now)
    row = theirs.select_related("lead", "lead__cre", "assigned_by").first()
    if accepted and row:
        kept.touched(ps.pk, row.lead.cre_id)
        log.info("lead accepted", uid=uid)
    return row


def unaccepted(now: datetime) -> Q:
    """The assignments that should have been accepted by `now`."""
    return UNACCEPTED & Q(assigned_at__lte=working_minutes_before(now, ACCEPT_WITHIN))


def waiting_for(user: User, now: datetime, limit: int = WAITING_SHOWN) -> list[Waiting]:
    """What waits to be accepted and concerns `user`, the longest first: one statement, or none for other roles."""
    late = PSFollowup.objects.filter(unaccepted(now))
    if user.role == Role.CRE:
        rows = _given_by_way_of(user, late, now)
    elif user.role == Role.BRANCH_HEAD:
        rows = late.filter(branch=user.branch_id).order_by("assigned_at", "id")
    else:
        return []
    found = rows.select_related("lead", "ps")[:limit]
    return [
        Waiting(
            uid=row.lead_id,
            customer=row.lead.customer_name,
            ps=row.ps.name,
            given_at=row.assigned_at,
            waited=waited(row.assigned_at, now),
        )
        for row in found
    ]


def _given_by_way_of(cre: User, late: FollowupQuerySet, now: datetime) -> FollowupQuerySet:
    """Those of a CRE's leads, in order. No index leads from a CRE to what waits: we walk their open leads with a PS,
    and so only as far back as the panel is of use. A lead knows when it was given, too: by that we walk in order, and
    stop when the panel is full."""
    given = late.filter(
        lead__final_status=FinalStatus.PENDING,
        lead__cre=cre,
        lead__ps__isnull=False,
        lead__ps_assigned_at__gt=now - CRE_LOOKS_BACK,
        lead__ps_assigned_at__lte=working_minutes_before(now, ACCEPT_WITHIN),
    )
    return given.order_by("lead__ps_assigned_at", "lead__id")


def waited(since: datetime, now: datetime) -> str:
    """Working time in words: "45 min", "2 h 10 min", "3 working days"."""
    time = worked(since, now)
    minutes = time // timedelta(minutes=1)
    if time >= WORKING_DAY:
        days = time // WORKING_DAY
        return f"{days} working day{'' if days == 1 else 's'}"
    hours, rest = divmod(minutes, 60)
    return " ".join(
        part for part in (f"{hours} h" if hours else "", f"{rest} min" if rest or not hours else "") if part
    )
