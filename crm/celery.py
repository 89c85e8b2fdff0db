"""The Celery application. The queue only says "look again": what there is to do stands in PostgreSQL."""

import os
from typing import Any

from celery import Celery
from celery.signals import task_postrun, task_prerun, worker_process_shutdown
from structlog.contextvars import bind_contextvars, clear_contextvars

from performance import task_timings, timings

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "crm.settings")

app = Celery("crm")
app.config_from_object("django.conf:settings", namespace="CELERY")
app.autodiscover_tasks()


@task_prerun.connect
def name_the_task(task_id: str, **_: Any) -> None:
    """Gives each line that a task logs the task's id, beside the id of the request that caused the work."""
    clear_contextvars()
    bind_contextvars(task_id=task_id)


@task_prerun.connect
def begin_timing(task_id: str, **_: Any) -> None:
    task_timings.begin(task_id)


@task_postrun.connect
def end_timing(task_id: str, task: Any, state: str | None, **_: Any) -> None:
    task_timings.end(task_id, task.name, failed=state != "SUCCESS")


@worker_process_shutdown.connect
def write_last_timings(**_: Any) -> None:
    timings.flush()
