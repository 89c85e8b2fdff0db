"""When a browser has last saved something: what its person is shown is never older (followups.kept)."""

from django.http import HttpRequest

# Set by followups.middleware.
COOKIE = "saved"


def saved_at(request: HttpRequest) -> float:
    """When this browser has last saved something, in seconds since 1970; 0 if it was long ago, or never."""
    try:
        return float(request.COOKIES.get(COOKIE) or 0)
    except ValueError:
        return 0
