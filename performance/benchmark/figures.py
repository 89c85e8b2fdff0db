"""From samples to medians, and from medians to ratios: each of one round's own, then the median of the rounds."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from statistics import median
from typing import Any

from performance.benchmark.load import Sample


def quantile(values: Sequence[float], part: float) -> float:
    """The value that `part` of them do not exceed; 0 of none."""
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(len(ordered) * part))] if ordered else 0.0


@dataclass(slots=True)
class Series:
    """All rounds of one operation at one size."""

    name: str
    leads: int
    rounds: list[Sample] = field(default_factory=list)
    # Of operations that are told as a rate and not as times.
    rates: list[float] = field(default_factory=list)

    def of_round(self, quantity: str) -> list[float]:
        """A quantity of each round: p50 or p95 in ms, or per_second."""
        if quantity == "per_second":
            return self.rates or [len(sample.milliseconds) / sample.seconds for sample in self.rounds]
        part = {"p50": 0.5, "p95": 0.95}[quantity]
        return [quantile(sample.milliseconds, part) for sample in self.rounds]

    def median(self, quantity: str) -> float | None:
        values = self.of_round(quantity)
        return round(median(values), 3) if values else None

    def as_json(self) -> dict[str, Any]:
        return {
            "operation": self.name,
            "leads": self.leads,
            **{quantity: self.median(quantity) for quantity in ("p50", "p95", "per_second")},
            "requests": sum(len(sample.milliseconds) for sample in self.rounds),
            "wrong": sum(sample.wrong for sample in self.rounds),
            "wrong_words": [words for sample in self.rounds for words in sample.wrong_words][:5],
            "p50_of_rounds": [round(value, 3) for value in self.of_round("p50")],
            "per_second_of_rounds": [round(value, 1) for value in self.of_round("per_second")],
            "milliseconds": [sample.milliseconds for sample in self.rounds],
        }


@dataclass(frozen=True, slots=True)
class Ratio:
    """The median of the rounds' ratios, and the lowest and highest of them."""

    value: float
    low: float
    high: float


def ratio(above: Series | None, below: Series | None, quantity: str) -> Ratio | None:
    """None where one of them was not measured, or was answered wrongly."""
    if above is None or below is None or any(sample.wrong for sample in [*above.rounds, *below.rounds]):
        return None
    pairs = zip(above.of_round(quantity), below.of_round(quantity), strict=False)
    values = [up / down for up, down in pairs if down]
    if not values:
        return None
    return Ratio(*(round(value, 5) for value in (median(values), min(values), max(values))))
