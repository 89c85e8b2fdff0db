"""The supervisors' admin: Django's own, under the desk's name."""

from collections.abc import Callable
from functools import wraps
from typing import Any, TypeVar, cast

from django.contrib.admin import AdminSite
from django.contrib.admin.views.main import ERROR_FLAG
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponse
from django.http.response import HttpResponseBase
from django.shortcuts import redirect

View = TypeVar("View", bound=Callable[..., HttpResponseBase])


class DeskAdminSite(AdminSite):
    site_header = "Lead desk"
    site_title = "Lead desk"
    index_title = "Supervision"
    site_url = "/"

    def admin_view(self, view: View, cacheable: bool = False) -> View:
        """Of a filter that names no day of any calendar Django hears too late: the list is shown without it, as for
        other filters that make no sense."""
        inner = super().admin_view(view, cacheable)

        @wraps(inner)
        def forgiving(request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponseBase:
            try:
                return inner(request, *args, **kwargs)
            except (ValueError, OverflowError):
                if request.method != "GET" or not request.GET or ERROR_FLAG in request.GET:
                    raise
                return redirect(f"{request.path}?{ERROR_FLAG}=1")

        return cast(View, forgiving)

    def login(self, request: HttpRequest, extra_context: dict[str, Any] | None = None) -> HttpResponse:
        """There is one door, the desk's, which locks; who has come in by it and may not be here gets the 403 page."""
        if self.has_permission(request):
            return redirect("admin:index")
        raise PermissionDenied
