"""The catalogue of outcomes: who may pick what and when, what follows, and former programs' words."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from followups.catalogue import (
    BY_CODE,
    CODES,
    FRESH,
    MODELS,
    NON_CONTACTS,
    OUTCOMES,
    UNTOUCHED,
    Category,
    FinalStatus,
    FollowUp,
    Moment,
    Outcome,
    Pipeline,
    choices,
    find,
    offered,
)
from followups.models import CallAttempt
from leads.models import LeadMaster

# Every status that the former programs stored, as they spelt it, and what it is now.
FORMER = {
    "Pending": "Pending",
    "RNR": "RNR",
    "Busy on another Call": "Busy on another Call",
    "Busy on another call": "Busy on another Call",
    "Call me Back": "Call me Back",
    "Call Disconnected": "Call Disconnected",
    "Call not Connected": "Call not Connected",
    "Interested": "Interested",
    "Not Interested": "Not Interested",
    "Did Not Inquire": "Did Not Inquire",
    "Wrong Number": "Wrong Number",
    "Lost to Competition": "Lost to Competition",
    "Lost to Co Dealer": "Lost to Co Dealer",
    "Lost to codealer": "Lost to Co Dealer",
    "Lost to Codealer": "Lost to Co Dealer",
    "Lead Already Assigned": "Lead Already Assigned",
    "Customer Visited Experience Centre": "Customer Visited Experience Centre",
    "Out of Station": "Out of Station",
    "Finance Rejected": "Finance Rejected",
    "Dropped": "Dropped",
    "Discount Issue": "Discount Issue",
    "Delayed": "Delayed",
    "Test Drive": "Test Drive",
    "Talked to PS": "Talked to PS",
    "Planning in Next Month": "Planning in Next Month",
    "Booked": "Booked",
    "Retailed": "Retailed",
    "Booked with another number": "Booked with another number",
}
MISSED = {"RNR", "Busy on another Call", "Call me Back"}
TALKING = {"Test Drive", "Discount Issue", "Delayed"}
LOST_ANYWHERE = {"Not Interested", "Lost to Competition", "Lost to Co Dealer"}
BOUGHT = {"Booked", "Retailed"}
OFFERED = {
    Moment.CAPTURE: MISSED
    | LOST_ANYWHERE
    | BOUGHT
    | {
        "Call Disconnected",
        "Interested",
        "Customer Visited Experience Centre",
        "Did Not Inquire",
        "Wrong Number",
    },
    Moment.CRE_FIRST: MISSED
    | LOST_ANYWHERE
    | {"Call Disconnected", "Interested", "Did Not Inquire", "Wrong Number", "Out of Station"},
    Moment.CRE_LATER: MISSED
    | TALKING
    | LOST_ANYWHERE
    | BOUGHT
    | {"Call not Connected", "Talked to PS", "Out of Station", "Finance Rejected", "Dropped"},
    Moment.PS: MISSED
    | TALKING
    | LOST_ANYWHERE
    | BOUGHT
    | {"Call Disconnected", "Call not Connected", "Interested", "Planning in Next Month"}
    | {"Booked with another number", "Finance Rejected", "Dropped"},
}


def test_every_former_status_is_known_and_ours_are_no_others() -> None:
    assert {former: getattr(find(former), "code", None) for former in FORMER} == FORMER
    assert set(FORMER.values()) == set(CODES)


@given(st.sampled_from(list(FORMER)), st.sampled_from([str.upper, str.lower, str.title, str.swapcase]))
def test_a_status_is_found_whatever_its_case_and_spacing(former: str, change: object) -> None:
    assert callable(change)
    assert find(f"  {change(former).replace(' ', '  ')} ") == BY_CODE[FORMER[former]]


@given(st.text(max_size=60))
def test_looking_a_status_up_never_fails(typed: str) -> None:
    outcome = find(typed)
    assert outcome is None or outcome in OUTCOMES


@pytest.mark.parametrize("typed", ["", "In Progress", "HOT", "CASUAL ENQUIRY", "Interest"])
def test_words_that_are_no_status_are_not_guessed(typed: str) -> None:
    assert find(typed) is None


def test_no_two_outcomes_share_a_spelling() -> None:
    spellings = [words.casefold() for outcome in OUTCOMES for words in {outcome.code.casefold(), *outcome.spellings}]
    owners: dict[str, set[str]] = {}
    for outcome in OUTCOMES:
        for words in (outcome.code, *outcome.spellings):
            owners.setdefault(words.casefold(), set()).add(outcome.code)
    assert spellings
    assert all(len(codes) == 1 for codes in owners.values())
    assert len(BY_CODE) == len(OUTCOMES)


@pytest.mark.parametrize("moment", Moment)
def test_each_moment_offers_its_own_outcomes_in_the_catalogues_order(moment: Moment) -> None:
    codes = [outcome.code for outcome in offered(moment)]
    assert set(codes) == OFFERED[moment]
    assert codes == [code for code in CODES if code in OFFERED[moment]]


def test_nobody_picks_what_machines_and_imports_bring() -> None:
    assert [outcome.code for outcome in OUTCOMES if not outcome.offered] == [
        UNTOUCHED,
        "Lead Already Assigned",
    ]


@pytest.mark.parametrize("outcome", OUTCOMES, ids=lambda outcome: outcome.code)
def test_a_closing_outcome_has_no_follow_up_and_an_open_one_may(outcome: Outcome) -> None:
    assert outcome.closes == (outcome.implies != FinalStatus.PENDING) == (outcome.follow_up == FollowUp.NONE)
    assert outcome.contacted or not outcome.closes
    assert (outcome.suggest_days is not None) == (outcome.follow_up == FollowUp.REQUIRED)


def test_what_was_decided_about_the_final_status() -> None:
    won = {outcome.code for outcome in OUTCOMES if outcome.implies == FinalStatus.WON}
    assert won == {"Booked", "Retailed", "Booked with another number"}
    for code in ("Finance Rejected", "Lead Already Assigned", "Wrong Number", "Out of Station", "Dropped"):
        assert BY_CODE[code].implies == FinalStatus.LOST


def test_a_follow_up_is_asked_for_exactly_where_somebody_promised_one() -> None:
    asked = {outcome.code for outcome in OUTCOMES if outcome.follow_up == FollowUp.REQUIRED}
    assert asked == TALKING | {"Call me Back", "Interested", "Talked to PS", "Planning in Next Month"}


def test_who_was_not_reached_stays_fresh() -> None:
    assert set(NON_CONTACTS) == MISSED | {"Call Disconnected", "Call not Connected"}
    assert (UNTOUCHED, *NON_CONTACTS) == FRESH
    assert not any(BY_CODE[code].contacted for code in FRESH)


@pytest.mark.parametrize(
    ("column", "values"),
    [
        (LeadMaster._meta.get_field("lead_status"), CODES),
        (CallAttempt._meta.get_field("lead_status"), CODES),
        (LeadMaster._meta.get_field("lost_reason"), CODES),
        (LeadMaster._meta.get_field("final_status"), tuple(FinalStatus)),
        (LeadMaster._meta.get_field("lead_category"), tuple(Category)),
        (LeadMaster._meta.get_field("pipeline"), tuple(Pipeline)),
        (LeadMaster._meta.get_field("model_interested"), MODELS),
    ],
    ids=str,
)
def test_every_code_fits_its_column(column: object, values: tuple[str, ...]) -> None:
    length = getattr(column, "max_length", None)
    assert length is not None
    assert max(map(len, values)) <= length


def test_there_are_thirteen_models() -> None:
    assert len(set(MODELS)) == len(MODELS) == 13


def test_a_choice_is_shown_as_it_is_stored() -> None:
    assert choices(FinalStatus) == [("Pending", "Pending"), ("Won", "Won"), ("Lost", "Lost")]
