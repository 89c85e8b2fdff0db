"""The project: settings, urls, Celery and WSGI. Nobody imports it."""

from crm.celery import app as celery_app

__all__ = ["celery_app"]
