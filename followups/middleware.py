"""A browser in which something was saved is told when, by a cookie that followups.saved reads."""

import time
from collections.abc import Callable

from django.http import HttpRequest, HttpResponse

from followups.kept import KEEP, has_touched
from followups.saved import COOKIE


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
