"""The PS's addresses."""

from django.urls import path

from followups import views

urlpatterns = [path("ps_dashboard", views.ps_dashboard, name="ps_dashboard")]
