"""The address of the live tests: who may, what it answers to whom, and what it looks like."""

import re
import threading
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import Any

import pytest
from django.contrib.messages import get_messages
from django.db import connection
from django.template.loader import render_to_string
from django.test import Client

from conftest import Cast
from performance import live_tests, timings
from performance.live_test_panels import overview
from performance.live_tests import TESTS
from performance.live_work import Part
from performance.models import LiveTest
from performance.operations import OPERATIONS

ADDRESS = "/performance_metrics/test"
HTML = {"Accept": "text/html,application/xhtml+xml"}
HTMX = {"HX-Request": "true", **HTML}
pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def _patient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Fast enough, however slow the machine is at the moment."""
    for limit in ("LOCK_MILLISECONDS", "STATEMENT_MILLISECONDS"):
        monkeypatch.setattr(live_tests, limit, 60_000)
    monkeypatch.setattr(live_tests, "LONGEST_SECONDS", 1e9)
    for name in ("capture", "duplicate_check", "cre_dashboard", "ps_dashboard"):
        monkeypatch.setitem(OPERATIONS, name, replace(OPERATIONS[name], budget=1e9))


@pytest.fixture
def meera(cast: Cast, client: Client) -> Client:
    client.force_login(cast.meera)
    return client


def logged(caplog: pytest.LogCaptureFixture, event: str) -> list[dict[str, Any]]:
    return [record.msg for record in caplog.records if isinstance(record.msg, dict) and record.msg["event"] == event]


# --- Who may ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("who", ["asha", "kiran", "head", "reception"])
def test_only_supervisors_may(who: str, cast: Cast, client: Client) -> None:
    client.force_login(getattr(cast, who))
    response = client.post(ADDRESS, {"test": "capture"})
    assert (response.status_code, response.json()["success"]) == (403, False)
    assert not LiveTest.objects.exists()


def test_who_is_not_signed_in_is_told_so(client: Client) -> None:
    assert client.post(ADDRESS, {"test": "capture"}).status_code == 401


@pytest.mark.parametrize("method", ["get", "head", "put", "delete"])
def test_it_takes_posts_only(method: str, meera: Client) -> None:
    response = getattr(meera, method)(ADDRESS)
    assert response.status_code == 405
    assert response["Allow"] == "POST"


def test_a_form_of_another_site_is_refused(cast: Cast) -> None:
    strict = Client(enforce_csrf_checks=True)
    strict.force_login(cast.meera)
    assert strict.post(ADDRESS, {"test": "capture"}).status_code == 403
    assert not LiveTest.objects.exists()


# --- What it answers --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", list(TESTS))
def test_a_program_gets_what_was_found_as_json(
    name: str, cast: Cast, meera: Client, caplog: pytest.LogCaptureFixture
) -> None:
    response = meera.post(ADDRESS, {"test": name, "rounds": "3"})
    answer = response.json()
    assert response.status_code == 200
    assert (answer["success"], answer["verdict"], answer["test"], answer["rounds"]) == (True, "fast", name, 3)
    assert answer["message"].startswith(f"{TESTS[name].words}: As fast as agreed.")
    assert answer["result"] == LiveTest.objects.get().result
    assert re.fullmatch(r"\d+\.\d{3}s", answer["execution_time"])
    (begun,), (done,) = logged(caplog, "live test begins"), logged(caplog, "live test done")
    assert (begun["test"], begun["rounds"], begun["by"]) == (name, 3, cast.meera.pk)
    assert (done["test"], done["verdict"], done["by"]) == (name, "fast", cast.meera.pk)


def test_twenty_rounds_are_usual(meera: Client) -> None:
    assert meera.post(ADDRESS, {"test": "duplicate_check"}).json()["rounds"] == 20


@pytest.mark.parametrize(
    ("sent", "words"),
    [
        ({}, "Choose a test."),
        ({"test": "everything"}, "There is no such test."),
        ({"test": "capture", "rounds": "0"}, "between 1 and 100 rounds"),
        ({"test": "capture", "rounds": "101"}, "between 1 and 100 rounds"),
        ({"test": "capture", "rounds": "-1"}, "between 1 and 100 rounds"),
        ({"test": "capture", "rounds": "many"}, "between 1 and 100 rounds"),
        ({"test": "capture", "rounds": "9" * 400}, "between 1 and 100 rounds"),
        ({"test": "capture", "rounds": "1.5"}, "between 1 and 100 rounds"),
        ({"test": "cap\x00ture"}, "There is no such test."),
    ],
)
def test_what_cannot_be_read_is_422_in_words(sent: dict[str, str], words: str, meera: Client) -> None:
    response = meera.post(ADDRESS, sent)
    assert response.status_code == 422
    assert words in response.json()["message"]
    assert not LiveTest.objects.exists()
    assert meera.post(ADDRESS, sent, headers=HTMX).status_code == 422 or sent.get("test") not in TESTS


def test_the_page_gets_the_panel_anew(meera: Client, cast: Cast) -> None:
    response = meera.post(ADDRESS, {"test": "duplicate_check", "rounds": "2"}, headers=HTMX)
    page = response.content.decode()
    assert response.status_code == 200
    assert page.count("<section") == 1
    assert 'id="live-test-duplicate_check"' in page
    assert 'data-say="Test duplicate check: As fast as agreed.' in page
    assert "What it left behind: nothing" in page
    assert "Meera" in page
    assert " style=" not in page


def test_the_page_is_told_in_its_panel_what_it_may_not_ask(meera: Client) -> None:
    response = meera.post(ADDRESS, {"test": "capture", "rounds": "1000"}, headers=HTMX)
    assert response.status_code == 422
    assert "Choose between 1 and 100 rounds." in response.content.decode()


def test_without_a_script_one_comes_back_to_the_page_with_a_message(meera: Client) -> None:
    response = meera.post(ADDRESS, {"test": "capture", "rounds": "2"}, headers=HTML)
    assert response.status_code == 303
    assert response["Location"] == "/performance_metrics#live-test-capture"
    (message,) = get_messages(response.wsgi_request)
    assert "Test lead creation: As fast as agreed." in str(message)
    refused = meera.post(ADDRESS, {"test": "nothing"}, headers=HTML)
    assert (refused.status_code, refused["Location"]) == (303, "/performance_metrics")


def test_a_test_that_cannot_be_carried_out_is_an_answer_and_no_error(cast: Cast, meera: Client) -> None:
    type(cast.asha).objects.filter(role="cre").update(is_active=False)
    answer = meera.post(ADDRESS, {"test": "capture"}).json()
    assert (answer["success"], answer["verdict"]) == (False, "failed")
    assert "There is no active CRE yet" in answer["message"]
    page = meera.post(ADDRESS, {"test": "capture"}, headers=HTMX).content.decode()
    assert "There is no active CRE yet" in page


def test_a_test_is_not_among_the_timings(meera: Client, quiet: None) -> None:
    timings._waiting.clear()
    meera.post(ADDRESS, {"test": "capture", "rounds": "2"})
    assert not timings._waiting


@pytest.mark.django_db(transaction=True)
def test_of_two_at_once_one_is_told_to_wait(
    cast: Cast, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    answered = threading.Event()
    part = Part(OPERATIONS["cre_dashboard"], "Waits", lambda: answered.wait(10))
    monkeypatch.setitem(TESTS, "dashboard", replace(TESTS["dashboard"], parts=lambda: [part]))
    clients = [Client(), Client()]
    for one in clients:
        one.force_login(cast.meera)
    ready = threading.Barrier(2, timeout=20)

    def post(client: Client) -> tuple[int, str]:
        try:
            connection.ensure_connection()
            ready.wait()
            response = client.post(ADDRESS, {"test": "dashboard", "rounds": "1"})
            return response.status_code, response.json()["message"]
        finally:
            answered.set()
            connection.close()

    with ThreadPoolExecutor(2) as threads:
        (first, _), (second, words) = sorted(threads.map(post, clients))
    assert (first, second) == (200, 409)
    assert words.startswith("Another live test is under way")
    assert LiveTest.objects.count() == 1
    assert len(logged(caplog, "live test refused: another one runs")) == 1


# --- What it looks like -----------------------------------------------------------------------------------------


def rendered(cast: Cast) -> str:
    return render_to_string("performance/_live_tests.html", {"live_tests": overview(), "user": cast.meera})


def test_a_desk_that_was_never_tested_says_what_to_do(cast: Cast) -> None:
    page = rendered(cast)
    assert page.count("Nobody has run this test yet.") == 3
    assert page.count('action="/performance_metrics/test"') == 3
    assert page.count("Is it safe to run these while people work?") == 1
    for name in TESTS:
        assert f'<label for="live-test-{name}-rounds">' in page


def test_the_page_shows_a_slow_run_in_words_and_in_red(cast: Cast, monkeypatch: pytest.MonkeyPatch) -> None:
    part = Part(replace(OPERATIONS["duplicate_check"], budget=1), "Planted", lambda: threading.Event().wait(0.01))
    monkeypatch.setitem(TESTS, "duplicate_check", replace(TESTS["duplicate_check"], parts=lambda: [part]))
    live_tests.run("duplicate_check", 2, cast.meera)
    page = rendered(cast)
    assert "Slower than agreed." in page
    assert 'class="live-found slow"' in page
    assert "takes longer than agreed" in page
    assert 'class="live-bar slow"' in page


def test_the_page_shows_a_big_table_that_was_read_whole(cast: Cast) -> None:
    run = live_tests.run("duplicate_check", 2, cast.meera)
    run.result["ways"] = [{"table": "lead_master", "indexes": [], "whole": True, "pages": 40_000, "big": True}]
    run.result["warnings"] = ["PostgreSQL reads the whole table (sequential scan of lead_master)."]
    run.save()
    page = rendered(cast)
    assert "(sequential scan of lead_master)" in page
    assert '<strong class="live-late">sequential scan</strong>' in page


def test_a_name_that_looks_like_html_stays_a_name(cast: Cast) -> None:
    type(cast.meera).objects.filter(pk=cast.meera.pk).update(name="<b>Meera</b>")
    cast.meera.refresh_from_db()
    live_tests.run("duplicate_check", 2, cast.meera)
    assert "&lt;b&gt;Meera" in rendered(cast)
