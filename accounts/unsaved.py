"""What somebody had typed into a form when their session was over, carried across the sign-in without being stored.

The sign-in form holds it as one signed field; after the sign-in it goes back to its form, which shows it and saves
nothing (`resume=1`). Only to whom it belongs: each of these forms says in `typed_by` whose page it is.
"""

import re
from dataclasses import asdict, dataclass
from typing import Any

from django.conf import settings
from django.core import signing
from django.http import HttpRequest

from accounts.access import by_htmx

# The names of the addresses whose forms are kept; each of them knows `resume`.
FORMS = frozenset({"add_lead", "update_lead", "carry", "update_ps_lead"})
MOST_BYTES = 20_000
KEPT_FOR = 24 * 60 * 60  # seconds, as long as a session lasts
NOT_KEPT = re.compile(r"csrfmiddlewaretoken|typed_by|resume|.*password.*", re.IGNORECASE)
# What a view says above the form that it shows so.
BACK = "What you had typed is back: save it again."
SALT = "accounts.unsaved"


@dataclass(frozen=True)
class Unsaved:
    """Whose it is, the address it was posted to, and the fields, in order and as often as they came."""

    who: str
    path: str
    fields: list[tuple[str, str]]

    def sealed(self) -> str:
        """As a value of a form's field, that nobody else can make."""
        return signing.dumps(asdict(self), salt=SALT, compress=True)


def from_our_pages(request: HttpRequest) -> bool:
    """Whether one of our own pages has posted this: another site shall not put words into our forms."""
    origin = request.headers.get("Origin", "")
    return origin in {f"{request.scheme}://{request.get_host()}", *settings.CSRF_TRUSTED_ORIGINS}


def posted(request: HttpRequest) -> Unsaved | None:
    """What this request posts to one of the forms that are kept, or None where there is nothing to keep."""
    match = request.resolver_match
    if request.method != "POST" or match is None or match.url_name not in FORMS or not from_our_pages(request):
        return None
    # A page that posts by script has kept its form already.
    if by_htmx(request) or not _is_small_form(request):
        return None
    who = request.POST.get("typed_by", "")
    fields = [(name, value) for name, values in request.POST.lists() for value in values if not NOT_KEPT.match(name)]
    return Unsaved(who, request.get_full_path(), fields) if who and fields else None


def _is_small_form(request: HttpRequest) -> bool:
    """Looked at before the body is read. Files come in another kind of body, and are not kept."""
    length = request.headers.get("Content-Length", "")
    small = length.isdecimal() and len(length) < 9 and int(length) <= MOST_BYTES
    return small and request.content_type == "application/x-www-form-urlencoded"


def carried(request: HttpRequest) -> Unsaved | None:
    """What the sign-in form carries along, if it is ours and not too old."""
    try:
        kept: Any = signing.loads(request.POST.get("kept", ""), salt=SALT, max_age=KEPT_FOR)
    except signing.BadSignature:
        return None
    return Unsaved(kept["who"], kept["path"], [(name, value) for name, value in kept["fields"]])
