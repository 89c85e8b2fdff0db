"""Supervision of assignments, calls and the outbox: read only, but for sending again what was given up."""

from typing import Any

from django.contrib import admin, messages
from django.db.models import Q, QuerySet
from django.http import HttpRequest
from django.utils.html import format_html

from accounts.models import Role, User
from accounts.supervision import ReadOnlyAdmin, change_address
from followups.models import CallAttempt, Kind, Outbox, PSFollowup, State
from followups.services import send_again


class PeopleFilter(admin.RelatedFieldListFilter):
    """The people of one role, without asking the big table which of them it names."""

    role: Role

    def field_choices(self, field: Any, request: HttpRequest, model_admin: Any) -> list[Any]:
        people = User.objects.filter(role=self.role).values_list("pk", "name")
        return [(str(pk), name) for pk, name in people.order_by("name")]


class SellerFilter(PeopleFilter):
    role = Role.PS


class CallerFilter(PeopleFilter):
    role = Role.CRE


def lead_link(row: PSFollowup | CallAttempt | Outbox) -> str:
    return format_html('<a href="{}">{}</a>', change_address(row.lead), row.lead.uid)


@admin.register(PSFollowup)
class PSFollowupAdmin(ReadOnlyAdmin[PSFollowup]):
    list_display = (
        "lead_uid",
        "customer",
        "ps",
        "branch",
        "assigned_at",
        "email_state",
        "accepted_at",
        "closed_at",
    )
    list_filter = (("ps", SellerFilter), "branch", "email_state", ("closed_at", admin.EmptyFieldListFilter))
    list_select_related = ("lead", "ps", "branch")
    search_fields = ("lead_id",)
    search_help_text = "The lead’s uid"

    def found(self, term: str) -> Q:
        return Q(lead=term.upper())

    @admin.display(description="lead")
    def lead_uid(self, row: PSFollowup) -> str:
        return row.lead_id

    @admin.display(description="customer")
    def customer(self, row: PSFollowup) -> str:
        return row.lead.customer_name


@admin.register(CallAttempt)
class CallAttemptAdmin(ReadOnlyAdmin[CallAttempt]):
    list_display = (
        "called_at",
        "lead_uid",
        "role",
        "by",
        "number",
        "lead_status",
        "contacted",
        "final_status_after",
    )
    list_filter = (("by", CallerFilter), "role", "called_at")
    list_select_related = ("lead", "by")
    search_fields = ("lead__uid",)
    search_help_text = "The lead’s uid"

    def found(self, term: str) -> Q:
        return Q(lead__uid=term.upper())

    @admin.display(description="lead")
    def lead_uid(self, row: CallAttempt) -> str:
        return lead_link(row)

    @admin.display(description="call/attempt")
    def number(self, row: CallAttempt) -> str:
        return f"{row.call_no}/{row.attempt}"


@admin.register(Outbox)
class OutboxAdmin(ReadOnlyAdmin[Outbox]):
    list_display = ("id", "kind", "lead_uid", "state", "tries", "error", "not_before", "created_at")
    list_filter = ("state", "kind")
    list_select_related = ("lead",)
    ordering = ("-id",)
    search_fields = ("lead__uid",)
    search_help_text = "The lead’s uid"
    actions = ("send_again",)

    def found(self, term: str) -> Q:
        return Q(lead__uid=term.upper())

    @admin.display(description="lead")
    def lead_uid(self, row: Outbox) -> str:
        return lead_link(row)

    @admin.display(description="last error")
    def error(self, row: Outbox) -> str:
        return row.last_error[:120]

    def has_delete_permission(self, request: HttpRequest, obj: Outbox | None = None) -> bool:
        """One by one: a mail that was given up, a call that is recorded already. A call that is not is never lost."""
        if obj is None:
            return False
        if obj.kind == Kind.ATTEMPT:
            return CallAttempt.objects.filter(outbox_id=obj.pk).exists()
        return obj.state == State.DEAD

    @admin.action(description="Send again what was given up")
    def send_again(self, request: HttpRequest, rows: QuerySet[Outbox]) -> None:
        sent = send_again(rows)
        left = "" if sent else " Only rows that were given up can be sent again."
        self.message_user(
            request,
            f"{sent} waiting to be tried again.{left}",
            messages.SUCCESS if sent else messages.WARNING,
        )
