"""What kind of SQL statement a text is: what it does, and to which of the desk's tables. A bounded number of kinds."""

import re
from functools import cache

from django.apps import apps

# In milliseconds: a statement that takes longer takes most of what an answer may.
BUDGET = 50.0
MOST_REMEMBERED = 2000
CAPTURE, CHECK, TRANSACTION, OTHER = "capture", "duplicate check", "transaction", "other"

_VERBS = {"SELECT": "select", "WITH": "select", "INSERT": "insert", "UPDATE": "update", "DELETE": "delete"}
_TRANSACTION = {"SAVEPOINT", "RELEASE", "ROLLBACK", "BEGIN", "COMMIT", "SET"}
_FIRST = re.compile(r"\s*\(*\s*(\w+)")
_TABLE = re.compile(r'\b(?:FROM|INTO|UPDATE|NULL::)\s*"?(\w+)"?')
_remembered: dict[str, str] = {}


def kind_of(sql: object) -> str:
    """Such as "select lead_master". What was composed with values in it is not looked at."""
    if not isinstance(sql, str):
        return OTHER
    kind = _remembered.get(sql)
    if kind is None:
        if len(_remembered) >= MOST_REMEMBERED:
            _remembered.clear()
        kind = _remembered[sql] = _kind(sql)
    return kind


def _kind(sql: str) -> str:
    first = _FIRST.match(sql)
    word = first.group(1).upper() if first else ""
    if word in _TRANSACTION:
        return TRANSACTION
    if word not in _VERBS:
        return OTHER
    if word == "WITH" and "jsonb_populate_record(NULL::lead_master" in sql:
        return CAPTURE if "INSERT INTO lead_master" in sql else CHECK
    table = next((found for found in _TABLE.findall(sql) if found in _tables()), "")
    return f"{_VERBS[word]} {table or OTHER}"


@cache
def _tables() -> frozenset[str]:
    return frozenset(model._meta.db_table for model in apps.get_models(include_auto_created=True))
