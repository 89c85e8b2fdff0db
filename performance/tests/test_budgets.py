"""What an address of the desk may cost: SQL statements of a warm request, bytes of its compressed page; never times.

All statements of the request count, the session's, the person's and savepoints too, but for BEGIN and COMMIT. With two
rows of everything and with fifty, the number is the same. Which index a statement uses is tested in
crm/tests/test_indexes.py, what a page weighs with all its files in crm/tests/test_feel.py.
"""

import gzip
import re
from collections.abc import Callable
from datetime import timedelta
from typing import Any, NamedTuple
from uuid import uuid4

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import get_resolver, resolve
from django.utils import timezone

from accounts.models import User
from conftest import PASSWORD, Cast
from followups import kept
from followups.recorder import record_waiting
from leads.capture import Captured
from leads.models import LeadMaster
from leads.services import capture_lead, tell_owner
from leads.tests.factories import enquiry, make_lead, phone
from performance import timings
from performance.models import Optimization
from performance.page_views import NOT_READ

pytestmark = pytest.mark.django_db(transaction=True)
KB = 1000


class Page(NamedTuple):
    who: str
    path: str
    statements: int
    most_bytes: int


class Saved(NamedTuple):
    """`typed` makes ready what a POST needs, outside the count, and gives its path and fields."""

    who: str
    name: str
    statements: int
    status: int
    typed: Callable[[Cast], tuple[str, dict[str, str]]]


# --- Pages --------------------------------------------------------------------------------------------------

PAGES = [
    Page("", "/login", 0, 2 * KB),
    Page("asha", "/", 0, 1 * KB),
    Page("asha", "/password", 0, 4 * KB),
    Page("asha", "/my_speed", 1, 6 * KB),
    # Who takes leads now is looked up anew, and so are the sources.
    Page("asha", "/add_lead", 3, 6 * KB),
    Page("asha", "/cre_dashboard?tab=untouched", 6, 9 * KB),
    Page("asha", "/cre_dashboard?tab=pending", 6, 9 * KB),
    Page("asha", "/cre_dashboard?tab=won", 6, 9 * KB),
    Page("asha", "/cre_dashboard?tab=lost", 6, 9 * KB),
    Page("asha", "/cre_dashboard?tab=repeats", 5, 9 * KB),
    Page("asha", "/cre_dashboard/news?tab=pending", 6, 8 * KB),
    Page("asha", "/cre_analytics", 1, 7 * KB),
    Page("asha", "/lead/{given}", 7, 6 * KB),
    Page("asha", "/update_lead/{given}", 7, 8 * KB),
    Page("asha", "/search?q=Ramesh", 1, 7 * KB),
    Page("kiran", "/ps_dashboard?tab=fresh", 6, 12 * KB),
    Page("kiran", "/ps_dashboard?tab=today", 4, 12 * KB),
    Page("kiran", "/ps_analytics", 2, 7 * KB),
    Page("kiran", "/accept/{given}", 2, 4 * KB),
    Page("kiran", "/update_ps_lead/{given}", 7, 8 * KB),
    Page("kiran", "/lead/{given}", 8, 6 * KB),
    Page("head", "/branch_head_dashboard", 4, 8 * KB),
    Page("reception", "/rec_dashboard", 3, 8 * KB),
    Page("meera", "/lead/{lost}", 7, 5 * KB),
    Page("meera", "/lead/{lost}/reopen", 1, 4 * KB),
    Page("meera", "/update_lead/{given}", 8, 8 * KB),
    Page("meera", "/performance_metrics", 25, 24 * KB),
    Page("meera", "/performance_metrics/part/now", 3, 8 * KB),
    Page("meera", "/performance_metrics/part/charts", 0, 5 * KB),
    Page("meera", "/performance_metrics/part/caches", 0, 3 * KB),
    # The longer a database has been in use, the more there is to say of each index: how often it was used, and when.
    Page("meera", "/performance_metrics/part/database", 17, 9 * KB),
    Page("meera", "/performance_metrics/part/optimize", 18, 4 * KB),
    Page("meera", "/performance_metrics/part/tests", 3, 4 * KB),
    Page("meera", "/performance_metrics/part/reports", 1, 2 * KB),
    Page("meera", "/performance_metrics/jobs/{job}", 1, 4 * KB),
]
# The desk as its person finds it again, as long as nothing of theirs was saved: without a statement.
KEPT = [page.path for page in PAGES if page.path.startswith("/cre_dashboard?")]
# For programs: they have tests of their own.
OTHERS = {"healthz", "readyz", "metrics"}


# --- What is saved ------------------------------------------------------------------------------------------


def a_lead(**fields: str) -> dict[str, str]:
    follow_up = timezone.localtime() + timedelta(days=2)
    return {
        "customer_name": "Anil Rao",
        "customer_mobile_number": phone(),
        "source": "META",
        "subsource": "Meta Know",
        "lead_status": "Interested",
        "follow_up_date": f"{follow_up:%Y-%m-%dT%H:%M}",
        **fields,
    }


def given(cast: Cast, **fields: Any) -> LeadMaster:
    """A lead of Asha's that Kiran has."""
    typed = enquiry(branch_id=cast.attapur.pk, ps_id=cast.kiran.pk, **fields)
    captured: Captured = capture_lead(typed, cast.asha)
    return LeadMaster.objects.get(uid=captured.uid)


OF_KIRAN = {"branch": "ATTAPUR", "ps_name": "kiran"}


def phone_of(cast: Cast) -> str:
    return given(cast).customer_mobile_number


def known(cast: Cast, **fields: str) -> dict[str, str]:
    return a_lead(customer_mobile_number=phone_of(cast), **fields)


def told(lead: LeadMaster, **fields: str) -> dict[str, str]:
    return {"version": str(lead.version), "remark": "Rang", **fields}


def asked_again(cast: Cast) -> dict[str, str]:
    lead = given(cast)
    return {"uid": lead.uid, "phone": lead.customer_mobile_number, "remark": "Called us"}


def lost(cast: Cast) -> LeadMaster:
    reason = "Not Interested"
    return make_lead(cast.asha, final_status="Lost", lead_status=reason, lost_reason=reason, lost_at=timezone.now())


def update(cast: Cast, address: str, status: str) -> tuple[str, dict[str, str]]:
    lead = given(cast)
    return f"/{address}/{lead.uid}", told(lead, lead_status=status)


def reopening(cast: Cast) -> tuple[str, dict[str, str]]:
    lead = lost(cast)
    return f"/lead/{lead.uid}/reopen", {"version": str(lead.version), "reason": "Called us again"}


SIGN_IN = {"username": "asha", "password": PASSWORD}
SAVED = [
    Saved("asha", "lead, by a program", 1, 201, lambda cast: ("/add_lead_optimized", a_lead(**OF_KIRAN))),
    Saved("asha", "lead, by the form", 1, 201, lambda cast: ("/add_lead", a_lead(**OF_KIRAN))),
    Saved("asha", "duplicate", 1, 409, lambda cast: ("/add_lead_optimized", known(cast))),
    Saved("asha", "repeat", 1, 200, lambda cast: ("/add_lead_optimized", known(cast, source="OEM", subsource="Web"))),
    Saved("asha", "duplicate check", 1, 200, lambda cast: ("/check_duplicate_lead", {"phone_number": phone_of(cast)})),
    Saved("asha", "known number in the form", 1, 200, lambda cast: ("/add_lead/known", known(cast))),
    Saved("ravi", "telling the owner", 7, 302, lambda cast: ("/add_lead/tell", asked_again(cast))),
    Saved("asha", "update", 3, 302, lambda cast: update(cast, "update_lead", "RNR")),
    Saved("asha", "update that closes", 5, 302, lambda cast: update(cast, "update_lead", "Not Interested")),
    Saved("asha", "carried over", 8, 200, lambda cast: (f"/update_lead/{given(cast).uid}/carry", a_lead())),
    Saved("asha", "next call", 3, 302, lambda cast: ("/next_call", {})),
    Saved("kiran", "PS’s update", 4, 302, lambda cast: update(cast, "update_ps_lead", "RNR")),
    Saved("kiran", "PS’s update that closes", 5, 302, lambda cast: update(cast, "update_ps_lead", "Not Interested")),
    Saved("kiran", "got it", 2, 302, lambda cast: (f"/accept/{given(cast).uid}", {})),
    Saved("meera", "reopening", 4, 302, reopening),
    Saved("meera", "clearing the caches", 1, 303, lambda cast: ("/api/clear_cache", {"cache": "all"})),
    Saved(
        "meera",
        "asking what could be put in order",
        10,
        303,
        lambda cast: ("/api/apply_database_optimizations", {"dry_run": "true"}),
    ),
    Saved(
        "meera",
        "live test of one round",
        28,
        303,
        lambda cast: ("/performance_metrics/test", {"test": "duplicate_check", "rounds": "1"}),
    ),
    Saved("", "signing in", 8, 302, lambda cast: ("/login", SIGN_IN)),
    Saved("asha", "signing out", 3, 302, lambda cast: ("/logout", {})),
]


# --- Looked at ----------------------------------------------------------------------------------------------


def fill(cast: Cast, number: int) -> None:
    """So many of everything that a list shows, and on each list's leads calls and repeats."""
    now = timezone.now()
    for _ in range(number):
        lead = given(cast, pipeline="walk-in")
        tell_owner(uid=lead.uid, phone=lead.customer_mobile_number, remark="Asked again", actor=cast.ravi)
        make_lead(cast.asha)
        make_lead(cast.asha, first_call_at=now, lead_status="Interested", follow_up_at=now, first_remark="Rang")
        make_lead(cast.asha, final_status="Won", lead_status="Booked", won_at=now)
        lost(cast)
    record_waiting()


def happen(cast: Cast, lead: LeadMaster, number: int) -> None:
    """So many calls by both, on one lead."""
    for count in range(number):
        for who, path in ((cast.asha, "update_lead"), (cast.kiran, "update_ps_lead")):
            lead.refresh_from_db()
            answer = signed_in(who).post(f"/{path}/{lead.uid}", told(lead, lead_status="RNR", remark=f"Rang {count}"))
            assert answer.status_code == 302, answer.text
    record_waiting()


def signed_in(who: User | None) -> Client:
    client = Client(headers={"accept": "text/html", "accept-encoding": "gzip"})
    if who:
        client.force_login(who)
        client.get("/")  # from here on the person is known without a look at the database
    return client


def statements(ask: Callable[[], Any]) -> list[str]:
    with CaptureQueriesContext(connection) as counted:
        ask()
    return [query["sql"] for query in counted if not re.match("BEGIN|COMMIT", query["sql"])]


def asked(client: Client, path: str) -> tuple[int, int]:
    """The statements and bytes of a page that is opened for the second time."""
    client.get(path)
    answers: list[Any] = []
    counted = statements(lambda: answers.append(client.get(path)))
    (answer,) = answers
    assert answer.status_code in (200, 302), (path, answer.status_code)
    assert NOT_READ.encode() not in _unpacked(answer), path
    return len(counted), len(answer.content)


def _unpacked(answer: Any) -> bytes:
    content: bytes = answer.content
    return gzip.decompress(content) if answer.headers.get("Content-Encoding") == "gzip" else content


def costs_of_pages(cast: Cast, rows: dict[str, str]) -> dict[Page, tuple[int, int]]:
    return {page: asked(signed_in(person(cast, page.who)), page.path.format(**rows)) for page in PAGES}


def costs_of_saves(cast: Cast) -> dict[Saved, int]:
    """The statements of each POST, the second of its kind."""
    return {saved: [_posted(cast, saved) for _ in range(2)][1] for saved in SAVED}


def _posted(cast: Cast, saved: Saved) -> int:
    client = signed_in(person(cast, saved.who))
    path, fields = saved.typed(cast)
    answers: list[Any] = []
    counted = statements(lambda: answers.append(client.post(path, fields)))
    assert answers[0].status_code == saved.status, (saved.name, answers[0].text)
    return len(counted)


def person(cast: Cast, name: str) -> User | None:
    return getattr(cast, name) if name else None


@pytest.fixture
def nothing_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(kept, "KEEP", timedelta(0))


# --- The tests ----------------------------------------------------------------------------------------------


def test_every_page_keeps_to_its_budget_at_2_rows_and_at_50(cast: Cast, nothing_kept: None, quiet: None) -> None:
    lead = given(cast)
    job = Optimization.objects.create(asked_by=cast.meera, state="done", ended_at=timezone.now())
    rows = {"given": lead.uid, "lost": lost(cast).uid, "job": str(job.pk)}
    fill(cast, 2)
    happen(cast, lead, 2)
    at_two = costs_of_pages(cast, rows)
    fill(cast, 48)
    happen(cast, lead, 10)
    timings.flush()
    at_fifty = costs_of_pages(cast, rows)
    grown = {page: (count, at_fifty[page][0]) for page, (count, _) in at_two.items() if at_fifty[page][0] != count}
    assert grown == {}, "statements at 2 rows and at 50"
    over = {
        page: (count, size)
        for page, (count, size) in at_fifty.items()
        if count > page.statements or size > page.most_bytes
    }
    assert over == {}, "statements and bytes"


def test_a_desk_that_is_kept_costs_no_statement(cast: Cast, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(kept, "CLOCKS_DIFFER", 0)
    fill(cast, 3)
    assert {path: asked(signed_in(cast.asha), path)[0] for path in KEPT} == dict.fromkeys(KEPT, 0)


def test_every_save_keeps_to_its_budget_at_2_rows_and_at_50(cast: Cast) -> None:
    fill(cast, 2)
    at_two = costs_of_saves(cast)
    fill(cast, 48)
    assert costs_of_saves(cast) == at_two, "statements at 50 rows and at 2"
    over = {saved.name: (count, saved.statements) for saved, count in at_two.items() if count > saved.statements}
    assert over == {}, "statements, and how many are allowed"


def test_every_address_of_the_desk_has_a_budget(cast: Cast) -> None:
    uid = given(cast).uid
    paths = {page.path.split("?")[0].format(given=uid, lost=uid, job=uuid4()) for page in PAGES}
    paths |= {saved.typed(cast)[0] for saved in SAVED}
    with_budget = {resolve(path).url_name for path in paths}
    all_names = {name for name in get_resolver().reverse_dict if isinstance(name, str)}
    assert all_names - OTHERS == with_budget
