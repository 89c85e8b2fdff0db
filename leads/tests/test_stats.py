"""The statistics of leads are what a slow count by hand gives, for whoever is asked about, in one indexed statement."""

import io
import itertools
import random
from datetime import timedelta
from statistics import fmean, median
from typing import Any

import pytest
from django.core.management import call_command
from django.db import connection
from django.test.utils import CaptureQueriesContext

from conftest import Cast
from followups import periods
from followups.periods import Period
from leads.models import LeadMaster
from leads.stats import LeadStats, get_lead_stats
from leads.tests.factories import make_lead
from leads.tests.test_figures import DAY, HOUR, NOW, came_in, lost, random_lead, read, won

pytestmark = pytest.mark.django_db


ANYBODY: dict[str, Any] = {"cre": None, "ps": None, "branch": None}


def hours(times: list[timedelta]) -> list[float]:
    return [time / HOUR for time in times]


def by_hand(leads: list[LeadMaster]) -> LeadStats:
    """The slow count."""
    called = hours([lead.first_attempt_at - lead.created_at for lead in leads if lead.first_attempt_at])
    closed = hours([lead.closed_at - lead.created_at for lead in leads if lead.closed_at])
    return LeadStats(
        assigned=len(leads),
        contacted=sum(lead.first_call_at is not None for lead in leads),
        won=sum(lead.final_status == "Won" for lead in leads),
        lost=sum(lead.final_status == "Lost" for lead in leads),
        pending=sum(lead.final_status == "Pending" for lead in leads),
        average_hours_to_first_call=fmean(called) if called else None,
        median_hours_to_first_call=median(called) if called else None,
        average_hours_to_close=fmean(closed) if closed else None,
        median_hours_to_close=median(closed) if closed else None,
    )


def same(one: LeadStats, other: LeadStats) -> bool:
    """But for what PostgreSQL rounds off in a duration."""
    return all(
        getattr(one, name) == pytest.approx(getattr(other, name), abs=1e-6)
        for name in (*LeadStats.__annotations__, "assigned", "contacted", "won", "lost")
    )


PERIODS = [
    read(period=periods.TODAY),
    read(period=periods.MONTH),
    read(period=periods.LAST_MONTH),
    read(from_="2026-07-20", to="2026-08-12"),
    read(from_="2000-01-01", to="2099-12-31"),
]


@pytest.mark.parametrize("seed", range(3))
def test_the_statistics_are_those_of_a_slow_count(cast: Cast, seed: int) -> None:
    chance = random.Random(seed)
    for _ in range(120):
        lead = random_lead(chance.choice([cast.asha, cast.asha, cast.ravi]), chance)
        ps = chance.choice([None, cast.kiran, cast.latha, cast.sunil])
        if ps:
            given = {"ps": ps, "branch": ps.branch, "ps_assigned_at": lead.created_at}
            LeadMaster.objects.filter(pk=lead.pk).update(**given)
    rows = list(LeadMaster.objects.all())
    whose: list[dict[str, Any]] = [
        dict(zip(("cre", "ps", "branch"), chosen, strict=True))
        for chosen in itertools.product([None, cast.asha], [None, cast.kiran], [None, cast.attapur, cast.malakpet])
    ]
    for asked, period in itertools.product(whose, PERIODS):
        wanted = [
            lead
            for lead in came_in(rows, period)
            if all(person is None or getattr(lead, f"{name}_id") == person.pk for name, person in asked.items())
        ]
        found = get_lead_stats(**{**ANYBODY, **asked}, period=period)
        assert same(found, by_hand(wanted))
        assert found.total == found.pending + found.won + found.lost == len(wanted)


def test_conversion_is_won_of_all_that_came_in(cast: Cast) -> None:
    for closed in (won(NOW), won(NOW), lost(NOW), {}):
        make_lead(cast.asha, created_at=NOW - DAY, **closed)
    found = get_lead_stats(cast.asha, None, None, read(period=periods.MONTH))
    assert (found.total, found.won, found.conversion) == (4, 2, 50.0)


def test_a_time_without_leads_has_no_hours_and_no_conversion(cast: Cast) -> None:
    make_lead(cast.asha, created_at=NOW)
    found = get_lead_stats(cast.ravi, None, None, read(period=periods.MONTH))
    assert found == LeadStats() == by_hand([])
    assert found.conversion is None


def test_a_call_that_was_not_answered_is_a_first_call_too(cast: Cast) -> None:
    make_lead(cast.asha, created_at=NOW - DAY, first_attempt_at=NOW - DAY + 3 * HOUR, lead_status="RNR")
    assert get_lead_stats(None, None, None, read(period=periods.MONTH)).median_hours_to_first_call == 3.0


def test_it_is_one_statement(cast: Cast) -> None:
    period: Period = read(period=periods.MONTH)
    with CaptureQueriesContext(connection) as asked:
        get_lead_stats(cast.asha, cast.kiran, cast.attapur, period)
    assert len(asked) == 1


@pytest.mark.usefixtures("pairs")
def test_it_starts_from_an_index_on_when_leads_came_in() -> None:
    call_command("load_leads", count=3000, verbosity=0, stdout=io.StringIO())
    with connection.cursor() as cursor:
        cursor.execute("ANALYZE lead_master")
    newest = LeadMaster.objects.filter(cre__isnull=False, ps__isnull=False).latest("created_at")
    months: Any = periods.read({"period": periods.MONTH}, newest.created_at)
    whose: dict[str, dict[str, Any]] = {
        "idx_lead_master_cre_name": {"cre": newest.cre},
        "idx_lead_master_ps_name": {"ps": newest.ps},
        "idx_lead_branch_created": {"branch": newest.branch},
        "idx_lead_created": {},
    }
    for index, person in whose.items():
        assert index in plan(**person, period=months), index


def plan(**asked: Any) -> str:
    with CaptureQueriesContext(connection) as captured:
        get_lead_stats(**{**ANYBODY, **asked})
    with connection.cursor() as cursor:
        cursor.execute(f"EXPLAIN {captured[0]['sql']}")
        return "\n".join(row[0] for row in cursor.fetchall())
