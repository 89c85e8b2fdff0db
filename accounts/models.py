"""Branches and the people of the desk: who they are, where they work, what they may do."""

from collections.abc import Iterable
from typing import Any, ClassVar

from django.contrib.auth.base_user import AbstractBaseUser, BaseUserManager
from django.contrib.auth.validators import ASCIIUsernameValidator
from django.core.cache import cache
from django.db import models, transaction
from django.db.models import Q
from django.db.models.functions import Lower


class Role(models.TextChoices):
    CRE = "cre", "CRE"
    PS = "ps", "PS"
    BRANCH_HEAD = "branch_head", "Branch head"
    RECEPTIONIST = "receptionist", "Receptionist"
    SUPERVISOR = "supervisor", "Supervisor"


# These work in one showroom; a CRE and a supervisor work for all of them.
BRANCH_ROLES = [Role.PS, Role.BRANCH_HEAD, Role.RECEPTIONIST]


class Branch(models.Model):
    """A showroom."""

    name = models.CharField(max_length=60)
    is_active = models.BooleanField("open", default=True, help_text="A closed branch is offered for no new lead.")

    class Meta:
        db_table = "accounts_branch"
        ordering = ["name"]
        verbose_name_plural = "branches"
        constraints = [
            models.UniqueConstraint(
                Lower("name"),
                name="accounts_branch_name_once",
                violation_error_message="There is a branch of this name already.",
            ),
            models.CheckConstraint(condition=~Q(name=""), name="accounts_branch_name_given"),
        ]

    def __str__(self) -> str:
        return self.name


# What accounts.signed_in keeps of a person in Redis.
KEPT_FIELDS = ["id", "username", "name", "role", "branch_id", "is_active"]


def kept_key(user_id: int) -> str:
    return f"signed-in:{user_id}"


def _forget(user_ids: Iterable[int]) -> None:
    """At once and once more at the commit, for whoever has read the old row in between."""
    keys = [kept_key(user_id) for user_id in user_ids]
    cache.delete_many(keys)
    transaction.on_commit(lambda: cache.delete_many(keys), robust=True)


class UserQuerySet(models.QuerySet["User"]):
    def update(self, **changes: Any) -> int:
        # Before the update: afterwards the rows may not match the filter any more.
        user_ids = list(self.values_list("pk", flat=True))
        changed = super().update(**changes)
        _forget(user_ids)
        return changed


class UserManager(BaseUserManager["User"].from_queryset(UserQuerySet)):  # type: ignore[misc]
    def create_user(self, username: str, password: str | None = None, **fields: Any) -> "User":
        """A saved user; without a password one that cannot sign in yet."""
        user: User = self.model(username=username.lower(), **fields)
        user.set_password(password)
        user.save(using=self._db)
        return user

    def create_superuser(self, username: str, password: str | None = None, **fields: Any) -> "User":
        """What `manage.py createsuperuser` makes: a supervisor."""
        return self.create_user(username, password, **{"role": Role.SUPERVISOR, **fields})

    def get_by_natural_key(self, username: str | None) -> "User":
        found: User = self.get(username=(username or "").lower())
        return found


LONGEST_USERNAME = 60


class User(AbstractBaseUser):
    """A person with a role. People are never deleted once leads name them: they stop being active."""

    username = models.CharField(
        max_length=LONGEST_USERNAME,
        validators=[ASCIIUsernameValidator()],
        help_text="What the person signs in with: small letters, digits and @ . + - _",
    )
    name = models.CharField(max_length=80, help_text="As colleagues and customers know them.")
    role = models.CharField(max_length=12, choices=Role.choices)
    branch = models.ForeignKey(Branch, models.PROTECT, null=True, blank=True, related_name="people", db_index=False)
    phone = models.CharField(max_length=20, blank=True)
    email = models.EmailField("e-mail", blank=True)
    is_active = models.BooleanField("may sign in", default=True)
    available = models.BooleanField("takes new leads", default=True, help_text="Off while a PS is on leave.")
    created_at = models.DateTimeField(auto_now_add=True)

    USERNAME_FIELD = "username"
    EMAIL_FIELD = "email"
    REQUIRED_FIELDS: ClassVar[list[str]] = ["name", "email"]

    objects = UserManager()

    # Set by accounts.signed_in on a person who comes from the cache, whose password was not read.
    kept_session_hash = ""

    class Meta:
        db_table = "accounts_user"
        ordering = ["name"]
        constraints = [
            models.UniqueConstraint(
                fields=["username"],
                name="accounts_user_username_once",
                violation_error_message="Somebody has this username already.",
            ),
            models.CheckConstraint(
                condition=Q(username=Lower("username")) & ~Q(username=""),
                name="accounts_user_username_lower",
                violation_error_message="Write the username in small letters.",
            ),
            models.CheckConstraint(condition=~Q(name=""), name="accounts_user_name_given"),
            models.CheckConstraint(condition=Q(role__in=Role.values), name="accounts_user_role_known"),
            models.CheckConstraint(
                condition=~Q(role__in=BRANCH_ROLES) | Q(branch__isnull=False),
                name="accounts_user_branch_given",
                violation_error_message="A PS, a branch head and a receptionist need a branch.",
            ),
        ]
        indexes = [
            # Reads: the PS of a branch on the forms, and the branch head who is copied in mails.
            models.Index(fields=["branch", "role"], name="idx_accounts_user_branch_role"),
        ]

    def __str__(self) -> str:
        return self.name

    def save(self, *args: Any, **kwargs: Any) -> None:
        super().save(*args, **kwargs)
        _forget([self.pk])

    def set_password(self, raw_password: str | None) -> None:
        super().set_password(raw_password)
        self.kept_session_hash = ""

    def get_session_auth_hash(self) -> str:
        return self.kept_session_hash or super().get_session_auth_hash()

    def clean(self) -> None:
        super().clean()
        # Empty where the form has refused it already.
        self.username = (self.username or "").lower()

    def get_full_name(self) -> str:
        return self.name

    # The admin belongs to supervisors, whole; nobody else comes in. So there are no groups and no permission rows.
    @property
    def is_supervisor(self) -> bool:
        return self.role == Role.SUPERVISOR

    @property
    def is_staff(self) -> bool:
        return self.is_supervisor

    @property
    def is_superuser(self) -> bool:
        return self.is_supervisor

    def has_perm(self, perm: str, obj: object = None) -> bool:
        return self.is_active and self.is_supervisor

    def has_module_perms(self, app_label: str) -> bool:
        return self.is_active and self.is_supervisor
