"""The CRE's figures are what a slow count by hand gives, of own leads only, and their page says them in words."""

import random
from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from statistics import median
from typing import Any

import pytest
import time_machine
from django.core.cache import cache
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from accounts.models import Role, User
from conftest import Cast
from followups import periods
from followups.figures import Pair, Tally, Totals
from followups.periods import Period
from leads.figures import cre_figures, places_in_team
from leads.models import LeadMaster
from leads.tests.factories import make_lead

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("empty_cache")]

NOW = datetime(2026, 9, 22, 8, tzinfo=UTC)
HOUR, DAY = timedelta(hours=1), timedelta(days=1)
PAIRS = [("META", "Meta Know"), ("OEM", "Web"), ("OEM", "Tele"), ("GOOGLE", "Google Know")]


def read(now: datetime = NOW, **params: str) -> Period:
    period = periods.read({name.rstrip("_"): value for name, value in params.items()}, now)
    assert isinstance(period, Period)
    return period


def won(at: datetime) -> dict[str, Any]:
    return {
        "lead_status": "Booked",
        "final_status": "Won",
        "won_at": at,
        "first_call_at": at,
        "last_attempt_at": at,
    }


def lost(at: datetime) -> dict[str, Any]:
    closed = {"lead_status": "Not Interested", "final_status": "Lost", "lost_at": at, "lost_reason": "Not Interested"}
    return {**closed, "first_call_at": at, "last_attempt_at": at}


def stands(at: datetime, chance: random.Random) -> dict[str, Any]:
    """How a lead that came in at `at` may stand now."""
    later = at + chance.random() * 20 * DAY
    return chance.choice(
        [
            {},
            {"lead_status": "RNR", "last_attempt_at": later},
            {"lead_status": "Interested", "last_attempt_at": later, "first_call_at": later},
            won(later),
            lost(later),
        ]
    )


def random_lead(cre: User, chance: random.Random) -> LeadMaster:
    at = NOW - chance.random() * 80 * DAY
    source, sub_source = chance.choice(PAIRS)
    state = stands(at, chance)
    called = state and chance.random() < 0.9
    return make_lead(
        cre,
        created_at=at,
        source=source,
        sub_source=sub_source,
        lead_category=chance.choice(["", "Hot", "Warm", "Cold"]),
        first_attempt_at=at + chance.random() * 5 * HOUR if called else None,
        **state,
    )


def middle(times: list[timedelta]) -> timedelta | None:
    return timedelta(seconds=median(time.total_seconds() for time in times)) if times else None


def tally(leads: Iterable[LeadMaster]) -> Tally:
    rows = list(leads)
    return Tally(
        assigned=len(rows),
        contacted=sum(lead.first_call_at is not None for lead in rows),
        won=sum(lead.final_status == "Won" for lead in rows),
        lost=sum(lead.final_status == "Lost" for lead in rows),
    )


def totals(leads: Iterable[LeadMaster]) -> Totals:
    rows = list(leads)
    counted = tally(rows)
    open_now = [lead for lead in rows if lead.final_status == "Pending"]
    times = [lead.first_attempt_at - lead.created_at for lead in rows if lead.first_attempt_at]
    return Totals(
        counted.assigned,
        counted.contacted,
        counted.won,
        counted.lost,
        open=len(open_now),
        called=len(times),
        untouched=sum(lead.first_attempt_at is None for lead in open_now),
        to_first_call=middle(times),
    )


def came_in(leads: Iterable[LeadMaster], period: Period) -> list[LeadMaster]:
    return [lead for lead in leads if period.since <= lead.created_at < period.until]


def close(one: Totals, other: Totals) -> bool:
    """The same but for what PostgreSQL rounds off between two durations."""
    apart = abs((one.to_first_call or timedelta(0)) - (other.to_first_call or timedelta(0)))
    known = (one.to_first_call is None) == (other.to_first_call is None)
    return known and apart < timedelta(milliseconds=1) and _counts(one) == _counts(other)


def _counts(found: Totals) -> list[int]:
    return [getattr(found, name) for name in Totals.__annotations__ | Tally.__annotations__ if name != "to_first_call"]


# --- The numbers ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("seed", range(4))
def test_the_figures_are_those_of_a_slow_count(cast: Cast, seed: int) -> None:
    chance = random.Random(seed)
    for _ in range(90):
        random_lead(chance.choice([cast.asha, cast.asha, cast.ravi]), chance)
    mine = list(LeadMaster.objects.filter(cre=cast.asha))
    asked = [
        read(period=periods.WEEK),
        read(period=periods.MONTH),
        read(period=periods.LAST_MONTH),
        read(from_="2026-07-20", to="2026-08-12"),
        read(from_="2000-01-01", to="2099-12-31"),
    ]
    for period in asked:
        before = periods.before(period, NOW)
        figures, rows = cre_figures(cast.asha, period, before), came_in(mine, period)
        assert close(figures.now, totals(rows))
        assert close(figures.before, totals(came_in(mine, before)))
        assert figures.by_pair == {
            pair: tally(lead for lead in rows if (lead.source, lead.sub_source) == pair)
            for pair in {Pair(lead.source, lead.sub_source) for lead in rows}
        }
        assert figures.by_category == {
            category: tally(lead for lead in rows if lead.lead_category == category)
            for category in {lead.lead_category for lead in rows}
        }
        assert figures.by_day == {
            day: tally(lead for lead in rows if timezone.localdate(lead.created_at) == day)
            for day in {timezone.localdate(lead.created_at) for lead in rows}
        }


def test_somebody_elses_leads_are_never_counted(cast: Cast) -> None:
    make_lead(cast.ravi, created_at=NOW, **won(NOW))
    make_lead(None, created_at=NOW)
    period = read(period=periods.MONTH)
    assert cre_figures(cast.asha, period, periods.before(period, NOW)).now == Totals()


@pytest.mark.parametrize(
    ("at", "day"),
    [
        (datetime(2026, 9, 5, 18, 29, 59, tzinfo=UTC), "2026-09-05"),
        (datetime(2026, 9, 5, 18, 30, tzinfo=UTC), "2026-09-06"),
        (datetime(2026, 8, 31, 18, 29, 59, tzinfo=UTC), "2026-08-31"),
        (datetime(2026, 8, 31, 18, 30, tzinfo=UTC), "2026-09-01"),
    ],
)
def test_a_lead_counts_on_the_dealers_day(cast: Cast, at: datetime, day: str) -> None:
    make_lead(cast.asha, created_at=at)
    before, after = ((datetime.fromisoformat(day) + step * DAY).date().isoformat() for step in (-1, 1))
    for first, last, counted in [
        (day, day, 1),
        (before, day, 1),
        (day, after, 1),
        (after, after, 0),
        (before, before, 0),
    ]:
        period = read(from_=first, to=last)
        figures = cre_figures(cast.asha, period, periods.before(period, NOW))
        assert figures.now.assigned == counted
        assert [found.isoformat() for found in figures.by_day] == [day] * counted


def test_without_leads_there_is_nothing_to_divide() -> None:
    assert Tally().conversion is None
    assert Tally(assigned=8, won=1).conversion == 12.5


# --- The team's top five --------------------------------------------------------------------------------------


def team(cast: Cast, *wins: int, at: datetime = NOW) -> list[User]:
    """As many CREs as numbers, with so many leads won."""
    people = []
    for index, number in enumerate(wins):
        person = User.objects.create_user(f"cre-{index}", name=f"Person {index}", role=Role.CRE)
        people.append(person)
        for _ in range(number):
            make_lead(person, created_at=at - 90 * DAY, **won(at))
    return people


def test_the_top_five_are_in_order_and_equals_share_a_place(cast: Cast) -> None:
    people = team(cast, 1, 3, 2, 3, 1, 2)
    found = places_in_team(people[1], read(period=periods.MONTH))
    assert [(place.number, place.name, place.won, place.own) for place in found] == [
        (1, "Person 1", 3, True),
        (1, "Person 3", 3, False),
        (3, "Person 2", 2, False),
        (3, "Person 5", 2, False),
        (5, "Person 0", 1, False),
    ]


def test_who_is_further_down_sees_their_own_place_besides(cast: Cast) -> None:
    people = team(cast, 6, 5, 4, 3, 3, 2, 1)
    found = places_in_team(people[6], read(period=periods.MONTH))
    assert [(place.number, place.own) for place in found] == [(1, 0), (2, 0), (3, 0), (4, 0), (4, 0), (7, 1)]


def test_only_leads_won_in_the_period_by_active_cres_count(cast: Cast) -> None:
    gone = team(cast, 1)[0]
    User.objects.filter(pk=gone.pk).update(is_active=False)
    period = read(period=periods.MONTH)
    for at in (period.since - timedelta(microseconds=1), period.since, period.until - timedelta(microseconds=1)):
        make_lead(cast.asha, created_at=at - DAY, **won(at))
    make_lead(cast.asha, **lost(NOW))
    assert [(place.name, place.won) for place in places_in_team(cast.ravi, period)] == [("Asha", 2)]


def test_the_top_five_are_kept_for_five_minutes(cast: Cast, django_assert_num_queries: Any) -> None:
    period = read(period=periods.MONTH)
    make_lead(cast.asha, **won(NOW))
    first = places_in_team(cast.asha, period)
    make_lead(cast.ravi, **won(NOW))
    with django_assert_num_queries(0):
        again = places_in_team(cast.asha, period)
        assert [place.own for place in places_in_team(cast.ravi, period)] == [False]
    assert again == first
    for other in (read(period=periods.TODAY), read(from_="2026-09-01", to="2026-09-22")):
        assert len(places_in_team(cast.asha, other)) == 2
    cache.clear()
    assert len(places_in_team(cast.asha, period)) == 2


def test_without_a_cache_the_top_five_are_counted_each_time(cast: Cast, settings: Any) -> None:
    settings.CACHES = {
        "default": {**settings.CACHES["default"], "LOCATION": "redis://127.0.0.1:1/0"},
    }
    make_lead(cast.asha, **won(NOW))
    for _ in range(2):
        assert [place.won for place in places_in_team(cast.asha, read(period=periods.MONTH))] == [1]


# --- The page -------------------------------------------------------------------------------------------------


def page(client: Client, person: User, **query: str) -> Any:
    client.force_login(person)
    return client.get("/cre_analytics", {name.rstrip("_"): value for name, value in query.items()})


def words(response: Any) -> str:
    return " ".join(response.content.decode().split())


def test_the_page_says_the_figures_and_those_of_the_time_before(cast: Cast, client: Client) -> None:
    with time_machine.travel(NOW, tick=False):
        for days in (1, 2, 3):
            make_lead(cast.asha, created_at=NOW - days * DAY, first_attempt_at=NOW - days * DAY + 2 * HOUR)
        make_lead(cast.asha, created_at=NOW - 2 * HOUR, **won(NOW), first_attempt_at=NOW)
        make_lead(cast.asha, created_at=NOW - HOUR)
        make_lead(cast.asha, created_at=NOW - 32 * DAY, source="OEM", sub_source="Web")
        response = page(client, cast.asha)
    assert response.status_code == 200
    assert {tile.name: (tile.value, tile.before, tile.note) for tile in response.context["tiles"]} == {
        "Assigned": ("5", "1", ""),
        "Contacted": ("1", "0", ""),
        "Won": ("1", "0", ""),
        "Lost": ("0", "0", ""),
        "Open": ("4", "1", ""),
        "Conversion": ("20.0 %", "0.0 %", ""),
        "Time to first call": ("2 h 0 min", "–", "1 waiting for it"),
    }
    said = words(response)
    assert "before: 0.0 %" in said
    assert "The same for last month, up to the same time." in said
    assert "META · Meta Know" in said
    assert "OEM" not in said


def test_a_page_without_leads_says_what_to_do(cast: Cast, client: Client) -> None:
    response = page(client, cast.asha)
    assert response.status_code == 200
    assert "No lead of yours came in in these days." in words(response)
    assert "Nobody has won a lead in these days yet." in words(response)


def test_a_bad_range_is_told_at_its_field_and_kept(cast: Cast, client: Client) -> None:
    response = page(client, cast.asha, period="range", from_="2026-09-05", to="2026-09-01")
    assert response.status_code == 422
    said = words(response)
    assert 'id="days-to-error">The last day is before the first, 5 Sep 2026.</p>' in said
    assert 'value="2026-09-05"' in said
    assert 'value="2026-09-01"' in said
    assert "Conversion" not in said
    assert "Choose one of the periods." in words(page(client, cast.asha, period="<b>"))


def test_only_a_cre_has_this_page(cast: Cast, client: Client) -> None:
    assert client.get("/cre_analytics").status_code == 302
    for person in (cast.kiran, cast.head, cast.reception, cast.meera):
        assert page(client, person).status_code == 403


def test_the_page_costs_the_same_with_two_leads_and_with_fifty(cast: Cast, client: Client) -> None:
    chance = random.Random(1)

    def statements() -> list[str]:
        cache.clear()
        client.force_login(cast.asha)
        with CaptureQueriesContext(connection) as asked:
            assert client.get("/cre_analytics", {"from": "2026-01-01", "to": "2026-12-31"}).status_code == 200
        return [query["sql"] for query in asked if "lead_master" in query["sql"]]

    for _ in range(2):
        random_lead(cast.asha, chance)
    few = statements()
    for _ in range(50):
        random_lead(cast.asha, chance)
        random_lead(cast.ravi, chance)
    many = statements()
    assert len(few) == len(many) == 2
