"""Pages of a long list by where a row stands, not by counting: the hundredth page costs what the first does.

A cursor names the row at a page's edge, by what the list is ordered by, and the direction from there. New rows shift
nothing; a cursor that was tampered with, or whose rows are gone, gives the first page.
"""

import base64
import binascii
import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import reduce
from itertools import groupby
from typing import Any, ClassVar, Generic, NamedTuple, TypeVar

from django.db.models import (
    BooleanField,
    CharField,
    DateTimeField,
    F,
    Field,
    Func,
    IntegerField,
    Model,
    Q,
    QuerySet,
    Subquery,
)
from django.db.models.expressions import Combinable, Value

M = TypeVar("M", bound=Model)
Edge = datetime | int | str

SIZE = 50
NEWEST_FIRST = ("-created_at",)
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
MICROSECOND = timedelta(microseconds=1)
# Beyond these PostgreSQL or Python could not hold the value: nobody was given such a cursor.
LAST_MOMENT, LAST_NUMBER = 2**52, 2**63 - 1


class Cursor(NamedTuple):
    """The row at the edge, by its values in the list's order, the key last; and whether the rows before it are
    wanted, or those after it."""

    newer: bool
    edge: tuple[Edge, ...]

    def __str__(self) -> str:
        values = [(value - EPOCH) // MICROSECOND if isinstance(value, datetime) else value for value in self.edge]
        plain = json.dumps([int(self.newer), *values], separators=(",", ":"))
        return base64.urlsafe_b64encode(plain.encode()).decode().rstrip("=")


@dataclass(frozen=True, slots=True)
class Page(Generic[M]):
    """Some rows in the list's order, and the cursors of the pages before (`newer`) and after (`older`) them; empty
    where there is none."""

    rows: list[M]
    newer: str = ""
    older: str = ""


class Column(NamedTuple):
    """One of the fields that order a list."""

    path: str
    field: "Field[Any, Any]"
    descending: bool


class Order:
    """The order of a list: its columns, the key as the last one, so that no two rows stand alike."""

    def __init__(self, model: type[Model], order: Sequence[str]) -> None:
        paths = [*order, "-pk" if order[-1].startswith("-") else "pk"]
        self.columns = [
            Column(path.lstrip("-"), _field(model, path.lstrip("-")), path.startswith("-")) for path in paths
        ]

    def read(self, typed: str) -> Cursor | None:
        """The cursor that `str` made for such a list; None for anything else."""
        try:
            plain = base64.b64decode(typed + "=" * (-len(typed) % 4), altchars=b"-_", validate=True)
            way, *values = json.loads(plain)
            edge = [_edge(column.field, value) for column, value in zip(self.columns, values, strict=True)]
        except (binascii.Error, ValueError, TypeError, OverflowError, RecursionError):
            return None
        return Cursor(way == 1, tuple(edge)) if way in (0, 1) else None

    def cursor(self, row: Model, *, newer: bool) -> str:
        return str(Cursor(newer, tuple(_value(row, column.path) for column in self.columns)))

    def first(self, *, backwards: bool = False) -> list[str]:
        """As `order_by` wants it."""
        return [f"-{path}" if descending is not backwards else path for path, _, descending in self.columns]

    def beyond(self, cursor: Cursor) -> Q:
        """The rows on the far side of the cursor's.

        Columns that run one way are compared as one row, which a single scan of an index answers however many rows
        share the first value. Where the direction turns, the first run is what the scan starts from.
        """
        paired = zip(self.columns, cursor.edge, strict=True)
        runs = [list(run) for _, run in groupby(paired, key=lambda pair: pair[0].descending)]
        *before, last = [(run, "<" if run[0][0].descending is not cursor.newer else ">") for run in runs]
        return reduce(
            lambda rest, run: Q(_Beside(run[0], run[1] + "=")) & (Q(_Beside(*run)) | rest),
            reversed(before),
            Q(_Beside(*last)),
        )


def page(rows: QuerySet[M], typed: str = "", *, order: Sequence[str] = NEWEST_FIRST, size: int = SIZE) -> Page[M]:
    """The page of `rows` that the cursor `typed` asks for; without one the first. One query as a rule.

    `order` names fields without nulls, of the model or across relations (which `rows` should select, for the cursor
    is read from them); the key is added in the direction of the last one. An index in this order makes pages cheap.
    """
    ordered = Order(rows.model, order)
    cursor = ordered.read(typed)
    if cursor and cursor.newer:
        backwards = rows.filter(ordered.beyond(cursor)).order_by(*ordered.first(backwards=True))
        found = list(backwards[: size + 1])
        if len(found) > size:
            return _page(found[size - 1 :: -1], ordered, newer=True, older=True)
    elif cursor:
        found = list(rows.filter(ordered.beyond(cursor)).order_by(*ordered.first())[: size + 1])
        if found:
            return _page(found[:size], ordered, newer=True, older=len(found) > size)
    found = list(rows.order_by(*ordered.first())[: size + 1])
    return _page(found[:size], ordered, newer=False, older=len(found) > size)


def _page(rows: list[M], order: Order, *, newer: bool, older: bool) -> Page[M]:
    return Page(
        rows,
        newer=order.cursor(rows[0], newer=True) if newer else "",
        older=order.cursor(rows[-1], newer=False) if older else "",
    )


class HowMany(Subquery):
    """How many `rows` there are, `most` at most, as a column of another query: counting stops there."""

    template = "(SELECT count(*) FROM (%(subquery)s) AS counted)"
    output_field: ClassVar[Any] = IntegerField()

    def __init__(self, rows: QuerySet[Any], most: int | None = None) -> None:
        super().__init__(rows.order_by().values("pk")[:most])


class _Row(Func):
    """Several columns, or as many values, as one row."""

    function = "ROW"
    output_field: ClassVar[Any] = BooleanField()  # nobody asks: only rows of the same kind are compared


class _Beside(Func):
    """Whether a row's columns stand before or after given values, in SQL's own comparison of rows."""

    template = "%(expressions)s"
    output_field: ClassVar[Any] = BooleanField()

    def __init__(self, run: Sequence[tuple[Column, Edge]], sign: str) -> None:
        columns: list[Combinable] = [F(column.path) for column, _ in run]
        values = [Value(value, output_field=column.field) for column, value in run]
        super().__init__(_Row(*columns), _Row(*values), arg_joiner=f" {sign} ")


def _field(model: type[Model], path: str) -> "Field[Any, Any]":
    """The field at the end of `path`."""
    *relations, last = path.split("__")
    for name in relations:
        found = model._meta.get_field(name).related_model
        assert isinstance(found, type), f"{path} crosses {name}, which is no relation"
        model = found
    field: Field[Any, Any] = model._meta.pk if last == "pk" else model._meta.get_field(last)  # type: ignore[assignment]
    assert isinstance(field, DateTimeField | IntegerField | CharField), f"no cursor can name {path}"
    return field


def _value(row: Any, path: str) -> Any:
    return reduce(getattr, path.split("__"), row)


def _edge(field: "Field[Any, Any]", value: Any) -> Edge:
    """A value of `field` as a cursor has it. Raises TypeError, ValueError or OverflowError for any other."""
    if isinstance(field, CharField):
        if not isinstance(value, str) or "\x00" in value or len(value) > (field.max_length or 0):
            raise ValueError(value)
        value.encode()
        return value
    if type(value) is not int:
        raise TypeError(value)
    if isinstance(field, DateTimeField):
        if not 0 <= value <= LAST_MOMENT:
            raise ValueError(value)
        return EPOCH + value * MICROSECOND
    if not -LAST_NUMBER <= value <= LAST_NUMBER:
        raise ValueError(value)
    return value
