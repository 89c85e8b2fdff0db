"""“Got it” is said once, by the PS who has the lead, with a button; what is not accepted in time is shown."""

from collections.abc import Iterator
from datetime import datetime, timedelta
from html import unescape
from typing import Any

import pytest
import time_machine
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from accounts.models import User
from conftest import Cast
from followups import mail
from followups.acceptance import ACCEPT_WITHIN, CRE_LOOKS_BACK, accept, waited, waiting_for
from followups.models import Kind, Outbox, PSFollowup
from leads.models import LeadMaster
from leads.services import capture_lead
from leads.tests.factories import enquiry, make_lead

MINUTE, DAY = timedelta(minutes=1), timedelta(days=1)
HTMX = {"HX-Request": "true"}
# A Friday at noon, in working hours.
NOON = datetime(2026, 11, 20, 12, tzinfo=timezone.get_default_timezone())


@pytest.fixture(autouse=True)
def _at_noon() -> Iterator[None]:
    with time_machine.travel(NOON, tick=False):
        yield


def given(cast: Cast, ps: User, *, ago: timedelta = MINUTE, cre: User | None = None, **fields: Any) -> PSFollowup:
    """A lead that its CRE gave to `ps` so long ago."""
    cre = cre or cast.asha
    at = timezone.now() - ago
    assert ps.branch
    lead = make_lead(cre, ps=ps, ps_assigned_at=at, branch=ps.branch, customer_name="Suma Latha")
    return PSFollowup.objects.create(
        lead=lead, ps=ps, branch=ps.branch, assigned_by=cre, assigned_at=at, email_state="not needed", **fields
    )


def handed_on(followup: PSFollowup, ps: User) -> None:
    """The lead goes to another PS."""
    now = timezone.now()
    assert ps.branch
    PSFollowup.objects.filter(pk=followup.pk).update(closed_at=now)
    LeadMaster.objects.filter(pk=followup.lead.pk).update(ps=ps, ps_assigned_at=now)
    PSFollowup.objects.create(
        lead=followup.lead, ps=ps, branch=ps.branch, assigned_by=followup.assigned_by, assigned_at=now
    )


def accepted_at(followup: PSFollowup) -> datetime | None:
    followup.refresh_from_db()
    return followup.accepted_at


# --- “Got it” ---------------------------------------------------------------------------------------------------


def test_got_it_is_noted_once(cast: Cast) -> None:
    followup = given(cast, cast.kiran)
    first = accept(followup.lead_id, cast.kiran, NOON)
    again = accept(followup.lead_id, cast.kiran, NOON + DAY)
    assert first
    assert again
    assert accepted_at(followup) == first.accepted_at == again.accepted_at == NOON


def test_a_ps_accepts_nothing_but_open_leads_of_their_own(cast: Cast) -> None:
    followup = given(cast, cast.kiran)
    assert accept(followup.lead_id, cast.latha, NOON) is None
    handed_on(followup, cast.latha)
    assert accept(followup.lead_id, cast.kiran, NOON) is None
    assert not PSFollowup.objects.filter(accepted_at__isnull=False).exists()


def test_the_button_accepts_and_leads_back_with_words(client: Client, cast: Cast) -> None:
    followup = given(cast, cast.kiran)
    client.force_login(cast.kiran)
    desk = client.get("/ps_dashboard").text
    assert "Asha gave it to you on" in desk
    response = client.post(f"/accept/{followup.lead_id}", {"next": "/ps_dashboard?tab=fresh"}, follow=True)
    assert response.redirect_chain == [("/ps_dashboard?tab=fresh", 302)]
    assert "Suma Latha is yours to call" in response.text
    assert f'id="got-{followup.lead_id}"' not in response.text
    assert accepted_at(followup) == NOON


@pytest.mark.parametrize("wanted", ["https://evil.example/", "//evil.example/", "javascript:alert(1)", ""])
def test_it_leads_nowhere_but_to_the_desk(client: Client, cast: Cast, wanted: str) -> None:
    followup = given(cast, cast.kiran)
    client.force_login(cast.kiran)
    assert client.post(f"/accept/{followup.lead_id}", {"next": wanted})["Location"] == "/ps_dashboard"


def test_the_desk_gets_the_card_as_it_is_now(client: Client, cast: Cast) -> None:
    followup = given(cast, cast.kiran)
    client.force_login(cast.kiran)
    assert f'id="got-{followup.lead_id}"' in client.get("/ps_dashboard").text
    card = client.post(f"/accept/{followup.lead_id}", {"next": "/ps_dashboard?tab=fresh"}, headers=HTMX).text
    assert f'id="card-{followup.lead_id}"' in card
    assert "Suma Latha is yours to call." in card
    assert f'id="got-{followup.lead_id}"' not in card
    assert "data-focus" in card
    assert 'value="/ps_dashboard?tab=fresh"' in card
    assert "<html" not in card


def test_what_was_taken_away_meanwhile_is_said_in_words(client: Client, cast: Cast) -> None:
    followup = given(cast, cast.kiran)
    handed_on(followup, cast.latha)
    client.force_login(cast.kiran)
    assert "no longer yours" in client.post(f"/accept/{followup.lead_id}", headers=HTMX).text
    assert "no longer yours" in client.post(f"/accept/{followup.lead_id}", follow=True).text
    assert not PSFollowup.objects.filter(accepted_at__isnull=False).exists()


@pytest.mark.parametrize("headers", [{}, HTMX])
def test_a_strangers_lead_is_not_there(client: Client, cast: Cast, headers: dict[str, str]) -> None:
    followup = given(cast, cast.kiran)
    client.force_login(cast.latha)
    assert client.get(f"/accept/{followup.lead_id}", headers=headers).status_code == 404
    assert client.post(f"/accept/{followup.lead_id}", headers=headers).status_code == 404
    assert client.get("/accept/NO-SUCH", headers=headers).status_code == 404
    assert accepted_at(followup) is None


# --- The mail's link --------------------------------------------------------------------------------------------


def test_following_the_link_accepts_nothing_signed_in_or_not(client: Client, cast: Cast) -> None:
    followup = given(cast, cast.kiran)
    address = f"/accept/{followup.lead_id}"
    assert client.get(address)["Location"] == f"/login?next={address}"
    assert client.head(address).status_code == 302
    client.force_login(cast.kiran)
    page = client.get(address)
    assert page.status_code == 200
    assert "Suma Latha" in page.text
    assert "Asha gave you this lead on" in page.text
    assert "Got it" in page.text
    client.head(address)
    assert accepted_at(followup) is None


def test_the_big_button_accepts_and_shows_the_number_to_call(client: Client, cast: Cast) -> None:
    followup = given(cast, cast.kiran)
    address = f"/accept/{followup.lead_id}"
    client.force_login(cast.kiran)
    assert f'name="next" value="{address}"' in client.get(address).text
    page = client.post(address, {"next": address}, follow=True)
    assert page.redirect_chain == [(address, 302)]
    assert "You have had this lead since" in page.text
    assert "20 Nov, 12:00" in page.text
    assert f'href="tel:{followup.lead.customer_mobile_number}"' in page.text
    assert 'type="submit">Got it' not in page.text


def test_the_link_to_a_lead_that_is_with_somebody_else_says_so(client: Client, cast: Cast) -> None:
    followup = given(cast, cast.kiran)
    handed_on(followup, cast.latha)
    client.force_login(cast.kiran)
    page = client.get(f"/accept/{followup.lead_id}").text
    assert "it is with Latha now" in page
    assert 'type="submit">Got it' not in page


def test_the_link_to_a_closed_lead_says_so(client: Client, cast: Cast) -> None:
    followup = given(cast, cast.kiran)
    PSFollowup.objects.filter(pk=followup.pk).update(closed_at=NOON, final_status="Won")
    LeadMaster.objects.filter(pk=followup.lead.pk).update(
        lead_status="Booked", final_status="Won", won_at=NOON, last_attempt_at=NOON
    )
    client.force_login(cast.kiran)
    page = client.get(f"/accept/{followup.lead_id}").text
    assert "This lead is Won" in page
    assert 'type="submit">Got it' not in page


def test_who_has_the_mail_as_a_copy_is_led_to_the_lead(client: Client, cast: Cast) -> None:
    followup = given(cast, cast.kiran)
    for person in (cast.head, cast.asha, cast.meera):
        client.force_login(person)
        assert client.get(f"/accept/{followup.lead_id}")["Location"] == f"/lead/{followup.lead_id}"
        assert client.post(f"/accept/{followup.lead_id}").status_code == 403
    assert accepted_at(followup) is None


# --- Waiting ----------------------------------------------------------------------------------------------------


def who_waits(user: User, now: datetime = NOON) -> list[str]:
    return [lead.uid for lead in waiting_for(user, now)]


def test_a_lead_waits_once_its_working_minutes_are_over(cast: Cast) -> None:
    late = given(cast, cast.kiran, ago=ACCEPT_WITHIN * MINUTE)
    given(cast, cast.kiran, ago=ACCEPT_WITHIN * MINUTE - timedelta(seconds=1))
    assert who_waits(cast.head) == who_waits(cast.asha) == [late.lead_id]


def test_the_night_does_not_count(cast: Cast) -> None:
    late = given(cast, cast.kiran, ago=15 * timedelta(hours=1))  # at nine in the evening
    morning = NOON.replace(hour=9, minute=59)
    assert who_waits(cast.head, morning) == []
    assert who_waits(cast.head, morning + MINUTE) == [late.lead_id]


def test_what_is_accepted_or_closed_does_not_wait(cast: Cast) -> None:
    given(cast, cast.kiran, ago=DAY, accepted_at=NOON)
    given(cast, cast.kiran, ago=DAY, closed_at=NOON)
    assert who_waits(cast.head) == []
    assert who_waits(cast.asha) == []


def test_each_sees_what_concerns_them_and_nobody_else_does(cast: Cast) -> None:
    ashas = given(cast, cast.kiran, ago=3 * DAY)
    ravis = given(cast, cast.latha, ago=2 * DAY, cre=cast.ravi)
    elsewhere = given(cast, cast.sunil, ago=DAY)
    assert who_waits(cast.asha) == [ashas.lead_id, elsewhere.lead_id]
    assert who_waits(cast.ravi) == [ravis.lead_id]
    assert who_waits(cast.head) == [ashas.lead_id, ravis.lead_id]
    for nobody in (cast.kiran, cast.reception, cast.meera):
        assert who_waits(nobody) == []


def test_a_lead_that_was_handed_on_waits_for_the_new_ps(cast: Cast) -> None:
    followup = given(cast, cast.kiran, ago=DAY)
    handed_on(followup, cast.latha)
    assert who_waits(cast.head) == []
    (lead,) = waiting_for(cast.head, NOON + 40 * MINUTE)
    assert (lead.ps, lead.waited) == ("Latha", "40 min")


def test_the_longest_wait_stands_on_top_and_the_list_ends(cast: Cast) -> None:
    days = [given(cast, cast.kiran, ago=(number + 1) * DAY) for number in range(12)]
    assert who_waits(cast.head) == who_waits(cast.asha) == [row.lead_id for row in reversed(days[2:])]
    assert [lead.uid for lead in waiting_for(cast.head, NOON, limit=1)] == [days[-1].lead_id]


def test_what_has_waited_for_a_month_stays_before_the_branch_head_alone(cast: Cast) -> None:
    forgotten = given(cast, cast.kiran, ago=CRE_LOOKS_BACK + MINUTE)
    assert who_waits(cast.head) == [forgotten.lead_id]
    assert who_waits(cast.asha) == []


def test_it_takes_one_statement(cast: Cast) -> None:
    for person in (cast.head, cast.asha):
        for _ in range(3):
            given(cast, cast.kiran, ago=DAY)
            with CaptureQueriesContext(connection) as taken:
                waiting_for(person, NOON)
            assert len(taken) == 1


@pytest.mark.parametrize(
    ("ago", "words"),
    [
        (timedelta(0), "0 min"),
        (45 * MINUTE, "45 min"),
        (60 * MINUTE, "1 h"),
        (130 * MINUTE, "2 h 10 min"),
        (DAY, "1 working day"),
        (3 * DAY + 60 * MINUTE, "3 working days"),
    ],
)
def test_the_wait_is_told_in_working_time(ago: timedelta, words: str) -> None:
    assert waited(NOON - ago, NOON) == words


def test_the_branch_heads_page_shows_what_waits(client: Client, cast: Cast) -> None:
    client.force_login(cast.head)
    assert "Waiting for" not in client.get("/branch_head_dashboard").text
    followup = given(cast, cast.kiran, ago=DAY)
    page = unescape(client.get("/branch_head_dashboard").text)
    assert "Waiting for “Got it”" in page
    assert f"within {ACCEPT_WITHIN} working minutes" in page
    assert "waits 1 working day" in page
    assert "with Kiran" in page
    assert page.count(f"/lead/{followup.lead_id}") == 2


def test_a_ps_sees_on_the_card_that_it_waits(client: Client, cast: Cast) -> None:
    given(cast, cast.kiran, ago=10 * MINUTE)
    client.force_login(cast.kiran)
    assert "the branch head sees that" not in client.get("/ps_dashboard").text
    given(cast, cast.kiran, ago=45 * MINUTE)
    assert "It waits for you 45 min by now; the branch head sees that." in client.get("/ps_dashboard").text


# --- The mail ---------------------------------------------------------------------------------------------------


def test_the_mail_leads_to_the_button_and_to_the_lead(cast: Cast) -> None:
    captured = capture_lead(enquiry(branch_id=cast.attapur.pk, ps_id=cast.kiran.pk), cast.asha)
    row = Outbox.objects.get(kind=Kind.MAIL)
    message = mail.assigned(row, PSFollowup.objects.get())
    for body in (str(message.body), str(message.alternatives[0][0])):
        assert f"http://127.0.0.1:8000/accept/{captured.uid}" in body
        assert f"http://127.0.0.1:8000/lead/{captured.uid}" in body
    assert row.lead.pretty_phone in message.body
