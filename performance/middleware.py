"""Takes the time of every request: for the shared histograms, the log of slow ones, and the browser's own tools."""

from collections.abc import Callable

from django.http import HttpRequest, HttpResponse

from accounts.access import by_htmx
from performance import timings
from performance.measuring import Measured
from performance.noting import note
from performance.operations import OTHER, POLLING, Operation, of_address


class TimingsMiddleware:
    """Stands outside all that it measures. What it cannot name (static files, unknown addresses) it leaves alone."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        measured = Measured()
        try:
            response = self.get_response(request)
        finally:
            measured.end()
        person = _person(request)
        operation = _operation(request, response)
        if operation is not None:
            # Said by the view: a form that arrives again is answered with the same status.
            created = getattr(response, "created", False)
            # A page left open would fill its person's last requests with what they never waited for.
            whose = None if operation.polled else person
            note(operation, measured, _outcome(response.status_code), created=created, person=whose)
        if person is not None:
            response.headers["Server-Timing"] = _server_timing(measured)
        return response


def _operation(request: HttpRequest, response: HttpResponse) -> Operation | None:
    match = request.resolver_match
    if match is None:
        return OTHER if response.status_code >= 500 else None
    name = match.url_name or ""
    if name == "cre_dashboard" and response.status_code == 302:
        # On to the filters of last time: it is that page which they wait for.
        return None
    polls = name in POLLING and by_htmx(request) and "seen" in request.GET
    return of_address(name, match.namespace, request.method or "", polls=polls)


def _outcome(status: int) -> str:
    if status < 400:
        return timings.OK
    return timings.REFUSED if status < 500 else timings.FAILED


def _person(request: HttpRequest) -> int | None:
    """Who is signed in, if anything has asked: a timing shall not cost a look into the session."""
    return getattr(getattr(request, "_cached_user", None), "pk", None)


def _server_timing(measured: Measured) -> str:
    count = len(measured.statements)
    statements = f"{count} statement" if count == 1 else f"{count} statements"
    return (
        f"total;dur={measured.seconds * 1000:.1f}, "
        f'db;dur={measured.database_seconds * 1000:.1f};desc="{statements}", '
        f'cache;desc="{measured.hits} of {len(measured.reads)} found"'
    )
