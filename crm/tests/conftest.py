"""A browser for the tests that need one: Chromium, a page of some width, and what every page must keep to."""

import os
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from axe_playwright_python.sync_playwright import Axe
from django.conf import settings
from django.core.cache import cache
from django.test import Client
from playwright.sync_api import Browser, ConsoleMessage, Page, sync_playwright
from pytest_django.live_server_helper import LiveServer

from accounts.models import User
from conftest import CHROMIUM, PASSWORD, Cast

OpenPage = Callable[..., Page]
SERIOUS = {"serious", "critical"}
AXE = Axe().axe_script


@pytest.fixture(scope="session")
def chromium() -> Iterator[Browser]:
    # Playwright keeps an event loop in this thread, and Django takes that for asynchronous code.
    os.environ["DJANGO_ALLOW_ASYNC_UNSAFE"] = "true"
    with sync_playwright() as playwright:
        arguments = ["--no-sandbox", "--disable-gpu", "--disable-background-networking"]
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=arguments)
        yield browser
        browser.close()
    del os.environ["DJANGO_ALLOW_ASYNC_UNSAFE"]


@pytest.fixture
def open_page(chromium: Browser, live_server: LiveServer, cast: Cast) -> Iterator[OpenPage]:
    """Opens a page of `width` pixels, signed in as `who` by hand or as `person` at once; what breaks fails the test."""
    cache.clear()
    broken: list[str] = []

    def hear(message: ConsoleMessage) -> None:
        if "Content Security Policy" in message.text:
            broken.append(message.text)

    def opened(who: str = "", *, person: User | None = None, width: int = 1280, script: bool = True) -> Page:
        context = chromium.new_context(
            base_url=live_server.url,
            viewport={"width": width, "height": 844},
            java_script_enabled=script,
            timezone_id="Asia/Kolkata",
        )
        context.set_default_timeout(10_000)
        page = context.new_page()
        page.on("console", hear)
        page.on("pageerror", lambda error: broken.append(str(error)))
        if who:
            sign_in(page, who)
        if person:
            enter(page, person, live_server.url)
        return page

    yield opened
    for context in chromium.contexts:
        context.close()
    assert broken == []


def sign_in(page: Page, who: str) -> None:
    page.goto("/login")
    page.get_by_label("Username").fill(who)
    page.get_by_label("Password").fill(PASSWORD)
    page.get_by_role("button", name="Sign in").click()
    page.wait_for_url(lambda address: "/login" not in address)


def enter(page: Page, person: User, address: str) -> None:
    """As after a sign-in at `address`, without the time that one takes."""
    client = Client()
    client.force_login(person)
    cookie = client.cookies[settings.SESSION_COOKIE_NAME]
    page.context.add_cookies([{"name": cookie.key, "value": cookie.value, "url": address}])


def look_over(page: Page, *rules: str) -> None:
    """Nothing sticks out sideways, and nothing keeps people with assistive technology out: `rules` of axe, or all."""
    sideways = page.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth")
    assert sideways <= 0, f"{page.url} is {sideways} pixels wider than the window"
    if not page.evaluate("'axe' in window"):
        page.evaluate(AXE)
    options: dict[str, Any] = {"resultTypes": ["violations"]}
    if rules:
        options["runOnly"] = list(rules)
    found = page.evaluate("options => axe.run(options)", options)["violations"]
    serious = [
        (rule["id"], node["html"][:200]) for rule in found if rule["impact"] in SERIOUS for node in rule["nodes"]
    ]
    assert serious == [], page.url
