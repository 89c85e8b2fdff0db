"""What the database keeps true about assignments, calls and the outbox, whoever writes."""

import itertools
from datetime import UTC, datetime
from typing import Any

import pytest

from accounts.tests.constraints import Case, declared, try_out
from conftest import Cast
from followups.models import CallAttempt, Outbox, PSFollowup
from leads.models import LeadMaster
from leads.tests.factories import make_lead

NOW = datetime(2026, 11, 20, 9, 30, tzinfo=UTC)
_numbers = itertools.count(1)


def _lead(uid: str) -> LeadMaster:
    return LeadMaster.objects.filter(uid=uid).first() or make_lead(uid=uid)


def followup(cast: Cast, *, of: str = "", **fields: Any) -> PSFollowup:
    """An assignment, of a lead of its own unless `of` names one."""
    lead = _lead(of) if of else make_lead()
    who = {"ps": cast.kiran, "branch": cast.attapur, "assigned_by": cast.asha}
    return PSFollowup.objects.create(**{"lead": lead, **who, **fields})


def attempt(cast: Cast, *, of: str = "A", **fields: Any) -> CallAttempt:
    number = next(_numbers)
    told = {"lead_status": "RNR", "contacted": False, "called_at": NOW, "outbox_id": number}
    numbered = {"role": "cre", "call_no": 1, "attempt": number}
    final = {"final_status_before": "Pending", "final_status_after": "Pending"}
    return CallAttempt.objects.create(**{"lead": _lead(of), "by": cast.asha, **told, **numbered, **final, **fields})


def work(cast: Cast, **fields: Any) -> Outbox:
    return Outbox.objects.create(**{"kind": "attempt", "lead": _lead("A"), **fields})


def mail(cast: Cast, *, told: bool, **fields: Any) -> Outbox:
    return work(cast, kind="mail", ps_followup=followup(cast) if told else None)


FOURTH = {"role": "cre", "call_no": 1, "attempt": 4}
CASES = [
    Case(
        "ps_followup_one_open_per_lead",
        followup,
        fits=[{"of": "A", "closed_at": NOW}, {"of": "A", "closed_at": NOW}, {"of": "A"}, {"of": "B"}],
        breaks=[{"of": "A"}, {"of": "A"}],
    ),
    Case("ps_followup_email_state_known", followup, [{"email_state": "failed"}], [{"email_state": "lost"}]),
    Case(
        "ps_followup_sent_has_time",
        followup,
        [{"email_state": "sent", "email_sent_at": NOW}],
        [{"email_state": "sent"}],
    ),
    Case(
        "ps_followup_sent_has_time",
        followup,
        [{"email_state": "sending"}],
        [{"email_state": "sending", "email_sent_at": NOW}],
    ),
    Case(
        "ps_followup_final_status_known",
        followup,
        [{"closed_at": NOW, "final_status": "Lost"}, {"closed_at": NOW}],
        [{"closed_at": NOW, "final_status": "Gone"}],
    ),
    Case(
        "ps_followup_open_has_no_final",
        followup,
        [{"closed_at": NOW, "final_status": "Won"}],
        [{"final_status": "Won"}],
    ),
    Case(
        "call_attempt_recorded_once",
        attempt,
        [{"outbox_id": 1}, {"outbox_id": 2}],
        [{"outbox_id": 1}, {"outbox_id": 1}],
    ),
    Case(
        "call_attempt_numbered_once",
        attempt,
        fits=[FOURTH, {**FOURTH, "role": "ps"}, {**FOURTH, "call_no": 2}, {**FOURTH, "of": "B"}],
        breaks=[FOURTH, FOURTH],
    ),
    Case("call_attempt_numbers_positive", attempt, [{"call_no": 1}], [{"call_no": 0}]),
    Case("call_attempt_numbers_positive", attempt, [{"attempt": 1}], [{"attempt": 0}]),
    Case("call_attempt_role_known", attempt, [{"role": "ps"}], [{"role": "rec"}]),
    Case("call_attempt_lead_status_known", attempt, [{"lead_status": "Booked"}], [{"lead_status": "Bought"}]),
    Case(
        "call_attempt_final_status_known",
        attempt,
        [{"final_status_before": "Lost"}],
        [{"final_status_before": ""}],
    ),
    Case(
        "call_attempt_final_status_known",
        attempt,
        [{"final_status_after": "Won"}],
        [{"final_status_after": ""}],
    ),
    Case("outbox_kind_known", work, [{"kind": "alert"}], [{"kind": "sms"}]),
    Case("outbox_state_known", work, [{"state": "dead"}], [{"state": "done"}]),
    Case("outbox_tries_counted", work, [{"tries": 0}], [{"tries": -1}]),
    Case("outbox_claim_has_end", work, [{"state": "claimed", "claimed_until": NOW}], [{"state": "claimed"}]),
    Case("outbox_claim_has_end", work, [{"state": "waiting"}], [{"state": "waiting", "claimed_until": NOW}]),
    Case("outbox_mail_has_followup", mail, [{"told": True}], [{"told": False}]),
]


@pytest.mark.parametrize("case", CASES, ids=str)
def test_a_row_that_just_fits_is_kept_and_one_that_just_does_not_is_refused(case: Case, cast: Cast) -> None:
    try_out(case, cast)


def test_every_constraint_of_followups_was_tried() -> None:
    assert {case.constraint for case in CASES} == set(declared("followups"))
