"""Pictures and lines hold the numbers that they are drawn from, and say them in words."""

from datetime import UTC, date, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from followups import periods
from followups.charts import HEIGHT, MOST_DAYS, by_category, by_source, chart, in_words, percent
from followups.figures import Pair, Tally
from followups.periods import Period

NOW = datetime(2026, 9, 22, 8, tzinfo=UTC)
TODAY = date(2026, 9, 22)
DAY = timedelta(days=1)


def tallies() -> st.SearchStrategy[Tally]:
    numbers = st.integers(1, 5000).flatmap(lambda most: st.tuples(st.just(most), st.integers(0, most)))
    return numbers.map(lambda found: Tally(assigned=found[0], won=found[1]))


def read(first: date, last: date) -> Period:
    period = periods.read({"from": first.isoformat(), "to": last.isoformat()}, NOW)
    assert isinstance(period, Period)
    return period


@pytest.mark.parametrize(
    ("time", "words"),
    [
        (None, "–"),
        (timedelta(0), "under 1 min"),
        (timedelta(seconds=59.9), "under 1 min"),
        (timedelta(minutes=59, seconds=59), "59 min"),
        (timedelta(hours=2, minutes=5), "2 h 5 min"),
        (timedelta(days=4, hours=3, minutes=59), "4 d 3 h"),
    ],
)
def test_durations_are_said_in_words(time: timedelta | None, words: str) -> None:
    assert in_words(time) == words


def test_a_share_of_nothing_is_unknown() -> None:
    assert (percent(None), percent(0.0), percent(12.34)) == ("–", "0.0 %", "12.3 %")


@given(by_day=st.dictionaries(st.dates(date(2020, 1, 1), TODAY), tallies(), min_size=1), wider=st.integers(0, 400))
def test_a_chart_holds_every_lead_once_and_has_room_for_all(by_day: dict[date, Tally], wider: int) -> None:
    drawn = chart(by_day, read(min(by_day) - wider * DAY, TODAY + wider * DAY), TODAY)
    assert drawn
    assert sum(column.assigned for column in drawn.columns) == sum(tally.assigned for tally in by_day.values())
    assert sum(column.won for column in drawn.columns) == sum(tally.won for tally in by_day.values())
    assert [column.x for column in drawn.columns] == list(range(0, drawn.width, 10))
    assert len({column.words for column in drawn.columns}) == len(drawn.columns) <= 38
    assert max(column.assigned for column in drawn.columns) <= drawn.scale == 2 * drawn.half
    for column in drawn.columns:
        assert 0 <= column.top <= column.won_top <= HEIGHT
        assert column.height + column.top == pytest.approx(HEIGHT)


def test_days_without_a_lead_have_an_empty_column_and_days_to_come_have_none() -> None:
    period = periods.read({"period": periods.MONTH}, NOW)
    assert isinstance(period, Period)
    drawn = chart({date(2026, 9, 3): Tally(assigned=2, won=1)}, period, TODAY)
    assert drawn
    assert [column.assigned for column in drawn.columns] == [0, 0, 2] + [0] * 19
    assert drawn.columns[-1].words == "22 Sep 2026"
    assert "The highest column is 3 Sep 2026: 2 assigned, 1 of them won." in drawn.words
    assert chart({}, period, TODAY) is None


@pytest.mark.parametrize(
    ("days", "step", "words"),
    [
        (MOST_DAYS, "day", "23 Aug 2026"),
        (MOST_DAYS + 1, "week", "week of 17 Aug 2026"),
        (200, "month", "Mar 2026"),
        (2000, "year", "2021"),
    ],
)
def test_the_longer_the_time_the_wider_the_step(days: int, step: str, words: str) -> None:
    first = TODAY - (days - 1) * DAY
    drawn = chart({first: Tally(1), TODAY: Tally(1)}, read(first, TODAY), TODAY)
    assert drawn
    assert (drawn.step, drawn.columns[0].words) == (step, words)


def test_sources_come_with_their_parts_the_largest_first() -> None:
    lines = by_source(
        {
            Pair("OEM", "Tele"): Tally(3, 2, 1, 1),
            Pair("META", "Meta Know"): Tally(8, 0, 2, 0),
            Pair("OEM", "Web"): Tally(7, 1, 1, 1),
        }
    )
    assert [(line.name, line.tally.assigned, line.share, line.part) for line in lines] == [
        ("OEM", 10, 100, False),
        ("Web", 7, 70, True),
        ("Tele", 3, 30, True),
        ("META · Meta Know", 8, 80, False),
    ]
    assert lines[0].tally == Tally(10, 3, 2, 2)
    assert (lines[0].won_share, lines[0].conversion) == (20, "20.0 %")


def test_categories_stand_from_hot_to_unknown() -> None:
    lines = by_category({"": Tally(1), "Cold": Tally(2), "Hot": Tally(0)})
    assert [line.name for line in lines] == ["Hot", "Cold", "Not known yet"]
    assert lines[0].conversion == "–"
