"""The indexes that the desk's own models ask for, each with the statement that makes it beside a running desk."""

import re
from collections.abc import Iterator
from copy import copy
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from django.apps import apps
from django.conf import settings
from django.db import connection
from django.db.backends.base.schema import BaseDatabaseSchemaEditor
from django.db.backends.ddl_references import Statement
from django.db.models import Field, Model, UniqueConstraint

OURS = ("leads", "followups", "performance", "accounts")
DOCUMENT = Path(settings.BASE_DIR) / "docs" / "indexes.md"


@dataclass(frozen=True, slots=True)
class Expected:
    """An index as the models ask for it; without `create` only a migration can make it.

    `attach` makes a table's constraint of the unique index, where the migrations have one. Over an expression an index
    has statistics of its own, which ANALYZE takes.
    """

    name: str
    table: str
    unique: bool = False
    partial: bool = False
    expression: bool = False
    create: str = ""
    attach: str = ""


@cache
def expected() -> dict[str, Expected]:
    """By name, as the migrations make them: Django's own schema editor is asked for each."""
    connection.ensure_connection()
    editor = connection.SchemaEditorClass(connection, collect_sql=True)
    return {index.name: index for model in _models() for index in _of(model, editor)}


@cache
def tables() -> tuple[str, ...]:
    return tuple(model._meta.db_table for model in _models())


@cache
def readers() -> dict[str, str]:
    """Who reads an index, in the words of docs/indexes.md; nobody is named where the document is not at hand."""
    if not DOCUMENT.is_file():
        return {}
    entry = re.compile(r"^- \*\*(?P<name>\w+)\*\*.*\n  (?:Query|Guards): (?P<words>.+)$", re.MULTILINE)
    return {found["name"]: found["words"] for found in entry.finditer(DOCUMENT.read_text(encoding="utf-8"))}


def _models() -> list[type[Model]]:
    return [
        model
        for app in OURS
        for model in apps.get_app_config(app).get_models(include_auto_created=True)
        if model._meta.managed and not model._meta.proxy
    ]


def _of(model: type[Model], editor: BaseDatabaseSchemaEditor) -> Iterator[Expected]:
    table = model._meta.db_table
    # PostgreSQL names the keys that stand in the table's own statement.
    yield Expected(f"{table}_pkey", table, unique=True)
    for field in model._meta.local_fields:
        if field.unique and not field.primary_key:
            yield Expected(f"{table}_{field.column}_key", table, unique=True)
        for statement in _of_field(model, field, editor):
            yield _made_by(statement, table)
    for index in model._meta.indexes:
        made = index.create_sql(model, editor)
        yield _made_by(made, table, partial=index.condition is not None, expression=bool(index.expressions))
    for constraint in model._meta.constraints:
        if isinstance(constraint, UniqueConstraint):
            yield _unique(constraint, model, editor)


def _of_field(model: type[Model], field: Field, editor: BaseDatabaseSchemaEditor) -> list[Statement]:  # type: ignore[type-arg]
    """Those of foreign keys and of db_index; Django has no public name for it."""
    made: list[Statement] = editor._field_indexes_sql(model, field)  # type: ignore[attr-defined]
    return made


def _made_by(statement: Statement, table: str, *, partial: bool = False, expression: bool = False) -> Expected:
    return Expected(_name(statement), table, False, partial, expression, create=_concurrently(statement))


def _unique(constraint: UniqueConstraint, model: type[Model], editor: BaseDatabaseSchemaEditor) -> Expected:
    statement = constraint.create_sql(model, editor)
    assert isinstance(statement, Statement)
    table, attach = model._meta.db_table, ""
    if statement.template.startswith("ALTER TABLE"):
        attach = "ALTER TABLE {table} ADD CONSTRAINT {name} UNIQUE USING INDEX {name}{deferrable}".format_map(
            statement.parts
        )
        statement = copy(statement)
        statement.template = editor.sql_create_unique_index
    return Expected(
        _name(statement),
        table,
        unique=True,
        partial=constraint.condition is not None,
        expression=bool(constraint.expressions),
        create=_concurrently(statement),
        attach=attach,
    )


def _name(statement: Statement) -> str:
    return str(statement.parts["name"]).strip('"')


def _concurrently(statement: Statement) -> str:
    """Beside the running desk: nobody who saves has to wait for it."""
    return re.sub(r"^CREATE (UNIQUE )?INDEX ", r"CREATE \1INDEX CONCURRENTLY ", str(statement))
