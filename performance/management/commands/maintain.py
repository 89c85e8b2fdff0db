"""manage.py maintain [--dry-run] [job …]: does now what beat does at night, or says what it would do."""

from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from performance.maintenance import JOBS, run


class Command(BaseCommand):
    help = "Does the desk's periodic maintenance now: {}. All of it, where no job is named.".format(", ".join(JOBS))

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument(
            "jobs", nargs="*", metavar="job", help="; ".join(f"{j.name}: {j.says}" for j in JOBS.values())
        )
        parser.add_argument("--dry-run", action="store_true", help="only say what would be done")

    def handle(self, *args: Any, **options: Any) -> None:
        if unknown := [name for name in options["jobs"] if name not in JOBS]:
            raise CommandError(f"There is no job {unknown[0]}. There are: {', '.join(JOBS)}.")
        for name in options["jobs"] or JOBS:
            job = JOBS[name]
            done = run(job, dry_run=options["dry_run"])
            would = " (nothing was changed)" if options["dry_run"] else ""
            self.stdout.write(f"{job.name}: {done.number:,} {job.found}{would}.")
            for note in done.notes:
                self.stdout.write(f"  {note}")
