"""The kept desk: nobody who wrote sees it as it was before, nobody else for longer than five minutes."""

import re
from collections.abc import Callable, Iterator
from contextlib import suppress
from datetime import timedelta
from typing import Any
from uuid import uuid4

import pytest
import time_machine
from django.core.cache import cache, caches
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from conftest import Cast
from followups import kept, saved
from followups.acceptance import ACCEPT_WITHIN
from followups.models import PSFollowup
from followups.recorder import record_waiting
from leads.models import LeadMaster
from leads.repair import repair
from leads.tests.factories import make_lead
from leads.tests.typed import captured, fields, qualified, save, signed_in

pytestmark = pytest.mark.django_db(transaction=True)
DESK = "/cre_dashboard?tab="
ANSWERS = (200, 201, 302)


@pytest.fixture(autouse=True)
def _one_clock(monkeypatch: pytest.MonkeyPatch) -> None:
    """All of a test happens on one machine, and often within a second."""
    monkeypatch.setattr(kept, "CLOCKS_DIFFER", 0.0)


def forget(*patterns: str) -> None:
    for pattern in patterns or ("board:*", "wrote:*"):
        cache.delete_pattern(pattern)  # type: ignore[attr-defined]


def said(client: Client, tab: str = "pending") -> str:
    """What a desk shows, without what differs from request to request."""
    response = client.get(DESK + tab)
    assert response.status_code == 200
    return re.sub(r'name="csrfmiddlewaretoken" value="\w+"', "", response.text)


def truth(client: Client, tab: str = "pending") -> str:
    """The same, worked out anew."""
    forget("board:*")
    return said(client, tab)


def statements(ask: Callable[[], object]) -> list[str]:
    with CaptureQueriesContext(connection) as seen:
        ask()
    return [query["sql"] for query in seen if "lead_master" in query["sql"]]


# --- What touches Asha's desk -----------------------------------------------------------------------------------
# Each takes the cast, a lead of Asha's with Kiran, and everybody's browser.
Browsers = dict[str, Client]


def adds_a_lead(cast: Cast, lead: LeadMaster, browsers: Browsers) -> None:
    assert browsers["asha"].post("/add_lead_optimized", fields()).status_code == 201


def adds_one_on_the_page(cast: Cast, lead: LeadMaster, browsers: Browsers) -> None:
    assert browsers["asha"].post("/add_lead", fields(lead_status="RNR")).status_code == 201


def takes_a_call_for_her(cast: Cast, lead: LeadMaster, browsers: Browsers) -> None:
    again = fields(customer_mobile_number=lead.customer_mobile_number, source="OEM", subsource="Web")
    assert browsers["ravi"].post("/add_lead_optimized", again).status_code == 200


def tells_her(cast: Cast, lead: LeadMaster, browsers: Browsers) -> None:
    told = {"uid": lead.uid, "phone": lead.customer_mobile_number, "remark": "Asks for you"}
    assert browsers["ravi"].post("/add_lead/tell", told).status_code in ANSWERS
    assert lead.repeats.count() == 1


def updates_it(cast: Cast, lead: LeadMaster, browsers: Browsers) -> None:
    assert save(browsers["asha"], lead, lead_status="RNR").status_code == 200


def closes_it(cast: Cast, lead: LeadMaster, browsers: Browsers) -> None:
    assert save(browsers["asha"], lead, lead_status="Booked").status_code == 200


def hands_it_over(cast: Cast, lead: LeadMaster, browsers: Browsers) -> None:
    assert save(browsers["asha"], lead, branch="MALAKPET", ps_name="sunil").status_code == 200


def is_corrected_by_the_supervisor(cast: Cast, lead: LeadMaster, browsers: Browsers) -> None:
    assert save(browsers["meera"], lead, customer_name="Spelt Anew").status_code == 200


def goes_to_another_cre(cast: Cast, lead: LeadMaster, browsers: Browsers) -> None:
    assert save(browsers["meera"], lead, cre="ravi").status_code == 200
    lead.refresh_from_db()
    assert lead.cre == cast.ravi


def is_reopened(cast: Cast, lead: LeadMaster, browsers: Browsers) -> None:
    closed = LeadMaster.objects.get(final_status="Lost")
    reopened = browsers["meera"].post(
        f"/lead/{closed.uid}/reopen", {"reason": "She called again.", "version": closed.version}
    )
    assert reopened.status_code == 302


def takes_the_next_call(cast: Cast, lead: LeadMaster, browsers: Browsers) -> None:
    assert "/update_lead/" in browsers["asha"].post("/next_call")["Location"]


def is_called_by_the_ps(cast: Cast, lead: LeadMaster, browsers: Browsers) -> None:
    typed = {"lead_status": "RNR", "version": lead.version}
    assert browsers["kiran"].post(f"/update_ps_lead/{lead.uid}", typed).status_code in ANSWERS


def is_accepted(cast: Cast, lead: LeadMaster, browsers: Browsers) -> None:
    assert browsers["kiran"].post(f"/accept/{lead.uid}").status_code == 302
    assert PSFollowup.objects.get(lead=lead).accepted_at


def is_recorded(cast: Cast, lead: LeadMaster, browsers: Browsers) -> None:
    assert record_waiting()


def is_repaired(cast: Cast, lead: LeadMaster, browsers: Browsers) -> None:
    assert repair([lead.uid]) == 1


BY_ASHA = [adds_a_lead, adds_one_on_the_page, updates_it, closes_it, hands_it_over, takes_the_next_call]
BY_OTHERS = [
    takes_a_call_for_her,
    tells_her,
    is_corrected_by_the_supervisor,
    goes_to_another_cre,
    is_reopened,
    is_called_by_the_ps,
    is_accepted,
    is_recorded,
    is_repaired,
]
write = pytest.mark.parametrize("touches", BY_ASHA + BY_OTHERS, ids=lambda one: one.__name__)
own_write = pytest.mark.parametrize("touches", BY_ASHA, ids=lambda one: one.__name__)


@pytest.fixture
def lead(cast: Cast) -> LeadMaster:
    """Kiran has had it for an hour of work and not said “Got it”; its latest call waits to be recorded."""
    lead = qualified(cast, follow_up_at=timezone.now() + timedelta(days=2))
    given_at = timezone.now() - timedelta(days=2, minutes=ACCEPT_WITHIN)
    PSFollowup.objects.update(assigned_at=given_at)
    LeadMaster.objects.filter(ps__isnull=False).update(ps_assigned_at=given_at)
    captured(cast)
    captured(cast, "Not Interested")
    make_lead(cast.asha, customer_name="New one")
    return lead


@pytest.fixture
def browsers(cast: Cast) -> Browsers:
    return {name: signed_in(getattr(cast, name)) for name in ("asha", "ravi", "kiran", "meera")}


@pytest.fixture
def prepared(cast: Cast, lead: LeadMaster, browsers: Browsers, request: pytest.FixtureRequest) -> LeadMaster:
    if "is_recorded" in request.node.name:
        save(signed_in(cast.asha), lead, lead_status="RNR")
        lead.refresh_from_db()
    if "is_repaired" in request.node.name:
        LeadMaster.objects.filter(pk=lead.pk).update(enquiries=3)
    forget()
    return lead


def test_a_desk_that_nobody_touched_is_not_worked_out_anew(cast: Cast, lead: LeadMaster, browsers: Browsers) -> None:
    first = said(browsers["asha"])
    assert statements(lambda: said(browsers["asha"])) == []
    assert said(browsers["asha"]) == first == truth(browsers["asha"])


@write
def test_after_a_write_the_desk_is_worked_out_anew_in_every_browser(
    cast: Cast, prepared: LeadMaster, browsers: Browsers, touches: Callable[..., None]
) -> None:
    elsewhere = signed_in(cast.asha)
    before = said(elsewhere)
    touches(cast, prepared, browsers)
    after = said(elsewhere)
    assert after == truth(elsewhere)
    assert after != before


@own_write
def test_whoever_wrote_sees_it_even_if_redis_has_lost_that_it_was_written(
    cast: Cast, prepared: LeadMaster, browsers: Browsers, touches: Callable[..., None]
) -> None:
    before = said(browsers["asha"])
    touches(cast, prepared, browsers)
    forget("wrote:*")
    after = said(browsers["asha"])
    assert after == truth(browsers["asha"]) != before


@write
def test_the_poll_tells_what_a_write_has_changed(
    cast: Cast, prepared: LeadMaster, browsers: Browsers, touches: Callable[..., None]
) -> None:
    elsewhere = signed_in(cast.asha)
    again = re.search(r'hx-get="(/cre_dashboard/news[^"]+)"', said(elsewhere))
    assert again
    address = again[1].replace("&amp;", "&")
    assert elsewhere.get(address).status_code == 204
    assert statements(lambda: elsewhere.get(address)) == []
    touches(cast, prepared, browsers)
    if touches not in (is_accepted, takes_the_next_call):  # of which the tabs and the list say nothing
        assert elsewhere.get(address).status_code == 200


@write
def test_the_ps_sees_at_once_what_was_done_with_a_lead_of_theirs(
    cast: Cast, prepared: LeadMaster, browsers: Browsers, touches: Callable[..., None]
) -> None:
    elsewhere = signed_in(cast.kiran)
    before = numbers(elsewhere)
    assert numbers(elsewhere) == before
    touches(cast, prepared, browsers)
    after = numbers(elsewhere)
    forget("board:*")
    assert after == numbers(elsewhere)
    if touches in (adds_a_lead, closes_it, hands_it_over, is_called_by_the_ps):
        assert after != before


def test_the_poll_of_a_ps_whose_leads_nobody_touched_asks_for_none_of_them(
    cast: Cast, prepared: LeadMaster, browsers: Browsers
) -> None:
    address = numbers(browsers["kiran"])[-1]

    def ask() -> Any:
        return browsers["kiran"].get(address, headers={"HX-Request": "true"})

    assert ask().status_code == 204
    assert statements(ask) == []
    is_called_by_the_ps(cast, prepared, browsers)
    assert ask().status_code == 200


def numbers(client: Client) -> list[str]:
    """The counts of a PS's desk as its tabs show them, and the address of its poll."""
    page = client.get("/ps_dashboard?tab=fresh").text
    poll = re.search(r'hx-get="([^"]+)"', page)
    assert poll
    return [*re.findall(r'ps-count">([^<]+)<', page), poll[1].replace("&amp;", "&")]


def test_both_the_former_and_the_new_owner_see_that_a_lead_has_moved(
    cast: Cast, prepared: LeadMaster, browsers: Browsers
) -> None:
    assert prepared.uid in said(browsers["asha"])
    assert prepared.uid not in said(browsers["ravi"])
    goes_to_another_cre(cast, prepared, browsers)
    assert prepared.uid not in said(browsers["asha"])
    assert prepared.uid in said(browsers["ravi"])


def test_who_corrects_a_lead_in_the_admin_touches_its_owners_desks(
    cast: Cast, prepared: LeadMaster, browsers: Browsers
) -> None:
    from leads.updates import correct_lead

    said(browsers["asha"]), said(browsers["ravi"])
    correct_lead(LeadMaster.objects.get(pk=prepared.pk), {"cre": cast.ravi}, cast.meera)
    assert prepared.uid not in said(browsers["asha"])
    assert prepared.uid in said(browsers["ravi"])


def test_others_see_it_after_five_minutes_at_the_latest_whatever_redis_has_lost(
    cast: Cast, prepared: LeadMaster, browsers: Browsers
) -> None:
    LeadMaster.objects.update(follow_up_at=None)
    before = said(browsers["asha"])
    is_corrected_by_the_supervisor(cast, prepared, browsers)
    forget("wrote:*")
    assert said(browsers["asha"]) == before
    with time_machine.travel(timezone.now() + kept.KEEP + timedelta(seconds=1)):
        assert "Spelt Anew" in said(browsers["asha"])


def test_a_follow_up_that_becomes_due_ends_what_is_kept(cast: Cast, lead: LeadMaster, browsers: Browsers) -> None:
    now = timezone.now()
    LeadMaster.objects.filter(pk=lead.pk).update(follow_up_at=now + timedelta(seconds=90))
    forget()
    assert "is-late" not in said(browsers["asha"], "pending")
    with time_machine.travel(now + timedelta(seconds=80)):
        assert statements(lambda: said(browsers["asha"], "pending")) == []
    with time_machine.travel(now + timedelta(seconds=91)):
        assert "is-late" in said(browsers["asha"], "pending")


def test_what_was_read_while_somebody_was_writing_is_not_believed_afterwards(
    cast: Cast, prepared: LeadMaster, browsers: Browsers, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The desk is read, then a colleague's save commits, then what was read is put into Redis."""
    keep = kept.Kept.keep

    def late(self: kept.Kept, *told: Any) -> None:
        monkeypatch.setattr(kept.Kept, "keep", keep)
        is_corrected_by_the_supervisor(cast, prepared, browsers)
        keep(self, *told)

    monkeypatch.setattr(kept.Kept, "keep", late)
    said(browsers["asha"])
    assert "Spelt Anew" in said(browsers["asha"])


def test_what_was_made_within_the_difference_of_two_clocks_is_not_believed(
    cast: Cast, prepared: LeadMaster, browsers: Browsers, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(kept, "CLOCKS_DIFFER", 30.0)
    is_corrected_by_the_supervisor(cast, prepared, browsers)
    said(browsers["asha"])
    assert statements(lambda: said(browsers["asha"]))
    with time_machine.travel(timezone.now() + timedelta(seconds=31)):
        said(browsers["asha"])
        assert statements(lambda: said(browsers["asha"])) == []


def test_a_form_that_is_sent_again_tells_the_browser_that_it_was_saved(
    cast: Cast, prepared: LeadMaster, browsers: Browsers
) -> None:
    form = fields(request_id=str(uuid4()))
    assert signed_in(cast.asha).post("/add_lead_optimized", form).status_code == 201
    before = said(browsers["asha"])
    forget("wrote:*")
    again = browsers["asha"].post("/add_lead_optimized", form)
    assert again.json()["replayed"]
    assert saved.COOKIE in browsers["asha"].cookies
    assert statements(lambda: said(browsers["asha"]))
    assert said(browsers["asha"]) == before


def test_a_write_that_is_undone_touches_nothing(cast: Cast, prepared: LeadMaster, browsers: Browsers) -> None:
    said(browsers["asha"])
    assert save(browsers["meera"], prepared, customer_name="").status_code == 422
    assert statements(lambda: said(browsers["asha"])) == []
    assert saved.COOKIE not in browsers["meera"].cookies


@pytest.mark.parametrize(
    "query",
    [
        "tab=pending&x=1",
        "tab=nonsense",
        "tab=pending&page=abc",
        "tab=pending&category=x",
        "restored=no",
        "period=range&from=2026-01-01&to=2026-01-02",
    ],
)
def test_addresses_that_nobody_offers_do_not_fill_the_cache(
    cast: Cast, prepared: LeadMaster, browsers: Browsers, query: str
) -> None:
    said(browsers["asha"])
    kept_before = set(cache.keys("board:*"))  # type: ignore[attr-defined]
    assert browsers["asha"].get(f"/cre_dashboard?{query}").status_code == 200
    assert set(cache.keys("board:*")) == kept_before  # type: ignore[attr-defined]


def test_whoever_wins_a_lead_sees_it_among_the_top_five_at_once(
    cast: Cast, prepared: LeadMaster, browsers: Browsers
) -> None:
    forget("most-won:*")
    assert "Nobody has won a lead" in browsers["asha"].get("/cre_analytics").text
    closes_it(cast, prepared, browsers)
    assert "Nobody has won a lead" not in browsers["asha"].get("/cre_analytics").text


def test_nobody_sees_what_is_kept_for_somebody_else(cast: Cast, prepared: LeadMaster, browsers: Browsers) -> None:
    assert prepared.uid in said(browsers["asha"])
    assert prepared.uid not in said(browsers["ravi"])


FOREVER = [9e9, 9e10]
NONSENSE = ["", "x", 7, [], [1], [1, 2, 3], {"a": 1}, [*FOREVER, None], [*FOREVER, {}], [*FOREVER, [1] * 9]]


@pytest.mark.parametrize("nonsense", NONSENSE)
@pytest.mark.parametrize("what", ["board:*", "wrote:*"])
def test_nonsense_in_the_cache_is_as_good_as_nothing(
    cast: Cast, prepared: LeadMaster, browsers: Browsers, nonsense: object, what: str
) -> None:
    right, cards = said(browsers["asha"]), numbers(browsers["kiran"])
    cache.set_many({f"wrote:{person.pk}": 1.0 for person in (cast.asha, cast.kiran)})
    keys = cache.keys(what)  # type: ignore[attr-defined]
    assert keys
    for key in keys:
        cache.set(key, nonsense)
    assert said(browsers["asha"]) == right
    assert numbers(browsers["kiran"]) == cards


@pytest.mark.parametrize("cookie", ["", "x", "nan", "inf", "-1", "9" * 400])
def test_a_browser_that_tells_nonsense_gets_its_desk(
    cast: Cast, prepared: LeadMaster, browsers: Browsers, cookie: str
) -> None:
    right = said(browsers["asha"])
    browsers["asha"].cookies[saved.COOKIE] = cookie
    assert said(browsers["asha"]) == right


@pytest.fixture
def redis_away(settings: Any) -> Iterator[Callable[[], None]]:
    before = settings.CACHES

    def leave() -> None:
        settings.CACHES = {"default": {**before["default"], "LOCATION": "unix:///nowhere/valkey.sock"}}

    yield leave
    with suppress(Exception):
        caches.close_all()


@own_write
def test_whoever_wrote_while_redis_was_away_sees_it_once_redis_is_back(
    cast: Cast,
    prepared: LeadMaster,
    browsers: Browsers,
    touches: Callable[..., None],
    redis_away: Callable[[], None],
    settings: Any,
) -> None:
    before, there = said(browsers["asha"]), settings.CACHES
    redis_away()
    touches(cast, prepared, browsers)
    assert said(browsers["asha"]) != before
    settings.CACHES = there
    after = said(browsers["asha"])
    assert after == truth(browsers["asha"]) != before
