"""The CRE's desk: what stands in each tab and in which order, filters, what is remembered, rows, news, and the cost."""

import html
import re
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import pytest
import time_machine
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.utils import timezone
from hypothesis import given
from hypothesis import strategies as st

from accounts.directory import Directory, directory
from accounts.models import User
from conftest import Cast
from followups.catalogue import BY_CODE, OUTCOMES, FinalStatus
from followups.models import PSFollowup
from followups.recorder import record_waiting
from leads import board
from leads.board import TABS, Counts
from leads.filters import FilterForm, Filters
from leads.models import DuplicateLead, LeadMaster
from leads.services import capture_lead, tell_owner
from leads.sources import Sources
from leads.tests.factories import enquiry, make_lead

HTMX = {"HX-Request": "true"}
HOSTILE = "<script>alert(1)</script>"
DESK = "/cre_dashboard"
# Friday, 20 November 2026, 15:00 for the dealer.
NOW = datetime(2026, 11, 20, 9, 30, tzinfo=UTC)
HOUR, DAY = timedelta(hours=1), timedelta(days=1)


@pytest.fixture
def asha(cast: Cast) -> Client:
    client = Client()
    client.force_login(cast.asha)
    return client


def html_of(client: Client, **query: Any) -> str:
    response = client.get(DESK, query)
    assert response.status_code == 200
    return response.text


def uids(page: str) -> list[str]:
    """The leads of the list, in its order."""
    return re.findall(r'id="lead-([^"]+)"', page)


def numbers(page: str) -> dict[str, str]:
    """What each tab says it holds."""
    return dict(re.findall(r'id="tab-(\w+)".*?<b>([^<]*)</b>', page, re.DOTALL))


def current(page: str) -> list[str]:
    return re.findall(r'id="tab-(\w+)"(?:(?!</a>).)*aria-current="page"', page, re.DOTALL)


def chips(page: str) -> dict[str, dict[str, str]]:
    """The filters that are on, in words, and what stays in the address without each."""
    found = re.findall(r'class="chip"\s+href="([^"]*)"><span class="unseen">Remove</span> (.*?) <span', page)
    return {html.unescape(words): dict(parse_qsl(html.unescape(href)[1:])) for href, words in found}


def won(**fields: Any) -> dict[str, Any]:
    return {"lead_status": "Booked", "final_status": "Won", "won_at": NOW, "last_attempt_at": NOW, **fields}


def lost(**fields: Any) -> dict[str, Any]:
    return {"lead_status": "Dropped", "final_status": "Lost", "lost_at": NOW, "lost_reason": "Dropped", **fields}


def spoken_to(**fields: Any) -> dict[str, Any]:
    return {"lead_status": "Interested", "first_call_at": NOW, **fields}


# --- Whose, and which -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("path", [DESK, f"{DESK}/news"])
def test_only_cres_have_this_desk(cast: Cast, path: str) -> None:
    for who in [cast.kiran, cast.head, cast.reception, cast.meera]:
        client = Client()
        client.force_login(who)
        assert client.get(path).status_code == 403


def test_nobody_elses_lead_is_shown_or_counted(cast: Cast, asha: Client) -> None:
    for cre in (cast.ravi, None):
        make_lead(cre)
        make_lead(cre, lead_status="RNR", follow_up_at=NOW)
        make_lead(cre, **spoken_to(ps=cast.kiran, ps_assigned_at=NOW, branch=cast.attapur))
        make_lead(cre, **won())
        make_lead(cre, **lost())
    theirs = make_lead(cast.ravi)
    tell_owner(uid=theirs.uid, phone=theirs.customer_mobile_number, remark="", actor=cast.asha)
    for tab in TABS:
        page = html_of(asha, tab=tab)
        assert set(numbers(page).values()) == {"0"}
        assert uids(page) == []


@pytest.fixture
def every_kind(cast: Cast) -> None:
    """A lead of each status that a lead can have, spoken to or not, due or not, with a PS or not."""
    for outcome in OUTCOMES:
        closing = {FinalStatus.WON: won, FinalStatus.LOST: lost}.get(outcome.implies)
        if closing:
            make_lead(cast.asha, **closing(lead_status=outcome.code))
            continue
        for called in (None, NOW):
            if called is None and outcome.contacted:
                continue
            for due in (NOW - HOUR, NOW + HOUR):
                make_lead(cast.asha, lead_status=outcome.code, first_call_at=called, follow_up_at=due)
            ps = {"ps": cast.kiran, "ps_assigned_at": NOW - HOUR, "branch": cast.attapur, "lead_category": "Hot"}
            make_lead(cast.asha, lead_status=outcome.code, first_call_at=called, source="OEM", sub_source="Web", **ps)


QUERIES: list[dict[str, str]] = [
    {},
    {"category": "Hot"},
    {"category": "none"},
    {"source": "OEM"},
    {"ps": "none"},
    {"branch": "none"},
    {"period": "today"},
    {"period": "range", "from": "2026-11-20", "to": "2026-11-21"},
    {"period": "month", "category": "Hot", "source": "OEM"},
]


@pytest.mark.parametrize("query", QUERIES, ids=str)
def test_a_tab_shows_as_many_rows_as_it_counts_whatever_is_filtered(
    cast: Cast, asha: Client, every_kind: None, query: dict[str, str]
) -> None:
    for lead in LeadMaster.objects.filter(final_status="Pending")[:3]:
        tell_owner(uid=lead.uid, phone=lead.customer_mobile_number, remark="", actor=cast.ravi)
    with time_machine.travel(NOW, tick=False):
        for tab in TABS:
            page = html_of(asha, tab=tab, **query)
            rows = re.findall(r'id="(?:lead|repeat)-', page)
            assert numbers(page)[tab] == str(len(rows)), tab


def test_without_filters_every_lead_stands_in_one_of_the_tabs_that_share_them_out(
    cast: Cast, asha: Client, every_kind: None
) -> None:
    shared_out = ["untouched", "called", "call_back", "pending", "won", "lost"]
    shown = [uid for tab in shared_out for uid in uids(html_of(asha, tab=tab))]
    assert sorted(shown) == sorted(LeadMaster.objects.values_list("uid", flat=True))


def leads_of(cast: Cast, *each: dict[str, Any]) -> list[str]:
    return [make_lead(cast.asha, **fields).uid for fields in each]


ORDERS: dict[str, list[dict[str, Any]]] = {
    "untouched": [{"created_at": NOW}, {"created_at": NOW - HOUR}, {"created_at": NOW - DAY}],
    "called": [{"lead_status": "RNR", "last_attempt_at": NOW - hours * HOUR} for hours in (9, 2, 1)],
    "call_back": [{"lead_status": "Call me Back", "follow_up_at": NOW + hours * HOUR} for hours in (-2, 1, 30)],
    "today": [spoken_to(follow_up_at=NOW + hours * HOUR) for hours in (-30, -1, 2)],
    "overdue": [spoken_to(follow_up_at=NOW - hours * HOUR) for hours in (30, 2, 1)],
    "pending": [spoken_to(priority=priority) for priority in (90, 30, -5)],
    "won": [won(won_at=NOW - hours * HOUR) for hours in (1, 2, 30)],
    "lost": [lost(lost_at=NOW - hours * HOUR) for hours in (1, 2, 30)],
}


@pytest.mark.parametrize("tab", ORDERS)
def test_what_must_be_done_next_stands_on_top(cast: Cast, asha: Client, tab: str) -> None:
    wanted = leads_of(cast, *ORDERS[tab])
    with time_machine.travel(NOW, tick=False):
        assert uids(html_of(asha, tab=tab)) == wanted


def test_the_latest_given_to_a_ps_stands_on_top(cast: Cast, asha: Client) -> None:
    ps = {"ps": cast.kiran, "branch": cast.attapur}
    wanted = leads_of(cast, *(spoken_to(ps_assigned_at=NOW - hours * HOUR, **ps) for hours in (1, 2, 30)))
    assert uids(html_of(asha, tab="with_ps")) == wanted


def test_a_tab_is_paged_forwards_and_back_and_keeps_its_filters(cast: Cast, asha: Client) -> None:
    wanted = leads_of(cast, *(spoken_to(priority=1000 - number // 3, lead_category="Hot") for number in range(104)))
    wanted = list(LeadMaster.objects.filter(uid__in=wanted).order_by("-priority", "-id").values_list("uid", flat=True))
    make_lead(cast.asha, **spoken_to(priority=5000))
    pages = [html_of(asha, tab="pending", category="Hot")]
    for _ in range(2):
        pages.append(asha.get(DESK + link(pages[-1], "next")).text)
    assert [uid for page in pages for uid in uids(page)] == wanted
    assert 'rel="next"' not in pages[-1]
    back = asha.get(DESK + link(pages[-1], "prev")).text
    assert uids(back) == uids(pages[1])
    assert uids(html_of(asha, tab="pending", category="Hot", page="nonsense")) == uids(pages[0])


def link(page: str, rel: str) -> str:
    found = re.search(rf'rel="{rel}"\s+href="([^"]+)"', page)
    assert found
    return html.unescape(found[1])


def test_closed_leads_are_counted_up_to_a_point(cast: Cast, asha: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(board, "MOST", 3)
    leads_of(cast, won(), won(), *[lost()] * 5)
    assert numbers(html_of(asha))["won"] == "2"
    assert numbers(html_of(asha))["lost"] == "2+"
    assert board.count(cast.asha, Filters(), NOW).of["lost"] == 3, "no further"


# --- Which tab is opened ----------------------------------------------------------------------------------------

ONE_OF = {
    "untouched": {},
    "overdue": spoken_to(follow_up_at=NOW - HOUR),
    "today": spoken_to(follow_up_at=NOW + HOUR),
    "call_back": {"lead_status": "Call me Back", "follow_up_at": NOW + 2 * DAY},
    "called": {"lead_status": "RNR"},
    "pending": spoken_to(),
}


def test_the_desk_opens_where_the_next_work_is(cast: Cast, asha: Client) -> None:
    with time_machine.travel(NOW, tick=False):
        assert current(html_of(asha)) == ["untouched"]
        for tab, fields in reversed(ONE_OF.items()):
            make_lead(cast.asha, **fields)
            assert current(html_of(asha)) == [tab]
        make_lead(cast.asha, lead_status="Call me Back", follow_up_at=NOW - HOUR)
        assert current(html_of(asha)) == ["call_back"], "the time has come that was promised to a customer"


def test_a_tab_that_there_is_not_opens_the_desk_all_the_same(cast: Cast, asha: Client) -> None:
    make_lead(cast.asha, lead_status="RNR")
    assert current(html_of(asha, tab="nonsense")) == ["called"]


def test_an_empty_tab_says_what_to_do_and_where_to_go_on(cast: Cast, asha: Client) -> None:
    assert "You have no leads yet." in html_of(asha)
    make_lead(cast.asha, lead_status="RNR")
    for tab in TABS.values():
        page = html_of(asha, tab=tab.key)
        if tab.key != "called":
            assert html.escape(tab.empty) in page
            assert "Go on with Called: 1" in page
    page = html_of(asha, tab="called", category="Hot")
    assert "None of your leads in Called fits these filters." in page
    assert 'href="?tab=called">Clear all filters</a>' in page


# --- Filters ----------------------------------------------------------------------------------------------------


def test_category_source_branch_and_ps_narrow_rows_and_counts(cast: Cast, asha: Client) -> None:
    hot = make_lead(cast.asha, lead_category="Hot")
    oem = make_lead(cast.asha, source="OEM", sub_source="Web")
    here = make_lead(cast.asha, branch=cast.attapur)
    kirans = make_lead(cast.asha, branch=cast.malakpet, ps=cast.kiran, ps_assigned_at=NOW)
    for query, wanted in [
        ({"category": "Hot"}, hot),
        ({"source": "OEM"}, oem),
        ({"branch": str(cast.attapur.pk)}, here),
        ({"ps": str(cast.kiran.pk)}, kirans),
    ]:
        page = html_of(asha, tab="untouched", **query)
        assert uids(page) == [wanted.uid]
        assert numbers(page)["untouched"] == "1"
    assert uids(html_of(asha, tab="untouched", ps="none")) == [here.uid, oem.uid, hot.uid]
    assert uids(html_of(asha, tab="untouched", category="none", branch="none")) == [oem.uid]


def test_filters_that_are_on_are_said_and_each_can_be_taken_off(cast: Cast, asha: Client) -> None:
    page = html_of(asha, tab="won", period="week", category="Hot", ps=cast.kiran.pk, branch="none")
    kiran = str(cast.kiran.pk)
    on = {"tab": "won", "period": "week", "category": "Hot", "ps": kiran, "branch": "none"}
    said = {"Won: this week": "period", "Hot": "category", "With Kiran": "ps", "No branch": "branch"}
    assert chips(page) == {
        words: {key: value for key, value in on.items() if key != name} for words, name in said.items()
    }
    assert 'class="clear" href="?tab=won">Clear all</a>' in page
    assert "Came in: this week" in chips(html_of(asha, tab="pending", period="week"))
    assert chips(html_of(asha, tab="won")) == {}


def test_the_days_are_those_of_each_tabs_own_moment(cast: Cast, asha: Client) -> None:
    old = {"created_at": NOW - 90 * DAY}
    today = make_lead(cast.asha, **won(won_at=NOW, **old))
    make_lead(cast.asha, **won(won_at=NOW - 2 * DAY, **old))
    due = make_lead(cast.asha, **spoken_to(follow_up_at=NOW + HOUR, **old))
    make_lead(cast.asha, **spoken_to(follow_up_at=NOW - 3 * DAY, **old))
    with time_machine.travel(NOW, tick=False):
        assert uids(html_of(asha, tab="won", period="today")) == [today.uid]
        assert uids(html_of(asha, tab="today", period="today")) == [due.uid]
        assert uids(html_of(asha, tab="pending", period="today")) == []


@pytest.mark.parametrize(
    ("came", "query", "inside"),
    [
        # A day begins at 18:30 UTC of the day before and ends just before the next does.
        ("2026-11-19T18:29:59.999999", {"period": "today"}, False),
        ("2026-11-19T18:30:00", {"period": "today"}, True),
        ("2026-11-20T18:29:59.999999", {"period": "today"}, True),
        ("2026-11-20T18:30:00", {"period": "today"}, False),
        # Monday to Sunday.
        ("2026-11-15T18:29:59", {"period": "week"}, False),
        ("2026-11-15T18:30:00", {"period": "week"}, True),
        ("2026-11-22T18:29:59", {"period": "week"}, True),
        ("2026-11-22T18:30:00", {"period": "week"}, False),
        ("2026-10-31T18:29:59", {"period": "month"}, False),
        ("2026-10-31T18:30:00", {"period": "month"}, True),
        ("2026-11-30T18:29:59", {"period": "month"}, True),
        ("2026-11-30T18:30:00", {"period": "month"}, False),
        # The last day of a range belongs to it.
        ("2026-11-04T18:29:59", {"period": "range", "from": "2026-11-05", "to": "2026-11-07"}, False),
        ("2026-11-04T18:30:00", {"period": "range", "from": "2026-11-05", "to": "2026-11-07"}, True),
        ("2026-11-07T18:29:59.999999", {"period": "range", "from": "2026-11-05", "to": "2026-11-07"}, True),
        ("2026-11-07T18:30:00", {"period": "range", "from": "2026-11-05", "to": "2026-11-07"}, False),
    ],
)
def test_days_are_the_dealers(cast: Cast, asha: Client, came: str, query: dict[str, str], inside: bool) -> None:
    lead = make_lead(cast.asha, created_at=datetime.fromisoformat(came).replace(tzinfo=UTC))
    with time_machine.travel(NOW, tick=False):
        page = html_of(asha, tab="untouched", **query)
    assert uids(page) == ([lead.uid] if inside else [])
    assert numbers(page)["untouched"] == str(int(inside))


@pytest.mark.parametrize(
    ("query", "words"),
    [
        ({"period": "range", "from": "2026-11-05", "to": "2026-11-04"}, "The last day is before the first"),
        ({"period": "range", "from": "2026-11-05"}, "Give the last day."),
        ({"period": "range", "from": "5.11.", "to": "2026-11-07"}, "Write the day as"),
        ({"period": "range", "from": "0001-01-01", "to": "9999-12-31"}, "Give a day from"),
        ({"period": "yesteryear"}, "The list has no such choice"),
        ({"category": "Boiling"}, "The list has no such choice"),
        ({"source": "' OR 1=1 --"}, "The list has no such choice"),
        ({"branch": "99999999999999999999"}, "The list has no such choice"),
        ({"ps": "\x00"}, "The list has no such choice"),
    ],
)
def test_what_cannot_be_a_filter_is_said_at_its_field_and_hides_nothing(
    cast: Cast, asha: Client, query: dict[str, str], words: str
) -> None:
    lead = make_lead(cast.asha)
    page = html_of(asha, tab="untouched", **query)
    assert words in html.unescape(page)
    assert re.search(r'class="field wrong.*?aria-invalid="true"', page, re.DOTALL)
    assert re.search(r'<details class="filters"\s+open', page)
    assert uids(page) == [lead.uid]
    assert chips(page) == {}
    assert "' OR 1=1 --" not in page


def test_a_filter_that_is_wrong_leaves_the_others_on(cast: Cast, asha: Client) -> None:
    make_lead(cast.asha)
    hot = make_lead(cast.asha, lead_category="Hot")
    page = html_of(asha, tab="untouched", category="Hot", period="range", **{"from": "x"})
    assert uids(page) == [hot.uid]
    assert set(chips(page)) == {"Hot"}


SOMETHING = st.dictionaries(st.sampled_from(["period", "from", "to", "category", "source", "branch", "ps"]), st.text())


@given(SOMETHING)
def test_no_query_breaks_the_filters(typed: dict[str, str]) -> None:
    people = Directory(branches={1: "ATTAPUR"}, sellers={})
    FilterForm(typed, people, Sources({("META", "Meta"): "M"}), NOW).filters().of_lead()


# --- What is remembered -----------------------------------------------------------------------------------------


def test_the_desk_comes_back_as_one_left_it_and_says_so(cast: Cast, asha: Client) -> None:
    make_lead(cast.asha)
    make_lead(cast.asha, lead_category="Hot")
    html_of(asha, tab="untouched", category="Hot", period="month")
    came_back = asha.get(DESK)
    assert came_back.status_code == 302
    query = dict(parse_qsl(urlsplit(came_back["Location"]).query))
    assert query == {"category": "Hot", "period": "month", "restored": "yes"}
    page = asha.get(came_back["Location"]).text
    assert "Filtered as you left it:" in page
    assert set(chips(page)) == {"Hot", "Came in: this month"}
    assert asha.get(DESK, {"tab": "untouched"}).status_code == 200, "cleared"
    assert asha.get(DESK).status_code == 200
    assert chips(html_of(asha)) == {}


def test_what_was_wrong_is_not_remembered(asha: Client) -> None:
    html_of(asha, period="range", category="Hot", **{"from": "x"})
    assert dict(parse_qsl(urlsplit(asha.get(DESK)["Location"]).query)) == {"category": "Hot", "restored": "yes"}


def test_nobody_gets_another_persons_filters(cast: Cast, asha: Client) -> None:
    html_of(asha, category="Hot")
    asha.force_login(cast.ravi)
    assert asha.get(DESK).status_code == 200


def test_asking_for_news_changes_nothing_that_is_remembered(asha: Client) -> None:
    html_of(asha, category="Hot")
    asha.get(f"{DESK}/news", {"tab": "won"})
    assert "category=Hot" in asha.get(DESK)["Location"]


# --- Rows -------------------------------------------------------------------------------------------------------


def test_a_row_says_what_one_needs_for_the_call(cast: Cast, asha: Client) -> None:
    captured = capture_lead(
        enquiry(
            customer_name=HOSTILE,
            phone="+919848012345",
            category="Hot",
            model="450 Apex STD",
            branch_id=cast.attapur.pk,
            ps_id=cast.kiran.pk,
        ),
        cast.asha,
    )
    record_waiting()
    now = timezone.now()
    LeadMaster.objects.update(follow_up_at=now - 2 * HOUR, created_at=now - 3 * DAY)
    page = html_of(asha, tab="called")
    row = re.search(r"<tr role=\"row\" class=\"is-late\">.*?</tr>", page, re.DOTALL)
    assert row
    assert HOSTILE not in page
    for said in [
        "&lt;script&gt;",
        f'id="lead-{captured.uid}" href="/lead/{captured.uid}"',
        'href="tel:+919848012345"',
        "+91 98480 12345",
        "2 h late",
        "RNR",
        "1 call: 1 RNR",
        "Hot",
        "450 Apex STD",
        "META",
        "Meta Know",
        "Kiran",
        "ATTAPUR",
        ">3 d<",
        f'href="/update_lead/{captured.uid}?next=%2Fcre_dashboard%3Ftab%3Dcalled"',
    ]:
        assert said in row[0], said


def test_calls_are_told_by_what_they_came_to(cast: Cast, asha: Client) -> None:
    lead = make_lead(cast.asha, **spoken_to(attempts=7))
    other = make_lead(cast.asha, **spoken_to(attempts=1))
    outcomes = ["RNR", "RNR", "Busy on another Call", "Call me Back", "Call Disconnected", "Interested", "Test Drive"]
    for number, code in enumerate(outcomes, start=1):
        attempt(lead, cast.asha, number, code)
    attempt(other, cast.asha, 100, "Interested")
    page = html_of(asha, tab="pending")
    assert "7 calls: 2 RNR, 1 busy, 1 call back, 2 reached<" in page
    assert "1 call: 1 reached<" in page


def attempt(lead: LeadMaster, by: User, number: int, code: str) -> None:
    lead.call_attempts.create(
        role="cre",
        by=by,
        call_no=1,
        attempt=number,
        lead_status=code,
        contacted=BY_CODE[code].contacted,
        final_status_before="Pending",
        final_status_after="Pending",
        called_at=NOW,
        outbox_id=number,
    )


def test_a_closed_lead_offers_no_update(cast: Cast, asha: Client) -> None:
    lead = make_lead(cast.asha, **won(won_at=datetime(2026, 11, 20, 9, 5, tzinfo=UTC)))
    page = html_of(asha, tab="won")
    assert "20 Nov, 14:35" in page
    assert f"/update_lead/{lead.uid}" not in page


# --- Repeats ----------------------------------------------------------------------------------------------------


def test_all_repeats_of_two_weeks_are_there_newest_first_page_by_page(cast: Cast, asha: Client) -> None:
    lead = make_lead(cast.asha)
    for number in range(52):
        tell_owner(uid=lead.uid, phone=lead.customer_mobile_number, remark=f"Call no. {number};", actor=cast.ravi)
    first = html_of(asha, tab="repeats")
    assert numbers(first)["repeats"] == "52"
    assert first.index("Call no. 51;") < first.index("Call no. 2;")
    assert "Call no. 1;" not in first
    assert "Call no. 1;" in asha.get(DESK + link(first, "next")).text
    assert "Called a colleague" in first
    assert "taken by Ravi" in first
    assert HOSTILE not in first


def test_a_repeat_leaves_when_it_is_old_or_its_lead_is_closed(cast: Cast, asha: Client) -> None:
    old, closed, kept = make_lead(cast.asha), make_lead(cast.asha), make_lead(cast.asha)
    for lead in (old, closed, kept):
        tell_owner(uid=lead.uid, phone=lead.customer_mobile_number, remark=f"Wants {lead.uid};", actor=cast.ravi)
    DuplicateLead.objects.filter(lead=old).update(created_at=timezone.now() - 15 * DAY)
    LeadMaster.objects.filter(pk=closed.pk).update(**won())
    page = html_of(asha, tab="repeats")
    assert re.findall(r"Wants ([^;]+);", page) == [kept.uid]
    assert numbers(page)["repeats"] == "1"


# --- News -------------------------------------------------------------------------------------------------------


def again(page: str) -> str:
    found = re.search(r'hx-get="([^"]+)"\s+hx-trigger="every 20s"', page)
    assert found
    return html.unescape(found[1])


def news(client: Client, address: str) -> Any:
    return client.get(address, headers=HTMX)


def test_nothing_new_is_a_204_and_a_new_lead_is_told(cast: Cast, asha: Client) -> None:
    make_lead(cast.asha, lead_category="Hot")
    address = again(html_of(asha, tab="called", category="Hot", page=""))
    assert dict(parse_qsl(urlsplit(address).query)).keys() == {"tab", "category", "seen"}
    nothing = news(asha, address)
    assert (nothing.status_code, nothing.content) == (204, b"")
    make_lead(cast.asha)
    assert news(asha, address).status_code == 204, "it is filtered out"
    capture_lead(enquiry(category="Hot"), cast.asha)
    told = news(asha, address)
    assert told.status_code == 200
    assert "<html" not in told.text
    assert current(told.text) == ["called"]
    assert len(uids(told.text)) == 1
    assert 'hx-swap-oob="true"' in told.text
    make_lead(cast.asha, lead_category="Hot")
    told = news(asha, again(told.text))
    assert 'data-say="1 new lead in Untouched."' in told.text
    assert news(asha, again(told.text)).status_code == 204


def test_a_repeat_and_a_follow_up_that_becomes_overdue_are_told(cast: Cast, asha: Client) -> None:
    with time_machine.travel(NOW, tick=False):
        lead = make_lead(cast.asha, **spoken_to(follow_up_at=NOW + timedelta(minutes=1)))
        address = again(html_of(asha, tab="pending"))
    with time_machine.travel(NOW + timedelta(minutes=2), tick=False):
        tell_owner(uid=lead.uid, phone=lead.customer_mobile_number, remark="", actor=cast.ravi)
        told = news(asha, address).text
    assert 'data-say="1 customer asked again, 1 lead became overdue."' in told
    assert 'class="tag again">2 enquiries' in told


def changes(cast: Cast) -> dict[str, Any]:
    """What others, workers and time do to a lead on the desk."""
    return {
        "saved": lambda lead: LeadMaster.objects.filter(pk=lead.pk).update(version=2),
        "touched": lambda lead: LeadMaster.objects.filter(pk=lead.pk).update(updated_at=NOW),
        "recorded": lambda lead: LeadMaster.objects.filter(pk=lead.pk).update(attempts=9),
        "closed": lambda lead: LeadMaster.objects.filter(pk=lead.pk).update(**won(follow_up_at=None)),
        "taken away": lambda lead: LeadMaster.objects.filter(pk=lead.pk).update(cre=cast.ravi),
        "exchanged": lambda lead: (
            LeadMaster.objects.filter(pk=lead.pk).update(cre=cast.ravi),
            make_lead(cast.asha, updated_at=lead.updated_at),
        ),
        "five minutes later": lambda lead: None,
    }


@pytest.mark.parametrize(
    "change", ["saved", "touched", "recorded", "closed", "taken away", "exchanged", "five minutes later"]
)
def test_whatever_changes_a_row_is_news(cast: Cast, asha: Client, change: str) -> None:
    with time_machine.travel(NOW, tick=False) as clock:
        lead = make_lead(cast.asha, updated_at=NOW - DAY)
        address = again(html_of(asha, tab="untouched"))
        assert news(asha, address).status_code == 204
        changes(cast)[change](lead)
        if change == "five minutes later":
            clock.shift(timedelta(minutes=5))
        assert news(asha, address).status_code == 200


def test_news_keep_to_the_page_that_is_open(cast: Cast, asha: Client) -> None:
    leads_of(cast, *[{"created_at": NOW - number * HOUR} for number in range(60)])
    first = html_of(asha, tab="untouched")
    second = asha.get(DESK + link(first, "next")).text
    make_lead(cast.asha, created_at=NOW + HOUR)
    assert uids(news(asha, again(second)).text) == uids(second)


@pytest.mark.parametrize("seen", ["", "nonsense", "1.2.3", "....", "9" * 400, "\x00", ".".join(["x"] * 11)])
def test_a_strange_look_gets_the_whole_list_without_words(cast: Cast, asha: Client, seen: str) -> None:
    lead = make_lead(cast.asha)
    told = asha.get(f"{DESK}/news", {"tab": "untouched", "seen": seen})
    assert told.status_code == 200
    assert uids(told.text) == [lead.uid]
    assert "data-say" not in told.text


@given(st.text())
def test_no_words_about_news_break(seen: str) -> None:
    Counts(dict.fromkeys(TABS, 1), 0, "x", timezone.now()).news(seen)


# --- What it costs ----------------------------------------------------------------------------------------------


def statements(client: Client, path: str, **query: Any) -> int:
    """What a page costs somebody who has opened one before: the person and the session are then kept."""
    client.get(path, query)
    with CaptureQueriesContext(connection) as counted:
        assert client.get(path, query).status_code == 200
    return len(counted)


def fill(cast: Cast, number: int) -> None:
    ps = {"ps": cast.kiran, "ps_assigned_at": NOW, "branch": cast.attapur}
    for count in range(number):
        for fields in (*ONE_OF.values(), spoken_to(**ps), won(), lost()):
            lead = make_lead(cast.asha, **{"lead_category": "Hot", **fields})
            attempt(lead, cast.asha, LeadMaster.objects.count(), "RNR")
            if lead.final_status == "Pending" and count % 2:
                tell_owner(uid=lead.uid, phone=lead.customer_mobile_number, remark="", actor=cast.ravi)
            if lead.ps:
                PSFollowup.objects.create(lead=lead, ps=cast.kiran, branch=cast.attapur, assigned_by=cast.asha)


def test_every_tab_costs_the_same_at_2_rows_and_at_50(cast: Cast, asha: Client) -> None:
    fill(cast, 2)
    at_two = {tab: statements(asha, DESK, tab=tab) for tab in TABS}
    filtered = {"category": "Hot", "period": "month", "source": "META"}
    assert at_two == {tab: 5 if tab == "repeats" else 6 for tab in TABS}
    at_two_filtered = {tab: statements(asha, DESK, tab=tab, **filtered) for tab in TABS}
    fill(cast, 50)
    assert {tab: statements(asha, DESK, tab=tab) for tab in TABS} == at_two
    assert {tab: statements(asha, DESK, tab=tab, **filtered) for tab in TABS} == at_two_filtered
    assert max(at_two_filtered.values()) == 6


def test_nothing_new_costs_two_statements_however_many_rows(cast: Cast, asha: Client) -> None:
    for number in (2, 20):
        fill(cast, number)
        address = again(html_of(asha, tab="pending"))
        with CaptureQueriesContext(connection) as counted:
            assert news(asha, address).status_code == 204
        assert len(counted) == 2


def test_counts_are_those_of_the_tabs(cast: Cast, every_kind: None) -> None:
    now = NOW + HOUR
    counts = board.count(cast.asha, Filters(), now)
    for key, tab in TABS.items():
        if tab is not board.REPEATS:
            assert counts.of[key] == LeadMaster.objects.filter(tab.within(now), cre=cast.asha).count(), key
    assert counts.of["repeats"] == 0


def test_the_filter_offers_who_and_what_there_is(cast: Cast, asha: Client) -> None:
    page = html_of(asha)
    for name in directory().branches.values():
        assert f">{name}</option>" in page
    assert f'<option value="{cast.sunil.pk}">Sunil</option>' in page
    assert '<option value="OEM">OEM</option>' in page
