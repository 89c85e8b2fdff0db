"""The person behind a session is kept in Redis, and never longer than may be."""

import pytest
from django.core.cache import cache
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext

from accounts.models import KEPT_FIELDS, User, kept_key
from accounts.signed_in import SignedInBackend
from conftest import PASSWORD, Cast

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def _nobody_kept(empty_cache: None) -> None:
    pass


def kept(user: User) -> User:
    """The user as the second request of a session sees them."""
    for _ in range(2):
        found = SignedInBackend().get_user(user.pk)
    assert found is not None
    return found


def test_the_second_request_asks_no_database_who_is_asking(cast: Cast) -> None:
    kept(cast.kiran)
    with CaptureQueriesContext(connection) as queries:
        found = kept(cast.kiran)
        for field in KEPT_FIELDS:
            assert getattr(found, field) == getattr(cast.kiran, field)
        assert found.get_session_auth_hash() == cast.kiran.get_session_auth_hash()
    assert len(queries) == 0, list(queries)


def test_the_password_is_not_kept_and_other_fields_come_when_they_are_wanted(cast: Cast) -> None:
    found = kept(cast.asha)
    assert cast.asha.password not in str(cache.get(kept_key(cast.asha.pk)))
    assert (found.email, found.check_password(PASSWORD)) == (cast.asha.email, True)


def test_saving_a_kept_person_harms_no_field_that_was_not_read(cast: Cast) -> None:
    found = kept(cast.asha)
    found.name = "Asha Rao"
    found.save()
    fresh = User.objects.get(pk=cast.asha.pk)
    assert (fresh.name, fresh.email, fresh.password) == ("Asha Rao", cast.asha.email, cast.asha.password)


@pytest.mark.parametrize("path", ["save", "update", "bulk_update"])
def test_a_change_is_seen_at_once_by_whichever_path_it_comes(cast: Cast, path: str) -> None:
    kept(cast.asha)
    user = User.objects.get(pk=cast.asha.pk)
    user.role = "supervisor"
    if path == "save":
        user.save()
    elif path == "update":
        User.objects.filter(role="cre").update(role="supervisor")
    else:
        User.objects.bulk_update([user], ["role"])
    assert kept(cast.asha).role == "supervisor"


def test_who_is_switched_off_is_out_with_the_next_request(cast: Cast, client: Client) -> None:
    client.force_login(cast.asha)
    client.get("/add_lead_optimized")
    assert client.get("/add_lead_optimized").status_code == 405
    User.objects.filter(pk=cast.asha.pk).update(is_active=False)
    assert client.get("/add_lead_optimized").status_code == 401


def test_a_new_password_ends_other_sessions_at_once(cast: Cast, client: Client) -> None:
    client.force_login(cast.asha)
    assert client.get("/add_lead_optimized").status_code == 405
    cast.asha.set_password("Another-Desk-2026")
    cast.asha.save()
    assert client.get("/add_lead_optimized").status_code == 401
