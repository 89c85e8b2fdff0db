"""Addresses for those who run the desk."""

from django.urls import path

from performance import health

urlpatterns = [
    path("healthz", health.healthz, name="healthz"),
    path("readyz", health.readyz, name="readyz"),
]
