"""What supervisors do to the outbox."""

from django.db import transaction
from django.db.models import QuerySet
from django.utils import timezone

from followups.models import EmailState, Kind, Outbox, PSFollowup, State


@transaction.atomic
def send_again(rows: QuerySet[Outbox]) -> int:
    """Lets the workers try the dead ones among `rows` anew, as if never tried; returns how many.

    Waiting and claimed rows are left as they are. Whether a mail is still true is asked again at delivery.
    """
    dead = list(rows.order_by("id").filter(state=State.DEAD).select_for_update(of=("self",)))
    Outbox.objects.filter(pk__in=[row.pk for row in dead]).update(
        state=State.WAITING, tries=0, not_before=timezone.now()
    )
    mailed = [row.ps_followup_id for row in dead if row.kind == Kind.MAIL and row.ps_followup_id]
    PSFollowup.objects.filter(pk__in=mailed, email_state=EmailState.FAILED).update(
        email_state=EmailState.WAITING, email_error=""
    )
    return len(dead)
