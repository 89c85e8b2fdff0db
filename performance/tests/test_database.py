"""What the performance page tells of tables, indexes and statements."""

import json
from datetime import timedelta
from unittest import mock

import pytest
from django.db import connection, transaction
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from conftest import Cast
from followups.models import PSFollowup
from leads.models import DuplicateLead, LeadChange, LeadMaster
from leads.tests.factories import make_lead
from performance import database, indexes
from performance.database import Index, Report, Table, report, structure
from performance.slowest import HIDDEN, LENGTH, slowest
from performance.tests.standing import drop, in_order, invalidate, run, standing

__all__ = ["in_order"]

pytestmark = pytest.mark.django_db


def table(name: str, found: Report | None = None) -> Table:
    return next(one for one in (found or report()).tables if one.name == name)


def index(name: str, found: Report | None = None) -> Index:
    return next(one for one in (found or report()).indexes if one.name == name)


# --- Indexes --------------------------------------------------------------------------------------------------------


def test_the_models_ask_for_exactly_the_indexes_that_the_migrations_make() -> None:
    assert set(indexes.expected()) == set(standing())
    assert "idx_lead_cre_due" in standing()


def test_in_a_database_in_order_every_index_is_there_and_valid() -> None:
    found = report()
    assert found.remarkable == []
    assert found.unread == []
    assert {one.name for one in found.indexes} == set(indexes.expected())
    assert all(one.size for one in found.indexes)


def test_it_says_what_an_index_serves_as_the_document_does() -> None:
    assert index("idx_lead_cre_due").reads.startswith("The CRE")


def test_a_missing_index_is_called_out_and_what_it_served_is_not_counted() -> None:
    drop("idx_lead_created")
    found = report()
    assert index("idx_lead_created", found).state == "missing"
    assert table("lead_master", found).last_day is None
    assert table("lead_master", found).last_day_words == "not counted: its index is not there to be used"
    assert any("idx_lead_created" in words and "missing" in words for words in found.warnings)


def test_an_unfinished_index_is_called_invalid() -> None:
    invalidate("idx_lead_cre_due")
    found = report()
    assert index("idx_lead_cre_due", found).state == "invalid"
    assert any("idx_lead_cre_due" in words for words in found.warnings)


def test_an_index_that_nobody_asked_for_is_named_and_so_is_what_a_failed_rebuild_left() -> None:
    run("CREATE INDEX somebody_elses ON lead_master (campaign)")
    run("CREATE INDEX idx_lead_won_ccnew ON lead_master (won_at)")
    invalidate("idx_lead_won_ccnew")
    found = report()
    assert index("somebody_elses", found).state == "unexpected"
    assert "do not know it" in index("somebody_elses", found).words
    assert "A rebuild that failed has left it." in index("idx_lead_won_ccnew", found).words


def test_an_index_of_the_right_name_that_is_another_is_called_different() -> None:
    drop("lead_master_one_open_per_phone")
    run("CREATE INDEX lead_master_one_open_per_phone ON lead_master (customer_mobile_number)")
    assert index("lead_master_one_open_per_phone").state == "different"


def test_a_unique_index_without_its_constraint_is_called_out() -> None:
    drop("lead_source_pair_once")
    run('CREATE UNIQUE INDEX "lead_source_pair_once" ON lead_source (source, sub_source)')
    assert index("lead_source_pair_once").state == "no constraint"


def test_what_guards_uniqueness_is_never_called_unused() -> None:
    unused = {one.name for one in report().unused}
    assert not {name for name in unused if indexes.expected()[name].unique}
    assert not any(one.used for one in report().unused)


@pytest.mark.django_db(transaction=True)
def test_use_is_counted() -> None:
    run("SELECT set_config('enable_seqscan', 'off', false)")
    run("SELECT uid FROM lead_master ORDER BY created_at DESC, id DESC LIMIT 1")
    run("SELECT set_config('enable_seqscan', 'on', false), pg_stat_force_next_flush()")
    used = index("idx_lead_created")
    assert used.used
    assert not used.unused


def test_a_missing_table_is_named_and_its_indexes_are_not_called_missing() -> None:
    run("DROP TABLE performance_live_test")
    found = report()
    # After it may stand what other tests have left: dead rows.
    assert found.warnings[0] == "Not in the database: performance_live_test. Run manage.py migrate."
    assert not any("missing" in words for words in found.warnings)
    assert found.remarkable == []


# --- Tables ---------------------------------------------------------------------------------------------------------


def test_rows_of_the_last_day_are_counted_by_table(cast: Cast) -> None:
    now = timezone.now()
    lead = make_lead(cre=cast.asha)
    make_lead(cre=cast.asha, created_at=now - timedelta(days=2))
    for at in (now, now - timedelta(days=2)):
        LeadChange.objects.create(lead=lead, by=cast.meera, field="note", at=at)
    found = report()
    assert [(name, table(name, found).last_day) for name in database.FIRST] == [
        ("lead_master", 1),
        ("duplicate_leads", DuplicateLead.objects.count()),
        ("ps_followup", PSFollowup.objects.count()),
        ("call_attempt", 0),
        ("outbox", 0),
        ("lead_change", 1),
    ]


def test_no_more_than_a_bounded_number_of_rows_is_counted(cast: Cast, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(database, "MOST", 3)
    for _ in range(5):
        make_lead(cre=cast.asha)
    assert table("lead_master").last_day == 3
    assert table("lead_master").last_day_words == "3 or more"


def test_rows_of_the_last_day_are_found_by_an_index_and_no_other_rows_are_counted(cast: Cast) -> None:
    with CaptureQueriesContext(
        connection,
    ) as asked:
        report()
    counting = [query["sql"] for query in asked if "count(*)" in query["sql"] and "lead_master" in query["sql"]]
    assert len(counting) == 1
    assert counting[0].count("count(*)") == counting[0].count(f"LIMIT {database.MOST}") == len(database.CAME_IN)
    # It has told PostgreSQL to, until the end of the transaction, which is the test's own here.
    plan = " ".join(line for (line,) in run(f"EXPLAIN {counting[0]}"))
    assert "Seq Scan" not in plan
    assert {name for _, name in database.CAME_IN.values() if name} <= set(plan.split())


def test_estimates_follow_what_postgresql_counts_and_survive_lost_statistics() -> None:
    row = {"live": 5, "estimated": -1, "analyzed_at": None, "vacuumed_at": None}
    assert database._estimate(row) == 5
    assert database._estimate({**row, "live": 7, "estimated": 1_000_000}) == 1_000_000
    assert database._estimate({**row, "live": 7, "estimated": 900, "analyzed_at": timezone.now()}) == 7
    assert database._estimate({**row, "live": None}) is None


@pytest.mark.parametrize(
    ("rows", "changed", "stale"),
    [(500, 1000, False), (500, 1001, True), (1_000_000, 100_000, False), (1_000_000, 100_001, True)],
)
def test_statistics_are_stale_after_a_thousand_changes_and_a_tenth_of_the_rows(
    rows: int, changed: int, stale: bool
) -> None:
    assert bool(database._stale(rows, changed, timezone.now())) is stale


def test_a_table_with_rows_that_was_never_analyzed_is_stale_and_a_tiny_one_is_not() -> None:
    assert database._stale(50, 0, None)
    assert not database._stale(49, 0, None)


def test_many_dead_rows_are_worth_a_word() -> None:
    made = mock.Mock(indexes=[], migrations_waiting=0)
    made.tables = [mock.Mock(dead=20_000, dead_share=0.4, stale="")]
    made.tables[0].name = "outbox"
    assert list(database._warnings(made, [])) == [
        "40% of the rows of outbox are dead: autovacuum does not keep up with it."
    ]


# --- Statements -----------------------------------------------------------------------------------------------------


@pytest.fixture
def counted() -> None:
    """Stands for the extension's view, in a schema of its own."""
    run("CREATE SCHEMA kept")
    run(
        """CREATE TABLE kept.pg_stat_statements (dbid oid, queryid bigint, query text, calls bigint,
           total_exec_time double precision, rows bigint)"""
    )


def count(query: str, *, calls: int = 2, total: float = 10, here: bool = True) -> None:
    run(
        """INSERT INTO kept.pg_stat_statements
           SELECT CASE WHEN %s THEN oid ELSE 1 END, hashtext(%s), %s, %s, %s, 4
             FROM pg_database WHERE datname = current_database()""",
        [here, query, query, calls, total],
    )


def test_without_pg_stat_statements_it_says_how_to_get_it() -> None:
    run("DROP EXTENSION IF EXISTS pg_stat_statements")
    found = report()
    assert found.statements == []
    assert "CREATE EXTENSION pg_stat_statements" in found.statements_words


@pytest.mark.usefixtures("counted")
def test_the_slowest_statements_of_this_database_come_first_ten_at_most() -> None:
    for number in range(12):
        count(f"SELECT {number} FROM lead_master", total=number)
    count("SELECT elsewhere", total=1000, here=False)
    found, words = slowest("kept", [])
    assert [one.total_ms for one in found] == [11, 10, 9, 8, 7, 6, 5, 4, 3, 2]
    assert (found[0].calls, found[0].mean_ms, found[0].rows) == (2, 5.5, 4)
    assert words == ""


@pytest.mark.usefixtures("counted")
def test_no_values_and_no_passwords_are_shown() -> None:
    count("ALTER ROLE desk PASSWORD 'secret'")
    count("  update lead_master set customer_name = 'O''Brien' where phone = '+919876543210' and id = 9876543210")
    count("SELECT '" + "Ramesh " * 1000)
    found, _ = slowest("kept", [])
    shown = " ".join(one.text for one in found)
    assert len(found) == 2
    assert not any(value in shown for value in ("secret", "Brien", "98765", "Ramesh"))
    assert all(len(one.text) <= LENGTH for one in found)


@pytest.mark.usefixtures("counted")
def test_a_statement_that_was_planned_and_never_came_to_its_end_is_left_out() -> None:
    count("SELECT 1", calls=0, total=0)
    count("SELECT 2")
    found, _ = slowest("kept", [])
    assert [one.text for one in found] == ["SELECT 2"]


@pytest.mark.usefixtures("counted")
def test_statements_that_may_not_be_read_are_said_to_be_hidden() -> None:
    count("<insufficient privilege>")
    count("SELECT 1")
    assert slowest("kept", [])[1] == HIDDEN


def test_statements_that_cannot_be_read_leave_the_rest_alone() -> None:
    unread: list[str] = []
    assert slowest("nowhere", unread) == ([], "")
    assert unread == ['The slowest statements could not be read: Relation "nowhere.pg_stat_statements" does not exist.']
    assert report().readable


# --- What may not be read, or not now -------------------------------------------------------------------------------


def test_a_role_that_may_read_nothing_but_the_catalogues_is_told_so_in_words() -> None:
    run("CREATE ROLE passer_by NOLOGIN")
    run("SET LOCAL ROLE passer_by")
    found = report()
    assert found.readable
    assert found.remarkable == []
    assert found.unread == ["The rows of the last day could not be read: Permission denied for table lead_master."]


@pytest.mark.django_db(transaction=True)
def test_a_locked_table_is_not_waited_for() -> None:
    other = connection.copy()
    try:
        with transaction.atomic(), other.cursor() as cursor:
            other.set_autocommit(False)
            cursor.execute("LOCK TABLE lead_source IN ACCESS EXCLUSIVE MODE")
            found = report()
        assert not found.readable
        assert found.unread[0] == "The tables could not be read: Canceling statement due to lock timeout."
    finally:
        other.close()


def test_each_look_has_its_limits() -> None:
    report()
    # Set until the end of the transaction, which is the test's own here.
    assert run("SELECT current_setting('lock_timeout'), current_setting('statement_timeout')") == [("500ms", "3s")]


def test_what_it_asks_does_not_grow_with_the_rows(cast: Cast) -> None:
    report()

    def asked() -> int:
        with CaptureQueriesContext(connection) as queries:
            report()
        return len(queries)

    few = asked()
    for _ in range(50):
        make_lead(cre=cast.asha)
    assert asked() == few < 20


def test_for_a_plan_no_rows_and_no_statements_are_counted() -> None:
    with CaptureQueriesContext(connection) as asked:
        found = structure()
    assert not [query["sql"] for query in asked if "count(*)" in query["sql"] or ".pg_stat_statements" in query["sql"]]
    whole = report()
    assert (found.indexes, found.unread) == (whole.indexes, [])
    assert [(one.name, one.stale) for one in found.tables] == [(one.name, one.stale) for one in whole.tables]


def test_it_can_be_sent_as_json_and_names_no_customer(cast: Cast) -> None:
    make_lead(cre=cast.asha, customer_name="Nagarjuna")
    told = json.dumps(report().as_json())
    assert "lead_master" in told
    assert "Nagarjuna" not in told
    assert LeadMaster.objects.count() == 1
