"""The customer's side: lead_master, the ledger of repeated enquiries duplicate_leads, and the catalogue of sources."""

from datetime import datetime
from typing import Any

from django.conf import settings
from django.db import models
from django.db.models import Q
from django.db.models.functions import Collate, Upper
from django.utils import timezone

from accounts.indexes import NamedIndex
from accounts.scope import ScopedQuerySet, ScopePaths
from followups.buckets import OPEN
from followups.catalogue import (
    CALL_BACK,
    CODES,
    FRESH,
    LOST,
    MODELS,
    OUTCOMES,
    UNTOUCHED,
    WON,
    Category,
    FinalStatus,
    Pipeline,
    choices,
)
from leads import phone

PHONE = r"^\+[1-9][0-9]{5,14}$"
# Names are found by their beginning in any case; in the order of the alphabet's codes a range of them is one scan.
NAME_KEY = Collate(Upper("customer_name"), "C")
PERSON: dict[str, Any] = {"on_delete": models.PROTECT, "null": True, "blank": True, "db_index": False}


def _both_or_neither(person: str, time: str) -> Q:
    return Q(**{f"{person}__isnull": True, f"{time}__isnull": True}) | Q(
        **{f"{person}__isnull": False, f"{time}__isnull": False}
    )


def _exactly_when(final: FinalStatus, time: str) -> Q:
    return Q(final_status=final.value, **{f"{time}__isnull": False}) | (
        ~Q(final_status=final.value) & Q(**{f"{time}__isnull": True})
    )


def _statuses(final: FinalStatus) -> list[str]:
    return [outcome.code for outcome in OUTCOMES if outcome.implies == final]


class Source(models.Model):
    """A pair of source and sub-source that a lead can come from; supervisors keep the list."""

    source = models.CharField(max_length=40)
    sub_source = models.CharField("sub-source", max_length=60)
    letter = models.CharField(max_length=1, help_text="The capital letter that this source’s uids start with.")
    is_active = models.BooleanField("offered", default=True)

    class Meta:
        db_table = "lead_source"
        ordering = ["source", "sub_source"]
        constraints = [
            models.UniqueConstraint(
                fields=["source", "sub_source"],
                name="lead_source_pair_once",
                violation_error_message="This pair is in the list already.",
            ),
            models.CheckConstraint(
                condition=Q(letter__regex="^[A-Z]$"),
                name="lead_source_letter_capital",
                violation_error_message="Give one capital letter from A to Z.",
            ),
            models.CheckConstraint(condition=~Q(source="") & ~Q(sub_source=""), name="lead_source_pair_given"),
        ]

    def __str__(self) -> str:
        return f"{self.source} · {self.sub_source}"


class LeadQuerySet(ScopedQuerySet["LeadMaster"]):
    paths = ScopePaths(cre="cre", ps="followups__ps", branch="branch", pipeline="pipeline")

    def newest_first(self) -> "LeadQuerySet":
        return self.order_by("-created_at", "-id")


class LeadMaster(models.Model):
    """One enquiry of one customer, from capture until it is Won or Lost. At most one is open for a phone number."""

    uid = models.CharField("UID", max_length=20)
    customer_name = models.CharField(max_length=100)
    customer_mobile_number = models.CharField("phone", max_length=16)
    phone_as_typed = models.CharField(max_length=40, blank=True)
    alternate_number = models.CharField("other phone", max_length=16, blank=True)
    email = models.EmailField("e-mail", blank=True)
    source = models.CharField(max_length=40)
    sub_source = models.CharField("sub-source", max_length=60)
    campaign = models.CharField(max_length=120, blank=True)
    external_ref = models.CharField("reference", max_length=100, blank=True)
    pipeline = models.CharField(max_length=7, choices=choices(Pipeline), default=Pipeline.DIGITAL.value)
    branch = models.ForeignKey(
        "accounts.Branch", models.PROTECT, null=True, blank=True, related_name="leads", db_index=False
    )
    cre = models.ForeignKey(settings.AUTH_USER_MODEL, related_name="cre_leads", verbose_name="CRE", **PERSON)
    ps = models.ForeignKey(settings.AUTH_USER_MODEL, related_name="ps_leads", verbose_name="PS", **PERSON)
    cre_assigned_at = models.DateTimeField("with this CRE since", null=True, blank=True)
    ps_assigned_at = models.DateTimeField("with this PS since", null=True, blank=True)
    lead_status = models.CharField("status", max_length=40, choices=choices(CODES), default=UNTOUCHED)
    lead_category = models.CharField("category", max_length=4, choices=choices(Category), blank=True)
    model_interested = models.CharField("model", max_length=40, choices=choices(MODELS), blank=True)
    final_status = models.CharField(max_length=7, choices=choices(FinalStatus), default=FinalStatus.PENDING.value)
    lost_reason = models.CharField(max_length=120, blank=True)
    follow_up_at = models.DateTimeField("follow-up", null=True, blank=True)
    first_call_at = models.DateTimeField("qualifying call", null=True, blank=True)
    last_contact_at = models.DateTimeField("last reached", null=True, blank=True)
    # The last saved call, reached or not, in a new enquiry too: who was tried just now is not tried again.
    last_attempt_at = models.DateTimeField("last call", null=True, blank=True)
    attempts = models.IntegerField("calls", default=0)
    enquiries = models.IntegerField(default=1)
    priority = models.IntegerField(default=0)
    first_attempt_at = models.DateTimeField("first response", null=True, blank=True)
    won_at = models.DateTimeField("won", null=True, blank=True)
    lost_at = models.DateTimeField("lost", null=True, blank=True)
    test_drive_at = models.DateTimeField("test drive", null=True, blank=True)
    first_remark = models.TextField(blank=True)
    previous = models.ForeignKey(
        "self",
        models.PROTECT,
        null=True,
        blank=True,
        related_name="later_leads",
        db_index=False,
        verbose_name="earlier lead",
    )
    request_id = models.UUIDField("id of the first form", null=True, blank=True)
    next_call_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, related_name="+", verbose_name="in the hands of", **PERSON
    )
    next_call_until = models.DateTimeField("in hand until", null=True, blank=True)
    version = models.IntegerField(default=1)
    created_by = models.ForeignKey(settings.AUTH_USER_MODEL, related_name="+", verbose_name="brought in by", **PERSON)
    created_at = models.DateTimeField(default=timezone.now)
    updated_at = models.DateTimeField("last saved", default=timezone.now)
    # Who saved last, and the id of that form: sent twice, it is answered twice and saved once.
    saved_by = models.ForeignKey(settings.AUTH_USER_MODEL, related_name="+", verbose_name="last saved by", **PERSON)
    saved_request_id = models.UUIDField("id of the last form", null=True, blank=True)

    objects = LeadQuerySet.as_manager()

    class Meta:
        db_table = "lead_master"
        verbose_name = "lead"
        ordering = ["-created_at", "-id"]
        constraints = [
            models.UniqueConstraint(fields=["uid"], name="lead_master_uid_once"),
            # This is the duplicate check.
            models.UniqueConstraint(
                fields=["customer_mobile_number"],
                condition=OPEN,
                name="lead_master_one_open_per_phone",
                violation_error_message="There is an open lead for this phone number already.",
            ),
            models.CheckConstraint(condition=Q(customer_mobile_number__regex=PHONE), name="lead_master_phone_e164"),
            models.CheckConstraint(
                condition=Q(alternate_number="") | Q(alternate_number__regex=PHONE),
                name="lead_master_alternate_e164",
            ),
            models.CheckConstraint(condition=~Q(customer_name=""), name="lead_master_name_given"),
            models.CheckConstraint(condition=~Q(source="") & ~Q(sub_source=""), name="lead_master_source_given"),
            models.CheckConstraint(condition=Q(pipeline__in=list(Pipeline)), name="lead_master_pipeline_known"),
            models.CheckConstraint(condition=Q(lead_status__in=CODES), name="lead_master_lead_status_known"),
            models.CheckConstraint(
                condition=Q(lead_category__in=["", *Category]), name="lead_master_lead_category_known"
            ),
            models.CheckConstraint(condition=Q(model_interested__in=["", *MODELS]), name="lead_master_model_known"),
            models.CheckConstraint(
                condition=Q(final_status__in=list(FinalStatus)), name="lead_master_final_status_known"
            ),
            # The final status follows from the status, by the catalogue.
            models.CheckConstraint(
                condition=Q(final_status=FinalStatus.PENDING.value, lead_status__in=_statuses(FinalStatus.PENDING))
                | Q(final_status=WON.value, lead_status__in=_statuses(WON))
                | Q(final_status=LOST.value, lead_status__in=_statuses(LOST)),
                name="lead_master_final_follows_status",
            ),
            models.CheckConstraint(condition=_exactly_when(WON, "won_at"), name="lead_master_won_has_time"),
            models.CheckConstraint(condition=_exactly_when(LOST, "lost_at"), name="lead_master_lost_has_time"),
            models.CheckConstraint(
                condition=Q(final_status=LOST.value) & ~Q(lost_reason="")
                | ~Q(final_status=LOST.value) & Q(lost_reason=""),
                name="lead_master_lost_has_reason",
            ),
            # Before the qualifying call, an open lead shows only what can be said without reaching the customer.
            models.CheckConstraint(
                condition=~OPEN | Q(first_call_at__isnull=False) | Q(lead_status__in=FRESH),
                name="lead_master_fresh_until_called",
            ),
            models.CheckConstraint(
                condition=OPEN | Q(follow_up_at__isnull=True), name="lead_master_closed_has_no_follow_up"
            ),
            models.CheckConstraint(
                condition=~Q(final_status=FinalStatus.PENDING.value, lead_status=CALL_BACK)
                | Q(follow_up_at__isnull=False),
                name="lead_master_call_back_has_time",
            ),
            models.CheckConstraint(
                condition=Q(lead_status=UNTOUCHED) | Q(last_attempt_at__isnull=False),
                name="lead_master_called_has_time",
            ),
            models.CheckConstraint(
                condition=Q(ps__isnull=True) | Q(branch__isnull=False), name="lead_master_ps_has_branch"
            ),
            models.CheckConstraint(
                condition=_both_or_neither("cre", "cre_assigned_at"), name="lead_master_cre_has_time"
            ),
            models.CheckConstraint(condition=_both_or_neither("ps", "ps_assigned_at"), name="lead_master_ps_has_time"),
            models.CheckConstraint(
                condition=_both_or_neither("next_call_by", "next_call_until"),
                name="lead_master_next_call_has_end",
            ),
            models.CheckConstraint(
                condition=Q(attempts__gte=0, enquiries__gte=1, version__gte=1), name="lead_master_counts_sane"
            ),
        ]
        indexes = [
            # Reads: the earlier leads of a phone, newest first: at capture, on the card, in searches.
            NamedIndex(
                fields=["customer_mobile_number", "-created_at", "-id"],
                name="idx_lead_master_customer_mobile_number",
            ),
            # Reads: searches that find a lead by its alternate number.
            models.Index(
                fields=["alternate_number"],
                condition=~Q(alternate_number=""),
                name="idx_lead_alternate_number",
            ),
            # Reads: the CRE's desk, own leads newest first.
            NamedIndex(fields=["cre", "-created_at", "-id"], name="idx_lead_master_cre_name"),
            # Reads: the admin's list of the leads that one PS has, newest first.
            NamedIndex(fields=["ps", "-created_at", "-id"], name="idx_lead_master_ps_name"),
            # Reads: leads by the beginning of a name, for who sees all of them.
            models.Index(NAME_KEY, "id", name="idx_lead_name"),
            # Reads: the CRE's leads by the beginning of a name.
            models.Index("cre", NAME_KEY, "id", name="idx_lead_cre_customer_name"),
            # Reads: the CRE's Untouched, newest first.
            models.Index(
                fields=["cre", "lead_status", "-created_at", "-id"],
                condition=OPEN & Q(first_call_at__isnull=True),
                name="idx_lead_cre_fresh",
            ),
            # Reads: the CRE's Called, who was tried longest ago on top.
            models.Index(
                fields=["cre", "last_attempt_at", "id"],
                condition=OPEN & Q(first_call_at__isnull=True, last_attempt_at__isnull=False),
                name="idx_lead_cre_called",
            ),
            # Reads: the CRE's Today, Overdue and Call back, most urgent first.
            models.Index(
                fields=["cre", "follow_up_at", "id"],
                condition=OPEN & Q(follow_up_at__isnull=False),
                name="idx_lead_cre_due",
            ),
            # Reads: the CRE's Pending, what matters most on top.
            models.Index(
                fields=["cre", "-priority", "-id"],
                condition=OPEN & Q(first_call_at__isnull=False),
                name="idx_lead_cre_pending",
            ),
            # Reads: the CRE's leads that a PS works on.
            models.Index(
                fields=["cre", "-ps_assigned_at", "-id"],
                condition=OPEN & Q(ps__isnull=False),
                name="idx_lead_cre_with_ps",
            ),
            # Reads: the CRE's Won, latest first.
            models.Index(fields=["cre", "-won_at", "-id"], condition=Q(final_status="Won"), name="idx_lead_cre_won"),
            # Reads: the CRE's Lost, latest first.
            models.Index(fields=["cre", "-lost_at", "-id"], condition=Q(final_status="Lost"), name="idx_lead_cre_lost"),
            # Reads: the team's won leads of some days.
            models.Index(fields=["-won_at", "cre"], condition=Q(final_status="Won"), name="idx_lead_won"),
            # Reads: the PS's Today and Overdue, most urgent first.
            models.Index(
                fields=["ps", "follow_up_at", "id"],
                condition=OPEN & Q(follow_up_at__isnull=False),
                name="idx_lead_ps_due",
            ),
            # Reads: the PS's Pending, what matters most on top.
            models.Index(
                fields=["ps", "-priority", "-id"],
                condition=OPEN & Q(ps__isnull=False),
                name="idx_lead_ps_pending",
            ),
            # Reads: the PS's Won, latest first.
            models.Index(fields=["ps", "-won_at", "-id"], condition=Q(final_status="Won"), name="idx_lead_ps_won"),
            # Reads: the PS's Lost, latest first.
            models.Index(fields=["ps", "-lost_at", "-id"], condition=Q(final_status="Lost"), name="idx_lead_ps_lost"),
            # Reads: the PS's test drives, latest first.
            models.Index(
                fields=["ps", "-test_drive_at", "-id"],
                condition=Q(test_drive_at__isnull=False),
                name="idx_lead_ps_test_drive",
            ),
            # Reads: which leads a person has in hand for the next call.
            models.Index(
                fields=["next_call_by", "next_call_until"],
                condition=Q(next_call_by__isnull=False),
                name="idx_lead_next_call",
            ),
            # Reads: the branch head's and the reception's list, newest first.
            models.Index(fields=["branch", "-created_at", "-id"], name="idx_lead_branch_created"),
            # Reads: the admin's list, newest first.
            models.Index(fields=["-created_at", "-id"], name="idx_lead_created"),
            # Reads: the admin's list of one pair, newest first, and whether a pair is in use.
            models.Index(fields=["source", "sub_source", "-created_at", "-id"], name="idx_lead_source_created"),
            # Reads: the admin's list of one status.
            models.Index(fields=["lead_status", "-created_at", "-id"], name="idx_lead_status_created"),
            # Reads: the admin's list of open leads that nobody owns.
            models.Index(
                fields=["-created_at", "-id"],
                condition=OPEN & Q(cre__isnull=True),
                name="idx_lead_unowned",
            ),
        ]

    def __str__(self) -> str:
        return f"{self.uid} {self.customer_name}"

    @property
    def pretty_phone(self) -> str:
        return phone.pretty(self.customer_mobile_number)

    def forget_former_people(self) -> None:
        """After a wait for the lock: the row is the new one, and beside it PostgreSQL puts the joined old ones."""
        for field in ("cre", "ps", "branch", "next_call_by"):
            kept = self._state.fields_cache.get(field)
            if (kept.pk if kept else None) != getattr(self, f"{field}_id"):
                self._state.fields_cache.pop(field, None)

    @property
    def closed_at(self) -> datetime | None:
        return self.won_at or self.lost_at


class ChangeQuerySet(ScopedQuerySet["LeadChange"]):
    paths = ScopePaths(cre="lead__cre", ps="lead__followups__ps", branch="lead__branch", pipeline="lead__pipeline")


class LeadChange(models.Model):
    """What a person changed of a lead other than by a call or an assignment: corrections and reopenings."""

    lead = models.ForeignKey(LeadMaster, models.PROTECT, related_name="changes", db_index=False)
    field = models.CharField(max_length=40)
    before = models.TextField(blank=True)
    after = models.TextField(blank=True)
    reason = models.TextField(blank=True)
    by = models.ForeignKey(settings.AUTH_USER_MODEL, models.PROTECT, related_name="+", db_index=False)
    at = models.DateTimeField(default=timezone.now)

    objects = ChangeQuerySet.as_manager()

    class Meta:
        db_table = "lead_change"
        ordering = ["-at", "-id"]
        constraints = [
            models.CheckConstraint(condition=~Q(field=""), name="lead_change_field_given"),
            models.CheckConstraint(
                condition=~Q(field="final_status") | ~Q(reason=""), name="lead_change_reopening_has_reason"
            ),
        ]
        indexes = [
            # Reads: what was changed of a lead, on its page.
            models.Index(fields=["lead", "-at", "-id"], name="idx_lead_change_lead"),
        ]

    def __str__(self) -> str:
        return f"{self.lead_id}: {self.field}"


class Channel(models.TextChoices):
    """The door by which an enquiry came in."""

    DESK = "desk", "Desk"
    API = "api", "Program"
    IMPORT = "import", "Import"
    TOLD = "told", "Told by a colleague"


class RepeatQuerySet(ScopedQuerySet["DuplicateLead"]):
    paths = ScopePaths(cre="lead__cre", ps="lead__followups__ps", branch="lead__branch", pipeline="lead__pipeline")


class DuplicateLead(models.Model):
    """A customer with an open lead asked again. Nothing a customer did is dropped: every repeat is a row here."""

    lead = models.ForeignKey(LeadMaster, models.PROTECT, related_name="repeats", db_index=False)
    customer_mobile_number = models.CharField("phone", max_length=16)
    customer_name = models.CharField(max_length=100)
    source = models.CharField(max_length=40)
    sub_source = models.CharField("sub-source", max_length=60)
    campaign = models.CharField(max_length=120, blank=True)
    external_ref = models.CharField("reference", max_length=100, blank=True)
    remark = models.TextField(blank=True)
    payload = models.JSONField(default=dict)
    channel = models.CharField(max_length=6, choices=Channel.choices, default=Channel.DESK)
    request_id = models.UUIDField("id of the form", null=True, blank=True)
    created_by = models.ForeignKey(settings.AUTH_USER_MODEL, related_name="+", verbose_name="brought in by", **PERSON)
    created_at = models.DateTimeField(default=timezone.now)

    objects = RepeatQuerySet.as_manager()

    class Meta:
        db_table = "duplicate_leads"
        verbose_name = "repeat enquiry"
        verbose_name_plural = "repeat enquiries"
        ordering = ["-created_at", "-id"]
        constraints = [
            models.UniqueConstraint(
                fields=["lead", "source", "sub_source", "external_ref"], name="duplicate_leads_enquiry_once"
            ),
            models.CheckConstraint(condition=Q(customer_mobile_number__regex=PHONE), name="duplicate_leads_phone_e164"),
            models.CheckConstraint(condition=~Q(source="") & ~Q(sub_source=""), name="duplicate_leads_source_given"),
            models.CheckConstraint(condition=Q(channel__in=Channel.values), name="duplicate_leads_channel_known"),
        ]
        indexes = [
            # Reads: every enquiry of a phone, newest first, on the card.
            NamedIndex(
                fields=["customer_mobile_number", "-created_at"],
                name="idx_duplicate_leads_customer_mobile_number",
            ),
            # Reads: the enquiries of a lead, newest first, on its page.
            models.Index(fields=["lead", "-created_at", "-id"], name="idx_duplicate_lead_created"),
            # Reads: the newest repeats, in the admin and in people's Repeats.
            models.Index(fields=["-created_at", "-id"], name="idx_duplicate_created"),
            # Reads: the admin's list of repeats from one source.
            models.Index(fields=["source", "-created_at", "-id"], name="idx_duplicate_source_created"),
        ]

    def __str__(self) -> str:
        return f"{self.customer_name} again, from {self.source} · {self.sub_source}"
