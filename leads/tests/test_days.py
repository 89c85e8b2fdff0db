"""The dealer's day ends at midnight in India, 18:30 UTC: what is due today, what is late, and how pages say it."""

from datetime import UTC, date, datetime, timedelta

import pytest
import time_machine
from django.utils import timezone

from conftest import Cast
from followups.buckets import day_ends, overdue, today
from followups.catalogue import Moment
from followups.fields import MomentField, PastField
from followups.quick import quick_outcomes
from followups.spans import due
from followups.update_form import written
from followups.wording import clock_in_words, moment_in_words
from leads.models import LeadMaster
from leads.story import story
from leads.tests.factories import make_lead
from leads.tests.typed import captured, fresh, save, signed_in

pytestmark = pytest.mark.django_db
SECOND, MINUTE = timedelta(seconds=1), timedelta(minutes=1)

# One moment, and the day that the dealer has then.
CORNERS = {
    "the last minute of a day": (datetime(2026, 9, 15, 18, 29, tzinfo=UTC), date(2026, 9, 15)),
    "the first moment of the next": (datetime(2026, 9, 15, 18, 30, tzinfo=UTC), date(2026, 9, 16)),
    "the last minute of a month": (datetime(2026, 9, 30, 18, 29, 59, tzinfo=UTC), date(2026, 9, 30)),
    "the first moment of a month": (datetime(2026, 9, 30, 18, 30, tzinfo=UTC), date(2026, 10, 1)),
    "the last minute of a year": (datetime(2026, 12, 31, 18, 29, 59, tzinfo=UTC), date(2026, 12, 31)),
    "the first moment of a year": (datetime(2026, 12, 31, 18, 30, tzinfo=UTC), date(2027, 1, 1)),
    "the first UTC moment of a day": (datetime(2026, 9, 16, 0, 0, tzinfo=UTC), date(2026, 9, 16)),
    "a leap day that is none in UTC yet": (datetime(2028, 2, 28, 18, 30, tzinfo=UTC), date(2028, 2, 29)),
}
corners = pytest.mark.parametrize(("now", "day"), CORNERS.values(), ids=CORNERS)


def midnight(day: date) -> datetime:
    """The end of the dealer's day, worked out by hand: 18:30 of that date in UTC."""
    return datetime(day.year, day.month, day.day, 18, 30, tzinfo=UTC)


@corners
def test_the_day_ends_at_the_dealers_midnight(now: datetime, day: date) -> None:
    assert day_ends(now) == midnight(day)


@corners
def test_today_is_what_is_due_before_midnight_and_overdue_what_has_passed(cast: Cast, now: datetime, day: date) -> None:
    def at(moment: datetime) -> int:
        return make_lead(cast.asha, follow_up_at=moment).pk

    late, just_late = at(now - timedelta(days=3)), at(now - SECOND)
    exactly_now, last = at(now), at(midnight(day) - timedelta(microseconds=1))
    at(midnight(day))
    at(midnight(day) + timedelta(days=1))
    make_lead(cast.asha)
    with time_machine.travel(now, tick=False):
        moment = timezone.now()
        found = {
            name: set(LeadMaster.objects.filter(q).values_list("pk", flat=True))
            for name, q in [("today", today(moment)), ("overdue", overdue(moment))]
        }
    assert found == {"today": {late, just_late, exactly_now, last}, "overdue": {late, just_late}}


@corners
def test_pages_say_today_tomorrow_and_late_by_the_dealers_clock(now: datetime, day: date) -> None:
    tomorrow = midnight(day) + 10 * timedelta(hours=1)
    with time_machine.travel(now, tick=False):
        assert due(now - SECOND) == ("1 min late", "late")
        assert due(now - timedelta(hours=26)) == ("1 d late", "late")
        assert due(midnight(day)) == ("tomorrow 00:00", "")
        assert due(tomorrow) == ("tomorrow 10:00", "")
        assert due(tomorrow + timedelta(days=1)).words.endswith(", 10:00")
        assert clock_in_words(tomorrow, now) == "tomorrow at 10:00"
        assert clock_in_words(tomorrow + timedelta(days=1), now) == moment_in_words(tomorrow + timedelta(days=1))
        last = midnight(day) - MINUTE
        if last > now:
            assert due(last).tone == "soon"
            assert clock_in_words(last, now) == "at 23:59"


@corners
def test_a_time_is_written_without_its_year_in_the_dealers_year_only(now: datetime, day: date) -> None:
    with time_machine.travel(now, tick=False):
        assert moment_in_words(now).split(",")[0] == f"{day.day} {day:%b}"
        other = datetime(day.year - 1, 12, 31, 18, 29, tzinfo=UTC)
        assert moment_in_words(other) == f"31 Dec {day.year - 1}, 23:59"
        assert moment_in_words(other + MINUTE) == "1 Jan, 00:00"


@corners
def test_what_is_typed_is_the_dealers_time(cast: Cast, now: datetime, day: date) -> None:
    with time_machine.travel(now, tick=False):
        client = signed_in(cast.asha)
        lead = captured(cast)
        typed = f"{day + timedelta(days=1)}T00:00"
        response = save(client, lead, lead_status="Call me Back", follow_up_date=typed)
        assert response.status_code == 200, response.json()
        assert fresh(lead).follow_up_at == midnight(day)
        assert written(fresh(lead).follow_up_at) == typed
        assert datetime.fromisoformat(response.json()["follow_up_at"]) == midnight(day)
        assert not LeadMaster.objects.filter(today(timezone.now())).exists()
        said = f"Follow-up {moment_in_words(midnight(day))}."
        assert said in response.json()["message"]
        (event,) = [event for event in story(fresh(lead)).events if event.title == "CRE: Call me Back"]
        assert (event.at, event.follow_up_at) == (now, midnight(day))
        page = client.get(f"/update_lead/{lead.uid}").content.decode()
        assert moment_in_words(midnight(day)) in page
        assert "tomorrow 00:00" in page or "in " in page
    with time_machine.travel(midnight(day), tick=False):
        assert LeadMaster.objects.filter(today(timezone.now())).count() == 1
        assert not LeadMaster.objects.filter(overdue(timezone.now())).exists()
    with time_machine.travel(midnight(day) + SECOND, tick=False):
        assert LeadMaster.objects.filter(overdue(timezone.now())).count() == 1


@corners
def test_times_to_come_and_times_that_have_passed_are_told_apart_to_the_minute(now: datetime, day: date) -> None:
    coming, passed = MomentField(), PastField()
    with time_machine.travel(now, tick=False):
        this_minute = written(now)
        # The page knows minutes only: the minute that runs is neither past nor to come.
        assert coming.clean(this_minute)
        assert passed.clean(this_minute)
        for field, wrong in [(coming, now - 3 * MINUTE), (passed, now + 4 * MINUTE)]:
            with pytest.raises(Exception, match="This time"):
                field.clean(written(wrong))


@corners
def test_one_key_proposes_a_call_back_in_working_hours(now: datetime, day: date) -> None:
    with time_machine.travel(now, tick=False):
        button = next(button for button in quick_outcomes(Moment.CRE_FIRST, now) if button.code == "Call me Back")
        at = MomentField().clean(button.at)
    assert at is not None
    local = timezone.localtime(at)
    assert at > now
    assert (9, 30) <= (local.hour, local.minute) <= (19, 30)
    assert local.date() in {day, day + timedelta(days=1)}


def test_a_test_drive_is_told_on_the_dealers_day(cast: Cast) -> None:
    with time_machine.travel(datetime(2026, 9, 30, 19, 0, tzinfo=UTC), tick=False):
        client = signed_in(cast.asha)
        lead = captured(cast)
        assert save(client, lead, test_drive_at="2026-10-01T00:15").status_code == 200
        titles = [event.title for event in story(fresh(lead)).events]
    assert "Test drive done on 1 Oct, 00:15" in titles
    assert fresh(lead).test_drive_at == datetime(2026, 9, 30, 18, 45, tzinfo=UTC)
