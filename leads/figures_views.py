"""The CRE's own figures."""

from typing import Any

from django.http import HttpResponse
from django.utils import timezone
from django.views.decorators.http import require_safe

from accounts.access import SignedInRequest, roles
from accounts.models import Role
from followups import charts, periods
from followups.figures_views import answer, asked, shown
from followups.periods import Period
from followups.saved import saved_at
from leads.figures import cre_figures, places_in_team


@require_safe
@roles(Role.CRE)
def cre_analytics(request: SignedInRequest) -> HttpResponse:
    """What became of the CRE's leads, for the days that the address asks for."""
    now = timezone.now()
    period = asked(request, now)
    context: dict[str, Any] = {}
    if isinstance(period, Period):
        before = periods.before(period, now)
        figures = cre_figures(request.user, period, before)
        places = places_in_team(request.user, period, saved_at(request))
        context = shown(figures, period, before, now, places)
        context["tiles"] = charts.cre_tiles(figures)
    return answer(request, "leads/cre_analytics.html", period, context)
