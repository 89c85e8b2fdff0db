"""The outbox and the workers at this moment: what waits and for how long, what was given up, who works.

Cheap however much has gathered: it goes by the outbox's indexes and stops counting at MOST. The broker is not asked:
the workers' processes leave marks in Redis when they are nudged.
"""

import time
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, NamedTuple

from django.db import connection
from django.utils import timezone

from accounts.supervision import list_address
from followups.models import Kind, Outbox, State
from followups.tasks import WORKER_PROCESSES
from performance import timings
from performance.health import WORKER_SILENT_SECONDS
from performance.operations import OPERATIONS
from performance.timings import BOUNDS, Figures

MOST = 10_000  # of more than these one says "more than 10,000"
SHOWN = 10  # of those given up, the newest
ALIVE_SECONDS = 60  # an idle process of several gets a nudge only now and then
WORDS = {Kind.ATTEMPT: "Call attempts to number", Kind.MAIL: "Mails to PS", Kind.ALERT: "Alerts to a lead’s people"}
LATE = {Kind.ATTEMPT: timedelta(minutes=1), Kind.MAIL: timedelta(minutes=5), Kind.ALERT: timedelta(minutes=5)}
DELAYS = ("mail_delay", "record_delay")
# States and kinds are literals: for parameters a prepared plan would lose the partial indexes.
_OF_A_KIND = """
SELECT
    '{kind}',
    (SELECT count(*) FROM (SELECT FROM outbox WHERE state = 'waiting' AND kind = '{kind}' LIMIT %(most)s) AS few),
    oldest.created_at,
    oldest.tries
FROM (SELECT) AS one
LEFT JOIN LATERAL (
    SELECT created_at, tries FROM outbox WHERE state = 'waiting' AND kind = '{kind}' ORDER BY id LIMIT 1
) AS oldest ON true
"""
_OF_A_STATE = """
SELECT '{state}', (SELECT count(*) FROM (SELECT FROM outbox WHERE state = '{state}' LIMIT %(most)s) AS few), NULL, NULL
"""
_STATE = "UNION ALL".join(
    [
        *(_OF_A_KIND.format(kind=kind.value) for kind in Kind),
        *(_OF_A_STATE.format(state=state.value) for state in (State.CLAIMED, State.DEAD)),
    ]
)


@dataclass(frozen=True)
class Number:
    """A count that stops at MOST."""

    value: int

    def __str__(self) -> str:
        return f"more than {MOST:,}" if self.value > MOST else f"{self.value:,}"


@dataclass(frozen=True)
class Pile:
    """What waits, of one kind. `tries` are those of the oldest row."""

    kind: str
    words: str
    waiting: Number
    oldest: datetime | None
    tries: int
    late: bool


@dataclass(frozen=True)
class GivenUp:
    """Work that a supervisor has to look at; `address` is where it can be sent again."""

    number: int
    words: str
    uid: str
    created_at: datetime
    tries: int
    error: str
    address: str


class Workers(NamedTuple):
    """`silent` is how many seconds ago the last nudge was taken, None if nobody remembers one."""

    processes: int
    silent: float | None

    @property
    def alive(self) -> bool:
        return self.silent is not None and self.silent <= WORKER_SILENT_SECONDS


@dataclass(frozen=True)
class Delay:
    """How long work has waited in the last hour, in seconds; None without any."""

    name: str
    words: str
    count: int
    p50: float | None
    p95: float | None
    budget: float

    @property
    def late(self) -> bool:
        return self.p95 is not None and self.p95 > self.budget

    @property
    def beyond(self) -> bool:
        """Whether it was longer than the histograms reach: p95 is then the least that it can have been."""
        return self.p95 is not None and self.p95 * 1000 >= BOUNDS[-1]


@dataclass(frozen=True)
class Queue:
    """`workers` and `delays` are None where Redis could not be asked."""

    piles: Sequence[Pile]
    claimed: Number
    dead: Number
    given_up: Sequence[GivenUp]
    given_up_address: str
    workers: Workers | None
    delays: Sequence[Delay] | None

    @property
    def late(self) -> list[Pile]:
        return [pile for pile in self.piles if pile.late]

    def as_json(self) -> dict[str, Any]:
        """Whose lead was given up, and what the mail server said of whom, stays here."""
        return {
            "waiting": {
                pile.kind: {"rows": pile.waiting.value, "oldest": pile.oldest, "late": pile.late} for pile in self.piles
            },
            "counted_to": MOST,
            "claimed": self.claimed.value,
            "dead": self.dead.value,
            "workers": self.workers and {**self.workers._asdict(), "alive": self.workers.alive},
            "delays_seconds": self.delays
            and {
                delay.name: {"count": delay.count, "p50": delay.p50, "p95": delay.p95, "budget": delay.budget}
                for delay in self.delays
            },
        }


class _Counted(NamedTuple):
    number: int
    oldest: datetime | None
    tries: int | None


def state() -> Queue:
    now = timezone.now()
    with connection.cursor() as cursor:
        cursor.execute(_STATE, {"most": MOST + 1})
        counted = {kind: _Counted(*rest) for kind, *rest in cursor.fetchall()}
    return Queue(
        piles=[_pile(kind, counted[kind], now) for kind in Kind],
        claimed=Number(counted["claimed"].number),
        dead=Number(counted["dead"].number),
        given_up=_given_up(),
        given_up_address=list_address(Outbox, state__exact=State.DEAD.value),
        workers=_workers(),
        delays=_delays(),
    )


def _pile(kind: Kind, counted: _Counted, now: datetime) -> Pile:
    late = counted.oldest is not None and now - counted.oldest > LATE[kind]
    return Pile(kind.value, WORDS[kind], Number(counted.number), counted.oldest, counted.tries or 0, late)


def _given_up() -> list[GivenUp]:
    rows = Outbox.objects.filter(state=State.DEAD).order_by("-id").select_related("lead")
    return [
        GivenUp(
            row.pk,
            row.get_kind_display(),
            row.lead.uid,
            row.created_at,
            row.tries,
            row.last_error,
            list_address(Outbox, state__exact=State.DEAD.value, q=row.lead.uid),
        )
        for row in rows.only("kind", "created_at", "tries", "last_error", "lead__uid")[:SHOWN]
    ]


def _workers() -> Workers | None:
    try:
        with timings.asking() as redis:
            found: Any = redis.zrange(WORKER_PROCESSES, 0, -1, withscores=True)
            marks = [float(at) for _, at in found]
    except timings.Away:
        return None
    now = time.time()
    if not marks:
        return Workers(0, None)
    return Workers(sum(now - at <= ALIVE_SECONDS for at in marks), max(0.0, now - max(marks)))


def _delays() -> list[Delay] | None:
    try:
        found = timings.figures("hour")
    except timings.Away:
        return None
    return [_delay(name, found.get(name, Figures())) for name in DELAYS]


def _delay(name: str, figures: Figures) -> Delay:
    operation = OPERATIONS[name]
    return Delay(
        name, operation.words, figures.count, _seconds(figures.p50), _seconds(figures.p95), operation.budget / 1000
    )


def _seconds(milliseconds: float | None) -> float | None:
    return None if milliseconds is None else milliseconds / 1000
