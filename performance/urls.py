"""Addresses for those who run the desk, and for those who wonder whether it is slow."""

from django.urls import path

from performance import cache_views, health, live_test_views, optimize_views, page_views, prometheus_views, speed_views

urlpatterns = [
    path("healthz", health.healthz, name="healthz"),
    path("readyz", health.readyz, name="readyz"),
    path("metrics", prometheus_views.metrics, name="metrics"),
    path("performance_metrics", page_views.performance_metrics, name="performance_metrics"),
    path("performance_metrics/part/<slug:name>", page_views.performance_part, name="performance_part"),
    path("api/clear_cache", cache_views.clear_cache, name="clear_cache"),
    path(
        "api/apply_database_optimizations",
        optimize_views.apply_database_optimizations,
        name="apply_database_optimizations",
    ),
    path("performance_metrics/jobs/<uuid:job>", optimize_views.optimization, name="optimization"),
    path("performance_metrics/test", live_test_views.live_test, name="live_test"),
    path("my_speed", speed_views.my_speed, name="my_speed"),
]
