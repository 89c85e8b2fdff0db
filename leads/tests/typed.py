"""What people and programs type, the leads that they type it at, and what came of it."""

from datetime import timedelta
from html.parser import HTMLParser
from typing import Any

from django.test import Client
from django.utils import timezone

from accounts.models import User
from conftest import Cast
from followups.models import Kind, Outbox, PSFollowup
from followups.recorder import record_waiting
from followups.update_form import written
from leads.capture import capture
from leads.invariants import INVARIANTS, offending
from leads.models import LeadMaster
from leads.tests.factories import enquiry, phone

JSON = {"accept": "application/json"}


# --- New leads --------------------------------------------------------------------------------------------------------


def fields(**changes: Any) -> dict[str, Any]:
    """What a program sends for a new lead."""
    soon = timezone.localtime() + timedelta(days=2)
    return {
        "customer_name": "Ramesh Kumar",
        "customer_mobile_number": phone(),
        "source": "META",
        "subsource": "Meta Know",
        "lead_status": "Interested",
        "lead_category": "Hot",
        "model_interested": "450 Apex STD",
        "branch": "ATTAPUR",
        "ps_name": "kiran",
        "final_status": "Pending",
        "follow_up_date": soon.strftime("%Y-%m-%dT%H:%M"),
        "remark": "Asked for a test ride",
        **changes,
    }


def post(client: Client, **changes: Any) -> Any:
    return client.post("/add_lead_optimized", fields(**changes))


def captured(cast: Cast, status: str = "RNR", *, ps: User | None = None, **fields: Any) -> LeadMaster:
    """A lead of Asha's as capture makes it, its call recorded."""
    place = {"ps_id": ps.pk, "branch_id": ps.branch_id} if ps else {}
    uid = capture(enquiry(status=status, **place, **fields), cast.asha).uid
    record_waiting()
    return LeadMaster.objects.get(uid=uid)


def qualified(cast: Cast, **fields: Any) -> LeadMaster:
    """A lead whose customer has been reached, with Kiran as PS."""
    fields = {"category": "Warm", "model": "450 Apex STD", "follow_up_at": timezone.now() + timedelta(days=1), **fields}
    return captured(cast, "Interested", **{"ps": cast.kiran, **fields})


# --- Updates ----------------------------------------------------------------------------------------------------------


def soon(**ahead: float) -> str:
    return written(timezone.now() + timedelta(**(ahead or {"days": 2})))


def given(**changes: str) -> dict[str, str]:
    """What the qualifying call of an interested customer has to say."""
    return {
        "lead_status": "Interested",
        "lead_category": "Hot",
        "model_interested": "450 Apex STD",
        "branch": "ATTAPUR",
        "ps_name": "kiran",
        "follow_up_date": soon(days=3),
        **changes,
    }


def signed_in(person: User, **headers: str) -> Client:
    client = Client(headers=headers)
    client.force_login(person)
    return client


def save(client: Client, lead: LeadMaster, **fields: Any) -> Any:
    """The program's POST."""
    typed = {"version": lead.version, **fields}
    return client.post(f"/update_lead/{lead.uid}", {k: v for k, v in typed.items() if v is not None}, headers=JSON)


def fresh(lead: LeadMaster) -> LeadMaster:
    return LeadMaster.objects.select_related("cre", "ps", "branch").get(pk=lead.pk)


def open_followup(lead: LeadMaster) -> PSFollowup | None:
    return PSFollowup.objects.open().filter(lead=lead).first()


def unchanged(lead: LeadMaster) -> bool:
    """Whether nothing of the lead was saved, and nothing left for the workers."""
    now = LeadMaster.objects.values().get(pk=lead.pk)
    before = {name: getattr(lead, name) for name in now}
    return now == before and not Outbox.objects.filter(lead=lead, kind=Kind.ATTEMPT).exists()


def check_invariants() -> None:
    record_waiting()
    assert {rule.name: found for rule in INVARIANTS if (found := offending(rule))} == {}


class Controls(HTMLParser):
    """The work form of a page as a browser would send it."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.fields: dict[str, str] = {}
        self.offered: dict[str, list[str]] = {}
        self.links: list[str] = []
        self._inside = False
        self._select = self._area = ""
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        values = {name: value or "" for name, value in attrs}
        if tag == "a":
            self.links.append(values.get("href", ""))
        if tag == "form":
            self._inside = "data-work" in values
        if not self._inside:
            return
        name = values.get("name", "")
        if tag == "input":
            self.fields[name] = values.get("value", "")
        elif tag == "textarea":
            self._area = name
            self.fields[name] = ""
        elif tag == "select":
            self._select = name
            self.fields[name] = ""
            self.offered[name] = []
        elif tag == "option" and self._select:
            self.offered[self._select].append(values.get("value", ""))
            if "selected" in values:
                self.fields[self._select] = values.get("value", "")

    def handle_endtag(self, tag: str) -> None:
        if tag == "form":
            self._inside = False
        if tag == "textarea":
            # A browser drops the line break that Django writes after the tag.
            self.fields[self._area] = self.fields[self._area].removeprefix("\n")
            self._area = ""
        if tag == "select":
            self._select = ""

    def handle_data(self, data: str) -> None:
        if self._area:
            self.fields[self._area] += data


def controls(response: Any) -> Controls:
    return Controls(response.content.decode())
