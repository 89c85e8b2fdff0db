"""What the desk does is timed: by all its processes together, at no cost to a request, whatever Redis does."""

import bisect
import math
import os
import subprocess
import sys
import threading
import time
import uuid
from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
from django.conf import settings as django_settings
from django.db import DatabaseError, connection, transaction
from django.test import Client
from django.urls import get_resolver
from hypothesis import given
from hypothesis import strategies as st
from redis.connection import AbstractConnection

from conftest import Cast
from crm.tests.test_project import addresses
from followups.tasks import record_waiting
from leads.capture import CAPTURE, CHECK
from leads.models import LeadMaster
from leads.tests.factories import make_lead
from leads.tests.typed import fields
from performance import operations, statements, timings
from performance.measuring import Measured
from performance.noting import _text, note
from performance.operations import OPERATIONS
from performance.statements import kind_of
from performance.tests.conftest import MOST_VISITS, Impostor, try_again
from performance.timings import BOUNDS, Timing, quantile

CHILD = """
import sys, time
from performance import timings
from performance.operations import OPERATIONS
for number in range(int(sys.argv[1])):
    timings.record(timings.Timing(time.time(), OPERATIONS["capture"], 0.004, 1, 0.001, 2, 0, timings.OK))
time.sleep(float(sys.argv[2]))
"""


def timing(seconds: float = 0.004, outcome: str = timings.OK, **more: Any) -> Timing:
    return Timing(time.time(), OPERATIONS["capture"], seconds, 1, seconds / 2, 2, 1, outcome, **more)


def child(count: int, stays: float) -> "subprocess.Popen[bytes]":
    return subprocess.Popen(
        [sys.executable, "-c", CHILD, str(count), str(stays)],
        cwd=django_settings.BASE_DIR,
        env={**os.environ, "REDIS_URL": django_settings.REDIS_URL, "DJANGO_SETTINGS_MODULE": "crm.settings"},
    )


def figures(window: str = "minutes") -> dict[str, timings.Figures]:
    timings.flush()
    return timings.figures(window)


# --- Histograms -------------------------------------------------------------------------------------------------------


def test_all_processes_count_together_and_write_their_last_when_they_end(quiet: None) -> None:
    children = [child(30, 0), child(12, 0)]
    assert [one.wait(30) for one in children] == [0, 0]
    timings.record(timing())
    for window in timings.WINDOWS:
        found = figures(window)["capture"]
        assert (found.count, found.ok, found.statements, found.hits) == (43, 43, 43, 86)
    assert timings.totals()[0]["capture"].count == 43


def test_a_process_writes_while_it_runs_so_that_a_kill_loses_no_more_than_its_last_second(quiet: None) -> None:
    running = child(5, 60)
    try:
        for _ in range(300):
            if "capture" in timings.figures("minutes"):
                break
            time.sleep(0.1)
    finally:
        running.kill()
        running.wait()
    assert timings.figures("minutes")["capture"].count == 5


def slowest_of_the_fastest(times: list[float], share: float) -> float:
    return sorted(times)[math.ceil(share * len(times)) - 1]


@given(
    times=st.lists(st.floats(min_value=0.01, max_value=60_000), min_size=1, max_size=60),
    share=st.sampled_from([0.5, 0.95, 0.99, 1.0]),
)
def test_a_quantile_lies_in_the_same_bucket_as_the_true_one(times: list[float], share: float) -> None:
    buckets = Counter(bisect.bisect_left(BOUNDS, one) for one in times)
    told = quantile(buckets, share)
    number = bisect.bisect_left(BOUNDS, slowest_of_the_fastest(times, share))
    assert told is not None
    assert (BOUNDS[number - 1] if number else 0) <= told <= BOUNDS[number] * 1.000001


def test_quantiles_come_back_from_redis_and_what_is_beyond_all_bounds_is_counted(quiet: None) -> None:
    for milliseconds in range(1, 101):
        timings.record(timing(milliseconds / 1000))
    found = figures()["capture"]
    assert found.p50 == pytest.approx(50, rel=0.2)
    assert found.p95 == pytest.approx(95, rel=0.2)
    assert found.p99 == pytest.approx(99, rel=0.2)
    assert found.over == 100 - OPERATIONS["capture"].budget
    timings.record(timing(1000))
    assert figures()["capture"].count == 101
    assert quantile(Counter(), 0.5) is None


def test_what_is_older_than_a_window_is_not_in_it(quiet: None, time_machine: Any) -> None:
    time_machine.move_to("2026-11-22 10:00:30+00:00", tick=False)
    timings.record(timing(created=True))
    timings.flush()
    seen = {}
    for words, minutes in [("at once", 0), ("soon", 5), ("later", 8), ("after an hour", 62), ("next day", 25 * 60)]:
        time_machine.move_to("2026-11-22 10:00:30+00:00", tick=False)
        time_machine.shift(minutes * 60)
        seen[words] = [window for window in timings.WINDOWS if "capture" in timings.figures(window)]
        if words == "soon":
            assert timings.leads_per_minute() == 0.2
    assert seen == {
        "at once": ["minutes", "hour", "day"],
        "soon": ["minutes", "hour", "day"],
        "later": ["hour", "day"],
        "after an hour": ["day"],
        "next day": [],
    }


def test_the_last_hours_come_in_slots_of_ten_minutes(quiet: None) -> None:
    timings.record(timing())
    timings.flush()
    slots = timings.history(6)
    assert [began % 600 for began, _ in slots] == [0] * 6
    assert [began for began, _ in slots] == sorted(began for began, _ in slots)
    assert [one["capture"].count for _, one in slots if one] == [1]


def test_every_key_of_a_slot_or_a_person_runs_out(quiet: None) -> None:
    timings.record(timing(person=7))
    timings.flush()
    redis = timings._redis(django_settings.REDIS_URL)
    left = {key: redis.ttl(key) for key in redis.scan_iter(f"{timings.PREFIX}:*")}
    assert len(left) == 4
    assert [key for key, seconds in left.items() if seconds <= 0] == [timings.TOTALS]


def test_a_person_has_their_last_fifty_newest_first(quiet: None) -> None:
    for milliseconds in range(60):
        timings.record(timing(milliseconds / 1000, person=7))
        if milliseconds % 7 == 0:
            timings.flush()
    timings.record(timing(person=8))
    timings.flush()
    assert [one.milliseconds for one in timings.own(7)] == [float(number) for number in range(59, 9, -1)]
    assert len(timings.own(8)) == 1
    assert timings._redis(django_settings.REDIS_URL).llen(timings._own_key(7)) == timings.OWN_KEPT


# --- Redis in trouble -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("words", [None, b"HTTP/1.1 400 Bad Request\r\n\r\n", b"$-7\r\n" * 9, b"+OK\r\n" * 2000, b""])
def test_a_redis_that_hangs_or_talks_nonsense_is_met_once_and_then_left_alone(
    impostor: Callable[[bytes | None], Impostor], words: bytes | None
) -> None:
    standing = impostor(words)
    for _ in range(20):
        timings.record(timing())
        timings.flush()
        with pytest.raises(timings.Away):
            timings.figures("minutes")
    assert standing.visits <= MOST_VISITS


def test_the_timings_speak_to_redis_as_the_cache_does() -> None:
    """With protocol 3, an answer that was left on a connection over TCP is taken for the next one's."""
    ours = timings._redis(django_settings.REDIS_URL).connection_pool.connection_kwargs
    caches = django_settings.CACHES["default"]["OPTIONS"]["CONNECTION_POOL_KWARGS"]
    assert {key: ours[key] for key in ("protocol", "driver_info")} == {
        key: caches[key] for key in caches if key != "retry"
    }
    assert ours["retry"].get_retries() == caches["retry"].get_retries() == 0


def test_what_redis_did_not_take_is_counted_when_it_is_back(
    impostor: Callable[[bytes | None], Impostor], settings: Any
) -> None:
    url = settings.REDIS_URL
    impostor(None)
    for _ in range(3):
        timings.record(timing())
        timings.flush()
    settings.REDIS_URL = url
    try_again()
    timings.record(timing())
    timings.flush()
    found, lost = timings.totals()
    assert (found["capture"].count, lost) == (1, 3)


def test_a_redis_that_refuses_a_command_has_answered_and_is_asked_the_next_thing(quiet: None) -> None:
    with pytest.raises(timings.Away), timings.asking() as redis:
        redis.execute_command("NONSENSE")  # type: ignore[no-untyped-call]
    timings.record(timing())
    found, lost = figures(), timings.totals()[1]
    assert (found["capture"].count, lost) == (1, 0)


def test_a_redis_that_is_not_there_breaks_nothing(quiet: None, settings: Any) -> None:
    settings.REDIS_URL = "unix:///nowhere/valkey.sock"
    try_again()
    timings.record(timing())
    timings.flush()
    with pytest.raises(timings.Away):
        timings.totals()


def test_where_no_thread_can_be_started_nothing_breaks_and_the_next_timing_tries_again(
    quiet: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    tries: list[None] = []

    def refused(_: threading.Thread) -> None:
        tries.append(None)
        raise RuntimeError("can't start new thread")

    monkeypatch.setattr(timings, "_something", threading.Event())
    monkeypatch.setattr(timings, "_writer", None)
    monkeypatch.setattr(threading.Thread, "start", refused)
    timings.record(timing())
    timings.record(timing())
    assert len(tries) == 2
    timings.flush()
    assert timings.figures("minutes")["capture"].count == 2


@pytest.mark.django_db
def test_a_request_never_meets_the_redis_of_the_timings(
    cast: Cast, client: Client, impostor: Callable[[bytes | None], Impostor]
) -> None:
    client.force_login(cast.asha)
    standing = impostor(None)
    assert client.post("/add_lead_optimized", fields()).status_code == 201
    assert len(timings._waiting) == 1
    assert standing.visits == 0


# --- Requests ---------------------------------------------------------------------------------------------------------


def sent_to_redis(monkeypatch: pytest.MonkeyPatch) -> list[None]:
    """Grows by one for each thing that is sent."""
    sent: list[None] = []
    original = AbstractConnection.send_packed_command

    def counted(self: AbstractConnection, *args: Any, **kwargs: Any) -> Any:
        sent.append(None)
        return original(self, *args, **kwargs)  # type: ignore[no-untyped-call]

    monkeypatch.setattr(AbstractConnection, "send_packed_command", counted)
    return sent


@pytest.mark.django_db(transaction=True)
def test_timing_adds_neither_a_statement_nor_a_round_trip_to_a_capture(
    cast: Cast, quiet: None, settings: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    sent = sent_to_redis(monkeypatch)
    costs = []
    for middleware in (settings.MIDDLEWARE, [one for one in settings.MIDDLEWARE if "Timings" not in one]):
        settings.MIDDLEWARE = middleware
        client = Client()
        client.force_login(cast.asha)
        assert client.post("/add_lead_optimized", fields()).status_code == 201
        sent.clear()
        response = client.post("/add_lead_optimized", fields())
        costs.append(len(sent))
        if "Server-Timing" in response:
            assert 'desc="1 statement"' in response["Server-Timing"]
            assert 'desc="2 of 2 found"' in response["Server-Timing"]
    assert costs[0] == costs[1]


@pytest.mark.django_db
def test_a_capture_is_counted_with_its_outcome_its_statement_and_its_cache(
    cast: Cast, client: Client, quiet: None
) -> None:
    client.force_login(cast.asha)
    typed = fields()
    assert [client.post("/add_lead_optimized", typed).status_code for _ in range(2)] == [201, 409]
    assert client.post("/add_lead_optimized", {}).status_code == 422
    found = figures()["capture"]
    assert (found.count, found.ok, found.refused, found.failed, found.created) == (3, 1, 2, 0, 1)
    assert found.microseconds > found.database > 0
    assert found.statements >= 2
    assert found.hits >= 4
    assert [one.operation for one in timings.own(cast.asha.pk)] == ["capture"] * 3


@pytest.mark.django_db
@pytest.mark.parametrize("address", ["/add_lead_optimized", "/add_lead"])
def test_a_form_that_arrives_again_is_one_lead_created(cast: Cast, client: Client, quiet: None, address: str) -> None:
    client.force_login(cast.asha)
    typed = fields(request_id=str(uuid.uuid4()))
    assert [client.post(address, typed).status_code for _ in range(3)] == [201, 201, 201]
    assert LeadMaster.objects.count() == 1
    found = figures()["capture"]
    assert (found.count, found.created) == (3, 1)


@pytest.mark.django_db
def test_what_fails_is_counted_as_failed(cast: Cast, quiet: None, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: Any, **__: Any) -> None:
        raise ValueError("broken")

    monkeypatch.setattr("leads.views.page", broken)
    client = Client(raise_request_exception=False)
    client.force_login(cast.head)
    assert client.get("/branch_head_dashboard").status_code == 500
    found = figures()["branch_lists"]
    assert (found.failed, found.count) == (1, 1)


@pytest.mark.django_db
def test_the_rows_that_statements_give_back_or_change_are_counted(
    cast: Cast, client: Client, quiet: None, settings: Any
) -> None:
    for _ in range(3):
        make_lead(cast.asha)
    measured = Measured()
    leads = list(LeadMaster.objects.all())
    LeadMaster.objects.filter(pk=leads[0].pk).update(customer_name="Kavya")
    assert not LeadMaster.objects.filter(pk=0).exists()
    with pytest.raises(DatabaseError), transaction.atomic(), connection.cursor() as cursor:
        cursor.execute("SELECT 1 / 0")
    measured.end()
    assert measured.rows == 3 + 1
    note(OPERATIONS["search"], measured, timings.OK)
    found = figures()["search"]
    assert (found.rows, found.statements) == (4, len(measured.statements))


# What open pages ask by themselves, and what else they ask at the same addresses.
BY_ITSELF = [
    ("asha", "/cre_dashboard/news?tab=pending&seen=x"),
    ("kiran", "/ps_dashboard?tab=today&seen=x"),
    ("asha", "/lead/{uid}?seen=x"),
]
BY_ITS_PERSON = [
    ("asha", "/cre_dashboard?tab=pending&seen=x", {}, "cre_dashboard"),
    ("kiran", "/ps_dashboard?tab=today&seen=x", {}, "ps_dashboard"),
    ("kiran", "/ps_dashboard?tab=today", {"HX-Request": "true"}, "ps_dashboard"),
    ("asha", "/lead/{uid}", {"HX-Request": "true"}, "lead_page"),
    ("asha", "/search?q=ra&seen=x", {"HX-Request": "true"}, "search"),
]


@pytest.mark.django_db
@pytest.mark.parametrize(("who", "address"), BY_ITSELF)
def test_what_an_open_page_asks_by_itself_is_counted_apart_and_is_nobodys_wait(
    cast: Cast, client: Client, quiet: None, who: str, address: str
) -> None:
    client.force_login(getattr(cast, who))
    address = address.format(uid=make_lead(cast.asha).uid)
    for _ in range(3):
        assert client.get(address, headers={"HX-Request": "true"}).status_code == 200
    found = figures()
    assert list(found) == ["news"]
    assert found["news"].count == 3
    assert timings.own(getattr(cast, who).pk) == []
    assert not OPERATIONS["news"].waited_for


@pytest.mark.django_db
@pytest.mark.parametrize(("who", "address", "headers", "operation"), BY_ITS_PERSON)
def test_what_a_person_asks_at_the_same_address_is_their_wait(
    cast: Cast, client: Client, quiet: None, who: str, address: str, headers: dict[str, str], operation: str
) -> None:
    client.force_login(getattr(cast, who))
    client.get(address.format(uid=make_lead(cast.asha).uid), headers=headers)
    assert list(figures()) == [operation]
    assert [one.operation for one in timings.own(getattr(cast, who).pk)] == [operation]


@pytest.mark.django_db
def test_a_desk_that_is_opened_with_last_times_filters_is_counted_once(cast: Cast, client: Client, quiet: None) -> None:
    client.force_login(cast.asha)
    client.get("/cre_dashboard?tab=pending&category=Hot")
    assert client.get("/cre_dashboard", follow=True).redirect_chain
    assert figures()["cre_dashboard"].count == 2


def test_every_template_that_asks_by_itself_is_known_to_the_table_of_operations() -> None:
    """A new one belongs into POLLING or UNTIMED of performance.operations, or hides what people wait for."""
    templates = django_settings.BASE_DIR / "templates"
    found = {str(one.relative_to(templates)) for one in templates.rglob("*.html") if "data-poll" in one.read_text()}
    assert found == {
        "followups/_ps_desk.html",  # POLLING
        "leads/_lead.html",
        "leads/_board_live.html",  # an address of its own: "news"
        "performance/_charts.html",  # UNTIMED
        "performance/_job.html",
        "performance/_live.html",
    }


@pytest.mark.django_db
def test_health_checks_static_files_and_unknown_addresses_are_not_timed(client: Client, quiet: None) -> None:
    for path in ("/healthz", "/readyz", "/metrics", "/nowhere", "/static/desk/desk.css"):
        client.get(path).close()
    assert figures() == {}


@pytest.mark.django_db
def test_server_timing_is_for_who_is_signed_in(cast: Cast, client: Client) -> None:
    assert "Server-Timing" not in client.get("/login")
    assert "Server-Timing" not in client.get("/healthz")
    client.force_login(cast.asha)
    told = client.get("/cre_dashboard")["Server-Timing"]
    assert told.startswith("total;dur=")
    assert "statements" in told


def test_every_address_of_the_table_is_one_and_every_other_was_left_out_on_purpose() -> None:
    patterns = dict(addresses(get_resolver().url_patterns))
    names = {pattern.name for pattern in patterns.values()}
    timed = {name for name, _ in operations._ADDRESSES}
    assert timed <= names
    assert names >= operations.UNTIMED | operations.POLLING
    assert set(operations._ADDRESSES.values()) <= set(OPERATIONS)
    assert "home" in names - timed
    assert operations.of_address("leads_leadmaster_change", "admin", "GET") == OPERATIONS["admin"]
    assert operations.of_address("lead", "", "HEAD") == OPERATIONS["lead_page"]
    assert operations.of_address("home", "", "GET") == OPERATIONS["other"]


@pytest.mark.django_db
def test_a_workers_round_is_timed(quiet: None) -> None:
    record_waiting.apply()
    found = figures()["record"]
    assert (found.count, found.ok) == (1, 1)
    assert found.statements >= 1


# --- The log ----------------------------------------------------------------------------------------------------------


def slow_lines(caplog: pytest.LogCaptureFixture) -> list[dict[str, Any]]:
    return [record.msg for record in caplog.records if isinstance(record.msg, dict) and record.msg["event"] == "slow"]


@pytest.mark.django_db(transaction=True)
def test_a_slow_request_is_one_line_with_its_statements_and_nothing_about_people(
    cast: Cast, client: Client, quiet: None, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    for name in ("capture", "search", "lead_page"):
        monkeypatch.setitem(OPERATIONS, name, replace(OPERATIONS[name], budget=0))
    client.force_login(cast.asha)
    client.post("/add_lead_optimized", fields())  # fills what the process keeps
    caplog.clear()
    typed = fields(remark="Wants the black one")
    assert client.post("/add_lead_optimized", typed).status_code == 201
    lead = LeadMaster.objects.latest("pk")
    assert client.get(f"/lead/{lead.uid}").status_code == 200
    assert client.get("/search", {"q": lead.customer_mobile_number}).status_code in (200, 302)
    assert client.get("/search", {"q": lead.customer_name}).status_code in (200, 302)
    lines = slow_lines(caplog)
    assert [line["operation"] for line in lines] == ["capture", "lead_page", "search", "search"]
    assert lines[0]["statements"] == len(lines[0]["slowest"]) == 1
    assert "lead_master" in lines[0]["slowest"][0]["sql"]
    assert 'SELECT … FROM "lead_master"' in lines[2]["slowest"][0]["sql"]
    assert all(line["milliseconds"] > line["budget"] for line in lines)
    for secret in (
        lead.uid,
        lead.customer_name,
        lead.customer_name.split()[0],
        lead.customer_mobile_number,
        lead.customer_mobile_number[-10:],
        "black one",
        "asha",
        "?q",
        "/lead/",
    ):
        assert secret not in str(lines), secret


@pytest.mark.django_db
def test_what_stays_within_its_budget_is_not_logged(
    cast: Cast, client: Client, quiet: None, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setitem(OPERATIONS, "lead_page", replace(OPERATIONS["lead_page"], budget=1e9))
    client.force_login(cast.asha)
    assert client.get(f"/lead/{make_lead(cast.asha).uid}").status_code == 200
    assert slow_lines(caplog) == []


def test_a_statement_that_was_composed_with_its_values_is_not_shown() -> None:
    from psycopg import sql

    assert _text(sql.SQL("SELECT {}").format("98480 12345")) == "(composed)"


# --- Kinds of statements ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("sql", "kind"),
    [
        (CAPTURE, "capture"),
        (CHECK, "duplicate check"),
        ('SELECT "lead_master"."id" FROM "lead_master" WHERE "lead_master"."id" = %s', "select lead_master"),
        ('SELECT (SELECT count(*) FROM (SELECT U0."id" FROM "ps_followup" U0) AS counted)', "select ps_followup"),
        ('WITH mine AS MATERIALIZED (SELECT * FROM "lead_master") SELECT * FROM mine', "select lead_master"),
        ('(SELECT "id" FROM "outbox") UNION (SELECT "id" FROM "outbox")', "select outbox"),
        ('INSERT INTO "outbox" ("kind") VALUES (%s)', "insert outbox"),
        ('UPDATE "lead_master" SET "next_call_by_id" = %s', "update lead_master"),
        ('DELETE FROM "django_session" WHERE "session_key" IN (%s)', "delete django_session"),
        ("SELECT 1", "select other"),
        ("SELECT x FROM elsewhere", "select other"),
        ('SAVEPOINT "s140"', "transaction"),
        ("SET LOCAL lock_timeout = 100", "transaction"),
        ("VACUUM", "other"),
        ("", "other"),
        (object(), "other"),
    ],
)
def test_a_statement_is_of_one_kind_by_what_it_does_and_to_which_table(sql: object, kind: str) -> None:
    assert kind_of(sql) == kind


def test_the_memory_of_kinds_is_bounded() -> None:
    for number in range(statements.MOST_REMEMBERED + 10):
        kind_of(f"SELECT {number} FROM outbox")
    assert len(statements._remembered) <= statements.MOST_REMEMBERED


@pytest.mark.django_db(transaction=True)
def test_each_statement_is_counted_with_its_time_by_its_kind(cast: Cast, client: Client, quiet: None) -> None:
    client.force_login(cast.asha)
    client.post("/add_lead_optimized", fields())
    timings._waiting.clear()
    assert client.post("/add_lead_optimized", fields()).status_code == 201
    assert client.get("/search", {"q": "ra"}).status_code == 200
    timings.flush()
    for window in timings.WINDOWS:
        found = timings.statements(window)
        assert found["capture"].count == 1
        assert found["select lead_master"].count >= 1
        assert found["capture"].microseconds > 0
        assert found["capture"].p95 is not None
        assert sum(of.count for of in found.values()) == sum(of.statements for of in timings.figures(window).values())
    assert timings.totals_of(timings.SQL)["capture"].count == 1


def test_a_slow_statement_is_counted_as_one(quiet: None) -> None:
    timings.record(timing(sql=[("UPDATE outbox SET x", 0.2), ("UPDATE outbox SET x", 0.001)]))
    timings.flush()
    found = timings.statements("minutes")["update outbox"]
    assert (found.count, found.over, found.microseconds) == (2, 1, 201_000)


def test_kinds_run_out_as_the_other_counts_do(quiet: None) -> None:
    timings.record(timing(sql=[("SELECT 1", 0.001)], reads=[("signed-in:1", True), ("wrote:1", True)]))
    timings.flush()
    redis = timings._redis(django_settings.REDIS_URL)
    left = {key: redis.ttl(key) for key in redis.scan_iter(f"{timings.PREFIX}:*")}
    assert len(left) == 9
    assert sorted(key for key, seconds in left.items() if seconds <= 0) == [
        timings.TOTALS,
        timings.TOTALS + timings.CACHES,
        timings.TOTALS + timings.SQL,
    ]
    assert timings.reads("minutes").keys() == {"people"}
