"""The supervisors' admin: Django's own, under the desk's name."""

from typing import Any

from django.contrib.admin import AdminSite
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect


class DeskAdminSite(AdminSite):
    site_header = "Lead desk"
    site_title = "Lead desk"
    index_title = "Supervision"
    site_url = "/"

    def login(self, request: HttpRequest, extra_context: dict[str, Any] | None = None) -> HttpResponse:
        """There is one door, the desk's, which locks; who has come in by it and may not be here gets the 403 page."""
        if self.has_permission(request):
            return redirect("admin:index")
        raise PermissionDenied
