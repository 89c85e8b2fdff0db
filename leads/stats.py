"""How the leads of some days stand, for anybody's: a CRE, a PS, a branch, any of these together, or all of the desk.

followups.figures says what won, conversion and first call mean. A lead counts by when it came in, and for who has
it now, whoever is asked about; what a PS has made of leads since they were given is in the PS's own figures.
"""

from dataclasses import dataclass
from datetime import timedelta

from django.db.models import Aggregate, Avg, Count, DurationField, Expression, ExpressionWrapper, F, Q
from django.db.models.functions import Coalesce

from accounts.models import Branch, User
from followups.figures import Tally
from followups.periods import Period
from leads.figures import CAME_IN
from leads.models import LeadMaster


@dataclass(frozen=True, slots=True)
class LeadStats(Tally):
    """How many leads and what they have become, and how long that took.

    Times are in hours of the clock. Those to the first call are of the leads that have had one, those to the close of
    the leads that are closed; None where there are none.
    """

    pending: int = 0
    average_hours_to_first_call: float | None = None
    median_hours_to_first_call: float | None = None
    average_hours_to_close: float | None = None
    median_hours_to_close: float | None = None

    @property
    def total(self) -> int:
        """All leads that came in, which for one person's figures are the assigned ones."""
        return self.assigned


class _Median(Aggregate):
    function = "percentile_cont"
    template = "%(function)s(0.5) WITHIN GROUP (ORDER BY %(expressions)s)"
    output_field = DurationField()


def get_lead_stats(cre: User | None, ps: User | None, branch: Branch | None, period: Period) -> LeadStats:
    """Of the leads that came in in `period` and are `cre`'s, `ps`'s and the `branch`'s; None is anybody's.

    One statement, which starts from the index of the first of them on when leads came in and reads each lead once: so
    all of it is exact and of this moment, the medians too, which cannot be put together from those of days.
    """
    whose = {name: value for name, value in {"cre": cre, "ps": ps, "branch": branch}.items() if value is not None}
    came_in = Q(created_at__gte=period.since, created_at__lt=period.until)
    to_first_call = _since_it_came_in(F("first_attempt_at"))
    to_close = _since_it_came_in(Coalesce("won_at", "lost_at"))
    counted = LeadMaster.objects.filter(came_in, **whose).aggregate(
        assigned=Count("pk"),
        **{name: Count("pk", filter=condition) for name, condition in CAME_IN.figures.items()},
        average_hours_to_first_call=Avg(to_first_call),
        median_hours_to_first_call=_Median(to_first_call),
        average_hours_to_close=Avg(to_close),
        median_hours_to_close=_Median(to_close),
    )
    counted["pending"] = counted.pop("open")
    for name in counted:
        if "hours" in name:
            counted[name] = _hours(counted[name])
    return LeadStats(**counted)


def _since_it_came_in(at: Expression | F) -> Expression:
    return ExpressionWrapper(at - F("created_at"), DurationField())


def _hours(time: timedelta | None) -> float | None:
    return None if time is None else time / timedelta(hours=1)
