"""A live test as the performance page shows it: what it is, its latest run, and the ones before."""

from dataclasses import dataclass
from typing import Any, NamedTuple

from performance.live_test_findings import LONGEST_SECONDS, VERDICTS
from performance.live_tests import (
    LOCK_MILLISECONDS,
    MOST_ROUNDS,
    ROUNDS,
    STATEMENT_MILLISECONDS,
    TESTS,
    Trial,
    runs,
)
from performance.models import LiveTest

SHOWN = 10


class Limits(NamedTuple):
    """What a test keeps within."""

    rounds: int = MOST_ROUNDS
    seconds: float = LONGEST_SECONDS
    lock_milliseconds: int = LOCK_MILLISECONDS
    statement_seconds: int = STATEMENT_MILLISECONDS // 1000


class Past(NamedTuple):
    """A former run; `bar` is its share of the budget in percent, 200 at most."""

    run: LiveTest
    verdict: str
    bar: float


@dataclass(frozen=True)
class Panel:
    """A test as the page shows it: what it is, its latest run, and the last ten."""

    trial: Trial
    past: list[Past]
    limits = Limits()

    @property
    def latest(self) -> LiveTest | None:
        return self.past[0].run if self.past else None

    @property
    def verdict(self) -> str:
        return self.past[0].verdict if self.past else ""

    @property
    def left(self) -> str:
        """What the latest run has left behind, in words."""
        counts = self.latest.result.get("counts", []) if self.latest else []
        return "nothing" if all(count["after"] == "0" for count in counts if count["own"]) else "something!"

    @property
    def rounds(self) -> int:
        """What the field offers: as many as last time."""
        return self.past[0].run.rounds if self.past else ROUNDS

    def as_json(self) -> dict[str, Any]:
        return {
            "test": self.trial.name,
            "words": self.trial.words,
            "runs": [{"at": one.run.at.isoformat(), "rounds": one.run.rounds, **one.run.result} for one in self.past],
        }


def panel(name: str) -> Panel:
    latest = runs(name).select_related("asked_by")[:SHOWN]
    return Panel(TESTS[name], [_past(one) for one in latest])


def _past(run: LiveTest) -> Past:
    """Also of one that another release of the desk has kept."""
    return Past(run, VERDICTS.get(run.result.get("verdict", ""), ""), min(run.result.get("share", 0.0), 200.0))


def overview() -> list[Panel]:
    """All tests for the page: one statement each."""
    return [panel(name) for name in TESTS]
