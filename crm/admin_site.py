"""The supervisors' admin: Django's own, under the desk's name."""

from typing import Any

from django.contrib.admin import AdminSite
from django.contrib.auth.views import redirect_to_login
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponse
from django.urls import reverse


class DeskAdminSite(AdminSite):
    site_header = "Lead desk"
    site_title = "Lead desk"
    index_title = "Supervision"
    site_url = "/"

    def login(self, request: HttpRequest, extra_context: dict[str, Any] | None = None) -> HttpResponse:
        """There is one door, which locks; who has come in and may not be here gets the 403 page."""
        if request.user.is_authenticated:
            raise PermissionDenied
        return redirect_to_login(request.GET.get("next") or reverse("admin:index"))
