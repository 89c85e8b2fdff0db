"""An hour of a CRE, with the keyboard alone, and an hour of a PS, on a phone; and two people on one lead."""

from datetime import timedelta
from typing import Any

import pytest
from django.utils import timezone
from playwright.sync_api import Page, expect

from conftest import Cast
from crm.tests.conftest import OpenPage, look_over
from followups.models import CallAttempt, PSFollowup
from followups.recorder import record_waiting
from leads.models import LeadChange, LeadMaster
from leads.services import capture_lead
from leads.tests.factories import enquiry, make_lead

pytestmark = [pytest.mark.browser, pytest.mark.django_db(transaction=True)]


def choose(page: Page, label: str, typed: str) -> None:
    """With the keyboard: to the field, and the beginning of what is wanted."""
    page.get_by_label(label, exact=True).focus()
    page.keyboard.type(typed)


def heading(page: Page) -> str:
    return page.get_by_role("heading", level=1).inner_text()


def test_a_cres_hour_by_keyboard_alone(open_page: OpenPage, cast: Cast) -> None:
    now = timezone.now()
    earlier = {"last_attempt_at": now - timedelta(hours=3), "follow_up_at": now - timedelta(hours=1)}
    make_lead(cast.asha, customer_name="Promised Call", lead_status="Call me Back", **earlier)
    make_lead(cast.asha, customer_name="Newly Arrived")
    make_lead(customer_name="Nobodys Yet", created_at=now - timedelta(days=1))
    page = open_page("asha")
    expect(page.get_by_role("heading", level=1)).to_have_text("My leads")

    # The promise first: nobody answers, one key saves it and opens the next.
    page.keyboard.press("n")
    expect(page.get_by_role("heading", level=1)).to_have_text("Promised Call")
    look_over(page)
    page.keyboard.press("1")
    expect(page.get_by_role("heading", level=1)).to_have_text("Newly Arrived")
    expect(page.get_by_text("Promised Call: saved, RNR.")).to_be_visible()

    # The new one is interested: what is missing is said at its fields, and then it goes to a PS.
    choose(page, "How did the call go?", "Interested")
    page.keyboard.press("Control+Enter")
    expect(page.get_by_text("“Interested” needs the model.")).to_be_visible()
    expect(page.get_by_label("Category", exact=True)).to_be_focused()
    choose(page, "Category", "Hot")
    page.keyboard.press("Tab")
    page.keyboard.type("450 Apex")
    page.keyboard.press("Tab")
    page.keyboard.type("ATT")
    page.keyboard.press("Tab")
    page.keyboard.type("Kiran")
    page.keyboard.press("Control+Enter")
    expect(page.get_by_role("heading", level=1)).to_have_text("Nobodys Yet")
    expect(page.get_by_text("Kiran gets an e-mail.")).to_be_visible()

    # A lead that nobody owned is hers now. It is a wrong number.
    choose(page, "How did the call go?", "Wrong")
    page.keyboard.press("Control+Enter")
    expect(page.get_by_text("Nothing needs a call right now.")).to_be_visible()
    expect(page.get_by_role("heading", level=1)).to_have_text("My leads")
    look_over(page)

    # The help knows the keys of the page; a customer who calls again is known, and the call goes to the open lead.
    page.keyboard.press("?")
    expect(page.get_by_role("dialog")).to_contain_text("Next call")
    page.keyboard.press("Escape")
    page.keyboard.press("a")
    arrived = LeadMaster.objects.get(customer_name="Newly Arrived")
    page.get_by_label("Phone number", exact=True).focus()
    page.keyboard.type(arrived.customer_mobile_number)
    choose(page, "Source", "META")
    choose(page, "Sub-source", "Meta Know")
    page.get_by_label("Remark").focus()
    page.keyboard.type("Asks about the loan")
    carry = page.get_by_role("button", name="Record this call on it")
    expect(carry).to_be_visible()
    carry.focus()
    page.keyboard.press("Enter")
    expect(page.get_by_role("heading", level=1)).to_have_text("Newly Arrived")
    expect(page.get_by_label("Remark")).to_have_value("Asks about the loan")
    choose(page, "How did the call go?", "Talked")
    page.keyboard.press("Control+Enter")
    expect(page.get_by_text("saved, Talked to PS.").first).to_be_visible()
    look_over(page)

    record_waiting()
    told = CallAttempt.objects.order_by("pk").values_list("lead__customer_name", "lead_status", "call_no", "attempt")
    assert list(told) == [
        ("Promised Call", "RNR", 1, 1),
        ("Newly Arrived", "Interested", 1, 1),
        ("Nobodys Yet", "Wrong Number", 1, 1),
        ("Newly Arrived", "Talked to PS", 2, 1),
    ]
    assert LeadMaster.objects.get(customer_name="Nobodys Yet").cre == cast.asha
    assert LeadMaster.objects.filter(next_call_by__isnull=False).count() == 0


def test_a_pss_hour_on_a_phone(open_page: OpenPage, cast: Cast) -> None:
    place: dict[str, Any] = {"branch_id": cast.attapur.pk, "ps_id": cast.kiran.pk}
    uid = capture_lead(enquiry(customer_name="Suma Latha", remark="Likes the red one", **place), cast.asha).uid
    other = capture_lead(enquiry(customer_name="Vijay Kumar", **place), cast.asha).uid
    record_waiting()
    page = open_page("kiran", width=390)

    # From the mail: a page with one button.
    page.goto(f"/accept/{uid}")
    page.get_by_role("button", name="Got it").click()
    assert PSFollowup.objects.get(lead__uid=uid).accepted_at is not None

    # Two taps for a call that nobody answered.
    page.goto("/ps_dashboard")
    card = page.locator(f"#card-{other}")
    card.get_by_text("Outcome", exact=False).first.click()
    card.get_by_role("button", name="RNR").click()
    expect(page.get_by_text("saved, RNR.").first).to_be_visible()

    # The other one came for a drive: all that a CRE has recorded stands beside the form.
    page.goto(f"/update_ps_lead/{uid}")
    expect(page.locator(".story")).to_contain_text("CRE 1/1: RNR")
    look_over(page)
    page.get_by_label("How did the call go?").select_option("Test Drive")
    page.get_by_label("Test drive done").fill(f"{timezone.localtime() - timedelta(hours=1):%Y-%m-%dT%H:%M}")
    page.get_by_label("Remark").fill("Drove it round the block")
    page.get_by_role("button", name="Save", exact=True).click()
    expect(page.get_by_text("saved, Test Drive. Follow-up").first).to_be_visible()
    look_over(page)

    # And books.
    page.goto(f"/update_ps_lead/{uid}")
    expect(page.get_by_text("done on")).to_be_visible()
    page.get_by_label("How did the call go?").select_option("Booked")
    expect(page.get_by_label("Follow-up")).to_be_hidden()
    page.get_by_role("button", name="Save", exact=True).click()
    expect(page.get_by_text("The lead is Won.").first).to_be_visible()
    page.get_by_role("link", name="Back to the list").click()
    page.get_by_role("link", name="Won / Lost").click()
    expect(page.get_by_role("link", name="Suma Latha", exact=True)).to_be_visible()

    record_waiting()
    lead = LeadMaster.objects.get(uid=uid)
    assert (lead.final_status, lead.attempts, lead.test_drive_at is not None) == ("Won", 3, True)


def test_two_people_on_one_lead_see_theirs_and_mine_and_nothing_is_lost(open_page: OpenPage, cast: Cast) -> None:
    place: dict[str, Any] = {"branch_id": cast.attapur.pk, "ps_id": cast.kiran.pk}
    uid = capture_lead(enquiry(status="Interested", category="Warm", **place), cast.asha).uid
    asha = open_page("asha")
    asha.goto(f"/update_lead/{uid}")
    kiran = open_page("kiran", width=390)
    kiran.goto(f"/update_ps_lead/{uid}")

    kiran.get_by_label("Category").select_option("Hot")
    kiran.get_by_label("How did the call go?").select_option("Delayed")
    kiran.get_by_role("button", name="Save", exact=True).click()
    expect(kiran.get_by_text("saved, Delayed.").first).to_be_visible()

    asha.get_by_label("How did the call go?").select_option("Discount Issue")
    asha.get_by_label("Remark").fill("Wants two thousand off")
    asha.get_by_role("button", name="Save", exact=True).click()
    both = asha.get_by_role("alert").filter(has_text="Kiran has saved this lead meanwhile")
    expect(both).to_be_focused()
    expect(both.get_by_role("row", name="How did the call go?")).to_contain_text("Delayed")
    expect(both.get_by_role("row", name="How did the call go?")).to_contain_text("Discount Issue")
    # She had not touched the category: his stays, and hers does not undo it.
    expect(both.get_by_role("row", name="Category")).to_contain_text("theirs stays")
    expect(asha.get_by_label("Remark")).to_have_value("Wants two thousand off")
    look_over(asha)
    asha.get_by_role("button", name="Save", exact=True).click()
    expect(asha.get_by_text("saved, Discount Issue.").first).to_be_visible()
    lead = LeadMaster.objects.get(uid=uid)
    assert (lead.lead_status, lead.lead_category, lead.version) == ("Discount Issue", "Hot", 3)


@pytest.mark.parametrize("width", [1280, 390])
def test_a_supervisor_corrects_and_reopens(open_page: OpenPage, cast: Cast, width: int) -> None:
    uid = capture_lead(enquiry(status="Not Interested"), cast.asha).uid
    rival = make_lead(cast.ravi, customer_name="Another One")
    page = open_page("meera", width=width)
    page.goto(f"/lead/{uid}")
    page.get_by_role("link", name="Correct", exact=True).click()
    page.get_by_text("Correct name, phone or e-mail").click()
    page.get_by_label("Customer’s name").fill("Ramesh Kumaar")
    look_over(page)
    page.get_by_role("button", name="Save", exact=True).click()
    expect(page.locator(".result-words")).to_contain_text("saved.")
    page.get_by_role("link", name="Open the lead").click()
    page.get_by_role("link", name="Reopen").click()
    page.get_by_role("button", name="Reopen").click()
    expect(page.get_by_text("Say why: it is kept with the lead.")).to_be_visible()
    look_over(page)
    page.get_by_label("Why is it reopened?").fill("Came back to the showroom")
    page.get_by_role("button", name="Reopen").click()
    expect(page.locator(".story")).to_contain_text("Reopened: it was Lost")
    expect(page.locator(".story")).to_contain_text("Name corrected: Ramesh Kumar → Ramesh Kumaar")
    look_over(page)

    # The number of another open lead is refused, with the way to it.
    page.get_by_role("link", name="Correct", exact=True).click()
    page.get_by_text("Correct name, phone or e-mail").click()
    page.get_by_label("Phone number", exact=True).fill(rival.customer_mobile_number)
    page.get_by_role("button", name="Save", exact=True).click()
    expect(page.get_by_text("is open for this number, with Ravi")).to_be_visible()
    page.get_by_role("link", name=f"Open {rival.uid}, Another One").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("Another One")
    assert LeadChange.objects.filter(lead__uid=uid).count() == 2


def test_without_script_an_update_is_saved_and_refused_in_words(open_page: OpenPage, cast: Cast) -> None:
    lead = make_lead(cast.asha, customer_name="Suma Latha")
    page = open_page("asha", script=False, width=390)
    page.goto(f"/update_lead/{lead.uid}")
    page.get_by_label("How did the call go?").select_option("Out of Station")
    page.get_by_role("button", name="Save", exact=True).click()
    expect(page.get_by_text("“Out of Station”: Where does the customer live?")).to_be_visible()
    page.get_by_label("Why was it lost?").fill("Warangal")
    page.get_by_role("button", name="Save", exact=True).click()
    expect(page.get_by_text("Suma Latha: saved, Out of Station. The lead is Lost (Warangal).")).to_be_visible()
    assert LeadMaster.objects.get().lost_reason == "Warangal"
