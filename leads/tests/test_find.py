"""The search box: a number however it is typed, or a uid; never more than one may see."""

import pytest

from conftest import Cast
from leads.find import find
from leads.tests.factories import make_lead


@pytest.fixture
def lead(cast: Cast) -> object:
    return make_lead(
        cast.asha,
        uid="M-43210-7K3QX2A",
        customer_mobile_number="+919876543210",
        alternate_number="+914023456789",
    )


@pytest.mark.parametrize(
    "typed",
    [
        "9876543210",
        " 98765 43210 ",
        "+91 98765-43210",
        "0 98765 43210",
        "९८७६५४३२१०",
        "040 2345 6789",
        "M-43210-7K3QX2A",
        " m-43210-7k3qx2a ",
    ],
)
def test_a_lead_is_found_by_number_other_number_or_uid(cast: Cast, lead: object, typed: str) -> None:
    assert find(typed, cast.asha).leads == [lead]
    assert find(typed, cast.meera).leads == [lead]


@pytest.mark.parametrize("typed", ["9876543210", "040 2345 6789", "M-43210-7K3QX2A"])
def test_nobody_finds_what_is_not_theirs_to_see(cast: Cast, lead: object, typed: str) -> None:
    for stranger in [cast.ravi, cast.kiran, cast.head, cast.reception]:
        assert find(typed, stranger).leads == []


def test_every_lead_of_a_customer_is_found_newest_first(cast: Cast) -> None:
    closed = make_lead(
        cast.asha,
        customer_mobile_number="+919876543210",
        lead_status="Booked",
        final_status="Won",
        won_at="2026-01-01T10:00Z",
        created_at="2026-01-01T10:00Z",
    )
    fresh = make_lead(cast.asha, customer_mobile_number="+919876543210")
    assert find("9876543210", cast.asha).leads == [fresh, closed]


@pytest.mark.parametrize(
    ("typed", "words"),
    [
        ("", "Type a phone number or a uid"),
        ("Ramesh", "Search by a whole phone number"),
        ("12", "Search by a whole phone number"),
        ("98765 43210", "You have no lead with the number +91 98765 43210."),
        ("M-43210-7K3QX2A", "There is no lead M-43210-7K3QX2A among yours."),
        ("' OR 1=1 --", "Search by a whole phone number"),
        ("\x00", "Search by a whole phone number"),
        ("9" * 500, "Search by a whole phone number"),
    ],
)
def test_what_is_not_found_is_said_in_words(cast: Cast, typed: str, words: str) -> None:
    found = find(typed, cast.asha)
    assert found.leads == []
    assert words in found.problem


def test_only_a_whole_number_can_be_added_as_a_lead(cast: Cast) -> None:
    assert find("98765 43210", cast.asha).phone == "+919876543210"
    assert find("Ramesh", cast.asha).phone == ""
