"""Migrations: none missing, one leaf an app, from zero and back, and nothing lost on the way."""

import re
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from io import StringIO
from pathlib import Path
from typing import Any

import pytest
from django.apps import apps
from django.conf import settings
from django.core.management import call_command
from django.db import connection
from django.db.migrations.executor import MigrationExecutor
from django.db.migrations.loader import MigrationLoader

from accounts.models import Branch, Role, User
from accounts.tests.constraints import OURS, declared
from followups.models import PSFollowup
from leads.invariants import INVARIANTS, offending
from leads.invented import chronicle
from leads.models import LeadMaster

# The tables are taken down and put up again: no other test of this process runs meanwhile.
whole_database = pytest.mark.django_db(transaction=True)


def test_no_migration_is_missing(db: None) -> None:
    words = StringIO()
    call_command("makemigrations", check=True, dry_run=True, stdout=words)
    assert "No changes detected" in words.getvalue()


def test_every_app_has_one_latest_migration() -> None:
    loader = MigrationLoader(None)
    for app in OURS:
        assert len(loader.graph.leaf_nodes(app)) == 1


def test_no_migration_imports_our_models() -> None:
    """They change; what a migration sees of them shall not."""
    files = [path for app in OURS for path in (Path(settings.BASE_DIR) / app / "migrations").glob("0*.py")]
    assert len(files) >= 4
    for path in files:
        assert not re.search(r"from \w+\.models import|import \w+\.models$", path.read_text(encoding="utf-8"), re.M)


@pytest.fixture
def up_again(transactional_db: None) -> Iterator[None]:
    yield
    call_command("migrate", verbosity=0)


def _tables() -> set[str]:
    with connection.cursor() as cursor:
        return set(connection.introspection.table_names(cursor))


def _to(app: str, name: str | None) -> Any:
    """Migrates; returns the models as they are then, or nothing for zero."""
    MigrationExecutor(connection).migrate([(app, name)])
    return name and MigrationExecutor(connection).loader.project_state((app, name)).apps


def _ours() -> set[str]:
    return {model._meta.db_table for app in OURS for model in apps.get_app_config(app).get_models()}


def _schema() -> list[tuple[Any, ...]]:
    """Columns, indexes and constraints of our tables as the database has them."""
    tables = ", ".join(f"'{table}'" for table in sorted(_ours()))
    with connection.cursor() as cursor:
        cursor.execute(
            f"""SELECT table_name, column_name, data_type || coalesce(character_maximum_length::text, ''), is_nullable
                  FROM information_schema.columns WHERE table_name IN ({tables})
                 UNION ALL SELECT tablename, indexname, indexdef, '' FROM pg_indexes WHERE tablename IN ({tables})
                 UNION ALL SELECT conrelid::regclass::text, conname, pg_get_constraintdef(oid), '' FROM pg_constraint
                 WHERE conrelid::regclass::text IN ({tables}) ORDER BY 1, 2, 3, 4"""
        )
        return list(cursor.fetchall())


@whole_database
def test_our_apps_go_down_to_zero_and_up_again(up_again: None) -> None:
    before = _schema()
    assert len(before) > 150
    # The admin's log names people, so it goes first.
    _to("admin", None)
    for app in ("followups", "leads", "accounts"):
        _to(app, None)
    assert not _tables() & _ours()
    call_command("migrate", verbosity=0)
    assert _schema() == before


@whole_database
def test_the_schema_from_zero_is_that_of_the_models() -> None:
    for model in apps.get_models():
        if model._meta.app_label not in OURS:
            continue
        with connection.cursor() as cursor:
            there = {
                column.name for column in connection.introspection.get_table_description(cursor, model._meta.db_table)
            }
        assert there == {field.column for field in model._meta.concrete_fields}
    in_database = {name for _, name, *_ in _schema()}
    assert set(declared(*OURS)) <= in_database


def test_every_check_that_the_models_declare_is_in_the_database_and_no_other(db: None) -> None:
    with connection.cursor() as cursor:
        tables = ", ".join(f"'{table}'" for table in _ours())
        cursor.execute(
            f"SELECT conname FROM pg_constraint WHERE contype = 'c' AND conrelid::regclass::text IN ({tables})"
        )
        there = {name for (name,) in cursor.fetchall()}
    checks = {
        constraint.name
        for model in set(declared(*OURS).values())
        for constraint in model._meta.constraints
        if hasattr(constraint, "condition") and not hasattr(constraint, "fields")
    }
    assert there == checks


@whole_database
def test_sources_are_there_from_the_start_and_what_supervisors_changed_is_kept(up_again: None) -> None:
    old = _to("leads", "0001_initial")
    source = old.get_model("leads", "Source")
    source.objects.all().delete()
    source.objects.create(source="META", sub_source="Meta Know", letter="X", is_active=False)
    source.objects.create(source="WEBSITE", sub_source="Form", letter="W")
    new = _to("leads", "0002_sources")
    pairs = {(row.source, row.sub_source): row for row in new.get_model("leads", "Source").objects.all()}
    assert len(pairs) == 10
    assert (pairs["META", "Meta Know"].letter, pairs["META", "Meta Know"].is_active) == ("X", False)
    assert ("WEBSITE", "Form") in pairs


@whole_database
def test_going_back_before_the_sources_takes_none_of_them_away(up_again: None) -> None:
    before = _to("leads", "0002_sources").get_model("leads", "Source").objects.count()
    assert _to("leads", "0001_initial").get_model("leads", "Source").objects.count() == before


@whole_database
def test_what_was_done_before_the_working_day_had_its_columns_is_kept_and_completed(
    pairs: None, up_again: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Two thousand leads as they were before, none of them reopened, and three that say less than they have to now."""
    monkeypatch.setattr(chronicle, "REOPENED", 0)
    call_command("load_leads", count=2_000, verbosity=0, stdout=StringIO())
    before = _told()
    _to("leads", "0002_sources")
    _to("followups", "0001_initial")
    old = MigrationExecutor(connection).loader.project_state([("leads", "0002_sources")]).apps
    lead = old.get_model("leads", "LeadMaster")
    called_at = datetime(2026, 3, 2, 12, tzinfo=UTC)
    at = {"created_at": called_at, "updated_at": called_at + timedelta(hours=1)}
    pair = {"customer_name": "Ramesh", "source": "META", "sub_source": "Meta Know"}
    lead.objects.create(uid="RNG", customer_mobile_number="+919700000001", lead_status="RNR", **pair, **at)
    lead.objects.create(uid="BACK", customer_mobile_number="+919700000002", lead_status="Call me Back", **pair, **at)
    lead.objects.create(uid="NEW", customer_mobile_number="+919700000003", **pair, **at)

    call_command("migrate", verbosity=0)
    added = LeadMaster.objects.in_bulk(["RNG", "BACK", "NEW"], field_name="uid")
    assert {uid: lead.last_attempt_at for uid, lead in added.items()} == {
        "RNG": called_at,
        "BACK": called_at,
        "NEW": None,
    }
    assert added["BACK"].follow_up_at == called_at + timedelta(hours=1)
    LeadMaster.objects.filter(uid__in=added).delete()
    assert _told() == before
    assert [invariant.name for invariant in INVARIANTS if offending(invariant, 1)] == []


def _told() -> list[Any]:
    """What leads and follow-ups know of their calls, but for “Got it”, which only people can say."""
    leads = LeadMaster.objects.order_by("id").values_list("uid", "lead_status", "last_attempt_at", "follow_up_at")
    followups = PSFollowup.objects.order_by("id").values_list("lead_id", "first_call_at", "closed_at")
    return [*leads, *followups]


@whole_database
def test_leads_migrate_up_and_down_without_touching_people(up_again: None) -> None:
    branch = Branch.objects.create(name="ATTAPUR")
    User.objects.create_user("kiran", name="Kiran", role=Role.PS, branch=branch)
    _to("followups", None)
    _to("leads", None)
    assert User.objects.get(username="kiran").branch == branch


@whole_database
@pytest.mark.parametrize("app", OURS)
def test_each_app_brings_what_its_migrations_ask_for(app: str, up_again: None) -> None:
    for down in ("admin", "performance", "followups", "leads", "accounts"):
        _to(down, None)
    call_command("migrate", app, verbosity=0)


def test_every_migration_can_be_undone() -> None:
    loader = MigrationLoader(None)
    for (app, name), migration in loader.disk_migrations.items():
        if app in OURS:
            assert all(operation.reversible for operation in migration.operations), (app, name)
