"""What one request or task takes: its time, its SQL statements, their time and rows, what the cache knew.

Taken from outside.
"""

import time
from collections.abc import Callable
from threading import local
from typing import Any

from django.db import connection


class _Here(local):
    """What this thread measures at the moment."""

    measured: "Measured | None" = None


_here = _Here()


class Measured:
    """Begins when it is made; `end()` must be called, and says how many seconds it took."""

    __slots__ = ("_outer", "_started", "_wrappers", "reads", "rows", "seconds", "statements")

    def __init__(self) -> None:
        self.statements: list[tuple[Any, float]] = []
        # That the statements gave back or changed.
        self.rows = 0
        # Keys that the cache was asked for, and whether it had them.
        self.reads: list[tuple[Any, bool]] = []
        self.seconds = 0.0
        self._outer = _here.measured
        _here.measured = self
        self._wrappers = connection.execute_wrappers
        self._wrappers.append(self)
        self._started = time.perf_counter()

    def __call__(self, execute: Callable[..., Any], sql: Any, params: Any, many: bool, context: Any) -> Any:
        """Django's hook around each statement. The parameters are passed by, and never kept."""
        started = time.perf_counter()
        try:
            answer = execute(sql, params, many, context)
            # The driver's own cursor; it says -1 where a statement has no rows.
            rows = context["cursor"].cursor.rowcount
            if rows > 0:
                self.rows += rows
            return answer
        finally:
            self.statements.append((sql, time.perf_counter() - started))

    def end(self) -> None:
        self.seconds = time.perf_counter() - self._started
        _here.measured = self._outer
        self._wrappers.remove(self)

    @property
    def database_seconds(self) -> float:
        return sum(seconds for _, seconds in self.statements)

    @property
    def hits(self) -> int:
        return sum(hit for _, hit in self.reads)

    @property
    def misses(self) -> int:
        return len(self.reads) - self.hits


def cache_was_read(key: Any, *, hit: bool) -> None:
    """Counted for whatever is measured in this thread."""
    measured = _here.measured
    if measured is not None:
        measured.reads.append((key, hit))
