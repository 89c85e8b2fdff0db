"""The PS's figures are what a slow count by hand gives, of own leads only, and their page says them in words."""

import itertools
import random
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import time_machine
from django.core.cache import cache
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.utils import timezone
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from accounts.models import User
from conftest import Cast
from followups import periods
from followups.acceptance import ACCEPT_WITHIN
from followups.figures import Pair, Tally, Totals, _worked, places_in_branch, ps_figures
from followups.models import CallAttempt, PSFollowup
from followups.periods import Period
from followups.working_hours import worked
from leads.models import LeadMaster
from leads.tests.factories import make_lead
from leads.tests.test_figures import PAIRS, close, lost, middle, won, words

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("empty_cache")]

# A Tuesday afternoon, in working hours.
NOW = datetime(2026, 9, 22, 8, tzinfo=UTC)
MINUTE, HOUR, DAY = timedelta(minutes=1), timedelta(hours=1), timedelta(days=1)
numbers = itertools.count(1)


def read(**params: str) -> Period:
    period = periods.read({name.rstrip("_"): value for name, value in params.items()}, NOW)
    assert isinstance(period, Period)
    return period


def assign(lead: LeadMaster, ps: User, at: datetime, **fields: Any) -> PSFollowup:
    """The lead is given to `ps`; whoever had it has it no more."""
    assert ps.branch
    lead.followups.filter(closed_at__isnull=True).update(closed_at=at, final_status="Pending")
    LeadMaster.objects.filter(pk=lead.pk).update(ps=ps, branch=ps.branch, ps_assigned_at=at)
    return PSFollowup.objects.create(
        lead=lead, ps=ps, branch=ps.branch, assigned_by=ps, assigned_at=at, email_state="not needed", **fields
    )


def call(followup: PSFollowup, by: User, at: datetime, *, contacted: bool = False) -> None:
    CallAttempt.objects.create(
        lead=followup.lead,
        ps_followup=followup,
        role="ps" if by == followup.ps else "cre",
        by=by,
        call_no=1,
        attempt=next(numbers),
        lead_status="Interested" if contacted else "RNR",
        contacted=contacted,
        final_status_before="Pending",
        final_status_after="Pending",
        called_at=at,
        outbox_id=next(numbers),
    )


def random_lead(cast: Cast, chance: random.Random) -> None:
    """A lead that goes through one to three hands, and is called by some of them."""
    at = NOW - chance.random() * 80 * DAY
    source, sub_source = chance.choice(PAIRS)
    fields: dict[str, Any] = {"source": source, "sub_source": sub_source, "lead_category": chance.choice(["", "Hot"])}
    if chance.random() < 0.3:
        fields["test_drive_at"] = at + DAY
    lead = make_lead(cast.asha, created_at=at, **fields)
    for _ in range(chance.randint(1, 3)):
        at += chance.random() * 10 * DAY
        followup = assign(lead, chance.choice([cast.kiran, cast.kiran, cast.latha]), at)
        if chance.random() < 0.7:
            followup.accepted_at = at + chance.random() * 2 * HOUR
        if chance.random() < 0.5:
            followup.first_call_at = at + DAY
        followup.save()
        for caller in (followup.ps, followup.ps, cast.asha):
            if chance.random() < 0.6:
                call(followup, caller, at + chance.random() * 2 * DAY)
    closed = chance.choice([None, won(at + 3 * DAY), lost(at + 3 * DAY)])
    if closed:
        LeadMaster.objects.filter(pk=lead.pk).update(**closed)
        lead.followups.filter(closed_at__isnull=True).update(
            closed_at=at + 3 * DAY, final_status=closed["final_status"]
        )


def given_to(ps: User, period: Period) -> list[PSFollowup]:
    """The last assignment to `ps` of each lead that is theirs, if it falls into the period."""
    rows = PSFollowup.objects.filter(ps=ps, lead__ps=ps).select_related("lead").order_by("pk")
    last = {row.lead_id: row for row in rows}
    return [row for row in last.values() if period.since <= row.assigned_at < period.until]


def first_call(row: PSFollowup) -> datetime | None:
    calls = CallAttempt.objects.filter(ps_followup=row, by=row.ps).order_by("called_at")
    return calls[0].called_at if calls else None


def tally(rows: list[PSFollowup]) -> Tally:
    return Tally(
        assigned=len(rows),
        contacted=sum(row.first_call_at is not None for row in rows),
        won=sum(row.lead.final_status == "Won" for row in rows),
        lost=sum(row.lead.final_status == "Lost" for row in rows),
    )


def totals(rows: list[PSFollowup]) -> Totals:
    counted = tally(rows)
    open_now = [row for row in rows if row.lead.final_status == "Pending"]
    calls = {row.pk: first_call(row) for row in rows}
    times = [found - row.assigned_at for row in rows if (found := calls[row.pk])]
    in_time = [
        row for row in rows if row.accepted_at and worked(row.assigned_at, row.accepted_at) <= ACCEPT_WITHIN * MINUTE
    ]
    return Totals(
        counted.assigned,
        counted.contacted,
        counted.won,
        counted.lost,
        open=len(open_now),
        called=len(times),
        untouched=sum(calls[row.pk] is None for row in open_now),
        pending=sum(row.first_call_at is not None for row in open_now),
        accepted=len(in_time),
        drives=sum(row.lead.test_drive_at is not None for row in rows),
        to_first_call=middle(times),
    )


# --- The numbers ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("seed", range(3))
def test_the_figures_are_those_of_a_slow_count(cast: Cast, seed: int) -> None:
    chance = random.Random(seed)
    for _ in range(60):
        random_lead(cast, chance)
    asked = [
        read(period=periods.MONTH),
        read(period=periods.LAST_MONTH),
        read(from_="2026-07-20", to="2026-08-12"),
        read(from_="2000-01-01", to="2099-12-31"),
    ]
    for period in asked:
        before = periods.before(period, NOW)
        figures, rows = ps_figures(cast.kiran, period, before), given_to(cast.kiran, period)
        assert close(figures.now, totals(rows))
        assert close(figures.before, totals(given_to(cast.kiran, before)))
        assert figures.now.assigned == figures.now.open + figures.now.won + figures.now.lost
        assert figures.by_pair == {
            pair: tally([row for row in rows if (row.lead.source, row.lead.sub_source) == pair])
            for pair in {Pair(row.lead.source, row.lead.sub_source) for row in rows}
        }
        assert figures.by_category == {
            category: tally([row for row in rows if row.lead.lead_category == category])
            for category in {row.lead.lead_category for row in rows}
        }
        assert figures.by_day == {
            day: tally([row for row in rows if timezone.localdate(row.assigned_at) == day])
            for day in {timezone.localdate(row.assigned_at) for row in rows}
        }


def count(ps: User, period: Period) -> Totals:
    return ps_figures(ps, period, periods.before(period, NOW)).now


def test_a_lead_counts_for_who_has_it_and_once(cast: Cast) -> None:
    lead = make_lead(cast.asha, created_at=NOW - 9 * DAY)
    month = read(period=periods.MONTH)
    assign(lead, cast.kiran, NOW - 5 * DAY)
    assert (count(cast.kiran, month).assigned, count(cast.latha, month).assigned) == (1, 0)
    assign(lead, cast.latha, NOW - 4 * DAY)
    assert (count(cast.kiran, month).assigned, count(cast.latha, month).assigned) == (0, 1)
    assign(lead, cast.kiran, NOW - 3 * DAY)
    assert (count(cast.kiran, month).assigned, count(cast.latha, month).assigned) == (1, 0)
    assert count(cast.kiran, read(from_="2026-09-17", to="2026-09-17")).assigned == 0
    assert count(cast.kiran, read(from_="2026-09-19", to="2026-09-19")).assigned == 1


def test_a_call_of_the_cre_leaves_the_lead_untouched_by_the_ps(cast: Cast) -> None:
    followup = assign(make_lead(cast.asha, created_at=NOW - 2 * DAY), cast.kiran, NOW - DAY)
    call(followup, cast.asha, NOW - 2 * HOUR)
    month = read(period=periods.MONTH)
    assert (count(cast.kiran, month).untouched, count(cast.kiran, month).to_first_call) == (1, None)
    call(followup, cast.kiran, NOW - HOUR)
    assert (count(cast.kiran, month).untouched, count(cast.kiran, month).to_first_call) == (0, DAY - HOUR)


@pytest.mark.parametrize(
    ("at", "day"),
    [
        (datetime(2026, 9, 5, 18, 29, 59, tzinfo=UTC), "2026-09-05"),
        (datetime(2026, 9, 5, 18, 30, tzinfo=UTC), "2026-09-06"),
        (datetime(2026, 8, 31, 18, 29, 59, tzinfo=UTC), "2026-08-31"),
        (datetime(2026, 8, 31, 18, 30, tzinfo=UTC), "2026-09-01"),
    ],
)
def test_an_assignment_counts_on_the_dealers_day(cast: Cast, at: datetime, day: str) -> None:
    assign(make_lead(cast.asha, created_at=at - DAY), cast.kiran, at)
    assert count(cast.kiran, read(from_=day, to=day)).assigned == 1
    assert count(cast.kiran, read(from_="2026-08-01", to=day)).assigned == 1
    day_after = (datetime.fromisoformat(day) + DAY).date().isoformat()
    assert count(cast.kiran, read(from_=day_after, to="2026-12-31")).assigned == 0


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None, max_examples=60)
@given(
    since=st.timedeltas(timedelta(0), 700 * DAY).map(lambda passed: NOW - passed),
    passed=st.timedeltas(timedelta(0), 5 * DAY),
)
def test_working_time_is_the_same_in_sql(db: None, cast: Cast, since: datetime, passed: timedelta) -> None:
    lead = LeadMaster.objects.first() or make_lead(cast.asha)
    PSFollowup.objects.all().delete()
    assign(lead, cast.kiran, since, accepted_at=since + passed)
    counted = PSFollowup.objects.values_list(_worked("assigned_at", "accepted_at"), flat=True).get()
    assert counted == worked(since, since + passed)


def test_accepted_in_time_is_measured_in_working_time(cast: Cast) -> None:
    evening = datetime(2026, 9, 21, 19, 20, tzinfo=timezone.get_default_timezone())
    for minutes, counted in [(20, 1), (21, 1)]:
        accepted = datetime(2026, 9, 22, 9, 30 + minutes, tzinfo=timezone.get_default_timezone())
        assign(make_lead(cast.asha, created_at=evening), cast.kiran, evening, accepted_at=accepted)
        assert count(cast.kiran, read(period=periods.MONTH)).accepted == counted


def test_the_places_are_those_of_the_branch(cast: Cast) -> None:
    for ps, number in ((cast.kiran, 1), (cast.latha, 2), (cast.sunil, 3)):
        for _ in range(number):
            at = {"ps_assigned_at": NOW - 40 * DAY, "created_at": NOW - 40 * DAY}
            make_lead(cast.asha, ps=ps, branch=ps.branch, **at, **won(NOW))
    found = places_in_branch(cast.kiran, read(period=periods.MONTH))
    assert [(place.number, place.name, place.won, place.own) for place in found] == [
        (1, "Latha", 2, False),
        (2, "Kiran", 1, True),
    ]
    assert [place.name for place in places_in_branch(cast.sunil, read(period=periods.MONTH))] == ["Sunil"]


# --- The page -------------------------------------------------------------------------------------------------


def page(client: Client, person: User, **query: str) -> Any:
    client.force_login(person)
    return client.get("/ps_analytics", {name.rstrip("_"): value for name, value in query.items()})


def test_the_page_says_the_figures_and_those_of_the_time_before(cast: Cast, client: Client) -> None:
    with time_machine.travel(NOW, tick=False):
        mine = assign(make_lead(cast.asha), cast.kiran, NOW - DAY, accepted_at=NOW - DAY + 10 * MINUTE)
        call(mine, cast.kiran, NOW - DAY + 45 * MINUTE)
        assign(make_lead(cast.asha, test_drive_at=NOW), cast.kiran, NOW - HOUR)
        assign(make_lead(cast.asha), cast.kiran, NOW - 32 * DAY)
        response = page(client, cast.kiran)
    assert response.status_code == 200
    assert {tile.name: (tile.value, tile.before, tile.note) for tile in response.context["tiles"]} == {
        "Assigned": ("2", "1", ""),
        "Accepted in time": ("1", "0", "within 30 working minutes"),
        "Untouched": ("1", "1", "not called by you yet"),
        "Contacted": ("0", "0", ""),
        "Won": ("0", "0", ""),
        "Lost": ("0", "0", ""),
        "Open": ("2", "1", "0 of them pending"),
        "Conversion": ("0.0 %", "0.0 %", ""),
        "Test drives": ("1", "0", ""),
        "Time to first call": ("45 min", "–", ""),
    }
    assert "Top five of ATTAPUR" in words(response)


def test_a_page_without_leads_says_what_to_do(cast: Cast, client: Client) -> None:
    response = page(client, cast.kiran)
    assert response.status_code == 200
    assert "No lead was given to you in these days." in words(response)


def test_a_bad_range_is_told_at_its_field_and_kept(cast: Cast, client: Client) -> None:
    response = page(client, cast.kiran, from_="yesterday", to="2026-09-01")
    assert response.status_code == 422
    assert 'id="days-from-error">Write the day as 2026-01-31.</p>' in words(response)
    assert 'value="yesterday"' in words(response)


def test_only_a_ps_has_this_page(cast: Cast, client: Client) -> None:
    assert client.get("/ps_analytics").status_code == 302
    for person in (cast.asha, cast.head, cast.reception, cast.meera):
        assert page(client, person).status_code == 403


def test_the_page_costs_the_same_with_two_leads_and_with_fifty(cast: Cast, client: Client) -> None:
    chance = random.Random(1)

    def statements() -> int:
        cache.clear()
        client.force_login(cast.kiran)
        with CaptureQueriesContext(connection) as asked:
            assert client.get("/ps_analytics", {"from": "2026-01-01", "to": "2026-12-31"}).status_code == 200
        return sum("lead_master" in query["sql"] for query in asked)

    for _ in range(2):
        random_lead(cast, chance)
    few = statements()
    for _ in range(50):
        random_lead(cast, chance)
    assert few == statements() == 2
