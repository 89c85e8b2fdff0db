"""The search box: a number however it is typed, a uid, how a name begins; never more than one may see."""

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from accounts.models import User
from conftest import Cast
from followups.models import PSFollowup
from leads.find import MOST, find
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
        ("", "Type a phone number, a uid, or how a name begins."),
        (" ", "Type a phone number, a uid, or how a name begins."),
        ("\x00", "Type a phone number, a uid, or how a name begins."),
        ("R", "Search by a whole phone number, by a uid such as M-67890-7K3QX2A, or by how the customer’s name begins"),
        ("12", "Search by a whole phone number"),
        ("98480", "Search by a whole phone number"),
        ("98765 43210", "There is no lead with the number +91 98765 43210 among yours."),
        ("M-43210-7K3QX2A", "There is no lead M-43210-7K3QX2A among yours."),
        ("Ramesh", "There is no lead with a name that begins with “Ramesh” among yours."),
        ("M-43210", "A uid has to be whole, such as M-67890-7K3QX2A."),
        ("m-4", "A uid has to be whole"),
        ("M-43210-7K3QX2", "A uid has to be whole"),
        ("' OR 1=1 --", "Search by a whole phone number"),
        ("9" * 500, "Search by a whole phone number"),
        ("Z" * 500, "There is no lead with a name that begins with"),
        ("R%", "There is no lead with a name that begins with “R%” among yours."),
        ("ab\U0010ffff", "There is no lead with a name that begins with"),
    ],
)
def test_what_is_not_found_is_said_in_words(cast: Cast, typed: str, words: str) -> None:
    make_lead(cast.asha, customer_name="rather somebody else")
    found = find(typed, cast.asha)
    assert found.leads == []
    assert words in found.problem


def test_a_supervisor_searches_all_leads_not_their_own(cast: Cast) -> None:
    for typed in ("98765 43210", "M-43210-7K3QX2A", "Ramesh"):
        problem = find(typed, cast.meera).problem
        assert problem.startswith("There is no lead ")
        assert "yours" not in problem


def test_only_a_whole_number_can_be_added_as_a_lead(cast: Cast) -> None:
    assert find("98765 43210", cast.asha).phone == "+919876543210"
    assert find("Ramesh", cast.asha).phone == ""


def names(typed: str, user: User) -> list[str]:
    return [lead.customer_name for lead in find(typed, user).leads]


@pytest.mark.parametrize("typed", ["ra", "RA", " Ra", "rA "])
def test_a_name_is_found_by_its_beginning_in_any_case_and_by_name(cast: Cast, typed: str) -> None:
    for name in ["Ravi", "RAMESH KUMAR", "ramya", "Sara", "R A Khan", "Rbindra", "Rā"]:
        make_lead(cast.asha, customer_name=name)
    assert names(typed, cast.asha) == ["RAMESH KUMAR", "ramya", "Ravi"]


@pytest.mark.parametrize(
    ("typed", "name"),
    [
        ("ramesh  kum", "Ramesh Kumar"),
        ("élo", "Éloïse"),
        ("రాజు", "రాజు గారు"),
        ("सुम", "सुमा"),
        ("d'so", "D'Souza"),
        ("k.", "K. Srinivas"),
        ("ra_", "Ra_esh"),
        ("ra%", "Ra%esh"),
        ("zz", "ZZ\U0010fffe"),
    ],
)
def test_letters_of_any_kind_are_taken_as_they_are(cast: Cast, typed: str, name: str) -> None:
    for other in (name, "Ramxesh", "Someone"):
        make_lead(cast.asha, customer_name=other)
    assert names(typed, cast.asha) == [name]


def test_names_are_found_among_ones_own_leads_alone(cast: Cast) -> None:
    now = timezone.now()
    lead = make_lead(cast.asha, customer_name="Ramesh", branch=cast.attapur, ps=cast.kiran, ps_assigned_at=now)
    for ps, closed_at in [(cast.latha, now), (cast.latha, now), (cast.kiran, None)]:
        PSFollowup.objects.create(lead=lead, ps=ps, branch=cast.attapur, assigned_by=cast.asha, closed_at=closed_at)
    for who in [cast.asha, cast.kiran, cast.latha, cast.head, cast.meera]:
        assert find("ram", who).leads == [lead], who
    for stranger in [cast.ravi, cast.sunil, cast.reception]:
        assert find("ram", stranger).leads == [], stranger


def test_at_most_fifty_are_found_and_it_is_said_that_there_are_more(cast: Cast) -> None:
    client = Client()
    client.force_login(cast.asha)
    for number in range(MOST):
        make_lead(cast.asha, customer_name=f"Ramesh {number:02}")
    assert (len(find("ram", cast.asha).leads), find("ram", cast.asha).more) == (MOST, False)
    make_lead(cast.asha, customer_name="Ramesh")
    found = find("ram", cast.asha)
    assert (len(found.leads), found.more) == (MOST, True)
    assert found.leads[0].customer_name == "Ramesh"
    page = client.get("/search?q=ram").text
    assert "The first 50 leads for “ram”" in page
    assert "more of the name to see fewer" in page


@pytest.mark.parametrize("who", ["asha", "kiran", "head", "reception", "meera"])
def test_a_search_is_one_query(cast: Cast, who: str) -> None:
    for number in range(3):
        make_lead(cast.asha, customer_name=f"Ramesh {number}", branch=cast.attapur)
    for typed in ("ram", "98765 43210", "M-43210-7K3QX2A"):
        with CaptureQueriesContext(connection) as queries:
            find(typed, getattr(cast, who))
        assert len(queries) == 1
