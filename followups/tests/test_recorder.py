"""The recorder: every waiting attempt exactly once, a lead's in order, whoever else is at work."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from django.db import connection, transaction
from django.utils import timezone

from accounts.models import User
from conftest import Cast
from followups.calls import Call
from followups.models import CallAttempt, Kind, Outbox, State
from followups.recorder import MOST_TRIES, record_waiting
from leads.models import LeadMaster
from leads.tests.factories import make_lead
from leads.tests.rivals import all_at_once


def leave(lead: LeadMaster, by: User, status: str = "RNR", *, role: str = "cre", **payload: Any) -> Outbox:
    """What a save leaves in the outbox."""
    call = Call(
        role=role,
        by=by.pk,
        lead_status=status,
        remark="",
        follow_up_at=None,
        final_status_before="Pending",
        final_status_after="Pending",
        called_at=timezone.now(),
    )
    return Outbox.objects.create(kind=Kind.ATTEMPT, lead_id=lead.pk, payload={**call.payload(), **payload})


def numbers(lead: LeadMaster, role: str = "cre") -> list[str]:
    rows = CallAttempt.objects.filter(lead=lead, role=role).order_by("outbox_id")
    return [f"{row.call_no}/{row.attempt}" for row in rows]


@pytest.mark.django_db
def test_attempts_are_numbered_in_the_order_of_their_saves(cast: Cast) -> None:
    lead = make_lead(cast.asha)
    for status in ["RNR", "RNR", "Interested", "Busy on another Call", "Test Drive"]:
        leave(lead, cast.asha, status)
    assert record_waiting() == 5
    assert numbers(lead) == ["1/1", "1/2", "1/3", "2/1", "2/2"]
    leave(lead, cast.asha, "RNR")
    record_waiting()
    assert numbers(lead)[-1] == "3/1"
    assert not Outbox.objects.exists()


@pytest.mark.django_db
def test_cre_and_ps_count_their_own_calls(cast: Cast) -> None:
    lead = make_lead(cast.asha)
    leave(lead, cast.asha, "Interested")
    leave(lead, cast.kiran, "RNR", role="ps")
    leave(lead, cast.asha, "RNR")
    leave(lead, cast.kiran, "Interested", role="ps")
    record_waiting()
    assert numbers(lead) == ["1/1", "2/1"]
    assert numbers(lead, "ps") == ["1/1", "1/2"]


@pytest.mark.django_db
def test_what_the_save_said_is_recorded_not_what_holds_now(cast: Cast) -> None:
    lead = make_lead(cast.asha)
    called_at = datetime(2026, 3, 1, 12, 30, tzinfo=UTC)
    row = leave(
        lead,
        cast.asha,
        "Interested",
        called_at=called_at.isoformat(),
        follow_up_at=(called_at + timedelta(days=3)).isoformat(),
        remark="Wants the big battery",
    )
    closed = {"lead_status": "Dropped", "final_status": "Lost", "lost_reason": "Dropped"}
    LeadMaster.objects.update(**closed, lost_at=timezone.now(), last_attempt_at=timezone.now())
    record_waiting()
    attempt = CallAttempt.objects.get()
    assert (attempt.called_at, attempt.follow_up_at) == (called_at, called_at + timedelta(days=3))
    assert (attempt.lead_status, attempt.contacted, attempt.remark) == (
        "Interested",
        True,
        "Wants the big battery",
    )
    assert (attempt.final_status_before, attempt.final_status_after) == ("Pending", "Pending")
    assert (attempt.by, attempt.outbox_id) == (cast.asha, row.pk)
    assert attempt.recorded_at > called_at


@pytest.mark.django_db
def test_the_lead_gets_its_count_and_first_response_and_keeps_its_version(cast: Cast) -> None:
    lead = make_lead(cast.asha)
    first = datetime(2026, 3, 1, 12, 30, tzinfo=UTC)
    leave(lead, cast.asha, called_at=first.isoformat())
    leave(lead, cast.asha)
    record_waiting()
    leave(lead, cast.asha)
    record_waiting()
    lead.refresh_from_db()
    assert (lead.attempts, lead.first_attempt_at, lead.version) == (3, first, 1)


@pytest.mark.django_db
def test_a_broken_row_does_not_hold_other_leads_back_and_is_given_up_at_last(cast: Cast) -> None:
    broken, sound = make_lead(cast.asha), make_lead(cast.asha)
    row = leave(broken, cast.asha, lead_status="No such status")
    leave(sound, cast.asha)
    assert record_waiting() == 1
    assert numbers(sound) == ["1/1"]
    row.refresh_from_db()
    assert (row.state, row.tries) == (State.WAITING, 1)
    assert "No such status" in row.last_error
    for _ in range(MOST_TRIES):
        Outbox.objects.filter(pk=row.pk).update(not_before=timezone.now())
        record_waiting()
    row.refresh_from_db()
    assert row.state == State.DEAD


@pytest.mark.django_db
def test_a_broken_row_does_not_take_its_leads_good_ones_down_with_it(cast: Cast) -> None:
    lead = make_lead(cast.asha)
    leave(lead, cast.asha)
    broken = leave(lead, cast.asha, lead_status="No such status")
    leave(lead, cast.asha, "Interested")
    record_waiting()
    record_waiting()
    assert numbers(lead) == ["1/1", "1/2"]
    assert list(Outbox.objects.all()) == [broken]


@pytest.mark.django_db(transaction=True)
def test_a_lead_in_other_hands_is_left_for_the_next_nudge(cast: Cast) -> None:
    held, free = make_lead(cast.asha), make_lead(cast.asha)
    leave(held, cast.asha)
    leave(free, cast.asha)
    with transaction.atomic():
        LeadMaster.objects.select_for_update(no_key=True).get(pk=held.pk)
        (recorded,) = all_at_once([record_waiting])
        assert recorded == 1
    assert record_waiting() == 1
    assert numbers(held) == numbers(free) == ["1/1"]


@pytest.mark.django_db(transaction=True)
def test_eight_recorders_number_every_lead_without_gap_or_double(cast: Cast) -> None:
    leads = [make_lead(cast.asha) for _ in range(60)]
    for status in ["RNR", "Interested", "RNR", "RNR", "Test Drive"]:
        for lead in leads:
            leave(lead, cast.asha, status)
    assert sum(all_at_once([record_waiting] * 8)) + record_waiting() == 300
    assert {tuple(numbers(lead)) for lead in leads} == {("1/1", "1/2", "2/1", "2/2", "2/3")}
    assert set(LeadMaster.objects.values_list("attempts", flat=True)) == {5}


@pytest.mark.django_db(transaction=True)
def test_recording_while_saves_go_on_keeps_the_order(cast: Cast) -> None:
    leads = [make_lead(cast.asha) for _ in range(10)]

    def save() -> int:
        for _ in range(5):
            for lead in leads:
                with transaction.atomic():
                    LeadMaster.objects.select_for_update(no_key=True).get(pk=lead.pk)
                    leave(lead, cast.asha)
        return 0

    all_at_once([save, save, record_waiting, record_waiting])
    record_waiting()
    for lead in leads:
        assert numbers(lead) == [f"1/{number}" for number in range(1, 11)]


@pytest.mark.django_db
def test_a_batch_costs_the_same_number_of_statements_however_many_leads(cast: Cast) -> None:
    from django.test.utils import CaptureQueriesContext

    def cost(leads: int) -> int:
        for _ in range(leads):
            leave(make_lead(cast.asha), cast.asha)
        with CaptureQueriesContext(connection) as queries:
            record_waiting()
        return len(queries)

    assert cost(2) == cost(40)
