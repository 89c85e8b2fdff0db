"""A browser that has saved something knows when: what its person is shown is never older (followups.kept)."""

import time
from collections.abc import Callable

from django.http import HttpRequest, HttpResponse

from followups.kept import KEEP, has_touched

COOKIE = "saved"


def saved_at(request: HttpRequest) -> float:
    """When this browser has last saved something, in seconds since 1970; 0 if it was long ago, or never."""
    try:
        return float(request.COOKIES.get(COOKIE) or 0)
    except ValueError:
        return 0


class SavedMiddleware:
    """Tells the browser when something was saved for it."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        has_touched.set(False)
        response = self.get_response(request)
        if has_touched.get():
            response.set_cookie(
                COOKIE, f"{time.time():.3f}", KEEP, httponly=True, samesite="Lax", secure=request.is_secure()
            )
        return response
