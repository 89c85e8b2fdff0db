"""The indexes as the database has them, and everything as it was when a test is over."""

from collections.abc import Iterator
from typing import Any

import pytest
from django.db import connection

from performance import indexes


def run(sql: str, params: list[Any] | None = None) -> list[tuple[Any, ...]]:
    with connection.cursor() as cursor:
        cursor.execute(sql, params)
        return cursor.fetchall() if cursor.description else []


def standing() -> dict[str, tuple[str, bool, str]]:
    """Every index of our tables: its definition, whether it is valid, and the constraint that is made of it."""
    rows = run(
        """SELECT i.indexrelid::regclass::text, pg_get_indexdef(i.indexrelid), i.indisvalid,
                  coalesce((SELECT pg_get_constraintdef(k.oid) FROM pg_constraint AS k
                             WHERE k.conindid = i.indexrelid AND k.conrelid = i.indrelid AND k.contype = 'u'), '')
             FROM pg_index AS i WHERE i.indrelid::regclass::text = ANY(%s)""",
        [list(indexes.tables())],
    )
    return {name: (definition, valid, constraint) for name, definition, valid, constraint in rows}


def drop(name: str) -> None:
    index = indexes.expected()[name]
    if index.attach:
        run(f'ALTER TABLE "{index.table}" DROP CONSTRAINT IF EXISTS "{name}"')
    run(f'DROP INDEX IF EXISTS "{name}"')


def invalidate(name: str) -> None:
    run("UPDATE pg_index SET indisvalid = false WHERE indexrelid = %s::regclass", [name])


@pytest.fixture
def in_order(transactional_db: None) -> Iterator[dict[str, tuple[str, bool, str]]]:
    """Nothing to do at first; whatever the test does to the indexes is undone."""
    for table in indexes.tables():
        run(f'ANALYZE "{table}"')
    before = standing()
    yield before
    # Rows that are the same twice would stand in the way; the end of the test empties the tables anyway.
    run("TRUNCATE lead_master CASCADE")
    now = standing()
    for name in now.keys() - before.keys():
        run(f'DROP INDEX "{name}"')
    for name in before.keys() - {name for name, found in now.items() if found == before.get(name)}:
        drop(name)
        run(indexes.expected()[name].create)
        if indexes.expected()[name].attach:
            run(indexes.expected()[name].attach)
    assert standing() == before
