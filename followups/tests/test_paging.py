"""Paging: every row once, in order, forwards and back; new rows shift nothing; strange cursors do no harm.

Whatever a list is ordered by: newest first, oldest first, by several fields, mixed directions, across relations.
"""

import base64
import itertools
import json
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from hypothesis import given
from hypothesis import strategies as st

from conftest import Cast
from followups.models import PSFollowup
from followups.paging import Cursor, Order, Page, page
from leads.models import LeadMaster
from leads.tests.factories import make_lead

START = datetime(2026, 3, 1, 9, tzinfo=UTC)
SIZE, MANY = 4, 20
NEWEST = ("-created_at",)
ORDERS = [
    NEWEST,
    ("created_at",),
    ("-priority",),
    ("-priority", "-created_at"),
    ("-priority", "created_at"),
    ("customer_name", "-priority", "created_at"),
    ("customer_name",),
]


def fill(number: int) -> None:
    """So many leads, three of each moment, four of each priority, some of a name."""
    for count in range(number):
        make_lead(
            created_at=START + timedelta(minutes=count // 3),
            priority=count % 4 * 10 - 10,
            customer_name=["Asha Rao", "asha rao", "Éla “Q” O'Neil, ünïcode", "Zoya"][count % 3],
        )


def wanted(order: Sequence[str] = NEWEST) -> list[int]:
    """The keys as PostgreSQL orders them without paging."""
    key = "-pk" if order[-1].startswith("-") else "pk"
    return list(LeadMaster.objects.order_by(*order, key).values_list("pk", flat=True))


def turn(cursor: str = "", order: Sequence[str] = NEWEST) -> Page[LeadMaster]:
    return page(LeadMaster.objects.all(), cursor, order=order, size=SIZE)


def all_pages(order: Sequence[str] = NEWEST) -> list[Page[LeadMaster]]:
    """From the first page on; no further than MANY, should they lead in a circle."""
    pages = [turn(order=order)]
    while pages[-1].older and len(pages) < MANY:
        pages.append(turn(pages[-1].older, order))
    return pages


def keys(shown: Page[LeadMaster]) -> list[int]:
    return [row.pk for row in shown.rows]


def read(typed: str, order: Sequence[str] = NEWEST) -> Cursor | None:
    return Order(LeadMaster, order).read(typed)


@pytest.mark.django_db
@pytest.mark.parametrize("order", ORDERS, ids=" ".join)
@pytest.mark.parametrize("number", [0, 1, SIZE, SIZE + 1, 3 * SIZE, 3 * SIZE + 2])
def test_forwards_every_row_comes_once_and_in_order(number: int, order: Sequence[str]) -> None:
    fill(number)
    pages = all_pages(order)
    assert list(itertools.chain.from_iterable(map(keys, pages))) == wanted(order)
    assert pages[0].newer == ""
    assert all(shown.newer for shown in pages[1:])
    assert len(pages) == max(1, -(-number // SIZE)), "no empty page at the end"


@pytest.mark.django_db
@pytest.mark.parametrize("order", ORDERS, ids=" ".join)
def test_back_is_the_way_one_came(order: Sequence[str]) -> None:
    fill(3 * SIZE + 2)
    there = all_pages(order)
    back = [there[-1]]
    while back[-1].newer and len(back) < MANY:
        back.append(turn(back[-1].newer, order))
    assert [keys(shown) for shown in reversed(back)] == [keys(shown) for shown in there]


@pytest.mark.django_db
def test_new_rows_on_top_shift_nothing_and_back_leads_to_them() -> None:
    fill(3 * SIZE)
    before = wanted()
    older = turn().older
    newest = make_lead(created_at=START + timedelta(hours=1))
    second = turn(older)
    assert keys(second) == before[SIZE : 2 * SIZE]
    first = turn(second.newer)
    assert keys(first) == before[:SIZE]
    assert keys(turn(first.newer)) == [newest.pk, *before[: SIZE - 1]], "the first page is always a full one"


@pytest.mark.django_db
def test_rows_that_come_at_the_end_of_an_ascending_list_shift_nothing() -> None:
    order = ("created_at",)
    fill(2 * SIZE)
    before = wanted(order)
    older = turn(order=order).older
    last = make_lead(created_at=START + timedelta(hours=1))
    second = turn(older, order)
    assert keys(second) == before[SIZE:]
    assert keys(turn(second.older, order)) == [last.pk]


@pytest.mark.django_db
def test_rows_that_are_gone_leave_the_first_page() -> None:
    fill(SIZE + 1)
    before = wanted()
    older = turn().older
    LeadMaster.objects.filter(pk=before[-1]).delete()
    assert keys(turn(older)) == before[:SIZE]


@pytest.mark.django_db
@pytest.mark.parametrize("order", [("-lead__priority", "-assigned_at"), ("lead__created_at",)], ids=" ".join)
def test_a_list_may_be_ordered_across_a_relation_in_one_query_a_page(cast: Cast, order: Sequence[str]) -> None:
    for count in range(SIZE + 2):
        lead = make_lead(created_at=START + timedelta(minutes=count // 2), priority=count % 2)
        PSFollowup.objects.create(lead=lead, ps=cast.kiran, branch=cast.attapur, assigned_by=cast.asha)
    rows = PSFollowup.objects.select_related("lead")
    with CaptureQueriesContext(connection) as queries:
        first = page(rows, order=order, size=SIZE)
        second = page(rows, first.older, order=order, size=SIZE)
    key = "-pk" if order[-1].startswith("-") else "pk"
    assert [*first.rows, *second.rows] == list(rows.order_by(*order, key))
    assert page(rows, second.newer, order=order, size=SIZE) == first
    assert len(queries) == 2


def strange(*values: object) -> str:
    return base64.urlsafe_b64encode(json.dumps(values).encode()).decode().rstrip("=")


STRANGE = [
    "nonsense",
    "%",
    "é",
    "=",
    "A" * 5000,
    base64.urlsafe_b64encode(b"[" * 50_000).decode(),
    base64.urlsafe_b64encode(b"\xff\xfe").decode(),
    str(Cursor(True, (START, 7)))[:-3],
    str(Cursor(True, (START, 2**63))),
    str(Cursor(True, (START, -(2**63)))),
    str(Cursor(True, (datetime(1900, 1, 1, tzinfo=UTC), 7))),
    str(Cursor(True, (datetime(9999, 1, 1, tzinfo=UTC), 7))),
    str(Cursor(True, (START,))),
    str(Cursor(True, (START, 7, 7))),
    str(Cursor(True, (7, START, 7))),
    strange(2, 1, 1),
    strange(True, 1, "1"),
    strange(1, True, 1),
    strange(1, 1.5, 1),
    strange(1, None, 1),
    strange(1, 1e999, 1),
    strange({}, 1, 1),
    strange(),
    strange(1),
    base64.urlsafe_b64encode(b'{"0": 1}').decode(),
    base64.urlsafe_b64encode(b"7").decode(),
]
STRANGE_NAMES = [
    strange(1, 7, 7),
    strange(1, "a\x00", 7),
    strange(1, "\ud800", 7),
    strange(1, "a" * 101, 7),
    strange(1, ["a"], 7),
]


@pytest.mark.django_db
@pytest.mark.parametrize(
    ("cursor", "order"),
    [*((cursor, NEWEST) for cursor in STRANGE), *((cursor, ("customer_name",)) for cursor in STRANGE_NAMES)],
)
def test_a_strange_cursor_gives_the_first_page(cursor: str, order: Sequence[str]) -> None:
    fill(SIZE)
    assert read(cursor, order) is None
    assert keys(turn(cursor, order)) == wanted(order)


@pytest.mark.django_db
@pytest.mark.parametrize("edge", [(START, 2**63 - 1), (START, -5), (datetime(2100, 1, 1, tzinfo=UTC), 0)])
def test_a_cursor_of_a_row_that_never_was_gives_some_page(edge: tuple[datetime, int]) -> None:
    fill(SIZE)
    for newer in (True, False):
        assert len(turn(str(Cursor(newer, edge))).rows) <= SIZE


@given(st.text(max_size=60))
def test_reading_a_cursor_never_raises(typed: str) -> None:
    read(typed)


WORDS = st.recursive(st.none() | st.booleans() | st.integers() | st.floats() | st.text(), st.lists, max_leaves=4)


@given(st.lists(WORDS, max_size=4))
def test_reading_values_of_any_kind_never_raises(values: list[object]) -> None:
    for order in ORDERS:
        read(strange(*values), order)


MOMENTS = st.timedeltas(timedelta(0), timedelta(days=30_000)).map(lambda later: START + later)
NAMES = st.text(st.characters(exclude_characters="\x00", exclude_categories=["Cs"]), max_size=100)
KEYS = st.integers(0, 2**63 - 1)


@given(st.booleans(), NAMES, st.integers(-(2**31), 2**31 - 1), MOMENTS, KEYS)
def test_a_cursor_is_read_as_it_was_written(newer: bool, name: str, number: int, moment: datetime, key: int) -> None:
    cursor = Cursor(newer, (name, number, moment, key))
    assert read(str(cursor), ("customer_name", "-priority", "created_at")) == cursor


@pytest.mark.django_db
@pytest.mark.parametrize("order", ORDERS, ids=" ".join)
def test_a_page_is_one_query(order: Sequence[str]) -> None:
    fill(3 * SIZE)
    first = turn(order=order)
    for cursor in ["", first.older, turn(turn(first.older, order).older, order).newer]:
        with CaptureQueriesContext(connection) as queries:
            turn(cursor, order)
        assert len(queries) == 1
