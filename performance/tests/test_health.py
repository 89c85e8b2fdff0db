"""Alive and ready, for load balancers and for script/server."""

import time
from unittest.mock import patch

import pytest
from django.core.cache import cache
from django.db import OperationalError
from django.test import Client

from followups.tasks import WORKER_SEEN
from performance import health

pytestmark = pytest.mark.django_db


def test_alive_needs_nobody_signed_in(client: Client) -> None:
    assert client.get("/healthz").content == b"ok"


def test_ready_when_database_redis_and_worker_are_there(client: Client) -> None:
    cache.set(WORKER_SEEN, time.time(), 60)
    response = client.get("/readyz")
    assert (response.status_code, response.json()["state"]) == (200, "ready")
    assert set(response.json()["checks"].values()) == {"ok"}


@pytest.mark.parametrize("seen", [None, 60])
def test_degraded_without_a_sign_of_a_worker(client: Client, seen: int | None) -> None:
    cache.delete(WORKER_SEEN)
    if seen:
        cache.set(WORKER_SEEN, time.time() - seen, 60)
    response = client.get("/readyz")
    assert (response.status_code, response.json()["state"]) == (200, "degraded")
    assert "worker" in response.json()["checks"]["worker"]


def test_down_when_migrations_are_missing(client: Client) -> None:
    with (
        patch.object(health, "_migrated", False),
        patch("performance.health.MigrationExecutor.migration_plan", return_value=[("leads", "0003")]),
    ):
        response = client.get("/readyz")
    assert (response.status_code, response.json()["state"]) == (503, "down")
    assert "migrate" in response.json()["checks"]["migrations"]


def test_down_when_the_database_does_not_answer(client: Client) -> None:
    with patch("performance.health.connection.cursor", side_effect=OperationalError("gone")):
        response = client.get("/readyz")
    assert (response.status_code, response.json()["state"]) == (503, "down")
