"""What a run says: ratios beside their goals, a table in markdown, and everything as JSON."""

from collections.abc import Iterator
from dataclasses import asdict, dataclass, field
from typing import Any, Literal, NamedTuple

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
    ("dashboard_cold_vs_empty_page", "dashboard_cold", "empty_page", "p50"),
    ("dashboard_typical_vs_empty_page", "dashboard_typical", "empty_page", "p50"),
    ("dashboard_deep_vs_dashboard", "dashboard_deep", "dashboard", "p50"),
    ("ps_dashboard_vs_empty_page", "ps_dashboard", "empty_page", "p50"),
    ("phone_search_vs_empty_page", "phone_search", "empty_page", "p50"),
    ("our_empty_page_vs_empty_page", "our_empty_page", "empty_page", "p50"),
    ("capture_vs_former", "capture", "former", "p50"),
    ("capture_vs_former_indexed", "capture", "former_indexed", "p50"),
    ("dashboard_vs_former", "dashboard", "former_dashboard", "p50"),
    ("dashboard_vs_former_indexed", "dashboard", "former_dashboard_indexed", "p50"),
    ("dashboard_cold_vs_former", "dashboard_cold", "former_dashboard", "p50"),
    ("dashboard_cold_vs_former_indexed", "dashboard_cold", "former_dashboard_indexed", "p50"),
    ("performance_page_vs_empty_page", "performance_page", "empty_page", "p50"),
    ("recorder_vs_capture", operations.RECORDED, "capture_1_web", "per_second"),
    ("capture_throughput_2_processes_vs_1", "capture_2_web", "capture_1_web", "per_second"),
    ("capture_throughput_4_processes_vs_1", "capture_4_web", "capture_1_web", "per_second"),
    ("recorder_2_processes_vs_1", operations.RECORDED_BY_TWO, operations.RECORDED, "per_second"),
)
# Each of the desk's at the largest size to the smallest.
GROWTH = tuple(f"{name}_growth" for name in operations.DESKS)


@dataclass(frozen=True, slots=True)
class Goal:
    """A ratio that is told in words; with a limit it is a goal."""

    name: str
    words: str
    sign: Literal["≤", "≥", ""] = ""
    limit: float = 0.0

    def reached(self, value: float) -> bool:
        return value <= self.limit if self.sign == "≤" else value >= self.limit


GOALS = (
    Goal("capture_vs_empty_post", "capture / empty POST of stock Django", "≤", 1.2),
    Goal("capture_throughput_vs_empty_post", "captures / empty POSTs, a second, 8 clients", "≥", 0.5),
    Goal("capture_statements", "SQL statements of a capture request, warm", "≤", 1),
    Goal("duplicate_check_vs_empty_post", "duplicate check / empty POST", "≤", 1.2),
    Goal(
        "dashboard_vs_empty_page",
        "busiest CRE’s dashboard, 50 rows, as it is kept / empty page of stock Django",
        "≤",
        3,
    ),
    Goal("dashboard_cold_vs_empty_page", "… made anew, as after each save / empty page"),
    Goal("capture_growth", "capture, largest size / smallest", "≤", 1.3),
    Goal("duplicate_check_growth", "duplicate check, largest / smallest", "≤", 1.3),
    Goal("dashboard_growth", "dashboard, as it is kept, largest / smallest", "≤", 1.3),
    Goal("dashboard_cold_growth", "… made anew, largest / smallest"),
    Goal("capture_vs_former", "capture / the former way", "≤", 0.015),
    Goal("capture_vs_former_indexed", "capture / the former way with its indexes", "≤", 0.5),
    Goal("recorder_vs_capture", "attempts recorded / captures, a second, one process each", "≥", 5),
    Goal("update_vs_empty_post", "update / empty POST"),
    Goal("performance_page_vs_empty_page", "performance page / empty page"),
    Goal("our_empty_post_vs_empty_post", "empty POST, our middleware / stock"),
    Goal("capture_throughput_2_processes_vs_1", "captures a second, 2 web processes / 1"),
    Goal("capture_throughput_4_processes_vs_1", "captures a second, 4 web processes / 1"),
    Goal("recorder_2_processes_vs_1", "attempts recorded a second, 2 worker processes / 1"),
)


class Row(NamedTuple):
    """Of the table. Where many ask at once, or a worker works, the rate says more than the times."""

    name: str
    words: str
    rate: bool = False


ROWS = (
    Row(operations.RAW, "**floors:** one INSERT and commit, psycopg"),
    Row("empty_post", "empty POST, stock Django"),
    Row("our_empty_post", "empty POST, our middleware"),
    Row("empty_page", "empty page, stock Django"),
    Row("our_empty_page", "empty page, our middleware"),
    Row("empty_post_8", "empty POST, stock Django, 8 clients", rate=True),
    Row("empty_post_32", "… 32 clients", rate=True),
    Row("capture", "**the desk:** capture"),
    Row("capture_8", "capture, 8 clients", rate=True),
    Row("capture_32", "… 32 clients", rate=True),
    Row("capture_1_web", "… 16 clients, 1 web process", rate=True),
    Row("capture_2_web", "… 16 clients, 2 web processes", rate=True),
    Row("capture_4_web", "… 16 clients, 4 web processes", rate=True),
    Row("duplicate_check", "duplicate check"),
    Row("update", "update, a call that was not answered"),
    Row("next_call", "next call"),
    Row("dashboard", "CRE’s dashboard, the busiest CRE, as it is kept"),
    Row("dashboard_cold", "… made anew, as after each save"),
    Row("dashboard_typical", "… a typical CRE, as it is kept"),
    Row("dashboard_deep", "… page 1,000 (or the last) of Lost; only its counts are kept"),
    Row("phone_search", "search by phone"),
    Row("ps_dashboard", "PS’s dashboard, its counts as they are kept"),
    Row("performance_page", "performance page"),
    Row(operations.RECORDED, "**workers:** attempts recorded, 1 process", rate=True),
    Row(operations.RECORDED_BY_TWO, "… 2 processes", rate=True),
    Row(operations.MAILED, "mails sent, 1 process", rate=True),
    Row(operations.RECORD_DELAY, "save to recorded attempt"),
    Row(operations.MAIL_DELAY, "save to mail taken by the mail server"),
    Row("former_indexed", "**the former way:** with its indexes"),
    Row("former", "… without"),
    Row("former_dashboard_indexed", "its dashboard, with its indexes"),
    Row("former_dashboard", "… without"),
)


@dataclass(slots=True)
class Results:
    """Everything that a run has found out. `facts` are of the machine, the project and the settings."""

    facts: dict[str, Any]
    sizes: list[int]
    series: dict[tuple[str, int], Series] = field(default_factory=dict)
    statements: dict[str, int] = field(default_factory=dict)
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

    def wrong(self) -> dict[str, str]:
        """Operations that were not always answered as they should be, each with the first such answer."""
        return {
            f"{name} at {leads:,} leads": next(words for sample in series.rounds for words in sample.wrong_words)
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
            f" {facts['seconds']:g} s, medians; ratios are the median of each round’s own (lowest to highest)."
        )

    def _goals(self) -> Iterator[str]:
        ratios = self.ratios(self.sizes[-1])
        if "capture" in self.statements:
            ratios["capture_statements"] = Ratio(*[self.statements["capture"]] * 3)
        yield f"| Ratios at {self.sizes[-1]:,} leads | Measured | Goal | Reached |"
        yield "|---|---|---|---|"
        # There is no growth from a size to itself.
        shown = [goal for goal in GOALS if len(self.sizes) > 1 or goal.name not in GROWTH]
        for goal in shown:
            found = ratios.get(goal.name)
            if found is None:
                if goal.sign:
                    yield f"| {goal.words} | not measured | {goal.sign} {goal.limit:g} | |"
                continue
            spread = f" ({found.low:.3g} to {found.high:.3g})" if found.low != found.high else ""
            verdict = f"{goal.sign} {goal.limit:g} | {'yes' if goal.reached(found.value) else '**no**'}"
            machine = f" ({self.facts['cpus']} processors)" if "_processes_vs_" in goal.name else ""
            yield f"| {goal.words}{machine} | {found.value:.3g}{spread} | {verdict if goal.sign else '|'} |"

    def _table(self) -> Iterator[str]:
        heads = "".join(f" {leads:,} |" for leads in self.sizes)
        yield f"| p50 (p95) in ms, or rate; leads: |{heads} SQL |"
        yield "|---|" + "---|" * (len(self.sizes) + 1)
        measured = {name for name, _ in self.series}
        for row in ROWS:
            if row.name in measured:
                cells = "".join(f" {self._cell(row, leads)} |" for leads in self.sizes)
                yield f"| {row.words} |{cells} {self.statements.get(row.name, '')} |"
        loads = "".join(f" {self.load_per_second[leads]:,.0f}/s |" for leads in self.sizes)
        yield f"| load_leads, leads loaded |{loads} |"

    def _cell(self, row: Row, leads: int) -> str:
        series = self.series.get((row.name, leads))
        if series is None:
            return ""
        if row.rate:
            return f"{series.median('per_second') or 0:,.0f}/s"
        p50, p95 = (series.median(quantity) or 0.0 for quantity in ("p50", "p95"))
        return f"{_ms(p50)} ({_ms(p95)})"


def _ms(value: float) -> str:
    """Three figures are more than the noise."""
    return f"{value:,.0f}" if value >= 100 else f"{value:.3g}"
