"""The Celery application. The queue only says "look again": what there is to do stands in PostgreSQL."""

import os
from typing import Any

from celery import Celery
from celery.signals import task_prerun
from structlog.contextvars import bind_contextvars, clear_contextvars

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "crm.settings")

app = Celery("crm")
app.config_from_object("django.conf:settings", namespace="CELERY")
app.autodiscover_tasks()


@task_prerun.connect
def name_the_task(task_id: str, **_: Any) -> None:
    """Gives each line that a task logs the task's id, beside the id of the request that caused the work."""
    clear_contextvars()
    bind_contextvars(task_id=task_id)
