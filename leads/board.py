"""The CRE's desk: the tabs and how many stand in each, one page of the open tab, and what changed since the last look.

Each tab is a bucket of followups/buckets.py; count and rows come from the same condition.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from hashlib import blake2b
from typing import Any, NamedTuple

from django.db.models import Case, Count, Max, Min, OuterRef, Q, Sum, When
from django.utils.http import urlencode

from accounts.models import User
from followups import buckets, paging
from followups.paging import HowMany
from leads.board_rows import COLUMNS, Addresses, RepeatRow, Row, calls_of, repeat_row, row, some
from leads.filters import Filters
from leads.models import DuplicateLead, LeadMaster

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
    lambda now: buckets.CALLED,
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


@dataclass(frozen=True, slots=True)
class Counts:
    """How many stand in each tab. `promised` call-backs are due now; `state` changes when anything shown changes.

    Nobody need write anything for a follow-up to become due: until then, at the latest, all this holds.
    """

    of: Mapping[str, int]
    promised: int
    state: str
    until: datetime

    @property
    def seen(self) -> str:
        """What a page has shown, for the next look to compare with."""
        return ".".join([*(str(self.of[key]) for key in TABS), self.state])

    def as_json(self) -> list[Any]:
        return [dict(self.of), self.promised, self.state, self.until.timestamp()]

    @classmethod
    def read(cls, kept: Any) -> "Counts | None":
        """What `as_json` gave; None for anything else."""
        try:
            of, promised, state, until = kept
            if of.keys() != TABS.keys():
                return None
            return cls(of, promised, state, datetime.fromtimestamp(until, UTC))
        except (AttributeError, OverflowError, TypeError, ValueError):
            return None

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
            some(more[UNTOUCHED.key], "new lead", "new leads") + " in Untouched",
            some(more[REPEATS.key], "customer asked", "customers asked") + " again",
            some(more[OVERDUE.key], "lead became", "leads became") + " overdue",
        ]
        told = [words for words, tab in zip(said, (UNTOUCHED, REPEATS, OVERDUE), strict=True) if more[tab.key] > 0]
        return f"{', '.join(told)}." if told else ""


def count(user: User, filters: Filters, now: datetime) -> Counts:
    """All counts and the state, in two statements: one over the person's open leads, one that stops early over the
    closed ones."""
    mine = LeadMaster.objects.visible_to(user).filter(filters.of_lead())
    asked_again = DuplicateLead.objects.filter(
        REPEATS.within(now), filters.within(REPEATS.dated), lead=OuterRef("pk")
    ).order_by()
    opened = mine.filter(buckets.FRESH_OR_PENDING).aggregate(
        **{tab.key: Count("pk", filter=tab.within(now) & filters.within(tab.dated)) for tab in OPEN},
        repeats=Sum(Case(When(enquiries__gt=1, then=HowMany(asked_again)), default=0), default=0),
        promised=Count("pk", filter=buckets.CALL_BACK & buckets.overdue(now) & filters.within(CALL_BACKS.dated)),
        next_due=Min("follow_up_at", filter=Q(follow_up_at__gte=now)),
        # Whatever a save, a repeat or the recorder changes in a row, and which rows there are.
        changed=Max("updated_at"),
        saves=Sum("version"),
        calls=Sum("attempts"),
        enquiries=Sum("enquiries"),
        keys=Sum("pk"),
    )
    closed = (
        User.objects.filter(pk=user.pk)
        .values_list(*(HowMany(mine.filter(tab.within(now), filters.within(tab.dated)), MOST) for tab in CLOSED))
        .get()
    )
    of = {**{key: opened[key] for key in TABS if key in opened}, **dict(zip(("won", "lost"), closed, strict=True))}
    until = min(opened.pop("next_due") or now + CLOCK, now + CLOCK, buckets.day_ends(now))
    told = repr((sorted(opened.items()), closed, now.timestamp() // CLOCK.total_seconds()))
    return Counts(of, opened["promised"], blake2b(told.encode(), digest_size=8).hexdigest(), until)


# --- Which ------------------------------------------------------------------------------------------------------


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
        return Shown([repeat_row(repeat, addresses) for repeat in repeats.rows], repeats.newer, repeats.older)
    leads = mine.filter(tab.within(now), filters.within(tab.dated))
    page = paging.page(leads.select_related("ps", "branch").only(*COLUMNS), cursor, order=tab.order)
    told = calls_of(lead.pk for lead in page.rows)
    return Shown([row(lead, told.get(lead.pk, ""), addresses) for lead in page.rows], page.newer, page.older)


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
