"""What all pages share: they are light, open to everybody, quick to the keyboard, and lose nothing that was typed."""

import gzip
import re
from dataclasses import dataclass
from typing import Any

import pytest
from django.conf import settings
from django.template.loader import render_to_string
from django.test import Client, RequestFactory
from django.utils import timezone
from playwright.sync_api import Page, Response, Route, expect

from accounts.tests.test_unsaved import post_form
from conftest import PASSWORD, Cast
from crm.tests.conftest import OpenPage, enter, look_over, sign_in
from leads.capture import Captured
from leads.models import LeadMaster
from leads.services import capture_lead, tell_owner
from leads.tests.factories import enquiry, make_lead

pytestmark = [pytest.mark.browser, pytest.mark.django_db(transaction=True)]
HOSTILE = "<script>alert(1)</script>" + "Nagarjuna" * 8
HEAVIEST = 150_000  # bytes, compressed, with everything a page loads


# --- Every page -----------------------------------------------------------------------------------------------------


@dataclass
class Load:
    """What a page has asked for: the bytes it took, and the hosts."""

    weight: int
    hosts: set[str]


def watch(page: Page) -> list[Response]:
    """The answers that `page` will get, none of them from its own cache."""
    session = page.context.new_cdp_session(page)
    session.send("Network.enable")
    session.send("Network.setCacheDisabled", {"cacheDisabled": True})
    answers: list[Response] = []
    page.on("response", lambda answer: answers.append(answer))
    return answers


def weighed(answers: list[Response]) -> Load:
    """Static files are weighed as whitenoise has compressed them, pages as they came."""
    weight, hosts = 0, set()
    for answer in answers:
        hosts.add(answer.url.split("/")[2])
        body = answer.body() if answer.status not in (204, 302, 304) else b""
        if "/static/" not in answer.url and len(body) > 2000:
            assert answer.headers.get("content-encoding") == "gzip", answer.url
        weight += len(gzip.compress(body, 9))
    return Load(weight, hosts)


def has_its_parts(page: Page) -> None:
    """What a screen reader finds its way by."""
    assert page.locator("h1").count() == 1, page.url
    assert page.locator("main").count() == 1
    assert page.locator("header.top").count() == 1
    nameless = page.eval_on_selector_all(
        "input:not([type=hidden]), select, textarea",
        """all => all.filter(one => !one.labels.length && !one.ariaLabel && !one.getAttribute("aria-labelledby"))
                      .map(one => one.outerHTML)""",
    )
    assert nameless == [], page.url
    titles = page.title()
    assert re.fullmatch(r".+ · Lead desk", titles), titles


def has_a_skip_link(page: Page) -> None:
    skip = page.locator(".skip")
    skip.focus()
    expect(skip).to_be_in_viewport()
    page.keyboard.press("Enter")
    expect(page.locator("main")).to_be_focused()


def in_every_light(page: Page) -> None:
    """Wide and narrow, light and dark: all of axe's rules at either width, in the dark the colours alone."""
    for width in (1280, 390):
        page.set_viewport_size({"width": width, "height": 844})
        page.emulate_media(color_scheme="light", reduced_motion="reduce")
        look_over(page)
        page.emulate_media(color_scheme="dark")
        look_over(page, "color-contrast")


def in_full(page: Page, path: str, answers: list[Response]) -> None:
    page.set_viewport_size({"width": 1280, "height": 844})
    page.goto("about:blank")  # so that the page before asks for nothing more
    answers.clear()
    page.goto(path)
    has_its_parts(page)
    has_a_skip_link(page)
    in_every_light(page)
    load = weighed(answers)
    assert load.weight < HEAVIEST, f"{path} weighs {load.weight} bytes"
    assert load.hosts == {page.url.split("/")[2]}, path
    if page.locator("details.menu").count():
        page.locator("details.menu summary").click()
        look_over(page, "color-contrast")


@dataclass
class Desk:
    """Leads in the state that each page shows most in."""

    fresh: LeadMaster
    given: LeadMaster
    closed: LeadMaster


@pytest.fixture
def desk(cast: Cast) -> Desk:
    def captured(**fields: Any) -> LeadMaster:
        answer: Captured = capture_lead(enquiry(**fields), cast.asha)
        return LeadMaster.objects.get(uid=answer.uid)

    desk = Desk(
        fresh=captured(phone="+919848012301", customer_name=HOSTILE),
        given=captured(
            phone="+919848012302",
            customer_name=HOSTILE,
            branch_id=cast.attapur.pk,
            ps_id=cast.kiran.pk,
            remark="y" * 300,
        ),
        closed=make_lead(
            cast.asha,
            final_status="Lost",
            lead_status="Not Interested",
            lost_reason="Not Interested",
            lost_at=timezone.now(),
        ),
    )
    make_lead(cast.asha, customer_name=HOSTILE, branch=cast.attapur, pipeline="walk-in", first_remark="x" * 300)
    for known in [desk.fresh, desk.given]:
        tell_owner(uid=known.uid, phone=known.customer_mobile_number, remark="z" * 300, actor=cast.ravi)
    return desk


PAGES = {
    "": ["/login", "/nowhere"],
    "asha": [
        "/cre_dashboard",
        "/cre_dashboard?tab=pending",
        "/cre_dashboard?tab=lost",
        "/cre_dashboard?tab=repeats",
        "/cre_analytics",
        "/update_lead/{fresh}?call=1",
        "/update_lead/{given}",
        "/update_lead/{closed}",
        "/add_lead",
        "/lead/{fresh}",
        "/lead/{given}",
        "/search?q=Ramesh",
        "/search?q=98480 12345",
        "/password",
        "/my_speed",
        "/ps_dashboard",
        "/nowhere",
    ],
    "kiran": [
        "/ps_dashboard",
        "/ps_analytics",
        "/my_speed",
        "/accept/{given}",
        "/update_ps_lead/{given}",
        "/lead/{given}",
    ],
    "latha": ["/ps_dashboard", "/ps_analytics", "/accept/{given}"],
    "ravi": ["/cre_dashboard"],
    "head": ["/branch_head_dashboard"],
    "reception": ["/rec_dashboard"],
    "meera": [
        "/update_lead/{given}",
        "/lead/{closed}",
        "/lead/{closed}/reopen",
        "/performance_metrics",
        "/performance_metrics?window=day",
    ],
}


@pytest.mark.parametrize("who", PAGES, ids=[who or "nobody" for who in PAGES])
def test_every_page_is_light_within_the_window_and_open_to_everybody(
    open_page: OpenPage, cast: Cast, desk: Desk, who: str
) -> None:
    page = open_page(person=getattr(cast, who) if who else None)
    answers = watch(page)
    for path in PAGES[who]:
        in_full(page, path.format(fresh=desk.fresh.uid, given=desk.given.uid, closed=desk.closed.uid), answers)


@pytest.mark.parametrize("width", [1024, 861, 320])
def test_what_is_widest_fits_a_tablet_and_a_small_phone(
    open_page: OpenPage, cast: Cast, desk: Desk, width: int
) -> None:
    for person, path in (
        (cast.head, "/branch_head_dashboard"),
        (cast.asha, "/cre_analytics"),
        (cast.kiran, "/ps_analytics"),
    ):
        page = open_page(person=person, width=width)
        page.goto(path)
        look_over(page, "color-contrast")


def test_pages_of_trouble_are_open_to_everybody_too(open_page: OpenPage, client: Client, cast: Cast) -> None:
    asked = post_form(client)
    shown = {
        "signed-out": asked.text,
        "500": render_to_string("500.html"),
        **{
            str(status): render_to_string(
                "trouble.html", {"message": "Words.", "status": status}, RequestFactory().get("/")
            )
            for status in (401, 403, 429, 503)
        },
    }
    page = open_page()

    def show(route: Route) -> None:
        route.fulfill(body=shown[route.request.url.rsplit("/", 1)[1]], content_type="text/html")

    page.route("**/shown/*", show)
    for name in shown:
        page.goto(f"/shown/{name}")
        assert page.locator("h1").count() == page.locator("main").count() == 1, name
        in_every_light(page)


# --- What was typed -------------------------------------------------------------------------------------------------


def fill(page: Page, name: str = "Suma Latha") -> None:
    page.get_by_role("textbox", name="Phone number").fill("98480 12345")
    page.get_by_label("Customer’s name").fill(name)
    page.get_by_label("Sub-source").select_option("Google Know")
    page.get_by_label("How did the call go?").select_option("RNR")
    page.get_by_label("Remark").fill("Call after six")


def end_session(page: Page) -> None:
    page.context.clear_cookies(name=settings.SESSION_COOKIE_NAME)


def type_sign_in(page: Page, who: str) -> None:
    page.get_by_label("Username").fill(who)
    page.get_by_label("Password").fill(PASSWORD)
    page.get_by_role("button", name="Sign in").click()


def kept_in(page: Page) -> list[str]:
    found: list[str] = page.evaluate("Object.keys(sessionStorage).filter(key => key.startsWith('desk-typed:'))")
    return found


def test_signed_out_in_a_form_one_comes_back_to_it_filled_in_and_saves_it_once(open_page: OpenPage, cast: Cast) -> None:
    page = open_page(person=cast.asha)
    page.goto("/add_lead")
    fill(page)
    end_session(page)
    page.get_by_role("button", name="Save lead").click()
    trouble = page.locator("#form-trouble")
    expect(trouble).to_contain_text("You were signed out")
    expect(trouble.get_by_role("link", name="Sign in")).to_be_focused()
    look_over(page)
    page.get_by_label("Remark").fill("Call after seven")
    trouble.get_by_role("link", name="Sign in").click()
    type_sign_in(page, "asha")
    page.wait_for_url("**/add_lead")
    expect(page.get_by_text("What you had typed is back: save it again.").first).to_be_visible()
    expect(page.get_by_role("button", name="Save lead")).to_be_focused()
    expect(page.get_by_role("textbox", name="Phone number")).to_have_value("98480 12345")
    expect(page.get_by_label("Source", exact=True)).to_have_value("GOOGLE")
    expect(page.get_by_label("Sub-source")).to_have_value("Google Know")
    expect(page.get_by_label("Remark")).to_have_value("Call after seven")
    look_over(page)
    page.keyboard.press("Enter")
    expect(page.locator("#result")).to_contain_text("Saved as")
    assert LeadMaster.objects.get().first_remark == "Call after seven"
    assert kept_in(page) == []
    page.reload()
    expect(page.get_by_role("textbox", name="Phone number")).to_have_value("")


def test_what_one_had_typed_is_not_shown_to_whoever_signs_in_next(open_page: OpenPage, cast: Cast) -> None:
    page = open_page(person=cast.asha)
    page.goto("/add_lead")
    fill(page)
    end_session(page)
    page.get_by_role("button", name="Save lead").click()
    page.get_by_role("link", name="Sign in").click()
    type_sign_in(page, "ravi")
    page.wait_for_url("**/add_lead")
    expect(page.get_by_role("textbox", name="Phone number")).to_have_value("")
    assert kept_in(page) == []
    assert page.get_by_text("is back").count() == 0


def test_a_page_that_waits_beside_another_persons_sign_in_saves_nothing_in_their_name(
    open_page: OpenPage, cast: Cast
) -> None:
    page = open_page(person=cast.asha)
    page.goto("/add_lead")
    fill(page)
    end_session(page)
    sign_in(page.context.new_page(), "ravi")
    page.get_by_role("button", name="Save lead").click()
    expect(page.locator("#form-trouble")).to_contain_text("You are signed in as Ravi now")
    assert LeadMaster.objects.count() == 0
    expect(page.get_by_label("Customer’s name")).to_have_value("Suma Latha")


def test_what_is_back_can_be_dropped_or_cleared(open_page: OpenPage, cast: Cast) -> None:
    for away in ["Drop it", "Clear"]:
        page = open_page(person=cast.asha)
        page.goto("/add_lead")
        fill(page)
        end_session(page)
        page.get_by_role("button", name="Save lead").click()
        expect(page.locator("#form-trouble")).to_be_visible()
        enter(page, cast.asha, page.url)
        page.goto("/add_lead")
        expect(page.get_by_label("Customer’s name")).to_have_value("Suma Latha")
        page.get_by_role("button" if away == "Drop it" else "link", name=away).click()
        expect(page.get_by_label("Customer’s name")).to_have_value("")
        assert kept_in(page) == []


def test_where_the_browser_keeps_nothing_the_sign_in_opens_beside_the_form(open_page: OpenPage, cast: Cast) -> None:
    page = open_page(person=cast.asha)
    page.add_init_script(
        "delete window.sessionStorage; Object.defineProperty(window, 'sessionStorage', {get() { throw 1; }})"
    )
    page.goto("/add_lead")
    fill(page)
    end_session(page)
    page.get_by_role("button", name="Save lead").click()
    link = page.locator("#form-trouble").get_by_role("link", name="Sign in")
    expect(link).to_have_attribute("target", "_blank")
    expect(page.locator("#form-trouble")).to_contain_text("in the new tab")


def test_an_update_comes_back_after_the_sign_in_as_well(open_page: OpenPage, cast: Cast, desk: Desk) -> None:
    page = open_page(person=cast.asha)
    page.goto(f"/update_lead/{desk.given.uid}")
    page.get_by_label("Remark").fill("Wants the black one")
    page.locator("details.corrections summary").click()
    page.get_by_label("Customer’s name").fill("Suma Latha")
    end_session(page)
    page.get_by_role("button", name="Save", exact=True).click()
    page.locator(".form-trouble").get_by_role("link", name="Sign in").click()
    type_sign_in(page, "asha")
    page.wait_for_url("**/update_lead/*")
    expect(page.get_by_text("What you had typed is back: save it again.").first).to_be_visible()
    expect(page.get_by_role("button", name="Save", exact=True)).to_be_focused()
    expect(page.get_by_label("Remark")).to_have_value("Wants the black one")
    expect(page.get_by_label("Customer’s name")).to_be_visible()
    page.keyboard.press("Enter")
    expect(page.locator(".work-form")).to_have_count(0)
    desk.given.refresh_from_db()
    assert desk.given.customer_name == "Suma Latha"
    assert kept_in(page) == []


def test_without_script_what_was_typed_comes_back_as_well(open_page: OpenPage, cast: Cast) -> None:
    page = open_page("asha", script=False)
    page.goto("/add_lead")
    page.get_by_label("Source", exact=True).select_option("GOOGLE")
    fill(page)
    end_session(page)
    page.get_by_role("button", name="Save lead").click()
    expect(page.get_by_text("It is kept")).to_be_visible()
    type_sign_in(page, "asha")
    page.get_by_role("button", name="Back to what I had typed").click()
    expect(page.get_by_text("What you had typed is back")).to_be_visible()
    expect(page.get_by_label("Customer’s name")).to_have_value("Suma Latha")
    expect(page.get_by_label("Sub-source")).to_have_value("Google Know")
    expect(page.get_by_role("button", name="Save lead")).to_be_focused()
    assert LeadMaster.objects.count() == 0
    page.get_by_role("button", name="Save lead").click()
    expect(page.locator("#result")).to_contain_text("Saved as")
    assert LeadMaster.objects.count() == 1


# --- The keyboard ---------------------------------------------------------------------------------------------------


def test_keys_search_go_home_add_a_lead_and_list_themselves(open_page: OpenPage, cast: Cast) -> None:
    page = open_page(person=cast.asha)
    page.goto("/cre_dashboard")
    keys = page.keyboard
    keys.press("?")
    shown = page.get_by_role("dialog", name="Keyboard")
    expect(shown).to_be_visible()
    expect(shown).to_contain_text("Search")
    look_over(page)
    page.emulate_media(color_scheme="dark")
    look_over(page)
    keys.press("a")
    expect(shown).to_be_visible()  # nothing happens behind an open dialog
    keys.press("Escape")
    expect(shown).to_be_hidden()
    keys.press("/")
    expect(page.locator("#search")).to_be_focused()
    keys.press("a")
    expect(page.locator("#search")).to_have_value("a")
    page.locator("#search").blur()
    keys.press("Control+h")
    keys.press("Shift+A")
    assert page.url.endswith("/cre_dashboard")
    keys.press("a")
    page.wait_for_url("**/add_lead")
    page.locator("main").focus()
    keys.press("h")
    page.wait_for_url("**/cre_dashboard")


def test_a_key_goes_to_how_the_call_went(open_page: OpenPage, cast: Cast, desk: Desk) -> None:
    for person, address in ((cast.asha, "update_lead"), (cast.kiran, "update_ps_lead")):
        page = open_page(person=person)
        page.goto(f"/{address}/{desk.given.uid}")
        page.keyboard.press("?")
        expect(page.get_by_role("dialog", name="Keyboard")).to_contain_text("How did the call go?")
        page.keyboard.press("Escape")
        page.keyboard.press("o")
        outcome = page.get_by_label("How did the call go?")
        expect(outcome).to_be_focused()
        expect(outcome).to_have_value("")


def test_without_script_no_button_shows_a_key(open_page: OpenPage, cast: Cast, desk: Desk) -> None:
    for script in (True, False):
        page = open_page(person=cast.asha, script=script)
        for path in ("/cre_dashboard", f"/update_lead/{desk.given.uid}"):
            page.goto(path)
            expect(page.locator(".button kbd").first).to_be_visible(visible=script)


def test_keys_walk_the_rows_and_enter_opens_one(open_page: OpenPage, cast: Cast) -> None:
    leads = [make_lead(cast.asha) for _ in range(3)][::-1]
    page = open_page(person=cast.asha)
    page.goto("/cre_dashboard")
    links = page.locator("[data-row-link], .list .customer")
    expect(links).to_have_count(3)
    page.keyboard.press("ArrowDown")
    expect(links.first).not_to_be_focused()  # outside a list, arrows scroll as ever
    for key, row in [("j", 0), ("j", 1), ("ArrowDown", 2), ("j", 2), ("k", 1), ("ArrowUp", 0)]:
        page.keyboard.press(key)
        expect(links.nth(row)).to_be_focused()
    assert {lead.customer_name for lead in leads} == set(links.all_text_contents())
    page.keyboard.press("Enter")
    page.wait_for_url("**/lead/*")


@pytest.mark.parametrize("blocked", [False, True], ids=["kept", "storage blocked"])
def test_single_keys_can_be_turned_off(open_page: OpenPage, cast: Cast, *, blocked: bool) -> None:
    page = open_page(person=cast.asha)
    if blocked:
        page.add_init_script("Object.defineProperty(window, 'localStorage', {get() { throw 1; }})")
    page.goto("/cre_dashboard")
    hint = page.get_by_role("button", name="Keyboard")
    shown = page.get_by_role("dialog", name="Keyboard")
    hint.click()
    shown.get_by_label("Single keys do this").uncheck()
    shown.get_by_role("button", name="Close").click()
    page.keyboard.press("?")
    page.keyboard.press("a")
    page.wait_for_timeout(100)
    expect(shown).to_be_hidden()
    assert page.url.endswith("/cre_dashboard")
    page.reload()
    page.keyboard.press("?")
    expect(shown).to_be_visible(visible=blocked)
    if not blocked:
        hint.click()
        shown.get_by_label("Single keys do this").check()
        shown.get_by_role("button", name="Close").click()
        page.keyboard.press("?")
        expect(shown).to_be_visible()


# --- While the desk is at work --------------------------------------------------------------------------------------


def test_a_page_on_its_way_shows_the_bar_after_a_moment(open_page: OpenPage, cast: Cast) -> None:
    page = open_page(person=cast.asha)
    page.goto("/cre_dashboard")
    page.evaluate(
        """addEventListener("pagehide", () => {
            const bar = document.getElementById("busy");
            const { animationName, animationDelay } = getComputedStyle(bar);
            sessionStorage.setItem("bar", [bar.className, animationName, animationDelay]);
        })"""
    )
    assert page.locator("#busy").evaluate("bar => getComputedStyle(bar).animationName") == "none"
    page.get_by_role("navigation").get_by_role("link", name="Add lead").click()
    page.wait_for_url("**/add_lead")
    assert page.evaluate("sessionStorage.getItem('bar')") == "busy leaving,work,0.15s"
    page.go_back()
    expect(page.locator("#busy")).to_have_class("busy")


def test_a_plain_form_is_posted_once_however_often_it_is_pressed(open_page: OpenPage, cast: Cast) -> None:
    page = open_page(person=cast.asha)
    page.goto("/cre_dashboard")
    pressed = page.evaluate(
        """() => {
            const seen = [], button = document.querySelector(".menu-panel button");
            addEventListener("submit", (event) => seen.push(event.defaultPrevented));
            button.click();
            button.click();
            return [...seen, button.getAttribute("aria-busy")];
        }"""
    )
    assert pressed == [False, True, "true"]
    page.wait_for_url("**/login")


def test_what_a_page_asks_for_itself_shows_the_same_bar(open_page: OpenPage, cast: Cast) -> None:
    page = open_page(person=cast.asha)
    page.goto("/add_lead")
    fill(page)
    held: list[Route] = []
    page.route("**/add_lead", lambda route: held.append(route))
    save = page.get_by_role("button", name="Save lead")
    save.click(no_wait_after=True)
    expect(page.locator("#busy")).to_have_class(re.compile("htmx-request"))
    expect(page.locator(".save")).to_be_disabled()
    held[0].continue_()
    expect(page.locator("#result")).to_contain_text("Saved as")
    expect(page.locator("#busy")).not_to_have_class(re.compile("htmx-request"))


# --- On paper -------------------------------------------------------------------------------------------------------


def test_a_lead_prints_as_a_clean_sheet(open_page: OpenPage, cast: Cast, desk: Desk) -> None:
    page = open_page(person=cast.asha)
    page.goto(f"/lead/{desk.given.uid}")
    page.emulate_media(media="print", color_scheme="dark")
    for left_out in page.locator("header.top, .skip, #trouble, .keys-hint, main button, main form").all():
        expect(left_out).to_be_hidden()
    expect(page.locator("h1")).to_be_visible()
    expect(page.locator("#call")).to_contain_text("98480 12302")
    expect(page.locator(".facts")).to_be_visible()
    expect(page.locator(".story")).to_be_visible()
    colours = page.evaluate("[getComputedStyle(document.body).color, getComputedStyle(document.body).backgroundColor]")
    assert colours == ["rgb(0, 0, 0)", "rgb(255, 255, 255)"]
    assert page.locator("#call").evaluate("call => getComputedStyle(call).color") == "rgb(0, 0, 0)"


def test_a_list_prints_as_a_table(open_page: OpenPage, cast: Cast, desk: Desk) -> None:
    page = open_page(person=cast.asha, width=680)  # what A4 leaves between its margins
    page.goto("/cre_dashboard")
    page.emulate_media(media="print")
    expect(page.locator(".list thead")).to_be_visible()
    assert page.locator(".list tbody tr").first.evaluate("row => getComputedStyle(row).display") == "table-row"
    assert page.evaluate("document.documentElement.scrollWidth") <= 680
