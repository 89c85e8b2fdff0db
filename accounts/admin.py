"""Supervision of people and branches. Neither goes while anything names it: people stop, branches close."""

from typing import Any

from django import forms
from django.contrib import admin
from django.contrib.auth.admin import UserAdmin as DjangoUserAdmin
from django.contrib.auth.forms import UserChangeForm, UserCreationForm
from django.contrib.auth.models import Group
from django.db.models import Model
from django.http import HttpRequest

from accounts.models import Branch, User
from accounts.supervision import KeptWhileUsedAdmin

# Roles say what people may do; groups would be a second, silent answer.
admin.site.unregister(Group)


def pointed_at(row: Model) -> bool:
    """Whether any row of any table points at `row`."""
    relations: list[Any] = [field for field in row._meta.get_fields(include_hidden=True) if field.one_to_many]
    return any(
        relation.related_model._base_manager.filter(**{relation.field.name: row}).exists() for relation in relations
    )


@admin.register(Branch)
class BranchAdmin(KeptWhileUsedAdmin[Branch]):
    list_display = ("name", "is_active")
    list_filter = ("is_active",)
    search_fields = ("name",)
    instead = "Close it by taking the tick from “open”: no new lead is offered to it then."

    def in_use(self, row: Branch) -> bool:
        return pointed_at(row)


class NewUserForm(UserCreationForm):  # type: ignore[type-arg]
    """A new person, with a password by the dealer’s rule."""

    class Meta:
        model = User
        fields = ("username", "name", "role", "branch", "email", "phone")


class UserForm(UserChangeForm):  # type: ignore[type-arg]
    class Meta:
        model = User
        fields = "__all__"


@admin.register(User)
class UserAdmin(KeptWhileUsedAdmin[User], DjangoUserAdmin):  # type: ignore[type-arg]
    form = UserForm
    add_form = NewUserForm
    list_display = ("name", "username", "role", "branch", "available", "is_active", "last_login")
    list_display_links = ("name", "username")
    list_filter = ("role", "branch", "is_active", "available")
    list_select_related = ("branch",)
    search_fields = ("name", "username")
    ordering = ("name",)
    filter_horizontal = ()
    readonly_fields = ("last_login", "created_at")
    fieldsets = (
        (None, {"fields": ("username", "password")}),
        ("The person", {"fields": ("name", "email", "phone")}),
        ("Work", {"fields": ("role", "branch", "available", "is_active")}),
        ("When", {"fields": ("created_at", "last_login")}),
    )
    add_fieldsets = (
        (
            None,
            {
                "classes": ("wide",),
                "fields": ("username", "password1", "password2", "name", "role", "branch", "email", "phone"),
            },
        ),
    )
    instead = "Take the tick from “may sign in”: calls and leads keep the name."

    def in_use(self, row: User) -> bool:
        return True

    def has_delete_permission(self, request: HttpRequest, obj: User | None = None) -> bool:
        return False

    def get_readonly_fields(self, request: HttpRequest, obj: User | None = None) -> tuple[Any, ...]:
        """Nobody locks themselves out: one's own role and sign-in are another supervisor's to change."""
        fixed = tuple(super().get_readonly_fields(request, obj))
        return (*fixed, "role", "is_active") if obj and obj.pk == request.user.pk else fixed

    def formfield_for_dbfield(self, db_field: Any, request: HttpRequest, **options: Any) -> forms.Field | None:
        """Branches are few and picked, not made on the way."""
        field = super().formfield_for_dbfield(db_field, request, **options)
        if field and db_field.name == "branch":
            for right in ("can_add_related", "can_change_related", "can_delete_related", "can_view_related"):
                setattr(field.widget, right, False)
        return field
