"""What the database keeps true about people and branches, and what a person may be."""

from typing import Any

import pytest
from django.contrib.auth import authenticate
from django.contrib.auth.models import AnonymousUser
from django.contrib.auth.password_validation import validate_password
from django.core.exceptions import ValidationError
from django.db.models import ProtectedError
from django.test import RequestFactory

from accounts.models import Branch, Role, User
from accounts.tests.constraints import Case, declared, try_out
from conftest import PASSWORD, Cast


def branch(cast: Cast, **fields: Any) -> Branch:
    return Branch.objects.create(**{"name": "KOMPALLY", **fields})


def person(cast: Cast, **fields: Any) -> User:
    """Through no manager, which would write the username in small letters."""
    user = User(**{"username": "nisha", "name": "Nisha", "role": Role.CRE, **fields})
    user.save()
    return user


CASES = [
    Case(
        "accounts_branch_name_once",
        branch,
        fits=[{"name": "KOMPALLY"}, {"name": "KOMPALLY 2"}],
        breaks=[{"name": "KOMPALLY"}, {"name": "Kompally"}],
    ),
    Case("accounts_branch_name_given", branch, fits=[{"name": "K"}], breaks=[{"name": ""}]),
    Case(
        "accounts_user_username_once",
        person,
        fits=[{"username": "nisha"}, {"username": "nisha2"}],
        breaks=[{"username": "nisha"}, {"username": "nisha"}],
    ),
    Case("accounts_user_username_lower", person, fits=[{"username": "n.1"}], breaks=[{"username": "N.1"}]),
    Case("accounts_user_username_lower", person, fits=[{"username": "n"}], breaks=[{"username": ""}]),
    Case("accounts_user_name_given", person, fits=[{"name": "N"}], breaks=[{"name": ""}]),
    Case("accounts_user_role_known", person, fits=[{"role": "supervisor"}], breaks=[{"role": "admin"}]),
]


@pytest.mark.parametrize("case", CASES, ids=str)
def test_a_row_that_just_fits_is_kept_and_one_that_just_does_not_is_refused(case: Case, cast: Cast) -> None:
    try_out(case, cast)


@pytest.mark.parametrize("role", [Role.PS, Role.BRANCH_HEAD, Role.RECEPTIONIST])
def test_who_works_in_a_showroom_needs_a_branch(cast: Cast, role: Role) -> None:
    case = Case(
        "accounts_user_branch_given",
        person,
        fits=[{"role": role, "branch": cast.attapur}],
        breaks=[{"role": role}],
    )
    try_out(case, cast)


@pytest.mark.parametrize("role", [Role.CRE, Role.SUPERVISOR])
def test_who_works_for_all_showrooms_needs_none(cast: Cast, role: Role) -> None:
    assert person(cast, role=role).branch is None


def test_every_constraint_of_people_and_branches_was_tried() -> None:
    assert {case.constraint for case in CASES} | {"accounts_user_branch_given"} == set(declared("accounts"))


def test_a_person_or_branch_that_others_name_cannot_be_deleted(cast: Cast) -> None:
    with pytest.raises(ProtectedError):
        cast.attapur.delete()


def test_a_username_is_kept_and_compared_in_small_letters(cast: Cast) -> None:
    nisha = User.objects.create_user("Nisha", PASSWORD, name="Nisha", role=Role.CRE)
    assert nisha.username == "nisha"
    assert User.objects.get_by_natural_key("NISHA") == nisha
    request = RequestFactory().post("/")
    assert authenticate(request, username="NiSha", password=PASSWORD) == nisha


def test_a_superuser_made_on_the_command_line_is_a_supervisor(cast: Cast) -> None:
    root = User.objects.create_superuser("Root", PASSWORD, name="Root", email="root@example.com")
    assert root.role == Role.SUPERVISOR
    assert root.is_staff
    assert root.is_superuser


@pytest.mark.parametrize("role", Role)
def test_only_an_active_supervisor_has_rights_in_the_admin(role: Role) -> None:
    active, inactive = User(role=role), User(role=role, is_active=False)
    expected = role == Role.SUPERVISOR
    assert active.is_staff is active.has_perm("leads.view_leadmaster") is expected
    assert active.has_module_perms("leads") is expected
    assert not inactive.has_perm("leads.view_leadmaster")
    assert not inactive.has_module_perms("leads")


def test_a_user_without_a_password_cannot_sign_in(cast: Cast) -> None:
    nobody = User.objects.create_user("nisha", name="Nisha", role=Role.CRE)
    assert not nobody.has_usable_password()
    assert not isinstance(nobody, AnonymousUser)


@pytest.mark.parametrize("password", ["Monsoon-2026!", "Ab1!Ab1!", "Über1234#", "Ab1 Ab1 "])
def test_a_password_with_all_four_kinds_of_characters_is_taken(password: str) -> None:
    validate_password(password)


@pytest.mark.parametrize("password", ["Ab1!Ab1", "ab1!ab1!x", "AB1!AB1!X", "Abc!Abc!x", "Abc1Abc1x"])
def test_a_password_that_lacks_length_or_a_kind_of_character_is_refused(password: str) -> None:
    with pytest.raises(ValidationError):
        validate_password(password)
