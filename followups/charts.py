"""How figures stand on a page: tiles, columns over time, lines with a bar, durations in words. Asks nobody."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import date, timedelta
from typing import NamedTuple

from followups.catalogue import Category
from followups.figures import Figures, Pair, Tally, Totals
from followups.periods import DAY, Period, said

MINUTE, HOUR = timedelta(minutes=1), timedelta(hours=1)
UNKNOWN = "–"


def in_words(time: timedelta | None) -> str:
    """A duration: "under 1 min", "12 min", "2 h 5 min", "4 d 3 h"."""
    if time is None:
        return UNKNOWN
    if time < MINUTE:
        return "under 1 min"
    if time < HOUR:
        return f"{time // MINUTE} min"
    if time < DAY:
        return f"{time // HOUR} h {time % HOUR // MINUTE} min"
    return f"{time // DAY} d {time % DAY // HOUR} h"


def percent(share: float | None) -> str:
    return UNKNOWN if share is None else f"{share:.1f} %"


# --- Tiles ----------------------------------------------------------------------------------------------------------


class Tile(NamedTuple):
    """One figure, a word on it, and the same figure of the time before."""

    name: str
    value: str
    before: str
    note: str = ""


def cre_tiles(figures: Figures) -> list[Tile]:
    waiting = figures.now.untouched
    return [
        *_both(figures, {"Assigned": _number("assigned"), "Contacted": _number("contacted"), **OUTCOMES}),
        _to_first_call(figures, f"{waiting} waiting for it" if waiting else ""),
    ]


def ps_tiles(figures: Figures, accept_within: int) -> list[Tile]:
    now = figures.now
    got = {"Assigned": _number("assigned"), "Accepted in time": _number("accepted")}
    spoken = {"Untouched": _number("untouched"), "Contacted": _number("contacted")}
    notes = {
        "Accepted in time": f"within {accept_within} working minutes",
        "Untouched": "not called by you yet",
        "Open": f"{now.pending:,} of them pending",
    }
    tiles = _both(figures, {**got, **spoken, **OUTCOMES, "Test drives": _number("drives")})
    noted = [tile._replace(note=notes.get(tile.name, "")) for tile in tiles]
    return [*noted, _to_first_call(figures)]


def _number(name: str) -> Callable[[Totals], str]:
    return lambda totals: f"{getattr(totals, name):,}"


OUTCOMES: dict[str, Callable[[Totals], str]] = {
    "Won": _number("won"),
    "Lost": _number("lost"),
    "Open": _number("open"),
    "Conversion": lambda totals: percent(totals.conversion),
}


def _both(figures: Figures, shown: Mapping[str, Callable[[Totals], str]]) -> list[Tile]:
    return [Tile(name, show(figures.now), show(figures.before)) for name, show in shown.items()]


def _to_first_call(figures: Figures, note: str = "") -> Tile:
    times = in_words(figures.now.to_first_call), in_words(figures.before.to_first_call)
    return Tile("Time to first call", *times, note)


# --- Columns over time ----------------------------------------------------------------------------------------------

# A chart of so many days has a column for each; with more they are put together.
MOST_DAYS, MOST_WEEKS, MOST_MONTHS = 31, 26 * 7, 36 * 31
WIDTH, HEIGHT = 10, 100


class Column(NamedTuple):
    """One step in time, named short and in words; `x`, `top` and `won_top` are where its bars start in the drawing."""

    label: str
    words: str
    assigned: int
    won: int
    x: int
    top: float
    won_top: float

    @property
    def height(self) -> float:
        return round(HEIGHT - self.top, 2)

    @property
    def won_height(self) -> float:
        return round(HEIGHT - self.won_top, 2)


@dataclass(frozen=True, slots=True)
class Chart:
    """Assigned and won over time; `scale` is what the highest line stands for."""

    step: str
    columns: list[Column]
    scale: int

    @property
    def width(self) -> int:
        return WIDTH * len(self.columns)

    @property
    def half(self) -> int:
        return self.scale // 2

    @property
    def ends(self) -> list[Column]:
        """The columns that are named below the picture."""
        last = len(self.columns) - 1
        return [self.columns[index] for index in sorted({0, last // 2, last} if last > 3 else {0, last})]

    @property
    def words(self) -> str:
        """What the picture says, for who does not see it."""
        most = max(self.columns, key=lambda column: column.assigned)
        return (
            f"Leads by {self.step}, {self.columns[0].words} to {self.columns[-1].words}. "
            f"The highest column is {most.words}: {most.assigned} assigned, {most.won} of them won. "
            "The numbers are in the table below the picture."
        )


def chart(by_day: Mapping[date, Tally], period: Period, today: date) -> Chart | None:
    """The period's days until today, or its weeks, months or years; None without a lead."""
    if not by_day:
        return None
    first, last = period.first, max(min(period.last, today), max(by_day))
    if (last - first) >= MOST_DAYS * DAY:
        first = max(first, min(by_day))
    step, begin = _step((last - first).days + 1)
    tallies = {begin(day): Tally() for day in _days(first, last)}
    for day, tally in by_day.items():
        tallies[begin(day)] += tally
    scale = _round_up(max(tally.assigned for tally in tallies.values()))
    columns = [_column(step, index, *found, scale) for index, found in enumerate(tallies.items())]
    return Chart(step, columns, scale)


def _step(days: int) -> tuple[str, Callable[[date], date]]:
    """How far the columns are apart, and with which day the column of a day begins."""
    if days <= MOST_DAYS:
        return "day", lambda day: day
    if days <= MOST_WEEKS:
        return "week", lambda day: day - day.weekday() * DAY
    if days <= MOST_MONTHS:
        return "month", lambda day: day.replace(day=1)
    return "year", lambda day: day.replace(month=1, day=1)


def _days(first: date, last: date) -> Iterable[date]:
    return (first + number * DAY for number in range((last - first).days + 1))


def _column(step: str, index: int, begins: date, tally: Tally, scale: int) -> Column:
    label = {"month": f"{begins:%b %Y}", "year": f"{begins:%Y}"}.get(step, said(begins))
    words = f"week of {label}" if step == "week" else label
    tops = (round(HEIGHT - HEIGHT * number / scale, 2) for number in (tally.assigned, tally.won))
    return Column(label, words, tally.assigned, tally.won, WIDTH * index, *tops)


def _round_up(number: int) -> int:
    """The next number that is easy to read off a scale and to halve: 2, 4, 10, 20, 40, 100 …"""
    scale = 1
    while True:
        for factor in (2, 4, 6, 8, 10):
            if number <= factor * scale:
                return factor * scale
        scale *= 10


# --- Lines of a table -----------------------------------------------------------------------------------------------


class Line(NamedTuple):
    """One line; `part` says that it is a part of the line above. `share` and `won_share` are its bar's, in percent."""

    name: str
    tally: Tally
    share: float
    won_share: float
    part: bool = False

    @property
    def conversion(self) -> str:
        return percent(self.tally.conversion)


def by_source(pairs: Mapping[Pair, Tally]) -> list[Line]:
    """The sources, the one with the most leads first, each with its sub-sources where it has several."""
    sources: dict[str, dict[str, Tally]] = {}
    for pair, tally in pairs.items():
        sources.setdefault(pair.source, {})[pair.sub_source] = tally
    named: list[tuple[str, Tally, bool]] = []
    for source, parts in sorted(sources.items(), key=lambda found: _most_first((found[0], _sum(found[1])))):
        if len(parts) == 1:
            named += [(f"{source} · {name}", tally, False) for name, tally in parts.items()]
        else:
            named.append((source, _sum(parts), False))
            named += [(name, tally, True) for name, tally in sorted(parts.items(), key=_most_first)]
    return _lines(named)


def by_category(categories: Mapping[str, Tally]) -> list[Line]:
    """Hot, Warm, Cold, and those of which it is not known yet."""
    names = {**{category.value: category.value for category in Category}, "": "Not known yet"}
    return _lines((name, categories[key], False) for key, name in names.items() if key in categories)


def _sum(parts: Mapping[str, Tally]) -> Tally:
    return sum(parts.values(), Tally())


def _most_first(named: tuple[str, Tally]) -> tuple[int, str]:
    return -named[1].assigned, named[0]


def _lines(named: Iterable[tuple[str, Tally, bool]]) -> list[Line]:
    rows = list(named)
    most = max((tally.assigned for _, tally, _ in rows), default=0) or 1
    return [
        Line(name, tally, round(100 * tally.assigned / most, 2), round(100 * tally.won / most, 2), part)
        for name, tally, part in rows
    ]
