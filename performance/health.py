"""Is the desk alive, and is it ready? For load balancers, and for script/server while it starts."""

import time
from collections.abc import Callable

from django.contrib.auth.decorators import login_not_required
from django.core.cache import cache
from django.db import DatabaseError, connection
from django.db.migrations.executor import MigrationExecutor
from django.http import HttpRequest, HttpResponse, JsonResponse
from django_redis import get_redis_connection
from redis.exceptions import RedisError

from followups.tasks import WORKER_SEEN

WORKER_SILENT_SECONDS = 10
OK = "ok"


@login_not_required
def healthz(request: HttpRequest) -> HttpResponse:
    """The process answers."""
    return HttpResponse("ok", content_type="text/plain")


@login_not_required
def readyz(request: HttpRequest) -> JsonResponse:
    """503 only without the database or its migrations: a Redis that is down never takes the desk away."""
    vital = _checked({"database": _database, "migrations": _migrations})
    helpful = _checked({"redis": _redis, "worker": _worker})
    if set(vital.values()) != {OK}:
        state, status = "down", 503
    else:
        state, status = ("ready" if set(helpful.values()) == {OK} else "degraded"), 200
    return JsonResponse({"state": state, "checks": vital | helpful}, status=status)


def _checked(checks: dict[str, Callable[[], str]]) -> dict[str, str]:
    return {name: check() for name, check in checks.items()}


def _database() -> str:
    try:
        with connection.cursor() as cursor:
            cursor.execute("SELECT 1")
    except DatabaseError:
        return "cannot be reached"
    return OK


_migrated = False


def migrations_waiting() -> int:
    """How many migrations are to be applied. Takes 50 ms; raises DatabaseError."""
    executor = MigrationExecutor(connection)
    return len(executor.migration_plan(executor.loader.graph.leaf_nodes()))


def _migrations() -> str:
    """Once they are all there they stay so for this process."""
    global _migrated
    if not _migrated:
        try:
            waiting = migrations_waiting()
        except DatabaseError:
            return "cannot be read"
        if waiting:
            return f"{waiting} to apply: run manage.py migrate"
        _migrated = True
    return OK


def _redis() -> str:
    try:
        get_redis_connection("default").ping()
    except RedisError:
        return "cannot be reached: leads are saved, mails and counts wait"
    return OK


def _worker() -> str:
    seen = cache.get(WORKER_SEEN)
    if seen is None or time.time() - seen > WORKER_SILENT_SECONDS:
        return "no sign of a worker: mails and counts wait"
    return OK
