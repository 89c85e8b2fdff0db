"""Work in the outbox that does not get done by itself is told, and left where it is."""

from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import NamedTuple

from django.db.models import Exists, OuterRef, Q

from followups.models import CallAttempt, Kind, Outbox, State

# Beat looks at the outbox twice a second. Work that is due, or whose lease is over, for longer than this has no worker.
PATIENCE = timedelta(minutes=15)
# A supervisor has had time to send again, or to decide otherwise.
DEAD_FOR = timedelta(days=7)
# Of more rows than this, one says "1,000 or more".
MOST = 1000


class Stuck(NamedTuple):
    """Rows of the outbox that stay, the oldest `oldest`: what is the matter with them, and what to do."""

    number: int
    oldest: int
    words: str


def stuck(now: datetime) -> Iterator[Stuck]:
    """What does not leave the outbox by itself. It only reads; a mail that was given up is a supervisor's to end."""
    recorded = Exists(CallAttempt.objects.filter(outbox_id=OuterRef("pk")))
    for condition, words in (
        (
            Q(state=State.WAITING, not_before__lt=now - PATIENCE),
            f"due for more than {_minutes(PATIENCE)}, and not done: is a worker running?",
        ),
        (
            Q(state=State.CLAIMED, claimed_until__lt=now - PATIENCE),
            f"claimed, and left for more than {_minutes(PATIENCE)}: is a worker running?",
        ),
        (
            Q(state=State.DEAD, created_at__lt=now - DEAD_FOR),
            f"given up, and older than {DEAD_FOR.days} days: send again, or delete, in the admin.",
        ),
        (Q(recorded, kind=Kind.ATTEMPT), "recorded, and still there: delete them in the admin."),
    ):
        rows = list(Outbox.objects.filter(condition).order_by("pk").values_list("pk", flat=True)[:MOST])
        if rows:
            yield Stuck(len(rows), rows[0], words)


def _minutes(time: timedelta) -> str:
    return f"{time // timedelta(minutes=1)} minutes"
