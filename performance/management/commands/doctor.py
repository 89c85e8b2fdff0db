"""manage.py doctor [--repair] [--json]: whether leads, calls, follow-ups and repeats agree, in words or as JSON.

Ends with 0 if they do, with 1 if something is wrong still.
"""

import json
import sys
import time
from typing import Any

from django.core.management.base import BaseCommand, CommandParser

from leads.invariants import INVARIANTS
from performance.doctor import EXAMPLES, MOST, Finding, examine, repaired


class Command(BaseCommand):
    help = (
        "Looks whether leads, calls, follow-ups and repeats agree with one another, and says what is wrong. It reads "
        "all of them: about 15 seconds for a million leads, beside the running desk."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument(
            "--repair",
            action="store_true",
            help="count attempts, first response, enquiries and priority anew where they are wrong; nothing else",
        )
        parser.add_argument("--json", action="store_true", help="for programs")

    def handle(self, *args: Any, **options: Any) -> None:
        began = time.monotonic()
        number = repaired() if options["repair"] else None
        findings = examine()
        seconds = round(time.monotonic() - began, 1)
        if options["json"]:
            self.stdout.write(json.dumps(_told(findings, number, seconds), indent=2))
        else:
            self._say(findings, number, seconds)
        if findings:
            sys.exit(1)

    def _say(self, findings: list[Finding], number: int | None, seconds: float) -> None:
        if number is not None:
            self.stdout.write(f"Leads whose counters were repaired: {number:,}.")
        for finding in findings:
            self.stdout.write(self.style.ERROR(f"{finding.invariant.name}: {finding.words}"))
        if findings and number is None and any(finding.derived for finding in findings):
            self.stdout.write("Counters are repaired by manage.py doctor --repair.")
        if any(not finding.derived for finding in findings):
            self.stdout.write("Nothing can work out anew what people told: look at these leads.")
        verdict = f"{len(findings)} of {len(INVARIANTS)} are broken" if findings else "Everything agrees"
        self.stdout.write(f"{verdict}. {len(INVARIANTS)} questions, {seconds} s.")


def _told(findings: list[Finding], number: int | None, seconds: float) -> dict[str, Any]:
    return {
        "sound": not findings,
        "seconds": seconds,
        "asked": [invariant.name for invariant in INVARIANTS],
        "repaired": number,
        "broken": [
            {
                "name": finding.invariant.name,
                "says": finding.invariant.says,
                "leads": len(finding.uids),
                "or_more": len(finding.uids) >= MOST,
                "examples": list(finding.uids[:EXAMPLES]),
                "can_be_repaired": finding.derived,
            }
            for finding in findings
        ],
    }
