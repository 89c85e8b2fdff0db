"""The database is put in order step by step, and what went wrong is told as it was."""

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta
from typing import Any

import pytest
from django.db import connection
from django.utils import timezone
from django_redis import get_redis_connection

from conftest import Cast
from followups.tasks import WORKER_PROCESSES
from leads.models import LeadMaster, Source
from leads.tests.factories import make_lead, phone
from performance import database, health, indexes, optimize_plan, optimize_worker
from performance.models import Optimization
from performance.optimize_plan import Step, plan
from performance.tests.standing import drop, in_order, invalidate, run, standing

__all__ = ["in_order"]

pytestmark = pytest.mark.django_db(transaction=True)
Standing = dict[str, tuple[str, bool, str]]
DUE, OPEN = "idx_lead_cre_due", "lead_master_one_open_per_phone"


@pytest.fixture
def job(in_order: Standing, cast: Cast) -> Callable[[], Optimization]:
    """Asks, lets the worker look, and returns what has become of it."""

    def carried_out() -> Optimization:
        asked = optimize_plan.ask(cast.meera, "request-1")
        assert asked is not None
        optimize_worker.look()
        asked.refresh_from_db()
        return asked

    return carried_out


@contextmanager
def somebody(*statements: str) -> Iterator[Any]:
    """Another connection, in a transaction that stays open."""
    other = connection.copy()
    try:
        other.set_autocommit(False)
        with other.cursor() as cursor:
            for statement in statements:
                cursor.execute(statement)
        yield other
    finally:
        other.close()


def beside(act: Callable[[], None]) -> threading.Thread:
    """Does it in a thread of its own, as a worker would."""

    def work() -> None:
        try:
            act()
        finally:
            connection.close()

    worker = threading.Thread(target=work)
    worker.start()
    return worker


def until(done: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 20
    while not done():
        assert time.monotonic() < deadline
        time.sleep(0.05)


def states(job: Optimization) -> list[str]:
    return [step["state"] for step in job.steps]


# --- The plan -------------------------------------------------------------------------------------------------------


def test_in_a_database_in_order_there_is_nothing_to_do(in_order: Standing, cast: Cast) -> None:
    run("SELECT pg_stat_force_next_flush()")
    assert [step for step in plan() if step.kind != "analyze"] == []


def test_nothing_is_asked_for_where_nothing_is_to_do(
    in_order: Standing, cast: Cast, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(optimize_plan, "plan", list)
    assert optimize_plan.ask(cast.meera, "") is None
    assert not Optimization.objects.exists()


def test_a_missing_index_is_made_beside_the_running_desk_as_its_migration_makes_it(in_order: Standing) -> None:
    drop(DUE)
    step = next(step for step in plan() if step.index == DUE)
    assert (step.kind, step.table) == ("create", "lead_master")
    assert step.sql.startswith(f'CREATE INDEX CONCURRENTLY "{DUE}" ON "lead_master" ("cre_id", "follow_up_at", "id") ')
    assert "It is missing." in step.reason


def test_an_index_over_an_expression_gets_its_statistics(in_order: Standing) -> None:
    drop("idx_lead_name")
    assert [step.sql for step in plan() if step.table == "lead_master"][-1] == 'ANALYZE "lead_master"'


def test_what_the_desk_does_not_know_is_left_alone(in_order: Standing) -> None:
    run("CREATE INDEX somebody_elses ON lead_master (campaign)")
    run("CREATE INDEX idx_lead_won_ccnew ON lead_master (won_at)")
    invalidate("idx_lead_won_ccnew")
    assert not [step for step in plan() if step.kind != "analyze"]


def test_before_its_migration_no_index_is_made(in_order: Standing, monkeypatch: pytest.MonkeyPatch) -> None:
    drop(DUE)
    monkeypatch.setattr(health, "migrations_waiting", lambda: 1)
    assert not [step for step in plan() if step.kind != "analyze"]
    assert any("Migrations wait" in words for words in database.report().warnings)


def test_a_primary_key_is_left_to_people(in_order: Standing) -> None:
    run("ALTER TABLE lead_change DROP CONSTRAINT lead_change_pkey")
    try:
        assert not [step for step in plan() if step.kind != "analyze"]
        assert any("lead_change_pkey" in words for words in database.report().warnings)
    finally:
        run("ALTER TABLE lead_change ADD CONSTRAINT lead_change_pkey PRIMARY KEY (id)")


def test_no_step_drops_anything(in_order: Standing) -> None:
    for asked in indexes.expected().values():
        assert "DROP" not in f"{asked.create} {asked.attach}".upper()


# --- What a worker does ---------------------------------------------------------------------------------------------


# Two seconds: it makes some sixty indexes.
def test_every_index_comes_back_exactly_as_the_migrations_made_it(
    in_order: Standing, job: Callable[[], Optimization]
) -> None:
    made = [index.name for index in indexes.expected().values() if index.create]
    # But for what foreign keys point to: it cannot go alone.
    made.remove("lead_master_uid_once")
    for name in made:
        drop(name)
    assert not standing().keys() & set(made)
    done = job()
    assert (done.state, set(states(done)), done.ended_at is not None) == ("done", {"done"}, True)
    assert {step["index"] for step in done.steps if step["index"]} == set(made)
    assert standing() == in_order


def test_what_was_done_is_written_down(in_order: Standing, job: Callable[[], Optimization]) -> None:
    drop(DUE)
    done = job()
    step = next(step for step in done.steps if step["index"] == DUE)
    assert step["seconds"] > 0
    assert step["error"] == ""
    assert done.message.startswith("All done: ")
    assert done.created_at < done.started_at < done.seen_at <= done.ended_at  # type: ignore[operator]
    assert done.cause == "request-1"


def test_an_unfinished_index_is_rebuilt(in_order: Standing, job: Callable[[], Optimization]) -> None:
    invalidate(DUE)
    done = job()
    assert [(step["kind"], step["sql"]) for step in done.steps if step["index"]] == [
        ("rebuild", f'REINDEX INDEX CONCURRENTLY "{DUE}"')
    ]
    assert done.state == "done"
    assert standing() == in_order


def test_stale_statistics_are_taken_anew(
    in_order: Standing, job: Callable[[], Optimization], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(database, "STALE_ROWS", 3)
    for number in range(6):
        Source.objects.create(source="BTL", sub_source=f"Stall {number}", letter="B")
    run("SELECT pg_stat_force_next_flush()")
    assert [step.sql for step in plan() if step.table == "lead_source"] == ['ANALYZE "lead_source"']
    assert job().state == "done"
    assert not [step for step in plan() if step.table == "lead_source"]


def test_only_the_constraint_is_made_where_its_index_is_there(
    in_order: Standing, job: Callable[[], Optimization]
) -> None:
    drop("lead_source_pair_once")
    run(indexes.expected()["lead_source_pair_once"].create)
    done = job()
    assert [step["sql"].split()[0] for step in done.steps if step["index"]] == ["ALTER"]
    assert standing() == in_order


def test_what_was_done_meanwhile_is_not_done_again(in_order: Standing, cast: Cast) -> None:
    drop(DUE)
    asked = optimize_plan.ask(cast.meera, "")
    assert asked is not None
    run(indexes.expected()[DUE].create)
    optimize_worker.look()
    asked.refresh_from_db()
    assert asked.state == "done"
    assert next(step for step in asked.steps if step["index"] == DUE)["state"] == "not needed"


def test_what_has_changed_since_it_was_asked_for_is_not_called_done(in_order: Standing, cast: Cast) -> None:
    drop(DUE)
    asked = optimize_plan.ask(cast.meera, "")
    assert asked is not None
    run(indexes.expected()[DUE].create)
    invalidate(DUE)
    optimize_worker.look()
    asked.refresh_from_db()
    step = next(step for step in asked.steps if step["index"] == DUE)
    assert (asked.state, step["state"], step["error"]) == ("failed", "failed", optimize_worker.CHANGED)


def test_only_what_the_plan_of_the_moment_wants_is_ever_run(in_order: Standing, cast: Cast) -> None:
    step = Step("", "DROP INDEX idx_lead_cre_won", "create", "lead_master", "idx_lead_cre_won", "")
    Optimization.objects.create(asked_by=cast.meera, steps=[step.kept()])
    optimize_worker.look()
    assert standing() == in_order


# --- When it goes wrong ---------------------------------------------------------------------------------------------


def test_duplicates_in_the_way_are_told_without_naming_anybody_and_what_is_left_can_be_rebuilt(
    in_order: Standing, job: Callable[[], Optimization], cast: Cast, caplog: pytest.LogCaptureFixture
) -> None:
    drop(OPEN)
    lead = make_lead(cre=cast.asha)
    twin = make_lead(cre=cast.asha)
    LeadMaster.objects.filter(pk=twin.pk).update(customer_mobile_number=lead.customer_mobile_number)

    failed = job()
    step = next(step for step in failed.steps if step["index"] == OPEN)
    assert (failed.state, step["state"]) == ("failed", "failed")
    assert step["error"] == (
        f'Could not create unique index "{OPEN}". (SQLSTATE 23505.) '
        "An unfinished index was left. When the reason is gone, apply again to rebuild it."
    )
    assert failed.message == f"1 of {len(failed.steps)} steps failed."
    assert lead.customer_mobile_number not in str(failed.steps)
    logged = " ".join(str(record.msg) for record in caplog.records)
    assert f'Could not create unique index "{OPEN}"' in logged
    assert lead.customer_mobile_number.lstrip("+") not in logged

    # Again, with the reason still there: it fails again, and says what that left.
    again = job()
    step = next(step for step in again.steps if step["index"] == OPEN)
    assert step["kind"] == "rebuild"
    assert f"{OPEN}_ccnew was left" in step["error"]
    assert database.report().remarkable[-1].state == "unexpected"

    LeadMaster.objects.filter(pk=twin.pk).update(customer_mobile_number=phone())
    assert job().state == "done"
    assert standing()[OPEN] == in_order[OPEN]
    # It never drops anything.
    assert f"{OPEN}_ccnew" in standing()


def test_a_lock_that_somebody_holds_fails_the_step_and_not_the_others(
    in_order: Standing, job: Callable[[], Optimization], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(optimize_worker, "LOCK_TIMEOUT", "200ms")
    drop("lead_source_pair_once")
    drop(DUE)
    with somebody("LOCK TABLE lead_source IN SHARE ROW EXCLUSIVE MODE"):
        failed = job()
    told = {(step["index"], step["sql"].split()[0]): step for step in failed.steps}
    assert told["lead_source_pair_once", "CREATE"]["error"] == (
        "Canceling statement due to lock timeout. (SQLSTATE 55P03.)"
    )
    assert told["lead_source_pair_once", "ALTER"]["state"] == "not tried"
    assert told[DUE, "CREATE"]["state"] == "done"
    assert failed.state == "failed"
    assert job().state == "done"
    assert standing() == in_order


def test_a_long_transaction_beside_it_leaves_an_unfinished_index_and_that_is_said(
    in_order: Standing, job: Callable[[], Optimization], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(optimize_worker, "LOCK_TIMEOUT", "200ms")
    drop(DUE)
    with somebody("LOCK TABLE lead_master IN ROW EXCLUSIVE MODE"):
        failed = job()
    step = next(step for step in failed.steps if step["index"] == DUE)
    assert "lock timeout" in step["error"]
    assert "An unfinished index was left." in step["error"]
    assert [one.kind for one in plan() if one.index == DUE] == ["rebuild"]


def test_statistics_that_may_not_be_taken_are_not_called_done(in_order: Standing) -> None:
    """PostgreSQL only warns, and skips the table."""
    step = Step("", 'ANALYZE "lead_source"', "analyze", "lead_source", "", "")
    run("CREATE ROLE passer_by NOLOGIN")
    try:
        with optimize_worker._own_connection() as own:
            with own.cursor() as cursor:
                cursor.execute("SET ROLE passer_by")
            state, error = optimize_worker._do(step, own)
        assert state == "failed"
        # Its words differ from version to version.
        assert "lead_source" in error
        assert "skipping" in error.lower()
    finally:
        run("DROP ROLE passer_by")


def test_a_lost_connection_ends_the_request_and_says_what_was_not_tried(in_order: Standing, cast: Cast) -> None:
    drop(DUE)
    drop("idx_lead_cre_won")
    asked = optimize_plan.ask(cast.meera, "")
    assert asked is not None
    with somebody("LOCK TABLE lead_master IN ROW EXCLUSIVE MODE"):
        worker = beside(optimize_worker.look)
        builders = (
            "SELECT pg_terminate_backend(pid) FROM pg_stat_progress_create_index WHERE datname = current_database()"
        )
        until(lambda: bool(run(builders)))
        worker.join(20)
    asked.refresh_from_db()
    assert asked.state == "failed"
    assert asked.steps[0]["error"].startswith("Terminating connection due to administrator command. (SQLSTATE 57P01.)")
    assert states(asked)[1:] == ["not tried"] * (len(asked.steps) - 1)
    assert asked.steps[1]["error"] == "The connection to PostgreSQL was lost."
    assert optimize_plan.ask(cast.meera, "") is not None


def test_catalogues_that_cannot_be_read_are_no_plan(in_order: Standing, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(database, "INDEXES", "SELECT nothing FROM nowhere WHERE name = %s")
    with pytest.raises(optimize_plan.Unreadable, match="The indexes could not be read"):
        plan()


def test_fifty_requests_are_remembered(in_order: Standing, cast: Cast) -> None:
    now = timezone.now()
    Optimization.objects.bulk_create(
        Optimization(asked_by=cast.meera, state="done", created_at=now - timedelta(days=age + 1), ended_at=now)
        for age in range(optimize_plan.KEPT + 5)
    )
    drop(DUE)
    newest = optimize_plan.ask(cast.meera, "")
    kept = Optimization.objects.order_by("-created_at")
    assert kept.count() == optimize_plan.KEPT
    assert kept.first() == newest
    assert kept.last().created_at == now - timedelta(days=optimize_plan.KEPT - 1)  # type: ignore[union-attr]


# --- Behind a pooler ------------------------------------------------------------------------------------------------


@pytest.fixture
def pooled(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Another process answers the statements than the one that answered the connection. What is asked of it."""
    asked: list[str] = []
    really = optimize_worker._asked

    def noted(own: Any, sql: str) -> Any:
        asked.append(sql)
        return really(own, sql)

    monkeypatch.setattr(optimize_worker, "PROCESS", "SELECT pg_backend_pid() + 1")
    monkeypatch.setattr(optimize_worker, "_asked", noted)
    return asked


def test_behind_a_pooler_nothing_is_begun_and_it_says_why(in_order: Standing, cast: Cast, pooled: list[str]) -> None:
    drop(DUE)
    waiting = asked_by(cast)
    optimize_worker.look()
    waiting.refresh_from_db()
    assert (waiting.state, waiting.message) == ("failed", optimize_worker.POOLED)
    assert states(waiting) == ["not tried", "not tried"]
    assert DUE not in standing()
    # Nothing that a session keeps: the next one who is lent it would have it too.
    assert pooled == [optimize_worker.PROCESS, optimize_worker.BRIEF_LOCK]
    assert optimize_plan.ask(cast.meera, "") is not None


def test_behind_a_pooler_too_a_worker_that_died_is_told_of(in_order: Standing, cast: Cast, pooled: list[str]) -> None:
    drop(DUE)
    running = asked_by(cast, state="running", seen=LONG_AGO)
    with somebody(optimize_worker.LOCK):
        optimize_worker.look()
        running.refresh_from_db()
        assert running.state == "running"
    optimize_worker.look()
    running.refresh_from_db()
    assert (running.state, running.message) == ("failed", optimize_worker.ENDED)


# --- One at a time --------------------------------------------------------------------------------------------------


def asked_by(cast: Cast, *, state: str = "waiting", seen: timedelta | None = None) -> Optimization:
    """A request for the missing index, at which somebody was seen so long ago."""
    step = next(step for step in plan() if step.index == DUE)
    steps = [{**step.kept(), "state": "running" if state == "running" else "waiting"}, {**step.kept(), "index": "x"}]
    seen_at = timezone.now() - seen if seen else None
    return Optimization.objects.create(asked_by=cast.meera, state=state, steps=steps, seen_at=seen_at)


LONG_AGO = timedelta(minutes=1)


def test_a_second_request_is_refused_while_the_first_is_not_finished(in_order: Standing, cast: Cast) -> None:
    drop(DUE)
    first = optimize_plan.ask(cast.meera, "")
    with pytest.raises(optimize_plan.AlreadyRunning) as refusal:
        optimize_plan.ask(cast.meera, "")
    assert refusal.value.job == first


def test_while_somebody_holds_the_lock_nobody_else_begins(in_order: Standing, cast: Cast) -> None:
    drop(DUE)
    waiting = asked_by(cast)
    with somebody(optimize_worker.LOCK):
        optimize_worker.look()
        waiting.refresh_from_db()
        assert waiting.state == "waiting"
    optimize_worker.look()
    waiting.refresh_from_db()
    assert waiting.is_finished


def test_a_worker_that_was_seen_just_now_is_left_alone(in_order: Standing, cast: Cast) -> None:
    drop(DUE)
    running = asked_by(cast, state="running", seen=timedelta(seconds=1))
    optimize_worker.look()
    running.refresh_from_db()
    assert running.state == "running"


def test_a_worker_that_died_is_told_of_and_the_next_request_can_come(in_order: Standing, cast: Cast) -> None:
    drop(DUE)
    running = asked_by(cast, state="running", seen=LONG_AGO)
    optimize_worker.look()
    running.refresh_from_db()
    assert (running.state, running.message) == ("failed", "The worker ended before it was done.")
    assert states(running) == ["failed", "not tried"]
    assert running.steps[0]["error"] == running.message
    assert optimize_plan.ask(cast.meera, "") is not None


def test_a_worker_that_died_after_the_last_step_has_done_its_work(in_order: Standing, cast: Cast) -> None:
    drop(DUE)
    running = asked_by(cast, state="running", seen=LONG_AGO)
    for step in running.steps:
        step["state"] = "done"
    running.save()
    optimize_worker.look()
    running.refresh_from_db()
    assert (running.state, running.message) == ("done", "All done: 2 steps.")


def test_a_database_that_is_gone_without_a_word_is_noticed_within_minutes(in_order: Standing) -> None:
    with optimize_worker._own_connection() as own:
        own.ensure_connection()
        given = own.connection.info.get_parameters()
    assert {name: given.get(name) for name in optimize_worker.KEEPALIVES} == {
        "keepalives_idle": "30",
        "keepalives_interval": "10",
        "keepalives_count": "3",
    }
    assert not optimize_worker.KEEPALIVES.keys() & connection.settings_dict["OPTIONS"].keys()


def test_a_dead_workers_index_that_postgresql_finished_is_told_as_done(in_order: Standing, cast: Cast) -> None:
    drop(DUE)
    running = asked_by(cast, state="running", seen=LONG_AGO)
    run(indexes.expected()[DUE].create)
    optimize_worker.look()
    running.refresh_from_db()
    assert states(running) == ["done", "not tried"]
    assert running.steps[0]["error"] == "PostgreSQL finished it after the worker had ended."
    assert running.state == "failed"


def test_a_dead_workers_index_that_was_not_finished_is_told_as_failed_and_can_be_rebuilt(
    in_order: Standing, cast: Cast
) -> None:
    drop(DUE)
    running = asked_by(cast, state="running", seen=LONG_AGO)
    run(indexes.expected()[DUE].create)
    invalidate(DUE)
    optimize_worker.look()
    running.refresh_from_db()
    assert states(running) == ["failed", "not tried"]
    assert [step.kind for step in plan() if step.index == DUE] == ["rebuild"]


def test_while_postgresql_is_still_at_it_a_silent_worker_is_not_called_dead(in_order: Standing, cast: Cast) -> None:
    drop(DUE)
    running = asked_by(cast, state="running", seen=LONG_AGO)
    with somebody(optimize_worker.LOCK):
        optimize_worker.look()
    running.refresh_from_db()
    assert running.state == "running"
    assert running.is_silent


def test_the_lock_is_given_back(in_order: Standing, job: Callable[[], Optimization]) -> None:
    drop(DUE)
    job()
    with somebody() as other, other.cursor() as cursor:
        cursor.execute(optimize_worker.LOCK)
        assert cursor.fetchone() == (True,)


def test_a_worker_that_builds_is_not_called_silent(
    in_order: Standing, cast: Cast, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(optimize_worker, "HEARTBEAT_SECONDS", 0.05)
    redis = get_redis_connection("default")
    redis.delete(WORKER_PROCESSES)
    with optimize_worker._seen(Optimization.objects.create(asked_by=cast.meera, state="running")):
        until(lambda: bool(redis.zcard(WORKER_PROCESSES)))


def test_a_long_build_shows_a_sign_of_life_and_how_far_it_is(
    in_order: Standing, cast: Cast, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(optimize_worker, "HEARTBEAT_SECONDS", 0.05)
    drop(DUE)
    asked = optimize_plan.ask(cast.meera, "")
    assert asked is not None

    def phase() -> str:
        asked.refresh_from_db()
        found = optimize_plan.progress(asked)
        return found.phase if found else ""

    with somebody("LOCK TABLE lead_master IN ROW EXCLUSIVE MODE"):
        worker = beside(optimize_worker.look)
        until(lambda: "waiting" in phase())
        first = asked.seen_at
        until(lambda: bool(phase() and asked.seen_at != first))
        assert asked.state == "running"
    worker.join(20)
    asked.refresh_from_db()
    assert asked.state == "done"
    assert optimize_plan.progress(asked) is None
    assert standing() == in_order
