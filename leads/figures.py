"""What a CRE's leads of some days have become; followups.figures says what the words mean."""

from django.db.models import F, Q

from accounts.models import Role, User
from followups.buckets import LOST, OPEN, WON
from followups.figures import Figures, Kind, Place, count, places
from followups.periods import Period
from leads.models import LeadMaster

CAME_IN = Kind(
    at="created_at",
    figures={"contacted": Q(first_call_at__isnull=False), "won": WON, "lost": LOST, "open": OPEN},
)


def cre_figures(cre: User, period: Period, before: Period) -> Figures:
    """What became of the leads of `cre` that came in in the period."""
    mine = LeadMaster.objects.filter(cre=cre).annotate(first_call=F("first_attempt_at"))
    return count(mine, CAME_IN, period, before)


def places_in_team(cre: User, period: Period, saved_at: float = 0) -> list[Place]:
    """The CREs, by leads won."""
    return places("team", User.objects.filter(role=Role.CRE), "cre_leads", period, cre, saved_at)
