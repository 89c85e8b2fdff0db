"""Each constraint of the desk's own records of its upkeep: what just fits, and what just does not."""

from typing import Any

import pytest
from django.utils import timezone

from accounts.tests.constraints import Case, declared, try_out
from conftest import Cast
from performance.models import Optimization
from performance.tests.standing import run

pytestmark = pytest.mark.django_db


def optimization(cast: Cast, **fields: Any) -> Optimization:
    ended_at = timezone.now() if fields.get("state") in ("done", "failed") else None
    return Optimization.objects.create(**{"asked_by": cast.meera, "ended_at": ended_at, **fields})


def of_any_state(cast: Cast, **fields: Any) -> Optimization:
    """Without the constraint that would speak up first."""
    run("SET CONSTRAINTS ALL IMMEDIATE")
    run("ALTER TABLE performance_optimization DROP CONSTRAINT IF EXISTS performance_optimization_ended")
    return optimization(cast, **fields)


CASES = [
    Case(
        "performance_optimization_state",
        of_any_state,
        fits=[{"state": "done"}, {"state": "failed"}, {"state": "running"}],
        breaks=[{"state": "paused"}],
    ),
    Case(
        "performance_optimization_one_at_a_time",
        optimization,
        fits=[{"state": "done"}, {"state": "done"}, {"state": "failed"}, {"state": "waiting"}],
        breaks=[{"state": "running"}, {"state": "waiting"}],
    ),
    Case(
        "performance_optimization_ended",
        optimization,
        fits=[{"state": "done"}, {"state": "waiting", "ended_at": None}],
        breaks=[{"state": "failed", "ended_at": None}],
    ),
    Case(
        "performance_optimization_ended",
        optimization,
        fits=[{"state": "failed"}],
        breaks=[{"state": "running", "ended_at": timezone.now()}],
    ),
]


@pytest.mark.parametrize("case", CASES, ids=str)
def test_a_row_that_just_fits_is_kept_and_one_that_just_does_not_is_refused(case: Case, cast: Cast) -> None:
    try_out(case, cast)


def test_every_constraint_of_performance_was_tried() -> None:
    assert {case.constraint for case in CASES} == set(declared("performance"))
