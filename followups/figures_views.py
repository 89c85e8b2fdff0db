"""The PS's own figures, and what the CRE's page has in common with theirs."""

from datetime import datetime
from typing import Any

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.utils import timezone
from django.views.decorators.http import require_safe

from accounts.access import SignedInRequest, roles
from accounts.models import Role
from followups import charts, periods
from followups.acceptance import ACCEPT_WITHIN
from followups.figures import Figures, Place, places_in_branch, ps_figures
from followups.periods import Period
from followups.saved import saved_at


@require_safe
@roles(Role.PS)
def ps_analytics(request: SignedInRequest) -> HttpResponse:
    """What became of the leads that were given to the PS, for the days that the address asks for."""
    now = timezone.now()
    period = asked(request, now)
    context: dict[str, Any] = {}
    if isinstance(period, Period):
        before = periods.before(period, now)
        figures = ps_figures(request.user, period, before)
        places = places_in_branch(request.user, period, saved_at(request))
        context = shown(figures, period, before, now, places)
        context |= {"tiles": charts.ps_tiles(figures, ACCEPT_WITHIN), "accept_within": ACCEPT_WITHIN}
    return answer(request, "followups/ps_analytics.html", period, context)


def asked(request: HttpRequest, now: datetime) -> Period | dict[str, str]:
    """The period of the address, or what is wrong with it."""
    return periods.read({name: request.GET.get(name, "") for name in ("period", "from", "to")}, now)


def shown(figures: Figures, period: Period, before: Period, now: datetime, places: list[Place]) -> dict[str, Any]:
    """What both pages show of figures."""
    return {
        "figures": figures,
        "before": before,
        "places": places,
        "chart": charts.chart(figures.by_day, period, timezone.localdate(now)),
        "sources": charts.by_source(figures.by_pair),
        "categories": charts.by_category(figures.by_category),
    }


def answer(
    request: HttpRequest, template: str, period: Period | dict[str, str], context: dict[str, Any]
) -> HttpResponse:
    """The page: figures, or words at the fields of a period that is none."""
    if isinstance(period, Period):
        errors, days = {}, {"first": period.first.isoformat(), "last": period.last.isoformat()}
    else:
        errors, days = period, {"first": request.GET.get("from", ""), "last": request.GET.get("to", "")}
    choices = {key: words for key, words in periods.WORDS.items() if key != periods.RANGE}
    page = {"period": None if errors else period, "errors": errors, "days": days, "choices": choices, **context}
    return render(request, template, page, status=422 if errors else 200)
