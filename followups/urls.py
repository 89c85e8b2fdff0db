"""The PS's addresses."""

from django.urls import path

from followups import update_views, views

urlpatterns = [
    path("update_ps_lead/<str:uid>", update_views.ps_update, name="update_ps_lead"),
    path("ps_dashboard", views.ps_dashboard, name="ps_dashboard"),
    path("accept/<slug:uid>", views.accept, name="accept"),
]
