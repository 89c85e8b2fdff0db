"""A supervisor puts the database in order, with and without a script, wide and narrow."""

from typing import Any

import pytest
from playwright.sync_api import expect

from conftest import Cast
from crm.tests.conftest import OpenPage, look_over
from performance import optimize_worker
from performance.tests.standing import drop, in_order, invalidate, standing

__all__ = ["in_order"]

pytestmark = [pytest.mark.browser, pytest.mark.django_db(transaction=True)]
DUE, WON = "idx_lead_cre_due", "idx_lead_cre_won"


# Some seconds each: a page looks again every two.
@pytest.mark.parametrize("width", [1280, 390])
def test_a_supervisor_sees_what_is_missing_applies_it_and_is_told_when_it_is_done(
    in_order: dict[str, Any], cast: Cast, open_page: OpenPage, width: int
) -> None:
    drop(DUE)
    invalidate(WON)
    page = open_page(person=cast.meera, width=width)
    page.goto("/performance_metrics")
    expect(page.locator("#database")).to_contain_text(
        f"Indexes that are missing, so that something reads whole tables: {DUE}."
    )
    expect(page.locator("#optimize")).to_contain_text(f"Rebuild the index {WON} on lead_master.")
    expect(page.locator("#verdict")).to_contain_text("missing or broken")
    page.get_by_role("button", name="Apply optimizations").click()
    expect(page.get_by_role("heading", name="Waiting for a worker")).to_be_focused()
    look_over(page)
    optimize_worker.look()
    # The page is loaded anew, with a verdict that knows of it.
    expect(page.get_by_role("status").filter(has_text="Done. All done:")).to_be_visible()
    expect(page.locator("#verdict")).not_to_contain_text("missing or broken")
    assert standing() == in_order
    look_over(page)
    page.get_by_role("link", name="What was done").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("Putting the database in order")
    look_over(page)


def test_it_goes_without_a_script(in_order: dict[str, Any], cast: Cast, open_page: OpenPage) -> None:
    drop(DUE)
    page = open_page(person=cast.meera, script=False)
    page.goto("/performance_metrics")
    page.get_by_role("button", name="Apply optimizations").click()
    expect(page.get_by_role("heading", name="Waiting for a worker")).to_be_visible()
    optimize_worker.look()
    page.get_by_role("link", name="Look again").click()
    expect(page.get_by_role("heading", name="Done", exact=True)).to_be_visible()
    assert standing() == in_order
