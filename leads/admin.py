"""Supervision of leads, repeat enquiries and sources. What follows rules is read only: services write it."""

from typing import Any, cast

from django import forms
from django.contrib import admin
from django.contrib.admin.utils import flatten_fieldsets
from django.db.models import Model, Q, QuerySet
from django.http import HttpRequest
from django.urls import reverse
from django.utils.html import format_html, format_html_join

from accounts.models import Role, User
from accounts.supervision import BigTableAdmin, KeptWhileUsedAdmin, ReadOnlyAdmin, list_address
from followups.admin import CallerFilter, SellerFilter
from followups.models import CallAttempt, Outbox, PSFollowup
from followups.uid import search_key
from followups.wording import moment_in_words
from leads.models import DuplicateLead, LeadMaster, Source
from leads.phone import normalise, pretty
from leads.updates import correct_lead

PHONE_OR_UID = "A phone number in any spelling, or a uid"


@admin.register(Source)
class SourceAdmin(KeptWhileUsedAdmin[Source]):
    list_display = ("source", "sub_source", "letter", "is_active")
    list_filter = ("is_active",)
    instead = "Take the tick from “offered”: forms leave it out then."

    def in_use(self, row: Source) -> bool:
        pair = {"source": row.source, "sub_source": row.sub_source}
        return LeadMaster.objects.filter(**pair).exists() or DuplicateLead.objects.filter(**pair).exists()

    def get_readonly_fields(self, request: HttpRequest, obj: Source | None = None) -> tuple[str, ...]:
        """Leads carry the words of their pair: once one does, the words stay."""
        return ("source", "sub_source") if obj and self.in_use(obj) else ()


class LeadForm(forms.ModelForm):  # type: ignore[type-arg]
    """The few things of a lead that follow no rule. If it changed since the page was loaded, none is kept."""

    version = forms.IntegerField(widget=forms.HiddenInput)

    class Meta:
        model = LeadMaster
        fields = ("customer_name", "email", "campaign", "cre")

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        active = Q(role=Role.CRE, is_active=True)
        cre = self.fields["cre"]
        assert isinstance(cre, forms.ModelChoiceField)
        cre.queryset = User.objects.filter(active | Q(pk=self.instance.cre_id))

    def clean(self) -> dict[str, Any]:
        now = LeadMaster.objects.select_for_update(no_key=True).only("version").get(pk=self.instance.pk)
        if self.cleaned_data.get("version") != now.version:
            raise forms.ValidationError("Somebody has changed this lead meanwhile. Load the page again.")
        return super().clean() or self.cleaned_data


class StandingFilter(admin.SimpleListFilter):
    title = "standing"
    parameter_name = "standing"
    STANDINGS: dict[str, tuple[str, Q]] = {
        "unowned": ("Open, nobody’s", Q(final_status="Pending", cre__isnull=True)),
        "open": ("Open", Q(final_status="Pending")),
        "won": ("Won", Q(final_status="Won")),
        "lost": ("Lost", Q(final_status="Lost")),
    }

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        return [(key, words) for key, (words, _) in self.STANDINGS.items()]

    def queryset(self, request: HttpRequest, queryset: QuerySet[LeadMaster]) -> QuerySet[LeadMaster]:
        chosen = self.STANDINGS.get(self.value() or "")
        return queryset.filter(chosen[1]) if chosen else queryset


class PairFilter(admin.SimpleListFilter):
    """The catalogue's pairs, without asking the big table which it holds."""

    title = "source"
    parameter_name = "pair"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        return [(str(pair.pk), str(pair)) for pair in Source.objects.all()]

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
        value = self.value() or ""
        pair = Source.objects.filter(pk=value).first() if value.isdecimal() and len(value) < 10 else None
        return queryset.filter(source=pair.source, sub_source=pair.sub_source) if pair else queryset


def _related(row: LeadMaster) -> list[tuple[str, str]]:
    tables: list[tuple[type[Model], str, Any, str]] = [
        (PSFollowup, "lead__exact", row.uid, "Assignments"),
        (CallAttempt, "lead__exact", row.pk, "Calls"),
        (DuplicateLead, "lead__exact", row.pk, "Repeat enquiries"),
        (Outbox, "lead__exact", row.pk, "Waiting work"),
    ]
    desk = (reverse("lead", args=[row.uid]), "On the desk: correct, reopen")
    return [desk, *((list_address(model, **{lookup: value}), words) for model, lookup, value, words in tables)]


def _in_two_lines(first: str, second: str) -> str:
    return format_html('{}<br><span class="second">{}</span>', first, second)


@admin.register(LeadMaster)
class LeadAdmin(BigTableAdmin[LeadMaster]):
    form = LeadForm
    # What a supervisor asks of a lead fits beside the filters; what is filtered by need not be read in each row.
    list_display = ("uid", "customer", "lead_status", "branch", "cre", "ps", "follow_up", "origin", "came_in")
    FIELDSETS = {
        "Customer": ("customer_name", "customer_mobile_number", "phone_as_typed", "alternate_number", "email"),
        "Enquiry": (
            *("source", "sub_source", "campaign", "lead_category", "model_interested"),
            *("enquiries", "previous", "first_remark"),
        ),
        "People": ("cre", "cre_assigned_at", "branch", "ps", "ps_assigned_at", "created_by"),
        "Calls": (
            *("lead_status", "final_status", "lost_reason", "follow_up_at", "attempts"),
            *("next_call_by", "next_call_until"),
        ),
        "When": (
            *("created_at", "first_attempt_at", "first_call_at", "last_attempt_at", "last_contact_at"),
            *("test_drive_at", "won_at", "lost_at", "updated_at", "saved_by"),
        ),
    }
    TECHNICAL = ("pipeline", "external_ref", "priority", "request_id", "saved_request_id", "version")
    list_filter = (
        StandingFilter,
        "lead_status",
        "branch",
        ("cre", CallerFilter),
        ("ps", SellerFilter),
        PairFilter,
        "created_at",
    )
    list_select_related = ("branch", "cre", "ps")
    search_fields = ("uid",)
    search_help_text = PHONE_OR_UID
    EDITABLE = ("customer_name", "email", "campaign", "cre")

    def found(self, term: str) -> Q:
        """By uid, or by phone: as the customer's own number or the alternate one."""
        if uid := search_key(term):
            return Q(uid=uid)
        number = normalise(term).e164
        if not number:
            return Q(pk__in=[])
        return Q(customer_mobile_number=number) | Q(alternate_number=number) & ~Q(alternate_number="")

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: LeadMaster | None = None) -> bool:
        return False

    def get_fieldsets(self, request: HttpRequest, obj: LeadMaster | None = None) -> Any:
        """By what a supervisor looks for; what only programs read is folded away at the end."""
        told = [(title, {"fields": names}) for title, names in self.FIELDSETS.items()]
        technical = ("Technical", {"fields": self.TECHNICAL, "classes": ("collapse",)})
        return [(None, {"fields": ("uid", "more")}), *told, technical]

    def get_readonly_fields(self, request: HttpRequest, obj: LeadMaster | None = None) -> list[Any]:
        shown = flatten_fieldsets(self.get_fieldsets(request, obj))
        return [name for name in shown if name not in (*self.EDITABLE, "version")]

    def save_model(self, request: HttpRequest, obj: LeadMaster, form: Any, change: bool) -> None:
        """Writes what was edited and nothing else; who changed what is kept with the lead."""
        edited = {name: form.cleaned_data[name] for name in form.changed_data if name in self.EDITABLE}
        if edited:
            actor = cast(User, request.user)
            correct_lead(LeadMaster.objects.select_related("cre").get(pk=obj.pk), edited, actor)

    @admin.display(description="customer, phone")
    def customer(self, row: LeadMaster) -> str:
        return _in_two_lines(row.customer_name, pretty(row.customer_mobile_number))

    @admin.display(description="follow-up")
    def follow_up(self, row: LeadMaster) -> str | None:
        return moment_in_words(row.follow_up_at) or None

    @admin.display(description="source")
    def origin(self, row: LeadMaster) -> str:
        return _in_two_lines(row.source, row.sub_source)

    @admin.display(description="came in")
    def came_in(self, row: LeadMaster) -> str:
        return moment_in_words(row.created_at)

    @admin.display(description="more")
    def more(self, row: LeadMaster) -> str:
        return format_html_join(" · ", '<a href="{}">{}</a>', _related(row))


@admin.register(DuplicateLead)
class DuplicateLeadAdmin(ReadOnlyAdmin[DuplicateLead]):
    list_display = (
        "created_at",
        "customer_name",
        "phone",
        "source",
        "sub_source",
        "lead",
        "channel",
        "created_by",
    )
    list_filter = (PairFilter, "channel", "created_at")
    list_select_related = ("lead", "created_by")
    search_fields = ("customer_mobile_number",)
    search_help_text = PHONE_OR_UID

    def found(self, term: str) -> Q:
        if uid := search_key(term):
            return Q(lead__uid=uid)
        number = normalise(term).e164
        return Q(customer_mobile_number=number) if number else Q(pk__in=[])

    @admin.display(description="phone")
    def phone(self, row: DuplicateLead) -> str:
        return pretty(row.customer_mobile_number)
