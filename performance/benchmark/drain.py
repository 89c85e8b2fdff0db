"""One worker process that empties the outbox, and how fast: `python -m performance.benchmark.drain SECONDS`.

It does what a nudge makes a worker do. Prints JSON: how many attempts and mails, and in how many seconds each.
"""

import json
import os
import sys
import time
from collections.abc import Callable

import django


def main(seconds: float) -> None:
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "crm.settings")
    django.setup()
    from followups.delivery import mail_waiting
    from followups.recorder import record_waiting

    attempts = _timed(record_waiting, seconds)
    print(json.dumps({"recorded": attempts, "mailed": _timed(mail_waiting, seconds)}))  # noqa: T201


def _timed(nudge: Callable[[], int], seconds: float) -> tuple[int, float]:
    done, began = 0, time.perf_counter()
    while time.perf_counter() - began < seconds and (more := nudge()):
        done += more
    return done, time.perf_counter() - began


if __name__ == "__main__":
    main(float(sys.argv[1]))
