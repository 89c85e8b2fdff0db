"""The page of the desk's performance in a browser: it keeps itself up to date without disturbing whoever reads it."""

import pytest
from playwright.sync_api import expect

from conftest import Cast
from crm.tests.conftest import OpenPage
from performance.models import SpeedReport
from performance.tests.conftest import quiet  # noqa: F401 - a fixture
from performance.tests.test_my_speed import timed

pytestmark = [pytest.mark.browser, pytest.mark.django_db(transaction=True)]
PATIENCE = 20_000  # milliseconds; it asks again every five seconds


@pytest.mark.usefixtures("quiet")
def test_it_refreshes_itself_and_leaves_focus_and_what_is_unfolded_alone(open_page: OpenPage, cast: Cast) -> None:
    page = open_page(person=cast.meera)
    page.goto("/performance_metrics")
    timed("search", 4, times=20)
    page.reload()
    rows = page.locator(".perf-operations code")
    expect(page.locator("#live-now")).to_contain_text("Search")
    expect(rows.get_by_text("capture", exact=True)).to_have_count(0)
    page.locator("#statements-summary").click()
    page.locator("#live").get_by_role("link", name="Last hour").focus()
    said = page.locator("#say")
    timed("capture", 400, times=40)
    expect(page.locator("#verdict")).to_contain_text("The desk is slow right now.", timeout=PATIENCE)
    expect(rows.get_by_text("capture", exact=True)).to_have_count(1)
    expect(said).to_have_text("The desk is slow right now.")
    expect(page.locator("#live").get_by_role("link", name="Last hour")).to_be_focused()
    expect(page.locator("#statements")).to_have_attribute("open", "")


@pytest.mark.usefixtures("quiet")
def test_without_script_all_of_it_is_there_and_can_be_read_again(open_page: OpenPage, cast: Cast) -> None:
    timed("search", 4, times=20)
    page = open_page("meera", script=False)
    page.goto("/performance_metrics")
    expect(page.locator("#live-now")).to_contain_text("Search")
    timed("capture", 4)
    page.get_by_role("link", name="Refresh").click()
    expect(page.locator("#live-now")).to_contain_text("Saving a lead")
    page.get_by_role("link", name="Last day").click()
    expect(page.get_by_role("link", name="Last day")).to_have_attribute("aria-current", "true")
    page.locator("#database-again").click()
    expect(page.locator("#database-body")).to_contain_text("lead_master")


@pytest.mark.usefixtures("quiet")
def test_a_part_is_read_again_in_its_place(open_page: OpenPage, cast: Cast) -> None:
    page = open_page(person=cast.meera)
    page.goto("/performance_metrics")
    expect(page.locator("#reports-body")).to_contain_text("Nobody has reported anything.")
    SpeedReport.objects.create(by=cast.asha, words="The search hangs.", verdict="The desk is slow right now.")
    again = page.locator("#reports-again")
    again.click()
    expect(page.locator("#reports-body")).to_contain_text("The search hangs.")
    expect(again).to_be_focused()


@pytest.mark.usefixtures("quiet")
def test_a_problem_is_reported_with_one_press(open_page: OpenPage, cast: Cast) -> None:
    page = open_page(person=cast.asha)
    page.goto("/my_speed")
    page.get_by_label("What were you doing").fill("Searching for a number")
    page.get_by_role("button", name="Send the report").dblclick()
    expect(page.get_by_text("Your report is with the supervisors")).to_be_visible()
    assert SpeedReport.objects.get().words == "Searching for a number"
