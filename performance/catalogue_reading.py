"""Reads PostgreSQL's catalogues part by part: what cannot be read is said in words, and the rest is read anyway."""

from typing import Any

from django.db import DatabaseError, connection, transaction

Row = dict[str, Any]


def read(what: str, sql: str, params: list[Any], unread: list[str]) -> list[Row]:
    """The rows, or none and a word on why: a part that fails leaves the others alone."""
    try:
        with transaction.atomic(), connection.cursor() as cursor:
            cursor.execute(sql, params)
            names = [column.name for column in cursor.description]
            return [dict(zip(names, row, strict=True)) for row in cursor.fetchall()]
    except DatabaseError as error:
        unread.append(f"{what} could not be read: {reason(error)}")
        return []


def reason(error: BaseException) -> str:
    """PostgreSQL's own words without its details, which may hold what a row says."""
    cause: Any = error.__cause__ or error
    diagnosis = getattr(cause, "diag", None)
    said = (diagnosis and diagnosis.message_primary) or str(error).partition("\n")[0] or type(error).__name__
    return sentence(said)


def sentence(words: str) -> str:
    return f"{words[:1].upper()}{words[1:].rstrip('.')}."
