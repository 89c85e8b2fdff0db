"""The statements that have taken the most time in all, as pg_stat_statements keeps them: without what people typed."""

import re
from dataclasses import dataclass

from django.utils.text import Truncator

from performance.catalogue_reading import read

MOST, LENGTH = 10, 400
TO_GET = (
    "pg_stat_statements is not installed in this database. Add it to shared_preload_libraries in postgresql.conf, "
    "restart PostgreSQL, and run CREATE EXTENSION pg_stat_statements in this database as its administrator (tell "
    "whoever looks after the server)."
)
HIDDEN = (
    "The desk’s role may not read the statements of other roles: GRANT pg_read_all_stats to it shows them (tell "
    "whoever looks after the server)."
)


@dataclass(frozen=True, slots=True)
class Statement:
    """A statement as PostgreSQL keeps it, without its values; times in milliseconds."""

    text: str
    calls: int
    total_ms: float
    mean_ms: float
    rows: int


def slowest(schema: str | None, unread: list[str]) -> tuple[list[Statement], str]:
    """The slowest in total, and a word where there are none or some are hidden.

    Only what reads and writes rows: PostgreSQL keeps other commands as they were typed, passwords included. Where it
    counts plans, it keeps what was planned and never came to its end, too.
    """
    if schema is None:
        return [], "" if unread else TO_GET
    sql = f"""
        WITH seen AS MATERIALIZED (
            SELECT queryid, query, calls, total_exec_time, rows FROM {schema}.pg_stat_statements
             WHERE dbid = (SELECT oid FROM pg_database WHERE datname = current_database()))
        SELECT left(min(query), 4000) AS query, sum(calls)::bigint AS calls, sum(total_exec_time) AS total_ms,
               sum(rows)::bigint AS rows,
               (SELECT count(*) FROM seen WHERE query = '<insufficient privilege>') AS hidden
          FROM seen WHERE query ~* '^\\s*(select|insert|update|delete|merge|with)\\M'
         GROUP BY queryid HAVING sum(calls) > 0 ORDER BY total_ms DESC LIMIT {MOST}
    """  # noqa: S608 - the schema's name comes quoted from the catalogue
    rows = read("The slowest statements", sql, [], unread)
    found = [
        Statement(_shortened(row["query"]), row["calls"], row["total_ms"], row["total_ms"] / row["calls"], row["rows"])
        for row in rows
    ]
    return found, HIDDEN if rows and rows[0]["hidden"] else ""


def _shortened(query: str) -> str:
    """Values stand in it only where PostgreSQL has lost the normal form; even then they are not shown."""
    query = re.sub(r"'(?:[^']|'')*(?:'|$)", "'…'", query)
    query = re.sub(r"\b\d{5,}\b", "…", query)
    return Truncator(" ".join(query.split())).chars(LENGTH)
