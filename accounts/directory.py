"""Branches and people by the names that forms use, kept in the process for a minute.

Capture is the reader: its form turns a branch and a PS into ids without a query. It can afford a minute-old answer
because the capture statement checks again that the PS is active, available and of that branch, and because an
unknown name makes us look once more before it is refused.
"""

import time
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import TypeVar

from accounts.models import Branch, Role, User

KEEP_SECONDS = 60
T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Seller:
    """A PS as forms and mails need one."""

    id: int
    username: str
    name: str
    branch_id: int
    available: bool


@dataclass(frozen=True, slots=True)
class Directory:
    branches: dict[int, str]
    sellers: dict[int, Seller]
    read_at: float = field(default_factory=time.monotonic)

    def branch_id(self, typed: str) -> int | None:
        """The branch by its id or its name in any case; None where there is no such open branch."""
        if typed.isdecimal():
            return int(typed) if int(typed) in self.branches else None
        return _only(key for key, name in self.branches.items() if name.casefold() == typed.casefold())

    def seller(self, typed: str, branch_id: int | None = None) -> Seller | None:
        """The active PS by id, username, or a name that only one of them (of the branch, if given) has."""
        if typed.isdecimal():
            return self.sellers.get(int(typed))
        wanted = typed.casefold()
        by_username = [seller for seller in self.sellers.values() if seller.username == wanted]
        by_name = [
            seller
            for seller in self.sellers.values()
            if seller.name.casefold() == wanted and branch_id in (None, seller.branch_id)
        ]
        return _only(by_username) or _only(by_name)


def _only(found: Iterable[T]) -> T | None:
    """The one that was found; None if there is none, and None if there are several: we do not guess."""
    several = list(found)
    return several[0] if len(several) == 1 else None


_kept: Directory | None = None


def directory(*, fresh: bool = False) -> Directory:
    """The kept directory, read again when it is older than a minute or when `fresh` is asked for (two queries)."""
    global _kept
    if fresh or _kept is None or time.monotonic() - _kept.read_at > KEEP_SECONDS:
        _kept = _read()
    return _kept


def forget() -> None:
    global _kept
    _kept = None


def entries() -> int:
    """How many branches and PS this process keeps."""
    kept = _kept  # another thread may forget it meanwhile
    return len(kept.branches) + len(kept.sellers) if kept else 0


def age() -> float | None:
    """Seconds since they were read; None where nothing is kept."""
    kept = _kept  # another thread may forget it meanwhile
    return time.monotonic() - kept.read_at if kept else None


def _read() -> Directory:
    sellers = User.objects.filter(role=Role.PS, is_active=True).values_list(
        "id", "username", "name", "branch_id", "available"
    )
    return Directory(
        branches=dict(Branch.objects.filter(is_active=True).values_list("id", "name")),
        sellers={row[0]: Seller(*row) for row in sellers},
    )
