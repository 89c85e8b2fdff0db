"""What beat nudges twice a second. A nudge is worth nothing: the work stands in the outbox."""

import os
import socket
import time
from contextlib import suppress

from celery import shared_task
from django.core.cache import cache
from django_redis import get_redis_connection

from followups import delivery, recorder

WORKER_SEEN = "worker seen"  # read by performance.health
# Read by performance.queue: a sorted set in Redis, each process of a worker by the time of its last nudge.
WORKER_PROCESSES = "desk:workers"
REMEMBERED_SECONDS = 600


@shared_task
def record_waiting() -> None:
    cache.set(WORKER_SEEN, time.time(), 60)
    show_up()
    recorder.record_waiting()


@shared_task
def mail_waiting() -> None:
    show_up()
    delivery.mail_waiting()


def show_up() -> None:
    """Leaves this process's mark. Whatever state Redis is in, the work itself does not need it."""
    now = time.time()
    with suppress(Exception), get_redis_connection("default").pipeline(transaction=False) as pipeline:
        pipeline.zadd(WORKER_PROCESSES, {f"{socket.gethostname()} {os.getpid()}": now})
        pipeline.zremrangebyscore(WORKER_PROCESSES, 0, now - REMEMBERED_SECONDS)
        pipeline.expire(WORKER_PROCESSES, REMEMBERED_SECONDS)
        pipeline.execute()
