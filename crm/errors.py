"""Trouble in words: what a person or a program gets when the database is away, or a form has lost its token."""

import select
import sys
from collections.abc import Callable

from django.db import DataError, InterfaceError, OperationalError, connection
from django.http import HttpRequest, HttpResponse, HttpResponseServerError, JsonResponse
from django.shortcuts import render
from django.template.loader import render_to_string
from structlog.stdlib import get_logger

from accounts.access import wants_json
from accounts.views import form_out_of_date

log = get_logger(__name__)
READ_ONLY = (
    "The desk’s data can only be read at the moment. Nothing was saved; what you typed is still here. Try later."
)
READ_ONLY_STATE = "25006"
BUSY = "The desk could not reach its data in time. Nothing was saved; what you typed is still here. Try again."
UNREADABLE = "This could not be read: it is too large, or not a form. Nothing was saved."
NOT_TEXT = "This has a character in it that is no text. Nothing was saved."
BROKEN = (
    "The desk could not do this, and the reason is written down. Try again; if it happens twice, tell a supervisor."
)
TROUBLE = (OperationalError, InterfaceError)
LOST_TOKEN = (
    "This form is out of date: it was open across a sign-in or a sign-out. Nothing was saved. "  # noqa: S105
    "Go back with your browser to see what you had typed, copy it, and load the page again."
)


class DatabaseTroubleMiddleware:
    """A database that is away, overloaded or locked is a 503 in words, and text that no database takes a 400; one that
    was away and is back serves the next request."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        _forget_ended_connection()
        return self.get_response(request)

    def process_exception(self, request: HttpRequest, exception: Exception) -> HttpResponse | None:
        if _is_trouble(exception):
            return _busy(request, exception)
        return say(request, NOT_TEXT, 400) if _is_not_text(exception) else None


def _forget_ended_connection() -> None:
    """A server that went away has hung up: then there is something to read, on a line where nothing was asked.

    Django's own look (CONN_HEALTH_CHECKS) is a statement of each request; this one asks the kernel, in a microsecond.
    """
    kept = connection.connection
    if kept is None or kept.closed or connection.in_atomic_block:
        return
    waiting = select.poll()
    waiting.register(kept.fileno(), select.POLLIN)
    if waiting.poll(0):
        connection.close()


def _is_trouble(error: BaseException | None) -> bool:
    return isinstance(error, TROUBLE) or _is_read_only(error)


def _is_read_only(error: BaseException | None) -> bool:
    """PostgreSQL takes no writes: it stands by for another server, or somebody has told it so."""
    return getattr(error and error.__cause__, "sqlstate", None) == READ_ONLY_STATE


def _is_not_text(error: Exception) -> bool:
    """Forms refuse it at the field it belongs to; the admin's filters take it from the address as it comes. The driver
    refuses it before PostgreSQL has seen it, so there is no state of PostgreSQL's."""
    return isinstance(error, DataError) and getattr(error.__cause__, "sqlstate", None) is None


def _busy(request: HttpRequest, error: BaseException) -> HttpResponse:
    log.error("database trouble", error=str(error).strip(), path=request.path)
    response = say(request, READ_ONLY if _is_read_only(error) else BUSY, 503)
    response["Retry-After"] = "2"
    return response


# Django's own handlers look at the form's token, which fails again where reading the form was the trouble.
def bad_request(request: HttpRequest, exception: Exception) -> HttpResponse:
    return say(request, UNREADABLE, 400)


def server_error(request: HttpRequest) -> HttpResponse:
    """What nobody has foreseen; and a database that is away before a view is reached."""
    error = sys.exc_info()[1]
    if error and _is_trouble(error):
        return _busy(request, error)
    if _answers_json(request):
        return say(request, BROKEN, 500)
    return HttpResponseServerError(render_to_string("500.html"))


def say(request: HttpRequest, message: str, status: int) -> HttpResponse:
    """`message` as JSON where the address answers JSON or the caller asked for it, else as a page."""
    if _answers_json(request):
        return JsonResponse({"success": False, "message": message}, status=status)
    return render(request, "trouble.html", {"message": message, "status": status}, status=status)


def _answers_json(request: HttpRequest) -> bool:
    match = request.resolver_match
    view = match and match.func
    return getattr(view, "answers_json", False) or (getattr(view, "answers_both", False) and wants_json(request))


def csrf_failure(request: HttpRequest, reason: str = "") -> HttpResponse:
    """A form without the token of now: people are led back into what they had typed where that is possible."""
    if _answers_json(request):
        return say(request, LOST_TOKEN, 403)
    return form_out_of_date(request) or say(request, LOST_TOKEN, 403)
