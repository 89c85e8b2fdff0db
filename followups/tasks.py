"""What beat nudges twice a second. A nudge is worth nothing: the work stands in the outbox."""

import time

from celery import shared_task
from django.core.cache import cache

from followups import delivery, recorder

WORKER_SEEN = "worker seen"  # read by performance.health


@shared_task
def record_waiting() -> None:
    cache.set(WORKER_SEEN, time.time(), 60)
    recorder.record_waiting()


@shared_task
def mail_waiting() -> None:
    delivery.mail_waiting()
