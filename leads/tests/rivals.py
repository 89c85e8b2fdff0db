"""People who save at the same time: all at once, or one while another waits for the lead."""

import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

from django.db import connection, transaction

from leads.models import LeadMaster

T = TypeVar("T")


def all_at_once(jobs: list[Callable[[], T]]) -> list[T]:
    """Runs every job in a thread with a connection of its own, none before all are ready; raises what they raise."""
    barrier = threading.Barrier(len(jobs), timeout=20)

    def run(job: Callable[[], T]) -> T:
        try:
            connection.ensure_connection()
            barrier.wait()
            return job()
        finally:
            connection.close()

    with ThreadPoolExecutor(len(jobs)) as threads:
        return list(threads.map(run, jobs))


def while_it_waits(lead: LeadMaster, job: Callable[[], T], change: Callable[[], object]) -> T:
    """Runs `job` in a thread until it waits for `lead`, then makes `change` and commits; returns what `job` gave."""

    def run() -> T:
        try:
            return job()
        finally:
            connection.close()

    with ThreadPoolExecutor(1) as threads:
        with transaction.atomic():
            LeadMaster.objects.select_for_update(no_key=True).get(pk=lead.pk)
            waiting = threads.submit(run)
            _until_somebody_waits(waiting.done)
            change()
        return waiting.result(timeout=20)


def _until_somebody_waits(done: Callable[[], bool]) -> None:
    until = time.monotonic() + 15
    while time.monotonic() < until and not done():
        with connection.cursor() as cursor:
            # A transaction looks at the others once, unless it is told to look again.
            cursor.execute("SELECT pg_stat_clear_snapshot()")
            cursor.execute(
                "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'"
            )
            if cursor.fetchone()[0]:
                return
        time.sleep(0.01)
    raise AssertionError("nobody waited for the lock")
