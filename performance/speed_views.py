"""/my_speed: is the desk fast right now, and was it fast for me? For everybody who is signed in."""

import statistics
from dataclasses import dataclass
from urllib.parse import quote

from django.http import HttpResponse
from django.shortcuts import render
from django.utils import timezone
from django.views.decorators.http import require_safe

from accounts.access import SignedInRequest
from accounts.models import Role, User
from performance import timings
from performance.operations import OPERATIONS
from performance.timings import Figures, Own

# One answer in twenty may be late, one in fifty may fail, before the desk is called slow or in trouble.
LATE_SHARE, FAILED_SHARE = 0.05, 0.02


@dataclass
class Verdict:
    """What to say of the last five minutes; `kind` chooses the colour."""

    kind: str
    words: str
    detail: str


@dataclass
class Line:
    """One's own last requests of one kind; times in milliseconds."""

    words: str
    count: int
    typical: float
    slowest: float
    budget: float
    late: int


@require_safe
def my_speed(request: SignedInRequest) -> HttpResponse:
    try:
        verdict = judged(timings.figures("minutes"))
        lines = summed_up(timings.own(request.user.pk))
    except timings.Away:
        verdict = Verdict(
            "unknown",
            "The desk cannot say at the moment.",
            "The timings are kept in Redis, which does not answer. Leads are saved all the same.",
        )
        lines = []
    report = told(request.user, verdict, lines)
    context = {"verdict": verdict, "lines": lines, "report": report, "mail_address": _mail_address(report)}
    return render(request, "performance/my_speed.html", context)


def judged(found: dict[str, Figures]) -> Verdict:
    """Of all that people asked for; the workers' rounds are nobody's wait."""
    asked = [figures for name, figures in found.items() if name in OPERATIONS and not OPERATIONS[name].by_worker]
    count, failed = sum(one.count for one in asked), sum(one.failed for one in asked)
    late = sum(one.over for one in asked)
    if not count:
        return Verdict("fast", "The desk is quiet.", "Nobody has asked it for anything in the last five minutes.")
    detail = (
        f"{count - late:,} of {count:,} answers in the last five minutes came within their budget; {failed:,} failed."
    )
    if failed > FAILED_SHARE * count:
        return Verdict("bad", "The desk is in trouble.", detail)
    if late > LATE_SHARE * count:
        return Verdict("bad", "The desk is slow right now.", detail)
    return Verdict("fast", "The desk is fast right now.", detail)


def summed_up(own: list[Own]) -> list[Line]:
    """By operation, in the order of the table of operations."""
    lines = []
    for operation in OPERATIONS.values():
        times = [one.milliseconds for one in own if one.operation == operation.name]
        if times:
            late = sum(time > operation.budget for time in times)
            typical = statistics.median(times)
            lines.append(Line(operation.words, len(times), typical, max(times), operation.budget, late))
    return lines


def told(user: User, verdict: Verdict, lines: list[Line]) -> str:
    """The figures as a mail has them: nobody's customer is in them."""
    return "\n".join(
        [
            f"{user.name} ({user.username}), {timezone.localtime():%d %b %Y, %H:%M}",
            f"{verdict.words} {verdict.detail}",
            *(
                f"{line.words}: {_times(line.count)}, typically {line.typical:.0f} ms, slowest {line.slowest:.0f} ms, "
                f"budget {line.budget:.0f} ms, late {line.late}"
                for line in lines
            ),
        ]
    )


def _times(count: int) -> str:
    return "once" if count == 1 else f"{count} times"


def _mail_address(report: str) -> str:
    """A link that opens the reader's own mail program, addressed to the supervisors. Empty if none has an address."""
    addresses = (
        User.objects.filter(role=Role.SUPERVISOR, is_active=True).exclude(email="").values_list("email", flat=True)
    )
    to = ",".join(quote(address, safe="@") for address in addresses.order_by("username")[:5])
    body = quote(f"What I was doing, and what was slow:\r\n\r\n\r\n{report}".replace("\n", "\r\n"))
    return to and f"mailto:{to}?subject={quote('The lead desk is slow')}&body={body}"
