"""What a person may see: one answer for lists, details, search and the admin.

A model says by which paths it reaches its CRE, PS, branch and pipeline; this module says which rows that opens.
"""

from typing import Any, ClassVar, NamedTuple, Self, TypeVar

from django.db.models import Model, Q, QuerySet

from accounts.models import Role, User

M = TypeVar("M", bound=Model)


class ScopePaths(NamedTuple):
    """Field paths from a model to who and what decides whether a person sees its rows.

    The path to the PS may cross to many rows (every assignment, past ones too).
    """

    cre: str
    ps: str
    branch: str
    pipeline: str


WALK_IN = "walk-in"


def scope(user: User, paths: ScopePaths) -> Q:
    """The rows that `user` may see: a CRE own leads, a PS leads assigned to them now or before, a branch head the
    branch's, a receptionist the branch's walk-ins, a supervisor everything."""
    opened: dict[str, Q] = {
        Role.SUPERVISOR: Q(),
        Role.CRE: Q(**{paths.cre: user.pk}),
        Role.PS: Q(**{paths.ps: user.pk}),
        Role.BRANCH_HEAD: Q(**{paths.branch: user.branch_id}),
        Role.RECEPTIONIST: Q(**{paths.branch: user.branch_id, paths.pipeline: WALK_IN}),
    }
    nothing = Q(pk__in=[])
    return opened.get(user.role, nothing) if user.is_active else nothing


class ScopedQuerySet(QuerySet[M]):
    """A queryset that knows its own scope; `paths` is what a model has to say."""

    paths: ClassVar[ScopePaths]

    def visible_to(self, user: Any) -> Self:
        """The rows that `user` may see, each once. A stranger's row is not there: views answer 404 for it."""
        if not isinstance(user, User):
            return self.none()
        condition = scope(user, self.paths)
        if user.role == Role.PS:
            # The path crosses to assignments: ask for the keys, so that a lead assigned twice comes once.
            return self.filter(pk__in=self.model._base_manager.filter(condition).values("pk"))
        return self.filter(condition)
