"""The desk's addresses for leads."""

from django.urls import path

from leads import api

urlpatterns = [
    path("add_lead_optimized", api.add_lead_optimized, name="add_lead_optimized"),
    path("check_duplicate_lead", api.check_duplicate_lead, name="check_duplicate_lead"),
]
