"""Races on real connections: threads behind a barrier, each with a transaction of its own."""

import uuid
from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from typing import TypeVar

import pytest
from django.utils import timezone

from conftest import Cast
from followups.models import Outbox, PSFollowup
from leads.capture import Captured, Outcome, capture
from leads.models import DuplicateLead, LeadMaster
from leads.tests.factories import enquiry, make_lead
from leads.tests.rivals import all_at_once

pytestmark = pytest.mark.django_db(transaction=True)
T = TypeVar("T")


def outcomes(results: list[Captured]) -> Counter[Outcome]:
    return Counter(captured.outcome for captured in results)


def test_fifty_posts_of_one_new_number_make_one_lead_and_forty_nine_polite_answers(cast: Cast) -> None:
    for _ in range(3):
        typed = enquiry(ps_id=cast.kiran.pk, branch_id=cast.attapur.pk)
        results = all_at_once([lambda typed=typed: capture(typed, cast.asha)] * 50)  # type: ignore[misc]
        assert outcomes(results) == {Outcome.CREATED: 1, Outcome.DUPLICATE: 49}
        (lead,) = LeadMaster.objects.filter(customer_mobile_number=typed.phone)
        assert {captured.uid for captured in results} == {lead.uid}
        assert all(captured.card for captured in results if captured.outcome == Outcome.DUPLICATE)
        assert PSFollowup.objects.filter(lead=lead).count() == 1
        assert Outbox.objects.filter(lead=lead).count() == 2


def test_fifty_posts_from_five_sources_make_one_lead_and_four_repeats(cast: Cast) -> None:
    typed = enquiry()
    pairs = [replace(typed, sub_source=f"Campaign {number % 5}") for number in range(50)]
    results = all_at_once([lambda pair=pair: capture(pair, cast.asha) for pair in pairs])  # type: ignore[misc]
    assert outcomes(results) == {Outcome.CREATED: 1, Outcome.REPEAT: 4, Outcome.DUPLICATE: 45}
    lead = LeadMaster.objects.get()
    assert lead.enquiries == 5
    assert DuplicateLead.objects.count() == 4
    assert Counter(Outbox.objects.values_list("kind", flat=True)) == {"attempt": 5, "alert": 4}


def test_the_same_form_sent_by_ten_impatient_clicks_is_saved_once(cast: Cast) -> None:
    typed = enquiry(request_id=uuid.uuid4())
    results = all_at_once([lambda: capture(typed, cast.asha)] * 10)
    assert outcomes(results) == {Outcome.CREATED: 10}
    assert Counter(captured.replayed for captured in results) == {False: 1, True: 9}
    assert LeadMaster.objects.count() == 1

    again = replace(typed, source="OEM", sub_source="Web", request_id=uuid.uuid4())
    results = all_at_once([lambda: capture(again, cast.asha)] * 10)
    assert outcomes(results) == {Outcome.REPEAT: 10}
    assert Counter(captured.replayed for captured in results) == {False: 1, True: 9}
    assert DuplicateLead.objects.count() == 1


def test_a_lead_that_is_closed_meanwhile_leaves_nobody_without_an_answer(cast: Cast) -> None:
    def close(phone: str) -> None:
        now = timezone.now()
        LeadMaster.objects.filter(customer_mobile_number=phone, final_status="Pending").update(
            lead_status="Dropped",
            final_status="Lost",
            lost_reason="Dropped",
            lost_at=now,
            last_attempt_at=now,
            follow_up_at=None,
        )

    for _ in range(3):
        typed = enquiry()
        make_lead(cast.asha, customer_mobile_number=typed.phone)
        jobs: list[Callable[[], Captured | None]] = [lambda typed=typed: close(typed.phone)] * 5  # type: ignore[misc]
        for number in range(45):
            pair = replace(typed, sub_source=f"Campaign {number % 3}")
            jobs.append(lambda pair=pair: capture(pair, cast.ravi))  # type: ignore[misc]
        results = [captured for captured in all_at_once(jobs) if captured]
        assert len(results) == 45
        assert all(captured.uid for captured in results)
        leads = LeadMaster.objects.filter(customer_mobile_number=typed.phone)
        assert leads.filter(final_status="Pending").count() <= 1
        repeats = DuplicateLead.objects.filter(lead__in=leads).count()
        assert repeats + leads.count() - 1 == outcomes(results)[Outcome.REPEAT] + outcomes(results)[Outcome.CREATED]
        for lead in leads:
            assert lead.enquiries == 1 + lead.repeats.count()


def test_different_numbers_do_not_wait_for_each_other(cast: Cast) -> None:
    results = all_at_once([lambda: capture(enquiry(), cast.asha) for _ in range(20)])
    assert outcomes(results) == {Outcome.CREATED: 20}
    assert len({captured.uid for captured in results}) == 20


def test_a_closing_outcome_sent_by_ten_impatient_clicks_is_saved_once_too(cast: Cast) -> None:
    typed = enquiry(status="Wrong Number", request_id=uuid.uuid4())
    results = all_at_once([lambda: capture(typed, cast.asha)] * 10)
    assert Counter(captured.replayed for captured in results) == {False: 1, True: 9}
    assert LeadMaster.objects.count() == 1

    results = all_at_once([lambda: capture(enquiry(phone=typed.phone, status="Wrong Number"), cast.ravi)] * 5)
    assert outcomes(results) == {Outcome.DUPLICATE: 5}
