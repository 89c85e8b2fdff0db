"""Who may call a view: its roles, and whether it answers people (pages) or programs (JSON)."""

import time
from collections.abc import Callable
from functools import wraps
from typing import Any, TypeVar, cast

from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponseBase, JsonResponse

from accounts.models import Role, User

View = TypeVar("View", bound=Callable[..., HttpResponseBase])


class SignedInRequest(HttpRequest):
    """A request behind our middleware: its user is one of ours, and `cause` is its id in the log."""

    user: User
    cause: str


def roles(*allowed: Role) -> Callable[[View], View]:
    """A page for these roles; others get the 403 page."""

    def decorate(view: View) -> View:
        @wraps(view)
        def checked(request: SignedInRequest, *args: Any, **kwargs: Any) -> HttpResponseBase:
            if request.user.role not in allowed:
                raise PermissionDenied
            return view(request, *args, **kwargs)

        return cast(View, checked)

    return decorate


def json_post(*allowed: Role) -> Callable[[View], View]:
    """An address that takes a POST from these roles and answers JSON, refusals included: 401, 403, 405."""

    def decorate(view: View) -> View:
        @wraps(view)
        def checked(request: SignedInRequest, *args: Any, **kwargs: Any) -> HttpResponseBase:
            started = time.perf_counter()
            if request.user.role not in allowed:
                return refusal("Your role may not do this.", 403, started)
            if request.method != "POST":
                response = refusal("Send a POST.", 405, started)
                response["Allow"] = "POST"
                return response
            return view(request, *args, **kwargs)

        checked.answers_json = True  # type: ignore[attr-defined]
        return cast(View, checked)

    return decorate


def by_htmx(request: HttpRequest) -> bool:
    """Whether a page asks for a part of itself, rather than a browser for a page."""
    return "HX-Request" in request.headers


def wants_json(request: HttpRequest) -> bool:
    """Whether the caller is a program: it prefers JSON to a page."""
    return request.get_preferred_type(["text/html", "application/json"]) == "application/json"


def wants_page(request: HttpRequest) -> bool:
    """Whether a browser asks at an address for programs: it prefers a page to JSON, and says so."""
    return request.get_preferred_type(["application/json", "text/html"]) == "text/html"


def page_or_json(*allowed: Role) -> Callable[[View], View]:
    """A page for these roles, which answers programs in JSON, refusals included."""

    def decorate(view: View) -> View:
        @wraps(view)
        def checked(request: SignedInRequest, *args: Any, **kwargs: Any) -> HttpResponseBase:
            started = time.perf_counter()
            if request.user.role in allowed:
                return view(request, *args, **kwargs)
            if wants_json(request):
                return refusal("Your role may not do this.", 403, started)
            raise PermissionDenied

        checked.answers_both = True  # type: ignore[attr-defined]
        return cast(View, checked)

    return decorate


def refusal(message: str, status: int, started: float | None = None) -> JsonResponse:
    """`started` is when the answer was begun, for whoever takes its time."""
    told = {"success": False, "message": message}
    return JsonResponse(told if started is None else {**told, "execution_time": since(started)}, status=status)


def since(started: float) -> str:
    """The time on the server, as answers tell it: "0.004s"."""
    return f"{time.perf_counter() - started:.3f}s"
