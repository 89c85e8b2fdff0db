"""The CRE's desk: the tabs and how many stand in each, one page of the open tab, and what changed since the last look.

Each tab is a bucket of followups/buckets.py; count and rows come from the same condition.
"""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from hashlib import blake2b
from typing import Any, NamedTuple, TypedDict

from django.db.models import Case, Count, IntegerField, Max, OuterRef, Q, QuerySet, Subquery, Sum, When
from django.urls import reverse
from django.utils.http import urlencode

from accounts.models import User
from followups import buckets, paging
from followups.catalogue import CALL_BACK
from followups.catalogue import UNTOUCHED as NOT_CALLED
from followups.models import CallAttempt
from followups.wording import moment_in_words as moment
from leads import phone
from leads.filters import Filters
from leads.models import Channel, DuplicateLead, LeadMaster
from leads.templatetags.desk import age, due

# Closed leads pile up for ever: counting them stops here, and the tab says "999+".
MOST = 1000
# Words such as "2 h late" are said anew this often, though nothing else has changed.
CLOCK = timedelta(minutes=5)


@dataclass(frozen=True, slots=True)
class Tab:
    """A list of the desk. `dated` is the field that the days of a filter ask about, `date_words` what happened then."""

    key: str
    title: str
    within: Callable[[datetime], Q]
    order: tuple[str, ...]
    dated: str
    date_words: str
    empty: str


UNTOUCHED = Tab(
    "untouched",
    "Untouched",
    lambda now: buckets.UNTOUCHED,
    ("-created_at",),
    "created_at",
    "came in",
    "No new lead waits for its first call. A new one appears here by itself.",
)
CALLED = Tab(
    "called",
    "Called",
    # The constraints say the same of the time; for the index it has to be said here.
    lambda now: buckets.CALLED & Q(last_attempt_at__isnull=False),
    ("last_attempt_at",),
    "last_attempt_at",
    "last tried",
    "Nobody is left whom you tried and could not reach.",
)
CALL_BACKS = Tab(
    "call_back",
    "Call back",
    lambda now: buckets.CALL_BACK & Q(follow_up_at__isnull=False),
    ("follow_up_at",),
    "follow_up_at",
    "to call back",
    "You have promised nobody to call back before the first conversation.",
)
TODAY = Tab(
    "today",
    "Today",
    buckets.today,
    ("follow_up_at",),
    "follow_up_at",
    "due",
    "Nothing more is due today. Pending holds the customers whom you can call ahead of time.",
)
OVERDUE = Tab(
    "overdue",
    "Overdue",
    buckets.overdue,
    ("follow_up_at",),
    "follow_up_at",
    "due",
    "Nothing is overdue: every promise up to this minute is kept.",
)
PENDING = Tab(
    "pending",
    "Pending",
    lambda now: buckets.PENDING,
    ("-priority",),
    "created_at",
    "came in",
    "Nobody whom you have spoken to is still deciding. After the first conversation a lead stands here, until Won or "
    "Lost.",
)
WITH_PS = Tab(
    "with_ps",
    "With PS",
    lambda now: buckets.WITH_PS & Q(ps_assigned_at__isnull=False),
    ("-ps_assigned_at",),
    "ps_assigned_at",
    "given to the PS",
    "No open lead of yours is with a PS. Choose a PS in the lead’s update, and it stands here too.",
)
WON = Tab(
    "won",
    "Won",
    lambda now: buckets.WON,
    ("-won_at",),
    "won_at",
    "won",
    "Nothing is won yet. A lead comes here when you or the PS save Booked or Retailed.",
)
LOST = Tab(
    "lost",
    "Lost",
    lambda now: buckets.LOST,
    ("-lost_at",),
    "lost_at",
    "lost",
    "Nothing is lost. A lead comes here when you or the PS save why the customer does not buy.",
)
REPEATS = Tab(
    "repeats",
    "Repeats",
    lambda now: Q(created_at__gt=now - buckets.REPEATS_FOR),
    ("-created_at",),
    "created_at",
    "asked again",
    f"No customer of yours asked again in the last {buckets.REPEATS_FOR.days} days. "
    "When one does, it stands here, and you get a mail.",
)
FRESH = (UNTOUCHED, CALLED, CALL_BACKS)
OPEN = (*FRESH, TODAY, OVERDUE, PENDING, WITH_PS)
CLOSED = (WON, LOST)
TABS = {tab.key: tab for tab in (*OPEN, *CLOSED, REPEATS)}
# Where the next work is, in the order in which “Next call” takes it.
WORK = (UNTOUCHED, OVERDUE, TODAY, CALL_BACKS, CALLED, PENDING, WITH_PS)


# --- How many ---------------------------------------------------------------------------------------------------


class _HowMany(Subquery):
    template = "(SELECT count(*) FROM (%(subquery)s) AS counted)"
    output_field = IntegerField()


def _how_many(rows: QuerySet[Any]) -> _HowMany:
    return _HowMany(rows.order_by().values("pk")[:MOST])


@dataclass(frozen=True, slots=True)
class Counts:
    """How many stand in each tab. `promised` call-backs are due now; `state` changes when anything shown changes."""

    of: Mapping[str, int]
    promised: int
    state: str

    @property
    def seen(self) -> str:
        """What a page has shown, for the next look to compare with."""
        return ".".join([*(str(self.of[key]) for key in TABS), self.state])

    def work(self) -> Tab:
        """The tab to open where none was asked for: the first with work to do."""
        if self.promised:
            return CALL_BACKS
        return next((tab for tab in WORK if self.of[tab.key]), UNTOUCHED)

    def news(self, seen: str) -> str:
        """What came in since `seen`, in words; empty where nothing did, or `seen` is none of ours."""
        *before, _ = seen.split(".")
        if len(before) != len(TABS) or not all(number.isdecimal() and len(number) < 9 for number in before):
            return ""
        more = {key: self.of[key] - int(number) for key, number in zip(TABS, before, strict=True)}
        said = [
            _some(more[UNTOUCHED.key], "new lead", "new leads") + " in Untouched",
            _some(more[REPEATS.key], "customer asked", "customers asked") + " again",
            _some(more[OVERDUE.key], "lead became", "leads became") + " overdue",
        ]
        told = [words for words, tab in zip(said, (UNTOUCHED, REPEATS, OVERDUE), strict=True) if more[tab.key] > 0]
        return f"{', '.join(told)}." if told else ""


def _some(number: int, one: str, many: str) -> str:
    return f"{number} {one if number == 1 else many}"


def count(user: User, filters: Filters, now: datetime) -> Counts:
    """All counts and the state, in two statements: one over the person's open leads, one that stops early over the
    closed ones."""
    mine = LeadMaster.objects.visible_to(user).filter(filters.of_lead())
    asked_again = DuplicateLead.objects.filter(
        REPEATS.within(now), filters.within(REPEATS.dated), lead=OuterRef("pk")
    ).order_by()
    opened = mine.filter(buckets.FRESH_OR_PENDING).aggregate(
        **{tab.key: Count("pk", filter=tab.within(now) & filters.within(tab.dated)) for tab in OPEN},
        repeats=Sum(Case(When(enquiries__gt=1, then=_HowMany(asked_again.values("pk"))), default=0), default=0),
        promised=Count("pk", filter=buckets.CALL_BACK & buckets.overdue(now) & filters.within(CALL_BACKS.dated)),
        # Whatever a save, a repeat or the recorder changes in a row, and which rows there are.
        changed=Max("updated_at"),
        saves=Sum("version"),
        calls=Sum("attempts"),
        enquiries=Sum("enquiries"),
        keys=Sum("pk"),
    )
    closed = (
        User.objects.filter(pk=user.pk)
        .values_list(*(_how_many(mine.filter(tab.within(now), filters.within(tab.dated))) for tab in CLOSED))
        .get()
    )
    of = {**{key: opened[key] for key in TABS if key in opened}, **dict(zip(("won", "lost"), closed, strict=True))}
    told = repr((sorted(opened.items()), closed, now.timestamp() // CLOCK.total_seconds()))
    return Counts(of, opened["promised"], blake2b(told.encode(), digest_size=8).hexdigest())


# --- Which ------------------------------------------------------------------------------------------------------

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
    "lost_reason",
    "follow_up_at",
    "last_attempt_at",
    "ps_assigned_at",
    "won_at",
    "lost_at",
    "attempts",
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


class Shown(NamedTuple):
    """The rows of a page, and the cursors of the pages beside it."""

    rows: list[Row] | list[RepeatRow]
    newer: str
    older: str


def shown(user: User, tab: Tab, filters: Filters, cursor: str, now: datetime, back: str) -> Shown:
    """One page of a tab, what must be done next on top. `back` is the address to which an update returns."""
    addresses = Addresses(back)
    mine = LeadMaster.objects.visible_to(user).filter(filters.of_lead())
    if tab is REPEATS:
        open_leads = mine.filter(buckets.FRESH_OR_PENDING, enquiries__gt=1)
        asked = DuplicateLead.objects.filter(
            tab.within(now), filters.within(tab.dated), lead__in=open_leads.values("pk")
        )
        repeats = paging.page(asked.select_related("lead", "created_by"), cursor, order=tab.order)
        return Shown([_repeat(repeat, addresses) for repeat in repeats.rows], repeats.newer, repeats.older)
    leads = mine.filter(tab.within(now), filters.within(tab.dated))
    page = paging.page(leads.select_related("ps", "branch").only(*COLUMNS), cursor, order=tab.order)
    calls = _calls(lead.pk for lead in page.rows)
    return Shown([_row(lead, calls.get(lead.pk, ""), addresses) for lead in page.rows], page.newer, page.older)


class Addresses:
    """The pages of leads: what differs in nothing but the uid is worked out once for all rows."""

    def __init__(self, back: str) -> None:
        stand_in = "~"
        self.lead, self.update = (
            reverse(name, args=[stand_in]).removesuffix(stand_in) for name in ("lead", "update_lead")
        )
        self.back = f"?{urlencode({'next': back})}"

    def of(self, uid: str) -> tuple[str, str]:
        return self.lead + uid, f"{self.update}{uid}{self.back}"


# What a call came to, by the words in which a row counts it.
RESULTS = {
    "RNR": Q(lead_status="RNR"),
    "busy": Q(lead_status="Busy on another Call"),
    "call back": Q(lead_status=CALL_BACK),
    "reached": Q(contacted=True),
}


def _calls(leads: Iterable[int]) -> dict[int, str]:
    """How many calls each lead has had and what they came to, in words: one query for all of them."""
    numbers = [Count("pk"), *(Count("pk", filter=result) for result in RESULTS.values())]
    told = (
        CallAttempt.objects.filter(lead__in=list(leads))
        .order_by()
        .values_list("lead")
        .annotate(**{f"number_{place}": number for place, number in enumerate(numbers)})
    )
    return {lead: _calls_in_words(*counted) for lead, *counted in told}


def _calls_in_words(total: int, *by_result: int) -> str:
    """As in: 4 calls: 2 RNR, 1 busy, 1 reached."""
    parts = ", ".join(f"{number} {words}" for words, number in zip(RESULTS, by_result, strict=True) if number)
    return _some(total, "call", "calls") + (f": {parts}" if parts else "")


def _row(lead: LeadMaster, calls: str, addresses: Addresses) -> Row:
    closed = lead.closed_at
    at = closed or lead.follow_up_at
    words, tone = (moment(closed), "") if closed else due(at)
    address, update = addresses.of(lead.uid)
    return {
        "uid": lead.uid,
        "name": lead.customer_name,
        "address": address,
        "update": "" if closed else update,
        "phone": lead.customer_mobile_number,
        "pretty_phone": phone.pretty(lead.customer_mobile_number),
        "status": "Not called yet" if lead.lead_status == NOT_CALLED else lead.lead_status,
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


def _repeat(repeat: DuplicateLead, addresses: Addresses) -> RepeatRow:
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
        "status": lead.lead_status,
        "what": "Called a colleague" if told else f"{repeat.source} · {repeat.sub_source}",
        "remark": repeat.remark,
        "by": repeat.created_by.name if repeat.created_by else "",
        "came": repeat.created_at.isoformat(),
        "age": age(repeat.created_at),
        "came_full": moment(repeat.created_at),
    }


# --- The tabs ---------------------------------------------------------------------------------------------------


class TabLink(NamedTuple):
    """A tab with its count, as a link. `key` on the keyboard opens it."""

    tab: Tab
    number: str
    query: str
    current: bool
    key: str


def links(counts: Counts, current: Tab, filters: Filters) -> dict[str, TabLink]:
    """All tabs by name; a change of tab keeps the filters and starts at the top."""
    return {
        key: TabLink(
            tab,
            f"{MOST - 1}+" if tab in CLOSED and counts.of[key] >= MOST else str(counts.of[key]),
            urlencode({"tab": key, **filters.query}),
            tab is current,
            str(number % 10),
        )
        for number, (key, tab) in enumerate(TABS.items(), start=1)
    }
