"""Sends the mails that wait in the outbox: claim with a lease, look whether it is still true, send, note the result.

No transaction is open while the mail server is spoken to. A crash between its answer and the note sends the mail
again, with the same Message-ID: at least once, and honestly so.
"""

import time
from collections.abc import Callable
from datetime import datetime, timedelta

from django.core.cache import cache
from django.core.mail import EmailMultiAlternatives
from django.db import InterfaceError, OperationalError, transaction
from django.db.models import F, QuerySet
from django.dispatch import Signal
from django.utils import timezone
from structlog.stdlib import get_logger

from accounts.models import Role, User
from followups import mail
from followups.catalogue import FinalStatus
from followups.mail import Line, MailTrouble
from followups.models import EmailState, Kind, Outbox, PSFollowup, State

log = get_logger(__name__)

BATCH = 10
ROUNDS = 5  # then the next nudge goes on, so that recording gets its turn
LEASE = timedelta(minutes=3)
# A mail server may take ten seconds for each of its answers. What a round has not begun by then it gives back, so that
# neither the lease nor Celery's limit ends it in the middle of a mail.
ROUND_SECONDS = 60
MOST_TRIES = 30  # a day and a night
FIRST_RETRY = timedelta(seconds=30)
LAST_RETRY = timedelta(hours=1)
AWAY, AWAY_SECONDS = "mail server away", 15

# Sent with `seconds`, from the save that asked for the mail until the mail server took it.
mail_left = Signal()

Mails = Outbox.objects.filter(kind__in=[Kind.MAIL, Kind.ALERT])


def mail_waiting() -> int:
    """Sends what is due, a few batches at most; returns how many mails the server took."""
    if cache.get(AWAY):
        return 0
    _release_expired()
    sent, ends = 0, time.monotonic() + ROUND_SECONDS
    for _ in range(ROUNDS):
        rows = _claim() if time.monotonic() < ends else []
        if not rows:
            break
        sent += _send_all(rows, ends)
    return sent


def retry_after(tries: int) -> timedelta:
    """How long to wait after so many tries: twice as long each time, an hour at most."""
    doubled: int = 2 ** min(tries - 1, 20)
    return min(FIRST_RETRY * doubled, LAST_RETRY)


def _release_expired() -> None:
    """What a dead worker had claimed is everybody's again."""
    expired = Outbox.objects.filter(state=State.CLAIMED, claimed_until__lt=timezone.now())
    if released := expired.update(state=State.WAITING, claimed_until=None):
        log.warning("leases expired", rows=released)


def _claim() -> list[Outbox]:
    now = timezone.now()
    with transaction.atomic():
        due = Mails.filter(state=State.WAITING, not_before__lte=now).order_by("id")
        rows = list(due.select_for_update(skip_locked=True)[:BATCH])
        for row in rows:
            row.state, row.claimed_until, row.tries = State.CLAIMED, now + LEASE, row.tries + 1
        Outbox.objects.bulk_update(rows, ["state", "claimed_until", "tries"])
    return rows


def _send_all(rows: list[Outbox], ends: float) -> int:
    """Sends these, as long as `ends` (of the monotonic clock) has not come; how many the server took."""
    sent = 0
    with Line() as line:
        while rows:
            if time.monotonic() >= ends:
                _give_back(rows)
                break
            row = rows.pop(0)
            try:
                sent += _send(row, line)
            except (OperationalError, InterfaceError):
                raise
            except Exception as error:
                # Whatever is wrong with this mail, the others shall not wait for it.
                # What breaks after the end is Celery's limit: it says nothing about the mail.
                permanent = time.monotonic() < ends
                trouble = error if isinstance(error, MailTrouble) else MailTrouble(repr(error), permanent=permanent)
                _failed(row, trouble)
                if trouble.away:
                    cache.set(AWAY, True, AWAY_SECONDS)
                    for other in rows:
                        _failed(other, trouble)
                    break
    return sent


def _give_back(rows: list[Outbox]) -> None:
    """What was claimed and not begun waits again, as if nobody had touched it."""
    for row in rows:
        _ours(row).update(state=State.WAITING, claimed_until=None, tries=F("tries") - 1)


def _send(row: Outbox, line: Line) -> bool:
    """Whether a mail went out; it does not when there is nothing left to tell."""
    write, followup = _still_true(row)
    if write is None:
        _done(row, followup, EmailState.NOT_NEEDED)
        return False
    message = write()
    if followup:
        # A trace before calling out: a crash leaves a row that says so.
        PSFollowup.objects.filter(pk=followup.pk).update(email_state=EmailState.SENDING, email_error="")
    line.send(message)
    taken_at = timezone.now()
    _done(row, followup, EmailState.SENT)
    mail_left.send_robust(Outbox, seconds=(taken_at - row.created_at).total_seconds())
    log.info("mail sent", kind=row.kind, outbox_id=row.pk, request_id=row.payload.get("cause"))
    return True


Writer = Callable[[], EmailMultiAlternatives]


def _still_true(row: Outbox) -> tuple[Writer | None, PSFollowup | None]:
    """What to write, and the follow-up that is told of the result. Nothing, if the world has moved on."""
    if row.kind == Kind.ALERT:
        return _alert(row), None
    followup = PSFollowup.objects.select_related("lead", "lead__cre", "ps", "branch").get(outbox=row)
    lead = followup.lead
    wanted = (
        followup.closed_at is None
        and lead.final_status == FinalStatus.PENDING
        and lead.ps_id == followup.ps_id
        and followup.ps.is_active
        and followup.email_state != EmailState.SENT
    )
    return (lambda: mail.assigned(row, followup)) if wanted else None, followup


def _alert(row: Outbox) -> Writer | None:
    if "taken_from" in row.payload:
        return _taken_over(row)
    repeat = row.lead.repeats.select_related("created_by").filter(pk=row.payload.get("repeat")).first()
    if repeat is None:
        return None
    return lambda: mail.asked_again(row, repeat, _people_of(row))


def _taken_over(row: Outbox) -> Writer | None:
    """For the PS from whom a lead was taken: they shall not call a customer whom a colleague calls now."""
    former = PSFollowup.objects.select_related("ps").filter(pk=row.payload["taken_from"]).first()
    # The latest, closed by now or not: the former PS calls nobody, in either case.
    given = PSFollowup.objects.filter(lead=row.lead).select_related("ps", "branch")
    present = given.order_by("-assigned_at", "-id").first()
    if former is None or not (former.ps.is_active and former.ps.email) or present is None or present.ps == former.ps:
        return None
    if former.email_state == EmailState.NOT_NEEDED and former.accepted_at is None:
        # Taken away before they had heard of it.
        return None
    return lambda: mail.taken_over(row, former, present)


def _people_of(row: Outbox) -> list[User]:
    """The lead's CRE and open PS; the branch head if there is neither; a supervisor before nobody is told."""
    seller = PSFollowup.objects.open().filter(lead=row.lead).select_related("ps").first()
    people = [person for person in (row.lead.cre, seller and seller.ps) if person and person.is_active]
    reachable = (
        [person for person in people if person.email]
        or mail.branch_heads(row.lead.branch_id)
        or list(User.objects.filter(role=Role.SUPERVISOR, is_active=True).exclude(email=""))
    )
    if not reachable:
        raise MailTrouble(
            "There is nobody to tell: no owner, branch head or supervisor has an address.", permanent=True
        )
    return reachable


def _done(row: Outbox, followup: PSFollowup | None, state: EmailState) -> None:
    with transaction.atomic():
        if followup and followup.email_state != EmailState.SENT:
            sent_at = timezone.now() if state == EmailState.SENT else None
            PSFollowup.objects.filter(pk=followup.pk).update(email_state=state, email_sent_at=sent_at, email_error="")
        _ours(row).delete()


def _failed(row: Outbox, trouble: MailTrouble) -> None:
    """Tries again later; after a permanent answer, or too many tries, a supervisor has to look.

    Whoever has the mail already does not get it again.
    """
    dead = trouble.permanent or row.tries >= MOST_TRIES
    # A mail server may say anything, and PostgreSQL does not keep NUL.
    reason = str(trouble).replace("\x00", "")[:500]
    taken = {*row.payload.get(mail.TAKEN, []), *trouble.taken}
    again_at: datetime = timezone.now() + retry_after(row.tries)
    log.warning("mail not sent", outbox_id=row.pk, reason=reason, tries=row.tries, dead=dead)
    with transaction.atomic():
        _ours(row).update(
            state=State.DEAD if dead else State.WAITING,
            claimed_until=None,
            not_before=again_at,
            last_error=reason,
            payload={**row.payload, mail.TAKEN: sorted(taken)} if taken else row.payload,
        )
        PSFollowup.objects.filter(outbox=row.pk).exclude(email_state=EmailState.SENT).update(
            email_state=EmailState.FAILED if dead else EmailState.WAITING, email_error=reason
        )


def _ours(row: Outbox) -> QuerySet[Outbox]:
    """The row, unless its lease ran out and another worker has claimed it since."""
    return Outbox.objects.filter(pk=row.pk, state=State.CLAIMED, tries=row.tries)
