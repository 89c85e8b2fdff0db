"""/my_speed: is the desk fast right now, and was it fast for me? For everybody who is signed in."""

import statistics
from dataclasses import dataclass
from typing import NamedTuple
from urllib.parse import quote

from django.contrib import messages
from django.http import HttpResponse
from django.shortcuts import redirect, render
from django.utils import timezone
from django.views.decorators.http import require_http_methods

from accounts.access import SignedInRequest
from accounts.models import Role, User
from performance import timings
from performance.operations import OPERATIONS
from performance.speed_reports import ReportForm, TooSoon, report
from performance.timings import Figures, Own
from performance.verdict import AWAY, Verdict, judged


@dataclass
class Line:
    """One's own last requests of one kind; times in milliseconds."""

    words: str
    count: int
    typical: float
    slowest: float
    budget: float
    late: int


class Reading(NamedTuple):
    """The desk's speed and one's own, at this moment."""

    verdict: Verdict
    lines: list[Line]
    found: dict[str, Figures]


@require_http_methods(["GET", "HEAD", "POST"])
def my_speed(request: SignedInRequest) -> HttpResponse:
    reading = _read(request.user)
    if request.method != "POST":
        return _page(request, reading, ReportForm())
    form = ReportForm(request.POST)
    if not form.is_valid():
        return _page(request, reading, form, 422)
    try:
        report(
            request.user,
            form.cleaned_data["words"],
            verdict=f"{reading.verdict.words} {reading.verdict.detail}",
            own=[_line_in_words(line) for line in reading.lines],
            desk=_desk_in_words(reading.found),
        )
    except TooSoon:
        form.add_error("words", "You sent a report less than a minute ago. Send this one in a minute.")
        return _page(request, reading, form, 429)
    messages.success(request, "Thank you. Your report is with the supervisors, and the figures with it.")
    return redirect("my_speed")


def _read(person: User) -> Reading:
    try:
        found = timings.figures("minutes")
        return Reading(judged(found), summed_up(timings.own(person.pk)), found)
    except timings.Away:
        return Reading(AWAY, [], {})


def _page(request: SignedInRequest, reading: Reading, form: ReportForm, status: int = 200) -> HttpResponse:
    told_as = told(request.user, reading.verdict, reading.lines)
    context = {
        "verdict": reading.verdict,
        "lines": reading.lines,
        "report": told_as,
        "mail_address": _mail_address(told_as),
        "form": form,
    }
    return render(request, "performance/my_speed.html", context, status=status)


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
            *map(_line_in_words, lines),
        ]
    )


def _line_in_words(line: Line) -> str:
    return (
        f"{line.words}: {_times(line.count)}, typically {line.typical:.0f} ms, slowest {line.slowest:.0f} ms, "
        f"agreed {line.budget:.0f} ms, late {line.late}"
    )


def _desk_in_words(found: dict[str, Figures]) -> list[str]:
    """What everybody's answers took, by operation, in the order of the table of operations."""
    return [
        f"{operation.words}: {_times(figures.count)}, p50 {figures.p50:.0f} ms, p95 {figures.p95:.0f} ms, "
        f"agreed {operation.budget:.0f} ms, late {figures.over}, failed {figures.failed}"
        for operation in OPERATIONS.values()
        if (figures := found.get(operation.name)) and figures.count
    ]


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
