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
