"""What a round of each live test does: the desk's own code, for people and with leads that are really there.

What is made of it is rolled back by performance.live_tests, which alone calls this.
"""

import secrets
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from itertools import cycle
from typing import Any
from uuid import uuid4

from django.db.models import OuterRef, QuerySet
from django.http import HttpResponse
from django.urls import reverse
from django.utils import timezone

from accounts.access import SignedInRequest
from accounts.directory import directory
from accounts.models import Role, User
from followups.buckets import OPEN, PENDING
from followups.models import PSFollowup
from followups.paging import HowMany
from followups.views import ps_dashboard
from leads import phone
from leads.board_views import cre_dashboard
from leads.capture import NotAllowed, Outcome, check
from leads.forms import CheckForm, LeadForm
from leads.models import Channel, LeadMaster
from leads.services import capture_lead
from leads.sources import sources
from performance.operations import OPERATIONS, Operation

# No country has the code 999: every door that reads a phone number refuses these, and the database takes them.
RANGE = ("+999000000000000", "+999999999999999")
DIGITS = 12
# What the forms are given to read instead: they would refuse the tests' own numbers.
READABLE = "9000000000"
CAUSE = "live-test"
MOST = 1000
KNOWN_NUMBERS = 50


class Unfit(Exception):
    """Why a test cannot be carried out here, in words."""


@dataclass(frozen=True)
class Part:
    """One operation of a test. `once` does it, and raises Unfit where it did not do what it is there for."""

    operation: Operation
    words: str
    once: Callable[[], object]
    writes: bool = False


def number() -> str:
    """A phone number that nobody can have. Asked of the desk's own reader each time, not believed."""
    made = f"+999{secrets.randbelow(10**DIGITS):0{DIGITS}d}"
    if phone.normalise(made).e164:
        raise Unfit("The desk would take the tests’ numbers for a customer’s. Nothing was tried.")
    return made


# --- Who and what -----------------------------------------------------------------------------------------------


def busiest(role: Role, rows: QuerySet[Any]) -> User | None:
    """The active person of this role with most of `rows`, counted to MOST."""
    count = HowMany(rows, MOST)
    people = User.objects.filter(role=role, is_active=True).select_related("branch")
    found: User | None = people.order_by(count.desc(), "pk").first()
    return found


def _cre() -> User:
    cre = busiest(Role.CRE, LeadMaster.objects.filter(PENDING, cre=OuterRef("pk")))
    if cre is None:
        raise Unfit("There is no active CRE yet: add one in the admin, under People.")
    return cre


def _ps() -> User | None:
    return busiest(Role.PS, PSFollowup.objects.open().filter(ps=OuterRef("pk")))


# --- Test lead creation -----------------------------------------------------------------------------------------


def capture_parts() -> list[Part]:
    """A lead as a CRE types it, with a PS where one takes leads: the form reads it, the service saves it."""
    cre = _cre()
    typed = _typed()

    def once() -> None:
        form = LeadForm({**typed, "request_id": str(uuid4())})
        if not form.is_valid():
            raise Unfit(f"The form refuses the lead: {' '.join(map(str, *form.errors.values()))}")
        enquiry = form.enquiry(channel=Channel.DESK, cause=CAUSE)
        mine = number()
        try:
            captured = capture_lead(replace(enquiry, phone=mine, phone_as_typed=mine), cre)
        except NotAllowed as error:
            raise Unfit("The CRE with most to do may not add leads any more. Try again.") from error
        if captured.outcome != Outcome.CREATED:
            why = " ".join((captured.errors or {}).values())
            raise Unfit(f"The lead was not made, the answer was “{captured.outcome}”. {why}".strip())

    place = "with a PS" if typed["ps_name"] else "without a PS: none takes leads now"
    return [Part(OPERATIONS["capture"], f"Saving a new lead, {place}", once, writes=True)]


def _typed() -> dict[str, str]:
    people, known = directory(fresh=True), sources(fresh=True)
    if not known.letters:
        raise Unfit("There is no source that is offered: add one in the admin, under Sources.")
    source, sub_source = next(iter(known.letters))
    seller = next((one for one in people.sellers.values() if one.available and one.branch_id in people.branches), None)
    return {
        "customer_name": "Live test",
        "customer_mobile_number": READABLE,
        "source": source,
        "subsource": sub_source,
        "lead_status": "Interested",
        "lead_category": "Hot",
        "branch": str(seller.branch_id) if seller else "",
        "ps_name": str(seller.id) if seller else "",
        "follow_up_date": _written(timezone.now() + timedelta(days=2)),
        "remark": "A live test: this is never saved.",
    }


def _written(moment: datetime) -> str:
    return timezone.localtime(moment).strftime("%Y-%m-%dT%H:%M")


# --- Test duplicate check ---------------------------------------------------------------------------------------


def duplicate_check_parts() -> list[Part]:
    """A number that nobody has, and numbers of customers whose leads are open."""
    cre = _cre()
    operation = OPERATIONS["duplicate_check"]
    open_leads = LeadMaster.objects.filter(OPEN).newest_first()
    known = list(open_leads.values_list("customer_mobile_number", flat=True)[:KNOWN_NUMBERS])
    parts = [Part(operation, "A number that nobody has", lambda: _check(number(), cre))]
    if known:
        numbers = cycle(known)
        parts.append(Part(operation, "The number of an open lead", lambda: _check(next(numbers), cre)))
    return parts


def _check(asked: str, cre: User) -> None:
    form = CheckForm({"phone_number": READABLE})
    if not form.is_valid():
        raise Unfit("The form refuses the number.")
    check(asked, form.pair(), cre)


# --- Test dashboard ---------------------------------------------------------------------------------------------


def dashboard_parts() -> list[Part]:
    """The desks of the CRE and of the PS with most to do, as the views make them."""
    parts = [_desk("cre_dashboard", cre_dashboard, _cre())]
    if ps := _ps():
        parts.append(_desk("ps_dashboard", ps_dashboard, ps))
    return parts


def _desk(address: str, view: Callable[[SignedInRequest], Any], person: User) -> Part:
    operation = OPERATIONS[address]

    def once() -> None:
        response: HttpResponse = view(_request(reverse(address), person))
        if response.status_code != 200:
            raise Unfit(f"{operation.words} answered with the status {response.status_code}.")

    return Part(operation, operation.words, once)


def _request(path: str, person: User) -> SignedInRequest:
    """A GET by this person, without a cookie: nobody's session is opened for it."""
    request = SignedInRequest()
    request.method, request.path, request.path_info = "GET", path, path
    request.META = {"SERVER_NAME": "localhost", "SERVER_PORT": "80"}
    request.user, request.cause = person, CAUSE
    return request
