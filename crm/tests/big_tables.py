"""Hundreds of thousands of leads within seconds: some as load_leads invents them, multiplied by PostgreSQL.

All in the caller's transaction, which is meant to be rolled back.
"""

import random
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta

from django.db import connection
from django.db.models import Model
from django.utils import timezone

from followups.models import CallAttempt, PSFollowup
from leads.invented import bulk, staff
from leads.models import DuplicateLead, LeadChange, LeadMaster, Source

INVENTED = 10_000
PERIOD = timedelta(days=730)
TABLES: list[type[Model]] = [LeadMaster, PSFollowup, CallAttempt, DuplicateLead, LeadChange]
# Wherever a test has emptied the tables before.
PAIRS = [
    ("M", "META", "Meta Know"),
    ("G", "GOOGLE", "Google Know"),
    ("O", "OEM", "Web"),
    ("O", "OEM", "Tele"),
]
# Copies get keys far above those of what they copy.
APART = 10_000_000


def fill(leads: int) -> None:
    """Adds `leads` leads with their assignments, calls and repeats, a backlog in the outbox, and statistics."""
    now = timezone.now()
    for letter, source, sub_source in PAIRS:
        Source.objects.get_or_create(source=source, sub_source=sub_source, defaults={"letter": letter})
    staff.make_load_people(None, now - PERIOD)
    for model in TABLES:
        # Keys begin where the rows end, whatever a test before has left of the sequence, which no rollback sets back.
        table = model._meta.db_table
        key = f"pg_get_serial_sequence('{table}', 'id')"
        run(f"SELECT setval({key}, coalesce(max(id), 0) + 1, false) FROM {table}")
    chance = random.Random(7)
    bulk.load(staff.staff("load-"), INVENTED, period=(now - PERIOD, now), chance=chance)
    run("SET LOCAL statement_timeout = 0")
    with without_upkeep():
        for copy in range(1, leads // INVENTED):
            for model in TABLES:
                run(_copied(model, copy))
    for model in TABLES:
        run(f"SELECT setval(pg_get_serial_sequence('{model._meta.db_table}', 'id'), {APART * 100})")
    _backlog()
    run("SET CONSTRAINTS ALL IMMEDIATE", "SET CONSTRAINTS ALL DEFERRED")
    run(*(f"ANALYZE {table}" for table in ("accounts_user", "accounts_branch", "outbox", *map(_table, TABLES))))


def _table(model: type[Model]) -> str:
    return model._meta.db_table


def run(*statements: str) -> list[tuple[str, ...]]:
    """Executes them; returns the rows of the last."""
    with connection.cursor() as cursor:
        for statement in statements:
            cursor.execute(statement)
        return list(cursor.fetchall()) if cursor.description else []


def _copied(model: type[Model], copy: int) -> str:
    """One more of every row that was invented: other keys, uids and phones, all else the same."""
    shift = copy * APART
    changed = {
        "lead_id": f"lead_id + {shift}",
        "ps_followup_id": f"ps_followup_id + {shift}",
        "previous_id": f"previous_id + {shift}",
        "outbox_id": f"outbox_id + {shift}",
        "id": f"id + {shift}",
        "uid": f"uid || {copy}",
        "lead_uid": f"lead_uid || {copy}",
        "customer_mobile_number": f"customer_mobile_number || {copy}",
        # Invented histories hardly have one.
        "alternate_number": "CASE WHEN id % 20 = 0 THEN '+9198' || lpad(id::text, 8, '0') ELSE '' END",
    }
    columns = [str(field.column) for field in model._meta.concrete_fields]
    values = ", ".join(changed.get(column, column) for column in columns)
    table = model._meta.db_table
    return f"INSERT INTO {table} ({', '.join(columns)}) SELECT {values} FROM {table} WHERE id < {APART}"


def _backlog() -> None:
    """Work of every state in the outbox, as after an import while no worker ran."""
    columns = "kind, lead_id, payload, state, not_before, tries, last_error, created_at"
    call = """jsonb_build_object('role', 'cre', 'by', created_by_id, 'lead_status', 'RNR', 'remark', '',
        'follow_up_at', NULL, 'final_status_before', 'Pending', 'final_status_after', 'Pending',
        'called_at', now(), 'cause', '')"""
    work = f"INSERT INTO outbox ({columns}) SELECT 'attempt', id, {call}"
    some = "FROM lead_master WHERE created_by_id IS NOT NULL LIMIT"
    run(
        f"{work}, 'waiting', now(), 0, '', now() {some} 60000",
        f"{work}, 'dead', now(), 8, 'broken', now() {some} 200",
        f"INSERT INTO outbox ({columns}) SELECT 'alert', id, '{{}}', 'waiting', now(), 0, '', now() {some} 50",
        f"""INSERT INTO outbox ({columns}, claimed_until) SELECT 'alert', id, '{{}}', 'claimed', now(), 1, '', now(),
            now() - interval '1 minute' {some} 50""",
    )


@contextmanager
def without_upkeep() -> Iterator[None]:
    """Indexes are built, and references checked, faster at the end than row by row."""
    names = ", ".join(f"'{model._meta.db_table}'::regclass" for model in TABLES)
    indexes = run(
        f"""SELECT indexrelid::regclass::text, pg_get_indexdef(indexrelid) FROM pg_index
             WHERE indrelid IN ({names})
               AND NOT EXISTS (SELECT FROM pg_constraint WHERE conindid = indexrelid AND contype IN ('p', 'u', 'f'))"""
    )
    references = run(
        f"""SELECT conrelid::regclass::text, conname, pg_get_constraintdef(oid) FROM pg_constraint
             WHERE conrelid IN ({names}) AND contype = 'f'"""
    )
    run(*(f"ALTER TABLE {table} DROP CONSTRAINT {name}" for table, name, _ in references))
    run(*(f"DROP INDEX {name}" for name, _ in indexes))
    yield
    run(*(definition for _, definition in indexes))
    run(*(f"ALTER TABLE {table} ADD CONSTRAINT {name} {rule}" for table, name, rule in references))
