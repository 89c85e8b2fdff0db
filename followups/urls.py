"""The PS's addresses."""

from django.urls import path

from followups import figures_views, update_views, views

urlpatterns = [
    path("update_ps_lead/<str:uid>", update_views.ps_update, name="update_ps_lead"),
    path("ps_dashboard", views.ps_dashboard, name="ps_dashboard"),
    path("ps_analytics", figures_views.ps_analytics, name="ps_analytics"),
    path("accept/<slug:uid>", views.accept, name="accept"),
]
