"""Near times as lists write them: how late a follow-up is, how far off, how long ago something was."""

from datetime import datetime, timedelta
from typing import NamedTuple

from django.utils import timezone

DAY = timedelta(days=1)


class Due(NamedTuple):
    """A follow-up in words, and whether it is `late`, `soon` (by the end of the day) or later."""

    words: str
    tone: str = ""


def due(at: datetime | None) -> Due:
    """When it is due: "2 h late", "in 40 min", "today 17:30", "tomorrow 10:00", "Sat 5 Sep, 10:00"."""
    if at is None:
        return Due("")
    now, local = timezone.now(), timezone.localtime(at)
    if at < now:
        return Due(f"{_span(now - at)} late", "late")
    clock = f"{local:%H:%M}"
    days = (local.date() - timezone.localdate(now)).days
    if days == 0:
        return Due(f"in {_span(at - now)}" if at - now < timedelta(hours=1) else f"today {clock}", "soon")
    if days == 1:
        return Due(f"tomorrow {clock}")
    return Due(f"{local:%a} {local.day} {local:%b}, {clock}")


def age(at: datetime | None) -> str:
    """How long ago: "just now", "4 min", "2 h", "3 d"."""
    if at is None:
        return ""
    passed = timezone.now() - at
    return _span(passed) if passed >= timedelta(minutes=1) else "just now"


def _span(passed: timedelta) -> str:
    if passed < timedelta(hours=1):
        return f"{max(passed // timedelta(minutes=1), 1)} min"
    if passed < DAY:
        return f"{passed // timedelta(hours=1)} h"
    return f"{passed // DAY} d"
