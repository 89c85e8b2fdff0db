"""Addresses for those who run the desk, and for those who wonder whether it is slow."""

from django.urls import path

from performance import health, metrics_views, speed_views

urlpatterns = [
    path("healthz", health.healthz, name="healthz"),
    path("readyz", health.readyz, name="readyz"),
    path("metrics", metrics_views.metrics, name="metrics"),
    path("my_speed", speed_views.my_speed, name="my_speed"),
]
