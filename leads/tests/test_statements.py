"""What a save costs, counted where it counts: at the server, which also sees what Django's log does not."""

from typing import Any

import pytest
from django.core.cache import cache
from django.db import connection
from django.test import Client

from conftest import Cast
from leads.capture import CAPTURE, Outcome, capture
from leads.tests.factories import enquiry
from leads.tests.typed import fields

pytestmark = pytest.mark.django_db(transaction=True)
TRANSACTION = {"BEGIN", "COMMIT"}


@pytest.fixture
def statements() -> Any:
    """A function that returns what the server has executed since it was last called, by text."""
    with connection.cursor() as cursor:
        cursor.execute("CREATE EXTENSION IF NOT EXISTS pg_stat_statements")
        cursor.execute("SET pg_stat_statements.track_utility = on")

    def since() -> list[str]:
        with connection.cursor() as cursor:
            cursor.execute(
                """
                SELECT query, calls FROM pg_stat_statements
                  JOIN pg_database ON pg_database.oid = dbid
                 WHERE datname = current_database() AND query NOT LIKE '%pg_stat_statements%'
                """
            )
            found = [query for query, calls in cursor.fetchall() for _ in range(calls)]
            cursor.execute(
                "SELECT pg_stat_statements_reset(0, (SELECT oid FROM pg_database WHERE datname = current_database()))"
            )
        return found

    since()
    return since


def besides_transaction(executed: list[str]) -> list[str]:
    """Without the server's own look-ups for foreign keys, which it makes inside COMMIT and no client sends."""
    return [query for query in executed if query not in TRANSACTION and "FOR KEY SHARE OF x" not in query]


@pytest.mark.parametrize("outcome", [Outcome.CREATED, Outcome.DUPLICATE, Outcome.REPEAT])
def test_capture_executes_one_statement_besides_begin_and_commit(cast: Cast, statements: Any, outcome: Outcome) -> None:
    typed = enquiry(ps_id=cast.kiran.pk, branch_id=cast.attapur.pk)
    if outcome != Outcome.CREATED:
        first = "Meta Know" if outcome == Outcome.DUPLICATE else "Meta"
        capture(enquiry(phone=typed.phone, sub_source=first), cast.asha)
    statements()
    assert capture(typed, cast.asha).outcome == outcome
    executed = statements()
    assert len(besides_transaction(executed)) == 1
    assert sorted(set(executed) & TRANSACTION) == ["BEGIN", "COMMIT"]


@pytest.mark.parametrize("cached", [True, False])
def test_the_whole_signed_in_post_executes_three_statements_at_most(
    cast: Cast, client: Client, statements: Any, cached: bool
) -> None:
    client.force_login(cast.asha)
    client.post("/add_lead_optimized", fields())
    if not cached:
        cache.clear()
    statements()
    assert client.post("/add_lead_optimized", fields()).status_code == 201
    executed = besides_transaction(statements())
    assert len(executed) <= (2 if cached else 3), executed


def test_the_statement_is_prepared_on_the_server(cast: Cast) -> None:
    for _ in range(5):
        capture(enquiry(), cast.asha)
    with connection.cursor() as cursor:
        cursor.execute("SELECT count(*) FROM pg_prepared_statements WHERE statement LIKE %s", ["%captured AS (%"])
        assert cursor.fetchone() == (1,)
    assert "captured AS (" in CAPTURE
