"""Fills the desk with invented leads for measurements: `manage.py load_leads --count 1000000`."""

import random
import time
from argparse import ArgumentParser
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta
from typing import Any

from django.contrib.auth.password_validation import validate_password
from django.core.exceptions import ValidationError
from django.core.management.base import BaseCommand, CommandError
from django.db import IntegrityError, transaction
from django.utils import timezone
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TimeElapsedColumn, TimeRemainingColumn

from leads.invented import bulk, staff

MOST = 10_000_000
PERIOD = timedelta(days=730)
# Who loads on top of a running desk must not give it calls that come after now.
JUST_NOW = timedelta(minutes=1)


class Command(BaseCommand):
    help = (
        "Adds invented leads of the last two years with their calls, follow-ups and repeats, worked on by"
        " 50 CREs and 40 PS of their own, for measurements. All of them, or none when it is stopped."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--count", type=int, required=True, help=f"How many leads: 1 to {MOST:,}.")
        parser.add_argument("--seed", type=int, default=1, help="Another seed gives other leads.")
        parser.add_argument("--password", help="Lets load-cre01, load-ps01 and the others sign in with it.")

    def handle(self, *, count: int, seed: int, password: str | None, **options: Any) -> None:
        if not 1 <= count <= MOST:
            raise CommandError(f"--count is {count}: give a number from 1 to {MOST:,}.")
        _check(password)
        until = timezone.now() - JUST_NOW
        started = time.monotonic()
        try:
            _load(count, seed, password, until, quiet=options["verbosity"] == 0)
        except KeyboardInterrupt:
            raise CommandError("Stopped: nothing was added.") from None
        except staff.NoSourceOffered:
            raise CommandError("No source is offered that a lead could come from: add one in the admin.") from None
        except IntegrityError as error:
            raise CommandError(
                "A lead that was being added met one that the desk made meanwhile. Nothing was added: run it"
                f" again, with another --seed if need be. ({error.__cause__})"
            ) from error
        seconds = time.monotonic() - started
        self.stdout.write(f"{count:,} leads added in {seconds:.0f} s.")


def _check(password: str | None) -> None:
    try:
        if password is not None:
            validate_password(password)
    except ValidationError as error:
        raise CommandError(f"--password: {' '.join(error.messages)}") from error


def _load(count: int, seed: int, password: str | None, until: datetime, *, quiet: bool) -> None:
    since = until - PERIOD
    with transaction.atomic(), _progress(count, quiet=quiet) as advance:
        staff.make_load_people(password, since)
        chance = random.Random(seed)  # noqa: S311 - the same seed gives the same leads
        bulk.load(staff.staff("load-"), count, period=(since, until), chance=chance, advance=advance)
    bulk.tidy()


@contextmanager
def _progress(count: int, *, quiet: bool) -> Iterator[Callable[[int], None]]:
    columns = ("Leads", BarColumn(), MofNCompleteColumn(), TimeElapsedColumn(), "left", TimeRemainingColumn())
    with Progress(*columns, console=Console(stderr=True), disable=quiet) as progress:
        task = progress.add_task("", total=count)
        yield lambda leads: progress.advance(task, leads)
