"""The last hours as pictures: how long each thing took against the agreed time, and how many leads came in. Pure."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import NamedTuple

from performance.operations import OPERATIONS, Operation
from performance.timings import Figures

WIDTH, HEIGHT = 10, 100
SHOWN = ("capture", "duplicate_check", "update", "cre_dashboard", "ps_dashboard", "search", "lead_page")
History = Sequence[tuple[datetime, dict[str, Figures]]]


class Point(NamedTuple):
    """One step in time; `value` is None without traffic."""

    words: str
    value: float | None


@dataclass(frozen=True)
class Curve:
    """One operation's p95 over time against its budget, drawn as `path` in a box of `width` by HEIGHT."""

    operation: Operation
    points: list[Point]
    scale: float

    @property
    def width(self) -> int:
        return WIDTH * max(len(self.points) - 1, 1)

    @property
    def budget_at(self) -> float:
        return _height(self.operation.budget, self.scale)

    @property
    def latest(self) -> float | None:
        return next((point.value for point in reversed(self.points) if point.value is not None), None)

    @property
    def worst(self) -> Point:
        return max(self.points, key=lambda point: point.value or 0)

    @property
    def over(self) -> int:
        """In how many steps it was slower than agreed."""
        return sum((point.value or 0) > self.operation.budget for point in self.points)

    @property
    def ends(self) -> list[str]:
        return ends([point.words for point in self.points])

    @property
    def path(self) -> str:
        """A line that breaks where nothing was measured; what stands alone becomes a dot."""
        drawn: list[str] = []
        for index, point in enumerate(self.points):
            if point.value is None:
                continue
            here = f"{WIDTH * index} {_height(point.value, self.scale)}"
            joined = index > 0 and self.points[index - 1].value is not None
            drawn.append(f"L{here}" if joined else f"M{here}h0")
        return "".join(drawn)

    @property
    def dot(self) -> str:
        """Where the line has got to."""
        return next(
            (
                f"M{WIDTH * index} {_height(self.points[index].value or 0, self.scale)}h0"
                for index in reversed(range(len(self.points)))
                if self.points[index].value is not None
            ),
            "",
        )

    @property
    def words(self) -> str:
        """What the picture says, for who does not see it."""
        name, budget = self.operation.words, self.operation.budget
        if self.latest is None:
            return f"{name}: nothing was measured in these hours."
        slower = f"slower than agreed in {self.over} of {len(self.points)} steps" if self.over else "always within it"
        return (
            f"{name}, 95 of 100 answers within: at last {self.latest:.0f} ms, at most "
            f"{self.worst.value or 0:.0f} ms at {self.worst.words}; the agreed time is {budget:.0f} ms, {slower}."
        )


class Bar(NamedTuple):
    words: str
    value: int
    x: int
    top: float

    @property
    def height(self) -> float:
        return round(HEIGHT - self.top, 2)


@dataclass(frozen=True)
class Bars:
    """Leads created, by step."""

    bars: list[Bar]
    scale: int

    @property
    def width(self) -> int:
        return WIDTH * len(self.bars)

    @property
    def half(self) -> int:
        return self.scale // 2

    @property
    def total(self) -> int:
        return sum(bar.value for bar in self.bars)

    @property
    def ends(self) -> list[str]:
        return ends([bar.words for bar in self.bars])

    @property
    def words(self) -> str:
        if not self.total:
            return "No lead was created in these hours."
        most = max(self.bars, key=lambda bar: bar.value)
        return f"Leads created: {self.total:,} in all, at most {most.value:,} in ten minutes, at {most.words}."


def curves(history: History) -> list[Curve]:
    return [_curve(OPERATIONS[name], history) for name in SHOWN]


def bars(history: History) -> Bars:
    created = [(at, sum(one.created for one in found.values())) for at, found in history]
    scale = _round_up(max((number for _, number in created), default=0))
    return Bars(
        [Bar(_clock(at), number, WIDTH * index, _height(number, scale)) for index, (at, number) in enumerate(created)],
        scale,
    )


class Line(NamedTuple):
    """One step in time in the table below the pictures."""

    words: str
    values: list[float | None]
    leads: int


def table(drawn: Sequence[Curve], created: Bars) -> list[Line]:
    """The numbers of the pictures, newest first."""
    lines = [
        Line(bar.words, [curve.points[index].value for curve in drawn], bar.value)
        for index, bar in enumerate(created.bars)
    ]
    return lines[::-1]


def ends(words: Sequence[str]) -> list[str]:
    """What is named below a picture: where it begins, its middle and its end."""
    last = len(words) - 1
    return [words[index] for index in sorted({0, last // 2, last})] if words else []


def _curve(operation: Operation, history: History) -> Curve:
    points = [Point(_clock(at), _p95(found, operation)) for at, found in history]
    highest = max((point.value or 0 for point in points), default=0)
    return Curve(operation, points, max(operation.budget * 1.4, highest * 1.1))


def _p95(found: dict[str, Figures], operation: Operation) -> float | None:
    figures = found.get(operation.name)
    return figures.p95 if figures else None


def _clock(at: datetime) -> str:
    return f"{at:%H:%M}"


def _height(value: float, scale: float) -> float:
    return round(HEIGHT - HEIGHT * value / scale, 2)


def _round_up(number: int) -> int:
    """The next even number that is easy to read off a scale."""
    return next(step for step in _steps() if number <= step)


def _steps() -> Iterable[int]:
    scale = 1
    while True:
        yield from (factor * scale for factor in (2, 4, 10))
        scale *= 10
