"""The desk's addresses for leads."""

from django.urls import path

from leads import api, views

urlpatterns = [
    path("add_lead", views.add_lead, name="add_lead"),
    path("add_lead/known", views.known, name="known"),
    path("add_lead/tell", views.tell, name="tell"),
    path("add_lead_optimized", api.add_lead_optimized, name="add_lead_optimized"),
    path("check_duplicate_lead", api.check_duplicate_lead, name="check_duplicate_lead"),
    path("cre_dashboard", views.cre_dashboard, name="cre_dashboard"),
    path("branch_head_dashboard", views.branch_head_dashboard, name="branch_head_dashboard"),
    path("rec_dashboard", views.rec_dashboard, name="rec_dashboard"),
    path("search", views.search, name="search"),
    path("lead/<str:uid>", views.lead_page, name="lead"),
]
