"""Attempts are numbered by how often the customer was reached; a call comes whole through the outbox."""

import json
from datetime import UTC, timedelta, timezone
from itertools import groupby

import pytest
from hypothesis import given
from hypothesis import strategies as st

from followups.calls import FIRST, Call, CallNumber, following
from followups.catalogue import CODES


def numbered(reached: list[bool]) -> list[CallNumber]:
    """The numbers of a role's calls on a lead, given in which of them the customer was reached."""
    numbers: list[CallNumber] = []
    before = False
    for contacted in reached:
        numbers.append(following(numbers[-1] if numbers else None, contacted=before))
        before = contacted
    return numbers


def test_two_missed_calls_and_a_talk_are_the_first_call_and_what_follows_is_the_second() -> None:
    assert [str(number) for number in numbered([False, False, True, False])] == ["1/1", "1/2", "1/3", "2/1"]


def test_there_is_no_eighth_call_that_is_one_too_many() -> None:
    assert numbered([True] * 40)[-1] == (40, 1)
    assert numbered([False] * 40)[-1] == (1, 40)


def test_the_first_is_one_of_one() -> None:
    assert numbered([True]) == [FIRST] == [CallNumber(1, 1)]


@given(st.lists(st.booleans(), max_size=60))
def test_numbers_are_unique_without_gaps_and_rise_only_after_a_talk(reached: list[bool]) -> None:
    numbers = numbered(reached)
    assert len(set(numbers)) == len(numbers)
    assert numbers == sorted(numbers)
    calls = [(call_no, list(attempts)) for call_no, attempts in groupby(numbers, key=lambda number: number.call_no)]
    assert [call_no for call_no, _ in calls] == list(range(1, len(calls) + 1))
    for _, attempts in calls:
        assert [number.attempt for number in attempts] == list(range(1, len(attempts) + 1))
    talks_before = [sum(reached[:place]) for place in range(len(reached))]
    assert [number.call_no - 1 for number in numbers] == talks_before


times = st.datetimes(timezones=st.sampled_from([UTC, timezone(timedelta(hours=5.5))]))
calls = st.builds(
    Call,
    role=st.sampled_from(["cre", "ps"]),
    by=st.integers(1, 2**63 - 1),
    lead_status=st.sampled_from(CODES),
    remark=st.text(max_size=50),
    follow_up_at=st.none() | times,
    final_status_before=st.sampled_from(["Pending", "Won", "Lost"]),
    final_status_after=st.sampled_from(["Pending", "Won", "Lost"]),
    called_at=times,
    cause=st.text(max_size=20),
)


@given(calls)
def test_a_call_comes_out_of_the_outbox_as_it_went_in(call: Call) -> None:
    assert Call.from_payload(json.loads(json.dumps(call.payload()))) == call


@pytest.mark.parametrize("broken", [{}, {"role": "cre"}, {"follow_up_at": None, "called_at": 7}, {"surplus": 1}])
def test_a_payload_that_no_call_wrote_is_an_error_that_the_recorder_expects(
    broken: dict[str, object],
) -> None:
    with pytest.raises((KeyError, TypeError, ValueError)):
        Call.from_payload(broken)
