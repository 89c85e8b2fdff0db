"""Worker processes that empty the outbox, and how fast: `python -m performance.benchmark.drain KIND SECONDS PROCESSES`.

They do what a nudge makes a worker do. Prints JSON: how many attempts or mails, and in how many seconds.
"""

import json
import multiprocessing
import os
import sys
import time
from typing import Any

import django


def main(kind: str, seconds: float, processes: int) -> None:
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "crm.settings")
    django.setup()
    fork = multiprocessing.get_context("fork")
    together, done = fork.Barrier(processes + 1), fork.SimpleQueue()
    workers = [fork.Process(target=_empty, args=(kind, seconds, together, done)) for _ in range(processes)]
    for worker in workers:
        worker.start()
    together.wait()
    began = time.perf_counter()
    for worker in workers:
        worker.join()
    took = time.perf_counter() - began
    print(json.dumps([sum(done.get() for _ in workers), took]))  # noqa: T201


def _empty(kind: str, seconds: float, together: Any, done: Any) -> None:
    from followups.delivery import mail_waiting
    from followups.recorder import record_waiting

    nudge = {"attempts": record_waiting, "mails": mail_waiting}[kind]
    together.wait()
    number, until = 0, time.perf_counter() + seconds
    while time.perf_counter() < until and (more := nudge()):
        number += more
    done.put(number)


if __name__ == "__main__":
    main(sys.argv[1], float(sys.argv[2]), int(sys.argv[3]))
