"""The desk's operations as a table: how often, how long and how well in a window, each against its budget."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.utils import timezone

from performance import timings
from performance.operations import OPERATIONS, Operation
from performance.queue import DELAYS
from performance.speed_charts import Bars, Curve, Line, bars, curves, table
from performance.statements import BUDGET as STATEMENT_BUDGET
from performance.timings import BOUNDS, WINDOWS, Figures
from performance.verdict import FAILED_SHARE, FEWEST_FAILED, FEWEST_LATE, LATE_SHARE

HISTORY_SLOTS = 36  # ten minutes each: six hours
# Seconds after which a page asks again: as often as what it shows can change much.
AGAIN = {"minutes": 5, "hour": 15, "day": 60}
MOST_CLASSES = 12
BUDGET_AT = 66.7  # where the agreed time stands on a row's bar, of 100


@dataclass(frozen=True)
class Row:
    """One operation in a window."""

    name: str
    words: str
    budget: float
    figures: Figures

    @property
    def p95(self) -> float:
        return self.figures.p95 or 0.0

    @property
    def late(self) -> bool:
        return self.p95 > self.budget

    @property
    def beyond(self) -> bool:
        """Whether it was longer than the histograms reach."""
        return self.p95 >= BOUNDS[-1]

    @property
    def over_share(self) -> float:
        return 100 * self.figures.over / self.figures.count

    @property
    def error_share(self) -> float:
        return 100 * self.figures.failed / self.figures.count

    @property
    def failing(self) -> bool:
        failed = self.figures.failed
        return failed >= FEWEST_FAILED and failed > FAILED_SHARE * self.figures.count

    @property
    def statements(self) -> float:
        return self.figures.statements / self.figures.count

    @property
    def rows(self) -> float:
        return self.figures.rows / self.figures.count

    @property
    def hit_share(self) -> float | None:
        """Of the looks into the cache, how many found something; None where nobody looked."""
        looks = self.figures.hits + self.figures.misses
        return 100 * self.figures.hits / looks if looks else None

    @property
    def bar(self) -> tuple[float, float]:
        """How far p50 and p95 reach on a line of 100 on which the agreed time stands at BUDGET_AT."""
        p50, p95 = ((value or 0) / self.budget * BUDGET_AT for value in (self.figures.p50, self.figures.p95))
        return round(min(p50, 100), 1), round(min(p95, 100), 1)

    def as_json(self) -> dict[str, Any]:
        figures = self.figures
        return {
            "words": self.words,
            "count": figures.count,
            "p50_ms": rounded(figures.p50),
            "p95_ms": rounded(figures.p95),
            "p99_ms": rounded(figures.p99),
            "budget_ms": self.budget,
            "within_budget": not self.late,
            "over_budget": figures.over,
            "refused": figures.refused,
            "failed": figures.failed,
            "statements": figures.statements,
            "rows": figures.rows,
            "database_ms": rounded(figures.database / 1000),
            "cache_hits": figures.hits,
            "cache_misses": figures.misses,
        }


@dataclass(frozen=True)
class Live:
    """What happened in a window, and how many leads come in at the moment.

    `asked` is what people waited for, `worked` what went on without anybody's waiting.
    """

    late_limit, failed_limit, budget_at = 100 * LATE_SHARE, 100 * FAILED_SHARE, BUDGET_AT

    window: str
    now: datetime
    asked: Sequence[Row]
    worked: Sequence[Row]
    classes: Sequence[Row]
    quiet: Sequence[Operation]
    leads_per_minute: float

    @property
    def words(self) -> str:
        return WINDOWS[self.window].words

    @property
    def seconds(self) -> int:
        return AGAIN[self.window]

    @property
    def count(self) -> int:
        return sum(row.figures.count for row in self.asked)

    @property
    def over(self) -> int:
        return sum(row.figures.over for row in self.asked)

    @property
    def failed(self) -> int:
        return sum(row.figures.failed for row in self.asked)

    @property
    def over_share(self) -> float:
        return 100 * self.over / self.count if self.count else 0.0

    @property
    def error_share(self) -> float:
        return 100 * self.failed / self.count if self.count else 0.0

    @property
    def slow(self) -> bool:
        return self.over >= FEWEST_LATE and self.over > LATE_SHARE * self.count

    @property
    def failing(self) -> bool:
        return self.failed >= FEWEST_FAILED and self.failed > FAILED_SHARE * self.count

    def as_json(self) -> dict[str, Any]:
        return {
            "window": self.window,
            "leads_per_minute": self.leads_per_minute,
            "answers": self.count,
            "over_budget": self.over,
            "failed": self.failed,
            "operations": {row.name: row.as_json() for row in (*self.asked, *self.worked)},
            "statement_classes": {row.name: row.as_json() for row in self.classes},
        }


def live(window: str, found: Mapping[str, Figures]) -> Live:
    """Raises timings.Away."""
    shown = [operation for operation in OPERATIONS.values() if operation.name not in DELAYS]
    busy = [operation for operation in shown if operation.name in found and found[operation.name].count]
    return Live(
        window=window,
        now=timezone.now(),
        asked=_rows((operation for operation in busy if operation.waited_for), found),
        worked=_rows((operation for operation in busy if not operation.waited_for), found),
        classes=_classes(window),
        quiet=[operation for operation in shown if operation not in busy],
        leads_per_minute=timings.leads_per_minute(),
    )


def pictures() -> dict[str, list[Curve] | Bars | list[Line]]:
    """The last hours, drawn and as a table. Raises timings.Away."""
    zone = timezone.get_current_timezone()
    history = [(datetime.fromtimestamp(at, zone), found) for at, found in timings.history(HISTORY_SLOTS)]
    drawn, created = curves(history), bars(history)
    return {"curves": drawn, "bars": created, "table": table(drawn, created)}


def _classes(window: str) -> list[Row]:
    """Kinds of statements, those first that took the most of the database's time."""
    found = timings.statements(window)
    rows = [Row(kind, kind, STATEMENT_BUDGET, figures) for kind, figures in found.items() if figures.count]
    return sorted(rows, key=lambda row: -row.figures.microseconds)[:MOST_CLASSES]


def _rows(operations: Iterable[Operation], found: Mapping[str, Figures]) -> list[Row]:
    return [Row(one.name, one.words, one.budget, found[one.name]) for one in operations]


def rounded(milliseconds: float | None) -> float | None:
    return None if milliseconds is None else round(milliseconds, 1)
