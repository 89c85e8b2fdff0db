"""Pages go out compressed; the short answers that programs get are left as they are, and cost nothing for it."""

from django.http import HttpRequest, HttpResponse, HttpResponseBase
from django.middleware.gzip import GZipMiddleware

# Below it, a page is one packet either way.
SHORT = 1400


class CompressedPagesMiddleware(GZipMiddleware):
    """Django's, which hides the length against BREACH, for HTML alone."""

    def process_response(self, request: HttpRequest, response: HttpResponseBase) -> HttpResponseBase:
        if not isinstance(response, HttpResponse) or len(response.content) < SHORT:
            return response
        if not response.headers.get("Content-Type", "").startswith("text/html"):
            return response
        return super().process_response(request, response)
