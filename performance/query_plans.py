"""Which indexes PostgreSQL takes for a statement, and which tables it reads whole. Nothing is executed for it."""

import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any

from django.db import connection

# Pages of 8 kB. A smaller table is often read whole with good reason, and that takes a few milliseconds.
PAGE_BYTES, PAGES_PER_MB = 8192, 128
BIG_PAGES = 1000
EXPLAINED = ("SELECT", "WITH", "INSERT", "UPDATE", "DELETE")


@dataclass
class Way:
    """How a table is come to: through `indexes`, or `whole`; `pages` is its size."""

    table: str
    indexes: list[str] = field(default_factory=list)
    whole: bool = False
    pages: int = 0

    @property
    def big(self) -> bool:
        return self.pages > BIG_PAGES

    @property
    def warning(self) -> str:
        """What is wrong with it, in words; empty if nothing is."""
        if not (self.whole and self.big):
            return ""
        return (
            f"PostgreSQL reads the whole table (sequential scan of {self.table}, {self.pages // PAGES_PER_MB:,} MB), "
            "because it has no index for the question, or does not take it. See Optimize on this page."
        )


def ways(statements: Iterable[tuple[str, Any]]) -> list[Way]:
    """By table, what PostgreSQL plans for these statements and their parameters."""
    found: dict[str, Way] = {}
    with connection.cursor() as cursor:
        for sql, parameters in statements:
            cursor.execute(f"EXPLAIN (COSTS OFF, FORMAT JSON) {sql}", parameters)
            answer = cursor.fetchone()[0]
            for table, index in _looks((json.loads(answer) if isinstance(answer, str) else answer)[0]["Plan"], ""):
                way = found.setdefault(table, Way(table))
                if not index:
                    way.whole = True
                elif index not in way.indexes:
                    way.indexes.append(index)
        cursor.execute(
            "SELECT relname, pg_relation_size(oid) / %s FROM pg_class WHERE oid = ANY (%s::regclass[])",
            [PAGE_BYTES, list(found)],
        )
        for table, pages in cursor.fetchall():
            found[table].pages = pages
    return sorted(found.values(), key=lambda way: (not way.big, way.table))


def _looks(node: dict[str, Any], table: str) -> Iterator[tuple[str, str]]:
    """Each look into a table, with the index; without one where the table is read from end to end."""
    table = node.get("Relation Name", table)
    if "Index Name" in node:
        yield table, node["Index Name"]
    for index in node.get("Conflict Arbiter Indexes", []):
        yield table, index
    if node["Node Type"] == "Seq Scan":
        yield table, ""
    for below in node.get("Plans", []):
        yield from _looks(below, table)
