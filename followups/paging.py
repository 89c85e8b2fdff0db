"""Pages of a long list by where a row stands, not by counting: the hundredth page costs what the first does.

A cursor names the row at a page's edge and the direction from there. New rows on top shift nothing; a cursor
that was tampered with, or whose rows are gone, gives the first page.
"""

import base64
import binascii
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, Generic, NamedTuple, TypeVar

from django.db.models import Model, Q, QuerySet

M = TypeVar("M", bound=Model)

SIZE = 50
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
MICROSECOND = timedelta(microseconds=1)
# Beyond these PostgreSQL or Python could not hold the value: nobody was given such a cursor.
LAST_MOMENT, LAST_KEY = 2**52, 2**63 - 1


class Cursor(NamedTuple):
    """The row at the edge, by its moment and key, and whether newer rows are wanted, or older ones."""

    newer: bool
    at: datetime
    key: int

    def __str__(self) -> str:
        plain = f"{'n' if self.newer else 'o'}.{(self.at - EPOCH) // MICROSECOND}.{self.key}"
        return base64.urlsafe_b64encode(plain.encode()).decode().rstrip("=")


def read(typed: str) -> Cursor | None:
    """The cursor that `str` made; None for anything else."""
    try:
        plain = base64.b64decode(typed + "=" * (-len(typed) % 4), altchars=b"-_", validate=True).decode("ascii")
        way, moment, key = plain.split(".")
        cursor = Cursor(way == "n", EPOCH + int(moment) * MICROSECOND, int(key))
    except (binascii.Error, ValueError, OverflowError):
        return None
    sane = way in ("n", "o") and 0 <= int(moment) <= LAST_MOMENT and 0 <= cursor.key <= LAST_KEY
    return cursor if sane else None


@dataclass(frozen=True, slots=True)
class Page(Generic[M]):
    """Some rows, newest first, and the cursors of the pages beside them; empty where there is none."""

    rows: list[M]
    newer: str = ""
    older: str = ""


def page(rows: QuerySet[M], typed: str = "", *, by: str = "created_at", size: int = SIZE) -> Page[M]:
    """The page of `rows` that the cursor `typed` asks for; without one the first. One query as a rule.

    `by` is the field that tells new from old; an index on it and the key, both descending, makes pages cheap.
    """
    cursor = read(typed)
    if cursor and cursor.newer:
        found = list(rows.filter(_beyond(cursor, by)).order_by(by, "pk")[: size + 1])
        if len(found) > size:
            return _page(found[size - 1 :: -1], by, newer=True, older=True)
    elif cursor:
        found = list(rows.filter(_beyond(cursor, by)).order_by(f"-{by}", "-pk")[: size + 1])
        if found:
            return _page(found[:size], by, newer=True, older=len(found) > size)
    found = list(rows.order_by(f"-{by}", "-pk")[: size + 1])
    return _page(found[:size], by, newer=False, older=len(found) > size)


def _beyond(cursor: Cursor, by: str) -> Q:
    # The first condition is what an index scan starts from; the second settles rows of the same moment.
    than = "gt" if cursor.newer else "lt"
    beyond: dict[str, Any] = {f"{by}__{than}": cursor.at}
    return Q(**{f"{by}__{than}e": cursor.at}) & (Q(**beyond) | Q(**{f"pk__{than}": cursor.key}))


def _page(rows: list[M], by: str, *, newer: bool, older: bool) -> Page[M]:
    def beside(row: M, *, newer: bool) -> str:
        return str(Cursor(newer, getattr(row, by), row.pk))

    return Page(
        rows,
        newer=beside(rows[0], newer=True) if newer else "",
        older=beside(rows[-1], newer=False) if older else "",
    )
