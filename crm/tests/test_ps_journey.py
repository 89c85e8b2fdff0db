"""A PS's desk on a phone and on a desk: “Got it”, an outcome in two taps, and news that disturbs nobody."""

from datetime import timedelta

import pytest
from django.utils import timezone
from playwright.sync_api import Page, expect

from accounts.models import User
from conftest import Cast
from crm.tests.conftest import OpenPage, look_over, sign_in
from followups.models import PSFollowup
from leads.models import LeadMaster
from leads.services import capture_lead
from leads.tests.factories import enquiry

pytestmark = [pytest.mark.browser, pytest.mark.django_db(transaction=True)]
WIDTHS = pytest.mark.parametrize("width", [1280, 390])


def given(cast: Cast, name: str, ps: User | None = None) -> str:
    """Asha gives a lead to a PS, Kiran as a rule; its uid."""
    ps = ps or cast.kiran
    return capture_lead(enquiry(customer_name=name, branch_id=ps.branch_id, ps_id=ps.pk), cast.asha).uid


def ask_for_news(page: Page) -> None:
    """What the page does every 20 seconds by itself."""
    page.evaluate("htmx.trigger(document.getElementById('ps-desk'), 'awake')")


@WIDTHS
def test_a_new_lead_is_accepted_and_an_outcome_saved_in_two_taps(open_page: OpenPage, cast: Cast, width: int) -> None:
    uid = given(cast, "Suma Latha")
    page = open_page("kiran", width=width)
    look_over(page)
    card = page.locator(f"#card-{uid}")
    card.get_by_role("button", name="Got it").click()
    expect(card.get_by_role("button", name="Got it")).to_have_count(0)
    expect(page.locator("#say")).to_have_text("Suma Latha is yours to call.")
    expect(card.get_by_role("link", name="Call Suma Latha")).to_be_focused()
    assert PSFollowup.objects.get().accepted_at is not None

    card.get_by_text("Outcome", exact=False).first.click()
    look_over(page)
    card.get_by_role("button", name="RNR").click()
    expect(page.get_by_text("saved, RNR.").first).to_be_visible()
    lead = LeadMaster.objects.get()
    assert (lead.lead_status, lead.version) == ("RNR", 2)
    look_over(page)
    page.get_by_role("link", name="Fresh").click()
    page.get_by_role("link", name="Tried").click()
    expect(card).to_contain_text("RNR")


def test_a_new_lead_appears_by_itself_and_is_said(open_page: OpenPage, cast: Cast) -> None:
    given(cast, "Early Bird")
    page = open_page("kiran", width=390)
    late = given(cast, "Late Comer")
    ask_for_news(page)
    expect(page.locator(f"#card-{late}")).to_be_visible()
    expect(page.locator("#say")).to_have_text("1 new lead.")
    expect(page.get_by_role("link", name="Fresh")).to_contain_text("2")


def test_news_waits_while_somebody_is_choosing_an_outcome(open_page: OpenPage, cast: Cast) -> None:
    uid = given(cast, "Early Bird")
    page = open_page("kiran", width=390)
    outcome = page.locator(f"#card-{uid} details")
    outcome.locator("summary").click()
    late = page.locator(f"#card-{given(cast, 'Late Comer')}")
    ask_for_news(page)
    page.wait_for_timeout(500)
    expect(outcome.get_by_role("button", name="RNR")).to_be_visible()
    expect(late).to_have_count(0)

    page.keyboard.press("Escape")
    expect(outcome.get_by_role("button", name="RNR")).to_be_hidden()
    expect(outcome.locator("summary")).to_be_focused()
    ask_for_news(page)
    expect(late).to_be_visible()
    expect(page.locator(f"#card-{uid} summary")).to_be_focused()


def test_a_lead_that_arrives_on_top_does_not_move_the_one_that_is_read(open_page: OpenPage, cast: Cast) -> None:
    uids = [given(cast, f"Customer {number}") for number in range(6)]
    page = open_page("kiran", width=390)
    card = page.locator(f"#card-{uids[5]}")
    card.evaluate("element => scrollTo(0, element.offsetTop - 200)")
    before = card.bounding_box()
    late = page.locator(f"#card-{given(cast, 'Late Comer')}")
    ask_for_news(page)
    expect(late).to_be_attached()
    after = card.bounding_box()
    assert before
    assert after
    assert abs(before["y"] - after["y"]) < 3


def test_what_was_saved_is_read_where_the_card_stood(open_page: OpenPage, cast: Cast) -> None:
    uids = [given(cast, f"Customer {number}") for number in range(9)]
    page = open_page("kiran", width=360)
    card = page.locator(f"#card-{uids[5]}")
    card.locator("summary").click()
    card.evaluate("element => scrollTo(0, scrollY + element.getBoundingClientRect().top + 20)")
    card.get_by_role("button", name="Call not Connected").click()
    saved = page.get_by_text("saved, Call not Connected.").first
    expect(saved).to_be_visible()
    tabs, words = page.locator(".ps-tabs").bounding_box(), saved.bounding_box()
    assert tabs
    assert words
    assert words["y"] >= tabs["y"] + tabs["height"]


def test_the_mails_link_leads_to_one_big_button_after_sign_in(open_page: OpenPage, cast: Cast) -> None:
    uid = given(cast, "Suma Latha")
    page = open_page(width=390)
    page.goto(f"/accept/{uid}")
    sign_in(page, "kiran")
    page.goto(f"/accept/{uid}")
    look_over(page)
    assert PSFollowup.objects.get().accepted_at is None
    page.get_by_role("button", name="Got it").click()
    expect(page.get_by_text("You have had this lead since")).to_be_visible()
    look_over(page)
    assert PSFollowup.objects.get().accepted_at is not None


def test_without_script_a_lead_is_accepted_and_an_outcome_saved(open_page: OpenPage, cast: Cast) -> None:
    uid = given(cast, "Suma Latha")
    page = open_page("kiran", width=390, script=False)
    page.get_by_role("button", name="Got it").click()
    expect(page.get_by_text("Suma Latha is yours to call")).to_be_visible()
    page.locator(f"#card-{uid} summary").click()
    page.get_by_role("button", name="Busy on another Call").click()
    expect(page.get_by_text("saved, Busy on another Call.")).to_be_visible()
    assert LeadMaster.objects.get().lead_status == "Busy on another Call"


def test_the_branch_head_is_shown_what_nobody_has_accepted(open_page: OpenPage, cast: Cast) -> None:
    given(cast, "Suma Latha")
    PSFollowup.objects.update(assigned_at=timezone.now() - timedelta(days=2))
    page = open_page("head", width=390)
    expect(page.get_by_role("region", name="Waiting for")).to_contain_text("Suma Latha")
    look_over(page)
