"""Where one person's desk meets another's: hands, handed-on leads, ways back, and words that must stay true."""

import html
import re
import uuid
from datetime import datetime, timedelta
from typing import Any

import pytest
from django.test import Client
from django.utils import timezone

from accounts.models import User
from conftest import Cast
from followups.models import PSFollowup
from leads.capture import capture
from leads.models import LeadMaster
from leads.next_call import claim
from leads.tests.factories import enquiry, make_lead
from leads.updates import correct_lead, reopen_lead

pytestmark = pytest.mark.django_db


def signed_in(user: User) -> Client:
    client = Client()
    client.force_login(user)
    return client


def given(lead: LeadMaster, ps: User, by: User, at: datetime | None = None) -> PSFollowup:
    at = at or timezone.now()
    lead.ps, lead.branch, lead.ps_assigned_at = ps, ps.branch, at
    lead.save()
    assert ps.branch is not None
    return PSFollowup.objects.create(lead=lead, ps=ps, branch=ps.branch, assigned_by=by, assigned_at=at)


def lost(cast: Cast) -> LeadMaster:
    now = timezone.now()
    closed: dict[str, Any] = {"final_status": "Lost", "lost_at": now, "lost_reason": "Dropped"}
    return make_lead(cast.asha, lead_status="Dropped", first_call_at=now, last_contact_at=now, **closed)


# --- Ways on and back -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("wanted", ["abc", "logout", "?tab=today", "//evil.example/", "https://evil.example/"])
def test_a_save_goes_on_to_a_path_of_the_desk_and_to_nothing_else(cast: Cast, wanted: str) -> None:
    lead = make_lead(cast.asha)
    answer = signed_in(cast.asha).post(f"/update_lead/{lead.uid}", {"version": 1, "remark": "x", "next": wanted})
    assert (answer.status_code, answer["Location"]) == (302, f"/lead/{lead.uid}")
    given(lead, cast.kiran, cast.asha)
    answer = signed_in(cast.kiran).post(f"/accept/{lead.uid}", {"next": wanted})
    assert (answer.status_code, answer["Location"]) == (302, "/ps_dashboard")


@pytest.mark.parametrize("path", ["/next_call", "/update_lead/{}/carry"])
def test_after_a_sign_in_an_address_that_takes_posts_leads_to_a_page(cast: Cast, path: str) -> None:
    lead = make_lead(cast.asha)
    answer = signed_in(cast.asha).get(path.format(lead.uid), follow=True)
    assert answer.status_code == 200
    assert LeadMaster.objects.filter(next_call_by__isnull=False).count() == 0


def test_who_lost_a_lead_while_typing_is_told_and_shown_what_was_typed(cast: Cast) -> None:
    lead = make_lead(cast.ravi)
    answer = signed_in(cast.asha).post(f"/update_lead/{lead.uid}", {"version": 1, "remark": "Wants it in red"})
    assert answer.status_code == 404
    assert "Wants it in red" in answer.text
    assert "Nothing was saved" in answer.text


# --- The next call ----------------------------------------------------------------------------------------------


def test_a_supervisor_is_given_no_next_call(cast: Cast) -> None:
    free, lead = make_lead(), make_lead(cast.asha)
    signed_in(cast.meera).post(f"/update_lead/{lead.uid}", {"version": 1, "remark": "x", "then": "next"})
    free.refresh_from_db()
    assert free.cre_id is free.next_call_by_id is None


def test_asked_again_without_a_save_the_lead_in_hand_is_the_next_call(cast: Cast) -> None:
    lead = make_lead(cast.asha)
    client = signed_in(cast.asha)
    first, second = client.post("/next_call"), client.post("/next_call")
    assert first["Location"] == second["Location"] == f"/update_lead/{lead.uid}?call=1"


def test_a_lead_given_to_another_cre_leaves_the_hands_of_the_former(cast: Cast) -> None:
    lead = make_lead(cast.asha, customer_name="Zubeida Begum")
    client = signed_in(cast.asha)
    client.post("/next_call")
    assert "Zubeida" in client.get("/cre_dashboard").text
    lead.refresh_from_db()
    correct_lead(lead, {"cre": cast.ravi}, cast.meera)
    assert "Zubeida" not in client.get("/cre_dashboard").text
    assert "in hand" not in signed_in(cast.ravi).get(f"/lead/{lead.uid}").text


def test_a_lead_that_is_reopened_after_its_cre_has_left_is_everybodys(cast: Cast) -> None:
    lead = lost(cast)
    cast.asha.is_active = False
    cast.asha.save()
    reopen_lead(lead.uid, cast.meera, reason="Came back", version=1)
    claimed = claim(cast.ravi)
    assert claimed == lead
    assert "Taken from Asha" in signed_in(cast.ravi).get(f"/lead/{lead.uid}").text


def test_a_lead_that_a_ps_works_on_is_nobodys_next_call(cast: Cast) -> None:
    given(make_lead(), cast.kiran, cast.meera)
    assert claim(cast.ravi) is None


def test_the_ps_sees_in_whose_hands_the_customer_is(cast: Cast) -> None:
    lead = make_lead(cast.asha)
    given(lead, cast.kiran, cast.asha)
    claim(cast.asha)
    page = signed_in(cast.kiran).get(f"/update_ps_lead/{lead.uid}").text
    assert "Asha has this customer in hand for a call" in " ".join(page.split())


def test_a_key_pressed_twice_saves_once_and_claims_one_lead(cast: Cast) -> None:
    lead, _next, _after = make_lead(cast.asha), make_lead(cast.asha), make_lead(cast.asha)
    sent = {"version": 1, "quick": "RNR", "then": "next", "request_id": str(uuid.uuid4())}
    first, second = (signed_in(cast.asha).post(f"/update_lead/{lead.uid}", sent) for _ in range(2))
    assert first["Location"] == second["Location"]
    assert LeadMaster.objects.filter(next_call_by=cast.asha).count() == 1


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("status", ["RNR", "Interested"])
def test_who_was_called_about_a_new_enquiry_just_now_is_not_called_again(cast: Cast, status: str) -> None:
    lead = make_lead(cast.asha)
    again = enquiry(status=status, phone=lead.customer_mobile_number, source="OEM", sub_source="Web")
    assert capture(again, cast.asha).outcome == "repeat"
    assert claim(cast.asha) is None
    page = signed_in(cast.asha).get(f"/lead/{lead.uid}").text
    assert "Not called yet" not in page


# --- What is said -----------------------------------------------------------------------------------------------


def test_a_reopened_lead_is_not_said_to_be_uncalled(cast: Cast) -> None:
    lead = lost(cast)
    reopen_lead(lead.uid, cast.meera, reason="Came back", version=1)
    page = signed_in(cast.asha).get("/cre_dashboard?tab=pending").text
    assert lead.uid in page
    assert "Not called yet" not in page
    assert "To be called again" in page


def test_what_is_carried_to_a_lead_that_was_closed_meanwhile_is_not_said_to_be_on_an_open_one(cast: Cast) -> None:
    lead = lost(cast)
    page = signed_in(cast.asha).post(f"/update_lead/{lead.uid}/carry", {"remark": "Asked again"}).text
    assert "lead is open" not in page
    assert "Asked again" in page


def test_more_leads_than_are_shown_may_wait_to_be_accepted(cast: Cast) -> None:
    for _ in range(12):
        given(make_lead(cast.asha), cast.kiran, cast.asha, timezone.now() - timedelta(days=5))
    page = signed_in(cast.asha).get("/cre_dashboard?tab=untouched&category=none").text
    said = " ".join(html.unescape(re.sub("<[^>]+>", "", page)).split())
    assert "10 or more of your leads wait for a PS to say “Got it”." in said
    assert 'href="?tab=with_ps&amp;category=none"' in page
    assert "Show them" in said


def test_a_single_lead_that_waits_to_be_accepted_is_one(cast: Cast) -> None:
    given(make_lead(cast.asha), cast.kiran, cast.asha, timezone.now() - timedelta(days=5))
    page = signed_in(cast.asha).get("/cre_dashboard?tab=untouched").text
    said = " ".join(html.unescape(re.sub("<[^>]+>", "", page)).split())
    assert "1 of your leads waits for a PS to say “Got it”. Show it" in said


def test_a_ps_without_fresh_leads_polls_for_what_the_page_shows(cast: Cast) -> None:
    now = timezone.now()
    spoken = {"lead_status": "Interested", "first_call_at": now, "last_contact_at": now}
    lead = make_lead(cast.asha, **spoken, follow_up_at=now + timedelta(minutes=1))
    followup = given(lead, cast.kiran, cast.asha)
    followup.first_call_at = followup.accepted_at = now
    followup.save()
    client = signed_in(cast.kiran)
    asked = re.search(r'hx-get="([^"]+)"', client.get("/ps_dashboard").text)
    assert asked is not None
    assert client.get(html.unescape(asked[1]), headers={"HX-Request": "true"}).status_code == 204
