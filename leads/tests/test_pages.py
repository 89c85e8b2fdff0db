"""The pages for leads, without a browser: the form, the look-up, telling an owner, lists, a lead's page."""

import re
import uuid
from datetime import timedelta
from typing import Any

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from accounts.models import User
from conftest import Cast
from followups.models import EmailState, Kind, Outbox, PSFollowup, State
from followups.recorder import record_waiting
from leads.models import DuplicateLead, LeadMaster
from leads.services import capture_lead, tell_owner
from leads.tests.factories import enquiry, make_lead

HTMX = {"HX-Request": "true"}
HOSTILE = "<script>alert(1)</script>"


@pytest.fixture
def asha(cast: Cast) -> Client:
    return signed_in(cast.asha)


def signed_in(user: User) -> Client:
    client = Client()
    client.force_login(user)
    return client


def typed(**fields: str) -> dict[str, str]:
    return {
        "customer_mobile_number": "98480 12345",
        "customer_name": "Suma Latha",
        "source": "META",
        "subsource": "Meta Know",
        "lead_status": "RNR",
        "request_id": str(uuid.uuid4()),
        **fields,
    }


def add(client: Client, *, htmx: bool = False, **fields: str) -> Any:
    return client.post("/add_lead", typed(**fields), headers=HTMX if htmx else {})


# --- Adding a lead ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("path", ["/add_lead", "/add_lead/known", "/add_lead/tell"])
@pytest.mark.parametrize("who", ["kiran", "head", "reception"])
def test_only_cres_and_supervisors_add_leads(cast: Cast, who: str, path: str) -> None:
    assert signed_in(getattr(cast, who)).post(path, typed()).status_code == 403
    assert LeadMaster.objects.count() == 0


def test_the_form_offers_the_catalogue_and_who_takes_leads_now(cast: Cast, asha: Client) -> None:
    asha.get("/add_lead")
    User.objects.filter(pk=cast.latha.pk).update(available=False)
    page = asha.get("/add_lead").text
    assert f'<option value="{cast.kiran.pk}">Kiran</option>' in page
    assert ">Latha<" not in page, "read anew when the page is opened"
    assert '<optgroup label="OEM">' in page
    assert '<optgroup label="Not reached">' in page
    assert "Lead Already Assigned" not in page
    assert '"Interested": {"follow_up": "required", "days": 3,' in page


def test_a_saved_lead_is_shown_above_an_empty_form_with_a_new_request_id(cast: Cast, asha: Client) -> None:
    form = typed(remark="Call after six")
    answer = asha.post("/add_lead", form)
    lead = LeadMaster.objects.get()
    assert answer.status_code == 201
    assert f'href="/lead/{lead.uid}"' in answer.text
    assert re.search(r"saved\s+in (\d+ ms|under 1 ms)", answer.text)
    assert "98480 12345" not in answer.text
    assert form["request_id"] not in answer.text
    assert "autofocus" in answer.text


def test_htmx_gets_the_form_alone_and_a_browser_the_whole_page(asha: Client) -> None:
    assert "<html" in add(asha).text
    assert "<html" not in add(asha, htmx=True, customer_mobile_number="98480 54321").text


def test_errors_stand_at_their_fields_and_nothing_typed_is_lost(asha: Client) -> None:
    fields = {
        "customer_mobile_number": "123",
        "customer_name": HOSTILE,
        "source": "OEM",
        "subsource": "",
        "lead_status": "Interested",
        "remark": "Two lines\nof it",
        "request_id": "9f0e2a52-54a4-4aa3-b9f4-8c8e2ff59a11",
    }
    answer = asha.post("/add_lead", fields)
    assert answer.status_code == 422
    assert LeadMaster.objects.count() == 0
    for field in ["customer_mobile_number", "subsource", "follow_up_date"]:
        assert re.search(rf'id="id_{field}"[^>]*aria-describedby="id_{field}_error"', answer.text) or re.search(
            rf'aria-describedby="id_{field}_error"[^>]*id="id_{field}"', answer.text
        ), field
        assert f'id="id_{field}_error"' in answer.text
    assert "“Interested” needs a follow-up time." in answer.text
    assert 'value="123"' in answer.text
    assert "&lt;script&gt;alert(1)&lt;/script&gt;" in answer.text
    assert HOSTILE not in answer.text
    assert '<option value="OEM" selected>' in answer.text
    assert "Two lines\nof it" in answer.text
    assert fields["request_id"] in answer.text, "a retry of this form stays one form"


def test_a_ps_who_has_just_gone_on_leave_is_said_at_the_field(cast: Cast, asha: Client) -> None:
    asha.get("/add_lead")
    User.objects.filter(pk=cast.kiran.pk).update(available=False)
    answer = add(asha, branch=str(cast.attapur.pk), ps_name=str(cast.kiran.pk))
    assert answer.status_code == 422
    assert "This PS takes no new leads at this branch: choose another." in answer.text
    assert LeadMaster.objects.count() == 0


def test_the_same_form_sent_twice_makes_one_lead(asha: Client) -> None:
    form = typed()
    first, second = asha.post("/add_lead", form), asha.post("/add_lead", form)
    assert (first.status_code, second.status_code) == (201, 201)
    assert "Saved before as" in second.text
    assert LeadMaster.objects.count() == 1


def test_ones_own_open_lead_is_linked_and_the_form_stays_filled(cast: Cast, asha: Client) -> None:
    add(asha)
    uid = LeadMaster.objects.get().uid
    answer = add(asha, customer_name="Suma again")
    assert answer.status_code == 409
    assert f'action="/update_lead/{uid}/carry"' in answer.text
    assert "Record this call on it" in answer.text
    assert answer.text.count('name="typed_by" value="asha"') == 2, "both forms may outlive a sign-out"
    assert 'value="Suma again"' in answer.text
    assert "Tell the owner" not in answer.text


def test_a_colleagues_lead_is_masked_and_its_owner_can_be_told(cast: Cast, asha: Client) -> None:
    add(signed_in(cast.ravi), customer_name="Suma Latha")
    uid = LeadMaster.objects.get().uid
    answer = add(asha, customer_name="S", remark="Asks for a test drive")
    assert answer.status_code == 409
    assert "S••••• L." in answer.text
    assert "Suma Latha" not in answer.text
    assert f'href="/lead/{uid}"' not in answer.text
    assert "Tell the owner" in answer.text
    told = asha.post(
        "/add_lead/tell",
        {"uid": uid, "phone": "+919848012345", "remark": "Asks for a test drive"},
        follow=True,
    )
    assert "Told: Ravi will hear" in told.text
    assert DuplicateLead.objects.get().remark == "Asks for a test drive"
    assert Outbox.objects.filter(kind=Kind.ALERT).count() == 1


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"phone": "+919848099999"}, "no longer open"),
        ({"phone": "x"}, "no longer open"),
        ({"uid": "M-00000-0000000"}, "no longer open"),
        ({"remark": "x" * 1001}, "at most 1000 characters"),
    ],
)
def test_nobody_is_told_without_the_leads_own_number(
    cast: Cast, asha: Client, fields: dict[str, str], words: str
) -> None:
    lead = make_lead(cast.ravi, customer_mobile_number="+919848012345")
    sent = {"uid": lead.uid, "phone": "+919848012345", "remark": "", **fields}
    answer = asha.post("/add_lead/tell", sent, headers=HTMX)
    assert "Nobody was told" in answer.text
    assert words in answer.text
    assert DuplicateLead.objects.count() == 0


def test_a_repeat_shows_the_card_and_an_empty_form(cast: Cast, asha: Client) -> None:
    add(signed_in(cast.ravi))
    answer = add(asha, source="OEM", subsource="Web")
    assert answer.status_code == 200
    assert "Added to the customer’s open lead" in answer.text
    assert "now from OEM Web" in answer.text
    assert "S••••• L." in answer.text
    assert 'href="/lead/' not in answer.text, "it is not hers to open"
    assert "98480 12345" not in answer.text


def look(client: Client, **fields: str) -> str:
    return client.post("/add_lead/known", typed(**fields), headers=HTMX).text


def test_the_look_up_says_what_saving_would_do(cast: Cast, asha: Client) -> None:
    assert "A new customer" in look(asha)
    assert "too few or too many digits" in look(asha, customer_mobile_number="12345")
    add(signed_in(cast.ravi))
    uid = LeadMaster.objects.get().uid
    assert "S••••• L." in look(asha)
    assert "Tell the owner" in look(asha)
    assert "now from OEM Web" in look(asha, source="OEM", subsource="Web")
    assert "Tell the owner" not in look(asha, source="OEM", subsource="Web")
    ravis = look(signed_in(cast.ravi))
    assert "Suma Latha" in ravis
    assert f'data-carry="/update_lead/{uid}/carry">Record this call on it' in ravis


# --- Lists --------------------------------------------------------------------------------------------------


def queries(client: Client, path: str) -> int:
    """What a page costs somebody who has opened one before: the person and the session are then kept."""
    client.get(path)
    with CaptureQueriesContext(connection) as counted:
        assert client.get(path).status_code == 200
    return len(counted)


def fill(cast: Cast, number: int) -> None:
    for _ in range(number):
        captured = capture_lead(enquiry(branch_id=cast.attapur.pk, ps_id=cast.kiran.pk, pipeline="walk-in"), cast.asha)
        tell_owner(
            uid=captured.uid,
            phone=LeadMaster.objects.get(uid=captured.uid).customer_mobile_number,
            remark="Asked again",
            actor=cast.ravi,
        )


@pytest.mark.parametrize(
    ("who", "path", "most"),
    [
        ("asha", "/cre_dashboard", 6),
        ("head", "/branch_head_dashboard", 5),
        ("reception", "/rec_dashboard", 5),
        ("kiran", "/ps_dashboard", 6),
    ],
)
def test_a_list_costs_the_same_at_2_rows_and_at_20(cast: Cast, who: str, path: str, most: int) -> None:
    client = signed_in(getattr(cast, who))
    fill(cast, 2)
    at_two = queries(client, path)
    fill(cast, 18)
    assert queries(client, path) == at_two <= most


def test_a_cre_sees_own_leads_alone_newest_first(cast: Cast, asha: Client) -> None:
    older = make_lead(cast.asha, customer_name="Older", created_at=timezone.now() - timedelta(days=1))
    newer = make_lead(cast.asha, customer_name=HOSTILE)
    make_lead(cast.ravi, customer_name="Somebody elses")
    page = asha.get("/cre_dashboard").text
    assert page.index(newer.uid) < page.index(older.uid)
    assert "Somebody elses" not in page
    assert HOSTILE not in page
    assert f'href="tel:{older.customer_mobile_number}"' in page


def test_an_empty_list_says_so(asha: Client) -> None:
    assert "You have no leads yet." in asha.get("/cre_dashboard").text


def test_branch_head_and_reception_see_their_branch(cast: Cast) -> None:
    make_lead(branch=cast.attapur, customer_name="Digital here")
    make_lead(branch=cast.attapur, customer_name="Walked in", pipeline="walk-in")
    make_lead(branch=cast.malakpet, customer_name="Elsewhere", pipeline="walk-in")
    head = signed_in(cast.head).get("/branch_head_dashboard").text
    assert "Digital here" in head
    assert "Walked in" in head
    assert "Elsewhere" not in head
    reception = signed_in(cast.reception).get("/rec_dashboard").text
    assert "Walked in" in reception
    assert "Digital here" not in reception
    assert "Elsewhere" not in reception


def test_a_late_follow_up_says_how_late(cast: Cast, asha: Client) -> None:
    make_lead(cast.asha, follow_up_at=timezone.now() - timedelta(hours=2, minutes=10))
    assert "2 h late" in asha.get("/cre_dashboard").text


def test_the_list_goes_on_past_its_first_page(cast: Cast, asha: Client) -> None:
    first = make_lead(cast.asha, created_at=timezone.now() - timedelta(days=1))
    for _ in range(50):
        make_lead(cast.asha)
    page = asha.get("/cre_dashboard").text
    assert first.uid not in page
    older = re.search(r'rel="next"\s+href="(\?page=[^"]+)"', page)
    assert older
    assert first.uid in asha.get(f"/cre_dashboard{older[1]}").text
    assert asha.get("/cre_dashboard?page=nonsense").status_code == 200


def test_a_search_opens_the_one_lead_or_offers_to_add_it(cast: Cast, asha: Client) -> None:
    lead = make_lead(cast.asha, customer_mobile_number="+919848012345")
    assert asha.get("/search?q=098480 12345").headers["Location"] == f"/lead/{lead.uid}"
    nothing = asha.get("/search?q=98480 54321").text
    assert "There is no lead with the number" in nothing
    assert 'href="/add_lead?phone=%2B919848054321"' in nothing
    assert 'value="+919848054321"' in asha.get("/add_lead?phone=%2B919848054321").text
    assert "Add this lead" not in signed_in(cast.kiran).get("/search?q=98480 54321").text
    assert HOSTILE not in asha.get("/search", {"q": HOSTILE}).text


# --- A lead's page ------------------------------------------------------------------------------------------


def captured_with_ps(cast: Cast) -> LeadMaster:
    captured = capture_lead(enquiry(branch_id=cast.attapur.pk, ps_id=cast.kiran.pk, remark="Wants blue"), cast.asha)
    return LeadMaster.objects.get(uid=captured.uid)


def test_a_lead_is_there_for_its_people_and_not_for_strangers(cast: Cast) -> None:
    lead = captured_with_ps(cast)
    for who in [cast.asha, cast.kiran, cast.head, cast.meera]:
        assert signed_in(who).get(f"/lead/{lead.uid}").status_code == 200, who
    for who in [cast.ravi, cast.latha, cast.sunil, cast.reception]:
        assert signed_in(who).get(f"/lead/{lead.uid}").status_code == 404, who


def test_the_page_asks_again_while_work_waits_and_stops_when_it_is_done(cast: Cast, asha: Client) -> None:
    lead = captured_with_ps(cast)
    page = asha.get(f"/lead/{lead.uid}").text
    assert "Captured from META · Meta Know" in page
    assert "Being recorded" in page
    assert "E-mail to kiran@example.com is waiting to be sent" in page
    again = re.search(r'hx-get="([^"]+)"\s+hx-trigger="every 2s"', page)
    assert again
    assert asha.get(again[1], headers=HTMX).status_code == 204, "nothing has changed"

    record_waiting()
    changed = asha.get(again[1], headers=HTMX)
    assert "CRE 1/1: RNR" in changed.text
    assert "<html" not in changed.text
    assert "Being recorded" not in changed.text

    Outbox.objects.all().delete()
    PSFollowup.objects.update(email_state=EmailState.SENT, email_sent_at=timezone.now())
    done = asha.get(again[1], headers=HTMX).text
    assert "E-mail sent to kiran@example.com" in done
    assert "hx-get" not in done


def test_a_mail_that_failed_says_why_and_one_that_is_retried_says_when(cast: Cast, asha: Client) -> None:
    lead = captured_with_ps(cast)
    record_waiting()
    Outbox.objects.update(tries=3, not_before=timezone.now() + timedelta(minutes=4))
    PSFollowup.objects.update(email_error="Connection refused.")
    waits = asha.get(f"/lead/{lead.uid}").text
    assert "waits after 3 tries (Connection refused); next try" in waits
    assert 'hx-trigger="every 20s"' in waits

    Outbox.objects.update(state=State.DEAD)
    PSFollowup.objects.update(email_state=EmailState.FAILED, email_error="550 No such user")
    failed = asha.get(f"/lead/{lead.uid}").text
    assert "failed: 550 No such user" in failed
    assert "hx-get" not in failed


def test_what_happened_is_told_in_order(cast: Cast, asha: Client) -> None:
    lead = captured_with_ps(cast)
    tell_owner(uid=lead.uid, phone=lead.customer_mobile_number, remark="Called again", actor=cast.ravi)
    record_waiting()
    page = asha.get(f"/lead/{lead.uid}").text
    told = ["Captured from", "CRE 1/1: RNR", "Given to Kiran, ATTAPUR", "The customer called a colleague"]
    places = [page.index(words) for words in told]
    assert places == sorted(places, reverse=True), "the newest stands on top"
    assert page.count("Wants blue") == 1, "the first remark is that of the call"


def test_a_leads_page_costs_the_same_however_much_happened(cast: Cast, asha: Client) -> None:
    lead = captured_with_ps(cast)
    at_first = queries(asha, f"/lead/{lead.uid}")
    record_waiting()
    for _ in range(10):
        tell_owner(uid=lead.uid, phone=lead.customer_mobile_number, remark="", actor=cast.ravi)
    assert queries(asha, f"/lead/{lead.uid}") <= at_first <= 9


def test_other_leads_of_the_customer_are_linked_if_one_may_see_them(cast: Cast, asha: Client) -> None:
    now = timezone.now()
    closed = {
        "lead_status": "Booked",
        "final_status": "Won",
        "won_at": now,
        "customer_mobile_number": "+919848012345",
    }
    own, ravis = make_lead(cast.asha, **closed), make_lead(cast.ravi, **closed)
    lead = make_lead(cast.asha, customer_mobile_number="+919848012345")
    page = asha.get(f"/lead/{lead.uid}").text
    assert f'href="/lead/{own.uid}"' in page
    assert ravis.uid not in page
