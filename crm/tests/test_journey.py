"""The desk as people meet it: in a browser, as wide as a desk or a phone, with and without script."""

import re
from datetime import timedelta

import pytest
from django.utils import timezone
from playwright.sync_api import Page, Route, expect

from conftest import Cast
from crm.tests.conftest import OpenPage, look_over, sign_in
from followups.delivery import mail_waiting
from followups.models import EmailState, PSFollowup
from followups.recorder import record_waiting
from leads.models import LeadMaster
from leads.services import capture_lead
from leads.tests.factories import enquiry

pytestmark = [pytest.mark.browser, pytest.mark.django_db(transaction=True)]
WIDTHS = pytest.mark.parametrize("width", [1280, 390])


def fill(page: Page, **fields: str) -> None:
    """A lead, typed in with the mouse at hand."""
    page.get_by_role("textbox", name="Phone number").fill(fields.get("phone", "98480 12345"))
    page.get_by_label("Customer’s name").fill(fields.get("name", "Suma Latha"))
    page.get_by_label("Source", exact=True).select_option(fields.get("source", "GOOGLE"))
    page.get_by_label("Sub-source").select_option(fields.get("sub_source", "Google Know"))
    page.get_by_label("How did the call go?").select_option("RNR")
    page.get_by_label("Remark").fill(fields.get("remark", "Call after six"))


def save(page: Page) -> None:
    page.get_by_role("button", name="Save lead").click()


# --- From the call to the mail ------------------------------------------------------------------------------


@WIDTHS
def test_by_keyboard_alone_a_lead_is_added_put_right_and_followed_to_its_mail(
    open_page: OpenPage, cast: Cast, width: int
) -> None:
    page = open_page("asha", width=width)
    page.get_by_role("navigation").get_by_role("link", name="Add lead").press("Enter")
    page.wait_for_url("**/add_lead")
    keys = page.keyboard
    expect(page.locator("#id_customer_mobile_number")).to_be_focused()
    keys.type("98480 12345")
    expect(page.locator("#known")).to_contain_text("A new customer")
    keys.press("Tab")  # past the name, which is forgotten
    keys.press("Tab")
    keys.type("GOO")
    expect(page.get_by_label("Sub-source")).to_have_value("Google Know")
    for typed in ["", "450 A", "Hot", "ATT", "Kir", "Int"]:
        keys.press("Tab")
        keys.type(typed)
    expect(page.get_by_label("Follow-up required")).not_to_have_value("")
    keys.press("Control+Enter")

    expect(page.get_by_text("Type the customer’s name.")).to_be_visible()
    expect(page.locator("#id_customer_name")).to_be_focused()
    expect(page.get_by_role("textbox", name="Phone number")).to_have_value("98480 12345")
    expect(page.get_by_label("PS", exact=True)).to_have_value(str(cast.kiran.pk))
    look_over(page)
    keys.type("Suma Latha")
    keys.press("Enter")

    result = page.locator("#result")
    expect(result).to_contain_text("Saved as G-12345-")
    expect(result).to_contain_text(re.compile(r"saved in .* ms"))
    expect(page.locator("#id_customer_mobile_number")).to_be_focused()
    expect(page.get_by_role("textbox", name="Phone number")).to_have_value("")
    look_over(page)
    lead = LeadMaster.objects.get()
    assert (lead.customer_name, lead.ps, lead.lead_status) == ("Suma Latha", cast.kiran, "Interested")

    result.get_by_role("link", name=lead.uid).press("Enter")
    story = page.locator(".story")
    expect(story).to_contain_text("Being recorded")
    expect(story).to_contain_text("E-mail to kiran@example.com is waiting")
    look_over(page)
    record_waiting()
    expect(story).to_contain_text("CRE 1/1: Interested")
    mail_waiting()
    assert PSFollowup.objects.get().email_state == EmailState.SENT
    expect(story).to_contain_text("E-mail sent to kiran@example.com")
    expect(page.locator("[data-poll]")).to_have_count(0)
    look_over(page)


def test_the_follow_up_is_suggested_in_office_hours_and_hidden_when_the_lead_closes(
    open_page: OpenPage,
) -> None:
    page = open_page("asha")
    page.goto("/add_lead")
    status, follow_up = page.get_by_label("How did the call go?"), page.locator("#id_follow_up_date")
    status.select_option("Interested")
    day, clock = follow_up.input_value().split("T")
    assert day == f"{timezone.localdate() + timedelta(days=3)}"
    assert "09:30" <= clock <= "19:30"
    follow_up.fill(f"{day}T12:05")
    status.select_option("Call me Back")
    expect(follow_up).to_have_value(f"{day}T12:05")  # what a person chose stays
    status.select_option("Wrong Number")
    expect(follow_up).to_be_hidden()


def test_ps_follows_branch_and_the_other_way_round(open_page: OpenPage, cast: Cast) -> None:
    page = open_page("asha")
    page.goto("/add_lead")
    branch, seller = page.get_by_label("Branch"), page.get_by_label("PS", exact=True)
    seller.select_option(label="Sunil")
    expect(branch).to_have_value(str(cast.malakpet.pk))
    branch.select_option(label="ATTAPUR")
    expect(seller).to_have_value("")
    assert seller.locator("option").all_text_contents() == ["Unassigned", "Kiran", "Latha"]


# --- Known customers ----------------------------------------------------------------------------------------


@WIDTHS
def test_a_known_number_shows_its_card_and_the_owner_can_be_told(open_page: OpenPage, cast: Cast, width: int) -> None:
    captured = capture_lead(enquiry(phone="+919848012345", customer_name="Suma Latha"), cast.ravi)
    page = open_page("asha", width=width)
    page.goto("/add_lead")
    fill(page, source="META", sub_source="Meta Know", remark="Asks for a test drive")
    known = page.locator("#known")
    expect(known).to_contain_text("S••••• L.")
    look_over(page)
    page.get_by_label("Source", exact=True).select_option("OEM")
    page.get_by_label("Sub-source").select_option("Web")
    expect(known).to_contain_text("now from OEM Web")
    page.get_by_label("Source", exact=True).select_option("META")
    page.get_by_label("Sub-source").select_option("Meta Know")
    expect(known).to_contain_text("tell them")
    save(page)
    result = page.locator("#result")
    expect(result).to_contain_text("Known already: nothing was saved")
    expect(page.locator("#result")).to_be_focused()
    look_over(page)
    expect(result.get_by_label("What should the owner know?")).to_have_value("Asks for a test drive")
    result.get_by_role("button", name="Tell the owner").click()
    expect(page.locator(".result")).to_contain_text("Told: Ravi will hear")
    assert LeadMaster.objects.get(uid=captured.uid).repeats.get().remark == "Asks for a test drive"


def test_a_slow_answer_about_one_number_never_shows_under_another(open_page: OpenPage, cast: Cast) -> None:
    capture_lead(enquiry(phone="+919848012345"), cast.ravi)
    page = open_page("asha")
    page.goto("/add_lead")
    held: list[Route] = []
    page.route("**/add_lead/known", lambda route: held.append(route))
    number = page.get_by_role("textbox", name="Phone number")
    number.fill("98480 12345")
    page.wait_for_timeout(500)
    number.fill("98480 54321")
    page.wait_for_timeout(500)
    assert len(held) == 2
    held[1].continue_()
    expect(page.locator("#known")).to_contain_text("A new customer")
    page.unroute("**/add_lead/known")
    page.wait_for_timeout(300)
    expect(page.locator("#known")).not_to_contain_text("Ravi")


# --- When the line breaks -----------------------------------------------------------------------------------


@WIDTHS
def test_a_dropped_connection_is_said_and_tried_again_without_a_double(open_page: OpenPage, width: int) -> None:
    page = open_page("asha", width=width)
    page.goto("/add_lead")
    fill(page)

    def drop_the_answer(route: Route) -> None:
        route.fetch()
        route.abort()

    page.route("**/add_lead", drop_the_answer, times=1)
    save(page)
    expect(page.get_by_role("alert").filter(has_text="could not be reached")).to_be_visible()
    assert LeadMaster.objects.count() == 1, "the desk had it; only the answer was lost"
    expect(page.get_by_label("Customer’s name")).to_have_value("Suma Latha")
    look_over(page)
    page.get_by_role("button", name="Try again").click()
    expect(page.locator("#result")).to_contain_text("Saved before as")
    assert LeadMaster.objects.count() == 1


def test_a_busy_desk_is_said_in_its_own_words_and_everything_stays(open_page: OpenPage) -> None:
    page = open_page("asha")
    page.goto("/add_lead")
    fill(page)
    words = "<main><p data-trouble>The desk could not reach its data in time.</p></main>"
    page.route("**/add_lead", lambda route: route.fulfill(status=503, body=words), times=1)
    save(page)
    expect(page.locator("#form-trouble")).to_contain_text("could not reach its data")
    expect(page.get_by_label("Remark")).to_have_value("Call after six")
    page.keyboard.press("Enter")  # the focus is on "Try again"
    expect(page.locator("#result")).to_contain_text("Saved as")


def test_signed_out_while_typing_loses_nothing_and_saves_after_a_sign_in_elsewhere(
    open_page: OpenPage,
) -> None:
    page = open_page("asha")
    page.goto("/add_lead")
    fill(page)
    page.context.clear_cookies(name="sessionid")
    save(page)
    expect(page.locator("#form-trouble")).to_contain_text("You were signed out")
    expect(page.get_by_label("Customer’s name")).to_have_value("Suma Latha")
    other = page.context.new_page()
    sign_in(other, "asha")  # which changes the token that the waiting form holds
    page.get_by_role("button", name="Try again").click()
    expect(page.locator("#result")).to_contain_text("Saved as")
    assert LeadMaster.objects.count() == 1


# --- Without script -----------------------------------------------------------------------------------------


@WIDTHS
def test_without_script_the_form_adds_leads_and_says_what_is_wrong(open_page: OpenPage, cast: Cast, width: int) -> None:
    page = open_page("asha", width=width, script=False)
    page.goto("/add_lead")
    fill(page, name="")
    page.get_by_label("PS", exact=True).select_option(label="Kiran")
    save(page)
    expect(page.get_by_text("Type the customer’s name.")).to_be_visible()
    expect(page.get_by_role("textbox", name="Phone number")).to_have_value("98480 12345")
    expect(page.get_by_label("Sub-source")).to_have_value("Google Know")
    page.get_by_label("Customer’s name").fill("Suma Latha")
    save(page)
    expect(page.locator("#result")).to_contain_text("Saved as")
    expect(page.get_by_role("textbox", name="Phone number")).to_have_value("")
    lead = LeadMaster.objects.get()
    assert (lead.ps, lead.branch) == (cast.kiran, cast.attapur)
    page.get_by_role("link", name=lead.uid).click()
    expect(page.locator(".story")).to_contain_text("Captured from GOOGLE")
    LeadMaster.objects.update(cre=cast.ravi)
    page.goto("/add_lead")
    fill(page)
    save(page)
    page.get_by_role("button", name="Tell the owner").click()
    expect(page.get_by_role("status").filter(has_text="Told: Ravi and Kiran")).to_be_visible()


# --- Every page ---------------------------------------------------------------------------------------------
