"""The Celery application. The queue only says "look again": what there is to do stands in PostgreSQL."""

import os

from celery import Celery
from django_structlog.celery.steps import DjangoStructLogInitStep

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "crm.settings")

app = Celery("crm")
app.config_from_object("django.conf:settings", namespace="CELERY")
app.autodiscover_tasks()
# Gives each task's log lines its id.
app.steps["worker"].add(DjangoStructLogInitStep)
