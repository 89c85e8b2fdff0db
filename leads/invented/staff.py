"""The invented people of the demo and of load tests, and the branches they work at."""

import random
from collections.abc import Iterable
from datetime import datetime

from django.contrib.auth.hashers import make_password

from accounts.models import Branch, Role, User
from leads.invented import material
from leads.invented.chronicle import Staff
from leads.models import Source

LOAD_CRES, LOAD_PS = 50, 40
Person = tuple[str, Role, Branch | None]


class NoSourceOffered(Exception):
    """The catalogue of sources offers nothing that a lead could come from."""


def make_demo_people(password: str, since: datetime) -> None:
    """Seven branches with a head, a receptionist and two PS each; six CREs; a supervisor."""
    branches = make_branches()
    people: list[Person] = [
        ("supervisor", Role.SUPERVISOR, None),
        *((f"cre{n}", Role.CRE, None) for n in range(1, 7)),
    ]
    for number, branch in enumerate(branches, start=1):
        people += [
            (f"head{number}", Role.BRANCH_HEAD, branch),
            (f"reception{number}", Role.RECEPTIONIST, branch),
            (f"ps{2 * number - 1}", Role.PS, branch),
            (f"ps{2 * number}", Role.PS, branch),
        ]
    _make(people, make_password(password), since)


def make_load_people(password: str | None, since: datetime) -> None:
    """CREs, PS and a supervisor for load tests, where missing; without a password they cannot sign in."""
    branches = list(Branch.objects.filter(is_active=True).order_by("id")) or make_branches()
    people: list[Person] = [("load-supervisor", Role.SUPERVISOR, None)]
    people += [(f"load-cre{n:02d}", Role.CRE, None) for n in range(1, LOAD_CRES + 1)]
    people += [(f"load-ps{n:02d}", Role.PS, branches[n % len(branches)]) for n in range(1, LOAD_PS + 1)]
    known = User.objects.filter(username__in=[username for username, *_ in people])
    hashed = make_password(password)
    if password:
        known.update(password=hashed)
    there = set(known.values_list("username", flat=True))
    _make((person for person in people if person[0] not in there), hashed, since)


def make_branches() -> list[Branch]:
    return Branch.objects.bulk_create([Branch(name=name) for name in material.BRANCHES])


def staff(prefix: str = "") -> Staff:
    """The people whose usernames start with `prefix`, as a chronicle needs them. Raises NoSourceOffered."""
    people = User.objects.filter(username__startswith=prefix, is_active=True).order_by("id")
    sellers: dict[int, list[int]] = {}
    for pk, branch_id in people.filter(role=Role.PS).values_list("id", "branch_id"):
        sellers.setdefault(branch_id, []).append(pk)
    pairs = Source.objects.filter(is_active=True).values_list("source", "sub_source", "letter")
    letters = {(source, sub_source): letter for source, sub_source, letter in pairs}
    if not letters:
        raise NoSourceOffered
    return Staff(
        cres=dict(people.filter(role=Role.CRE).values_list("id", "name")),
        sellers=sellers,
        supervisor=people.filter(role=Role.SUPERVISOR).values_list("id", flat=True)[0],
        letters=letters,
    )


def _make(people: Iterable[Person], hashed: str, since: datetime) -> None:
    """Users with names that no two of them share; they have been there `since` the first lead."""
    made = [
        User(
            username=username,
            name=_name(username),
            role=role,
            branch=branch,
            email=f"{username}@example.com",
            password=hashed,
        )
        for username, role, branch in people
    ]
    User.objects.bulk_create(made)
    User.objects.filter(pk__in=[user.pk for user in made]).update(created_at=since)


def _name(username: str) -> str:
    """The same for a username every time."""
    return material.full_name(random.Random(username))  # noqa: S311 - a name, not a secret
