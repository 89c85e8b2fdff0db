"""Measures the desk beside the floor under it and the former way: `manage.py benchmark --leads 10000,200000`."""

import json
import shlex
import signal
import sys
from argparse import ArgumentParser, ArgumentTypeError
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from performance.benchmark.databases import NotOurs
from performance.benchmark.measure import Wanted
from performance.benchmark.processes import Failed
from performance.benchmark.report import Results
from performance.benchmark.run import benchmark, fill

FEWEST, MOST = 200, 10_000_000


class Command(BaseCommand):
    help = (
        "Fills databases of its own beside the configured one, serves them as deployed, and measures the desk beside"
        " stock Django and the former way. It drops them in the end and touches nothing else. Run it on a machine that"
        " nobody works on: it takes all its processors."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--leads", type=_sizes, default=[10_000], help="Sizes, as in 10000,200000,1000000.")
        parser.add_argument("--rounds", type=int, default=5, help="Interleaved rounds; 5 if not given.")
        parser.add_argument("--seconds", type=float, default=2.0, help="How long each operation takes in a round.")
        parser.add_argument("--minutes", type=float, default=60.0, help="No new round is begun after so many.")
        parser.add_argument("--only", default="", help="Names of operations, as in the table: capture*,empty_post.")
        parser.add_argument("--json", type=Path, help="Writes everything there, raw samples included.")
        parser.add_argument("--markdown", type=Path, help="Writes the tables there.")
        parser.add_argument(
            "--keep",
            action="store_true",
            help="Keeps the filled databases and measures in copies. A run without --reuse drops and fills them anew.",
        )
        parser.add_argument("--reuse", action="store_true", help="Takes the databases that were kept, and keeps them.")
        parser.add_argument("--fill-only", action="store_true", help="Fills and keeps databases; measures nothing.")

    def handle(self, **options: Any) -> None:
        if not 1 <= options["rounds"] <= 1000 or not 0 < options["seconds"] <= 600:
            raise CommandError("Give 1 to 1,000 --rounds of up to 600 --seconds.")
        wanted = Wanted(
            sizes=options["leads"],
            rounds=options["rounds"],
            seconds=options["seconds"],
            minutes=options["minutes"],
            only=tuple(name.strip() for name in options["only"].split(",") if name.strip()),
            keep=options["keep"] or options["reuse"] or options["fill_only"],
            reuse=options["reuse"],
            command=shlex.join(["manage.py", *sys.argv[1:]]),
        )
        for path in (options["json"], options["markdown"]):
            if path and not path.resolve().parent.is_dir():
                raise CommandError(f"There is no directory {path.resolve().parent}.")
        try:
            with _stopped_in_order():
                if options["fill_only"]:
                    fill(wanted, self.stderr.write)
                    return
                results = benchmark(wanted, self.stderr.write)
        except (NotOurs, Failed) as error:
            raise CommandError(str(error)) from error
        except KeyboardInterrupt:
            kept = ", but for databases that were filled to the end" if wanted.keep else ""
            raise CommandError(f"Stopped; what it had made is gone{kept}.") from None
        self._say(results, options)

    def _say(self, results: Results, options: dict[str, Any]) -> None:
        markdown = results.as_markdown()
        if options["json"]:
            options["json"].write_text(json.dumps(results.as_json()), encoding="utf-8")
        if options["markdown"]:
            options["markdown"].write_text(markdown, encoding="utf-8")
        facts = results.facts
        self.stdout.write(f"Stock Django, as it was measured:\n\n{facts['settings']['stock_django']}")
        self.stdout.write("The former way, a commit each:\n")
        self.stdout.write("\n".join([*facts["former_sql"], *facts["former_indexes"], ""]))
        self.stdout.write(markdown)
        for name, words in results.wrong().items():
            self.stderr.write(f"Wrong answers of {name}, so it has no ratios: {words}")


def _sizes(typed: str) -> list[int]:
    """From small to large, each once."""
    try:
        sizes = sorted({int(number) for number in typed.split(",")})
    except ValueError:
        raise ArgumentTypeError(f"{typed!r} are not numbers with commas between them.") from None
    if not FEWEST <= sizes[0] <= sizes[-1] <= MOST:
        raise ArgumentTypeError(f"give sizes from {FEWEST} to {MOST:,}.")
    return sizes


@contextmanager
def _stopped_in_order() -> Iterator[None]:
    """Ctrl-C or a SIGTERM ends the run, once: a second one does not keep it from taking away what it has made."""

    def stop(number: int, frame: FrameType | None) -> None:
        for other in before:
            signal.signal(other, signal.SIG_IGN)
        raise KeyboardInterrupt

    before = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
    for number in before:
        signal.signal(number, stop)
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
