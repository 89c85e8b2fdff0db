"""What was measured goes into the shared histograms and, if it was slow, into the log."""

import time

from structlog.stdlib import get_logger

from performance import timings
from performance.measuring import Measured
from performance.operations import Operation
from performance.timings import Timing

log = get_logger(__name__)
LOGGED_STATEMENTS = 10
LOGGED_TEXT = 400  # characters of each


def note(
    operation: Operation, measured: Measured, outcome: str, *, created: bool = False, person: int | None = None
) -> None:
    timings.record(
        Timing(
            time.time(),
            operation,
            measured.seconds,
            len(measured.statements),
            measured.database_seconds,
            measured.hits,
            measured.misses,
            outcome,
            created,
            person,
            measured.statements,
            measured.reads,
            measured.rows,
        )
    )
    if measured.seconds * 1000 > operation.budget:
        _log_slow(operation, measured)


def _log_slow(operation: Operation, measured: Measured) -> None:
    """One line: which operation, how long, by which statements. Never who, whose lead, or what was typed."""
    slowest = sorted(measured.statements, key=lambda statement: -statement[1])[:LOGGED_STATEMENTS]
    log.warning(
        "slow",
        operation=operation.name,
        milliseconds=round(measured.seconds * 1000, 1),
        budget=operation.budget,
        statements=len(measured.statements),
        rows=measured.rows,
        database_milliseconds=round(measured.database_seconds * 1000, 1),
        slowest=[{"sql": _text(sql), "milliseconds": round(seconds * 1000, 1)} for sql, seconds in slowest],
    )


def _text(sql: object) -> str:
    """Placeholders stand where values go. A statement that was composed with its values in it is not shown."""
    if not isinstance(sql, str):
        return "(composed)"
    text = " ".join(sql.split())
    if len(text) > LOGGED_TEXT and text.startswith('SELECT "') and " FROM " in text:
        # Django names every column; what is asked about them comes after.
        text = "SELECT …" + text[text.index(" FROM ") :]  # noqa: S608 - it is read, not run
    return text[:LOGGED_TEXT]
