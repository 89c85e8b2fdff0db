"""What a run says: ratios beside their goals, a table in markdown, and everything as JSON."""

from collections.abc import Iterator
from dataclasses import asdict, dataclass, field
from typing import Any, Literal

from performance.benchmark import operations
from performance.benchmark.figures import Ratio, Series, ratio

# Of one size: name, what is compared with what, and in which quantity.
WITHIN = (
    ("capture_vs_empty_post", "capture", "empty_post", "p50"),
    ("capture_throughput_vs_empty_post", "capture_8", "empty_post_8", "per_second"),
    ("capture_32_throughput_vs_empty_post", "capture_32", "empty_post_32", "per_second"),
    ("duplicate_check_vs_empty_post", "duplicate_check", "empty_post", "p50"),
    ("update_vs_empty_post", "update", "empty_post", "p50"),
    ("our_empty_post_vs_empty_post", "our_empty_post", "empty_post", "p50"),
    ("capture_vs_our_empty_post", "capture", "our_empty_post", "p50"),
    ("raw_insert_vs_empty_post", operations.RAW, "empty_post", "p50"),
    ("dashboard_vs_empty_page", "dashboard", "empty_page", "p50"),
    ("dashboard_typical_vs_empty_page", "dashboard_typical", "empty_page", "p50"),
    ("dashboard_deep_vs_dashboard", "dashboard_deep", "dashboard", "p50"),
    ("ps_dashboard_vs_empty_page", "ps_dashboard", "empty_page", "p50"),
    ("phone_search_vs_empty_page", "phone_search", "empty_page", "p50"),
    ("our_empty_page_vs_empty_page", "our_empty_page", "empty_page", "p50"),
    ("capture_vs_former", "capture", "former", "p50"),
    ("capture_vs_former_indexed", "capture", "former_indexed", "p50"),
    ("dashboard_vs_former", "dashboard", "former_dashboard", "p50"),
    ("dashboard_vs_former_indexed", "dashboard", "former_dashboard_indexed", "p50"),
    ("recorder_vs_capture", operations.RECORDED, operations.ONE_PROCESS, "per_second"),
)
# Each of the desk's at the largest size to the smallest.
GROWTH = tuple(f"{name}_growth" for name in operations.DESKS)


@dataclass(frozen=True, slots=True)
class Goal:
    name: str
    words: str
    sign: Literal["≤", "≥"]
    limit: float

    def reached(self, value: float) -> bool:
        return value <= self.limit if self.sign == "≤" else value >= self.limit


GOALS = (
    Goal("capture_vs_empty_post", "capture / empty POST of stock Django, p50, 1 client", "≤", 1.2),
    Goal("capture_throughput_vs_empty_post", "captures a second / empty POSTs a second, 8 clients", "≥", 0.5),
    Goal("capture_statements", "SQL statements of a capture request, warm", "≤", 1),
    Goal("duplicate_check_vs_empty_post", "duplicate check / empty POST of stock Django", "≤", 1.2),
    Goal("dashboard_vs_empty_page", "busiest CRE’s dashboard, 50 rows / empty page of stock Django", "≤", 3),
    Goal("capture_growth", "capture, largest size / smallest", "≤", 1.3),
    Goal("duplicate_check_growth", "duplicate check, largest size / smallest", "≤", 1.3),
    Goal("dashboard_growth", "busiest CRE’s dashboard, largest size / smallest", "≤", 1.3),
    Goal("capture_vs_former", "capture / the former way, largest size", "≤", 0.015),
    Goal("capture_vs_former_indexed", "capture / the former way with its indexes, largest size", "≤", 0.5),
    Goal("recorder_vs_capture", "attempts recorded a second / captures a second, one process each", "≥", 5),
)


@dataclass(slots=True)
class Results:
    """Everything that a run has found out. `facts` are of the machine, the project and the settings."""

    facts: dict[str, Any]
    sizes: list[int]
    series: dict[tuple[str, int], Series] = field(default_factory=dict)
    statements: dict[str, float] = field(default_factory=dict)
    load_per_second: dict[int, float] = field(default_factory=dict)
    rows: dict[int, dict[str, int]] = field(default_factory=dict)

    def of(self, name: str, leads: int) -> Series:
        return self.series.setdefault((name, leads), Series(name, leads))

    def ratios(self, leads: int) -> dict[str, Ratio | None]:
        """All ratios at one size; growth is of this size to the smallest."""
        found = {
            name: ratio(self.series.get((above, leads)), self.series.get((below, leads)), quantity)
            for name, above, below, quantity in WITHIN
        }
        for growth, name in zip(GROWTH, operations.DESKS, strict=True):
            found[growth] = ratio(self.series.get((name, leads)), self.series.get((name, self.sizes[0])), "p50")
        return found

    def wrong(self) -> dict[str, list[str]]:
        """Operations that were not always answered as they should be."""
        return {
            f"{name} at {leads:,} leads": [words for sample in series.rounds for words in sample.wrong_words][:3]
            for (name, leads), series in self.series.items()
            if any(sample.wrong for sample in series.rounds)
        }

    def as_json(self) -> dict[str, Any]:
        largest = self.ratios(self.sizes[-1])
        return {
            **self.facts,
            "sizes": self.sizes,
            "ratios": {name: found and found.value for name, found in largest.items()},
            "ratios_by_size": {
                str(leads): {name: found and asdict(found) for name, found in self.ratios(leads).items()}
                for leads in self.sizes
            },
            "statements": self.statements,
            "load_leads_per_second": self.load_per_second,
            "rows_in_the_end": self.rows,
            "wrong": self.wrong(),
            "measured": [series.as_json() for series in self.series.values()],
        }

    def as_markdown(self) -> str:
        return "\n".join([*self._head(), "", *self._goals(), "", *self._table(), ""])

    # --- Lines of the markdown ----------------------------------------------------------------------------------

    def _head(self) -> Iterator[str]:
        facts = self.facts
        yield f"Measured {facts['date']} by `{facts['command']}`, commit {facts['commit'] or 'unknown'}."
        yield (
            f"{facts['cpus']} processors, load {facts['load_before']} before and {facts['load_after']} after;"
            f" Python {facts['python']}, Django {facts['django']}, PostgreSQL {facts['postgresql']};"
            f" {facts['workers']} web processes of {facts['threads']} threads; {facts['rounds']} interleaved rounds of"
            f" {facts['seconds']} s, medians; ratios are the median of each round’s own (lowest to highest)."
        )

    def _goals(self) -> Iterator[str]:
        ratios = self.ratios(self.sizes[-1])
        yield f"| At {self.sizes[-1]:,} leads | Goal | Reached | |"
        yield "|---|---|---|---|"
        for goal in GOALS:
            found = ratios.get(goal.name)
            if goal.name == "capture_statements" and "capture" in self.statements:
                found = Ratio(*[self.statements["capture"]] * 3)
            if found is None:
                yield f"| {goal.words} | {goal.sign} {goal.limit:g} | not measured | |"
                continue
            spread = f" ({found.low:.3g} to {found.high:.3g})" if found.low != found.high else ""
            verdict = "yes" if goal.reached(found.value) else "no"
            yield f"| {goal.words} | {goal.sign} {goal.limit:g} | {found.value:.3g}{spread} | {verdict} |"

    def _table(self) -> Iterator[str]:
        heads = "".join(f" {leads:,}: p50 ms | p95 ms | a second |" for leads in self.sizes)
        yield f"| Leads |{heads} Statements |"
        yield "|---|" + "---|" * (3 * len(self.sizes) + 1)
        for name in dict.fromkeys(name for name, _ in self.series):
            cells = "".join(self._cells(name, leads) for leads in self.sizes)
            statements = self.statements.get(name)
            yield f"| {name} |{cells} {'' if statements is None else f'{statements:g}'} |"
        loads = "".join(f" | | {self.load_per_second.get(leads, 0):,.0f} |" for leads in self.sizes)
        yield f"| load_leads |{loads} |"

    def _cells(self, name: str, leads: int) -> str:
        series = self.series.get((name, leads))
        if series is None:
            return " | | |"
        times = [series.median(quantity) if series.rounds else None for quantity in ("p50", "p95")]
        rate = series.median("per_second")
        words = ["" if value is None else f"{value:.3g}" for value in times]
        return f" {words[0]} | {words[1]} | {'' if rate is None else f'{rate:,.0f}'} |"
