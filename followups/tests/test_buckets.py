"""Every open lead stands in exactly one bucket of the day, and a day ends at the dealer's midnight."""

from datetime import UTC, datetime, timedelta
from itertools import product

import pytest
from django.db.models import Q
from django.utils import timezone
from hypothesis import given
from hypothesis import strategies as st

from conftest import Cast
from followups import buckets
from followups.catalogue import BY_CODE, CALL_BACK, CODES, FRESH, OUTCOMES, FinalStatus
from leads.models import LeadMaster
from leads.tests.factories import make_lead

NOW = datetime(2026, 11, 20, 9, 30, tzinfo=UTC)
OF_OPEN = {
    "untouched": buckets.UNTOUCHED,
    "called": buckets.CALLED,
    "call back": buckets.CALL_BACK,
    "pending": buckets.PENDING,
}
ALL = {**OF_OPEN, "won": buckets.WON, "lost": buckets.LOST}


def closed(code: str) -> dict[str, object]:
    final = BY_CODE[code].implies
    if final == FinalStatus.WON:
        return {"final_status": final.value, "won_at": NOW}
    return {"final_status": final.value, "lost_at": NOW, "lost_reason": code}


@pytest.fixture
def every_kind(cast: Cast) -> list[LeadMaster]:
    """A lead of every status, qualified or not, with a PS or not, due or not, where constraints allow it."""
    leads = []
    for outcome, called, with_ps, due in product(OUTCOMES, (None, NOW), (False, True), (None, NOW)):
        if not outcome.closes and called is None and outcome.code not in FRESH:
            continue
        if outcome.code == CALL_BACK and due is None:
            continue
        fields: dict[str, object] = {"lead_status": outcome.code, "first_call_at": called}
        fields |= closed(outcome.code) if outcome.closes else {"follow_up_at": due}
        if with_ps:
            fields |= {"ps": cast.kiran, "ps_assigned_at": NOW, "branch": cast.attapur}
        leads.append(make_lead(cast.asha, **fields))
    return leads


def holding(condition: Q) -> set[int]:
    return set(LeadMaster.objects.filter(condition).values_list("pk", flat=True))


def test_every_lead_is_in_exactly_one_bucket(every_kind: list[LeadMaster]) -> None:
    assert {lead.lead_status for lead in every_kind} == set(CODES)
    buckets_of = {lead.pk: [name for name, rows in held().items() if lead.pk in rows] for lead in every_kind}
    assert {pk: names for pk, names in buckets_of.items() if len(names) != 1} == {}


def held() -> dict[str, set[int]]:
    return {name: holding(condition) for name, condition in ALL.items()}


def test_each_bucket_holds_what_its_name_says(every_kind: list[LeadMaster]) -> None:
    rows = held()
    for lead in every_kind:
        if lead.final_status != FinalStatus.PENDING:
            expected = lead.final_status.lower()
        elif lead.first_call_at:
            expected = "pending"
        else:
            expected = {"Pending": "untouched", "Call me Back": "call back"}.get(lead.lead_status, "called")
        assert lead.pk in rows[expected]


def test_the_overlapping_buckets_hold_open_leads_only(every_kind: list[LeadMaster]) -> None:
    open_leads = {lead.pk for lead in every_kind if lead.final_status == FinalStatus.PENDING}
    due = {lead.pk for lead in every_kind if lead.follow_up_at}
    with_ps = {lead.pk for lead in every_kind if lead.ps_id}
    assert holding(buckets.OPEN) == open_leads
    assert holding(buckets.FRESH) == open_leads - holding(buckets.PENDING)
    assert holding(buckets.WITH_PS) == open_leads & with_ps
    assert holding(buckets.today(NOW)) == holding(buckets.overdue(NOW + timedelta(seconds=1))) == due


def test_a_follow_up_is_overdue_once_its_time_has_passed_and_todays_until_midnight(cast: Cast) -> None:
    lead = make_lead(cast.asha, follow_up_at=NOW)
    assert lead.pk not in holding(buckets.overdue(NOW))
    assert lead.pk in holding(buckets.overdue(NOW + timedelta(microseconds=1)))
    ends = buckets.day_ends(NOW)
    LeadMaster.objects.filter(pk=lead.pk).update(follow_up_at=ends)
    assert lead.pk not in holding(buckets.today(NOW))
    assert lead.pk in holding(buckets.today(ends))


@pytest.mark.parametrize(
    ("now", "ends"),
    [
        ("2026-11-20T18:29:59.999999+00:00", "2026-11-20T18:30:00+00:00"),
        ("2026-11-20T18:30:00+00:00", "2026-11-21T18:30:00+00:00"),
        ("2026-11-20T18:30:00.000001+00:00", "2026-11-21T18:30:00+00:00"),
        ("2026-11-20T00:00:00+00:00", "2026-11-20T18:30:00+00:00"),
        ("2026-12-31T18:30:00+00:00", "2027-01-01T18:30:00+00:00"),
        ("2028-02-28T18:30:00+00:00", "2028-02-29T18:30:00+00:00"),
    ],
)
def test_the_dealers_day_ends_at_half_past_six_in_the_evening_utc(now: str, ends: str) -> None:
    assert buckets.day_ends(datetime.fromisoformat(now)) == datetime.fromisoformat(ends)


@given(st.datetimes(min_value=datetime(2000, 1, 1), max_value=datetime(2099, 1, 1), timezones=st.just(UTC)))  # noqa: DTZ001
def test_days_follow_one_another_without_gap_or_overlap(now: datetime) -> None:
    ends = buckets.day_ends(now)
    assert timedelta(0) < ends - now <= timedelta(days=1)
    assert buckets.day_ends(ends) - ends == timedelta(days=1)
    assert timezone.localtime(ends).time().isoformat() == "00:00:00"
