"""The PS's desk: each lead in its tab, counts that are the rows, an outcome in two taps, news without a reload."""

import random
import re
from datetime import datetime, timedelta
from html import unescape
from itertools import product
from typing import Any

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from accounts.models import User
from conftest import Cast
from followups import buckets, desk
from followups.catalogue import FRESH, NON_CONTACTS, OUTCOMES, UNTOUCHED, FinalStatus
from followups.models import CallAttempt, Outbox, PSFollowup
from followups.recorder import record_waiting
from leads.models import LeadMaster
from leads.services import capture_lead, tell_owner
from leads.tests.factories import enquiry, make_lead

HOUR, DAY = timedelta(hours=1), timedelta(days=1)
HTMX = {"HX-Request": "true"}


def given(cast: Cast, ps: User, *, ago: timedelta = HOUR, reached: timedelta | None = None, **lead: Any) -> PSFollowup:
    """A lead of Asha's that was given to `ps` so long ago, and in which the PS has reached the customer or not."""
    now = timezone.now()
    at = now - ago
    assert ps.branch
    made = make_lead(cast.asha, ps=ps, ps_assigned_at=at, branch=ps.branch, **lead)
    return PSFollowup.objects.create(
        lead=made,
        ps=ps,
        branch=ps.branch,
        assigned_by=cast.asha,
        assigned_at=at,
        first_call_at=None if reached is None else now - reached,
        closed_at=made.closed_at,
        final_status="" if made.closed_at is None else made.final_status,
    )


def closed(final: FinalStatus, ago: timedelta = HOUR, **fields: Any) -> dict[str, Any]:
    at = timezone.now() - ago
    if final == FinalStatus.WON:
        return {"final_status": final.value, "lead_status": "Booked", "won_at": at, **fields}
    return {"final_status": final.value, "lead_status": "Dropped", "lost_reason": "Dropped", "lost_at": at, **fields}


def page(client: Client, user: User, tab: str = "", **query: str) -> str:
    client.force_login(user)
    response = client.get("/ps_dashboard", {**({"tab": tab} if tab else {}), **query})
    assert response.status_code == 200
    return response.text


def names(html: str) -> list[str]:
    """The customers on the cards, from the top."""
    return [unescape(name) for name in re.findall(r'id="name-[^>]*>([^<]*)</a>', html)]


def shown(html: str) -> dict[str, str]:
    """The count of each tab and part, by its label."""
    tabs = re.findall(r'ps-count">([^<]*)</span>\s*<span>([^<]*)</span>', html)
    parts = re.findall(r'id="part-\d"[^>]*>([^<]*) <span class="quiet">([^<]*)</span>', html)
    return {label: count for count, label in tabs} | dict(parts)


# --- What stands where ------------------------------------------------------------------------------------------


def test_each_open_lead_of_a_ps_is_new_tried_or_pending_and_only_one_of_them(cast: Cast) -> None:
    now = timezone.now()
    for outcome, reached, tried in product(OUTCOMES, (None, HOUR), (None, -DAY, HOUR)):
        if outcome.closes:
            continue
        fields: dict[str, Any] = {"first_call_at": now} if outcome.code not in FRESH else {}
        if outcome.code != UNTOUCHED or tried:
            fields["last_attempt_at"] = now - 2 * HOUR + (tried or timedelta(0))
        given(cast, cast.kiran, ago=2 * HOUR, reached=reached, lead_status=outcome.code, **fields)
    rows = {row.pk: row for row in PSFollowup.objects.select_related("lead")}
    assert len(rows) > 60
    new, tried_ones = (
        set(PSFollowup.objects.filter(q).values_list("pk", flat=True)) for q in (buckets.PS_NEW, buckets.PS_TRIED)
    )
    pending = set(PSFollowup.objects.filter(buckets.PS_PENDING).values_list("pk", flat=True))
    on_leads = LeadMaster.objects.filter(buckets.PS_PENDING_LEADS).values_list("followups__pk", flat=True)
    assert sorted(on_leads) == sorted(pending)
    assert len(new) + len(tried_ones) + len(pending) == len(rows) == len(new | tried_ones | pending)
    for pk, row in rows.items():
        at = row.lead.last_attempt_at
        if row.first_call_at:
            assert pk in pending
        elif row.lead.lead_status in NON_CONTACTS and at and at > row.assigned_at:
            assert pk in tried_ones
        else:
            assert pk in new


def test_fresh_holds_what_was_given_and_not_yet_reached_the_newest_first(client: Client, cast: Cast) -> None:
    given(cast, cast.kiran, customer_name="Early Bird", ago=2 * DAY)
    given(cast, cast.kiran, customer_name="Late Comer")
    given(cast, cast.kiran, customer_name="Spoken To", reached=HOUR)
    given(cast, cast.latha, customer_name="Lathas Own")
    html = page(client, cast.kiran)
    assert names(html) == ["Late Comer", "Early Bird"]
    assert shown(html)["Fresh"] == "2"


def test_fresh_is_narrowed_to_those_who_were_tried_and_those_who_were_not(client: Client, cast: Cast) -> None:
    given(cast, cast.kiran, customer_name="Not Yet", lead_status="Interested", first_call_at=timezone.now() - DAY)
    given(cast, cast.kiran, customer_name="Rang Once", lead_status="RNR")
    html = page(client, cast.kiran, "fresh")
    assert (shown(html)["All"], shown(html)["New"], shown(html)["Tried"]) == ("2", "1", "1")
    assert names(page(client, cast.kiran, "fresh", show="new")) == ["Not Yet"]
    assert names(page(client, cast.kiran, "fresh", show="tried")) == ["Rang Once"]


def test_today_holds_what_is_due_by_midnight_the_most_overdue_on_top(client: Client, cast: Cast) -> None:
    now = timezone.now()
    ends = buckets.day_ends(now)
    given(cast, cast.kiran, customer_name="Tonight", follow_up_at=ends - timedelta(microseconds=1))
    given(cast, cast.kiran, customer_name="Tomorrow", follow_up_at=ends)
    given(cast, cast.kiran, customer_name="Two Days Late", follow_up_at=now - 2 * DAY, reached=3 * DAY)
    given(cast, cast.kiran, customer_name="Nothing Agreed")
    html = page(client, cast.kiran, "today")
    assert names(html) == ["Two Days Late", "Tonight"]
    assert "2 d late" in html
    assert (shown(html)["Today"], shown(html)["Overdue"]) == ("2", "1")
    assert names(page(client, cast.kiran, "today", show="overdue")) == ["Two Days Late"]


def test_pending_holds_who_was_reached_what_matters_most_on_top_and_is_narrowed_by_category(
    client: Client, cast: Cast
) -> None:
    spoken: dict[str, Any] = {"reached": HOUR, "first_call_at": timezone.now(), "lead_status": "Test Drive"}
    given(cast, cast.kiran, customer_name="Cold", lead_category="Cold", priority=5, **spoken)
    given(cast, cast.kiran, customer_name="Hot", lead_category="Hot", priority=30, **spoken)
    given(cast, cast.kiran, customer_name="Unknown", priority=10, **spoken)
    given(cast, cast.kiran, customer_name="Fresh One", lead_category="Hot", priority=30)
    html = page(client, cast.kiran, "pending")
    assert names(html) == ["Hot", "Unknown", "Cold"]
    assert (shown(html)["All"], shown(html)["Hot"], shown(html)["Warm"], shown(html)["Cold"]) == ("3", "1", "0", "1")
    assert names(page(client, cast.kiran, "pending", show="cold")) == ["Cold"]
    assert names(page(client, cast.kiran, "pending", show="warm")) == []


def test_won_and_lost_are_two_sides_of_a_switch_the_latest_first(client: Client, cast: Cast) -> None:
    given(cast, cast.kiran, customer_name="Long Won", **closed(FinalStatus.WON, DAY))
    given(cast, cast.kiran, customer_name="Just Won", **closed(FinalStatus.WON))
    given(cast, cast.kiran, customer_name="Gone", **closed(FinalStatus.LOST))
    html = page(client, cast.kiran, "closed")
    assert names(html) == ["Just Won", "Long Won"]
    assert (shown(html)["Won / Lost"], shown(html)["Won"], shown(html)["Lost"]) == ("3", "2", "1")
    assert names(page(client, cast.kiran, "closed", show="lost")) == ["Gone"]
    assert "ps-quick" not in html


def test_a_lead_that_was_won_reopened_and_won_again_is_there_once(client: Client, cast: Cast) -> None:
    first = given(cast, cast.kiran, customer_name="Twice Won", **closed(FinalStatus.WON))
    PSFollowup.objects.create(
        lead=first.lead,
        ps=cast.kiran,
        branch=cast.attapur,
        assigned_by=cast.meera,
        closed_at=timezone.now(),
        final_status="Won",
    )
    assert names(page(client, cast.kiran, "closed")) == ["Twice Won"]


def test_test_drives_stand_latest_first_whatever_became_of_the_lead(client: Client, cast: Cast) -> None:
    now = timezone.now()
    given(cast, cast.kiran, customer_name="Drove Long Ago", test_drive_at=now - 9 * DAY)
    given(cast, cast.kiran, customer_name="Drove And Bought", test_drive_at=now - DAY, **closed(FinalStatus.WON))
    given(cast, cast.kiran, customer_name="Never Drove")
    html = page(client, cast.kiran, "drives")
    assert names(html) == ["Drove And Bought", "Drove Long Ago"]
    assert shown(html)["Test drives"] == "2"


def test_a_lead_that_was_taken_from_one_has_left_every_tab(client: Client, cast: Cast) -> None:
    taken = given(cast, cast.kiran, follow_up_at=timezone.now(), test_drive_at=timezone.now())
    now = timezone.now()
    PSFollowup.objects.filter(pk=taken.pk).update(closed_at=now)
    LeadMaster.objects.filter(pk=taken.lead.pk).update(ps=cast.latha, ps_assigned_at=now)
    assert {name: names(page(client, cast.kiran, name)) for name in desk.TABS} == {name: [] for name in desk.TABS}


def test_the_desk_opens_with_fresh_and_with_today_where_nothing_is_fresh(client: Client, cast: Cast) -> None:
    given(cast, cast.kiran, customer_name="Due", reached=DAY, follow_up_at=timezone.now())
    assert names(page(client, cast.kiran)) == ["Due"]
    given(cast, cast.kiran, customer_name="Brand New")
    assert names(page(client, cast.kiran)) == ["Brand New"]
    assert names(page(client, cast.kiran, "today")) == ["Due"]


@pytest.mark.parametrize("tab", desk.TABS.values(), ids=lambda tab: tab.name)
def test_an_empty_tab_says_what_to_do(client: Client, cast: Cast, tab: desk.Tab) -> None:
    assert tab.empty in unescape(page(client, cast.kiran, tab.name))


@pytest.mark.parametrize(
    "query", ["tab=nowhere", "tab=fresh&show=x", "tab=closed&show=", "page=%00", "tab=%00&seen=%00"]
)
def test_an_address_that_nobody_wrote_shows_the_desk(client: Client, cast: Cast, query: str) -> None:
    given(cast, cast.kiran, **closed(FinalStatus.WON))
    given(cast, cast.kiran)
    client.force_login(cast.kiran)
    response = client.get(f"/ps_dashboard?{query}")
    assert response.status_code == 200
    assert len(names(response.text)) == 1


def test_only_a_ps_has_this_desk(client: Client, cast: Cast) -> None:
    for person in (cast.asha, cast.head, cast.reception, cast.meera):
        client.force_login(person)
        assert client.get("/ps_dashboard").status_code == 403


# --- Many -------------------------------------------------------------------------------------------------------


def test_a_count_stops_where_it_would_cost_too_much(
    client: Client, cast: Cast, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(desk, "MOST", 3)
    for _ in range(4):
        given(cast, cast.kiran)
    assert shown(page(client, cast.kiran))["Fresh"] == "2+"


@pytest.mark.parametrize("tab", ["fresh", "today", "pending", "closed", "drives"])
def test_pages_go_forward_and_back_through_every_row_once(client: Client, cast: Cast, tab: str) -> None:
    now = timezone.now()
    kinds: dict[str, dict[str, Any]] = {
        "fresh": {},
        "today": {"follow_up_at": now},
        "pending": {"reached": HOUR},
        "closed": closed(FinalStatus.WON),
        "drives": {"test_drive_at": now},
    }
    for number in range(28):
        given(cast, cast.kiran, customer_name=f"Customer {number:02}", ago=timedelta(minutes=number), **kinds[tab])
    first = page(client, cast.kiran, tab)
    assert 'rel="prev"' not in first
    link = re.search(r'rel="next"\s+href="(\?[^"]*)"', first)
    assert link
    second = client.get(f"/ps_dashboard{unescape(link[1])}").text
    assert (len(names(first)), len(names(second))) == (25, 3)
    assert len({*names(first), *names(second)}) == 28
    assert 'rel="next"' not in second
    back = re.search(r'rel="prev"\s+href="(\?[^"]*)"', second)
    assert back
    assert names(client.get(f"/ps_dashboard{unescape(back[1])}").text) == names(first)


@pytest.mark.parametrize("tab", ["fresh", "today", "pending", "closed", "drives"])
def test_a_tab_takes_as_many_statements_for_two_rows_as_for_fifty(client: Client, cast: Cast, tab: str) -> None:
    now = timezone.now()

    def add(count: int) -> None:
        for _ in range(count):
            fields = closed(FinalStatus.WON) if tab == "closed" else {"follow_up_at": now - HOUR}
            row = given(cast, cast.kiran, reached=None if tab == "fresh" else HOUR, test_drive_at=now, **fields)
            CallAttempt.objects.create(
                lead=row.lead,
                role="ps",
                by=cast.kiran,
                call_no=1,
                attempt=1,
                lead_status="RNR",
                contacted=False,
                remark="Rang",
                final_status_before="Pending",
                final_status_after="Pending",
                called_at=now,
                outbox_id=row.pk,
            )

    def statements() -> list[str]:
        with CaptureQueriesContext(connection) as taken:
            assert "Rang" in client.get("/ps_dashboard", {"tab": tab}).text
        return [query["sql"] for query in taken]

    client.force_login(cast.kiran)
    add(2)
    statements()  # after this one the reader is known without a look at the database
    few = statements()
    add(48)
    many = statements()
    assert len(many) == len(few)
    assert len([sql for sql in many if "lead_master" in sql or "ps_followup" in sql or "call_attempt" in sql]) <= 6


def test_every_count_is_the_number_of_rows_behind_it(client: Client, cast: Cast) -> None:
    now = timezone.now()
    chance = random.Random(3)
    for _ in range(40):
        ended = chance.choice([None, None, None, FinalStatus.WON, FinalStatus.LOST])
        code = chance.choice(["RNR", "Interested", "Call me Back"])
        spoken = code == "Interested" or chance.random() < 0.5
        still_open = {
            "lead_status": code,
            "first_call_at": now if spoken else None,
            "last_attempt_at": now - chance.choice([2, 0]) * HOUR,
            "follow_up_at": now + chance.choice([-DAY, HOUR, DAY]),
        }
        given(
            cast,
            cast.kiran,
            reached=chance.choice([None, HOUR]),
            lead_category=chance.choice(["", "Hot", "Warm", "Cold"]),
            test_drive_at=chance.choice([None, now]),
            **(closed(ended) if ended else still_open),
        )
    for tab in desk.TABS.values():
        html = page(client, cast.kiran, tab.name)
        if tab.whole:
            assert shown(html)[tab.label] == str(len(names(html)))
        for show, label in tab.shows.items():
            assert shown(html)[label] == str(len(names(page(client, cast.kiran, tab.name, show=show))))


# --- A card -----------------------------------------------------------------------------------------------------


def test_a_card_says_what_one_needs_to_know_before_the_call(client: Client, cast: Cast) -> None:
    row = given(
        cast,
        cast.kiran,
        customer_name="<b>Suma</b>",
        customer_mobile_number="+919848012345",
        lead_status="RNR",
        lead_category="Hot",
        model_interested="450 Apex STD",
        attempts=3,
        enquiries=2,
    )
    html = page(client, cast.kiran)
    assert 'href="tel:+919848012345"' in html
    for words in [
        "&lt;b&gt;Suma",
        "RNR",
        "3 calls so far",
        "Hot",
        "450 Apex STD",
        "META · Meta Know",
        "CRE Asha",
        "2 enquiries",
    ]:
        assert words in html
    assert f"/lead/{row.lead_id}" in html
    assert "No follow-up agreed" in html


def test_the_last_remark_of_either_side_stands_on_the_card(client: Client, cast: Cast) -> None:
    captured = capture_lead(
        enquiry(branch_id=cast.attapur.pk, ps_id=cast.kiran.pk, remark="Wants it in blue"), cast.asha
    )
    record_waiting()
    row = PSFollowup.objects.get(lead__uid=captured.uid)
    Outbox.objects.all().delete()
    assert "Wants it in blue" in page(client, cast.kiran)
    lead = row.lead
    quiet = {
        "final_status_before": "Pending",
        "final_status_after": "Pending",
        "lead_status": "RNR",
        "contacted": False,
    }
    for number, remark in enumerate(["Asked about loans", ""], 1):
        CallAttempt.objects.create(
            lead=lead,
            role="ps",
            by=cast.kiran,
            call_no=1,
            attempt=number,
            remark=remark,
            called_at=timezone.now() + number * HOUR,
            outbox_id=-number,
            **quiet,
        )
    html = page(client, cast.kiran)
    assert "Asked about loans" in html
    assert "Wants it in blue" not in html


def test_a_customer_who_asked_again_is_among_the_repeats(client: Client, cast: Cast) -> None:
    captured = capture_lead(enquiry(branch_id=cast.attapur.pk, ps_id=cast.kiran.pk), cast.asha)
    lead = LeadMaster.objects.get(uid=captured.uid)
    tell_owner(uid=lead.uid, phone=lead.customer_mobile_number, remark="Wants it in blue", actor=cast.ravi)
    for tab in desk.TABS:
        html = page(client, cast.kiran, tab)
        assert "Wants it in blue" in html
        assert "Ravi" in html
    assert "Wants it in blue" not in page(client, cast.latha)


def test_a_search_finds_what_was_ever_given_to_one(client: Client, cast: Cast) -> None:
    followup = given(cast, cast.kiran)
    number = followup.lead.customer_mobile_number
    PSFollowup.objects.filter(pk=followup.pk).update(closed_at=timezone.now())
    client.force_login(cast.kiran)
    assert client.get("/search", {"q": number}).headers["Location"] == f"/lead/{followup.lead_id}"
    client.force_login(cast.sunil)
    assert "There is no lead" in client.get("/search", {"q": number}).text


# --- Two taps ---------------------------------------------------------------------------------------------------


def quick_form(html: str, uid: str) -> dict[str, str]:
    """What the browser sends with a tap on one of the quick outcomes, but for the button's own value."""
    form = html.split(f'action="/update_ps_lead/{uid}"')[1].split("</form>")[0]
    return {
        unescape(name): unescape(value)
        for name, value in re.findall(r'<input type="hidden"\s+name="([^"]*)"\s+value="([^"]*)"', form)
    }


def quick_buttons(html: str, uid: str) -> list[str]:
    form = html.split(f'action="/update_ps_lead/{uid}"')[1].split("</form>")[0]
    return re.findall(r'name="quick"\s+value="([^"]*)"', form)


def test_the_quick_outcomes_are_those_that_need_no_more_words(client: Client, cast: Cast) -> None:
    row = given(cast, cast.kiran)
    html = page(client, cast.kiran)
    assert quick_buttons(html, row.lead_id) == [
        "RNR",
        "Busy on another Call",
        "Call me Back",
        "Call Disconnected",
        "Call not Connected",
    ]
    assert "Other outcome…" in html


@pytest.mark.parametrize("tap", ["RNR", "Busy on another Call", "Call Disconnected", "Call not Connected"])
def test_a_second_tap_saves_the_outcome_and_leads_back(client: Client, cast: Cast, tap: str) -> None:
    row = given(cast, cast.kiran)
    html = page(client, cast.kiran, "fresh", show="new")
    response = client.post(f"/update_ps_lead/{row.lead_id}", {**quick_form(html, row.lead_id), "quick": tap})
    assert response.status_code == 302
    assert response["Location"] == "/ps_dashboard?tab=fresh&show=new"
    lead = LeadMaster.objects.get(pk=row.lead.pk)
    assert (lead.lead_status, lead.follow_up_at) == (tap, None)
    row.refresh_from_db()
    assert row.accepted_at is not None
    assert names(page(client, cast.kiran, "fresh", show="tried")) == [lead.customer_name]


def test_a_call_back_is_saved_for_the_time_that_the_button_names(client: Client, cast: Cast) -> None:
    row = given(cast, cast.kiran)
    html = page(client, cast.kiran)
    form = quick_form(html, row.lead_id)
    proposed = datetime.fromisoformat(form["at Call me Back"]).replace(tzinfo=timezone.get_default_timezone())
    assert f"at {proposed.hour}:{proposed:%M}" in html
    client.post(f"/update_ps_lead/{row.lead_id}", {**form, "quick": "Call me Back"})
    lead = LeadMaster.objects.get(pk=row.lead.pk)
    assert (lead.lead_status, lead.follow_up_at) == ("Call me Back", proposed)


def test_a_tap_that_arrives_twice_is_saved_once(client: Client, cast: Cast) -> None:
    row = given(cast, cast.kiran)
    form = {**quick_form(page(client, cast.kiran), row.lead_id), "quick": "RNR"}
    first, second = (client.post(f"/update_ps_lead/{row.lead_id}", form) for _ in range(2))
    assert (first.status_code, second.status_code) == (302, 302)
    assert Outbox.objects.filter(lead=row.lead).count() == 1


# --- News -------------------------------------------------------------------------------------------------------


def address_of_poll(html: str) -> str:
    found = re.search(r'hx-get="([^"]*)"', html.split('id="ps-desk"')[1])
    assert found
    return unescape(found[1])


def test_a_page_that_asks_again_hears_nothing_while_nothing_has_changed(client: Client, cast: Cast) -> None:
    given(cast, cast.kiran)
    given(cast, cast.latha)
    address = address_of_poll(page(client, cast.kiran, "fresh", show="new"))
    assert address.startswith("/ps_dashboard?tab=fresh&show=new&seen=")
    response = client.get(address, headers=HTMX)
    assert (response.status_code, response.content) == (204, b"")
    given(cast, cast.latha)
    assert client.get(address, headers=HTMX).status_code == 204


def test_a_new_lead_appears_and_is_announced(client: Client, cast: Cast) -> None:
    given(cast, cast.kiran)
    html = page(client, cast.kiran)
    assert "data-say" not in html
    given(cast, cast.kiran, ago=timedelta(0), customer_name="Brand New")
    answer = client.get(address_of_poll(html), headers=HTMX).text
    assert "Brand New" in answer
    assert 'data-say="1 new lead."' in answer
    assert "<html" not in answer
    given(cast, cast.kiran, ago=timedelta(0))
    assert 'data-say="2 new leads."' in client.get(address_of_poll(html), headers=HTMX).text
    assert client.get(address_of_poll(answer), headers=HTMX).status_code == 200


def test_other_changes_move_the_counts_in_silence(client: Client, cast: Cast) -> None:
    row = given(cast, cast.kiran, follow_up_at=timezone.now() + HOUR)
    html = page(client, cast.kiran, "today")
    PSFollowup.objects.filter(pk=row.pk).update(first_call_at=timezone.now())
    answer = client.get(address_of_poll(html), headers=HTMX)
    assert answer.status_code == 200
    assert shown(answer.text)["Pending"] == "1"
    assert "data-say" not in answer.text


def test_a_repeat_enquiry_is_news(client: Client, cast: Cast) -> None:
    row = given(cast, cast.kiran)
    html = page(client, cast.kiran)
    number = row.lead.customer_mobile_number
    tell_owner(uid=row.lead_id, phone=number, remark="Wants it in blue", actor=cast.ravi)
    assert "Wants it in blue" in client.get(address_of_poll(html), headers=HTMX).text


@pytest.mark.parametrize("seen", ["", "x", "-", "1-2", "99999999999999999999-1", "٣-1", "9" * 16 + "-1"])
def test_a_mark_that_nobody_gave_gets_the_whole_list_again(client: Client, cast: Cast, seen: str) -> None:
    given(cast, cast.kiran, customer_name="Still Here")
    client.force_login(cast.kiran)
    response = client.get("/ps_dashboard", {"tab": "fresh", "seen": seen}, headers=HTMX)
    assert response.status_code == 200
    assert "Still Here" in response.text
