"""What a run of a live test has found: plain values, which are kept as JSON, and what to say of them."""

import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from typing import Any, NamedTuple

from performance.live_work import Part
from performance.query_plans import Way

# No further round begins after this.
LONGEST_SECONDS = 5.0

FAST, SLOW, FAILED = "fast", "slow", "failed"
UNEXPLAINED = "PostgreSQL could not say which indexes it takes; the log says why. Try again in a minute."
VERDICTS = {FAST: "As fast as agreed.", SLOW: "Slower than agreed.", FAILED: "Not finished."}


@dataclass
class Line:
    """What one operation took. Milliseconds; statements and their time are those of a typical round."""

    words: str
    operation: str
    budget: float
    rounds: int
    p50: float
    p95: float
    slowest: float
    statements: int
    database: float

    @property
    def share(self) -> float:
        """Of the budget, in percent."""
        return 100 * self.p95 / self.budget


@dataclass
class Count:
    """Rows before and after. Of the test's `own` there must be none; the others move as people work."""

    words: str
    before: str
    after: str
    own: bool = False


@dataclass
class Found:
    verdict: str
    trouble: str
    seconds: float
    message: str = ""
    done: int = 0
    lines: list[Line] = field(default_factory=list)
    ways: list[dict[str, Any]] = field(default_factory=list)
    counts: list[Count] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)
    # Of the line that comes closest to its budget, or exceeds it most; for the history.
    p50: float = 0.0
    p95: float = 0.0
    share: float = 0.0


class Try(NamedTuple):
    """One round's time, statements and their time, in seconds."""

    seconds: float
    statements: int
    database: float


def judged(
    tries: Sequence[tuple[Part, list[Try]]],
    ways: list[Way] | None,
    counts: list[Count],
    seconds: float,
    trouble: str,
    stopped: bool,
) -> Found:
    lines = [_line(part, tried) for part, tried in tries if tried]
    left = [count.words for count in counts if count.own and count.after != "0"]
    slow = [line for line in lines if line.share > 100]
    untried = [part.words for part, tried in tries if not tried]
    worst = max(lines, key=lambda line: line.share, default=None)
    verdict = FAILED if trouble or left else SLOW if slow else FAST
    found = Found(verdict, trouble, round(seconds, 3))
    found.done = sum(line.rounds for line in lines)
    found.lines, found.counts = lines, counts
    found.ways = [{**asdict(way), "big": way.big} for way in ways or []]
    found.warnings = [
        *(f"{words}: there are some, and there must be none. Tell an engineer at once." for words in left),
        *([] if counts else ["The rows could not be counted this time; the log says why. Try again in a minute."]),
        *(_slow_words(line) for line in slow),
        *([UNEXPLAINED] if ways is None and not trouble else []),
        *filter(None, (way.warning for way in ways or [])),
        *(f"“{words}” was not tried: choose more rounds." for words in untried if not trouble),
        *([f"Ended after {found.done} rounds, for {LONGEST_SECONDS:.0f} seconds had passed."] if stopped else []),
    ]
    if worst:
        found.p50, found.p95, found.share = worst.p50, worst.p95, round(worst.share, 1)
    found.message = " ".join(filter(None, [VERDICTS[verdict], trouble, *(_words(line) for line in lines)]))
    return found


def _line(part: Part, tried: list[Try]) -> Line:
    times = sorted(1000 * one.seconds for one in tried)
    return Line(
        part.words,
        part.operation.name,
        part.operation.budget,
        len(tried),
        _quantile(times, 0.5),
        _quantile(times, 0.95),
        round(times[-1], 2),
        round(_quantile(sorted(one.statements for one in tried), 0.5)),
        _quantile(sorted(1000 * one.database for one in tried), 0.5),
    )


def _quantile(ordered: Sequence[float], share: float) -> float:
    """The least of the measured values within which that share of them stayed."""
    return round(ordered[math.ceil(share * len(ordered)) - 1], 2)


def _words(line: Line) -> str:
    return f"{line.words}: half within {line.p50:.1f} ms, 95 % within {line.p95:.1f} ms, agreed {line.budget:.0f} ms."


def _slow_words(line: Line) -> str:
    return f"“{line.words}” takes longer than agreed: {line.p95:.0f} ms instead of {line.budget:.0f} ms."
