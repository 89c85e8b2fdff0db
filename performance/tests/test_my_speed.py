"""/my_speed: what a person is told about the desk's speed, and their own."""

import time
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from django.test import Client
from django.utils import timezone

from accounts.models import User
from conftest import Cast
from performance import timings
from performance.models import SpeedReport
from performance.operations import OPERATIONS
from performance.tests.conftest import Impostor
from performance.timings import Timing

pytestmark = pytest.mark.django_db


def timed(
    name: str, milliseconds: float, person: User | None = None, outcome: str = timings.OK, times: int = 1
) -> None:
    for _ in range(times):
        timings.record(
            Timing(
                time.time(),
                OPERATIONS[name],
                milliseconds / 1000,
                1,
                0,
                0,
                0,
                outcome,
                person=person.pk if person else None,
            )
        )
    timings.flush()


def shown(client: Client, person: User) -> str:
    client.force_login(person)
    response = client.get("/my_speed")
    assert response.status_code == 200
    return " ".join(response.text.split())


def test_one_sees_ones_own_times_against_their_budgets_and_nobody_elses(
    client: Client, cast: Cast, quiet: None
) -> None:
    timed("capture", 4, cast.asha, times=9)
    timed("capture", 400, cast.asha)
    timed("ps_dashboard", 30, cast.kiran)
    page = shown(client, cast.asha)
    assert "1 of 10 late" in page
    assert "Saving a lead: 10 times, typically 4 ms, slowest 400 ms, agreed 50 ms, late 1" in page
    assert "PS’s dashboard" not in page
    assert "In time" in shown(client, cast.kiran)


@pytest.mark.parametrize(
    ("name", "milliseconds", "outcome", "words"),
    [
        ("capture", 4, timings.OK, "The desk is fast right now."),
        ("capture", 400, timings.OK, "The desk is slow right now."),
        ("capture", 4, timings.FAILED, "The desk is in trouble."),
        ("capture", 4, timings.REFUSED, "The desk is fast right now."),
        ("mail", 60_000, timings.OK, "The desk is quiet."),
        ("news", 400, timings.OK, "The desk is quiet."),
    ],
)
def test_the_verdict_follows_what_people_waited_for(
    client: Client, cast: Cast, quiet: None, name: str, milliseconds: float, outcome: str, words: str
) -> None:
    timed(name, milliseconds, outcome=outcome, times=20)
    assert words in shown(client, cast.kiran)


def test_one_late_answer_in_twenty_is_not_called_slow(client: Client, cast: Cast, quiet: None) -> None:
    timed("capture", 4, times=57)
    timed("capture", 400, times=3)
    assert "The desk is fast right now." in shown(client, cast.head)
    timed("capture", 400)
    assert "The desk is slow right now." in shown(client, cast.head)


@pytest.mark.parametrize(
    ("milliseconds", "outcome", "few", "words"),
    [(400, timings.OK, 2, "The desk is slow right now."), (4, timings.FAILED, 1, "The desk is in trouble.")],
)
def test_of_few_answers_nothing_bad_is_concluded(
    client: Client, cast: Cast, quiet: None, milliseconds: float, outcome: str, few: int, words: str
) -> None:
    timed("capture", milliseconds, outcome=outcome, times=few)
    page = shown(client, cast.head)
    assert "The desk is quiet." in page
    assert "Too few were late or failed to judge by that." in page
    timed("capture", milliseconds, outcome=outcome)
    assert words in shown(client, cast.head)


@pytest.mark.parametrize(
    ("milliseconds", "outcome", "words"),
    [(2000, timings.OK, "The desk is slow right now."), (4, timings.FAILED, "The desk is in trouble.")],
)
def test_what_open_pages_ask_by_themselves_does_not_hide_what_people_wait_for(
    client: Client, cast: Cast, quiet: None, milliseconds: float, outcome: str, words: str
) -> None:
    timed("news", 4, times=300)
    timed("capture", milliseconds, outcome=outcome, times=6)
    page = shown(client, cast.kiran)
    assert words in page
    assert "of 6 answers" in page


def test_who_has_done_nothing_yet_is_told_what_to_do(client: Client, cast: Cast, quiet: None) -> None:
    assert "Nothing of yours was timed" in shown(client, cast.reception)


# --- Report a problem -----------------------------------------------------------------------------------------------
def report(client: Client, person: User, words: str = "Searching for a number.") -> Any:
    client.force_login(person)
    return client.post("/my_speed", {"words": words})


def test_a_report_takes_the_figures_along_and_is_thanked_for(client: Client, cast: Cast, quiet: None) -> None:
    timed("search", 4, cast.asha, times=19)
    timed("search", 400, cast.asha)
    timed("capture", 4, cast.ravi)
    assert report(client, cast.asha).status_code == 302
    assert "Your report is with the supervisors" in shown(client, cast.asha)
    kept = SpeedReport.objects.get()
    assert (kept.by, kept.words) == (cast.asha, "Searching for a number.")
    assert kept.verdict.startswith("The desk is fast right now. 20 of 21 answers")
    assert kept.own == ["Search: 20 times, typically 4 ms, slowest 400 ms, agreed 150 ms, late 1"]
    assert [line.split(":")[0] for line in kept.desk] == ["Saving a lead", "Search"]
    assert "late 1, failed 0" in kept.desk[1]


def test_a_report_needs_no_words(client: Client, cast: Cast, quiet: None) -> None:
    assert report(client, cast.kiran, "").status_code == 302
    assert SpeedReport.objects.get().words == ""


def test_a_double_click_reports_once(client: Client, cast: Cast, quiet: None) -> None:
    for _ in range(3):
        assert report(client, cast.asha).status_code == 302
    assert report(client, cast.ravi).status_code == 302
    assert SpeedReport.objects.count() == 2


def test_who_has_more_to_say_keeps_the_words_until_a_minute_has_passed(client: Client, cast: Cast, quiet: None) -> None:
    report(client, cast.asha)
    soon = report(client, cast.asha, "And now the dashboard too.")
    assert soon.status_code == 429
    assert "less than a minute ago" in soon.text
    assert "And now the dashboard too.</textarea>" in soon.text
    SpeedReport.objects.update(at=timezone.now() - timedelta(seconds=61))
    assert report(client, cast.asha, "And now the dashboard too.").status_code == 302
    assert SpeedReport.objects.count() == 2


def test_a_report_that_is_too_long_keeps_what_was_typed(client: Client, cast: Cast, quiet: None) -> None:
    long = report(client, cast.asha, "x" * 501)
    assert long.status_code == 422
    assert "Write at most 500 characters." in long.text
    assert "x" * 501 in long.text
    assert not SpeedReport.objects.exists()


def test_a_report_can_be_sent_while_the_figures_cannot_be_read(
    client: Client, cast: Cast, impostor: Callable[[bytes | None], Impostor]
) -> None:
    impostor(None)
    assert report(client, cast.asha).status_code == 302
    kept = SpeedReport.objects.get()
    assert (kept.own, kept.desk) == ([], [])
    assert "cannot say" in kept.verdict


def test_only_who_is_signed_in_reports_and_only_from_the_form(cast: Cast, quiet: None) -> None:
    strict = Client(enforce_csrf_checks=True)
    assert strict.post("/my_speed", {"words": "x"}).status_code == 302
    strict.force_login(cast.asha)
    assert strict.post("/my_speed", {"words": "x"}).status_code == 403
    assert strict.delete("/my_speed").status_code == 403
    assert not SpeedReport.objects.exists()


def test_a_mail_with_the_figures_can_be_written_to_the_active_supervisors_too(
    client: Client, cast: Cast, quiet: None
) -> None:
    timed("capture", 4, cast.asha)
    page = shown(client, cast.asha)
    assert 'href="mailto:meera@example.com?subject=The%20lead%20desk%20is%20slow&amp;body=' in page
    assert "Saving%20a%20lead%3A%20once" in page
    cast.meera.is_active = False
    cast.meera.save()
    assert "mailto:" not in shown(client, cast.asha)


def test_without_redis_the_page_says_that_it_cannot_tell(
    client: Client, cast: Cast, impostor: Callable[[bytes | None], Impostor]
) -> None:
    standing = impostor(None)
    assert "cannot say at the moment" in shown(client, cast.asha)
    assert "cannot say at the moment" in shown(client, cast.asha)
    assert standing.visits == 1


def test_the_page_costs_as_many_statements_for_much_as_for_little(client: Client, cast: Cast, quiet: None) -> None:
    def cost() -> str:
        client.get("/my_speed")
        return str(client.get("/my_speed")["Server-Timing"].split('desc="')[1].split('"')[0])

    client.force_login(cast.asha)
    before = cost()
    for name in OPERATIONS:
        timed(name, 4, cast.asha, times=5)
    assert cost() == before
