"""The rows of the CRE's desk, in words: worked out here, so that the template only puts them in place.

With fifty rows, whatever a template does counts.
"""

from collections.abc import Iterable
from typing import TypedDict

from django.db.models import Count, Q
from django.urls import reverse
from django.utils.http import urlencode

from followups.catalogue import CALL_BACK
from followups.models import CallAttempt
from followups.spans import age, due
from followups.wording import moment_in_words as moment
from followups.wording import status_in_words
from leads import phone
from leads.models import Channel, DuplicateLead, LeadMaster

# What a row says, and what the lists are ordered by.
COLUMNS = (
    "uid",
    "customer_name",
    "customer_mobile_number",
    "lead_status",
    "lead_category",
    "model_interested",
    "source",
    "sub_source",
    "final_status",
    "follow_up_at",
    "last_attempt_at",
    "ps_assigned_at",
    "won_at",
    "lost_at",
    "enquiries",
    "priority",
    "created_at",
    "ps__name",
    "branch__name",
)


class Row(TypedDict):
    """A lead as its row says it: addresses and words, worked out so that the template only puts them in place.

    `at` is the follow-up, or when the lead was closed; `tone` whether it is late.
    """

    uid: str
    name: str
    address: str
    update: str
    phone: str
    pretty_phone: str
    status: str
    again: str
    category: str
    model: str
    source: str
    sub_source: str
    calls: str
    at: str
    at_words: str
    at_full: str
    tone: str
    came: str
    age: str
    came_full: str
    ps: str
    branch: str


class RepeatRow(TypedDict):
    """An enquiry of a customer whose lead is open, as its row says it."""

    key: int
    uid: str
    name: str
    address: str
    update: str
    phone: str
    pretty_phone: str
    status: str
    what: str
    remark: str
    by: str
    came: str
    age: str
    came_full: str


def some(number: int, one: str, many: str) -> str:
    """As in: 1 call, 2 calls."""
    return f"{number} {one if number == 1 else many}"


class Addresses:
    """The pages of leads: what differs in nothing but the uid is worked out once for all rows."""

    def __init__(self, back: str) -> None:
        stand_in = "~"
        self.lead, self.update = (
            reverse(name, args=[stand_in]).removesuffix(stand_in) for name in ("lead", "update_lead")
        )
        self.back = f"?{urlencode({'next': back})}"

    def of(self, uid: str) -> tuple[str, str]:
        """A lead's page, and its update."""
        return self.lead + uid, f"{self.update}{uid}{self.back}"


# What a call came to, by the words in which a row counts it.
RESULTS = {
    "RNR": Q(lead_status="RNR"),
    "busy": Q(lead_status="Busy on another Call"),
    "call back": Q(lead_status=CALL_BACK),
    "reached": Q(contacted=True),
}


def calls_of(leads: Iterable[int]) -> dict[int, str]:
    """How many calls each lead has had and what they came to, in words: one query for all of them."""
    numbers = [Count("pk"), *(Count("pk", filter=result) for result in RESULTS.values())]
    told = (
        CallAttempt.objects.filter(lead__in=list(leads))
        .order_by()
        .values_list("lead")
        .annotate(**{f"number_{place}": number for place, number in enumerate(numbers)})
    )
    return {lead: _in_words(*counted) for lead, *counted in told}


def _in_words(total: int, *by_result: int) -> str:
    """As in: 4 calls: 2 RNR, 1 busy, 1 reached."""
    parts = ", ".join(f"{number} {words}" for words, number in zip(RESULTS, by_result, strict=True) if number)
    return some(total, "call", "calls") + (f": {parts}" if parts else "")


def row(lead: LeadMaster, calls: str, addresses: Addresses) -> Row:
    """The row of a lead whose `calls` are told already."""
    closed = lead.closed_at
    at = closed or lead.follow_up_at
    words, tone = (moment(closed), "") if closed else due(at)
    address, update = addresses.of(lead.uid)
    return {
        "uid": lead.uid,
        "name": lead.customer_name,
        "address": address,
        "update": update,
        "phone": lead.customer_mobile_number,
        "pretty_phone": phone.pretty(lead.customer_mobile_number),
        "status": status_in_words(lead),
        "again": f"{lead.enquiries} enquiries" if lead.enquiries > 1 else "",
        "category": lead.lead_category,
        "model": lead.model_interested or "–",
        "source": lead.source,
        "sub_source": lead.sub_source,
        "calls": calls,
        "at": at.isoformat() if at else "",
        "at_words": words,
        "at_full": moment(at),
        "tone": tone,
        "came": lead.created_at.isoformat(),
        "age": age(lead.created_at),
        "came_full": moment(lead.created_at),
        "ps": lead.ps.name if lead.ps else "",
        "branch": lead.branch.name if lead.branch else "",
    }


def repeat_row(repeat: DuplicateLead, addresses: Addresses) -> RepeatRow:
    """The row of an enquiry."""
    lead = repeat.lead
    address, update = addresses.of(lead.uid)
    told = repeat.channel == Channel.TOLD
    return {
        "key": repeat.pk,
        "uid": lead.uid,
        "name": lead.customer_name,
        "address": address,
        "update": update,
        "phone": lead.customer_mobile_number,
        "pretty_phone": phone.pretty(lead.customer_mobile_number),
        "status": status_in_words(lead),
        "what": "Called a colleague" if told else f"{repeat.source} · {repeat.sub_source}",
        "remark": repeat.remark,
        "by": repeat.created_by.name if repeat.created_by else "",
        "came": repeat.created_at.isoformat(),
        "age": age(repeat.created_at),
        "came_full": moment(repeat.created_at),
    }
