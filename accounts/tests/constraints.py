"""How constraints are tested: for each, rows that just fit, and rows of which the last just does not."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import pytest
from django.apps import apps
from django.db import IntegrityError, connection, transaction
from django.db.models import CheckConstraint, Model, UniqueConstraint

from conftest import Cast

OURS = ("accounts", "followups", "leads", "performance")
Fields = dict[str, Any]


@dataclass(frozen=True)
class Case:
    """`make(cast, **fields)` saves a row. `without` names stricter constraints that would speak up first."""

    constraint: str
    make: Callable[..., object]
    fits: list[Fields]
    breaks: list[Fields]
    without: list[str] = field(default_factory=list)

    def __str__(self) -> str:
        return self.constraint


def declared(*apps_of: str) -> dict[str, type[Model]]:
    """The named constraints of our models."""
    return {
        constraint.name: model
        for app in apps_of
        for model in apps.get_app_config(app).get_models()
        for constraint in model._meta.constraints
        if isinstance(constraint, CheckConstraint | UniqueConstraint)
    }


@contextmanager
def refused(constraint: str) -> Iterator[None]:
    """The database refuses what happens inside, by that constraint and no other."""
    with pytest.raises(IntegrityError) as refusal, transaction.atomic():
        yield
    cause: Any = refusal.value.__cause__
    assert cause.diag.constraint_name == constraint


def try_out(case: Case, cast: Cast) -> None:
    for stricter in case.without:
        table = declared(*OURS)[stricter]._meta.db_table
        with connection.cursor() as cursor:
            cursor.execute(f"ALTER TABLE {table} DROP CONSTRAINT {stricter}")
    before = transaction.savepoint()
    for fields in case.fits:
        case.make(cast, **fields)
    transaction.savepoint_rollback(before)
    *earlier, last = case.breaks
    for fields in earlier:
        case.make(cast, **fields)
    with refused(case.constraint):
        case.make(cast, **last)
