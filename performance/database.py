"""What PostgreSQL says of the desk's tables, indexes and slowest statements: its catalogues are asked, not the rows."""

import json
import re
from collections.abc import Iterator
from dataclasses import asdict, dataclass, replace
from datetime import datetime, timedelta
from typing import Any

from django.core.serializers.json import DjangoJSONEncoder
from django.db import connection, transaction
from django.utils import timezone

from performance import health, indexes
from performance.catalogue_reading import Row, read
from performance.indexes import Expected
from performance.slowest import Statement, slowest

# Whoever looks at the page waits for it, and a table that somebody has locked is not worth that wait.
PATIENCE = "SELECT set_config('statement_timeout', '3s', true), set_config('lock_timeout', '500ms', true)"
DAY = timedelta(days=1)
# As many rows of a day are counted, and no more.
MOST = 10_000

# Statistics of a table are stale when more rows than both of these have changed since it was analyzed, or when it never
# was and has rows enough for autovacuum, too, to think it worth while.
STALE_ROWS, STALE_SHARE, WORTH_ROWS = 1000, 0.1, 50
# As many dead rows, and this share of them, are worth a word.
DEAD_ROWS, DEAD_SHARE = 10_000, 0.2

FIRST = ("lead_master", "duplicate_leads", "ps_followup", "call_attempt", "outbox", "lead_change")
# When a row came in, and the index that has the newest first. The others are found by their key: a finished row of the
# outbox leaves it, and changes of leads are numbered as they happen.
CAME_IN = {
    "lead_master": ("created_at", "idx_lead_created"),
    "duplicate_leads": ("created_at", "idx_duplicate_created"),
    "ps_followup": ("assigned_at", "idx_ps_followup_assigned"),
    "call_attempt": ("called_at", "idx_call_attempt_called"),
    "outbox": ("created_at", ""),
    "lead_change": ("at", ""),
}

VALID, MISSING, INVALID, BUILDING = "valid", "missing", "invalid", "being built"
DIFFERENT, LOOSE, UNEXPECTED = "different", "no constraint", "unexpected"
DROP_IT = "An administrator can drop it (tell whoever looks after the server)."


@dataclass(frozen=True, slots=True)
class Table:
    """`rows` is PostgreSQL's estimate, None where it has none. `stale` says why ANALYZE would help."""

    name: str
    rows: int | None
    last_day: int | None
    last_day_words: str
    table_bytes: int
    index_bytes: int
    toast_bytes: int
    dead: int
    dead_share: float
    vacuumed_at: datetime | None
    analyzed_at: datetime | None
    changed: int
    stale: str

    @property
    def dead_percent(self) -> float:
        return 100 * self.dead_share


@dataclass(frozen=True, slots=True)
class Index:
    """`used` counts its scans since the statistics began; what guards uniqueness is never called unused."""

    name: str
    table: str
    state: str
    words: str
    unique: bool = False
    size: int = 0
    used: int | None = None
    used_at: datetime | None = None
    unused: bool = False
    reads: str = ""


@dataclass(frozen=True, slots=True)
class Report:
    """`unread` says what could not be read; `since` is when the statistics began, None where nobody ever reset them."""

    taken_at: datetime
    version: str
    since: datetime | None
    tables: list[Table]
    indexes: list[Index]
    statements: list[Statement]
    statements_words: str
    migrations_waiting: int
    warnings: list[str]
    unread: list[str]

    @property
    def first_tables(self) -> list[Table]:
        return [table for table in self.tables if table.name in FIRST]

    @property
    def other_tables(self) -> list[Table]:
        return [table for table in self.tables if table.name not in FIRST]

    @property
    def remarkable(self) -> list[Index]:
        return [index for index in self.indexes if index.state != VALID]

    @property
    def unused(self) -> list[Index]:
        return [index for index in self.indexes if index.unused]

    @property
    def unused_bytes(self) -> int:
        return sum(index.size for index in self.unused)

    @property
    def readable(self) -> bool:
        """Whether tables and indexes are known, so that something can be said of what there is to do."""
        return bool(self.tables and self.indexes)

    def as_json(self) -> dict[str, Any]:
        told: dict[str, Any] = json.loads(json.dumps(asdict(self), cls=DjangoJSONEncoder))
        return told


def report() -> Report:
    """One bounded round of the catalogues; what cannot be read is said in words."""
    return _read_all(counts=True)


def structure() -> Report:
    """Tables and indexes alone, without the rows of the day and the statements: what a plan is made of."""
    return _read_all(counts=False)


def _read_all(*, counts: bool) -> Report:
    unread: list[str] = []
    days: dict[str, int] = {}
    statements: list[Statement] = []
    words = ""
    with transaction.atomic():
        with connection.cursor() as cursor:
            cursor.execute(PATIENCE)
        server = read("The server’s statistics", SERVER, [], unread)
        tables = read("The tables", TABLES, [list(_table_names())], unread)
        standing = read("The indexes", INDEXES, [list(indexes.tables())], unread)
        gone = [row["name"] for row in tables if not row["there"]]
        found = list(_indexes(standing, gone)) if standing else []
        if counts:
            statements, words = slowest(server[0]["statements_in"] if server else None, unread)
            days = _last_day([row["name"] for row in tables if row["there"]], found, unread)
    about: Row = server[0] if server else {"version": "", "since": None}
    waiting = health.migrations_waiting() if any(index.state == MISSING for index in found) else 0
    made = Report(
        taken_at=timezone.now(),
        version=about["version"],
        since=about["since"],
        tables=[_table(row, days.get(row["name"])) for row in tables if row["there"]],
        indexes=found,
        statements=statements,
        statements_words=words,
        migrations_waiting=waiting,
        warnings=[],
        unread=unread,
    )
    return replace(made, warnings=list(_warnings(made, gone)))


def _table_names() -> Iterator[str]:
    yield from FIRST
    yield from (name for name in indexes.tables() if name not in FIRST)


# --- Tables ---------------------------------------------------------------------------------------------------------

SERVER = """
SELECT current_setting('server_version') AS version,
       (SELECT stats_reset FROM pg_stat_database WHERE datname = current_database()) AS since,
       (SELECT quote_ident(n.nspname) FROM pg_extension AS e JOIN pg_namespace AS n ON n.oid = e.extnamespace
         WHERE e.extname = 'pg_stat_statements') AS statements_in
"""
TABLES = """
SELECT asked.name, c.oid IS NOT NULL AS there, c.reltuples::bigint AS estimated, s.n_live_tup AS live,
       s.n_dead_tup AS dead, s.n_mod_since_analyze AS changed,
       greatest(s.last_vacuum, s.last_autovacuum) AS vacuumed_at,
       greatest(s.last_analyze, s.last_autoanalyze) AS analyzed_at,
       pg_relation_size(c.oid) AS table_bytes, pg_indexes_size(c.oid) AS index_bytes,
       CASE WHEN c.reltoastrelid <> 0 THEN pg_total_relation_size(c.reltoastrelid) ELSE 0 END AS toast_bytes
  FROM unnest(%s::text[]) WITH ORDINALITY AS asked (name, place)
  LEFT JOIN pg_class AS c ON c.oid = to_regclass(quote_ident(asked.name))
  LEFT JOIN pg_stat_all_tables AS s ON s.relid = c.oid
 ORDER BY asked.place
"""


def _table(row: Row, last_day: int | None) -> Table:
    rows = _estimate(row)
    dead, changed = row["dead"] or 0, row["changed"] or 0
    return Table(
        name=row["name"],
        rows=rows,
        last_day=last_day,
        last_day_words=_day_in_words(row["name"], last_day),
        table_bytes=row["table_bytes"] or 0,
        index_bytes=row["index_bytes"] or 0,
        toast_bytes=row["toast_bytes"] or 0,
        dead=dead,
        dead_share=dead / (dead + (row["live"] or 0)) if dead else 0.0,
        vacuumed_at=row["vacuumed_at"],
        analyzed_at=row["analyzed_at"],
        changed=changed,
        stale=_stale(rows or 0, changed, row["analyzed_at"]),
    )


def _estimate(row: Row) -> int | None:
    """What is counted while rows come and go; where those counts may have been lost, what the last VACUUM saw."""
    live, seen = row["live"], row["estimated"]
    if live is None:
        return seen if seen >= 0 else None
    known: int = live if row["analyzed_at"] or row["vacuumed_at"] else max(live, seen, 0)
    return known


def _stale(rows: int, changed: int, analyzed_at: datetime | None) -> str:
    if analyzed_at is None:
        return "It was never analyzed." if rows >= WORTH_ROWS else ""
    if changed > max(STALE_ROWS, STALE_SHARE * rows):
        return f"{changed:,} rows have changed since it was analyzed."
    return ""


def _last_day(there: list[str], found: list[Index], unread: list[str]) -> dict[str, int]:
    """Rows of the last 24 hours by table, as far as a valid index leads to them."""
    valid = {index.name for index in found if index.state == VALID}
    asked = [name for name in there if name in CAME_IN and (not CAME_IN[name][1] or CAME_IN[name][1] in valid)]
    if not asked:
        return {}
    counts = ", ".join(f"({_newest(name)}) AS {name}" for name in asked)
    with connection.cursor() as cursor:
        # A statement of its own: PostgreSQL plans the next one with it. It is the last of this transaction.
        cursor.execute("SET LOCAL enable_seqscan = off")
    rows = read("The rows of the last day", f"SELECT {counts}", [timezone.now() - DAY] * len(asked), unread)
    return {name: rows[0][name] for name in asked} if rows else {}


def _newest(table: str) -> str:
    """Both names are from CAME_IN."""
    column, index = CAME_IN[table]
    order, within, after = ("id", "", f" WHERE {column} >= %s") if not index else (column, f" WHERE {column} >= %s", "")
    rows = f"SELECT {column} FROM {table}{within} ORDER BY {order} DESC LIMIT {MOST}"  # noqa: S608
    return f"SELECT count(*) FROM ({rows}) AS newest{after}"  # noqa: S608


def _day_in_words(table: str, number: int | None) -> str:
    if table not in CAME_IN:
        return "not asked"
    if number is None:
        return "not counted: its index is not there to be used"
    return f"{number:,} or more" if number >= MOST else f"{number:,}"


# --- Indexes --------------------------------------------------------------------------------------------------------

# Of pg_index: whether an index is finished, kept up to date, and not about to be dropped.
USABLE = "i.indisvalid AND i.indisready AND i.indislive"
# last_idx_scan is there from PostgreSQL 16 on.
INDEXES = f"""
SELECT c.relname AS name, t.relname AS table, i.indisunique AS unique, i.indpred IS NOT NULL AS partial,
       {USABLE} AS valid,
       EXISTS (SELECT FROM pg_constraint AS k
                WHERE k.conindid = i.indexrelid AND k.conrelid = i.indrelid AND k.contype IN ('p', 'u', 'x')) AS bound,
       EXISTS (SELECT FROM pg_stat_progress_create_index AS p
                WHERE p.datname = current_database() AND p.relid = i.indrelid) AS building,
       pg_relation_size(c.oid) AS size, s.idx_scan AS used, (to_jsonb(s) ->> 'last_idx_scan')::timestamptz AS used_at
  FROM pg_index AS i
  JOIN pg_class AS c ON c.oid = i.indexrelid
  JOIN pg_class AS t ON t.oid = i.indrelid
  LEFT JOIN pg_stat_all_indexes AS s ON s.indexrelid = i.indexrelid
 WHERE i.indrelid IN (SELECT to_regclass(quote_ident(asked.name)) FROM unnest(%s::text[]) AS asked (name))
 ORDER BY t.relname, c.relname
"""  # noqa: S608 - no values in it


def _indexes(rows: list[Row], gone: list[str]) -> Iterator[Index]:
    """By table: what the models ask for, there or not, and then what they do not know."""
    standing = {row["name"]: row for row in rows}
    for table in _table_names():
        for asked in indexes.expected().values():
            if asked.table == table and table not in gone:
                yield _index(asked, standing.pop(asked.name, None))
        for row in rows:
            if row["table"] == table and row["name"] in standing:
                yield _unexpected(row)


def _index(asked: Expected, row: Row | None) -> Index:
    reads = indexes.readers().get(asked.name, "")
    if row is None:
        words = "It is not there." if asked.create else "It is not there, and only a migration can make it."
        return Index(asked.name, asked.table, MISSING, words, asked.unique, reads=reads)
    state, words = _state(asked, row)
    made = _standing(row, state, words)
    return replace(made, reads=reads, unused=not made.used and state == VALID and not (row["unique"] or row["bound"]))


def _state(asked: Expected, row: Row) -> tuple[str, str]:
    if (row["table"], row["unique"], row["partial"]) != (asked.table, asked.unique, asked.partial):
        return DIFFERENT, "It is not the index that the desk’s migrations make; it is left as it is."
    if not row["valid"]:
        if row["building"]:
            return BUILDING, "It is being built."
        return INVALID, "It was not finished: it is no use for reading, and costs time on each save."
    if asked.attach and not row["bound"]:
        return LOOSE, "It is there, but the table’s constraint was not made of it yet."
    return VALID, ""


def _unexpected(row: Row) -> Index:
    if not row["valid"] and row["building"]:
        return _standing(row, BUILDING, "It is being built.")
    if not row["valid"] and re.search(r"_cc(new|old)\d*$", row["name"]):
        words = "A rebuild that failed has left it. It costs time on each save. " + DROP_IT
    else:
        words = "The desk’s migrations do not know it. It is left as it is."
    return _standing(row, UNEXPECTED, words)


def _standing(row: Row, state: str, words: str) -> Index:
    return Index(row["name"], row["table"], state, words, row["unique"], row["size"] or 0, row["used"], row["used_at"])


# --- In words -------------------------------------------------------------------------------------------------------


def _warnings(made: Report, gone: list[str]) -> Iterator[str]:
    if gone:
        yield f"Not in the database: {', '.join(gone)}. Run manage.py migrate."
    if made.migrations_waiting:
        yield "Migrations wait to be applied, so indexes may be missing rightly. Run manage.py migrate."
    for state, words in (
        (MISSING, "Indexes that are missing, so that something reads whole tables: {}."),
        (INVALID, "Indexes that were not finished and serve nobody: {}."),
        (LOOSE, "Indexes without their constraint: {}."),
        (DIFFERENT, "Indexes that are not as the desk’s migrations make them: {}."),
        (UNEXPECTED, "Indexes that the desk does not know, and never touches: {}."),
    ):
        if names := [index.name for index in made.indexes if index.state == state]:
            yield words.format(", ".join(names))
    for table in made.tables:
        if table.dead > DEAD_ROWS and table.dead_share > DEAD_SHARE:
            yield f"{table.dead_share:.0%} of the rows of {table.name} are dead: autovacuum does not keep up with it."
    if stale := [table.name for table in made.tables if table.stale]:
        yield f"Tables whose statistics are stale, so that plans may be bad: {', '.join(stale)}."
