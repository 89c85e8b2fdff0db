"""Two people save at once: threads behind a barrier, and saves that wait while the lead changes under their hands."""

import uuid
from collections import Counter
from collections.abc import Callable
from datetime import timedelta
from functools import partial
from typing import Any, TypeVar

import pytest
from django.db import transaction
from django.test import Client
from django.utils import timezone

from accounts.models import User
from conftest import Cast
from followups.catalogue import Moment
from followups.models import EmailState, Outbox, PSFollowup
from followups.recorder import record_waiting
from followups.services import NotYours, update_ps_lead
from followups.update_form import Invalid, Replayed, Stale, UpdateForm
from leads import next_call
from leads.capture import Captured, Outcome, capture
from leads.models import LeadChange, LeadMaster
from leads.tests.factories import enquiry, make_lead, phone
from leads.tests.rivals import all_at_once, while_it_waits
from leads.tests.typed import check_invariants, soon
from leads.update_form import UpdateLeadForm
from leads.updates import Refused, reopen_lead, update_lead

pytestmark = pytest.mark.django_db(transaction=True)
T = TypeVar("T")
ANSWERS = (Stale, Invalid, Refused, Replayed, NotYours, LeadMaster.DoesNotExist)


def captured(cast: Cast, **fields: Any) -> LeadMaster:
    """A lead with Kiran as PS, as capture makes it."""
    given = {"ps_id": cast.kiran.pk, "branch_id": cast.attapur.pk, **fields}
    return LeadMaster.objects.get(uid=capture(enquiry(**given), cast.asha).uid)


def fresh_lead(cre: User | None = None) -> LeadMaster:
    """As a machine brings one in."""
    return make_lead(cre, priority=10)


def by_cre(lead: LeadMaster, actor: User, **typed: str) -> str:
    """The CRE's or supervisor's save, through form and service; the name of what it was answered."""
    fields = {"version": str(lead.version), **typed}
    try:
        update_lead(
            lead.uid, actor, lambda row: UpdateLeadForm(row, actor, fields).told(actor_id=actor.pk, cause="test")
        )
    except ANSWERS as answer:
        return type(answer).__name__
    return "saved"


def by_ps(lead: LeadMaster, actor: User, **typed: str) -> str:
    fields = {"version": str(lead.version), **typed}
    try:
        update_ps_lead(
            lead.uid,
            actor,
            lambda held: UpdateForm(held.lead, Moment.PS, fields).told(actor_id=actor.pk, cause="test"),
        )
    except ANSWERS as answer:
        return type(answer).__name__
    return "saved"


def reopened(lead: LeadMaster, actor: User) -> str:
    try:
        reopen_lead(lead.uid, actor, reason="The customer called again", version=lead.version)
    except ANSWERS as answer:
        return type(answer).__name__
    return "saved"


# --- A save waits, and the lead changes under its hands ---------------------------------------------------------


def test_the_former_ps_cannot_save_though_the_handover_committed_while_they_waited(cast: Cast) -> None:
    lead = captured(cast)
    answer = while_it_waits(
        lead,
        lambda: by_ps(lead, cast.kiran, lead_status="RNR"),
        lambda: by_cre(lead, cast.asha, ps_name="latha"),
    )
    assert answer == "NotYours"
    lead.refresh_from_db()
    assert (lead.ps, lead.lead_status) == (cast.latha, "RNR")
    assert Outbox.objects.filter(lead=lead, kind="attempt").count() == 1
    check_invariants()


def test_a_lead_given_away_and_back_while_its_ps_waited_is_not_saved_over(cast: Cast) -> None:
    lead = captured(cast)

    def there_and_back() -> None:
        assert by_cre(lead, cast.asha, ps_name="latha") == "saved"
        assert by_cre(LeadMaster.objects.get(pk=lead.pk), cast.asha, ps_name="kiran") == "saved"

    answer = while_it_waits(lead, lambda: by_ps(lead, cast.kiran, lead_status="Booked"), there_and_back)
    assert answer == "Stale"
    assert PSFollowup.objects.open().get(lead=lead).accepted_at is None
    check_invariants()


def test_a_ps_who_waits_while_the_cre_closes_is_told_so(cast: Cast) -> None:
    lead = captured(cast)
    answer = while_it_waits(
        lead,
        lambda: by_ps(lead, cast.kiran, lead_status="Interested", follow_up_date=soon()),
        lambda: by_cre(lead, cast.asha, lead_status="Not Interested"),
    )
    assert answer == "Stale"
    lead.refresh_from_db()
    assert (lead.final_status, lead.lead_status) == ("Lost", "Not Interested")
    check_invariants()


def test_a_cre_from_whom_the_lead_was_taken_meanwhile_does_not_find_it(cast: Cast) -> None:
    lead = captured(cast)
    answer = while_it_waits(
        lead,
        lambda: by_cre(lead, cast.asha, lead_status="RNR"),
        lambda: by_cre(lead, cast.meera, cre=str(cast.ravi.pk)),
    )
    assert answer == "DoesNotExist"
    lead.refresh_from_db()
    assert lead.cre == cast.ravi


@pytest.mark.parametrize("accept", ["text/html", "application/json"])
@pytest.mark.parametrize("had_ps", [False, True])
def test_a_form_without_a_ps_that_waits_while_one_is_given_is_stale_not_broken(
    cast: Cast, had_ps: bool, accept: str
) -> None:
    lead = captured(cast) if had_ps else captured(cast, ps_id=None, branch_id=None)
    client = Client(headers={"accept": accept})
    client.force_login(cast.asha)
    client.get(f"/lead/{lead.uid}")
    # As the page sends it: every field, the empty ones too.
    fields = {"version": str(lead.version), "lead_status": "RNR", "branch": "", "ps_name": ""}
    response = while_it_waits(
        lead,
        lambda: client.post(f"/update_lead/{lead.uid}", fields),
        lambda: by_cre(lead, cast.meera, branch="ATTAPUR", ps_name="latha"),
    )
    assert response.status_code == 409
    assert "latha" in response.content.decode().casefold()


def test_after_the_wait_the_form_knows_who_the_ps_is_by_now(cast: Cast) -> None:
    lead = captured(cast)
    client = Client()
    client.force_login(cast.asha)
    client.get(f"/lead/{lead.uid}")
    fields = {"version": str(lead.version), "lead_status": "RNR"}
    response = while_it_waits(
        lead,
        lambda: client.post(f"/update_lead/{lead.uid}", fields),
        lambda: by_cre(lead, cast.meera, ps_name="latha"),
    )
    assert response.status_code == 409
    page = response.content.decode()
    assert "unassigned" not in page.split("<dt>PS</dt>")[1].split("</div>")[0]


def test_after_the_wait_the_pss_form_knows_who_the_cre_is_by_now(cast: Cast) -> None:
    lead = captured(cast)
    client = Client()
    client.force_login(cast.kiran)
    client.get(f"/lead/{lead.uid}")
    fields = {"version": str(lead.version), "lead_status": "RNR"}
    response = while_it_waits(
        lead,
        lambda: client.post(f"/update_ps_lead/{lead.uid}", fields),
        lambda: by_cre(lead, cast.meera, cre=str(cast.ravi.pk)),
    )
    assert response.status_code == 409
    assert "Ravi" in response.content.decode().split("<dt>CRE</dt>")[1].split("</div>")[0]


def test_a_mail_that_is_sent_while_the_ps_closes_breaks_nothing(cast: Cast) -> None:
    lead = captured(cast)

    def read(held: PSFollowup) -> Any:
        # A worker's note, which locks no lead.
        all_at_once([lambda: _note_as_sent(held)])
        fields = {"version": str(lead.version), "lead_status": "Booked"}
        return UpdateForm(held.lead, Moment.PS, fields).told(actor_id=cast.kiran.pk, cause="test")

    update_ps_lead(lead.uid, cast.kiran, read)
    followup = PSFollowup.objects.get(lead=lead)
    assert (followup.final_status, followup.email_state) == ("Won", EmailState.SENT)
    assert followup.email_sent_at is not None


def _note_as_sent(followup: PSFollowup) -> int:
    Outbox.objects.filter(ps_followup=followup, kind="mail").delete()
    return PSFollowup.objects.filter(pk=followup.pk).update(email_state=EmailState.SENT, email_sent_at=timezone.now())


@pytest.mark.parametrize("typed", [{"lead_status": "Not Interested"}, {"ps_name": "latha"}])
def test_a_mail_that_is_sent_while_the_cre_closes_or_hands_over_breaks_nothing(
    cast: Cast, typed: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    from leads import updates

    lead = captured(cast)
    found = updates._open_followup

    def sent_meanwhile(row: LeadMaster) -> PSFollowup | None:
        followup = found(row)
        if followup:
            all_at_once([lambda: _note_as_sent(followup)])
        return followup

    monkeypatch.setattr(updates, "_open_followup", sent_meanwhile)
    assert by_cre(lead, cast.asha, **typed) == "saved"
    followup = PSFollowup.objects.get(lead=lead, ps=cast.kiran)
    assert followup.closed_at is not None
    assert (followup.email_state, followup.email_sent_at is not None) == (EmailState.SENT, True)


def test_got_it_tapped_while_the_first_call_waits_keeps_its_time(cast: Cast) -> None:
    lead = captured(cast)
    tapped = timezone.now() - timedelta(minutes=1)
    answer = while_it_waits(
        lead,
        lambda: by_ps(lead, cast.kiran, lead_status="RNR"),
        lambda: PSFollowup.objects.filter(lead=lead).update(accepted_at=tapped),
    )
    assert answer == "saved"
    assert PSFollowup.objects.get(lead=lead).accepted_at == tapped


# --- Calls that cross -------------------------------------------------------------------------------------------


def test_a_save_that_waited_for_a_repeat_does_not_move_the_last_contact_back(cast: Cast) -> None:
    typed = enquiry()
    capture(typed, cast.asha)
    lead = LeadMaster.objects.get()
    again = enquiry(phone=typed.phone, source="OEM", sub_source="Web", status="Interested")
    answer = while_it_waits(
        lead,
        lambda: by_cre(lead, cast.asha, lead_status="Not Interested"),
        lambda: capture(again, cast.ravi),
    )
    assert answer == "saved"
    check_invariants()


def test_a_repeat_that_waited_for_a_save_does_not_move_the_last_contact_back(cast: Cast) -> None:
    typed = enquiry()
    capture(typed, cast.asha)
    lead = LeadMaster.objects.get()
    again = enquiry(phone=typed.phone, source="OEM", sub_source="Web", status="Interested")
    asked: Captured = while_it_waits(
        lead,
        lambda: capture(again, cast.ravi),
        lambda: by_ready(lead, cast),
    )
    assert asked.outcome == Outcome.REPEAT
    check_invariants()


def by_ready(lead: LeadMaster, cast: Cast) -> None:
    given = {"lead_category": "Hot", "model_interested": "450 Apex STD", "branch": "ATTAPUR", "ps_name": "kiran"}
    assert by_cre(lead, cast.asha, lead_status="Interested", follow_up_date=soon(), **given) == "saved"


def test_an_enquiry_that_waited_while_the_number_was_corrected_is_its_own_customers(cast: Cast) -> None:
    typed = enquiry()
    capture(typed, cast.asha)
    lead = LeadMaster.objects.get()
    other = phone()
    again = enquiry(phone=typed.phone, source="OEM", sub_source="Web", customer_name="Somebody else")
    asked: Captured = while_it_waits(
        lead,
        lambda: capture(again, cast.ravi),
        lambda: by_cre(lead, cast.asha, customer_mobile_number=other),
    )
    lead.refresh_from_db()
    assert lead.customer_mobile_number == other
    assert (asked.outcome, lead.repeats.count()) == (Outcome.CREATED, 0)
    assert LeadMaster.objects.get(uid=asked.uid).customer_mobile_number == typed.phone
    check_invariants()


# --- Behind a barrier -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("round_", range(3))
def test_of_ten_saves_of_one_version_one_is_saved(cast: Cast, round_: int) -> None:
    lead = captured(cast)
    answers = all_at_once([lambda: by_cre(lead, cast.asha, lead_status="RNR")] * 10)
    assert Counter(answers) == {"saved": 1, "Stale": 9}
    assert Outbox.objects.filter(lead=lead, kind="attempt").count() == 2
    lead.refresh_from_db()
    assert lead.version == 2
    check_invariants()


def test_ten_impatient_clicks_on_one_form_are_saved_once_and_answered_ten_times(cast: Cast) -> None:
    lead = captured(cast)
    form = {"lead_status": "RNR", "request_id": str(uuid.uuid4())}
    assert Counter(all_at_once([lambda: by_cre(lead, cast.asha, **form)] * 10)) == {"saved": 1, "Replayed": 9}
    lead.refresh_from_db()
    form = {"lead_status": "RNR", "request_id": str(uuid.uuid4())}
    assert Counter(all_at_once([lambda: by_ps(lead, cast.kiran, **form)] * 10)) == {"saved": 1, "Replayed": 9}
    assert Outbox.objects.filter(lead=lead, kind="attempt").count() == 3
    check_invariants()


@pytest.mark.parametrize("round_", range(4))
def test_cre_and_ps_save_close_and_hand_over_at_once(cast: Cast, round_: int) -> None:
    lead = captured(cast)
    answers = all_at_once(
        [
            lambda: by_cre(lead, cast.asha, lead_status="Not Interested"),
            lambda: by_ps(lead, cast.kiran, lead_status="Interested", follow_up_date=soon()),
            lambda: by_cre(lead, cast.asha, ps_name="latha"),
            lambda: by_ps(lead, cast.kiran, lead_status="Booked"),
            lambda: by_cre(lead, cast.meera, cre=str(cast.ravi.pk)),
        ]
        * 2
    )
    assert answers.count("saved") == 1
    assert set(answers) <= {"saved", "Stale", "NotYours", "DoesNotExist"}
    check_invariants()


@pytest.mark.parametrize("round_", range(4))
def test_a_number_corrected_while_it_is_captured_belongs_to_one_lead(cast: Cast, round_: int) -> None:
    lead, wanted = captured(cast), phone()
    jobs: list[Callable[[], str]] = [lambda: by_cre(lead, cast.asha, customer_mobile_number=wanted)]
    jobs += [lambda: capture(enquiry(phone=wanted), cast.ravi).outcome.value] * 4
    answers = all_at_once(jobs)
    assert answers[0] in {"saved", "Refused"}
    assert Counter(answers[1:])["created"] == (answers[0] == "Refused")
    assert LeadMaster.objects.filter(customer_mobile_number=wanted, final_status="Pending").count() == 1
    check_invariants()


@pytest.mark.parametrize("round_", range(4))
def test_the_old_number_captured_while_it_is_corrected(cast: Cast, round_: int) -> None:
    lead = captured(cast)
    old = lead.customer_mobile_number
    jobs: list[Callable[[], str]] = [lambda: by_cre(lead, cast.asha, customer_mobile_number=phone())]
    jobs += [lambda: capture(enquiry(phone=old, source="OEM", sub_source="Web"), cast.ravi).outcome.value] * 4
    answers = all_at_once(jobs)
    assert answers[0] == "saved"
    check_invariants()


def test_two_leads_that_swap_their_numbers_are_refused_in_words(cast: Cast) -> None:
    for _ in range(12):
        one, two = captured(cast), captured(cast)
        answers = all_at_once(
            [
                partial(by_cre, one, cast.asha, customer_mobile_number=two.customer_mobile_number),
                partial(by_cre, two, cast.asha, customer_mobile_number=one.customer_mobile_number),
            ]
        )
        assert answers == ["Refused", "Refused"]


@pytest.mark.parametrize("round_", range(4))
def test_a_lead_reopened_while_its_customer_comes_back_leaves_one_open_lead(cast: Cast, round_: int) -> None:
    lead = captured(cast)
    assert by_cre(lead, cast.asha, lead_status="Not Interested") == "saved"
    lead.refresh_from_db()
    jobs: list[Callable[[], str]] = [lambda: reopened(lead, cast.meera)] * 2
    jobs += [lambda: capture(enquiry(phone=lead.customer_mobile_number), cast.ravi).outcome.value] * 3
    answers = all_at_once(jobs)
    assert answers[:2].count("saved") + answers[2:].count("created") == 1
    assert LeadMaster.objects.filter(final_status="Pending").count() == 1
    check_invariants()


# --- The next call ----------------------------------------------------------------------------------------------


def claimed(actor: User) -> str:
    lead = next_call.claim(actor)
    return lead.uid if lead else ""


def test_cres_who_claim_new_leads_at_once_each_get_another(cast: Cast) -> None:
    for _ in range(6):
        fresh_lead()
    uids = all_at_once([lambda: claimed(cast.asha), lambda: claimed(cast.ravi)] * 4)
    assert Counter(uid for uid in uids if uid).most_common(1)[0][1] == 1
    # Skipped rows come back to whoever asks again.
    while claimed(cast.asha):
        pass
    assert not LeadMaster.objects.filter(cre=None).exists()
    assert LeadChange.objects.filter(field="cre").count() == 6
    assert LeadMaster.objects.filter(next_call_by=None).count() == 0


def test_one_cre_in_two_tabs_gets_two_leads(cast: Cast) -> None:
    for _ in range(5):
        LeadMaster.objects.all().delete()
        fresh_lead(cast.asha)
        fresh_lead(cast.asha)
        uids = all_at_once([lambda: claimed(cast.asha)] * 2)
        assert len({uid for uid in uids if uid}) == len([uid for uid in uids if uid])


def test_a_claim_passes_over_a_lead_that_is_being_saved(cast: Cast) -> None:
    lead = fresh_lead(cast.asha)
    with transaction.atomic():
        LeadMaster.objects.select_for_update(no_key=True).get(pk=lead.pk)
        (got,) = all_at_once([lambda: claimed(cast.asha)])
    assert got == ""
    assert claimed(cast.asha) == lead.uid


@pytest.mark.parametrize("round_", range(3))
def test_claims_and_saves_at_once_break_nothing(cast: Cast, round_: int) -> None:
    leads = [captured(cast, status="RNR") for _ in range(3)]
    new = [fresh_lead() for _ in range(2)]
    LeadMaster.objects.filter(pk__in=[lead.pk for lead in leads]).update(follow_up_at=timezone.now())
    jobs: list[Callable[[], str]] = [lambda: claimed(cast.asha), lambda: claimed(cast.ravi)] * 2
    jobs += [partial(by_cre, lead, cast.asha, lead_status="RNR") for lead in leads]
    jobs += [partial(by_cre, lead, cast.meera, cre=str(cast.ravi.pk)) for lead in new]
    answers = all_at_once(jobs)
    assert set(answers[4:7]) == {"saved"}
    assert set(answers[7:]) <= {"saved", "Stale"}
    check_invariants()


def test_everything_at_once_for_a_while_deadlocks_nowhere(cast: Cast) -> None:
    leads = [captured(cast, status="RNR") for _ in range(3)]
    numbers = [lead.customer_mobile_number for lead in leads]
    answers: list[str] = []

    def keep(job: Callable[[LeadMaster], str], times: int = 12) -> Callable[[], None]:
        def run() -> None:
            answers.extend(job(LeadMaster.objects.get(pk=leads[number % 3].pk)) for number in range(times))

        return run

    def again(lead: LeadMaster) -> str:
        number = numbers[lead.pk % 3]
        return capture(enquiry(phone=number, source="OEM", sub_source="Web"), cast.ravi).outcome.value

    def record(lead: LeadMaster) -> str:
        record_waiting()
        return "recorded"

    jobs = [
        keep(lambda lead: by_cre(lead, cast.asha, lead_status="RNR")),
        keep(lambda lead: by_cre(lead, cast.asha, ps_name="latha")),
        keep(lambda lead: by_cre(lead, cast.asha, ps_name="kiran")),
        keep(lambda lead: by_ps(lead, cast.kiran, lead_status="Booked")),
        keep(lambda lead: by_ps(lead, cast.latha, lead_status="RNR")),
        keep(lambda lead: reopened(lead, cast.meera)),
        keep(lambda lead: by_cre(lead, cast.asha, customer_mobile_number=phone())),
        keep(again),
        keep(record),
        keep(lambda lead: claimed(cast.asha) and "claimed"),
    ]
    all_at_once(jobs)
    assert "saved" in answers
    check_invariants()
