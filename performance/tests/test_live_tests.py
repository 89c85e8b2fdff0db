"""Live tests leave nothing behind, disturb nobody, and say what they found."""

import json
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import replace
from datetime import timedelta
from typing import Any
from unittest import mock

import phonenumbers
import pytest
import structlog
from django.apps import apps
from django.core import mail
from django.core.cache import cache
from django.db import DatabaseError, connection, transaction
from django.test import Client
from django.utils import timezone
from hypothesis import given
from hypothesis import strategies as st
from redis import Redis

from accounts.models import User
from conftest import Cast
from crm.tests import big_tables
from followups.models import Outbox
from leads import phone
from leads.capture import Captured, Outcome, capture
from leads.forms import CheckForm, LeadForm
from leads.models import LeadMaster, Source
from leads.tests.factories import enquiry, make_lead
from performance import live_tests, live_work, query_plans, timings
from performance.live_test_findings import FAILED, LONGEST_SECONDS, SLOW, UNEXPLAINED, Try
from performance.live_test_panels import overview, panel
from performance.live_tests import KEPT, LOCK_MILLISECONDS, MOST_ROUNDS, STATEMENT_MILLISECONDS, TESTS, Busy, run, runs
from performance.live_work import RANGE, Part, number
from performance.models import LiveTest
from performance.operations import OPERATIONS

committed = pytest.mark.django_db(transaction=True)
rolled_back = pytest.mark.django_db
ALL = list(TESTS)


@pytest.fixture(autouse=True)
def _patient(monkeypatch: pytest.MonkeyPatch) -> None:
    """However slow the machine is at the moment. The tests of a limit set it themselves."""
    for limit in ("LOCK_MILLISECONDS", "STATEMENT_MILLISECONDS"):
        monkeypatch.setattr(live_tests, limit, 60_000)
    monkeypatch.setattr(live_tests, "LONGEST_SECONDS", 1e9)


@pytest.fixture
def hasty(monkeypatch: pytest.MonkeyPatch) -> None:
    """Waits for a colleague as long as a supervisor's test does."""
    monkeypatch.setattr(live_tests, "LOCK_MILLISECONDS", LOCK_MILLISECONDS)


class Clock:
    """Stands for the module `time`: it goes on only where a test says so."""

    def __init__(self) -> None:
        self.now = 0.0

    def perf_counter(self) -> float:
        return self.now

    def wait(self, *seconds: float) -> Callable[[], None]:
        """Work that takes so long, each time; the last of them ever after."""
        left = list(seconds)

        def work() -> None:
            self.now += left.pop(0) if len(left) > 1 else left[0]

        return work


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    made = Clock()
    monkeypatch.setattr(live_tests, "time", made)
    monkeypatch.setattr(live_tests, "LONGEST_SECONDS", LONGEST_SECONDS)
    return made


def rows() -> dict[str, int]:
    """How many rows each table of the database has, exactly; but for the tests' own history."""
    with connection.cursor() as cursor:
        tables = sorted({model._meta.db_table for model in apps.get_models()} - {"performance_live_test"})
        found = {}
        for table in tables:
            cursor.execute(f'SELECT count(*) FROM "{table}"')
            found[table] = cursor.fetchone()[0]
        return found


def in_redis(settings: Any) -> dict[bytes, Any]:
    """All keys and values, but for what the timings of requests have left."""
    with Redis.from_url(settings.REDIS_URL) as redis:
        return {key: redis.dump(key) for key in redis.scan_iter() if not key.startswith(b"desk:timings")}


def busy_desk(cast: Cast) -> None:
    """Asha's and Kiran's desks, with some leads on them, as saves leave them."""
    for status in ("RNR", "Interested", "Interested"):
        place = {"ps_id": cast.kiran.pk, "branch_id": cast.attapur.pk} if status == "Interested" else {}
        follow_up = {"follow_up_at": timezone.now() + timedelta(days=1)} if place else {}
        capture(enquiry(status=status, **place, **follow_up), cast.asha)


def plant(monkeypatch: pytest.MonkeyPatch, *work: Callable[[], object], writes: bool = False) -> None:
    """In place of the dashboard test's work, a part each."""
    names = ("First", "Second")
    parts = [Part(OPERATIONS["cre_dashboard"], name, once, writes) for name, once in zip(names, work, strict=False)]
    monkeypatch.setitem(TESTS, "dashboard", replace(TESTS["dashboard"], parts=lambda: parts))


@contextmanager
def colleague(sql: str, *parameters: Any) -> Iterator[None]:
    """Somebody else has done this and not committed it yet."""
    other = connection.copy()
    try:
        other.set_autocommit(False)
        with other.cursor() as cursor:
            cursor.execute(sql, parameters)
        yield
        other.rollback()
    finally:
        other.close()


# --- Numbers that nobody can have -------------------------------------------------------------------------------


@rolled_back
def test_the_forms_refuse_every_number_of_the_tests_and_the_database_takes_it(cast: Cast) -> None:
    for made in (*RANGE, *(number() for _ in range(300))):
        assert RANGE[0] <= made <= RANGE[1]
        assert len(made) == len(RANGE[0])
        assert "customer_mobile_number" in LeadForm({"customer_mobile_number": made}).errors
        assert "phone_number" in CheckForm({"phone_number": made}).errors
        assert capture(enquiry(phone=made), cast.asha).outcome == Outcome.CREATED


def test_no_country_has_the_code_of_the_tests() -> None:
    codes = {str(code) for code in phonenumbers.COUNTRY_CODE_TO_REGION_CODE}
    assert not codes & {"9", "99", "999"}
    assert not any(code.startswith("999") for code in codes)


@given(
    st.from_regex(r"(\+|00|0|)[ -]?9[ -]?9[ -]?9([ -]?[0-9]){5,14}", fullmatch=True) | st.text("+09 -()", max_size=20)
)
def test_nothing_that_can_be_typed_becomes_a_number_of_the_tests(typed: str) -> None:
    assert not phone.normalise(typed).e164.startswith("+999")


@rolled_back
def test_no_lead_is_made_up_if_the_desk_should_take_such_numbers_one_day(
    cast: Cast, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(phone, "normalise", lambda typed: phone.Phone(e164=typed))
    found = run("capture", 3, cast.meera).result
    assert (found["verdict"], found["done"]) == (FAILED, 0)
    assert "for a customer’s" in found["message"]


# --- Nothing is left --------------------------------------------------------------------------------------------


@committed
@pytest.mark.parametrize("name", ALL)
def test_nothing_is_left_of_a_test(
    name: str, cast: Cast, client: Client, quiet: None, settings: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    busy_desk(cast)
    for person, desk in ((cast.asha, "/cre_dashboard"), (cast.kiran, "/ps_dashboard")):
        client.force_login(person)
        client.get(desk)
    timings._waiting.clear()
    after_commit: list[str] = []
    done: list[Captured] = []

    def captured(*arguments: Any) -> Captured:
        transaction.on_commit(lambda: after_commit.append("called"))
        done.append(capture(*arguments))
        assert LeadMaster.objects.filter(uid=done[-1].uid).exists()
        return done[-1]

    monkeypatch.setattr(live_work, "capture_lead", captured)
    before, kept = rows(), in_redis(settings)
    assert any(b"board:" in key for key in kept)
    kept_run = run(name, 12, cast.meera)
    assert kept_run.result["verdict"] != FAILED, kept_run.result["message"]
    assert kept_run.result["done"] == 12
    assert rows() == before
    assert in_redis(settings) == kept
    assert after_commit == []
    assert connection.run_on_commit == []
    assert mail.outbox == []
    assert not timings._waiting
    assert LiveTest.objects.count() == 1
    assert len(done) == (13 if name == "capture" else 0)
    assert all(one.outcome == Outcome.CREATED for one in done)
    assert not LeadMaster.objects.filter(uid__in=[one.uid for one in done]).exists()
    own = [count for count in kept_run.result["counts"] if count["own"]]
    assert len(own) == 4
    assert all(count["before"] == count["after"] == "0" for count in own)


@committed
@pytest.mark.parametrize("name", ALL)
def test_nothing_is_left_of_a_round_that_fails_half_way(
    name: str, cast: Cast, settings: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    busy_desk(cast)

    def write_and_fail(*arguments: Any) -> Any:
        if name == "capture":
            assert capture(*arguments).outcome == Outcome.CREATED
        cache.set("planted", "value")
        raise RuntimeError("planted")

    for work in ("capture_lead", "check", "cre_dashboard"):
        monkeypatch.setattr(live_work, work, write_and_fail)
    before, kept = rows(), in_redis(settings)
    found = run(name, 5, cast.meera).result
    assert (found["verdict"], found["done"]) == (FAILED, 0)
    assert "RuntimeError" in found["message"]
    assert rows() == before
    assert in_redis(settings) == kept
    assert not connection.in_atomic_block
    cache.set("shared", 1)
    assert cache.get("shared") == 1


@committed
def test_what_only_reads_cannot_write(cast: Cast, monkeypatch: pytest.MonkeyPatch) -> None:
    plant(monkeypatch, lambda: make_lead(cast.asha))
    found = run("dashboard", 3, cast.meera).result
    assert found["verdict"] == FAILED
    assert "InternalError" in found["message"]
    assert not LeadMaster.objects.exists()


@committed
def test_a_lead_that_was_left_all_the_same_is_shouted_about(cast: Cast, monkeypatch: pytest.MonkeyPatch) -> None:
    def left() -> None:
        other = connection.copy()
        with other.cursor() as cursor:
            cursor.execute("UPDATE lead_master SET customer_mobile_number = %s", [number()])
        other.close()

    make_lead(cast.asha)
    plant(monkeypatch, left)
    found = run("dashboard", 1, cast.meera).result
    assert found["verdict"] == FAILED
    assert any("there must be none" in warning for warning in found["warnings"])
    assert panel("dashboard").left == "something!"


@committed
def test_leads_that_people_save_meanwhile_are_all_there_and_do_not_disturb_the_count(cast: Cast) -> None:
    each, people = 20, (cast.asha, cast.ravi)
    ready = threading.Barrier(len(people) + 1, timeout=20)

    def save(person: User) -> list[str]:
        try:
            connection.ensure_connection()
            ready.wait()
            ps, branch = cast.kiran.pk, cast.attapur.pk
            captured = [capture(enquiry(ps_id=ps, branch_id=branch), person) for _ in range(each)]
            assert all(one.outcome == Outcome.CREATED for one in captured)
            return [one.uid for one in captured]
        finally:
            connection.close()

    with ThreadPoolExecutor(len(people)) as threads:
        working = [threads.submit(save, person) for person in people]
        ready.wait()
        found = run("capture", MOST_ROUNDS, cast.meera).result
        saved = {uid for one in working for uid in one.result()}
    assert found["done"] == MOST_ROUNDS, found["message"]
    assert [count for count in found["counts"] if count["own"] and count["after"] != "0"] == []
    assert len(saved) == each * len(people)
    assert set(LeadMaster.objects.values_list("uid", flat=True)) == saved
    assert Outbox.objects.count() == 2 * len(saved)
    # A call attempt and a mail each.
    assert set(Outbox.objects.values_list("lead__uid", flat=True)) == saved


# --- Nobody waits -----------------------------------------------------------------------------------------------


@committed
def test_there_is_one_test_at_a_time(cast: Cast, monkeypatch: pytest.MonkeyPatch) -> None:
    refused = threading.Event()
    plant(monkeypatch, lambda: refused.wait(10))
    ready = threading.Barrier(2, timeout=20)

    def start() -> str:
        try:
            connection.ensure_connection()
            ready.wait()
            return str(run("dashboard", 1, cast.meera).result["verdict"])
        except Busy:
            refused.set()
            return "busy"
        finally:
            connection.close()

    with ThreadPoolExecutor(2) as threads:
        answers = sorted(one.result() for one in [threads.submit(start) for _ in range(2)])
    assert "busy" in answers
    assert LiveTest.objects.count() == 1
    assert run("duplicate_check", 1, cast.meera).result["done"] == 1


@committed
@pytest.mark.usefixtures("hasty")
@pytest.mark.parametrize("name", ALL)
def test_a_test_gives_way_to_who_holds_the_whole_table(name: str, cast: Cast) -> None:
    busy_desk(cast)
    before = rows()
    with colleague("LOCK TABLE lead_master IN ACCESS EXCLUSIVE MODE"):
        found = run(name, 5, cast.meera).result
    assert found["verdict"] == FAILED
    assert "gave way" in found["message"]
    assert any("could not be counted" in warning for warning in found["warnings"])
    assert rows() == before


@committed
@pytest.mark.usefixtures("hasty")
@pytest.mark.parametrize("person", ["asha", "kiran"])
def test_a_test_gives_way_to_who_holds_a_person(person: str, cast: Cast) -> None:
    busy_desk(cast)
    before = rows()
    with colleague("SELECT FROM accounts_user WHERE username = %s FOR UPDATE", person):
        found = run("capture", 5, cast.meera).result
    assert found["verdict"] == FAILED
    assert "gave way" in found["message"]
    assert rows() == before


@committed
@pytest.mark.usefixtures("hasty")
def test_a_test_gives_way_to_who_saves_the_same_number(cast: Cast, monkeypatch: pytest.MonkeyPatch) -> None:
    lead, taken = make_lead(cast.asha), number()
    monkeypatch.setattr(live_work, "number", lambda: taken)
    before = rows()
    with colleague("UPDATE lead_master SET customer_mobile_number = %s WHERE id = %s", taken, lead.pk):
        found = run("capture", 5, cast.meera).result
    assert found["verdict"] == FAILED
    assert "gave way" in found["message"]
    assert rows() == before


@committed
@pytest.mark.usefixtures("hasty")
@pytest.mark.parametrize(("writes", "read_only"), [(True, "off"), (False, "on")])
def test_the_limits_hold_in_each_round_and_no_longer(
    writes: bool, read_only: str, cast: Cast, monkeypatch: pytest.MonkeyPatch
) -> None:
    found: list[tuple[str, ...]] = []

    def look() -> None:
        with connection.cursor() as cursor:
            cursor.execute(
                "SELECT current_setting('lock_timeout'), current_setting('statement_timeout'), "
                "current_setting('transaction_read_only')"
            )
            found.append(cursor.fetchone())

    monkeypatch.setattr(live_tests, "STATEMENT_MILLISECONDS", STATEMENT_MILLISECONDS)
    look()
    plant(monkeypatch, look, writes=writes)
    run("dashboard", 2, cast.meera)
    look()
    before, *rounds, after = found
    assert rounds == [("100ms", "2s", read_only)] * 3
    assert before == after
    assert before[0] == "5s"


@rolled_back
def test_a_statement_that_takes_too_long_is_stopped(cast: Cast, monkeypatch: pytest.MonkeyPatch) -> None:
    def sleep() -> None:
        with connection.cursor() as cursor:
            cursor.execute("SELECT pg_sleep(20)")

    monkeypatch.setattr(live_tests, "STATEMENT_MILLISECONDS", 50)
    plant(monkeypatch, sleep)
    found = run("dashboard", 5, cast.meera).result
    assert (found["verdict"], found["done"]) == (FAILED, 0)
    assert "was stopped" in found["message"]


@rolled_back
def test_a_statement_that_postgresql_refuses_ends_the_test_in_words(
    cast: Cast, monkeypatch: pytest.MonkeyPatch
) -> None:
    def ask() -> None:
        with connection.cursor() as cursor:
            cursor.execute("SELECT no_such_column FROM lead_master")

    plant(monkeypatch, ask)
    found = run("dashboard", 5, cast.meera).result
    assert (found["verdict"], found["done"], found["ways"]) == (FAILED, 0, [])
    assert "ProgrammingError" in found["message"]


@committed
def test_a_test_whose_connection_is_cut_ends_in_words(cast: Cast, monkeypatch: pytest.MonkeyPatch) -> None:
    def cut() -> None:
        with connection.cursor() as cursor:
            cursor.execute("SELECT pg_terminate_backend(pg_backend_pid())")

    plant(monkeypatch, cut)
    found = run("dashboard", 5, cast.meera).result
    assert (found["verdict"], found["done"]) == (FAILED, 0)
    assert "the reason is in the log" in found["message"]
    assert LiveTest.objects.count() == 1


@rolled_back
def test_no_round_begins_when_the_time_is_up(cast: Cast, monkeypatch: pytest.MonkeyPatch, clock: Clock) -> None:
    plant(monkeypatch, clock.wait(LONGEST_SECONDS / 4))
    found = run("dashboard", 50, cast.meera).result
    # And one before them, which does not count.
    assert found["done"] == 4
    assert found["verdict"] != FAILED
    assert "Ended after 4 rounds" in found["warnings"][-1]


@rolled_back
def test_where_not_one_round_fitted_into_the_time_it_is_not_called_fast(
    cast: Cast, monkeypatch: pytest.MonkeyPatch, clock: Clock
) -> None:
    begun: list[str] = []
    plant(monkeypatch, clock.wait(LONGEST_SECONDS + 1), lambda: begun.append("Second"))
    found = run("dashboard", 50, cast.meera).result
    assert (found["verdict"], found["done"], found["lines"]) == (FAILED, 0, [])
    assert found["message"].startswith("Not finished. No round of “First” and “Second” fitted into 5 seconds.")
    assert begun == []
    assert panel("dashboard").verdict == "Not finished."


@rolled_back
def test_a_part_for_which_no_time_was_left_is_named(cast: Cast, monkeypatch: pytest.MonkeyPatch, clock: Clock) -> None:
    plant(monkeypatch, clock.wait(LONGEST_SECONDS / 2, LONGEST_SECONDS), clock.wait(LONGEST_SECONDS / 4))
    found = run("dashboard", 50, cast.meera).result
    assert (found["verdict"], found["done"]) == (FAILED, 1)
    assert [line["words"] for line in found["lines"]] == ["First"]
    assert "No round of “Second” fitted into 5 seconds." in found["message"]


@rolled_back
def test_a_part_for_which_too_few_rounds_were_asked_is_named(cast: Cast, monkeypatch: pytest.MonkeyPatch) -> None:
    plant(monkeypatch, lambda: None, lambda: None)
    found = run("dashboard", 1, cast.meera).result
    assert [line["words"] for line in found["lines"]] == ["First"]
    assert "“Second” was not tried: choose more rounds." in found["warnings"]


@rolled_back
def test_a_hundred_rounds_are_the_most(cast: Cast) -> None:
    kept_run = run("duplicate_check", 5000, cast.meera)
    assert (kept_run.rounds, kept_run.result["done"]) == (MOST_ROUNDS, MOST_ROUNDS)


@rolled_back
def test_what_a_round_logs_is_marked(cast: Cast, monkeypatch: pytest.MonkeyPatch) -> None:
    marks: list[Any] = []
    plant(monkeypatch, lambda: marks.append(structlog.contextvars.get_contextvars().get("live_test")))
    run("dashboard", 2, cast.meera)
    assert marks == ["dashboard"] * 3
    assert "live_test" not in structlog.contextvars.get_contextvars()


# --- What is found ----------------------------------------------------------------------------------------------


@rolled_back
@pytest.mark.parametrize(
    ("name", "lines"),
    [
        ("capture", [("capture", 10)]),
        ("duplicate_check", [("duplicate_check", 5), ("duplicate_check", 5)]),
        ("dashboard", [("cre_dashboard", 5), ("ps_dashboard", 5)]),
    ],
)
def test_a_test_says_what_each_operation_took(name: str, lines: list[tuple[str, int]], cast: Cast) -> None:
    busy_desk(cast)
    kept_run = run(name, 10, cast.meera)
    found = json.loads(json.dumps(kept_run.result))
    assert [(line["operation"], line["rounds"]) for line in found["lines"]] == lines
    for line in found["lines"]:
        assert 0 < line["p50"] <= line["p95"] <= line["slowest"]
        assert 0 < line["database"] < line["slowest"]
        assert line["budget"] == OPERATIONS[line["operation"]].budget
        assert line["statements"] in ((1,) if name != "dashboard" else range(4, 20))
    assert kept_run.asked_by == cast.meera


@rolled_back
def test_the_dashboard_is_made_anew_each_time(cast: Cast, monkeypatch: pytest.MonkeyPatch) -> None:
    """As many statements in the last round as in the first: what is kept of a desk is not shown."""
    busy_desk(cast)
    seen: list[int] = []
    really = live_tests._round

    def noted(part: Part) -> Try:
        one = really(part)
        seen.append(one.statements)
        return one

    monkeypatch.setattr(live_tests, "_round", noted)
    run("dashboard", 6, cast.meera)
    cre, ps = seen[2::2], seen[3::2]
    assert len(set(cre)) == len(set(ps)) == 1
    assert cre[0] >= 4
    assert ps[0] >= 4


@rolled_back
@pytest.mark.parametrize("name", ALL)
def test_it_names_the_indexes_and_a_big_table_that_is_read_whole(
    name: str, cast: Cast, monkeypatch: pytest.MonkeyPatch
) -> None:
    big_tables.fill(10_000)
    monkeypatch.setattr(query_plans, "BIG_PAGES", 50)
    index, table = {
        "capture": ("idx_lead_master_customer_mobile_number", "lead_master"),
        "duplicate_check": ("idx_duplicate_leads_customer_mobile_number", "duplicate_leads"),
        "dashboard": ("idx_call_attempt_lead_called", "call_attempt"),
    }[name]
    found = run(name, 2, cast.meera).result
    ways = {way["table"]: way for way in found["ways"]}
    assert index in ways[table]["indexes"]
    assert not ways[table]["whole"]
    assert [warning for warning in found["warnings"] if "sequential scan" in warning] == []
    with connection.cursor() as cursor:
        # Until this test is rolled back.
        cursor.execute(f"DROP INDEX {index}")
        cursor.execute("ALTER TABLE call_attempt DROP CONSTRAINT call_attempt_numbered_once")
    found = run(name, 2, cast.meera).result
    ways = {way["table"]: way for way in found["ways"]}
    assert ways[table]["whole"]
    assert ways[table]["big"]
    assert any(f"sequential scan of {table}" in warning for warning in found["warnings"])


@rolled_back
def test_where_postgresql_cannot_say_how_it_searches_that_is_said(cast: Cast, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(query_plans, "ways", mock.Mock(side_effect=DatabaseError))
    found = run("duplicate_check", 2, cast.meera).result
    assert found["verdict"] != FAILED
    assert UNEXPLAINED in found["warnings"]


@rolled_back
def test_a_small_table_that_is_read_whole_is_no_warning(cast: Cast) -> None:
    busy_desk(cast)
    found = run("dashboard", 2, cast.meera).result
    assert any(way["whole"] for way in found["ways"])
    assert not any("sequential scan" in warning for warning in found["warnings"])


@rolled_back
def test_an_operation_that_takes_longer_than_agreed_is_called_slow(cast: Cast, monkeypatch: pytest.MonkeyPatch) -> None:
    plant(monkeypatch, lambda: time.sleep(0.16))
    found = run("dashboard", 2, cast.meera).result
    assert found["verdict"] == SLOW
    assert found["message"].startswith("Slower than agreed.")
    assert "takes longer than agreed" in found["warnings"][0]
    assert found["share"] > 100


# --- Where it cannot be carried out -----------------------------------------------------------------------------


@rolled_back
@pytest.mark.parametrize("name", ALL)
def test_an_empty_desk_has_no_cre_yet(name: str, pairs: None) -> None:
    supervisor = User.objects.create_user("meera", name="Meera", role="supervisor")
    found = run(name, 5, supervisor).result
    assert (found["verdict"], found["done"]) == (FAILED, 0)
    assert "There is no active CRE yet" in found["message"]


@rolled_back
def test_a_cre_who_has_left_is_not_taken(cast: Cast) -> None:
    busy_desk(cast)
    User.objects.filter(pk=cast.asha.pk).update(is_active=False)
    assert live_work._cre() == cast.ravi
    User.objects.filter(pk=cast.ravi.pk).update(is_active=False)
    assert "There is no active CRE yet" in run("capture", 5, cast.meera).result["message"]


@committed
def test_a_cre_who_leaves_meanwhile_ends_the_test_in_words(cast: Cast, monkeypatch: pytest.MonkeyPatch) -> None:
    rounds = iter(range(100))

    def captured(*arguments: Any) -> Captured:
        if next(rounds) == 3:
            with ThreadPoolExecutor(1) as thread:
                thread.submit(leave).result()
        return capture(*arguments)

    def leave() -> None:
        User.objects.filter(role="cre").update(is_active=False)
        connection.close()

    monkeypatch.setattr(live_work, "capture_lead", captured)
    found = run("capture", 10, cast.meera).result
    assert (found["verdict"], found["done"]) == (FAILED, 2)
    assert "may not add leads any more" in found["message"]
    assert not LeadMaster.objects.exists()


@rolled_back
def test_without_a_source_no_lead_can_be_made(cast: Cast) -> None:
    Source.objects.update(is_active=False)
    assert "There is no source" in run("capture", 5, cast.meera).result["message"]
    assert run("duplicate_check", 5, cast.meera).result["verdict"] != FAILED


@rolled_back
def test_without_a_ps_the_lead_is_made_without_one(cast: Cast) -> None:
    User.objects.filter(role="ps").update(available=False)
    found = run("capture", 5, cast.meera).result
    assert found["verdict"] != FAILED
    assert "without a PS" in found["lines"][0]["words"]
    User.objects.filter(role="ps").update(is_active=False)
    assert [line["operation"] for line in run("dashboard", 4, cast.meera).result["lines"]] == ["cre_dashboard"]


@rolled_back
def test_the_busiest_cre_is_asked(cast: Cast) -> None:
    now = timezone.now()
    for _ in range(3):
        make_lead(cast.ravi, lead_status="Interested", first_call_at=now, last_contact_at=now)
    make_lead(cast.asha)
    assert live_work._cre() == cast.ravi


# --- The history ------------------------------------------------------------------------------------------------


@rolled_back
def test_fifty_runs_are_kept_of_each_test_and_ten_are_shown(cast: Cast) -> None:
    now = timezone.now()
    old = {"verdict": "fast", "share": 250.0, "done": 1, "counts": []}
    for name in ("capture", "duplicate_check"):
        for age in range(KEPT + 5):
            at = now - timedelta(hours=age + 1)
            LiveTest.objects.create(name=name, asked_by=cast.meera, at=at, rounds=1, result=old)
    newest = run("capture", 2, cast.meera)
    kept_runs = LiveTest.objects.filter(name="capture").order_by("-at")
    assert kept_runs.count() == KEPT
    assert kept_runs[0] == newest
    assert kept_runs[KEPT - 1].at == now - timedelta(hours=KEPT - 1)
    assert LiveTest.objects.filter(name="duplicate_check").count() == KEPT + 5
    shown = panel("capture")
    assert [past.run for past in shown.past] == list(kept_runs[:10])
    assert shown.latest == newest
    assert shown.past[1].bar == 200


@rolled_back
def test_a_run_that_another_release_has_kept_is_shown_as_far_as_it_can_be_read(cast: Cast) -> None:
    LiveTest.objects.create(name="capture", asked_by=cast.meera, rounds=1, result={"speed": "good"})
    shown = panel("capture")
    assert (shown.verdict, shown.past[0].bar, shown.left) == ("", 0, "nothing")


@rolled_back
def test_the_history_is_read_in_the_order_of_its_index(cast: Cast) -> None:
    for _ in range(5):
        LiveTest.objects.create(name="capture", asked_by=cast.meera, rounds=1, result={})
    with connection.cursor() as cursor:
        # A table this small is rather read whole.
        cursor.execute("SELECT set_config('enable_seqscan', 'off', true), set_config('enable_bitmapscan', 'off', true)")
    plan = runs("capture")[:10].explain()
    assert "idx_live_test_name_at" in plan
    assert "Sort" not in plan


@rolled_back
def test_the_page_asks_one_statement_a_test(cast: Cast, django_assert_num_queries: Any) -> None:
    for _ in range(3):
        run("duplicate_check", 1, cast.meera)
    with django_assert_num_queries(len(TESTS)):
        panels = overview()
    assert [one.trial.name for one in panels] == ALL
    assert [len(one.past) for one in panels] == [0, 3, 0]
    json.dumps([one.as_json() for one in panels])
