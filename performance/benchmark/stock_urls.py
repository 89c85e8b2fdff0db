"""What stock Django serves: an empty answer, an empty page, and the former way."""

from django.urls import path

from performance.benchmark import stock_views

urlpatterns = [
    path("empty", stock_views.empty),
    path("empty_page", stock_views.empty_page),
    path("former/<slug:schema>/add_lead", stock_views.former_add_lead),
    path("former/<slug:schema>/dashboard", stock_views.former_dashboard),
]
