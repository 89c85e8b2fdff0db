"""The way in and out: sign-in, each role's own page, the lock after wrong passwords, a new password."""

from typing import Any

import pytest
from axes.utils import reset
from django.db import OperationalError
from django.template.loader import get_template
from django.test import Client

from accounts.models import User
from conftest import PASSWORD, Cast

HOMES = {
    "asha": "/cre_dashboard",
    "kiran": "/ps_dashboard",
    "head": "/branch_head_dashboard",
    "reception": "/rec_dashboard",
    "meera": "/admin/",
}


@pytest.fixture(autouse=True)
def _nobody_locked(db: None) -> None:
    reset()


def sign_in(client: Client, username: str = "asha", password: str = PASSWORD, **fields: str) -> Any:
    return client.post("/login", {"username": username, "password": password, **fields})


@pytest.mark.parametrize(("username", "page"), HOMES.items())
def test_each_role_lands_on_its_own_page(client: Client, cast: Cast, username: str, page: str) -> None:
    assert sign_in(client, username).headers["Location"] == "/"
    assert client.get("/").headers["Location"] == page
    assert client.get(page).status_code == 200


@pytest.mark.parametrize(("username", "own"), HOMES.items())
def test_other_roles_pages_are_refused_in_words(client: Client, cast: Cast, username: str, own: str) -> None:
    sign_in(client, username)
    for page in set(HOMES.values()) - {own, "/admin/"}:
        answer = client.get(page)
        assert answer.status_code == 403
        assert "This page is not for your role" in answer.text


@pytest.mark.parametrize("typed", ["asha", "ASHA", "Asha"])
def test_the_username_is_taken_in_any_case(client: Client, cast: Cast, typed: str) -> None:
    assert sign_in(client, typed).status_code == 302


def test_a_wrong_password_is_refused_in_words_and_the_name_is_kept(client: Client, cast: Cast) -> None:
    answer = sign_in(client, "asha", "wrong")
    assert answer.status_code == 200
    assert "do not belong together" in answer.text
    assert 'value="asha"' in answer.text


def test_nothing_typed_says_what_is_missing_at_each_field(client: Client, db: None) -> None:
    answer = sign_in(client, "", "")
    assert "Type your username." in answer.text
    assert "Type your password." in answer.text
    assert 'aria-describedby="id_password_error"' in answer.text


def test_who_left_the_dealer_cannot_sign_in(client: Client, cast: Cast) -> None:
    User.objects.filter(pk=cast.asha.pk).update(is_active=False)
    assert "may no longer sign in" in sign_in(client).text


def test_sign_in_goes_on_to_where_one_wanted_to_go(client: Client, cast: Cast) -> None:
    asked = client.get("/add_lead?phone=1")
    assert asked.headers["Location"] == "/login?next=/add_lead%3Fphone%3D1"
    assert sign_in(client, next="/add_lead").headers["Location"] == "/add_lead"


@pytest.mark.parametrize("elsewhere", ["https://evil.example/", "//evil.example", "javascript:alert(1)"])
def test_sign_in_never_leads_to_another_site(client: Client, cast: Cast, elsewhere: str) -> None:
    assert sign_in(client, next=elsewhere).headers["Location"] == "/"


def test_signing_out_takes_a_post_and_also_works_for_who_is_out_already(client: Client, cast: Cast) -> None:
    sign_in(client)
    assert client.get("/logout").status_code == 405
    assert client.post("/logout").headers["Location"] == "/login"
    assert client.get("/add_lead").status_code == 302
    assert client.post("/logout").headers["Location"] == "/login"


def test_ten_wrong_passwords_lock_the_name_however_it_is_typed(client: Client, cast: Cast) -> None:
    for number in range(9):
        assert sign_in(client, ["asha", "Asha", "ASHA"][number % 3], "wrong").status_code == 200
    answer = sign_in(client, "aSHa", "wrong")
    assert answer.status_code == 429
    assert "Too many wrong passwords" in answer.text
    assert sign_in(client).status_code == 429, "the right password does not help now"
    assert sign_in(client, "ravi").status_code == 302, "others are not locked"


def test_a_page_that_was_open_across_a_sign_out_is_told_so_instead_of_getting_the_form(
    client: Client,
) -> None:
    answer = client.post("/add_lead", {"customer_name": "Suma"}, headers={"HX-Request": "true"}, follow=True)
    assert answer.status_code == 401
    assert "You were signed out" in answer.text
    assert "id_password" not in answer.text


# --- Changing the password ----------------------------------------------------------------------------------


def change(client: Client, new: str, again: str = "", old: str = PASSWORD) -> Any:
    return client.post(
        "/password", {"old_password": old, "new_password1": new, "new_password2": again or new}, follow=True
    )


def test_the_rules_for_a_password_stand_on_the_page(client: Client, cast: Cast) -> None:
    client.force_login(cast.asha)
    page = client.get("/password").text
    assert "at least 8 characters" in page
    assert "A password needs a capital letter, a small letter, a digit and a special character" in page


def test_a_changed_password_is_the_one_that_counts_and_one_stays_signed_in(client: Client, cast: Cast) -> None:
    client.force_login(cast.asha)
    answer = change(client, "Fresh-Desk-31")
    assert answer.redirect_chain[-1][0] == "/cre_dashboard"
    assert "Your password is changed." in answer.text
    assert sign_in(Client()).status_code == 200, "the old one is refused"
    assert sign_in(Client(), password="Fresh-Desk-31").status_code == 302


@pytest.mark.parametrize(
    ("new", "again", "old", "words"),
    [
        ("short1!", "", PASSWORD, "too short"),
        ("alllowercase1!", "", PASSWORD, "needs a capital letter"),
        ("NoDigitHere!", "", PASSWORD, "a digit"),
        ("NoSpecial123", "", PASSWORD, "a special character"),
        ("Fresh-Desk-31", "Fresh-Desk-32", PASSWORD, "The two new passwords differ"),
        ("Fresh-Desk-31", "", "wrong", "This is not your current password."),
    ],
)
def test_a_password_against_the_rules_changes_nothing(
    client: Client, cast: Cast, new: str, again: str, old: str, words: str
) -> None:
    client.force_login(cast.asha)
    answer = change(client, new, again, old)
    assert words in answer.text
    assert sign_in(Client()).status_code == 302


# --- When things go wrong -----------------------------------------------------------------------------------


def test_an_address_that_is_not_there_is_said_in_words_to_anybody(client: Client, cast: Cast) -> None:
    assert "There is nothing here" in client.get("/nowhere").text
    client.force_login(cast.asha)
    answer = client.get("/nowhere")
    assert answer.status_code == 404
    assert "There is nothing here" in answer.text


def test_the_page_for_a_fault_of_ours_needs_neither_a_context_nor_the_database() -> None:
    page = get_template("500.html").render()
    assert "Something broke on our side" in page


def test_a_database_that_is_away_is_a_page_in_words_that_asks_it_for_nothing(
    client: Client, cast: Cast, monkeypatch: pytest.MonkeyPatch
) -> None:
    client.force_login(cast.asha)

    def away(*_: Any, **__: Any) -> None:
        raise OperationalError("connection refused")

    monkeypatch.setattr("accounts.scope.ScopedQuerySet.visible_to", away)
    answer = client.get("/cre_dashboard")
    assert answer.status_code == 503
    assert "The desk is busy" in answer.text
    assert "Asha" not in answer.text
