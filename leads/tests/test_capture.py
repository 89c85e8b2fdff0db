"""What capture decides, and what it writes."""

import uuid
from dataclasses import replace
from datetime import timedelta
from unittest.mock import patch

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from accounts.models import User
from conftest import Cast
from followups import uid as uids
from followups.models import CallAttempt, EmailState, Kind, Outbox, PSFollowup
from leads import uid
from leads.capture import NotAllowed, Outcome, capture, check
from leads.models import DuplicateLead, LeadMaster
from leads.tests.factories import enquiry, make_lead

pytestmark = pytest.mark.django_db


def rows() -> tuple[int, int, int, int]:
    return (
        LeadMaster.objects.count(),
        DuplicateLead.objects.count(),
        PSFollowup.objects.count(),
        Outbox.objects.count(),
    )


def test_a_new_customer_becomes_a_lead_of_the_cre_who_typed_it(cast: Cast) -> None:
    typed = enquiry(status="RNR", remark="Rang twice", category="Hot", model="450 Apex STD", branch_id=cast.attapur.pk)
    captured = capture(typed, cast.asha)
    lead = LeadMaster.objects.get()
    assert (captured.outcome, captured.uid, captured.statements) == (Outcome.CREATED, lead.uid, 1)
    assert uids.SHAPE.fullmatch(lead.uid)
    assert lead.uid[2:7] == typed.phone[-5:]
    assert (lead.cre, lead.created_by, lead.cre_assigned_at) == (cast.asha, cast.asha, lead.created_at)
    assert (lead.customer_mobile_number, lead.source, lead.sub_source) == (typed.phone, "META", "Meta Know")
    assert (lead.lead_status, lead.final_status, lead.first_call_at) == ("RNR", "Pending", None)
    assert (lead.lead_category, lead.model_interested, lead.branch) == ("Hot", "450 Apex STD", cast.attapur)
    assert (lead.first_remark, lead.enquiries, lead.attempts, lead.version) == ("Rang twice", 1, 0, 1)
    assert [row.kind for row in Outbox.objects.all()] == [Kind.ATTEMPT]
    assert not CallAttempt.objects.exists()


def test_a_customer_who_was_reached_has_had_the_qualifying_call(cast: Cast) -> None:
    follow_up_at = timezone.now() + timedelta(days=3)
    capture(enquiry(status="Interested", follow_up_at=follow_up_at), cast.asha)
    lead = LeadMaster.objects.get()
    assert lead.first_call_at == lead.last_contact_at == lead.created_at
    assert lead.follow_up_at == follow_up_at


def test_a_chosen_ps_gets_a_follow_up_and_a_mail_in_the_outbox(cast: Cast) -> None:
    capture(enquiry(ps_id=cast.kiran.pk, branch_id=cast.attapur.pk), cast.asha)
    lead, followup = LeadMaster.objects.get(), PSFollowup.objects.get()
    assert (lead.ps, lead.ps_assigned_at) == (cast.kiran, lead.created_at)
    assert (followup.lead, followup.ps, followup.branch) == (lead, cast.kiran, cast.attapur)
    assert (followup.assigned_by, followup.email_state, followup.closed_at) == (
        cast.asha,
        EmailState.WAITING,
        None,
    )
    work = list(Outbox.objects.values_list("kind", "lead_id", "ps_followup_id"))
    assert work == [("attempt", lead.pk, followup.pk), ("mail", lead.pk, followup.pk)]


def test_the_same_pair_again_is_a_duplicate_and_writes_nothing(cast: Cast) -> None:
    typed = enquiry()
    first = capture(typed, cast.asha)
    before = rows()
    own, others = capture(typed, cast.asha), capture(typed, cast.ravi)
    assert own.outcome == others.outcome == Outcome.DUPLICATE
    assert own.uid == others.uid == first.uid
    assert rows() == before
    assert own.own
    assert own.card is not None
    assert (own.card.customer_name, own.card.phone, own.card.masked) == ("Ramesh Kumar", typed.phone, False)
    assert others.card is not None
    assert (others.card.customer_name, others.card.owner, others.card.masked) == ("R••••• K.", "Asha", True)
    assert typed.phone[3:8] not in str(others.card)


def test_another_pair_is_a_repeat_on_the_open_lead(cast: Cast) -> None:
    typed = enquiry(category="Warm", ps_id=cast.kiran.pk, branch_id=cast.attapur.pk)
    first = capture(typed, cast.asha)
    before = LeadMaster.objects.get()
    Outbox.objects.all().delete()

    again = replace(typed, source="OEM", sub_source="Web", remark="Saw it on the web", request_id=uuid.uuid4())
    captured = capture(again, cast.ravi)

    lead, repeat = LeadMaster.objects.get(), DuplicateLead.objects.get()
    assert (captured.outcome, captured.uid, captured.statements) == (Outcome.REPEAT, first.uid, 1)
    assert captured.card is not None
    assert (captured.card.enquiries, captured.card.recent, captured.card.masked) == (2, 2, True)
    assert (lead.enquiries, lead.cre) == (2, cast.asha)
    assert lead.priority > before.priority
    assert lead.version == before.version
    assert (repeat.lead, repeat.source, repeat.sub_source) == (lead, "OEM", "Web")
    assert (repeat.remark, repeat.created_by) == ("Saw it on the web", cast.ravi)
    assert repeat.payload["lead_category"] == "Warm"
    assert PSFollowup.objects.count() == 1
    attempt, alert = Outbox.objects.order_by("id")
    assert (attempt.kind, attempt.payload["by"], attempt.payload["final_status_after"]) == (
        "attempt",
        cast.ravi.pk,
        "Pending",
    )
    assert (alert.kind, alert.payload["repeat"]) == ("alert", repeat.pk)


def test_a_pair_that_has_asked_again_already_is_a_duplicate(cast: Cast) -> None:
    typed = enquiry()
    capture(typed, cast.asha)
    web = replace(typed, source="OEM", sub_source="Web")
    assert capture(web, cast.ravi).outcome == Outcome.REPEAT
    assert capture(web, cast.ravi).outcome == Outcome.DUPLICATE
    assert capture(typed, cast.ravi).outcome == Outcome.DUPLICATE
    assert DuplicateLead.objects.count() == 1


def test_a_machine_that_names_a_new_reference_repeats_its_own_pair(cast: Cast) -> None:
    typed = enquiry(external_ref="form-1")
    capture(typed, cast.asha)
    assert capture(typed, cast.asha).outcome == Outcome.DUPLICATE
    assert capture(replace(typed, external_ref="form-2"), cast.asha).outcome == Outcome.REPEAT
    assert capture(replace(typed, external_ref="form-2"), cast.asha).outcome == Outcome.DUPLICATE
    assert capture(replace(typed, external_ref=""), cast.asha).outcome == Outcome.DUPLICATE


def test_eleven_repeats_and_more_are_all_kept(cast: Cast) -> None:
    typed = enquiry()
    capture(typed, cast.asha)
    for number in range(15):
        captured = capture(replace(typed, sub_source=f"Campaign {number}"), cast.asha)
        assert captured.outcome == Outcome.REPEAT
        assert captured.card is not None
        assert captured.card.enquiries == number + 2
    assert DuplicateLead.objects.count() == 15


@pytest.mark.parametrize(("owner", "adopted"), [("nobody", True), ("inactive", True), ("active", False)])
def test_a_lead_without_an_active_cre_goes_to_the_one_who_takes_the_repeat(
    cast: Cast, owner: str, adopted: bool
) -> None:
    cre = None if owner == "nobody" else cast.asha
    User.objects.filter(pk=cast.asha.pk).update(is_active=owner == "active")
    lead = make_lead(cre)
    captured = capture(enquiry(phone=lead.customer_mobile_number, source="OEM", sub_source="Web"), cast.ravi)
    lead.refresh_from_db()
    assert captured.outcome == Outcome.REPEAT
    assert captured.own is adopted
    assert lead.cre == (cast.ravi if adopted else cast.asha)


@pytest.mark.parametrize("status", ["Interested", "Not Interested"])
def test_a_contacted_repeat_is_the_qualifying_call_of_a_fresh_lead(cast: Cast, status: str) -> None:
    typed = enquiry(status="RNR")
    capture(typed, cast.asha)
    again = enquiry(phone=typed.phone, source="OEM", sub_source="Web", status=status, follow_up_at=timezone.now())
    capture(again, cast.ravi)
    lead = LeadMaster.objects.get()
    assert lead.first_call_at is not None
    assert lead.last_contact_at == lead.first_call_at
    assert (lead.lead_status, lead.final_status) == ("RNR", "Pending")


@pytest.mark.parametrize(
    ("status", "final", "reason"),
    [
        ("Wrong Number", "Lost", "Wrong Number"),
        ("Not Interested", "Lost", "Not Interested"),
        ("Booked", "Won", ""),
    ],
)
def test_an_outcome_that_closes_makes_a_closed_lead_without_follow_up_or_mail(
    cast: Cast, status: str, final: str, reason: str
) -> None:
    typed = enquiry(status=status, ps_id=cast.kiran.pk, branch_id=cast.attapur.pk)
    captured = capture(typed, cast.asha)
    lead, followup = LeadMaster.objects.get(), PSFollowup.objects.get()
    assert (captured.outcome, captured.statements) == (Outcome.CREATED, 3)
    assert (lead.lead_status, lead.final_status, lead.lost_reason) == (status, final, reason)
    assert (lead.won_at or lead.lost_at) == lead.created_at == lead.first_call_at
    assert (followup.closed_at, followup.final_status) == (lead.created_at, final)
    assert followup.email_state == EmailState.NOT_NEEDED
    (attempt,) = Outbox.objects.all()
    assert (attempt.payload["final_status_before"], attempt.payload["final_status_after"]) == (
        "Pending",
        final,
    )


def test_a_wrong_number_typed_again_within_a_day_is_the_same_one(cast: Cast) -> None:
    typed = enquiry(status="Wrong Number")
    first = capture(typed, cast.asha)
    again = capture(typed, cast.ravi)
    assert (again.outcome, again.uid) == (Outcome.DUPLICATE, first.uid)
    assert capture(replace(typed, source="OEM", sub_source="Web"), cast.ravi).outcome == Outcome.CREATED

    LeadMaster.objects.update(created_at=timezone.now() - timedelta(hours=25))
    LeadMaster.objects.filter(uid=first.uid).update(lost_at=LeadMaster.objects.get(uid=first.uid).created_at)
    assert capture(typed, cast.ravi).outcome == Outcome.CREATED


def test_a_lead_closed_by_a_later_call_does_not_hold_a_new_enquiry_back(cast: Cast) -> None:
    lead = make_lead(
        cast.asha,
        lead_status="Dropped",
        final_status="Lost",
        lost_reason="Dropped",
        lost_at=timezone.now(),
        created_at=timezone.now() - timedelta(hours=2),
    )
    captured = capture(enquiry(phone=lead.customer_mobile_number), cast.ravi)
    assert (captured.outcome, captured.returning) == (Outcome.CREATED, lead.uid)
    assert LeadMaster.objects.get(uid=captured.uid).previous == lead


def test_the_same_form_sent_twice_gets_the_first_answer_again(cast: Cast) -> None:
    typed = enquiry(request_id=uuid.uuid4())
    first = capture(typed, cast.asha)
    before = rows()
    again = capture(typed, cast.asha)
    assert (again.outcome, again.uid, again.replayed) == (Outcome.CREATED, first.uid, True)

    repeat = replace(typed, source="OEM", sub_source="Web", request_id=uuid.uuid4())
    assert not capture(repeat, cast.asha).replayed
    again = capture(repeat, cast.asha)
    assert (again.outcome, again.uid, again.replayed) == (Outcome.REPEAT, first.uid, True)
    assert rows() == (before[0], 1, before[2], before[3] + 2)


def test_only_the_same_person_the_same_phone_and_the_same_day_make_a_replay(cast: Cast) -> None:
    typed = enquiry(request_id=uuid.uuid4())
    capture(typed, cast.asha)
    assert not capture(typed, cast.ravi).replayed
    assert not capture(replace(typed, request_id=uuid.uuid4()), cast.asha).replayed
    other = capture(replace(typed, phone=enquiry().phone), cast.asha)
    assert (other.outcome, other.replayed) == (Outcome.CREATED, False)
    LeadMaster.objects.update(created_at=timezone.now() - timedelta(hours=25))
    assert not capture(typed, cast.asha).replayed


def test_a_replay_survives_that_the_lead_was_closed_meanwhile(cast: Cast) -> None:
    typed = enquiry(request_id=uuid.uuid4())
    first = capture(typed, cast.asha)
    LeadMaster.objects.update(lead_status="Dropped", final_status="Lost", lost_reason="Dropped", lost_at=timezone.now())
    again = capture(typed, cast.asha)
    assert (again.uid, again.replayed) == (first.uid, True)
    assert LeadMaster.objects.count() == 1


@pytest.mark.parametrize("why", ["inactive", "away", "elsewhere", "no PS"])
def test_a_ps_who_takes_no_leads_there_is_refused_in_words(cast: Cast, why: str) -> None:
    ps, branch = cast.kiran, cast.attapur
    if why == "inactive":
        User.objects.filter(pk=ps.pk).update(is_active=False)
    elif why == "away":
        User.objects.filter(pk=ps.pk).update(available=False)
    elif why == "elsewhere":
        branch = cast.malakpet
    else:
        ps = cast.ravi
    captured = capture(enquiry(ps_id=ps.pk, branch_id=branch.pk), cast.asha)
    assert captured.outcome == Outcome.INVALID
    assert captured.errors is not None
    assert set(captured.errors) == {"ps_name"}
    assert rows() == (0, 0, 0, 0)


def test_a_repeat_is_kept_even_if_its_ps_takes_no_leads(cast: Cast) -> None:
    lead = make_lead(cast.asha)
    User.objects.filter(pk=cast.kiran.pk).update(available=False)
    typed = enquiry(
        phone=lead.customer_mobile_number,
        source="OEM",
        sub_source="Web",
        ps_id=cast.kiran.pk,
        branch_id=cast.attapur.pk,
    )
    assert capture(typed, cast.asha).outcome == Outcome.REPEAT


@pytest.mark.parametrize("who", ["kiran", "head", "reception", "asha"])
def test_only_an_active_cre_or_supervisor_captures(cast: Cast, who: str) -> None:
    actor = getattr(cast, who)
    User.objects.filter(pk=cast.asha.pk).update(is_active=False)
    with pytest.raises(NotAllowed):
        capture(enquiry(), actor)
    assert rows() == (0, 0, 0, 0)


def test_a_supervisor_captures_for_nobody_in_particular(cast: Cast) -> None:
    capture(enquiry(), cast.meera)
    lead = LeadMaster.objects.get()
    assert lead.cre is None
    assert lead.cre_assigned_at is None
    assert lead.created_by == cast.meera


def test_a_uid_that_clashes_costs_one_new_transaction_and_no_error(cast: Cast) -> None:
    taken = uid.make(letter="M", phone="+919700000000", pair=("META", "Meta Know"), nanoseconds=1, key=b"k")
    make_lead(cast.ravi, uid=taken)
    free = uid.make(letter="M", phone="+919700000000", pair=("META", "Meta Know"), nanoseconds=2, key=b"k")
    with (
        patch("leads.records.uid.make", side_effect=[taken, free]) as make,
        CaptureQueriesContext(connection) as queries,
    ):
        captured = capture(enquiry(), cast.asha)
    assert (captured.outcome, captured.uid) == (Outcome.CREATED, free)
    assert make.call_count == 2
    assert len([query for query in queries if "INSERT" in query["sql"]]) == 2


def test_check_foretells_what_capture_does_and_writes_nothing(cast: Cast) -> None:
    typed = enquiry()
    pair = (typed.source, typed.sub_source)
    assert check(typed.phone, pair, cast.asha).outcome == Outcome.NEW
    capture(typed, cast.asha)
    before = rows()
    assert check(typed.phone, pair, cast.asha).outcome == Outcome.DUPLICATE
    assert check(typed.phone, None, cast.asha).outcome == Outcome.DUPLICATE
    found = check(typed.phone, ("OEM", "Web"), cast.ravi)
    assert found.outcome == Outcome.REPEAT
    assert found.card is not None
    assert found.card.masked
    assert rows() == before


def test_check_knows_a_returning_customer(cast: Cast) -> None:
    lead = make_lead(
        cast.asha, lead_status="Dropped", final_status="Lost", lost_reason="Dropped", lost_at=timezone.now()
    )
    found = check(lead.customer_mobile_number, ("META", "Meta Know"), cast.ravi)
    assert (found.outcome, found.returning, found.card) == (Outcome.NEW, lead.uid, None)
