"""A database that is away, slow or locked is told in words, to people and to programs."""

import io
import select
from typing import Any
from unittest.mock import patch
from wsgiref.util import setup_testing_defaults

import psycopg
import pytest
from django.db import OperationalError, connection, transaction
from django.test import Client

from conftest import Cast
from crm import wsgi
from leads.models import LeadMaster
from leads.tests.factories import make_lead
from leads.tests.rivals import all_at_once
from leads.tests.typed import fields


@pytest.mark.django_db
def test_a_program_gets_503_in_json(cast: Cast, client: Client) -> None:
    client.force_login(cast.asha)
    with patch("leads.services.capture_lead", side_effect=OperationalError("server closed the connection")):
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
@pytest.mark.parametrize("year", ["-1", "0", "99999", "9" * 20])
def test_a_filter_by_a_year_of_no_calendar_shows_the_list_without_it(cast: Cast, client: Client, year: str) -> None:
    client.force_login(cast.meera)
    response = client.get(f"/admin/leads/leadmaster/?created_at__year={year}")
    assert response.status_code in (200, 302)
    assert client.get("/admin/leads/leadmaster/?e=1").status_code == 200


@pytest.mark.django_db
@pytest.mark.parametrize("key", ["\x00aaaaaaaa", "a" * 8 + "'", "é" * 10, "x" * 5000])
@pytest.mark.parametrize("path", ["/cre_dashboard", "/readyz", "/login"])
def test_a_session_cookie_that_is_no_key_is_no_session(client: Client, key: str, path: str) -> None:
    client.cookies["sessionid"] = key
    response = client.get(path)
    assert response.status_code == (302 if path == "/cre_dashboard" else 200)
    assert response["X-Request-ID"]


@pytest.mark.django_db
def test_a_username_longer_than_any_is_refused_like_any_other(client: Client) -> None:
    response = client.post("/login", {"username": "a" * 1000, "password": "x"})
    assert response.status_code in (200, 422)
    assert "do not belong together" in response.content.decode()


@pytest.mark.parametrize("charset", ["hex", "rot13", "zlib", "idna", "punycode", "undefined", "latin-1", "utf-16"])
@pytest.mark.parametrize("kind", ["text/plain", "application/x-www-form-urlencoded", "multipart/form-data; boundary=b"])
@pytest.mark.django_db
def test_a_codec_that_is_none_of_text_breaks_nothing(charset: str, kind: str) -> None:
    environ: dict[str, Any] = {
        "REQUEST_METHOD": "GET" if kind == "text/plain" else "POST",
        "PATH_INFO": "/login",
        "QUERY_STRING": "next=%2Fcre_dashboard",
        "CONTENT_TYPE": f"{kind}; charset={charset}",
        "CONTENT_LENGTH": "3",
        "HTTP_HOST": "testserver",
        "wsgi.input": io.BytesIO(b"a=1"),
    }
    setup_testing_defaults(environ)
    told: list[str] = []
    answer = wsgi.application(environ, lambda status, headers: told.append(status))  # type: ignore[arg-type]
    assert b"".join(answer)
    assert told[0][:3] in ("200", "400", "403")


@pytest.mark.django_db(transaction=True)
def test_the_first_request_after_the_database_was_restarted_is_answered(cast: Cast) -> None:
    client = Client()
    client.force_login(cast.meera)
    path = "/admin/leads/leadmaster/"
    assert client.get(path).status_code == 200
    with psycopg.connect(connection.connection.info.dsn, password=connection.connection.info.password) as other:
        other.execute("SELECT pg_terminate_backend(%s)", [connection.connection.info.backend_pid])
    for _ in range(100):
        if select.select([connection.connection.fileno()], [], [], 0.1)[0]:
            break
    assert client.get(path).status_code == 200


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
    with patch("leads.services.capture_lead", side_effect=ZeroDivisionError):
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
