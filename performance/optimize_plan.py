"""Putting the database in order: what there is to do, and the request that performance.optimize_worker carries out.

It makes indexes that are missing, rebuilds those that were not finished, analyzes what is stale. It drops nothing.
"""

from collections.abc import Iterator
from dataclasses import asdict, dataclass, fields
from typing import Any, Self

from django.db import IntegrityError, connection, transaction

from accounts.models import User
from performance import database, health, indexes
from performance.database import INVALID, LOOSE, MISSING, USABLE, Index, Report
from performance.indexes import Expected
from performance.models import Optimization

CREATE, REBUILD, ANALYZE = "create", "rebuild", "analyze"
# What has become of a step.
WAITING, RUNNING, DONE, FAILED = "waiting", "running", "done", "failed"
NOT_NEEDED, NOT_TRIED = "not needed", "not tried"
# Requests that are remembered; the log has them all.
KEPT = 50


@dataclass(frozen=True, slots=True)
class Step:
    """One statement, in words and as PostgreSQL gets it. `index` is empty where a table is analyzed."""

    words: str
    sql: str
    kind: str
    table: str
    index: str
    reason: str

    @classmethod
    def of(cls, kept: dict[str, Any]) -> Self:
        return cls(**{field.name: kept[field.name] for field in fields(cls)})

    def kept(self) -> dict[str, Any]:
        return {**asdict(self), "state": WAITING, "seconds": None, "error": ""}


class AlreadyRunning(Exception):
    """One at a time; `job` is the one that is not finished."""

    def __init__(self, job: Optimization) -> None:
        super().__init__(job)
        self.job = job


class Unreadable(Exception):
    """The catalogues could not be read, so nothing can be said of what there is to do."""


def plan(found: Report | None = None) -> list[Step]:
    """What there is to do, in order; empty where nothing is. Whoever has looked already says what was `found`."""
    found = found or database.structure()
    if not found.readable:
        raise Unreadable(" ".join(found.unread))
    builds = list(_builds(found))
    return [*builds, *_analyzes(found, {step.index for step in builds if step.kind == CREATE})]


def ask(person: User, cause: str) -> Optimization | None:
    """Leaves a request for the workers; None where there is nothing to do."""
    steps = plan()
    if not steps:
        return None
    try:
        with transaction.atomic():
            asked = [step.kept() for step in steps]
            job = Optimization.objects.create(asked_by=person, cause=cause[:64], steps=asked)
            _forget_old()
            return job
    except IntegrityError:
        other = unfinished() or latest()
        if other is None:
            raise
        raise AlreadyRunning(other) from None


def _forget_old() -> None:
    newest = Optimization.objects.order_by("-created_at").values_list("pk", flat=True)
    Optimization.objects.filter(pk__in=list(newest[KEPT:])).delete()


def unfinished() -> Optimization | None:
    return Optimization.objects.filter(state__in=Optimization.UNFINISHED).first()


def latest() -> Optimization | None:
    return Optimization.objects.select_related("asked_by").order_by("-created_at").first()


def _builds(found: Report) -> Iterator[Step]:
    for index in found.indexes:
        if index.state == INVALID:
            yield _rebuild(index)
        # Before its migration has run, an index is missing rightly, and the migration will want to make it.
        elif index.state in (MISSING, LOOSE) and not found.migrations_waiting:
            yield from _creates(index, indexes.expected()[index.name])


def _creates(index: Index, asked: Expected) -> Iterator[Step]:
    if index.state == MISSING and asked.create:
        words = f"Create the index {index.name} on {index.table}."
        reason = f"It is missing. It serves: {index.reads}" if index.reads else "It is missing."
        yield Step(words, asked.create, CREATE, index.table, index.name, reason)
    if asked.attach:
        words = f"Make the constraint {index.name} of {index.table} of its index."
        reason = "The table’s constraint is missing. It takes the table for a moment, or gives up after two seconds."
        yield Step(words, asked.attach, CREATE, index.table, index.name, reason)


def _rebuild(index: Index) -> Step:
    sql = f'REINDEX INDEX CONCURRENTLY "{index.name}"'
    return Step(f"Rebuild the index {index.name} on {index.table}.", sql, REBUILD, index.table, index.name, index.words)


def _analyzes(found: Report, created: set[str]) -> Iterator[Step]:
    """What is stale, and tables that get an index over an expression: such an index has no statistics yet."""
    over = {asked.table for name, asked in indexes.expected().items() if name in created and asked.expression}
    for table in found.tables:
        if table.stale or table.name in over:
            reason = table.stale or "A new index over an expression has no statistics yet."
            words = f"Analyze {table.name}."
            yield Step(words, f'ANALYZE "{table.name}"', ANALYZE, table.name, "", reason)


# --- How many indexes wait to be built ------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class ToBuild:
    """How many indexes are missing or broken; whether migrations wait that may make them, or a worker is at it."""

    number: int
    migrations: bool = False
    job: bool = False


TO_BUILD = f"""
SELECT count(*)
  FROM unnest(%s::text[]) AS asked (name)
 WHERE NOT EXISTS (SELECT FROM pg_index AS i
                    WHERE i.indexrelid = to_regclass(quote_ident(asked.name)) AND {USABLE})
"""  # noqa: S608 - no values in it


def to_build() -> ToBuild:
    """Of the indexes that can be built beside the running desk, how many are missing or broken: one small query, so
    that a page which looks every few seconds says at once when they are there."""
    names = [name for name, asked in indexes.expected().items() if asked.create]
    with connection.cursor() as cursor:
        cursor.execute(TO_BUILD, [names])
        number: int = cursor.fetchone()[0]
    if not number:
        return ToBuild(0)
    if health.migrations_waiting():
        # One of them may make the table in which requests stand.
        return ToBuild(number, migrations=True)
    return ToBuild(number, job=unfinished() is not None)


# --- How far it is --------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Progress:
    """What PostgreSQL says of the index that is being built; `share` from 0 to 100, None where it cannot say."""

    phase: str
    share: int | None


PROGRESS = """
SELECT phase, CASE WHEN tuples_total > 0 THEN 100 * tuples_done / tuples_total
                   WHEN blocks_total > 0 THEN 100 * blocks_done / blocks_total END
  FROM pg_stat_progress_create_index
 WHERE datname = current_database() AND relid = to_regclass(quote_ident(%s)) AND phase IS NOT NULL
"""


def progress(job: Optimization) -> Progress | None:
    """Of the running step, as far as it builds an index."""
    running = next((step for step in job.steps if step["state"] == RUNNING), None)
    if running is None or running["kind"] == ANALYZE:
        return None
    with connection.cursor() as cursor:
        cursor.execute(PROGRESS, [running["table"]])
        found = cursor.fetchone()
    return Progress(*found) if found else None
