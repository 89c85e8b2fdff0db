"""What stands on a PS's desk: the tabs, how many are in each, and the cards of one page.

Six statements, however much it holds.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from hashlib import blake2b
from typing import Any, NamedTuple
from uuid import UUID, uuid4

from django.db.models import Count, Model, Prefetch, Q, QuerySet, Subquery
from django.utils.http import urlencode

from accounts.models import User
from followups import buckets
from followups.acceptance import ACCEPT_WITHIN, waited
from followups.catalogue import Category
from followups.models import CallAttempt, PSFollowup
from followups.paging import EPOCH, MICROSECOND, HowMany, page
from followups.priority import REPEAT_POINTS
from followups.working_hours import suggestion, working_minutes_before

# Counting stops here: a desk that holds more says "999+", and costs no more.
MOST = 1000

# On a phone one turns a page sooner than one scrolls past fifty cards.
CARDS = 25


@dataclass(frozen=True)
class Tab:
    """A list of the desk. `shows` are the parts that it can be narrowed to; one of them, where there is no `whole`."""

    name: str
    label: str
    order: tuple[str, ...]
    empty: str
    shows: Mapping[str, str] = field(default_factory=dict)
    whole: bool = True


FRESH = Tab(
    "fresh",
    "Fresh",
    ("-assigned_at",),
    "Nobody waits for your first call. You get an e-mail when a lead is given to you, and it appears here by itself.",
    {"new": "New", "tried": "Tried"},
)
TODAY = Tab(
    "today",
    "Today",
    ("follow_up_at",),
    "Nothing more is due today. Pending holds the customers whom you can call ahead of time.",
    {"overdue": "Overdue"},
)
PENDING = Tab(
    "pending",
    "Pending",
    ("-priority",),
    "You have spoken to nobody who is still deciding. Your next calls are under Fresh.",
    {category.lower(): category.value for category in Category},
)
CLOSED = Tab(
    "closed",
    "Won / Lost",
    (),
    "Nothing here yet. A lead comes here when you save how it ended, such as Booked or Dropped.",
    {"won": "Won", "lost": "Lost"},
    whole=False,
)
DRIVES = Tab(
    "drives",
    "Test drives",
    ("-test_drive_at",),
    "No test drive is recorded yet. Tell of one under “Other outcome…” when a customer has ridden.",
)
TABS = {tab.name: tab for tab in (FRESH, TODAY, PENDING, CLOSED, DRIVES)}
CLOSED_ORDER = {"won": ("-won_at",), "lost": ("-lost_at",)}


class Place(NamedTuple):
    """Where on the desk one is: a tab, a part of it, and a page; what an address asks for."""

    tab: Tab
    show: str = ""
    page: str = ""

    @classmethod
    def read(cls, typed: Mapping[str, str], otherwise: Tab) -> "Place":
        tab = TABS.get(typed.get("tab", ""), otherwise)
        show = typed.get("show", "")
        if show not in tab.shows:
            show = "" if tab.whole else next(iter(tab.shows))
        return cls(tab, show, typed.get("page", ""))

    @property
    def query(self) -> str:
        """As the part of an address after the question mark."""
        asked = {"tab": self.tab.name, "show": self.show, "page": self.page}
        return urlencode({name: value for name, value in asked.items() if value})

    @property
    def first(self) -> str:
        """The same for its first page."""
        return self._replace(page="").query


# --- How many, and which ----------------------------------------------------------------------------------------


def _rows(user: User, tab: Tab, show: str, now: datetime) -> QuerySet[Any]:
    """The rows of a tab, or of a part of it, in no order: assignments for FRESH, leads for the others."""
    if tab is FRESH:
        part = {"new": buckets.PS_NEW, "tried": buckets.PS_TRIED}.get(show, buckets.PS_FRESH)
        return user.followups.filter(part)
    leads = user.ps_leads
    if tab is PENDING:
        pending = leads.filter(buckets.PS_PENDING_LEADS)
        return pending.filter(lead_category=PENDING.shows[show]) if show else pending
    if tab is TODAY:
        return leads.filter(buckets.overdue(now) if show else buckets.today(now))
    if tab is CLOSED:
        return leads.filter(buckets.WON if show == "won" else buckets.LOST)
    return leads.filter(buckets.TEST_DRIVEN)


class Counts(NamedTuple):
    """How many there are of each, MOST at most; `parts` by the name of the part, those of the open tab among them.

    `newest` is the latest assignment, `asked_again` the latest repeat, `next_due` when a follow-up becomes due without
    anybody's doing, `arrived` what was given since the last look.
    """

    fresh: int
    today: int
    pending: int
    closed: int
    drives: int
    parts: dict[str, int]
    newest: datetime | None
    asked_again: datetime | None
    next_due: datetime | None = None
    arrived: int = 0

    def as_json(self) -> list[Any]:
        moments = [at and at.timestamp() for at in (self.newest, self.asked_again, self.next_due)]
        return [*self[:5], self.parts, *moments]

    @classmethod
    def read(cls, kept: Any) -> "Counts | None":
        """What `as_json` gave, with nothing `arrived`; None for anything else."""
        try:
            fresh, today, pending, closed, drives = map(int, kept[:5])
            parts = {str(name): int(number) for name, number in kept[5].items()}
            newest, asked_again, next_due = (at and datetime.fromtimestamp(at, UTC) for at in kept[6:])
            return cls(fresh, today, pending, closed, drives, parts, newest, asked_again, next_due)
        except (AttributeError, LookupError, OverflowError, TypeError, ValueError):
            return None

    def until(self, now: datetime) -> datetime:
        """The moment at which these may be wrong though nobody has written anything."""
        return min(self.next_due or buckets.day_ends(now), buckets.day_ends(now))

    def digest(self, now: datetime) -> str:
        """Stands for what a page shows; `read_digest` gets the newest assignment back out of it.

        The proposed call back moves every quarter of an hour, and then "in 40 min" and "2 h late" come true again.
        """
        stand = repr((self[:-2], suggestion(now, 0)))
        return f"{_micros(self.newest)}-{blake2b(stand.encode(), digest_size=6).hexdigest()}"


def read_digest(typed: str) -> datetime | None:
    """The newest assignment that a page with this digest knew of; None if nobody wrote this."""
    micros = typed.partition("-")[0]
    if not (micros.isascii() and micros.isdecimal() and len(micros) <= 16):
        return None
    return EPOCH + int(micros) * MICROSECOND


def _micros(at: datetime | None) -> int:
    return (at - EPOCH) // MICROSECOND if at else 0


def counts(user: User, tab: Tab, now: datetime, *, since: datetime | None) -> Counts:
    """One statement, a second one for the parts of FRESH and PENDING. `arrived` was given to the PS after `since`."""
    given = user.followups.filter(closed_at__isnull=True)
    coming = user.ps_leads.filter(buckets.OPEN, follow_up_at__gte=now)
    found = (
        User.objects.filter(pk=user.pk)
        .values(
            newest=Subquery(given.order_by("-assigned_at", "-id").values("assigned_at")[:1]),
            asked_again=Subquery(_repeats(user, now).values("repeats__created_at")[:1]),
            next_due=Subquery(coming.order_by("follow_up_at").values("follow_up_at")[:1]),
            arrived=HowMany(given.filter(assigned_at__gt=since or now), MOST),
            fresh=HowMany(_rows(user, FRESH, "", now), MOST),
            today=HowMany(_rows(user, TODAY, "", now), MOST),
            overdue=HowMany(_rows(user, TODAY, "overdue", now), MOST),
            # The bucket seen from the assignments, which are counted without a look at the leads.
            pending=HowMany(user.followups.filter(buckets.PS_PENDING), MOST),
            won=HowMany(_rows(user, CLOSED, "won", now), MOST),
            lost=HowMany(_rows(user, CLOSED, "lost", now), MOST),
            drives=HowMany(_rows(user, DRIVES, "", now), MOST),
        )
        .get()
    )
    parts = {name: found.pop(name) for name in ("overdue", "won", "lost")}
    parts |= _parts(user, tab) if found.get(tab.name, MOST) < MOST else {}
    return Counts(**found, closed=parts["won"] + parts["lost"], parts=parts)


def _parts(user: User, tab: Tab) -> dict[str, int]:
    """How the rows of a tab divide, in one pass through them; only asked where they are not too many."""
    if tab is FRESH:
        fresh = user.followups.filter(buckets.PS_FRESH)
        return fresh.aggregate(new=Count("pk", buckets.PS_NEW), tried=Count("pk", buckets.PS_TRIED))
    if tab is PENDING:
        pending = user.followups.filter(buckets.PS_PENDING)
        return pending.aggregate(
            **{show: Count("pk", filter=Q(lead__lead_category=category)) for show, category in tab.shows.items()}
        )
    return {}


class Entry(NamedTuple):
    """A tab, or a part of one, as the page offers it."""

    label: str
    query: str
    number: str
    current: bool
    note: str = ""


def tabs(counted: Counts, place: Place) -> list[Entry]:
    """All tabs; Today says besides how much of it is overdue."""
    late = counted.parts["overdue"]
    notes = {TODAY.name: f"{_shown(late)} late" if late else ""}
    return [
        Entry(
            tab.label,
            Place(tab).query,
            _shown(getattr(counted, tab.name)),
            tab is place.tab,
            notes.get(tab.name, ""),
        )
        for tab in TABS.values()
    ]


def parts(counted: Counts, place: Place) -> list[Entry]:
    """What the open tab can be narrowed to."""
    tab = place.tab
    found = [
        Entry(label, Place(tab, show).query, _shown(counted.parts.get(show)), show == place.show)
        for show, label in tab.shows.items()
    ]
    whole = [Entry("All", Place(tab).query, _shown(getattr(counted, tab.name)), not place.show)]
    return [*whole, *found] if found and tab.whole else found


def _shown(count: int | None) -> str:
    if count is None:
        return ""
    return str(count) if count < MOST else f"{MOST - 1}+"


# --- The cards --------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Card:
    """A lead on the desk, its assignment to the reader if that is open, and the last remark of a call.

    `late` is how long it has waited for “Got it”, in words; empty while there is time. `request_id` makes an outcome
    that arrives twice be saved once.
    """

    lead: Any
    followup: PSFollowup | None
    remark: CallAttempt | None
    late: str
    request_id: UUID


@dataclass(frozen=True, slots=True)
class Cards:
    """A page of cards and the cursors of the pages beside it."""

    rows: list[Card]
    newer: str
    older: str


def cards(user: User, place: Place, now: datetime) -> Cards:
    """The page of the desk that `place` names: two statements for FRESH, three for the others."""
    rows = _rows(user, place.tab, place.show, now)
    order = CLOSED_ORDER[place.show] if place.tab is CLOSED else place.tab.order
    if place.tab is FRESH:
        given = page(rows.select_related("lead", "lead__cre", "assigned_by"), place.page, order=order, size=CARDS)
        pairs: list[tuple[Any, PSFollowup | None]] = [(row.lead, row) for row in given.rows]
        return Cards(_cards(pairs, now), given.newer, given.older)
    own = PSFollowup.objects.open().filter(ps=user).select_related("assigned_by")
    leads = page(
        rows.select_related("cre").prefetch_related(Prefetch("followups", own, to_attr="own")),
        place.page,
        order=order,
        size=CARDS,
    )
    pairs = [(lead, lead.own[0] if lead.own else None) for lead in leads.rows]
    return Cards(_cards(pairs, now), leads.newer, leads.older)


def card(followup: PSFollowup, now: datetime) -> Card:
    """The card of one open assignment."""
    return _cards([(followup.lead, followup)], now)[0]


def _cards(pairs: list[tuple[Any, PSFollowup | None]], now: datetime) -> list[Card]:
    remarks = _last_remarks([lead for lead, _ in pairs])
    accepted_by = working_minutes_before(now, ACCEPT_WITHIN)
    return [Card(lead, row, remarks.get(lead.pk), _late(row, accepted_by, now), uuid4()) for lead, row in pairs]


def _late(row: PSFollowup | None, accepted_by: datetime, now: datetime) -> str:
    if row is None or row.accepted_at or row.assigned_at > accepted_by:
        return ""
    return waited(row.assigned_at, now)


def _last_remarks(leads: list[Model]) -> dict[int, CallAttempt]:
    told = CallAttempt.objects.filter(lead__in=[lead.pk for lead in leads]).exclude(remark="")
    newest = told.order_by("lead_id", "-called_at", "-id").distinct("lead_id").select_related("by")
    return {attempt.lead_id: attempt for attempt in newest}


# --- Customers who asked again ----------------------------------------------------------------------------------


def _repeats(user: User, now: datetime) -> QuerySet[Any]:
    """The PS's open leads joined with what their customers asked since, the newest first."""
    # A repeat lifts a lead's priority: the index that has them by priority leads to the few that can have one.
    asked_again = buckets.OPEN & Q(enquiries__gt=1, priority__gte=REPEAT_POINTS)
    rows = user.ps_leads.filter(asked_again, repeats__created_at__gt=now - buckets.REPEATS_FOR)
    return rows.order_by("-repeats__created_at", "-repeats__pk")


def repeats(user: User, now: datetime) -> list[dict[str, Any]]:
    """The newest enquiries of customers whom this PS follows up, shaped like rows of their ledger."""
    columns = ["created_at", "source", "sub_source", "remark", "channel"]
    rows = _repeats(user, now).values(
        "uid", "customer_name", "repeats__created_by__name", *(f"repeats__{column}" for column in columns)
    )
    return [
        {
            "lead": {"uid": row["uid"], "customer_name": row["customer_name"]},
            "created_by": {"name": row["repeats__created_by__name"]},
            **{column: row[f"repeats__{column}"] for column in columns},
        }
        for row in rows[: buckets.REPEATS_SHOWN]
    ]
