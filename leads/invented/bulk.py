"""Writes many invented histories by COPY: the next ones are invented while PostgreSQL takes these in.

All in one transaction: the histories are there whole, or nothing is.
"""

import random
import sys
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from datetime import datetime
from itertools import islice
from operator import attrgetter
from typing import TypeVar

from django.conf import settings
from django.db import connection, models, transaction
from psycopg.types.json import JsonbDumper

from followups.models import CallAttempt, Outbox, PSFollowup
from leads.invented import material
from leads.invented.chronicle import Chronicle, Numbers, Staff
from leads.invented.lead_rows import History
from leads.models import DuplicateLead, LeadChange, LeadMaster

LOADED = (LeadMaster, PSFollowup, CallAttempt, DuplicateLead, LeadChange)
CHUNK = 4_000
# More than so many leads ever need; what is left over serves the next ones.
FOLLOWUPS, ATTEMPTS = 3, 12
T = TypeVar("T")


class Reserve(Iterator[T]):
    """What was fetched ahead from the database, so that inventing need not ask it."""

    def __init__(self, fetch: Callable[[int], Iterable[T]]) -> None:
        self._fetch = fetch
        self._kept: deque[T] = deque()

    def fill(self, size: int) -> None:
        while len(self._kept) < size:
            self._kept.extend(self._fetch(size - len(self._kept)))

    def __next__(self) -> T:
        return self._kept.popleft()


class Reserves:
    """Everything that a chunk of histories needs to know beforehand."""

    def __init__(self, chance: random.Random) -> None:
        candidates = material.mobile_numbers(chance)
        self.leads = Reserve(lambda size: _next_ids(LeadMaster, size))
        self.followups = Reserve(lambda size: _next_ids(PSFollowup, size))
        # Rows of the outbox never get these ids again: a call is recorded once for each.
        self.outbox = Reserve(lambda size: _next_ids(Outbox, size))
        self.phones = Reserve(lambda size: _unknown(list(islice(candidates, size))))

    def fill(self, leads: int) -> None:
        self.leads.fill(leads)
        self.phones.fill(leads)
        self.followups.fill(leads * FOLLOWUPS)
        self.outbox.fill(leads * ATTEMPTS)

    def numbers(self) -> Numbers:
        key = settings.SECRET_KEY.encode()[:64]
        return Numbers(self.leads, self.followups, self.outbox, self.phones, key)


def new_phones(chance: random.Random, count: int) -> list[str]:
    """Phones that no lead has had."""
    phones = Reserves(chance).phones
    phones.fill(count)
    return list(islice(phones, count))


def load(
    staff: Staff,
    count: int,
    *,
    period: tuple[datetime, datetime],
    chance: random.Random,
    forgotten: float = 0.05,
    advance: Callable[[int], None] = lambda leads: None,
) -> None:
    """Invents `count` leads of the period, with all that belongs to them, and saves them.

    `advance` is told after each chunk how many leads it had. Raises IntegrityError where the desk captures
    the same phone meanwhile.
    """
    reserves = Reserves(chance)
    histories = Chronicle(staff, reserves.numbers(), chance, forgotten).histories(count, *period)
    with _unhurried(), _quick_turns(), ThreadPoolExecutor(1, "chronicle") as other:
        reserves.fill(CHUNK)
        chunk = list(islice(histories, CHUNK))
        while chunk:
            reserves.fill(CHUNK)
            coming = other.submit(lambda: list(islice(histories, CHUNK)))
            _save(chunk)
            advance(len(chunk))
            chunk = coming.result()


@contextmanager
def _unhurried() -> Iterator[None]:
    """A transaction without the limits of a request: a COPY waits for what is invented, and it for every COPY."""
    limits = ("statement_timeout", "idle_in_transaction_session_timeout")
    with transaction.atomic():
        _run(*(f"SET LOCAL {limit} = 0" for limit in limits))
        yield
        _run(*(f"SET LOCAL {limit} = DEFAULT" for limit in limits))


@contextmanager
def _quick_turns() -> Iterator[None]:
    """Who has waited for PostgreSQL gets its turn in half a millisecond; the usual five cost a fifth more."""
    usual = sys.getswitchinterval()
    sys.setswitchinterval(0.0005)
    try:
        yield
    finally:
        sys.setswitchinterval(usual)


def tidy() -> None:
    """Lets the planner and index-only scans know what is there now."""
    command = "ANALYZE" if connection.in_atomic_block else "VACUUM (ANALYZE)"
    tables = ", ".join(model._meta.db_table for model in LOADED)
    _run("SET statement_timeout = 0", f"{command} {tables}", "SET statement_timeout = DEFAULT")


def _save(histories: list[History]) -> None:
    _copy(LeadMaster, [history.lead for history in histories])
    _copy(PSFollowup, [row for history in histories for row in history.followups])
    _copy(CallAttempt, [row for history in histories for row in history.attempts], key=False)
    _copy(DuplicateLead, [row for history in histories for row in history.repeats], key=False)
    _copy(LeadChange, [row for history in histories for row in history.changes], key=False)
    # References are checked chunk by chunk: what is to be checked at the end would be kept in memory.
    _run("SET CONSTRAINTS ALL IMMEDIATE", "SET CONSTRAINTS ALL DEFERRED")


def _copy(model: type[models.Model], rows: Sequence[object], *, key: bool = True) -> None:
    """`rows` have an attribute for each column; without `key` the table gives them their own."""
    fields = [field for field in model._meta.concrete_fields if key or not field.primary_key]
    columns = ", ".join(str(field.column) for field in fields)
    values = attrgetter(*(field.attname for field in fields))
    with connection.wrap_database_errors, connection.cursor() as cursor:
        cursor.adapters.register_dumper(dict, JsonbDumper)
        with cursor.copy(f"COPY {model._meta.db_table} ({columns}) FROM STDIN") as copy:
            for row in rows:
                copy.write_row(values(row))


def _next_ids(model: type[models.Model], size: int) -> list[int]:
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT array_agg(nextval(pg_get_serial_sequence(%s, 'id'))) FROM generate_series(1, %s)",
            [model._meta.db_table, size],
        )
        ids: list[int] = cursor.fetchone()[0]
        return ids


def _unknown(phones: list[str]) -> list[str]:
    """Those of `phones` that no lead has had."""
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT customer_mobile_number FROM lead_master WHERE customer_mobile_number = ANY(%s)", [phones]
        )
        known = {row[0] for row in cursor.fetchall()}
    return [phone for phone in phones if phone not in known]


def _run(*statements: str) -> None:
    with connection.cursor() as cursor:
        for statement in statements:
            cursor.execute(statement)
