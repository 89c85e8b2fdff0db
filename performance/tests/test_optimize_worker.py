"""Putting the database in order with a real worker and beat on a real Redis, also when the worker is killed."""

import os
import signal
from typing import Any

import pytest
from django.db import connection

from conftest import Cast
from followups.tests.conftest import Workers, inbox, until, workers
from performance import optimize_plan
from performance.models import Optimization
from performance.tests.standing import drop, in_order, standing

__all__ = ["in_order", "inbox", "workers"]

# Starting Celery takes some seconds on a small machine, so these tests may take longer than a second each.
pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.worker]
DUE = "idx_lead_cre_due"


def asked(cast: Cast) -> Optimization:
    drop(DUE)
    job = optimize_plan.ask(cast.meera, "")
    assert job is not None
    return job


def start(workers: Workers) -> Any:
    workers.start("beat", "--loglevel", "INFO", "--pidfile", "")
    return workers.start("worker", "--concurrency", "2", "--loglevel", "INFO")


def test_a_worker_takes_the_request_and_makes_the_index(in_order: dict[str, Any], cast: Cast, workers: Workers) -> None:
    job = asked(cast)
    start(workers)

    def done() -> bool:
        job.refresh_from_db()
        return job.is_finished

    until(done, "the request is carried out")
    assert (job.state, {step["state"] for step in job.steps}) == ("done", {"done"})
    assert standing() == in_order


def test_a_worker_that_is_killed_is_told_of_by_the_next_one(
    in_order: dict[str, Any], cast: Cast, workers: Workers
) -> None:
    job = asked(cast)
    other = connection.copy()
    try:
        # The build waits for this transaction, so that the worker dies in the midst of it.
        other.set_autocommit(False)
        with other.cursor() as cursor:
            cursor.execute("LOCK TABLE lead_master IN ROW EXCLUSIVE MODE")
        first = start(workers)

        def building() -> bool:
            job.refresh_from_db()
            return optimize_plan.progress(job) is not None

        until(building, "the index is being built")
        os.killpg(first.pid, signal.SIGKILL)
        first.wait(5)
        workers.start("worker", "--concurrency", "2", "--loglevel", "INFO")
        # PostgreSQL does not know yet that nobody listens: it is still at it, and so says the request.
        job.refresh_from_db()
        assert job.state == "running"
    finally:
        other.close()

    def ended() -> bool:
        job.refresh_from_db()
        return job.is_finished

    until(ended, "the end of the worker is noticed")
    assert (job.state, job.message) == ("failed", "The worker ended before it was done.")
    assert job.steps[0]["error"] == "PostgreSQL finished it after the worker had ended."
    assert standing() == in_order
