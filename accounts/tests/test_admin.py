"""Supervisors look after people and branches; nobody else gets in, and nothing that is in use is lost."""

import pytest
from django.contrib.admin.sites import site
from django.contrib.auth.hashers import check_password
from django.test import Client
from django.urls import reverse

from accounts.models import Branch, Role, User
from accounts.supervision import change_address
from conftest import PASSWORD, Cast
from leads.tests.factories import make_lead

PEOPLE = reverse("admin:accounts_user_changelist")
NEW_PERSON = reverse("admin:accounts_user_add")
BRANCHES = reverse("admin:accounts_branch_changelist")
GOOD = "Monsoon-2026!"


@pytest.fixture
def meera(client: Client, cast: Cast) -> Client:
    client.force_login(cast.meera)
    return client


def person(**fields: str) -> dict[str, str]:
    """What a supervisor types for a new person."""
    return {
        "username": "nisha",
        "password1": GOOD,
        "password2": GOOD,
        "name": "Nisha",
        "role": "cre",
        **fields,
    }


def edited(user: User, **fields: str) -> dict[str, str]:
    """The change form of `user` as it would be posted."""
    return {
        "username": user.username,
        "name": user.name,
        "role": user.role,
        "branch": str(user.branch_id or ""),
        "email": user.email,
        "phone": user.phone,
        "available": "on",
        "is_active": "on",
        **fields,
    }


def test_the_admin_knows_our_tables_and_no_groups() -> None:
    ours = {model._meta.label for model in site._registry}
    assert ours == {
        "accounts.Branch",
        "accounts.User",
        "followups.CallAttempt",
        "followups.Outbox",
        "followups.PSFollowup",
        "leads.DuplicateLead",
        "leads.LeadMaster",
        "leads.Source",
        "performance.SpeedReport",
    }


@pytest.mark.parametrize("username", ["asha", "kiran", "head", "reception"])
def test_nobody_but_a_supervisor_enters_the_admin(client: Client, cast: Cast, username: str) -> None:
    client.force_login(getattr(cast, username))
    for model in site._registry:
        address = reverse(f"admin:{model._meta.app_label}_{model._meta.model_name}_changelist")
        assert client.get(address).status_code == 302
    assert client.post(NEW_PERSON, person()).status_code == 302
    assert not User.objects.filter(username="nisha").exists()


def test_a_supervisor_who_may_no_longer_sign_in_is_out(meera: Client, cast: Cast) -> None:
    assert meera.get(PEOPLE).status_code == 200
    User.objects.filter(pk=cast.meera.pk).update(is_active=False)
    assert meera.get(PEOPLE).status_code == 302


def test_every_page_of_the_admin_opens(meera: Client, cast: Cast) -> None:
    for model in site._registry:
        name = f"admin:{model._meta.app_label}_{model._meta.model_name}"
        assert meera.get(reverse(f"{name}_changelist")).status_code == 200
    assert meera.get(NEW_PERSON).status_code == 200
    assert meera.get(change_address(cast.kiran)).status_code == 200
    assert meera.get(change_address(cast.attapur)).status_code == 200
    assert meera.get(reverse("admin:index")).status_code == 200


def test_a_new_person_can_sign_in_with_the_given_password(meera: Client, cast: Cast) -> None:
    response = meera.post(NEW_PERSON, person(username="Nisha"))
    assert response.status_code == 302
    nisha = User.objects.get(username="nisha")
    assert nisha.role == Role.CRE
    assert check_password(GOOD, nisha.password)


@pytest.mark.parametrize("weak", ["short1!", "all-small-1!", "ALL-BIG-1!", "No-digit-here", "NoSpecial1", "password"])
def test_a_weak_password_is_refused_in_words(meera: Client, weak: str) -> None:
    response = meera.post(NEW_PERSON, person(password1=weak, password2=weak))
    assert response.status_code == 200
    assert "password2" in response.context["adminform"].form.errors or weak == "password"
    assert not User.objects.filter(username="nisha").exists()


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"username": "ASHA"}, "already"),
        ({"role": "ps"}, "need a branch"),
        ({"name": ""}, "required"),
        ({"username": "नि"}, "valid username"),
    ],
)
def test_a_person_who_breaks_a_rule_is_refused_in_words(meera: Client, fields: dict[str, str], words: str) -> None:
    response = meera.post(NEW_PERSON, person(**fields))
    assert response.status_code == 200
    assert words in str(response.context["adminform"].form.errors)


def test_a_person_moves_to_another_branch_and_goes_on_leave(meera: Client, cast: Cast) -> None:
    fields = edited(cast.kiran, branch=str(cast.malakpet.pk))
    del fields["available"]
    assert meera.post(change_address(cast.kiran), fields).status_code == 302
    cast.kiran.refresh_from_db()
    assert cast.kiran.branch == cast.malakpet
    assert not cast.kiran.available
    assert cast.kiran.check_password(PASSWORD)


def test_a_person_stops_instead_of_being_deleted(meera: Client, cast: Cast) -> None:
    fields = edited(cast.asha)
    del fields["is_active"]
    assert meera.post(change_address(cast.asha), fields).status_code == 302
    assert not User.objects.get(pk=cast.asha.pk).is_active

    page = meera.post(reverse("admin:accounts_user_delete", args=[cast.asha.pk]), {"post": "yes"}, follow=True)
    assert "may sign in" in page.text
    assert User.objects.filter(pk=cast.asha.pk).exists()


def test_people_cannot_be_deleted_in_bulk(meera: Client, cast: Cast) -> None:
    meera.post(PEOPLE, {"action": "delete_selected", "_selected_action": [cast.asha.pk], "post": "yes"})
    meera.post(BRANCHES, {"action": "delete_selected", "_selected_action": [cast.malakpet.pk], "post": "yes"})
    assert User.objects.filter(pk=cast.asha.pk).exists()
    assert Branch.objects.filter(pk=cast.malakpet.pk).exists()


def test_a_supervisor_cannot_lock_herself_out(meera: Client, cast: Cast) -> None:
    fields = edited(cast.meera, role="cre")
    del fields["is_active"]
    assert meera.post(change_address(cast.meera), fields).status_code == 302
    cast.meera.refresh_from_db()
    assert cast.meera.is_active
    assert cast.meera.is_supervisor


def test_a_supervisor_sets_a_forgotten_password(meera: Client, cast: Cast) -> None:
    address = reverse("admin:auth_user_password_change", args=[cast.asha.pk])
    refused = meera.post(address, {"password1": "monsoon", "password2": "monsoon", "usable_password": "true"})
    assert refused.status_code == 200
    assert meera.post(address, {"password1": GOOD, "password2": GOOD, "usable_password": "true"}).status_code == 302
    cast.asha.refresh_from_db()
    assert cast.asha.check_password(GOOD)


def test_a_branch_that_is_in_use_stays_and_the_page_says_what_to_do(meera: Client, cast: Cast) -> None:
    User.objects.filter(branch=cast.malakpet).delete()
    make_lead(branch=cast.malakpet)
    address = reverse("admin:accounts_branch_delete", args=[cast.malakpet.pk])
    for page in (meera.get(address, follow=True), meera.post(address, {"post": "yes"}, follow=True)):
        assert page.status_code == 200
        assert "MALAKPET is in use and stays" in page.text
    assert Branch.objects.filter(pk=cast.malakpet.pk).exists()


def test_a_branch_that_was_a_slip_can_be_deleted(meera: Client, cast: Cast) -> None:
    slip = Branch.objects.create(name="ATAPUR")
    meera.post(reverse("admin:accounts_branch_delete", args=[slip.pk]), {"post": "yes"})
    assert not Branch.objects.filter(pk=slip.pk).exists()


def test_a_branch_of_the_same_name_is_refused_in_words(meera: Client, cast: Cast) -> None:
    response = meera.post(reverse("admin:accounts_branch_add"), {"name": "Attapur", "is_active": "on"})
    assert "There is a branch of this name already." in response.text


def test_the_list_of_people_costs_the_same_for_few_and_for_many(
    meera: Client, cast: Cast, django_assert_max_num_queries: object
) -> None:
    few = _statements(meera)
    for number in range(20):
        User.objects.create_user(f"more{number}", name=f"More {number}", role=Role.PS, branch=cast.attapur)
    assert _statements(meera) == few


def _statements(client: Client) -> int:
    from django.db import connection
    from django.test.utils import CaptureQueriesContext

    with CaptureQueriesContext(connection) as queries:
        assert client.get(PEOPLE).status_code == 200
    return len(queries)


@pytest.mark.parametrize("hidden", ["\u202e", "\u2066", "\x07"])
def test_a_name_that_would_garble_a_list_is_refused(meera: Client, cast: Cast, hidden: str) -> None:
    posted = {"name": f"ATTA{hidden}PUR", "is_active": "on"}
    assert "cannot be shown" in meera.post(reverse("admin:accounts_branch_add"), posted).text
    assert "cannot be shown" in meera.post(NEW_PERSON, person(name=f"Ni{hidden}sha")).text
    assert "cannot be shown" in meera.post(change_address(cast.asha), edited(cast.asha, name=f"A{hidden}sha")).text
    source = {"source": f"WEB{hidden}SITE", "sub_source": "Form", "letter": "W", "is_active": "on"}
    assert "cannot be shown" in meera.post(reverse("admin:leads_source_add"), source).text


def test_a_new_person_is_asked_for_a_password_and_for_no_other_way_to_sign_in(meera: Client) -> None:
    page = meera.get(NEW_PERSON).text
    assert 'name="usable_password"' not in page
    assert "LDAP" not in page
