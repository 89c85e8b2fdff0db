"""Trouble in words: what a person or a program gets when the database is away, or a form has lost its token."""

from collections.abc import Callable

from django.db import InterfaceError, OperationalError
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.shortcuts import render
from structlog.stdlib import get_logger

log = get_logger(__name__)
BUSY = "The desk could not reach its data in time. Nothing was saved; what you typed is still here. Try again."
LOST_TOKEN = "This form is out of date: it was open across a sign-in or a sign-out. Load the page again."  # noqa: S105


class DatabaseTroubleMiddleware:
    """A database that is away, overloaded or locked is a 503 in words, not a 500."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        return self.get_response(request)

    def process_exception(self, request: HttpRequest, exception: Exception) -> HttpResponse | None:
        if not isinstance(exception, OperationalError | InterfaceError):
            return None
        log.error("database trouble", error=str(exception).strip(), path=request.path)
        response = say(request, BUSY, 503)
        response["Retry-After"] = "2"
        return response


def say(request: HttpRequest, message: str, status: int) -> HttpResponse:
    """`message` as JSON where the address answers JSON or the caller asked for it, else as a page."""
    match = request.resolver_match
    if getattr(match and match.func, "answers_json", False):
        return JsonResponse({"success": False, "message": message}, status=status)
    return render(request, "trouble.html", {"message": message, "status": status}, status=status)


def csrf_failure(request: HttpRequest, reason: str = "") -> HttpResponse:
    return say(request, LOST_TOKEN, 403)
