"""What the owning CRE and supervisors save of a lead: outcomes, the PS, corrections; by page and by program."""

import re
import uuid
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from django.core import mail
from django.test import Client
from django.utils import timezone

from accounts.directory import directory
from accounts.models import Branch, Role, User
from conftest import Cast
from followups.catalogue import CODES
from followups.delivery import mail_waiting
from followups.models import CallAttempt, EmailState, Kind, Outbox, PSFollowup
from followups.recorder import record_waiting
from followups.services import update_ps_lead
from followups.update import Told
from followups.update_form import written
from leads.capture import Outcome, capture
from leads.models import LeadChange, LeadMaster
from leads.story import story
from leads.tests.factories import enquiry, make_lead, phone
from leads.tests.statuses import SAVED_KEYS, STATUSES, Rule, check_recorded, check_saved
from leads.tests.typed import (
    JSON,
    captured,
    check_invariants,
    controls,
    fresh,
    given,
    open_followup,
    qualified,
    save,
    signed_in,
    soon,
    unchanged,
)
from leads.update_form import UpdateLeadForm

pytestmark = pytest.mark.django_db


@pytest.fixture
def asha(cast: Cast) -> Client:
    return signed_in(cast.asha)


# --- Outcomes ---------------------------------------------------------------------------------------------------


def test_the_table_of_the_tests_names_every_status() -> None:
    assert set(STATUSES) == set(CODES)


def told_of(status: str, rule: Rule, *, first: bool) -> dict[str, str]:
    fields = given() if first and status == "Interested" else {"lead_status": status}
    if rule.needs_follow_up:
        fields["follow_up_date"] = soon(days=3)
    if rule.needs_reason:
        fields["lost_reason"] = "Vijayawada"
    return fields


@pytest.mark.parametrize("first", [True, False], ids=["first call", "later call"])
@pytest.mark.parametrize("status", STATUSES)
def test_each_status_through_the_cres_form(cast: Cast, asha: Client, status: str, first: bool) -> None:
    rule = STATUSES[status]
    lead = captured(cast, follow_up_at=timezone.now() + timedelta(days=1)) if first else qualified(cast)
    offered = rule.cre_first if first else rule.cre_later
    page = controls(asha.get(f"/update_lead/{lead.uid}"))
    assert (status in page.offered["lead_status"]) == offered
    response = save(asha, lead, remark="As they said", **told_of(status, rule, first=first))
    answer = response.json()
    if not offered:
        assert (response.status_code, answer["success"]) == (422, False)
        assert f"“{status}”" in answer["errors"]["lead_status"]
        assert unchanged(lead)
        return
    assert (response.status_code, answer["success"]) == (200, True), answer
    assert (answer["uid"], answer["lead_status"], answer["final_status"]) == (lead.uid, status, rule.final)
    assert (answer["version"], status in answer["message"]) == (lead.version + 1, True)
    check_saved(cast, lead, status, rule, by=cast.asha)
    check_recorded(lead, status, rule, role="cre")


@pytest.mark.parametrize("status", [status for status, rule in STATUSES.items() if rule.needs_follow_up])
def test_an_outcome_that_needs_a_follow_up_is_refused_without_one(cast: Cast, asha: Client, status: str) -> None:
    rule = STATUSES[status]
    lead = qualified(cast) if rule.cre_later else captured(cast)
    if not (rule.cre_later or rule.cre_first):
        return
    fields = {**told_of(status, rule, first=not rule.cre_later), "follow_up_date": ""}
    answer = save(asha, lead, **fields).json()
    assert answer["errors"] == {"follow_up_date": f"“{status}” needs a follow-up time."}
    assert unchanged(lead)


@pytest.mark.parametrize("status", [status for status, rule in STATUSES.items() if rule.final != "Pending"])
def test_a_closing_outcome_drops_whatever_stands_in_the_follow_up(cast: Cast, asha: Client, status: str) -> None:
    rule = STATUSES[status]
    if not (rule.cre_later or rule.cre_first):
        return
    lead = qualified(cast) if rule.cre_later else captured(cast)
    fields = {**told_of(status, rule, first=False), "follow_up_date": "2020-01-01T10:00"}
    assert save(asha, lead, **fields).status_code == 200
    assert fresh(lead).follow_up_at is None


def test_a_missed_call_keeps_what_was_agreed_unless_another_time_is_given(cast: Cast, asha: Client) -> None:
    lead = qualified(cast)
    agreed = lead.follow_up_at
    answer = save(asha, lead, lead_status="RNR").json()
    assert fresh(lead).follow_up_at == agreed
    assert "stays as agreed" in answer["message"]
    later = soon(days=5)
    answer = save(asha, fresh(lead), lead_status="RNR", follow_up_date=later).json()
    assert written(fresh(lead).follow_up_at) == later
    assert datetime.fromisoformat(answer["follow_up_at"]) == fresh(lead).follow_up_at


def test_a_later_rnr_never_erases_the_first_call(cast: Cast, asha: Client) -> None:
    lead = qualified(cast)
    for status in ["RNR", "Busy on another Call", "Call not Connected", "RNR"]:
        assert save(asha, fresh(lead), lead_status=status).status_code == 200
    assert fresh(lead).first_call_at == lead.first_call_at is not None
    assert fresh(lead).last_contact_at == lead.last_contact_at
    check_invariants()


def test_missed_calls_keep_a_fresh_lead_fresh_and_add_attempts(cast: Cast, asha: Client) -> None:
    lead = captured(cast)
    for status in ["RNR", "Busy on another Call", "Call Disconnected"]:
        save(asha, fresh(lead), lead_status=status)
    record_waiting()
    assert (fresh(lead).first_call_at, fresh(lead).attempts) == (None, 4)
    assert {(row.call_no, row.attempt) for row in CallAttempt.objects.filter(lead=lead)} == {
        (1, number) for number in range(1, 5)
    }
    check_invariants()


@pytest.mark.parametrize("missing", ["lead_category", "model_interested", "branch", "ps_name", "follow_up_date"])
def test_interested_on_the_first_contact_asks_for_all_that_the_ps_needs(cast: Cast, asha: Client, missing: str) -> None:
    lead = captured(cast)
    response = save(asha, lead, **given(**{missing: ""}))
    assert response.status_code == 422
    assert list(response.json()["errors"]) == [missing]
    assert "“Interested” needs" in response.json()["errors"][missing]
    assert unchanged(lead)


def test_interested_without_branch_and_ps_is_refused_at_both(cast: Cast, asha: Client) -> None:
    lead = captured(cast)
    assert set(save(asha, lead, **given(branch="", ps_name="")).json()["errors"]) == {"branch", "ps_name"}
    assert unchanged(lead)


def test_interested_on_the_first_contact_hands_the_lead_to_the_ps(cast: Cast, asha: Client) -> None:
    lead = captured(cast)
    answer = save(asha, lead, **given(remark="Wants a ride on Sunday")).json()
    assert "Kiran gets an e-mail" in answer["message"]
    now = fresh(lead)
    assert (now.ps, now.branch, now.lead_category, now.model_interested) == (
        cast.kiran,
        cast.attapur,
        "Hot",
        "450 Apex STD",
    )
    followup = open_followup(lead)
    assert followup is not None
    assert (followup.ps, followup.assigned_by, followup.email_state) == (cast.kiran, cast.asha, EmailState.WAITING)
    assert followup.assigned_at == now.ps_assigned_at == now.first_call_at
    check_invariants()
    assert mail_waiting() == 1
    assert mail.outbox[0].to == ["Kiran <kiran@example.com>"]
    assert "Wants a ride on Sunday" in mail.outbox[0].body


def test_a_typed_reason_is_kept_and_out_of_station_asks_for_a_place(cast: Cast, asha: Client) -> None:
    lead = captured(cast)
    answer = save(asha, lead, lead_status="Out of Station").json()
    assert answer["errors"] == {"lost_reason": "“Out of Station”: Where does the customer live?"}
    assert unchanged(lead)
    answer = save(asha, lead, lead_status="Lost to Competition", lost_reason="  Bought a   rival ").json()
    assert fresh(lead).lost_reason == "Bought a rival"
    assert "Lost (Bought a rival)" in answer["message"]


def test_a_reason_is_dropped_where_nothing_is_lost(cast: Cast, asha: Client) -> None:
    lead = captured(cast)
    assert save(asha, lead, lead_status="RNR", lost_reason="x" * 500).status_code == 200
    assert fresh(lead).lost_reason == ""


def test_what_is_closed_stays_closed_and_its_time_is_stamped_once(cast: Cast, asha: Client) -> None:
    lead = qualified(cast)
    save(asha, lead, lead_status="Booked")
    won_at = fresh(lead).won_at
    for status in ["Booked", "Retailed", "Dropped", "RNR"]:
        response = save(asha, fresh(lead), lead_status=status)
        assert response.status_code == 422
        assert response.json()["errors"]["lead_status"] == "This lead is Won: only a supervisor reopens it."
    assert save(asha, fresh(lead), lead_category="Hot", remark="Delivered").status_code == 200
    assert (fresh(lead).won_at, fresh(lead).lead_category) == (won_at, "Hot")
    check_invariants()


@pytest.mark.parametrize(
    ("spelling", "code"),
    [
        ("rnr", "RNR"),
        ("  Ringing   No Response ", "RNR"),
        ("Busy on another call", "Busy on another Call"),
        ("Lost to Codealer", "Lost to Co Dealer"),
        ("lost to co-dealer", "Lost to Co Dealer"),
    ],
)
def test_former_spellings_and_any_case_are_understood(cast: Cast, asha: Client, spelling: str, code: str) -> None:
    lead = captured(cast)
    assert save(asha, lead, lead_status=spelling).json()["lead_status"] == code
    check_invariants()


def test_a_save_without_a_call_leaves_no_attempt(cast: Cast, asha: Client) -> None:
    lead = captured(cast)
    follow_up = soon(days=1)
    response = save(asha, lead, lead_category="hot", model_interested="450 apex std", follow_up_date=follow_up)
    assert (response.status_code, response.json()["message"].startswith("Saved.")) == (200, True)
    now = fresh(lead)
    assert (now.lead_category, now.model_interested, now.lead_status) == ("Hot", "450 Apex STD", "RNR")
    assert (written(now.follow_up_at), now.last_attempt_at) == (follow_up, lead.last_attempt_at)
    assert not Outbox.objects.filter(lead=lead).exists()
    check_invariants()


def test_a_remark_without_a_call_is_a_note_in_the_story(cast: Cast, asha: Client) -> None:
    lead = captured(cast)
    assert save(asha, lead, remark="Calls us\r\nback").status_code == 200
    (change,) = LeadChange.objects.filter(lead=lead)
    assert (change.field, change.after, change.by) == ("note", "Calls us\nback", cast.asha)
    assert [(event.title, event.remark) for event in story(fresh(lead)).events if event.kind == "changed"] == [
        ("Note", "Calls us\nback")
    ]


def test_nothing_to_save_is_said_in_words(cast: Cast, asha: Client) -> None:
    lead = captured(cast)
    response = save(asha, lead)
    assert response.status_code == 422
    assert "nothing to save" in response.json()["errors"]["lead_status"]
    assert unchanged(lead)


def test_a_lead_in_hand_for_the_next_call_is_free_after_a_save(cast: Cast, asha: Client) -> None:
    lead = captured(cast)
    LeadMaster.objects.filter(pk=lead.pk).update(
        next_call_by=cast.asha, next_call_until=timezone.now() + timedelta(minutes=5)
    )
    save(asha, lead, lead_status="RNR")
    assert not LeadMaster.objects.filter(next_call_until__isnull=False).exists()


# --- The answer to programs -------------------------------------------------------------------------------------


def test_a_saved_update_answers_exactly_what_was_agreed(cast: Cast, asha: Client) -> None:
    lead = qualified(cast)
    answer = save(asha, lead, lead_status="Test Drive", follow_up_date=soon()).json()
    assert sorted(answer) == SAVED_KEYS
    assert re.fullmatch(r"\d+\.\d{3}s", answer["execution_time"])
    assert datetime.fromisoformat(answer["follow_up_at"]).utcoffset() is not None
    assert save(asha, fresh(lead), lead_status="Dropped").json()["follow_up_at"] is None


def test_a_refused_update_answers_success_message_and_errors(cast: Cast, asha: Client) -> None:
    answer = save(asha, captured(cast), lead_status="Nonsense").json()
    assert answer["success"] is False
    assert answer["errors"] == {"lead_status": "There is no status “Nonsense”."}
    assert answer["message"] == "There is no status “Nonsense”."
    assert sorted(set(answer) - {"execution_time"}) == ["errors", "message", "success"]


def test_a_program_reads_the_lead_before_it_updates_it(cast: Cast, asha: Client) -> None:
    lead = qualified(cast)
    answer = asha.get(f"/update_lead/{lead.uid}", headers=JSON).json()
    assert (answer["uid"], answer["version"], answer["fields"]["lead_category"]) == (lead.uid, 1, "Warm")
    assert "Booked" in answer["lead_statuses"]
    assert "Interested" not in answer["lead_statuses"]
    assert save(asha, lead, **answer["fields"], lead_status="RNR").status_code == 200
    assert not LeadChange.objects.exists()


@pytest.mark.parametrize(
    ("accept", "json"),
    [
        ("application/json", True),
        ("application/json, text/plain;q=0.5", True),
        ("application/json;q=0.5,text/html", False),
        ("text/html;q=0.3, application/json;q=0.9", True),
        ("*/*", False),
        ("", False),
        ("nonsense", False),
        ("application/*", True),
        ("application/json;q=abc", True),
    ],
)
def test_who_prefers_json_gets_json(cast: Cast, asha: Client, accept: str, json: bool) -> None:
    lead = captured(cast)
    response = asha.post(f"/update_lead/{lead.uid}", {"version": 1, "lead_status": "RNR"}, headers={"accept": accept})
    assert response.status_code == (200 if json else 302)
    assert (response.headers["Content-Type"] == "application/json") == json


@pytest.mark.parametrize("version", [None, "", "0", "-1", str(2**40), "abc", "1.5", "1\x00", "١", " 1 x"])
def test_without_a_readable_version_nothing_is_saved_and_words_say_so(
    cast: Cast, asha: Client, version: str | None
) -> None:
    lead = captured(cast)
    lead.version = 7
    lead.save()
    response = save(asha, lead, version=version, lead_status="RNR")
    if version == "١":
        assert response.status_code in {409, 422}
        return
    assert response.status_code == 422
    assert list(response.json()["errors"]) == ["version"]
    page = asha.post(
        f"/update_lead/{lead.uid}", {"lead_status": "RNR", **({} if version is None else {"version": version})}
    )
    assert page.status_code == 422
    assert response.json()["errors"]["version"] in page.content.decode()
    assert unchanged(lead)


def test_the_same_form_sent_twice_is_answered_twice_and_saved_once(cast: Cast, asha: Client) -> None:
    lead = captured(cast)
    request_id = str(uuid.uuid4())
    first = save(asha, lead, lead_status="RNR", request_id=request_id).json()
    second = save(asha, lead, lead_status="RNR", request_id=request_id)
    assert second.status_code == 200
    answer = second.json()
    assert sorted(answer) == SAVED_KEYS
    assert (answer["version"], answer["lead_status"]) == (first["version"], "RNR")
    assert Outbox.objects.filter(lead=lead, kind=Kind.ATTEMPT).count() == 1
    # Another person's form of the same id is not this one.
    assert save(signed_in(cast.meera), lead, lead_category="Hot", request_id=request_id).status_code == 409
    assert save(asha, lead, lead_status="RNR", request_id="not a uuid").status_code in {409, 422}


def test_a_form_that_was_saved_is_answered_though_it_has_become_invalid_since(cast: Cast, asha: Client) -> None:
    lead = qualified(cast)
    form = {"lead_status": "Booked", "request_id": str(uuid.uuid4())}
    assert save(asha, lead, **form).status_code == 200
    answer = save(asha, lead, **form)
    assert answer.status_code == 200
    assert "Saved before" in answer.json()["message"]
    assert "Won" in answer.json()["message"]


# --- Somebody else has saved ------------------------------------------------------------------------------------

TYPED = {
    "lead_status": "Not Interested",
    "lost_reason": "Moves to “Pune”",
    "lead_category": "Cold",
    "model_interested": "450 X (3.7 kWh)",
    "follow_up_date": "",
    "remark": "Line one\nLine <two> & “three”",
    "customer_name": "Ramesh K. Kumar",
    "customer_mobile_number": "98480 99999",
    "alternate_number": "040 2345 6789",
    "email": "ramesh@example.com",
}


def test_a_stale_save_is_409_with_theirs_beside_mine(cast: Cast, asha: Client) -> None:
    lead = qualified(cast)
    save(signed_in(cast.meera), lead, lead_category="Hot", customer_name="Suresh Kumar")
    response = save(asha, lead, **TYPED)
    answer = response.json()
    assert (response.status_code, answer["success"], answer["errors"]) == (409, False, {})
    assert answer["version"] == 2
    assert answer["conflict"]["lead_category"] == {"theirs": "Hot", "mine": "Cold"}
    assert answer["conflict"]["customer_name"] == {"theirs": "Suresh Kumar", "mine": "Ramesh K. Kumar"}
    assert fresh(lead).lead_category == "Hot"
    assert not Outbox.objects.filter(lead=lead, kind=Kind.ATTEMPT).exists()
    again = save(asha, fresh(lead), **TYPED)
    assert again.status_code == 200
    assert (fresh(lead).lead_category, fresh(lead).lost_reason) == ("Cold", "Moves to “Pune”")
    check_invariants()


def test_nothing_typed_is_lost_on_the_page_and_it_can_be_saved_again_from_there(cast: Cast, asha: Client) -> None:
    lead = captured(cast)
    page = controls(asha.get(f"/update_lead/{lead.uid}"))
    typed = {**page.fields, **TYPED, "branch": str(cast.attapur.pk), "ps_name": str(cast.latha.pk)}
    typed["test_drive_at"] = written(timezone.now() - timedelta(hours=1))
    save(signed_in(cast.meera), lead, lead_category="Hot", branch="ATTAPUR", ps_name="kiran", email="other@example.com")
    response = asha.post(f"/update_lead/{lead.uid}", typed)
    assert response.status_code == 409
    words = response.content.decode()
    for theirs in ["Hot", "Kiran", "other@example.com", "Meera"]:
        assert theirs in words
    shown = controls(response).fields
    for name, value in typed.items():
        if name not in {"version", "request_id", "csrfmiddlewaretoken", "quick", "was"} and not name.startswith("at "):
            assert shown.get(name) == value, name
    assert (shown["version"], shown["request_id"] != typed["request_id"]) == ("2", True)
    response = asha.post(f"/update_lead/{lead.uid}", shown)
    assert response.status_code == 302, response.content.decode()
    now = fresh(lead)
    assert (now.lead_category, now.email, now.ps, now.final_status) == (
        "Cold",
        "ramesh@example.com",
        cast.latha,
        "Lost",
    )
    check_invariants()


def test_what_was_only_left_as_it_was_takes_what_the_others_saved(cast: Cast, asha: Client) -> None:
    lead = qualified(cast)
    page = controls(asha.get(f"/update_lead/{lead.uid}"))
    changes = {"lead_category": "Hot", "ps_name": "latha", "email": "new@example.com", "customer_name": "Suresh"}
    save(signed_in(cast.meera), lead, **changes)
    response = asha.post(f"/update_lead/{lead.uid}", {**page.fields, "lead_status": "RNR", "remark": "Nobody there"})
    assert response.status_code == 409
    shown = controls(response).fields
    assert asha.post(f"/update_lead/{lead.uid}", shown).status_code == 302
    now = fresh(lead)
    assert (now.lead_category, now.ps, now.email, now.customer_name) == ("Hot", cast.latha, "new@example.com", "Suresh")
    assert (now.lead_status, now.version) == ("RNR", 3)
    check_invariants()


@pytest.mark.parametrize(
    "was", ["", "{", "[]", "null", "1", '{"lead_category": 7}', '{"lead_category": ["Hot"]}', "[" * 100_000, "\x00"]
)
@pytest.mark.parametrize("json", [True, False])
def test_a_form_that_says_nonsense_of_what_it_showed_is_answered_in_words(
    cast: Cast, asha: Client, was: str, json: bool
) -> None:
    lead = captured(cast)
    typed = {"version": "9", "lead_status": "RNR", "lead_category": "Hot", "was": was}
    response = asha.post(f"/update_lead/{lead.uid}", typed, headers=JSON if json else {})
    assert response.status_code in {409, 422}
    response = asha.post(f"/update_lead/{lead.uid}", {**typed, "version": "1"}, headers=JSON if json else {})
    assert response.status_code in {200, 302, 422}
    if response.status_code == 422:
        assert unchanged(lead)


def test_what_was_typed_is_not_lost_where_the_lead_was_closed_meanwhile(cast: Cast, asha: Client) -> None:
    lead = qualified(cast)
    typed = {"version": "1", "lead_status": "Test Drive", "follow_up_date": soon(), "remark": "Rode it on Sunday"}
    save(signed_in(cast.asha), lead, lead_status="Booked")
    response = asha.post(f"/update_lead/{lead.uid}", typed)
    assert response.status_code == 409
    assert "Rode it on Sunday" in response.content.decode()
    assert controls(response).fields.get("remark") == "Rode it on Sunday"


def test_an_outcome_that_is_offered_no_longer_stays_chosen_until_it_is_saved_again(cast: Cast, asha: Client) -> None:
    lead = captured(cast, ps=cast.kiran)
    update_ps_lead(lead.uid, cast.kiran, lambda held: reached_by_ps())
    response = asha.post(f"/update_lead/{lead.uid}", {"version": "1", **given()})
    assert response.status_code == 409
    shown = controls(response)
    assert shown.fields["lead_status"] == "Interested"
    response = asha.post(f"/update_lead/{lead.uid}", shown.fields)
    assert response.status_code == 422
    assert "“Interested” can only be the outcome of the call in which the customer was first reached." in (
        response.content.decode()
    )


def reached_by_ps() -> Told:
    from followups.catalogue import BY_CODE

    return Told(call=BY_CODE["Interested"], follow_up_at=timezone.now() + timedelta(days=1))


def test_an_invalid_form_keeps_what_was_typed(cast: Cast, asha: Client) -> None:
    lead = captured(cast)
    typed = {**TYPED, "version": "1", "customer_mobile_number": "12", "email": "nonsense"}
    response = asha.post(f"/update_lead/{lead.uid}", typed)
    assert response.status_code == 422
    shown = controls(response).fields
    for name, value in typed.items():
        assert shown.get(name) == value, name
    assert "name@example.com" in response.content.decode()
    assert unchanged(lead)


# --- By page ----------------------------------------------------------------------------------------------------


def test_without_a_script_a_save_goes_on_to_where_the_form_came_from(cast: Cast, asha: Client) -> None:
    lead = captured(cast)
    response = asha.post(f"/update_lead/{lead.uid}", {"version": 1, "lead_status": "RNR", "next": "/cre_dashboard?x=1"})
    assert (response.status_code, response.headers["Location"]) == (302, "/cre_dashboard?x=1")
    for elsewhere in ["https://evil.example", "//evil.example", "/\\evil.example", "javascript:alert(1)", ""]:
        response = asha.post(
            f"/update_lead/{lead.uid}", {"version": fresh(lead).version, "lead_status": "RNR", "next": elsewhere}
        )
        assert response.headers["Location"] == f"/lead/{lead.uid}"
    assert "saved, RNR." in asha.get(f"/lead/{lead.uid}").content.decode()


@pytest.mark.parametrize(("fields", "status"), [({"lead_status": "RNR"}, 200), ({}, 422)])
def test_a_page_with_a_script_gets_a_part_that_stands_alone(
    cast: Cast, asha: Client, fields: dict[str, str], status: int
) -> None:
    lead = captured(cast)
    response = asha.post(f"/update_lead/{lead.uid}", {"version": "1", **fields}, headers={"hx-request": "true"})
    part = response.content.decode()
    assert response.status_code == status
    assert "<html" not in part
    assert part.count(f'id="work-{lead.uid}"') == 1


def test_after_a_conflict_the_page_shows_what_the_colleague_has_said(cast: Cast, asha: Client) -> None:
    lead = captured(cast)
    remark = "Wants to hear the manager"
    assert signed_in(cast.meera).post(f"/update_lead/{lead.uid}", {"version": "1", "remark": remark}).status_code == 302
    response = asha.post(
        f"/update_lead/{lead.uid}", {"version": "1", "lead_status": "RNR"}, headers={"hx-request": "true"}
    )
    assert response.status_code == 409
    assert response.headers["HX-Retarget"] == response.headers["HX-Reselect"] == ".work-columns"
    assert remark in response.content.decode().partition('class="beside')[2]


def test_who_saved_in_another_tab_is_not_told_of_a_colleague(cast: Cast, asha: Client) -> None:
    lead = captured(cast)
    assert save(asha, lead, lead_status="RNR").status_code == 200
    page = asha.post(f"/update_lead/{lead.uid}", {"version": "1", "lead_category": "Hot"})
    assert page.status_code == 409
    assert "you have saved this lead in another tab" in page.text
    assert "Asha has saved" not in page.text
    assert "heirs" not in page.text


def test_a_supervisor_reads_to_whom_the_lead_has_gone(cast: Cast) -> None:
    lead, meera = captured(cast), signed_in(cast.meera)
    assert save(meera, lead, cre=str(cast.ravi.pk)).json()["message"] == "Saved. It is Ravi’s lead now."
    assert save(meera, fresh(lead), remark="Speaks Telugu").json()["message"] == "Saved."
    typed = {"version": fresh(lead).version, "cre": str(cast.asha.pk)}
    part = meera.post(f"/update_lead/{lead.uid}", typed, headers={"hx-request": "true"}).text
    assert "<strong>Ramesh Kumar</strong>: saved. It is Asha’s lead now." in part


def test_a_quick_outcome_needs_one_field_and_brings_its_time_along(cast: Cast, asha: Client) -> None:
    lead = captured(cast)
    page = controls(asha.get(f"/update_lead/{lead.uid}"))
    at = page.fields["at Call me Back"]
    response = asha.post(f"/update_lead/{lead.uid}", {**page.fields, "quick": "Call me Back"})
    assert response.status_code == 302
    now = fresh(lead)
    assert (now.lead_status, written(now.follow_up_at)) == ("Call me Back", at)
    page = controls(asha.get(f"/update_lead/{lead.uid}"))
    asha.post(f"/update_lead/{lead.uid}", {**page.fields, "quick": "RNR", "remark": "Again"})
    assert (fresh(lead).lead_status, written(fresh(lead).follow_up_at)) == ("RNR", at)
    check_invariants()


def test_saving_and_going_on_opens_the_next_call(cast: Cast, asha: Client) -> None:
    lead, waiting = captured(cast), make_lead(cast.asha, priority=10)
    response = asha.post(f"/update_lead/{lead.uid}", {"version": 1, "quick": "RNR", "then": "next"})
    assert response.headers["Location"] == f"/update_lead/{waiting.uid}?call=1"
    response = asha.post(
        f"/update_lead/{waiting.uid}",
        {"version": 1, "quick": "RNR", "then": "next"},
        headers={"hx-request": "true"},
    )
    assert (response.status_code, response.headers["HX-Redirect"]) == (200, "/cre_dashboard")
    assert "Nothing needs a call right now." in asha.get("/cre_dashboard").content.decode()


def test_what_was_typed_before_a_sign_in_is_shown_and_not_saved(cast: Cast, asha: Client) -> None:
    lead = captured(cast)
    response = asha.post(f"/update_lead/{lead.uid}", {**TYPED, "version": "1", "resume": "1"})
    assert response.status_code == 200
    assert controls(response).fields["remark"] == TYPED["remark"]
    assert unchanged(lead)


# --- Another PS -------------------------------------------------------------------------------------------------


def test_another_ps_takes_over_with_the_history_kept_and_both_told(cast: Cast, asha: Client) -> None:
    lead = qualified(cast)
    assert mail_waiting() == 1
    mail.outbox.clear()
    answer = save(asha, lead, ps_name="latha", remark="Kiran is ill").json()
    assert "Latha gets an e-mail" in answer["message"]
    old, new = PSFollowup.objects.filter(lead=lead).order_by("assigned_at", "id")
    now = fresh(lead)
    assert (old.ps, old.final_status, old.closed_at, old.email_state) == (
        cast.kiran,
        "Pending",
        now.ps_assigned_at,
        EmailState.SENT,
    )
    assert (new.ps, new.closed_at, new.assigned_by, new.assigned_at) == (
        cast.latha,
        None,
        cast.asha,
        now.ps_assigned_at,
    )
    assert (now.ps, now.branch, now.lead_status) == (cast.latha, cast.attapur, "Interested")
    check_invariants()
    assert mail_waiting() == 2
    to_new, to_old = mail.outbox
    assert (to_new.to, "Kiran is ill" in to_new.body) == (["Latha <latha@example.com>"], True)
    assert (to_old.to, "Latha" in to_old.body, lead.customer_mobile_number in to_old.body) == (
        ["Kiran <kiran@example.com>"],
        True,
        False,
    )
    titles = [event.title for event in story(now).events if event.kind == "assigned"]
    assert titles == ["Given to Latha, ATTAPUR", "Given to Kiran, ATTAPUR"]
    assert not Outbox.objects.exists()


def test_a_ps_who_was_never_told_of_a_lead_is_not_told_that_it_is_gone(cast: Cast, asha: Client) -> None:
    lead = qualified(cast)
    save(asha, lead, ps_name="latha")
    save(asha, fresh(lead), ps_name="kiran")
    mail_waiting()
    assert [(message.subject.split(":")[0], message.to) for message in mail.outbox] == [
        (f"New lead assigned – {lead.customer_name}", ["Kiran <kiran@example.com>"])
    ]
    check_invariants()


def test_a_lead_that_is_closed_before_the_mails_go_out_tells_nobody_to_call(cast: Cast, asha: Client) -> None:
    lead = qualified(cast)
    save(asha, lead, ps_name="latha")
    save(asha, fresh(lead), lead_status="Dropped")
    mail_waiting()
    assert [message.subject for message in mail.outbox if message.to == ["Latha <latha@example.com>"]] == []
    assert set(PSFollowup.objects.filter(lead=lead).values_list("email_state", flat=True)) == {EmailState.NOT_NEEDED}
    check_invariants()


def test_handing_over_and_closing_in_one_save_mails_nobody(cast: Cast, asha: Client) -> None:
    lead = qualified(cast)
    assert save(asha, lead, ps_name="latha", lead_status="Booked").status_code == 200
    now = fresh(lead)
    assert (now.ps, now.final_status, open_followup(lead)) == (cast.latha, "Won", None)
    assert mail_waiting() == 0
    check_invariants()


def test_a_ps_of_another_branch_goes_along_with_the_branch(cast: Cast, asha: Client) -> None:
    lead = qualified(cast)
    response = save(asha, lead, ps_name="sunil")
    assert response.json()["errors"] == {"ps_name": "Sunil works at MALAKPET, not at ATTAPUR."}
    assert save(asha, lead, ps_name="sunil", branch="malakpet").status_code == 200
    assert (fresh(lead).ps, fresh(lead).branch) == (cast.sunil, cast.malakpet)
    check_invariants()


@pytest.mark.parametrize("kept", [True, False], ids=["a directory a minute old", "a fresh directory"])
@pytest.mark.parametrize("change", ["on leave", "gone", "another branch", "no longer a PS", "branch closed"])
def test_a_ps_who_takes_no_leads_is_refused_in_words(cast: Cast, asha: Client, change: str, kept: bool) -> None:
    lead = captured(cast)
    if kept:
        directory()
    match change:
        case "on leave":
            User.objects.filter(pk=cast.kiran.pk).update(available=False)
        case "gone":
            User.objects.filter(pk=cast.kiran.pk).update(is_active=False)
        case "another branch":
            User.objects.filter(pk=cast.kiran.pk).update(branch=cast.malakpet)
        case "no longer a PS":
            User.objects.filter(pk=cast.kiran.pk).update(role=Role.BRANCH_HEAD)
        case "branch closed":
            Branch.objects.filter(pk=cast.attapur.pk).update(is_active=False)
    for ps in ["kiran", str(cast.kiran.pk)]:
        response = save(asha, lead, **given(ps_name=ps, branch=str(cast.attapur.pk)))
        assert response.status_code == 422
        errors = response.json()["errors"]
        assert set(errors) <= {"ps_name", "branch"}
        assert "ps_name" in errors or change == "branch closed"
        page = asha.post(f"/update_lead/{lead.uid}", {"version": "1", **given(ps_name=ps)})
        assert page.status_code == 422
    assert unchanged(lead)
    assert open_followup(lead) is None


def test_a_ps_who_leaves_while_the_form_is_read_is_refused_in_words(
    cast: Cast, asha: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Another thread reads the directory anew between two looks into it."""
    lead = captured(cast)
    place = UpdateLeadForm.place

    def and_then_another_reads_it_anew(form: UpdateLeadForm) -> tuple[int | None, int | None]:
        found = place(form)
        User.objects.filter(pk=cast.kiran.pk).update(is_active=False)
        directory(fresh=True)
        return found

    monkeypatch.setattr(UpdateLeadForm, "place", and_then_another_reads_it_anew)
    response = save(asha, lead, **given())
    assert (response.status_code, list(response.json()["errors"])) == (422, ["ps_name"])
    assert unchanged(lead)


def test_a_ps_on_leave_keeps_the_lead_that_is_theirs(cast: Cast, asha: Client) -> None:
    lead = qualified(cast)
    User.objects.filter(pk=cast.kiran.pk).update(available=False, is_active=False)
    Branch.objects.filter(pk=cast.attapur.pk).update(is_active=False)
    page = controls(asha.get(f"/update_lead/{lead.uid}"))
    assert (page.fields["branch"], page.fields["ps_name"]) == (str(cast.attapur.pk), str(cast.kiran.pk))
    assert asha.post(f"/update_lead/{lead.uid}", {**page.fields, "quick": "RNR"}).status_code == 302
    assert fresh(lead).ps == cast.kiran


def test_a_lead_is_not_taken_from_a_ps_without_naming_another(cast: Cast, asha: Client) -> None:
    lead = qualified(cast)
    response = save(asha, lead, ps_name="", branch="")
    assert response.json()["errors"] == {"ps_name": "Kiran has this lead: choose who takes it over."}
    assert unchanged(lead)


def test_a_ps_who_moved_to_another_branch_takes_the_lead_along_as_a_new_assignment(cast: Cast, asha: Client) -> None:
    lead = qualified(cast)
    User.objects.filter(pk=cast.kiran.pk).update(branch=cast.malakpet)
    response = save(asha, lead, branch="MALAKPET", ps_name="kiran")
    assert response.status_code in {200, 422}
    check_invariants()


def test_a_branch_alone_can_be_noted_and_taken_back(cast: Cast, asha: Client) -> None:
    lead = captured(cast)
    assert save(asha, lead, branch="ATTAPUR").status_code == 200
    assert fresh(lead).branch == cast.attapur
    assert save(asha, fresh(lead), branch="").status_code == 200
    assert fresh(lead).branch is None
    check_invariants()


def test_a_closed_lead_is_given_to_nobody(cast: Cast, asha: Client) -> None:
    lead = qualified(cast)
    save(asha, lead, lead_status="Dropped")
    for fields in [{"ps_name": "latha"}, {"branch": "MALAKPET", "ps_name": "sunil"}, {"ps_name": "", "branch": ""}]:
        response = save(asha, fresh(lead), **fields)
        assert response.status_code == 422
        assert "ps_name" in response.json()["errors"]
    check_invariants()


# --- Test drive -------------------------------------------------------------------------------------------------


def test_a_test_drive_is_recorded_once_and_stays(cast: Cast, asha: Client) -> None:
    lead = qualified(cast)
    driven = written(timezone.now() - timedelta(hours=3))
    assert save(asha, lead, test_drive_at=driven).status_code == 200
    recorded = fresh(lead).test_drive_at
    assert written(recorded) == driven
    (change,) = LeadChange.objects.filter(lead=lead)
    assert change.field == "test_drive_at"
    assert any("Test drive done on" in event.title for event in story(fresh(lead)).events)
    # Left out, emptied, or the same: it stays. Another time is refused.
    assert save(asha, fresh(lead), lead_status="RNR").status_code == 200
    assert save(asha, fresh(lead), lead_status="RNR", test_drive_at="").status_code == 200
    assert save(asha, fresh(lead), lead_status="RNR", test_drive_at=driven).status_code == 200
    response = save(asha, fresh(lead), test_drive_at=written(timezone.now() - timedelta(hours=1)))
    assert response.status_code == 422
    assert "is recorded, and stays" in response.json()["errors"]["test_drive_at"]
    assert fresh(lead).test_drive_at == recorded
    assert LeadChange.objects.filter(field="test_drive_at").count() == 1
    check_invariants()


def test_a_test_drive_to_come_is_refused(cast: Cast, asha: Client) -> None:
    lead = qualified(cast)
    response = save(asha, lead, test_drive_at=soon(hours=1))
    assert response.json()["errors"]["test_drive_at"].startswith("This time is still to come")
    assert unchanged(lead)


def test_a_lead_whose_test_drive_is_long_past_can_still_be_saved(cast: Cast, asha: Client) -> None:
    lead = qualified(cast)
    LeadMaster.objects.filter(pk=lead.pk).update(test_drive_at=timezone.now() - timedelta(days=400))
    assert save(asha, lead, lead_status="RNR").status_code == 200
    page = controls(asha.get(f"/update_lead/{lead.uid}"))
    assert asha.post(f"/update_lead/{lead.uid}", {**page.fields, "quick": "RNR"}).status_code == 302


# --- Corrections ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("person", ["asha", "meera"])
def test_owner_and_supervisor_correct_name_numbers_and_e_mail(cast: Cast, person: str) -> None:
    actor: User = getattr(cast, person)
    lead, number = captured(cast), phone()
    typed = f"0{number[3:8]} {number[8:]}"
    response = save(
        signed_in(actor),
        lead,
        customer_name=" Ramésh   कुमार ",
        customer_mobile_number=typed,
        alternate_number="98765 43210",
        email="Ramesh@Example.com",
    )
    assert response.status_code == 200, response.json()
    now = fresh(lead)
    assert (now.customer_name, now.customer_mobile_number, now.phone_as_typed) == ("Ramésh कुमार", number, typed)
    assert (now.alternate_number, now.email.casefold()) == ("+919876543210", "ramesh@example.com")
    changes = {row.field: (row.before, row.after, row.by) for row in LeadChange.objects.filter(lead=lead)}
    assert changes["customer_name"] == ("Ramesh Kumar", "Ramésh कुमार", actor)
    assert changes["customer_mobile_number"] == (lead.customer_mobile_number, number, actor)
    assert set(changes) == {"customer_name", "customer_mobile_number", "alternate_number", "email"}
    assert "Name corrected: Ramesh Kumar → Ramésh कुमार" in [event.title for event in story(now).events]
    check_invariants()


def test_repeats_follow_the_corrected_number_and_so_does_the_next_enquiry(cast: Cast, asha: Client) -> None:
    lead, number = captured(cast), phone()
    old = lead.customer_mobile_number
    capture(enquiry(phone=old, source="OEM", sub_source="Web"), cast.ravi)
    assert save(asha, lead, customer_mobile_number=number).status_code == 200
    assert set(lead.repeats.values_list("customer_mobile_number", flat=True)) == {number}
    assert capture(enquiry(phone=number, source="OEM", sub_source="Tele"), cast.ravi).outcome == Outcome.REPEAT
    assert capture(enquiry(phone=old), cast.ravi).outcome == Outcome.CREATED
    check_invariants()


def test_a_corrected_number_finds_the_customers_earlier_lead(cast: Cast, asha: Client) -> None:
    earlier = captured(cast, "Wrong Number")
    lead = captured(cast)
    assert save(asha, lead, customer_mobile_number=earlier.customer_mobile_number).status_code == 200
    assert fresh(lead).previous == earlier
    check_invariants()
    assert save(asha, fresh(lead), customer_mobile_number=phone()).status_code == 200
    assert fresh(lead).previous is None
    check_invariants()


@pytest.mark.parametrize(("person", "linked"), [("asha", True), ("ravi", False), ("meera", True)])
def test_a_number_that_another_open_lead_has_is_refused_in_words(cast: Cast, person: str, linked: bool) -> None:
    actor: User = getattr(cast, person)
    other = captured(cast)
    lead = LeadMaster.objects.get(uid=capture(enquiry(), cast.ravi).uid) if person == "ravi" else captured(cast)
    record_waiting()
    client = signed_in(actor)
    typed = {"customer_mobile_number": other.customer_mobile_number, "remark": "They said so"}
    response = save(client, lead, **typed)
    words = response.json()["errors"]["customer_mobile_number"]
    assert (response.status_code, "Asha" in words, "open" in words) == (422, True, True)
    page = client.post(f"/update_lead/{lead.uid}", {"version": "1", **typed})
    assert page.status_code == 422
    shown = controls(page)
    assert (f"/lead/{other.uid}" in shown.links) == linked
    assert (shown.fields["customer_mobile_number"], shown.fields["remark"]) == tuple(typed.values())
    assert unchanged(fresh(lead))
    assert fresh(lead).customer_mobile_number == lead.customer_mobile_number
    assert not LeadChange.objects.exists()
    # The page shows the lead as it stands, not as it was refused.
    assert lead.pretty_phone in page.content.decode()


def test_the_number_of_a_closed_lead_stays(cast: Cast, asha: Client) -> None:
    lead = captured(cast, "Wrong Number")
    response = save(asha, lead, customer_mobile_number=phone())
    assert response.json()["errors"] == {
        "customer_mobile_number": "The number of a closed lead stays as it was dialled."
    }
    assert save(asha, lead, customer_name="Somebody").status_code == 200


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("customer_name", ""),
        ("customer_name", " \t "),
        ("customer_name", "!!!"),
        ("customer_name", "x" * 101),
        ("customer_name", "Ra\x00mesh"),
        ("customer_name", "Ra‮mesh"),
        ("customer_mobile_number", ""),
        ("customer_mobile_number", "123"),
        ("customer_mobile_number", "98480\x0012345"),
        ("alternate_number", "12"),
        ("email", "nobody"),
        ("email", "a\x00@example.com"),
        ("email", "x" * 300 + "@example.com"),
        ("remark", "x" * 1001),
        ("remark", "NUL \x00 here"),
        ("lost_reason", "x" * 121),
        ("lead_category", "Boiling"),
        ("model_interested", "Chetak"),
        ("branch", "NOWHERE"),
        ("branch", "999999999999999999999999"),
        ("ps_name", "nobody"),
        ("ps_name", "²"),
        ("lead_status", "x" * 5000),
        ("lead_status", "Not\x00Interested"),
        ("follow_up_date", "9999-12-31T23:59"),
        ("follow_up_date", "0001-01-01T00:00"),
        ("follow_up_date", "9999-12-31T23:59:59-23:59"),
        ("follow_up_date", "0001-01-01T00:00:00+23:59"),
        ("follow_up_date", "tomorrow"),
        ("follow_up_date", "2026-02-30T10:00"),
        ("test_drive_at", "9999-12-31T23:59"),
        ("test_drive_at", "0001-01-01T00:00:00+23:59"),
        ("request_id", "\x00"),
        ("request_id", "1234"),
    ],
)
def test_odd_input_is_refused_at_its_field_and_nothing_is_saved(
    cast: Cast, asha: Client, field: str, value: str
) -> None:
    lead = captured(cast)
    fields = {"lead_status": "Not Interested" if field == "lost_reason" else "RNR", field: value}
    response = save(asha, lead, **fields)
    assert response.status_code == 422
    assert list(response.json()["errors"]) == [field]
    assert unchanged(lead)
    page = asha.post(f"/update_lead/{lead.uid}", {"version": "1", **fields})
    assert page.status_code == 422


@pytest.mark.parametrize("json", [True, False])
def test_a_remark_of_ten_megabytes_is_refused_in_words(cast: Cast, json: bool) -> None:
    lead = captured(cast)
    client = signed_in(cast.asha)
    client.raise_request_exception = False
    response = client.post(
        f"/update_lead/{lead.uid}",
        {"version": "1", "lead_status": "RNR", "remark": "x" * 10_000_000},
        headers=JSON if json else {},
    )
    assert response.status_code in {400, 413}
    assert "too large" in response.content.decode()
    assert unchanged(lead)


def test_several_values_of_one_field_count_as_the_last(cast: Cast, asha: Client) -> None:
    lead = captured(cast)
    typed = {"version": ["7", "1"], "lead_status": ["Booked", "RNR"], "remark": ["one", "two"]}
    assert asha.post(f"/update_lead/{lead.uid}", typed, headers=JSON).status_code == 200
    assert fresh(lead).lead_status == "RNR"


def test_a_body_of_json_is_answered_in_words(cast: Cast, asha: Client) -> None:
    lead = captured(cast)
    response = asha.post(
        f"/update_lead/{lead.uid}", {"version": 1, "lead_status": "RNR"}, content_type="application/json", headers=JSON
    )
    assert response.status_code == 422
    assert "version" in response.json()["errors"]


@pytest.mark.parametrize("stored", [{"customer_mobile_number": "+91123456"}, {"email": "old address"}])
def test_what_stood_in_the_lead_before_is_not_judged_where_nobody_touched_it(
    cast: Cast, asha: Client, stored: dict[str, str]
) -> None:
    """Imports and former rules leave numbers that nobody could type today; a call can be saved all the same."""
    lead = captured(cast)
    LeadMaster.objects.filter(pk=lead.pk).update(**stored)
    assert save(asha, lead, lead_status="RNR").status_code == 200
    page = controls(asha.get(f"/update_lead/{lead.uid}"))
    assert asha.post(f"/update_lead/{lead.uid}", {**page.fields, "quick": "RNR"}).status_code == 302


# --- Who may ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("person", "status"),
    [("ravi", 404), ("kiran", 403), ("latha", 403), ("head", 403), ("reception", 403)],
)
def test_nobody_else_updates_a_lead(cast: Cast, person: str, status: int) -> None:
    lead = qualified(cast)
    client = signed_in(getattr(cast, person))
    response = save(client, lead, lead_status="RNR", customer_name="Somebody")
    assert (response.status_code, response.json()["success"]) == (status, False)
    assert client.get(f"/update_lead/{lead.uid}", headers=JSON).status_code == status
    for page in [
        client.get(f"/update_lead/{lead.uid}"),
        client.post(f"/update_lead/{lead.uid}", {"version": "1", "lead_status": "RNR"}),
        client.post(f"/update_lead/{lead.uid}", {"resume": "1"}),
    ]:
        assert page.status_code == status
        assert lead.customer_name not in page.content.decode()
    assert client.post(f"/update_lead/{lead.uid}/carry", {}).status_code == status
    assert unchanged(lead)


def test_who_is_signed_out_is_asked_to_sign_in(cast: Cast, client: Client) -> None:
    lead = captured(cast)
    assert save(client, lead, lead_status="RNR").status_code == 401
    assert client.get(f"/update_lead/{lead.uid}", headers=JSON).status_code == 401
    assert client.get(f"/update_lead/{lead.uid}").status_code == 302
    assert client.post(f"/update_lead/{lead.uid}", {"version": "1", "lead_status": "RNR"}).status_code == 302
    for address in [f"/lead/{lead.uid}/reopen", "/next_call", f"/update_lead/{lead.uid}/carry"]:
        assert client.post(address).status_code == 302
    assert unchanged(lead)


def test_who_has_left_does_not_save(cast: Cast, asha: Client) -> None:
    lead = captured(cast)
    cast.asha.is_active = False
    cast.asha.save()
    assert save(asha, lead, lead_status="RNR").status_code in {401, 404}
    assert unchanged(lead)


def test_a_supervisor_corrects_and_hands_over_but_records_no_calls(cast: Cast) -> None:
    lead = qualified(cast)
    meera = signed_in(cast.meera)
    answer = save(meera, lead, lead_status="RNR").json()
    assert answer["errors"] == {"lead_status": "Calls are recorded by the CRE and the PS; a supervisor corrects."}
    assert save(meera, lead, quick="RNR").status_code == 422
    assert unchanged(lead)
    follow_up = soon(days=4)
    assert save(meera, lead, ps_name="latha", follow_up_date=follow_up, lead_category="Hot").status_code == 200
    now = fresh(lead)
    assert (now.ps, written(now.follow_up_at), now.saved_by) == (cast.latha, follow_up, cast.meera)
    assert not Outbox.objects.filter(lead=lead, kind=Kind.ATTEMPT).exists()
    check_invariants()


def test_a_supervisor_gives_a_lead_to_another_cre(cast: Cast) -> None:
    lead = captured(cast)
    meera = signed_in(cast.meera)
    page = controls(meera.get(f"/update_lead/{lead.uid}"))
    assert page.fields["cre"] == str(cast.asha.pk)
    assert meera.post(f"/update_lead/{lead.uid}", {**page.fields, "cre": str(cast.ravi.pk)}).status_code == 302
    now = fresh(lead)
    assert (now.cre, now.cre_assigned_at) == (cast.ravi, now.updated_at)
    (change,) = LeadChange.objects.filter(lead=lead)
    assert (change.field, change.before, change.after) == ("cre", "Asha", "Ravi")
    assert save(signed_in(cast.asha), now, lead_status="RNR").status_code == 404
    assert save(signed_in(cast.ravi), now, lead_status="RNR").status_code == 200
    for wrong in ["", "kiran", "nobody", str(cast.kiran.pk), "9" * 30, "²", "1\x00"]:
        response = save(meera, fresh(lead), cre=wrong)
        assert (response.status_code, list(response.json()["errors"])) == (422, ["cre"]), wrong
    check_invariants()


def test_a_lead_of_a_cre_who_left_can_still_be_corrected_by_a_supervisor(cast: Cast) -> None:
    lead = captured(cast)
    User.objects.filter(pk=cast.asha.pk).update(is_active=False)
    meera = signed_in(cast.meera)
    page = controls(meera.get(f"/update_lead/{lead.uid}"))
    response = meera.post(f"/update_lead/{lead.uid}", {**page.fields, "customer_name": "Right Name"})
    assert response.status_code == 302
    assert (fresh(lead).cre, fresh(lead).customer_name) == (cast.asha, "Right Name")


def test_a_cre_does_not_give_leads_away(cast: Cast, asha: Client) -> None:
    lead = captured(cast)
    assert save(asha, lead, cre=str(cast.ravi.pk), lead_status="RNR").status_code == 200
    assert fresh(lead).cre == cast.asha


@pytest.mark.parametrize("change", [str.lower, lambda uid: f" {uid} ", lambda uid: uid.replace("0", "O").lower()])
def test_a_uid_is_understood_in_small_letters_and_misread(cast: Cast, asha: Client, change: Any) -> None:
    lead = make_lead(cast.asha, priority=10)
    address = f"/update_lead/{change(lead.uid)}"
    assert asha.get(address).status_code == 200
    response = asha.post(address, {"version": "1", "lead_status": "RNR"}, headers=JSON)
    assert (response.status_code, response.json().get("uid")) == (200, lead.uid)


@pytest.mark.parametrize("uid", ["x", "M-00001-0000000%00", "%00", "M-٠٠٠٠٠-0000000", "M-12345-7K3QX2A", "😀"])
def test_a_uid_that_is_none_is_404(cast: Cast, asha: Client, uid: str) -> None:
    for address in [f"/update_lead/{uid}", f"/update_lead/{uid}/carry", f"/lead/{uid}"]:
        response = asha.post(address, {"version": "1"}) if "carry" in address else asha.get(address)
        assert response.status_code == 404, address
    assert asha.post(f"/update_lead/{uid}", {"version": "1"}, headers=JSON).status_code == 404
    assert signed_in(cast.meera).post(f"/lead/{uid}/reopen", {"reason": "x", "version": "1"}).status_code == 404


# --- Reopening --------------------------------------------------------------------------------------------------


def reopen(client: Client, lead: LeadMaster, **fields: Any) -> Any:
    typed = {"reason": "The customer called again", "version": lead.version, **fields}
    return client.post(f"/lead/{lead.uid}/reopen", {k: v for k, v in typed.items() if v is not None})


def closed(cast: Cast, status: str = "Dropped", **fields: Any) -> LeadMaster:
    lead = qualified(cast, **fields)
    save(signed_in(cast.asha), lead, lead_status=status)
    record_waiting()
    mail_waiting()
    mail.outbox.clear()
    return fresh(lead)


@pytest.mark.parametrize("status", ["Dropped", "Booked"])
def test_a_supervisor_reopens_and_the_ps_has_the_lead_again(cast: Cast, status: str) -> None:
    lead = closed(cast, status)
    before = timezone.now()
    response = reopen(signed_in(cast.meera), lead)
    assert (response.status_code, response.headers["Location"]) == (302, f"/lead/{lead.uid}")
    now = fresh(lead)
    assert (now.final_status, now.lead_status, now.won_at, now.lost_at, now.lost_reason) == (
        "Pending",
        "Pending",
        None,
        None,
        "",
    )
    assert (now.version, now.saved_by, now.first_call_at) == (lead.version + 1, cast.meera, lead.first_call_at)
    assert now.follow_up_at is not None
    assert before <= now.follow_up_at <= timezone.now()
    followup = open_followup(lead)
    assert followup is not None
    assert (followup.ps, followup.assigned_by, followup.assigned_at) == (cast.kiran, cast.meera, now.ps_assigned_at)
    assert PSFollowup.objects.filter(lead=lead).count() == 2
    (change,) = LeadChange.objects.filter(lead=lead)
    assert (change.field, change.before, change.after, change.reason) == (
        "final_status",
        lead.final_status,
        "Pending",
        "The customer called again",
    )
    assert f"Reopened: it was {lead.final_status}" in [event.title for event in story(now).events]
    check_invariants()
    mail_waiting()
    assert [message.to for message in mail.outbox] == [["Kiran <kiran@example.com>"]]
    check_invariants()


def test_a_reopened_lead_can_be_worked_on_and_closed_again(cast: Cast, asha: Client) -> None:
    lead = closed(cast)
    lost_at = lead.lost_at
    reopen(signed_in(cast.meera), lead)
    check_invariants()
    assert save(asha, fresh(lead), lead_status="RNR").status_code == 200
    check_invariants()
    assert save(asha, fresh(lead), lead_status="Booked").status_code == 200
    now = fresh(lead)
    assert (now.final_status, now.lost_at, now.lost_reason) == ("Won", None, "")
    assert now.won_at is not None
    assert lost_at is not None
    assert now.won_at > lost_at
    check_invariants()


@pytest.mark.parametrize("change", ["on leave", "gone", "another branch", "no longer a PS", "branch closed"])
def test_a_ps_who_takes_no_leads_does_not_get_a_reopened_one(cast: Cast, change: str) -> None:
    lead = closed(cast)
    match change:
        case "on leave":
            User.objects.filter(pk=cast.kiran.pk).update(available=False)
        case "gone":
            User.objects.filter(pk=cast.kiran.pk).update(is_active=False)
        case "another branch":
            User.objects.filter(pk=cast.kiran.pk).update(branch=cast.malakpet)
        case "no longer a PS":
            User.objects.filter(pk=cast.kiran.pk).update(role=Role.BRANCH_HEAD)
        case "branch closed":
            Branch.objects.filter(pk=cast.attapur.pk).update(is_active=False)
    assert reopen(signed_in(cast.meera), lead).status_code == 302
    now = fresh(lead)
    assert (now.final_status, now.ps_id) == ("Pending", None)
    assert open_followup(lead) is None
    assert not Outbox.objects.filter(lead=lead).exists()
    check_invariants()


@pytest.mark.parametrize("person", ["asha", "ravi", "kiran", "head", "reception"])
def test_nobody_but_a_supervisor_reopens(cast: Cast, person: str) -> None:
    lead = closed(cast)
    client = signed_in(getattr(cast, person))
    assert client.get(f"/lead/{lead.uid}/reopen").status_code == 403
    assert reopen(client, lead).status_code == 403
    assert unchanged(lead)


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"reason": ""}, "Say why"),
        ({"reason": "   "}, "Say why"),
        ({"reason": "NUL \x00"}, "cannot be shown"),
        ({"reason": "x" * 501}, "500"),
        ({"version": "1"}, "changed this lead meanwhile"),
        ({"version": None}, "Load the page again"),
        ({"version": "abc"}, "Load the page again"),
    ],
)
def test_a_reopening_that_cannot_be_is_refused_in_words(cast: Cast, fields: dict[str, Any], words: str) -> None:
    lead = closed(cast)
    response = reopen(signed_in(cast.meera), lead, **fields)
    assert response.status_code == 422
    assert words in response.content.decode()
    assert unchanged(lead)


def test_an_open_lead_is_not_reopened(cast: Cast) -> None:
    lead = qualified(cast)
    response = reopen(signed_in(cast.meera), lead)
    assert response.status_code == 422
    assert "This lead is open already." in response.content.decode()
    assert unchanged(lead)


def test_a_reopening_that_meets_the_customers_open_lead_is_refused_with_a_link(cast: Cast) -> None:
    lead = closed(cast)
    newer = captured(cast, phone=lead.customer_mobile_number)
    response = reopen(signed_in(cast.meera), lead)
    page = response.content.decode()
    assert (response.status_code, f'href="/lead/{newer.uid}"' in page) == (422, True)
    assert "The customer called again" in page
    assert "there can be only one open lead" in page
    assert unchanged(lead)


def test_a_lead_whose_customer_has_come_back_and_gone_since_can_be_reopened(cast: Cast, asha: Client) -> None:
    lead = closed(cast)
    newer = captured(cast, phone=lead.customer_mobile_number)
    assert newer.previous == lead
    assert save(asha, newer, lead_status="Not Interested").status_code == 200
    assert reopen(signed_in(cast.meera), lead).status_code == 302
    check_invariants()
    assert save(asha, fresh(lead), lead_status="Booked").status_code == 200
    check_invariants()


def test_a_reopened_lead_whose_number_is_corrected_is_no_longer_that_customers_past(cast: Cast, asha: Client) -> None:
    lead = closed(cast)
    newer = captured(cast, phone=lead.customer_mobile_number)
    save(asha, newer, lead_status="Not Interested")
    reopen(signed_in(cast.meera), lead)
    assert save(asha, fresh(lead), customer_mobile_number=phone()).status_code == 200
    check_invariants()


# --- What was typed for a new lead ------------------------------------------------------------------------------


def carried(client: Client, lead: LeadMaster, **fields: str) -> Any:
    return client.post(f"/update_lead/{lead.uid}/carry", fields)


def test_what_was_typed_for_a_new_lead_is_carried_into_the_form(cast: Cast, asha: Client) -> None:
    lead = captured(cast)
    typed = given(
        branch=str(cast.attapur.pk),
        ps_name=str(cast.latha.pk),
        remark="Asked for\na ride",
        customer_name="Kumar R.",
        customer_mobile_number=lead.customer_mobile_number,
        source="META",
        subsource="Meta Know",
    )
    response = carried(asha, lead, **typed)
    assert response.status_code == 200
    shown = controls(response).fields
    for name in ["lead_status", "lead_category", "model_interested", "branch", "ps_name", "follow_up_date"]:
        assert shown[name] == typed[name], name
    assert shown["remark"] == "Asked for\na ride\nGave the name Kumar R.."
    assert (shown["customer_name"], shown["version"]) == (lead.customer_name, "1")
    assert unchanged(lead)
    assert asha.post(f"/update_lead/{lead.uid}", shown).status_code == 302
    assert (fresh(lead).ps, fresh(lead).customer_name) == (cast.latha, lead.customer_name)
    check_invariants()


def test_an_outcome_that_this_form_does_not_offer_is_carried_all_the_same(cast: Cast, asha: Client) -> None:
    lead = qualified(cast)
    shown = controls(carried(asha, lead, **given(branch=str(cast.attapur.pk), ps_name=str(cast.kiran.pk))))
    assert shown.fields["lead_status"] == "Interested"


def test_only_ones_own_lead_takes_what_was_typed(cast: Cast) -> None:
    lead = captured(cast)
    assert carried(signed_in(cast.ravi), lead, remark="x").status_code == 404
    assert carried(signed_in(cast.meera), lead, remark="x").status_code == 403
    assert signed_in(cast.asha).get(f"/update_lead/{lead.uid}/carry").status_code == 302


# --- The story --------------------------------------------------------------------------------------------------


def test_cre_and_ps_see_each_others_calls_newest_first(cast: Cast, asha: Client) -> None:
    lead = qualified(cast)
    update_ps_lead(lead.uid, cast.kiran, lambda held: reached_by_ps())
    save(asha, fresh(lead), lead_status="RNR", remark="Nobody there")
    for page in [
        asha.get(f"/update_lead/{lead.uid}").content.decode(),
        signed_in(cast.kiran).get(f"/update_ps_lead/{lead.uid}").content.decode(),
    ]:
        assert page.index("CRE: RNR") < page.index("PS: Interested") < page.index("CRE 1/1: Interested")
        assert "Nobody there" in page
    record_waiting()
    titles = [event.title for event in story(fresh(lead)).events if event.kind == "call"]
    assert titles == ["CRE 2/1: RNR", "PS 1/1: Interested", "CRE 1/1: Interested"]


def test_the_story_has_every_word_that_was_saved(cast: Cast, asha: Client) -> None:
    lead = closed(cast)
    reopen(signed_in(cast.meera), lead)
    save(signed_in(cast.meera), fresh(lead), cre=str(cast.ravi.pk), remark="Asha is on leave")
    titles = [event.title for event in story(fresh(lead)).events]
    assert titles[:2] in (["Note", "Given to Ravi, before with Asha"], ["Given to Ravi, before with Asha", "Note"])
    assert "Lost: Dropped" not in titles
    moments = [event.at for event in story(fresh(lead)).events]
    assert moments == sorted(moments, reverse=True)
    assert all(at <= datetime.now(tz=UTC) for at in moments)
