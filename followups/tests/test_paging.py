"""Paging: every row once, in order, forwards and back; new rows shift nothing; strange cursors do no harm."""

import itertools
from datetime import UTC, datetime, timedelta

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from hypothesis import given
from hypothesis import strategies as st

from followups.paging import Cursor, Page, page, read
from leads.models import LeadMaster
from leads.tests.factories import make_lead

START = datetime(2026, 3, 1, 9, tzinfo=UTC)
SIZE, MANY = 4, 20


def fill(number: int) -> list[int]:
    """So many leads, three of each moment; their keys, newest first."""
    leads = [make_lead(created_at=START + timedelta(minutes=count // 3)) for count in range(number)]
    return [lead.pk for lead in reversed(leads)]


def turn(cursor: str = "") -> Page[LeadMaster]:
    return page(LeadMaster.objects.all(), cursor, size=SIZE)


def all_pages() -> list[Page[LeadMaster]]:
    """From the first page on; no further than MANY, should they lead in a circle."""
    pages = [turn()]
    while pages[-1].older and len(pages) < MANY:
        pages.append(turn(pages[-1].older))
    return pages


def keys(shown: Page[LeadMaster]) -> list[int]:
    return [row.pk for row in shown.rows]


@pytest.mark.django_db
@pytest.mark.parametrize("number", [0, 1, SIZE, SIZE + 1, 3 * SIZE, 3 * SIZE + 2])
def test_forwards_every_row_comes_once_and_in_order(number: int) -> None:
    wanted = fill(number)
    pages = all_pages()
    assert list(itertools.chain.from_iterable(map(keys, pages))) == wanted
    assert pages[0].newer == ""
    assert all(shown.newer for shown in pages[1:])
    assert len(pages) == max(1, -(-number // SIZE)), "no empty page at the end"


@pytest.mark.django_db
def test_back_is_the_way_one_came() -> None:
    fill(3 * SIZE + 2)
    there = all_pages()
    back = [there[-1]]
    while back[-1].newer and len(back) < MANY:
        back.append(turn(back[-1].newer))
    assert [keys(shown) for shown in reversed(back)] == [keys(shown) for shown in there]


@pytest.mark.django_db
def test_new_rows_on_top_shift_nothing_and_back_leads_to_them() -> None:
    wanted = fill(3 * SIZE)
    older = turn().older
    newest = make_lead(created_at=START + timedelta(hours=1))
    second = turn(older)
    assert keys(second) == wanted[SIZE : 2 * SIZE]
    first = turn(second.newer)
    assert keys(first) == wanted[:SIZE]
    assert keys(turn(first.newer)) == [newest.pk, *wanted[: SIZE - 1]], "the first page is always a full one"


@pytest.mark.django_db
def test_rows_that_are_gone_leave_the_first_page() -> None:
    wanted = fill(SIZE + 1)
    older = turn().older
    LeadMaster.objects.filter(pk=wanted[-1]).delete()
    assert keys(turn(older)) == wanted[:SIZE]


STRANGE = [
    "nonsense",
    "%",
    "é",
    "=",
    "A" * 5000,
    str(Cursor(True, START, 7))[:-3],
    str(Cursor(True, START, 2**63)),
    str(Cursor(True, START, -1)),
    str(Cursor(True, datetime(1900, 1, 1, tzinfo=UTC), 7)),
    str(Cursor(True, datetime(9999, 1, 1, tzinfo=UTC), 7)),
    "bi4x",  # n.1
    "eC4xLjE",  # x.1.1
    "bi4xZTk5OS4x",  # n.1e999.1
]


@pytest.mark.django_db
@pytest.mark.parametrize("cursor", STRANGE)
def test_a_strange_cursor_gives_the_first_page(cursor: str) -> None:
    wanted = fill(SIZE)
    assert read(cursor) is None
    assert keys(turn(cursor)) == wanted


@given(st.text(max_size=60))
def test_reading_a_cursor_never_raises(typed: str) -> None:
    read(typed)


@given(st.booleans(), st.timedeltas(timedelta(0), timedelta(days=30_000)), st.integers(0, 2**63 - 1))
def test_a_cursor_is_read_as_it_was_written(newer: bool, later: timedelta, key: int) -> None:
    cursor = Cursor(newer, START + later, key)
    assert read(str(cursor)) == cursor


@pytest.mark.django_db
def test_a_page_is_one_query() -> None:
    fill(3 * SIZE)
    first = turn()
    for cursor in ["", first.older, turn(turn(first.older).older).newer]:
        with CaptureQueriesContext(connection) as queries:
            turn(cursor)
        assert len(queries) == 1
