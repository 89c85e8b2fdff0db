"""The address at which a supervisor clears a cache."""

import time
from typing import Any

from django.http import HttpResponse
from django.shortcuts import render
from django.urls import reverse
from structlog.stdlib import get_logger

from accounts.access import SignedInRequest, by_htmx, json_post
from accounts.models import Role
from performance import caches, timings
from performance.answers import page_or_json

log = get_logger(__name__)
UNKNOWN = "There is no such cache: choose one of the list, or all of them."
AWAY = "Redis does not answer, so what it keeps was not cleared, or not all of it. Try again in some seconds."
NOT_SHOWN = "Redis does not answer, so what you see here is as it was before."


@json_post(Role.SUPERVISOR)
def clear_cache(request: SignedInRequest) -> HttpResponse:
    """Clears one cache or all: 422 for a name that is none, 503 where Redis is away."""
    started = time.perf_counter()
    name = request.POST.get("cache", "")
    try:
        cleared = caches.clear(name)
    except KeyError:
        return _answer(request, started, 422, success=False, message=UNKNOWN, errors={"cache": UNKNOWN})
    except timings.Away:
        log.warning("cache not cleared: Redis is away", cache=name, by=request.user.pk)
        return _answer(request, started, 503, success=False, message=AWAY)
    log.info("cache cleared", cache=name, by=request.user.pk, cleared=cleared)
    return _answer(request, started, 200, success=True, message=_told(name, cleared), cleared=cleared)


def _told(name: str, cleared: dict[str, int]) -> str:
    number = sum(cleared.values())
    entries = "one entry" if number == 1 else f"{number:,} entries"
    what = "all caches" if name == caches.ALL else f"“{caches.WORDS[name]}”"
    more = (
        ""
        if cleared.keys().isdisjoint(one.name for one in caches.PROCESS)
        else " Other processes follow within a minute."
    )
    return f"Cleared {what}: {entries}. Nobody was signed out.{more}"


def _answer(request: SignedInRequest, started: float, status: int, **answer: Any) -> HttpResponse:
    """In the caller's manner: a part of the page, the whole page once more, or JSON."""
    if by_htmx(request):
        return _part(request, status, **answer)
    return page_or_json(request, started, status, answer, f"{reverse('performance_metrics')}#caches")


def _part(request: SignedInRequest, status: int, *, success: bool, message: str, **_: Any) -> HttpResponse:
    """All caches as they are now; without Redis only words, which the page shows above those that it has."""
    if status != 503:
        try:
            context = {"caches": caches.overview(), "caches_said": message, "caches_ok": success}
            return render(request, "performance/_caches.html", context, status=status)
        except timings.Away:
            message = f"{message} {NOT_SHOWN}"
    return render(request, "trouble.html", {"message": message, "status": 503}, status=503)
