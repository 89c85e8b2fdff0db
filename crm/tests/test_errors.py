"""A database that is away, slow or locked is told in words, to people and to programs."""

from unittest.mock import patch

import pytest
from django.db import OperationalError, connection, transaction
from django.test import Client

from conftest import Cast
from leads.models import LeadMaster
from leads.tests.factories import make_lead
from leads.tests.test_api import fields
from leads.tests.test_races import all_at_once


@pytest.mark.django_db
def test_a_program_gets_503_in_json(cast: Cast, client: Client) -> None:
    client.force_login(cast.asha)
    with patch("leads.api.capture_lead", side_effect=OperationalError("server closed the connection")):
        response = client.post("/add_lead_optimized", fields())
    assert (response.status_code, response["Retry-After"]) == (503, "2")
    assert response.json()["success"] is False
    assert "Nothing was saved" in response.json()["message"]


@pytest.mark.django_db
def test_a_person_gets_503_as_a_page(cast: Cast, client: Client) -> None:
    client.force_login(cast.asha)
    with patch("accounts.scope.ScopedQuerySet.visible_to", side_effect=OperationalError("gone")):
        response = client.get("/cre_dashboard")
    assert response.status_code == 503
    assert "could not reach its data" in response.content.decode()


@pytest.mark.django_db(transaction=True)
def test_a_lead_that_stays_locked_ends_the_wait_in_words(cast: Cast) -> None:
    lead = make_lead(cast.asha)
    client = Client()
    client.force_login(cast.asha)
    data = fields(customer_mobile_number=lead.customer_mobile_number, source="OEM", subsource="Web")

    def post() -> int:
        with connection.cursor() as cursor:
            cursor.execute("SET lock_timeout = 200")
        return client.post("/add_lead_optimized", data).status_code

    with transaction.atomic():
        LeadMaster.objects.select_for_update(no_key=True).get(pk=lead.pk)
        assert all_at_once([post]) == [503]
    assert client.post("/add_lead_optimized", data).status_code == 200


@pytest.mark.django_db
def test_a_request_gets_an_id_that_its_outbox_rows_carry_on(cast: Cast, client: Client) -> None:
    client.force_login(cast.asha)
    response = client.post("/add_lead_optimized", fields(), headers={"X-Request-ID": "proxy-12345678"})
    assert response["X-Request-ID"] == "proxy-12345678"
    lead = LeadMaster.objects.get()
    assert {row.payload["cause"] for row in lead.outbox.all()} == {"proxy-12345678"}
    assert client.get("/healthz", headers={"X-Request-ID": "bad id\n"})["X-Request-ID"] != "bad id\n"


@pytest.mark.django_db
@pytest.mark.parametrize("kind", ["application/x-www-form-urlencoded; charset=latin-1", "multipart/form-data"])
def test_what_cannot_be_read_is_400_in_words(cast: Cast, kind: str) -> None:
    client = Client(enforce_csrf_checks=True)
    client.force_login(cast.asha)
    client.cookies["csrftoken"] = "a" * 32
    response = client.post("/add_lead_optimized", data=b"a=1", content_type=kind)
    assert (response.status_code, response.json()["success"]) == (400, False)
    response = client.post("/add_lead", data=b"a=1", content_type=kind)
    assert response.status_code == 400
    assert "could not be read" in response.content.decode()


@pytest.mark.django_db
@pytest.mark.parametrize("typed", ["leads/leadmaster/?lead_status=a%00", "accounts/user/?role__exact=%00"])
def test_a_filter_that_is_no_text_is_400_in_words(cast: Cast, client: Client, typed: str) -> None:
    client.force_login(cast.meera)
    response = client.get(f"/admin/{typed}")
    assert response.status_code == 400
    assert "no text" in response.content.decode()


@pytest.mark.django_db
def test_a_body_that_is_too_large_is_400_in_words(cast: Cast, client: Client) -> None:
    client.force_login(cast.asha)
    response = client.post("/add_lead_optimized", fields(remark="x" * 1_000_000))
    assert (response.status_code, response.json()["success"]) == (400, False)


@pytest.mark.django_db
def test_a_database_that_is_away_before_the_view_is_503_too(cast: Cast) -> None:
    client = Client(raise_request_exception=False)
    client.force_login(cast.asha)
    with patch("accounts.signed_in.SignedInBackend.get_user", side_effect=OperationalError("gone")):
        response = client.post("/add_lead_optimized", fields())
        page = client.get("/cre_dashboard")
    assert (response.status_code, response.json()["success"]) == (503, False)
    assert (page.status_code, page["Retry-After"]) == (503, "2")


@pytest.mark.django_db
def test_what_nobody_has_foreseen_is_500_in_words(cast: Cast) -> None:
    client = Client(raise_request_exception=False)
    client.force_login(cast.asha)
    with patch("leads.api.capture_lead", side_effect=ZeroDivisionError):
        response = client.post("/add_lead_optimized", fields())
    assert (response.status_code, response.json()["success"]) == (500, False)
    with patch("accounts.scope.ScopedQuerySet.visible_to", side_effect=ZeroDivisionError):
        page = client.get("/cre_dashboard")
    assert page.status_code == 500
    assert "Something broke" in page.content.decode()


@pytest.mark.django_db
def test_odd_addresses_are_not_found_and_odd_methods_not_allowed(cast: Cast, client: Client) -> None:
    client.force_login(cast.asha)
    lead = make_lead(cast.asha)
    assert client.get("/lead/%00").status_code == 404
    assert client.get(f"/lead/{lead.uid}%00").status_code == 404
    assert client.get(f"/lead/{lead.uid.lower()}").status_code == 200
    assert client.put("/add_lead").status_code == 405
    assert client.delete("/add_lead/tell").status_code == 405
    assert client.get("/login?next=/login").status_code == 302


@pytest.mark.django_db
def test_the_admin_has_no_door_of_its_own(cast: Cast, client: Client) -> None:
    response = client.post("/admin/login/", {"username": "MEERA", "password": "guess"})
    assert (response.status_code, response["Location"]) == (302, "/login?next=/admin/login/")
    client.force_login(cast.asha)
    assert client.get("/admin/", follow=True).status_code == 403
    client.force_login(cast.meera)
    assert client.get("/admin/login/", follow=True).status_code == 200


@pytest.mark.django_db(transaction=True)
def test_a_database_that_takes_no_writes_is_503_in_words(cast: Cast) -> None:
    """As one that stands by for another."""
    client = Client()
    client.force_login(cast.asha)
    with connection.cursor() as cursor:
        cursor.execute("SET default_transaction_read_only = on")
    try:
        response = client.post("/add_lead_optimized", fields())
    finally:
        connection.close()
    assert response.status_code == 503
    assert "can only be read at the moment" in response.json()["message"]
    assert not LeadMaster.objects.exists()
