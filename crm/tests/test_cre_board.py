"""The CRE's desk in a browser: it keeps itself up to date, disturbs nobody, works by keyboard and on a phone."""

from datetime import timedelta

import pytest
from django.utils import timezone
from playwright.sync_api import Page, expect

from conftest import Cast
from crm.tests.conftest import OpenPage, look_over
from followups import kept
from leads.models import LeadMaster
from leads.tests.factories import make_lead

pytestmark = [pytest.mark.browser, pytest.mark.django_db(transaction=True)]


@pytest.fixture(autouse=True)
def _nothing_is_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    """These tests write to the tables directly, and so tell no desk that it was touched."""
    monkeypatch.setattr(kept, "KEEP", timedelta(0))


def opened(open_page: OpenPage, address: str, **window: object) -> Page:
    page = open_page("asha", **window)
    page.clock.install()
    page.goto(address)
    page.wait_for_load_state("networkidle")
    return page


def poll(page: Page) -> None:
    """Lets the desk ask once."""
    with page.expect_response(lambda response: "/cre_dashboard/news" in response.url):
        page.clock.run_for(21_000)


def test_new_leads_appear_and_are_told_while_a_filter_is_typed(open_page: OpenPage, cast: Cast) -> None:
    make_lead(cast.asha, customer_name="First")
    page = opened(open_page, "/cre_dashboard?tab=untouched")
    poll(page)
    expect(page.locator("#say")).to_have_text("")
    page.locator(".filters summary").click()
    page.get_by_label("Category").focus()
    page.keyboard.type("Hot")
    make_lead(cast.asha, customer_name="Second")
    poll(page)
    expect(page.get_by_role("link", name="Second", exact=True)).to_be_visible()
    expect(page.locator("#tab-untouched")).to_have_text("Untouched 2")
    expect(page.locator("#say")).to_have_text("1 new lead in Untouched.")
    expect(page.get_by_label("Category")).to_have_value("Hot")
    expect(page.get_by_label("Category")).to_be_focused()


def test_a_list_that_is_in_use_is_left_alone_and_says_that_it_has_changed(open_page: OpenPage, cast: Cast) -> None:
    lead = make_lead(cast.asha, customer_name="First")
    page = opened(open_page, "/cre_dashboard?tab=untouched")
    page.locator(f"#lead-{lead.uid}").focus()
    make_lead(cast.asha, customer_name="Second")
    poll(page)
    expect(page.locator("#tab-untouched")).to_have_text("Untouched 2")
    expect(page.locator(f"#lead-{lead.uid}")).to_be_focused()
    expect(page.get_by_role("link", name="Second", exact=True)).to_have_count(0)
    page.get_by_role("link", name="Show it as it is now.").click()
    expect(page.get_by_role("link", name="Second", exact=True)).to_be_visible()
    expect(page.locator("#board-changed")).to_be_hidden()


def test_what_was_said_of_a_list_in_use_goes_once_the_list_has_been_replaced(open_page: OpenPage, cast: Cast) -> None:
    lead = make_lead(cast.asha, customer_name="First")
    page = opened(open_page, "/cre_dashboard?tab=untouched")
    page.locator(f"#lead-{lead.uid}").focus()
    make_lead(cast.asha, customer_name="Second")
    poll(page)
    expect(page.locator("#board-changed")).to_be_visible()
    page.locator("#search").focus()
    make_lead(cast.asha, customer_name="Third")
    poll(page)
    expect(page.get_by_role("link", name="Third", exact=True)).to_be_visible()
    expect(page.locator("#board-changed")).to_have_count(1)
    expect(page.locator("#board-changed")).to_be_hidden()


def test_focus_on_a_tab_survives_the_news(open_page: OpenPage, cast: Cast) -> None:
    page = opened(open_page, "/cre_dashboard?tab=untouched")
    page.locator("#tab-overdue").focus()
    make_lead(cast.asha)
    poll(page)
    expect(page.locator("#tab-untouched")).to_have_text("Untouched 1")
    expect(page.locator("#tab-overdue")).to_be_focused()


def test_a_closed_lead_leaves_the_list_by_itself(open_page: OpenPage, cast: Cast) -> None:
    lead = make_lead(cast.asha, customer_name="First")
    page = opened(open_page, "/cre_dashboard?tab=untouched")
    now = timezone.now()
    LeadMaster.objects.filter(pk=lead.pk).update(
        lead_status="Booked", final_status="Won", won_at=now, last_attempt_at=now, updated_at=now
    )
    poll(page)
    expect(page.get_by_text("No new lead waits for its first call.")).to_be_visible()
    expect(page.locator("#tab-won")).to_have_text("Won 1")


@pytest.mark.parametrize("width", [1280, 390])
def test_the_desk_is_within_everybodys_reach(open_page: OpenPage, cast: Cast, width: int) -> None:
    now = timezone.now()
    spoken_to = {"lead_status": "Interested", "first_call_at": now, "lead_category": "Hot", "follow_up_at": now}
    for _ in range(3):
        make_lead(cast.asha, **spoken_to, ps=cast.kiran, ps_assigned_at=now, branch=cast.attapur, enquiries=2)
    page = open_page("asha", width=width)
    for address in ["tab=overdue", "tab=pending&category=Hot&period=month", "tab=won", "tab=repeats", "period=x"]:
        page.goto(f"/cre_dashboard?{address}")
        look_over(page)
    page.locator(".filters summary").click()
    look_over(page)


def test_the_desk_is_walked_and_filtered_by_keyboard(open_page: OpenPage, cast: Cast) -> None:
    hot = make_lead(cast.asha, customer_name="Hot one", lead_category="Hot")
    make_lead(cast.asha, customer_name="Cold one", lead_category="Cold")
    page = open_page("asha")
    page.goto("/cre_dashboard")
    page.keyboard.press("f")
    page.get_by_label("Category").focus()
    page.keyboard.type("Hot")
    page.get_by_role("button", name="Show").focus()
    page.keyboard.press("Enter")
    expect(page.get_by_text("Only these are shown and counted:")).to_be_visible()
    expect(page.get_by_role("link", name="Cold one", exact=True)).to_have_count(0)
    page.keyboard.press("j")
    expect(page.locator(f"#lead-{hot.uid}")).to_be_focused()
    page.keyboard.press("4")
    page.wait_for_url("**/cre_dashboard?tab=today&category=Hot")


def test_the_desk_works_without_javascript(open_page: OpenPage, cast: Cast) -> None:
    make_lead(cast.asha, customer_name="Hot one", lead_category="Hot")
    page = open_page("asha", script=False)
    page.goto("/cre_dashboard")
    page.locator(".filters summary").click()
    page.get_by_label("Category").select_option("Cold")
    page.get_by_role("button", name="Show").click()
    expect(page.get_by_text("None of your leads in Untouched fits these filters.")).to_be_visible()
    page.get_by_role("link", name="Remove Cold").click()
    expect(page.get_by_role("link", name="Hot one", exact=True)).to_be_visible()
