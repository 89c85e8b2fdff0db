"""What supervisors' admin pages share: nothing that services own is edited, nothing big is counted."""

from functools import cached_property
from typing import TYPE_CHECKING, Any, TypeVar

from django import forms
from django.contrib import admin, messages
from django.core.paginator import Paginator
from django.db.models import Model, Q, QuerySet
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.urls import reverse

from accounts.characters import refuse_control_characters

M = TypeVar("M", bound=Model)

if TYPE_CHECKING:
    from django.contrib.admin import ModelAdmin
else:

    class ModelAdmin(admin.ModelAdmin):
        """Django's, with the brackets that only its type stubs know."""

        def __class_getitem__(cls, model: type[Model]) -> type["ModelAdmin"]:
            return cls


class BoundedPaginator(Paginator):  # type: ignore[type-arg]
    """Counts no further than a person would page: at a million rows a full count is a list's slowest part."""

    furthest = 5000

    @cached_property
    def count(self) -> int:
        return min(self._counted, self.furthest)

    @cached_property
    def more(self) -> bool:
        """Whether there are rows beyond the last page that is offered."""
        return self._counted > self.furthest

    @cached_property
    def _counted(self) -> int:
        rows: Any = self.object_list
        counted: int = rows.order_by()[: self.furthest + 1].count()
        return counted


class BigTableAdmin(ModelAdmin[M]):
    """A list that costs the same at a hundred rows and at a million: one indexed order, no counts beside."""

    paginator = BoundedPaginator
    show_full_result_count = False
    show_facets = admin.ShowFacets.NEVER
    list_per_page = 50
    sortable_by = ()

    def found(self, term: str) -> Q:
        """The rows that a search for `term` finds, by indexed equality alone."""
        raise NotImplementedError

    def get_search_results(
        self, request: HttpRequest, queryset: QuerySet[M], search_term: str
    ) -> tuple[QuerySet[M], bool]:
        term = search_term.strip()
        return (queryset.filter(self.found(term)) if term else queryset), False


class ReadOnlyAdmin(BigTableAdmin[M]):
    """Rows that only services and workers write."""

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: M | None = None) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: M | None = None) -> bool:
        return False


class KeptWhileUsedAdmin(ModelAdmin[M]):
    """Rows that may go only while nothing points at them; otherwise the page says what to do instead."""

    instead: str

    def in_use(self, row: M) -> bool:
        raise NotImplementedError

    def formfield_for_dbfield(self, db_field: Any, request: HttpRequest, **options: Any) -> forms.Field | None:
        """These names stand in lists and mails: they are read as carefully as what is typed into the desk's forms."""
        field = super().formfield_for_dbfield(db_field, request, **options)
        if isinstance(field, forms.CharField):
            field.validators = [*field.validators, refuse_control_characters]
        return field

    def get_actions(self, request: HttpRequest) -> dict[str, Any]:
        """Rows go one at a time, by `delete_view`: in bulk Django would load all that points at them."""
        return {name: action for name, action in super().get_actions(request).items() if name != "delete_selected"}

    def delete_view(
        self, request: HttpRequest, object_id: str, extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        row = self.get_object(request, object_id)
        if row is None or not self.in_use(row):
            return super().delete_view(request, object_id, extra_context)
        self.message_user(request, f"{row} is in use and stays. {self.instead}", messages.ERROR)
        return HttpResponseRedirect(change_address(row))


def change_address(row: Model) -> str:
    return reverse(f"admin:{row._meta.app_label}_{row._meta.model_name}_change", args=[row.pk])


def list_address(model: type[Model], **lookups: Any) -> str:
    """The admin's list of `model`, filtered."""
    return reverse(
        f"admin:{model._meta.app_label}_{model._meta.model_name}_changelist",
        query=lookups,
    )
