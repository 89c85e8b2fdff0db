"""/performance_metrics: what supervisors are told of the desk's speed, and that nothing takes the page from them."""

import json
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from django.conf import settings as django_settings
from django.db import OperationalError, connection
from django.db.backends.postgresql.base import DatabaseWrapper
from django.db.migrations.recorder import MigrationRecorder
from django.test import Client
from django.utils import timezone
from redis import Redis

from accounts.models import User
from conftest import Cast
from followups.models import Kind, Outbox, State
from followups.tasks import WORKER_PROCESSES, record_waiting
from leads.tests.factories import make_lead
from performance import database, indexes, page_views, queue, timings
from performance.live_tests import TESTS
from performance.models import Optimization, SpeedReport
from performance.operations import OPERATIONS
from performance.optimize_plan import ToBuild
from performance.page_views import NAMING, NOT_READ, PARTS
from performance.queue import Number, Queue
from performance.tests.conftest import MOST_VISITS, Impostor
from performance.tests.test_my_speed import timed
from performance.timings import Timing
from performance.verdict import BAD, BOTH_AWAY, UNREAD, overall, troubles

pytestmark = pytest.mark.django_db
PAGE = "/performance_metrics"
TODO = [
    "Nobody has tried it yet.",
    "look whether the mail server takes mail.",
    "its row in the outbox names the last error.",
]
SECTIONS = ["live", "queue", *(part.name for part in PARTS)]


@pytest.fixture
def worker(quiet: None) -> Iterator[None]:
    """One has just been nudged."""
    with Redis.from_url(django_settings.REDIS_URL) as redis:
        record_waiting()
        yield
        redis.delete(WORKER_PROCESSES)


def shown(client: Client, person: User, address: str = PAGE) -> str:
    client.force_login(person)
    response = client.get(address)
    assert response.status_code == 200
    return " ".join(response.text.split())


def figures(client: Client, person: User, window: str = "minutes") -> Any:
    client.force_login(person)
    response = client.get(f"{PAGE}?window={window}", headers={"Accept": "application/json"})
    assert response.status_code == 200
    return json.loads(response.text)


def give_up(cast: Cast, **fields: Any) -> Outbox:
    lead = make_lead(cast.asha)
    return Outbox.objects.create(kind=Kind.ALERT, lead=lead, state=State.DEAD, **fields)


# --- Who may read it ------------------------------------------------------------------------------------------------
@pytest.mark.parametrize("address", [PAGE, f"{PAGE}/part/now", f"{PAGE}/part/database"])
def test_only_supervisors_read_it(client: Client, cast: Cast, quiet: None, address: str) -> None:
    assert client.get(address).status_code == 302
    for person in [cast.asha, cast.kiran, cast.head, cast.reception]:
        client.force_login(person)
        assert client.get(address).status_code == 403
    assert shown(client, cast.meera, address)
    assert client.post(address).status_code == 405


def test_programs_are_refused_in_json(client: Client, cast: Cast, quiet: None) -> None:
    wanted = {"Accept": "application/json"}
    assert client.get(PAGE, headers=wanted).status_code == 401
    client.force_login(cast.asha)
    refused = client.get(PAGE, headers=wanted)
    assert (refused.status_code, refused.json()["success"]) == (403, False)


def test_supervisors_find_it_and_others_are_not_shown_the_way(client: Client, cast: Cast, quiet: None) -> None:
    link = f'href="{PAGE}"'
    assert link in shown(client, cast.meera, "/my_speed")
    assert link in shown(client, cast.meera, "/admin/")
    assert link not in shown(client, cast.asha, "/my_speed")


def test_a_part_that_is_not_there_is_not_found(client: Client, cast: Cast, quiet: None) -> None:
    client.force_login(cast.meera)
    assert client.get(f"{PAGE}/part/nothing").status_code == 404


# --- What it says ---------------------------------------------------------------------------------------------------
def test_every_section_has_its_place_and_is_read(client: Client, cast: Cast, worker: None) -> None:
    page = shown(client, cast.meera)
    for section in SECTIONS:
        assert f'href="#{section}"' in page
        assert f'id="{section}"' in page
    assert NOT_READ not in page
    assert "could not be read" not in page


def test_all_is_well_in_one_sentence(client: Client, cast: Cast, worker: None) -> None:
    timed("capture", 4, times=20)
    page = shown(client, cast.meera)
    assert "The desk is fast right now." in page
    assert "As agreed" in page
    assert "Slower than agreed</strong>" not in page
    assert "What is wrong, and what to do" not in page


def test_a_broken_budget_is_red_in_words_with_what_to_do(client: Client, cast: Cast, worker: None) -> None:
    timed("capture", 180, times=20)
    timed("search", 4, times=1000)
    page = shown(client, cast.meera)
    assert "The desk is fast right now, but one thing is slower than agreed: Saving a lead." in page
    assert "What is wrong, and what to do" in page
    row = page[page.index("<code>capture</code>") :][:600]
    assert "Slower than agreed" in row
    assert "agreed 50 ms" in row


def test_several_slow_operations_are_one_trouble(client: Client, cast: Cast, worker: None) -> None:
    timed("capture", 180, times=20)
    timed("update", 180, times=20)
    timed("search", 4, times=1000)
    assert "Some things are slower than agreed: Saving a lead, Saving an update." in shown(client, cast.meera)


def test_a_missing_index_is_said_on_top_until_it_is_there(client: Client, cast: Cast, worker: None) -> None:
    name = "idx_lead_master_cre_name"
    with connection.cursor() as cursor:
        cursor.execute(f"DROP INDEX {name}")
        page = shown(client, cast.meera)
        assert "but an index is missing or broken." in page
        again = page.split(f'hx-get="{PAGE}/part/now')[1].split('"')[0].replace("&amp;", "&")
        told = shown(client, cast.meera, f"{PAGE}/part/now{again}")
        assert "but an index is missing or broken." in told
        assert "data-say" not in told
        cursor.execute(indexes.expected()[name].create.replace(" CONCURRENTLY", ""))
        told = shown(client, cast.meera, f"{PAGE}/part/now{again}")
    assert "missing or broken" not in told
    assert "data-say" in told


def without(index: str) -> None:
    with connection.cursor() as cursor:
        cursor.execute(f"DROP INDEX {index}")


def test_where_migrations_wait_they_are_what_to_do_about_a_missing_index(
    client: Client, cast: Cast, worker: None
) -> None:
    without("idx_lead_master_cre_name")
    MigrationRecorder(connection).record_unapplied("performance", "0001_initial")
    page = shown(client, cast.meera)
    assert "but an index is missing or broken." in page
    assert "on the server, run “manage.py migrate”." in page
    assert "Apply the optimizations, beside" not in page


def test_while_the_database_is_put_in_order_nobody_is_told_to_ask_for_it(
    client: Client, cast: Cast, worker: None
) -> None:
    without("idx_lead_master_cre_name")
    job = Optimization.objects.create(asked_by=cast.meera)
    page = shown(client, cast.meera)
    assert "but an index is missing or broken." in page
    assert "is under way: let it end." in page
    assert "Apply the optimizations, beside" not in page
    job.delete()
    assert "Apply the optimizations, beside" in shown(client, cast.meera)


def test_one_slow_answer_of_a_few_is_no_trouble(client: Client, cast: Cast, worker: None) -> None:
    timed("capture", 180, times=2)
    timed("search", 4, times=1000)
    assert "What is wrong, and what to do" not in shown(client, cast.meera)


@pytest.mark.parametrize(
    ("milliseconds", "outcome", "words"),
    [(400, timings.OK, "The desk is slow right now."), (4, timings.FAILED, "The desk is in trouble.")],
)
def test_a_slow_desk_and_a_failing_one_are_called_so(
    client: Client, cast: Cast, worker: None, milliseconds: float, outcome: str, words: str
) -> None:
    timed("capture", milliseconds, outcome=outcome, times=20)
    assert words in shown(client, cast.meera)


def test_a_silent_worker_is_the_first_thing_said(client: Client, cast: Cast, quiet: None) -> None:
    give_up(cast)
    timed("capture", 4, times=20)
    with Redis.from_url(django_settings.REDIS_URL) as redis:
        redis.zadd(WORKER_PROCESSES, {"here 1": time.time() - 42})
        page = shown(client, cast.meera)
        again = page.split(f'hx-get="{PAGE}/part/now')[1].split('"')[0].replace("&amp;", "&")
        redis.zadd(WORKER_PROCESSES, {"here 1": time.time() - 47})
        assert "data-say" not in shown(client, cast.meera, f"{PAGE}/part/now{again}")
        redis.delete(WORKER_PROCESSES)
    assert "The desk is fast right now, but no worker has shown itself for more than 10 seconds." in page
    assert "no sign of a worker for 42 s" in page
    assert "systemctl restart lead-desk-worker" in page
    assert "Silent" in page


def test_what_was_given_up_is_shown_with_the_way_to_send_it_again(client: Client, cast: Cast, worker: None) -> None:
    row = give_up(cast, last_error="<script>alert(1)</script> 550", tries=30)
    page = shown(client, cast.meera)
    assert "but one piece of work was given up by the workers." in page
    assert "&lt;script&gt;alert(1)&lt;/script&gt; 550" in page
    address = f"/admin/followups/outbox/?state__exact=dead&amp;q={row.lead.uid}"
    assert f'href="{address}"' in page
    assert "Send again what was given up" in shown(client, cast.meera, address.replace("&amp;", "&"))


@pytest.mark.parametrize(
    ("kind", "tries", "todo"),
    [
        (Kind.ALERT, 0, "Nobody has tried it yet."),
        (Kind.ALERT, 2, "look whether the mail server takes mail."),
        (Kind.ATTEMPT, 0, "Nobody has tried it yet."),
        (Kind.ATTEMPT, 2, "its row in the outbox names the last error."),
    ],
)
def test_work_that_waits_for_too_long_comes_with_what_to_do(
    client: Client, cast: Cast, worker: None, kind: Kind, tries: int, todo: str
) -> None:
    at = timezone.now() - timedelta(minutes=6)
    Outbox.objects.create(kind=kind, lead=make_lead(cast.asha), created_at=at, tries=tries)
    page = shown(client, cast.meera)
    assert "but work has been waiting for too long: " in page
    assert [words for words in TODO if words in page] == [todo]


def test_several_that_were_given_up_are_counted(client: Client, cast: Cast, worker: None) -> None:
    for _ in range(3):
        give_up(cast)
    assert "but 3 pieces of work were given up by the workers." in shown(client, cast.meera)


def test_what_open_pages_ask_by_themselves_stands_among_what_nobody_waits_for(
    client: Client, cast: Cast, worker: None
) -> None:
    timed("news", 400, times=300)
    timed("capture", 180, outcome=timings.FAILED, times=6)
    told = figures(client, cast.meera)["live"]
    assert (told["answers"], told["over_budget"], told["failed"]) == (6, 6, 6)
    assert told["operations"]["news"]["count"] == 300
    page = shown(client, cast.meera)
    assert page.index("Behind the scenes: nobody waits for these") < page.index("<code>news</code>")
    assert "100.0 %" in page.split("<dt>Slower than agreed</dt>")[1].split("</div>")[0]
    assert "slower than agreed: Open pages" not in page


def test_rows_are_told_a_call(client: Client, cast: Cast, worker: None) -> None:
    timings.record(Timing(time.time(), OPERATIONS["search"], 0.004, 1, 0.001, 0, 0, timings.OK, rows=1200))
    timed("search", 4)
    row = shown(client, cast.meera).split("<code>search</code>")[1].split("</tr>")[0]
    assert 'data-label="Rows">600.0</td>' in row
    assert figures(client, cast.meera)["live"]["operations"]["search"]["rows"] == 1200


@pytest.mark.parametrize("window", ["minutes", "hour", "day"])
def test_each_window_is_shown_and_kept_by_what_refreshes_the_page(
    client: Client, cast: Cast, worker: None, window: str
) -> None:
    timed("capture", 4, times=3)
    page = shown(client, cast.meera, f"{PAGE}?window={window}")
    assert page.count('aria-current="true"') == 1
    assert f"part/now?window={window}&amp;seen=" in page
    assert figures(client, cast.meera, window)["live"]["operations"]["capture"]["count"] == 3


def test_an_unknown_window_is_the_last_five_minutes(client: Client, cast: Cast, quiet: None) -> None:
    assert figures(client, cast.meera, "century")["live"]["window"] == "minutes"


def test_a_new_verdict_is_said_aloud_and_the_same_one_is_not(client: Client, cast: Cast, worker: None) -> None:
    timed("capture", 4, times=20)
    page = shown(client, cast.meera)
    again = page.split(f'hx-get="{PAGE}/part/now')[1].split('"')[0].replace("&amp;", "&")
    assert "data-say" not in shown(client, cast.meera, f"{PAGE}/part/now{again}")
    timed("capture", 400, times=20)
    told = shown(client, cast.meera, f"{PAGE}/part/now{again}")
    assert 'data-say="The desk is slow right now."' in told
    assert told.count("hx-swap-oob") == 2


def test_the_page_costs_as_many_statements_for_much_as_for_little(client: Client, cast: Cast, worker: None) -> None:
    def cost(address: str) -> str:
        client.get(address)
        return str(client.get(address)["Server-Timing"].split('desc="')[1].split('"')[0])

    client.force_login(cast.meera)
    addresses = [PAGE, f"{PAGE}/part/now", f"{PAGE}/part/charts", f"{PAGE}/part/reports"]

    def fill(rows: int) -> None:
        for name in OPERATIONS:
            timed(name, 4, cast.asha, times=rows)
        for _ in range(rows):
            give_up(cast)
            SpeedReport.objects.create(by=cast.asha, verdict="Slow.")

    fill(2)
    before = [cost(address) for address in addresses]
    fill(48)
    assert [cost(address) for address in addresses] == before


def test_its_own_polls_and_tools_are_nobodys_wait(client: Client, cast: Cast, quiet: None) -> None:
    shown(client, cast.meera, f"{PAGE}/part/now")
    job = Optimization.objects.create(asked_by=cast.meera)
    shown(client, cast.meera, f"{PAGE}/jobs/{job.pk}")
    assert client.post("/api/clear_cache", {"cache": "top_five"}).status_code == 200
    timings.flush()
    assert timings.figures("minutes") == {}
    assert timings.own(cast.meera.pk) == []
    shown(client, cast.meera)
    timings.flush()
    assert timings.figures("minutes")["performance_page"].count == 1
    assert client.post("/api/apply_database_optimizations", {"dry_run": "1"}).status_code < 300
    timings.flush()
    found = timings.figures("minutes")
    assert (list(found), found["performance_page"].count) == (["performance_page"], 2)


# --- When something cannot be read ----------------------------------------------------------------------------------
def broken(*_: object, **__: object) -> Any:
    raise RuntimeError("planted")


@pytest.mark.parametrize("name", [part.name for part in PARTS])
def test_a_part_that_fails_says_so_and_takes_no_other_along(
    client: Client, cast: Cast, worker: None, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    parts = [replace(part, read=broken) if part.name == name else part for part in PARTS]
    monkeypatch.setattr(page_views, "PARTS", parts)
    page = shown(client, cast.meera)
    assert page.count(NOT_READ) == 1
    assert NOT_READ in page[page.index(f'id="{name}-body"') :].split("</section>")[0]
    assert NOT_READ in shown(client, cast.meera, f"{PAGE}/part/{name}")
    told = figures(client, cast.meera)
    assert told.get(name) == (None if name in NAMING else {"error": NOT_READ})
    assert "operations" in told["live"]


def test_a_template_that_fails_takes_no_other_part_along(
    client: Client, cast: Cast, worker: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    parts = [replace(PARTS[0], template="performance/_not_there.html"), *PARTS[1:]]
    monkeypatch.setattr(page_views, "PARTS", parts)
    assert shown(client, cast.meera).count(NOT_READ) == 1


def test_the_catalogues_are_read_once_for_the_whole_page(
    client: Client, cast: Cast, worker: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    looks: list[None] = []
    real = database.report

    def counted() -> database.Report:
        looks.append(None)
        return real()

    monkeypatch.setattr(database, "report", counted)
    shown(client, cast.meera)
    assert len(looks) == 1
    figures(client, cast.meera)
    assert len(looks) == 2


def test_the_queue_and_the_charts_fail_alone(
    client: Client, cast: Cast, worker: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    timed("capture", 4, times=20)
    monkeypatch.setattr(queue, "state", broken)
    monkeypatch.setattr(page_views, "pictures", broken)
    page = shown(client, cast.meera)
    assert page.count(NOT_READ) == 2
    assert "As agreed" in page
    assert figures(client, cast.meera)["queue"] == {"error": NOT_READ}


@pytest.mark.django_db(transaction=True)
def test_without_the_database_nothing_is_called_well(
    client: Client, cast: Cast, worker: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refused(*_: object) -> None:
        raise OperationalError("connection to server failed")

    shown(client, cast.meera)  # what is kept of the session and of its person is what the page can be read with
    connection.close()
    with monkeypatch.context() as away:
        away.setattr(DatabaseWrapper, "connect", refused)
        page = client.get(PAGE).text
        told = json.loads(client.get(PAGE, headers={"Accept": "application/json"}).text)
    assert "The desk is quiet, but the database could not be read." in page
    assert "While PostgreSQL is away no lead can be saved" in page
    assert told["verdict"]["kind"] == BAD
    assert told["troubles"][0]["bad"] is True


@pytest.mark.parametrize("unread", ["queue", "indexes"])
def test_what_cannot_be_read_of_the_database_is_the_first_thing_said(unread: str) -> None:
    read: dict[str, Any] = {"queue": None, "indexes": ToBuild(0)}
    if unread == "indexes":
        read = {"queue": Queue([], Number(0), Number(0), [], "", None, None), "indexes": None}
    wrong = troubles({}, **read)
    assert wrong[0] == UNREAD
    assert (overall({}, wrong).kind, overall(None, troubles(None, **read))) == (BAD, BOTH_AWAY)


@pytest.mark.parametrize("words", [None, b"HTTP/1.1 400 Bad Request\r\n\r\n"], ids=["hangs", "answers nonsense"])
def test_a_redis_that_fails_delays_the_page_once_and_leaves_the_rest_readable(
    client: Client, cast: Cast, impostor: Callable[[bytes | None], Impostor], words: bytes | None
) -> None:
    give_up(cast, last_error="550 no such mailbox")
    standing = impostor(words)
    page = shown(client, cast.meera)
    assert standing.visits <= MOST_VISITS
    assert "The desk cannot say at the moment." in page
    assert "Redis, which keeps the figures, does not answer" in page
    assert "550 no such mailbox" in page
    assert "lead_master" in page
    assert "Redis does not answer.</strong> Look whether it runs." in page


def test_a_redis_that_refuses_leaves_the_rest_readable(
    client: Client, cast: Cast, impostor: Callable[[bytes | None], Impostor]
) -> None:
    impostor(None).close()
    page = shown(client, cast.meera)
    assert "The desk cannot say at the moment." in page
    assert "lead_master" in page


# --- For a support ticket -------------------------------------------------------------------------------------------
def test_programs_get_all_figures_and_nobody_is_named_in_them(client: Client, cast: Cast, worker: None) -> None:
    timed("capture", 4, cast.asha, times=20)
    give_up(cast, last_error="550 kavya@example.com")
    SpeedReport.objects.create(by=cast.asha, words="Kavya Reddy waited", verdict="Slow.")
    Optimization.objects.create(asked_by=cast.meera)
    for test in TESTS:
        client.force_login(cast.meera)
        assert client.post(f"{PAGE}/test", {"test": test, "rounds": "1"}).status_code == 200
    told = figures(client, cast.meera)
    assert set(told) >= {"at", "verdict", "live", "queue", "caches", "database", "optimize", "tests"}
    assert [len(one["runs"]) for one in told["tests"]["live_tests"]] == [1] * len(TESTS)
    assert "reports" not in told
    assert told["live"]["operations"]["capture"]["p95_ms"] < 5
    assert told["live"]["operations"]["capture"]["within_budget"] is True
    assert told["queue"]["dead"] == 1
    whole = json.dumps(told).lower()
    for name in ["asha", "meera", "kavya", "ramesh", "example.com"]:
        assert name not in whole, name


def test_the_figures_can_be_kept_as_a_file(client: Client, cast: Cast, quiet: None) -> None:
    client.force_login(cast.meera)
    response = client.get(f"{PAGE}?download=1")
    assert response["Content-Type"] == "application/json"
    today = f"{timezone.localtime():%Y%m%d}"
    assert response["Content-Disposition"].startswith(f'attachment; filename="lead-desk-figures-{today}')
    assert json.loads(response.text)["live"]["window"] == "minutes"


# --- Reports from colleagues ----------------------------------------------------------------------------------------
def test_what_colleagues_reported_is_shown_with_the_figures_of_its_moment(
    client: Client, cast: Cast, quiet: None
) -> None:
    cast.asha.name = "<b>Asha</b>"
    cast.asha.save()
    SpeedReport.objects.create(
        by=cast.asha, words="Search <i>hangs</i>", verdict="The desk is slow right now.", own=["Search: once, 900 ms"]
    )
    page = shown(client, cast.meera)
    assert "&lt;b&gt;Asha&lt;/b&gt;" in page
    assert "Search &lt;i&gt;hangs&lt;/i&gt;" in page
    assert "Search: once, 900 ms" in page
    assert "<b>Asha</b>" not in page
