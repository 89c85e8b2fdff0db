"""What follows a lead: its assignments to a PS, the calls made, and the outbox of work for the workers.

A row points up at its lead by name and reaches it through the relation; this app never imports `leads`.
"""

from typing import ClassVar

from django.conf import settings
from django.db import models
from django.db.models import Q
from django.utils import timezone

from accounts.indexes import NamedIndex
from accounts.scope import ScopedQuerySet, ScopePaths
from followups.catalogue import CODES, FinalStatus, choices

FINAL_CHOICES = choices(FinalStatus)
STATUS_CHOICES = choices(CODES)


class EmailState(models.TextChoices):
    """What became of the mail that tells a PS of a lead."""

    WAITING = "waiting", "Waiting"
    SENDING = "sending", "Being sent"
    SENT = "sent", "Sent"
    FAILED = "failed", "Failed"
    NOT_NEEDED = "not needed", "Not needed"


class FollowupQuerySet(ScopedQuerySet["PSFollowup"]):
    paths = ScopePaths(cre="lead__cre", ps="ps", branch="branch", pipeline="lead__pipeline")

    def open(self) -> "FollowupQuerySet":
        return self.filter(closed_at__isnull=True)


class PSFollowup(models.Model):
    """One assignment of a lead to a PS. A new PS is a new row; the lead's status lives in lead_master alone."""

    lead = models.ForeignKey(
        "leads.LeadMaster",
        models.PROTECT,
        to_field="uid",
        db_column="lead_uid",
        related_name="followups",
        db_index=False,
    )
    ps = models.ForeignKey(
        settings.AUTH_USER_MODEL, models.PROTECT, related_name="followups", db_index=False, verbose_name="PS"
    )
    branch = models.ForeignKey("accounts.Branch", models.PROTECT, related_name="+", db_index=False)
    assigned_by = models.ForeignKey(settings.AUTH_USER_MODEL, models.PROTECT, related_name="+", db_index=False)
    assigned_at = models.DateTimeField(default=timezone.now)
    email_state = models.CharField("e-mail", max_length=10, choices=EmailState.choices, default=EmailState.WAITING)
    email_sent_at = models.DateTimeField("e-mail sent", null=True, blank=True)
    email_error = models.TextField("trouble with the e-mail", blank=True)
    accepted_at = models.DateTimeField("got it", null=True, blank=True)
    # The first call of this PS in which the customer was reached; until then the lead is fresh to them.
    first_call_at = models.DateTimeField(null=True, blank=True)
    closed_at = models.DateTimeField(null=True, blank=True)
    final_status = models.CharField(max_length=7, choices=FINAL_CHOICES, blank=True)

    objects = FollowupQuerySet.as_manager()

    class Meta:
        db_table = "ps_followup"
        verbose_name = "PS follow-up"
        ordering = ["-assigned_at", "-id"]
        constraints = [
            models.UniqueConstraint(
                fields=["lead"], condition=Q(closed_at__isnull=True), name="ps_followup_one_open_per_lead"
            ),
            models.CheckConstraint(
                condition=Q(email_state__in=EmailState.values), name="ps_followup_email_state_known"
            ),
            models.CheckConstraint(
                condition=Q(email_state=EmailState.SENT.value, email_sent_at__isnull=False)
                | (~Q(email_state=EmailState.SENT.value) & Q(email_sent_at__isnull=True)),
                name="ps_followup_sent_has_time",
            ),
            models.CheckConstraint(
                condition=Q(final_status__in=["", *FinalStatus]), name="ps_followup_final_status_known"
            ),
            models.CheckConstraint(
                condition=Q(closed_at__isnull=False) | Q(final_status=""),
                name="ps_followup_open_has_no_final",
            ),
        ]
        indexes = [
            # Reads: the assignments of a lead, on its page.
            NamedIndex(fields=["lead", "-assigned_at"], name="idx_ps_followup_lead_uid"),
            # Reads: the PS's desk, open assignments newest first.
            models.Index(
                fields=["ps", "-assigned_at", "-id"],
                condition=Q(closed_at__isnull=True),
                name="idx_ps_followup_ps_open",
            ),
            # Reads: the PS's Fresh: given, and not yet spoken to.
            models.Index(
                fields=["ps", "-assigned_at", "-id"],
                condition=Q(closed_at__isnull=True, first_call_at__isnull=True),
                name="idx_ps_followup_ps_fresh",
            ),
            # Reads: what nobody has accepted in time, on the branch head's desk.
            models.Index(
                fields=["branch", "assigned_at", "id"],
                condition=Q(closed_at__isnull=True, accepted_at__isnull=True),
                name="idx_ps_followup_unaccepted",
            ),
            # Reads: a PS's figures, by when leads were given to them.
            models.Index(fields=["ps", "-assigned_at", "-id"], name="idx_ps_followup_ps_assigned"),
            # Reads: what a PS may see: every lead that was ever theirs.
            models.Index(fields=["ps", "lead"], name="idx_ps_followup_ps_lead"),
            # Reads: the admin's list of one branch, newest first.
            models.Index(fields=["branch", "-assigned_at", "-id"], name="idx_ps_followup_branch"),
            # Reads: the admin's list, newest first.
            models.Index(fields=["-assigned_at", "-id"], name="idx_ps_followup_assigned"),
            # Reads: the admin's list of mails that did not go out.
            models.Index(
                fields=["-assigned_at", "-id"],
                condition=Q(email_state="failed"),
                name="idx_ps_followup_mail_failed",
            ),
        ]

    def __str__(self) -> str:
        return f"{self.lead_id} with {self.ps}"


class CallRole(models.TextChoices):
    CRE = "cre", "CRE"
    PS = "ps", "PS"


class AttemptQuerySet(ScopedQuerySet["CallAttempt"]):
    paths = ScopePaths(cre="lead__cre", ps="lead__followups__ps", branch="lead__branch", pipeline="lead__pipeline")


class CallAttempt(models.Model):
    """One call, whether the customer was reached or not. Only ever added to, by the recorder."""

    lead = models.ForeignKey("leads.LeadMaster", models.PROTECT, related_name="call_attempts", db_index=False)
    ps_followup = models.ForeignKey(
        PSFollowup, models.PROTECT, null=True, blank=True, related_name="call_attempts", db_index=False
    )
    role = models.CharField(max_length=3, choices=CallRole.choices)
    by = models.ForeignKey(
        settings.AUTH_USER_MODEL, models.PROTECT, related_name="+", db_index=False, verbose_name="caller"
    )
    call_no = models.IntegerField("call")
    attempt = models.IntegerField()
    lead_status = models.CharField("status", max_length=40, choices=STATUS_CHOICES)
    contacted = models.BooleanField("reached")
    remark = models.TextField(blank=True)
    follow_up_at = models.DateTimeField(null=True, blank=True)
    final_status_before = models.CharField(max_length=7, choices=FINAL_CHOICES)
    final_status_after = models.CharField(max_length=7, choices=FINAL_CHOICES)
    called_at = models.DateTimeField()
    recorded_at = models.DateTimeField(default=timezone.now)
    outbox_id = models.BigIntegerField("outbox row")

    objects = AttemptQuerySet.as_manager()

    class Meta:
        db_table = "call_attempt"
        ordering = ["-called_at", "-id"]
        constraints = [
            models.UniqueConstraint(fields=["outbox_id"], name="call_attempt_recorded_once"),
            models.UniqueConstraint(fields=["lead", "role", "call_no", "attempt"], name="call_attempt_numbered_once"),
            models.CheckConstraint(condition=Q(call_no__gte=1, attempt__gte=1), name="call_attempt_numbers_positive"),
            models.CheckConstraint(condition=Q(role__in=CallRole.values), name="call_attempt_role_known"),
            models.CheckConstraint(condition=Q(lead_status__in=CODES), name="call_attempt_lead_status_known"),
            models.CheckConstraint(
                condition=Q(final_status_before__in=list(FinalStatus), final_status_after__in=list(FinalStatus)),
                name="call_attempt_final_status_known",
            ),
        ]
        indexes = [
            # Reads: the calls of a lead, newest first, on its page.
            models.Index(fields=["lead", "-called_at", "-id"], name="idx_call_attempt_lead_called"),
            # Reads: the calls of one person, newest first, in the admin.
            models.Index(fields=["by", "-called_at", "-id"], name="idx_call_attempt_by_called"),
            # Reads: all calls, newest first, in the admin.
            models.Index(fields=["-called_at", "-id"], name="idx_call_attempt_called"),
        ]

    def __str__(self) -> str:
        return f"{self.get_role_display()} {self.call_no}/{self.attempt}: {self.lead_status}"


class Kind(models.TextChoices):
    ATTEMPT = "attempt", "Call attempt to record"
    MAIL = "mail", "Mail to the PS"
    ALERT = "alert", "Alert to the lead’s people"


class State(models.TextChoices):
    WAITING = "waiting", "Waiting"
    CLAIMED = "claimed", "In a worker’s hands"
    DEAD = "dead", "Given up"


class Outbox(models.Model):
    """Work that a commit left for the workers. The row is the message; it leaves when the work is done."""

    kind = models.CharField(max_length=7, choices=Kind.choices)
    lead = models.ForeignKey("leads.LeadMaster", models.PROTECT, related_name="outbox", db_index=False)
    ps_followup = models.ForeignKey(
        PSFollowup, models.PROTECT, null=True, blank=True, related_name="outbox", db_index=False
    )
    payload = models.JSONField(default=dict)
    state = models.CharField(max_length=7, choices=State.choices, default=State.WAITING)
    not_before = models.DateTimeField(default=timezone.now)
    claimed_until = models.DateTimeField(null=True, blank=True)
    tries = models.IntegerField(default=0)
    last_error = models.TextField(blank=True)
    created_at = models.DateTimeField(default=timezone.now)

    class Meta:
        db_table = "outbox"
        ordering: ClassVar[list[str]] = ["id"]
        verbose_name = "outbox row"
        verbose_name_plural = "outbox rows"
        constraints = [
            models.CheckConstraint(condition=Q(kind__in=Kind.values), name="outbox_kind_known"),
            models.CheckConstraint(condition=Q(state__in=State.values), name="outbox_state_known"),
            models.CheckConstraint(condition=Q(tries__gte=0), name="outbox_tries_counted"),
            models.CheckConstraint(
                condition=Q(state=State.CLAIMED.value, claimed_until__isnull=False)
                | (~Q(state=State.CLAIMED.value) & Q(claimed_until__isnull=True)),
                name="outbox_claim_has_end",
            ),
            models.CheckConstraint(
                condition=~Q(kind=Kind.MAIL.value) | Q(ps_followup__isnull=False),
                name="outbox_mail_has_followup",
            ),
        ]
        indexes = [
            # Reads: the workers' claim, oldest first.
            models.Index(fields=["kind", "id"], condition=Q(state="waiting"), name="idx_outbox_waiting"),
            # Reads: the return of rows whose worker died.
            models.Index(fields=["claimed_until"], condition=Q(state="claimed"), name="idx_outbox_claimed"),
            # Reads: the admin's list of what was given up.
            models.Index(fields=["-id"], condition=Q(state="dead"), name="idx_outbox_dead"),
            # Reads: what still waits for a lead: on its page, and the recorder's, in order.
            models.Index(fields=["lead", "id"], name="idx_outbox_lead"),
        ]

    def __str__(self) -> str:
        return f"{self.get_kind_display()} of lead {self.lead_id}"
