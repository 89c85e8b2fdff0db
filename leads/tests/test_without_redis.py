"""Redis down: the desk is slower, never wrong, and a lead is still saved."""

from collections.abc import Iterator
from typing import Any

import pytest
from django.core.cache import caches
from django.test import Client

from conftest import PASSWORD, Cast
from followups.models import Outbox
from leads.models import LeadMaster
from leads.tests.typed import fields

pytestmark = pytest.mark.django_db


@pytest.fixture
def no_redis(settings: Any) -> Iterator[None]:
    """Every look into the cache fails, as it does when the server is stopped."""
    location = "unix:///nowhere/valkey.sock"
    settings.CACHES = {"default": {**settings.CACHES["default"], "LOCATION": location}}
    settings.CELERY_BROKER_URL = "redis+socket:///nowhere/valkey.sock"
    yield
    caches.close_all()


def test_people_sign_in_and_save_leads_whose_work_waits_in_the_outbox(cast: Cast, no_redis: None) -> None:
    client = Client()
    assert client.post("/login", {"username": "asha", "password": PASSWORD}).status_code == 302
    response = client.post("/add_lead_optimized", fields())
    assert response.status_code == 201
    assert LeadMaster.objects.get().cre == cast.asha
    assert list(Outbox.objects.values_list("kind", flat=True)) == ["attempt", "mail"]
    assert client.post("/add_lead_optimized", fields(lead_status="RNR")).status_code == 201
    assert client.get("/cre_dashboard").status_code == 200


def test_the_desk_is_degraded_and_not_down(cast: Cast, no_redis: None, client: Client) -> None:
    response = client.get("/readyz")
    assert response.status_code == 200
    answer = response.json()
    assert answer["state"] == "degraded"
    assert answer["checks"]["database"] == answer["checks"]["migrations"] == "ok"
    assert "cannot be reached" in answer["checks"]["redis"]
