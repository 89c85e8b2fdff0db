"""What a PS saves of a lead that is theirs: outcomes, times, accepting it by the way; by page and by program."""

import uuid
from datetime import timedelta
from typing import Any

import pytest
from django.test import Client
from django.utils import timezone

from accounts.models import User
from conftest import Cast
from followups.models import CallAttempt, Kind, Outbox, PSFollowup
from followups.recorder import record_waiting
from followups.update_form import written
from leads.models import LeadChange, LeadMaster
from leads.tests.statuses import SAVED_KEYS, STATUSES, Rule, check_recorded, check_saved
from leads.tests.typed import (
    JSON,
    captured,
    check_invariants,
    controls,
    fresh,
    open_followup,
    qualified,
    signed_in,
    soon,
    unchanged,
)
from leads.tests.typed import save as save_as_cre

pytestmark = pytest.mark.django_db


def save(client: Client, lead: LeadMaster, **fields: Any) -> Any:
    """The program's POST."""
    typed = {"version": lead.version, **fields}
    return client.post(f"/update_ps_lead/{lead.uid}", {k: v for k, v in typed.items() if v is not None}, headers=JSON)


def held(lead: LeadMaster) -> PSFollowup:
    followup = open_followup(lead)
    assert followup is not None
    return followup


@pytest.fixture
def kiran(cast: Cast) -> Client:
    return signed_in(cast.kiran)


# --- Outcomes ---------------------------------------------------------------------------------------------------


def told_of(status: str, rule: Rule) -> dict[str, str]:
    fields = {"lead_status": status}
    if rule.needs_follow_up:
        fields["follow_up_date"] = soon(days=3)
    return fields


@pytest.mark.parametrize("first", [True, False], ids=["fresh lead", "qualified lead"])
@pytest.mark.parametrize("status", STATUSES)
def test_each_status_through_the_pss_form(cast: Cast, kiran: Client, status: str, first: bool) -> None:
    rule = STATUSES[status]
    agreed = timezone.now() + timedelta(days=1)
    lead = captured(cast, ps=cast.kiran, follow_up_at=agreed) if first else qualified(cast)
    page = controls(kiran.get(f"/update_ps_lead/{lead.uid}"))
    assert (status in page.offered["lead_status"]) == rule.ps
    response = save(kiran, lead, remark="As they said", **told_of(status, rule))
    answer = response.json()
    if not rule.ps:
        assert (response.status_code, answer["success"]) == (422, False)
        assert f"“{status}”" in answer["errors"]["lead_status"]
        assert unchanged(lead)
        assert held(lead).accepted_at is None
        return
    assert (response.status_code, answer["success"]) == (200, True), answer
    assert (answer["uid"], answer["lead_status"], answer["final_status"]) == (lead.uid, status, rule.final)
    check_saved(cast, lead, status, rule, by=cast.kiran)
    followup = PSFollowup.objects.get(lead=lead)
    at = fresh(lead).last_attempt_at
    assert followup.accepted_at == at
    assert followup.first_call_at == (at if rule.contacted else None)
    assert Outbox.objects.get(lead=lead, kind=Kind.ATTEMPT).ps_followup == followup
    check_recorded(lead, status, rule, role="ps")
    assert CallAttempt.objects.get(role="ps").ps_followup == followup


@pytest.mark.parametrize("status", [status for status, rule in STATUSES.items() if rule.ps and rule.needs_follow_up])
def test_an_outcome_that_needs_a_follow_up_is_refused_without_one(cast: Cast, kiran: Client, status: str) -> None:
    lead = qualified(cast)
    answer = save(kiran, lead, lead_status=status).json()
    assert answer["errors"] == {"follow_up_date": f"“{status}” needs a follow-up time."}
    assert unchanged(lead)


def test_the_pss_first_contact_is_the_leads_qualifying_call_and_no_later_rnr_erases_it(
    cast: Cast, kiran: Client
) -> None:
    lead = captured(cast, ps=cast.kiran)
    assert lead.first_call_at is None
    save(kiran, lead, lead_status="Interested", follow_up_date=soon())
    first = fresh(lead).first_call_at
    assert first is not None
    for status in ["RNR", "Call Disconnected", "Call not Connected"]:
        assert save(kiran, fresh(lead), lead_status=status).status_code == 200
    assert save_as_cre(signed_in(cast.asha), fresh(lead), lead_status="RNR").status_code == 200
    assert (fresh(lead).first_call_at, held(lead).first_call_at) == (first, first)
    assert "Interested" not in controls(signed_in(cast.asha).get(f"/update_lead/{lead.uid}")).offered["lead_status"]
    check_invariants()


def test_accepting_and_the_first_call_are_noted_once(cast: Cast, kiran: Client) -> None:
    lead = qualified(cast)
    save(kiran, lead, lead_status="RNR")
    accepted = held(lead).accepted_at
    assert accepted is not None
    assert held(lead).first_call_at is None
    save(kiran, fresh(lead), lead_status="Interested", follow_up_date=soon())
    first = held(lead).first_call_at
    save(kiran, fresh(lead), lead_status="Delayed", follow_up_date=soon())
    assert (held(lead).accepted_at, held(lead).first_call_at) == (accepted, first)
    assert first is not None
    assert first > accepted


def test_details_alone_do_not_accept_the_lead(cast: Cast, kiran: Client) -> None:
    lead = qualified(cast)
    assert save(kiran, lead, lead_category="Hot", remark="Looked at it").status_code == 200
    assert held(lead).accepted_at is None
    assert not Outbox.objects.filter(lead=lead, kind=Kind.ATTEMPT).exists()
    assert LeadChange.objects.get(lead=lead).after == "Looked at it"
    check_invariants()


def test_a_ps_changes_neither_the_customer_nor_who_has_the_lead(cast: Cast, kiran: Client) -> None:
    lead = qualified(cast)
    others = {
        "customer_name": "Somebody",
        "customer_mobile_number": "9848012345",
        "branch": "MALAKPET",
        "ps_name": "latha",
        "cre": str(cast.ravi.pk),
        "final_status": "Won",
    }
    assert save(kiran, lead, lead_status="RNR", **others).status_code == 200
    now = fresh(lead)
    for field in ["customer_name", "customer_mobile_number", "branch", "ps", "cre", "final_status"]:
        assert getattr(now, field) == getattr(lead, field), field
    check_invariants()


def test_a_won_lead_leaves_the_pss_hands_and_is_not_saved_again(cast: Cast, kiran: Client) -> None:
    lead = qualified(cast)
    assert save(kiran, lead, lead_status="Booked with another number").status_code == 200
    now = fresh(lead)
    followup = PSFollowup.objects.get(lead=lead)
    assert (now.won_at, followup.closed_at, followup.final_status) == (now.last_attempt_at, now.won_at, "Won")
    response = save(kiran, now, lead_status="Dropped")
    assert response.status_code == 404
    assert fresh(lead).won_at == now.won_at
    check_invariants()


def test_a_typed_reason_is_kept(cast: Cast, kiran: Client) -> None:
    lead = qualified(cast)
    save(kiran, lead, lead_status="Dropped", lost_reason="No money")
    assert fresh(lead).lost_reason == "No money"


def test_a_test_drive_is_recorded_once_and_stays(cast: Cast, kiran: Client) -> None:
    lead = qualified(cast)
    driven = written(timezone.now() - timedelta(days=1))
    assert save(kiran, lead, lead_status="Test Drive", follow_up_date=soon(), test_drive_at=driven).status_code == 200
    assert written(fresh(lead).test_drive_at) == driven
    response = save(kiran, fresh(lead), test_drive_at=written(timezone.now() - timedelta(hours=5)))
    assert "is recorded, and stays" in response.json()["errors"]["test_drive_at"]
    assert save(kiran, fresh(lead), test_drive_at=soon()).status_code == 422
    assert save(kiran, fresh(lead), lead_status="Booked").status_code == 200
    assert written(fresh(lead).test_drive_at) == driven
    check_invariants()


def test_a_lead_whose_test_drive_is_long_past_can_still_be_saved(cast: Cast, kiran: Client) -> None:
    lead = qualified(cast)
    LeadMaster.objects.filter(pk=lead.pk).update(test_drive_at=timezone.now() - timedelta(days=400))
    assert save(kiran, lead, lead_status="RNR").status_code == 200


# --- The answers ------------------------------------------------------------------------------------------------


def test_a_saved_update_answers_exactly_what_was_agreed(cast: Cast, kiran: Client) -> None:
    lead = qualified(cast)
    answer = save(kiran, lead, lead_status="Delayed", follow_up_date=soon(days=7)).json()
    assert sorted(answer) == SAVED_KEYS
    assert (answer["success"], answer["version"]) == (True, 2)
    assert answer["message"].startswith("Saved, Delayed. Follow-up ")


def test_a_refused_update_answers_success_message_and_errors(cast: Cast, kiran: Client) -> None:
    answer = save(kiran, qualified(cast), lead_status="Nonsense").json()
    assert sorted(set(answer) - {"execution_time"}) == ["errors", "message", "success"]
    assert answer["errors"] == {"lead_status": "There is no status “Nonsense”."}


def test_a_program_reads_the_lead_first(cast: Cast, kiran: Client) -> None:
    lead = qualified(cast)
    answer = kiran.get(f"/update_ps_lead/{lead.uid}", headers=JSON).json()
    assert set(answer["lead_statuses"]) == {status for status, rule in STATUSES.items() if rule.ps}
    assert save(kiran, lead, **answer["fields"], lead_status="RNR").status_code == 200


@pytest.mark.parametrize("version", [None, "", "0", "-1", str(2**40), "abc", "1\x00"])
def test_without_a_readable_version_nothing_is_saved_and_words_say_so(
    cast: Cast, kiran: Client, version: str | None
) -> None:
    lead = qualified(cast)
    response = save(kiran, lead, version=version, lead_status="RNR")
    assert (response.status_code, list(response.json()["errors"])) == (422, ["version"])
    page = kiran.post(f"/update_ps_lead/{lead.uid}", {"lead_status": "RNR", "version": version or ""})
    assert page.status_code == 422
    assert "version" in page.content.decode()
    assert unchanged(lead)


def test_the_same_form_sent_twice_is_answered_twice_and_saved_once(cast: Cast, kiran: Client) -> None:
    lead = qualified(cast)
    form = {"lead_status": "RNR", "request_id": str(uuid.uuid4())}
    assert save(kiran, lead, **form).json()["version"] == 2
    answer = save(kiran, lead, **form)
    assert (answer.status_code, answer.json()["version"]) == (200, 2)
    assert Outbox.objects.filter(lead=lead, kind=Kind.ATTEMPT).count() == 1


def test_a_closing_form_sent_twice_is_answered_though_the_lead_has_left_the_pss_hands(
    cast: Cast, kiran: Client
) -> None:
    lead = qualified(cast)
    form = {"lead_status": "Booked", "request_id": str(uuid.uuid4())}
    assert save(kiran, lead, **form).status_code == 200
    answer = save(kiran, lead, **form)
    assert (answer.status_code, answer.json()["final_status"]) == (200, "Won")
    assert Outbox.objects.filter(lead=lead, kind=Kind.ATTEMPT).count() == 1


def test_a_stale_save_shows_both_and_loses_nothing_typed(cast: Cast, kiran: Client) -> None:
    lead = qualified(cast)
    page = controls(kiran.get(f"/update_ps_lead/{lead.uid}"))
    typed = {
        **page.fields,
        "lead_status": "Planning in Next Month",
        "follow_up_date": soon(days=30),
        "lead_category": "Cold",
        "model_interested": "450 X (3.7 kWh)",
        "lost_reason": "none “yet”",
        "remark": "After\nthe <wedding>",
        "test_drive_at": written(timezone.now() - timedelta(hours=2)),
    }
    save_as_cre(signed_in(cast.asha), lead, lead_category="Hot", model_interested="450 Apex STD", remark="Call him")
    response = save(kiran, lead, **{k: v for k, v in typed.items() if k not in {"version", "request_id"}})
    answer = response.json()
    assert (response.status_code, answer["errors"], answer["version"]) == (409, {}, 2)
    assert answer["conflict"]["lead_category"] == {"theirs": "Hot", "mine": "Cold"}
    response = kiran.post(f"/update_ps_lead/{lead.uid}", typed)
    assert response.status_code == 409
    words = response.content.decode()
    assert "Asha has saved this lead meanwhile" in words
    shown = controls(response).fields
    for name in ["lead_status", "follow_up_date", "lead_category", "model_interested", "lost_reason", "remark"]:
        assert shown[name] == typed[name], name
    assert shown["test_drive_at"] == typed["test_drive_at"]
    assert unchanged(fresh(lead))
    assert kiran.post(f"/update_ps_lead/{lead.uid}", shown).status_code == 302
    now = fresh(lead)
    assert (now.lead_status, now.lead_category, now.version) == ("Planning in Next Month", "Cold", 3)
    check_invariants()


def test_without_a_script_a_save_goes_on_to_where_the_form_came_from(cast: Cast, kiran: Client) -> None:
    lead = qualified(cast)
    typed = {"version": 1, "lead_status": "RNR", "next": "/ps_dashboard?tab=today"}
    assert kiran.post(f"/update_ps_lead/{lead.uid}", typed).headers["Location"] == "/ps_dashboard?tab=today"
    typed = {"version": 2, "lead_status": "RNR", "next": "https://evil.example/"}
    assert kiran.post(f"/update_ps_lead/{lead.uid}", typed).headers["Location"] == f"/lead/{lead.uid}"


@pytest.mark.parametrize(("fields", "status"), [({"lead_status": "RNR"}, 200), ({}, 422), ({"version": "9"}, 409)])
def test_a_page_with_a_script_gets_a_part_that_stands_alone(
    cast: Cast, kiran: Client, fields: dict[str, str], status: int
) -> None:
    lead = qualified(cast)
    address = f"/update_ps_lead/{lead.uid}"
    response = kiran.post(address, {"version": "1", **fields}, headers={"hx-request": "true"})
    part = response.content.decode()
    assert (response.status_code, "<html" in part) == (status, False)
    assert part.count(f'id="work-{lead.uid}"') == 1


def test_after_a_conflict_the_page_shows_what_the_colleague_has_said(cast: Cast, kiran: Client) -> None:
    lead = qualified(cast)
    save_as_cre(signed_in(cast.asha), lead, lead_status="RNR", remark="Wants to hear the manager")
    record_waiting()
    address = f"/update_ps_lead/{lead.uid}"
    typed = {"version": "1", "lead_status": "RNR"}
    by_page = {"hx-request": "true", "hx-current-url": f"http://testserver{address}?next=/ps_dashboard"}
    response = kiran.post(address, typed, headers=by_page)
    assert response.status_code == 409
    assert response.headers["HX-Retarget"] == response.headers["HX-Reselect"] == ".work-columns"
    assert "Wants to hear the manager" in response.text.partition('class="beside')[2]
    # A card of the desk has no such columns: there the form stands alone.
    by_card = {"hx-request": "true", "hx-current-url": "http://testserver/ps_dashboard"}
    response = kiran.post(address, typed, headers=by_card)
    assert (response.status_code, "HX-Retarget" in response.headers) == (409, False)
    assert "<html" not in response.text


def test_a_quick_outcome_that_contradicts_what_was_saved_says_so(cast: Cast, kiran: Client) -> None:
    lead = qualified(cast)
    assert save(kiran, lead, lead_status="RNR").status_code == 200
    page = kiran.post(f"/update_ps_lead/{lead.uid}", {"version": "1", "quick": "Busy on another Call"})
    assert page.status_code == 409
    both = page.text.partition('class="compare"')[2].partition("</table>")[0]
    assert "RNR" in both
    assert "Busy on another Call" in both


# --- Who may ----------------------------------------------------------------------------------------------------


def test_the_former_ps_reads_on_but_no_longer_saves(cast: Cast, kiran: Client) -> None:
    lead = qualified(cast)
    assert save_as_cre(signed_in(cast.asha), lead, ps_name="latha").status_code == 200
    response = save(kiran, fresh(lead), lead_status="Booked", remark="Mine")
    assert (response.status_code, "no longer" in response.json()["message"]) == (404, True)
    typed = {"version": fresh(lead).version, "lead_status": "Booked", "remark": "They will <come> on Sunday"}
    page = kiran.post(f"/update_ps_lead/{lead.uid}", typed)
    assert page.status_code == 404
    assert "They will &lt;come&gt; on Sunday" in page.content.decode()
    part = kiran.post(f"/update_ps_lead/{lead.uid}", typed, headers={"hx-request": "true"})
    assert (part.status_code, "no longer" in part.content.decode()) == (404, True)
    assert kiran.get(f"/update_ps_lead/{lead.uid}").headers["Location"] == "/ps_dashboard"
    assert kiran.get(f"/lead/{lead.uid}").status_code == 200
    assert save(signed_in(cast.latha), fresh(lead), lead_status="RNR").status_code == 200
    assert fresh(lead).final_status == "Pending"
    check_invariants()


@pytest.mark.parametrize(
    ("person", "status"),
    [("latha", 404), ("sunil", 404), ("asha", 403), ("ravi", 403), ("head", 403), ("reception", 403), ("meera", 403)],
)
def test_nobody_else_saves_as_the_ps(cast: Cast, person: str, status: int) -> None:
    lead = qualified(cast)
    actor: User = getattr(cast, person)
    client = signed_in(actor)
    response = save(client, lead, lead_status="RNR")
    assert (response.status_code, response.json()["success"]) == (status, False)
    page = client.post(f"/update_ps_lead/{lead.uid}", {"version": "1", "lead_status": "RNR"})
    assert page.status_code == status
    assert lead.customer_name not in page.content.decode()
    assert client.get(f"/update_ps_lead/{lead.uid}").status_code == (302 if status == 404 else 403)
    assert unchanged(lead)


def test_who_is_signed_out_is_asked_to_sign_in(cast: Cast, client: Client) -> None:
    lead = qualified(cast)
    assert save(client, lead, lead_status="RNR").status_code == 401
    assert client.post(f"/update_ps_lead/{lead.uid}", {"version": "1"}).status_code == 302
    assert unchanged(lead)


@pytest.mark.parametrize("change", [str.lower, lambda uid: f" {uid} ", lambda uid: uid.replace("0", "O").lower()])
def test_a_uid_is_understood_in_small_letters_and_misread(cast: Cast, kiran: Client, change: Any) -> None:
    lead = qualified(cast)
    address = f"/update_ps_lead/{change(lead.uid)}"
    response = kiran.post(address, {"version": "1", "lead_status": "RNR"}, headers=JSON)
    assert (response.status_code, response.json().get("uid")) == (200, lead.uid)


@pytest.mark.parametrize("uid", ["x", "%00", "M-00001-0000000%00", "M-٠٠٠٠٠-0000000", "😀", "x" * 5000])
def test_a_uid_that_is_none_is_answered_in_words(cast: Cast, kiran: Client, uid: str) -> None:
    address = f"/update_ps_lead/{uid}"
    kiran.raise_request_exception = False
    assert kiran.post(address, {"version": "1", "lead_status": "RNR"}, headers=JSON).status_code == 404
    assert kiran.get(address).status_code in {302, 404}


# --- Odd input --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("lead_status", "x" * 5000),
        ("lead_status", "Boo\x00ked"),
        ("lead_category", "Boiling"),
        ("model_interested", "Chetak"),
        ("follow_up_date", "9999-12-31T23:59"),
        ("follow_up_date", "0001-01-01T00:00:00+23:59"),
        ("follow_up_date", "yesterday"),
        ("remark", "NUL \x00"),
        ("remark", "x" * 1001),
        ("test_drive_at", "9999-12-31T23:59:59-23:59"),
        ("test_drive_at", "2020-01-01T10:00"),
        ("request_id", "1234"),
    ],
)
def test_odd_input_is_refused_at_its_field_and_nothing_is_saved(
    cast: Cast, kiran: Client, field: str, value: str
) -> None:
    lead = qualified(cast)
    response = save(kiran, lead, **{"lead_status": "RNR", field: value})
    assert (response.status_code, list(response.json()["errors"])) == (422, [field])
    assert unchanged(lead)


def test_a_remark_of_ten_megabytes_is_refused_in_words(cast: Cast, kiran: Client) -> None:
    lead = qualified(cast)
    kiran.raise_request_exception = False
    response = save(kiran, lead, lead_status="RNR", remark="x" * 10_000_000)
    assert response.status_code in {400, 413}
    assert response.json()["success"] is False
    assert unchanged(lead)


def test_names_and_words_of_any_script_are_kept_as_typed(cast: Cast, kiran: Client) -> None:
    lead = qualified(cast)
    words = "రేపు సాయంత్రం 🙂\nمرحبا"
    assert save(kiran, lead, lead_status="RNR", remark=words).status_code == 200
    record_waiting()
    assert CallAttempt.objects.filter(lead=lead, role="ps").latest("id").remark == words
    assert "రేపు సాయంత్రం" in kiran.get(f"/update_ps_lead/{lead.uid}").content.decode()
