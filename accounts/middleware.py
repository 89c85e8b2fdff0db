"""Every page needs a sign-in unless its view says otherwise; who is signed out is told so in the caller's manner."""

import time
from collections.abc import Callable
from typing import Any

from django.contrib.auth.middleware import LoginRequiredMiddleware
from django.http import HttpRequest, HttpResponseBase
from django.shortcuts import render

from accounts import unsaved
from accounts.access import refusal, wants_json
from accounts.views import ask_to_sign_in

SOMEBODY_ELSE = "You are signed in as {name} now, and this page is somebody else’s. Nothing was saved. Load it again."


class SignInRequiredMiddleware(LoginRequiredMiddleware):
    def process_view(
        self, request: HttpRequest, view_func: Callable[..., Any], view_args: Any, view_kwargs: Any
    ) -> HttpResponseBase | None:
        # Two people, one browser: a page of the one must not act as the other, who has signed in since in another tab.
        page_of = request.headers.get("X-Page-Of")
        if page_of and request.user.is_authenticated and page_of != request.user.get_username():
            message = SOMEBODY_ELSE.format(name=request.user)
            return render(request, "trouble.html", {"message": message, "status": 403}, status=403)
        return super().process_view(request, view_func, view_args, view_kwargs)

    # The stubs know of the redirect only.
    def handle_no_permission(  # type: ignore[override]
        self, request: HttpRequest, view_func: Callable[..., Any]
    ) -> HttpResponseBase:
        if getattr(view_func, "answers_json", False) or (
            getattr(view_func, "answers_both", False) and wants_json(request)
        ):
            return refusal("Sign in first.", 401, time.perf_counter())
        if typed := unsaved.posted(request):
            return ask_to_sign_in(request, typed)
        return super().handle_no_permission(request, view_func)
