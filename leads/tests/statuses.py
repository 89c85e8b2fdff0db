"""What each status means, said independently of the catalogue, and what its save leaves behind."""

from datetime import timedelta
from typing import NamedTuple

from accounts.models import User
from conftest import Cast
from followups.models import CallAttempt, Kind, Outbox, PSFollowup
from followups.priority import priority
from followups.recorder import record_waiting
from leads.models import LeadMaster
from leads.tests.typed import check_invariants, fresh, open_followup


class Rule(NamedTuple):
    """What the domain says of a status: written down a second time, so that the catalogue is not its own judge."""

    cre_first: bool
    cre_later: bool
    ps: bool
    contacted: bool = True
    final: str = "Pending"
    needs_follow_up: bool = False
    needs_reason: bool = False


Y, N = True, False
STATUSES = {
    "Pending": Rule(N, N, N, contacted=False),
    "RNR": Rule(Y, Y, Y, contacted=False),
    "Busy on another Call": Rule(Y, Y, Y, contacted=False),
    "Call me Back": Rule(Y, Y, Y, contacted=False, needs_follow_up=True),
    "Call Disconnected": Rule(Y, N, Y, contacted=False),
    "Call not Connected": Rule(N, Y, Y, contacted=False),
    "Interested": Rule(Y, N, Y, needs_follow_up=True),
    "Customer Visited Experience Centre": Rule(N, N, N),
    "Test Drive": Rule(N, Y, Y, needs_follow_up=True),
    "Discount Issue": Rule(N, Y, Y, needs_follow_up=True),
    "Delayed": Rule(N, Y, Y, needs_follow_up=True),
    "Talked to PS": Rule(N, Y, N, needs_follow_up=True),
    "Planning in Next Month": Rule(N, N, Y, needs_follow_up=True),
    "Booked": Rule(N, Y, Y, final="Won"),
    "Retailed": Rule(N, Y, Y, final="Won"),
    "Booked with another number": Rule(N, N, Y, final="Won"),
    "Not Interested": Rule(Y, Y, Y, final="Lost"),
    "Did Not Inquire": Rule(Y, N, N, final="Lost"),
    "Wrong Number": Rule(Y, N, N, final="Lost"),
    "Lost to Competition": Rule(Y, Y, Y, final="Lost"),
    "Lost to Co Dealer": Rule(Y, Y, Y, final="Lost"),
    "Out of Station": Rule(Y, Y, N, final="Lost", needs_reason=True),
    "Finance Rejected": Rule(N, Y, Y, final="Lost"),
    "Dropped": Rule(N, Y, Y, final="Lost"),
    "Lead Already Assigned": Rule(N, N, N, final="Lost"),
}
SAVED_KEYS = [
    "execution_time",
    "final_status",
    "follow_up_at",
    "lead_status",
    "message",
    "success",
    "uid",
    "version",
]


def check_saved(cast: Cast, before: LeadMaster, status: str, rule: Rule, *, by: User) -> None:
    """What a save of `status` by `by` has left in the lead, its follow-up and the outbox."""
    lead = fresh(before)
    at = lead.last_attempt_at
    assert at is not None
    assert before.last_attempt_at is not None
    assert at > before.last_attempt_at
    assert (lead.lead_status, lead.final_status) == (status, rule.final)
    assert (lead.version, lead.saved_by, lead.updated_at) == (before.version + 1, by, at)
    assert lead.won_at == (at if rule.final == "Won" else None)
    assert lead.lost_at == (at if rule.final == "Lost" else None)
    reason = "Vijayawada" if rule.needs_reason else status
    assert lead.lost_reason == (reason if rule.final == "Lost" else "")
    if rule.final != "Pending":
        assert lead.follow_up_at is None
    elif rule.needs_follow_up:
        assert lead.follow_up_at is not None
        assert timedelta(days=2) < lead.follow_up_at - at <= timedelta(days=3)
    else:
        assert lead.follow_up_at == before.follow_up_at
    reached = at if rule.contacted else None
    assert lead.first_call_at == (before.first_call_at or reached)
    assert lead.last_contact_at == (reached or before.last_contact_at)
    points = priority(category=lead.lead_category, enquiries=1, promised=status == "Call me Back")
    assert lead.priority == points
    followup = open_followup(lead)
    assert (followup and followup.ps) == (lead.ps if rule.final == "Pending" else None)
    if rule.final != "Pending" and lead.ps:
        closed = PSFollowup.objects.get(lead=lead, ps=lead.ps)
        assert (closed.closed_at, closed.final_status) == (at, rule.final)
    row = Outbox.objects.get(lead=lead, kind=Kind.ATTEMPT)
    assert row.payload == {
        "role": by.role,
        "by": by.pk,
        "lead_status": status,
        "remark": "As they said",
        "follow_up_at": lead.follow_up_at.isoformat() if rule.needs_follow_up and lead.follow_up_at else None,
        "final_status_before": "Pending",
        "final_status_after": rule.final,
        "called_at": at.isoformat(),
        "cause": row.payload["cause"],
    }
    assert row.payload["cause"]


def check_recorded(lead: LeadMaster, status: str, rule: Rule, *, role: str) -> None:
    before = list(CallAttempt.objects.filter(lead=lead, role=role).order_by("id"))
    assert record_waiting() == 1
    call = CallAttempt.objects.filter(lead=lead, role=role).latest("id")
    assert (call.lead_status, call.contacted, call.final_status_after) == (status, rule.contacted, rule.final)
    reached = [row for row in before if row.contacted]
    attempt = 1 + len([row for row in before if row.call_no == len(reached) + 1])
    assert (call.call_no, call.attempt) == (len(reached) + 1, attempt)
    check_invariants()
