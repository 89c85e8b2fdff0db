"""Every page needs a sign-in unless its view says otherwise; a JSON address answers in JSON."""

from collections.abc import Callable
from typing import Any

from django.contrib.auth.middleware import LoginRequiredMiddleware
from django.http import HttpRequest, HttpResponseBase, JsonResponse


class SignInRequiredMiddleware(LoginRequiredMiddleware):
    # The stubs know of the redirect only.
    def handle_no_permission(  # type: ignore[override]
        self, request: HttpRequest, view_func: Callable[..., Any]
    ) -> HttpResponseBase:
        if getattr(view_func, "answers_json", False):
            return JsonResponse({"success": False, "message": "Sign in first."}, status=401)
        return super().handle_no_permission(request, view_func)
