"""The PS's desk: own open follow-ups, newest first, and the customers who asked again."""

from datetime import timedelta

from django.test import Client
from django.utils import timezone

from accounts.models import User
from conftest import Cast
from followups.models import PSFollowup
from leads.models import LeadMaster
from leads.services import capture_lead, tell_owner
from leads.tests.factories import enquiry


def given(cast: Cast, ps: User, name: str = "Suma Latha") -> PSFollowup:
    captured = capture_lead(enquiry(branch_id=ps.branch_id, ps_id=ps.pk, customer_name=name), cast.asha)
    return PSFollowup.objects.get(lead__uid=captured.uid)


def desk(client: Client, user: User) -> str:
    client.force_login(user)
    return client.get("/ps_dashboard").text


def test_open_follow_ups_of_ones_own_come_newest_first(client: Client, cast: Cast) -> None:
    early = given(cast, cast.kiran, "Early Bird")
    late = given(cast, cast.kiran, "Late Comer")
    PSFollowup.objects.filter(pk=early.pk).update(assigned_at=timezone.now() - timedelta(days=2))
    given(cast, cast.latha, "Lathas own")
    page = desk(client, cast.kiran)
    assert page.index(late.lead_id) < page.index(early.lead_id)
    assert "Lathas own" not in page


def test_a_closed_follow_up_has_left_the_desk(client: Client, cast: Cast) -> None:
    followup = given(cast, cast.kiran)
    PSFollowup.objects.filter(pk=followup.pk).update(closed_at=timezone.now())
    page = desk(client, cast.kiran)
    assert followup.lead_id not in page
    assert "No open lead is yours to follow up now." in page


def test_a_customer_who_asked_again_is_among_the_repeats(client: Client, cast: Cast) -> None:
    followup = given(cast, cast.kiran)
    lead = LeadMaster.objects.get(uid=followup.lead_id)
    tell_owner(uid=lead.uid, phone=lead.customer_mobile_number, remark="Wants it in blue", actor=cast.ravi)
    page = desk(client, cast.kiran)
    assert "Wants it in blue" in page
    assert "Ravi" in page
    assert "Wants it in blue" not in desk(client, cast.latha)


def test_a_search_finds_what_was_ever_given_to_one(client: Client, cast: Cast) -> None:
    followup = given(cast, cast.kiran)
    number = LeadMaster.objects.get(uid=followup.lead_id).customer_mobile_number
    PSFollowup.objects.filter(pk=followup.pk).update(closed_at=timezone.now())
    client.force_login(cast.kiran)
    assert client.get("/search", {"q": number}).headers["Location"] == f"/lead/{followup.lead_id}"
    client.force_login(cast.sunil)
    assert "You have no lead" in client.get("/search", {"q": number}).text
