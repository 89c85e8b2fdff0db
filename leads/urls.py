"""The desk's addresses for leads."""

from django.urls import path

from leads import api, board_views, figures_views, update_views, views

urlpatterns = [
    path("add_lead", views.add_lead, name="add_lead"),
    path("add_lead/known", views.known, name="known"),
    path("add_lead/tell", views.tell, name="tell"),
    path("add_lead_optimized", api.add_lead_optimized, name="add_lead_optimized"),
    path("check_duplicate_lead", api.check_duplicate_lead, name="check_duplicate_lead"),
    path("cre_dashboard", board_views.cre_dashboard, name="cre_dashboard"),
    path("cre_dashboard/news", board_views.board_news, name="board_news"),
    path("cre_analytics", figures_views.cre_analytics, name="cre_analytics"),
    path("branch_head_dashboard", views.branch_head_dashboard, name="branch_head_dashboard"),
    path("rec_dashboard", views.rec_dashboard, name="rec_dashboard"),
    path("search", views.search, name="search"),
    path("update_lead/<str:uid>", update_views.update, name="update_lead"),
    path("update_lead/<str:uid>/carry", update_views.carry, name="carry"),
    path("next_call", update_views.next_call, name="next_call"),
    path("lead/<str:uid>", views.lead_page, name="lead"),
    path("lead/<str:uid>/reopen", update_views.reopen, name="reopen"),
]
