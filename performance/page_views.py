"""/performance_metrics: how fast the desk is, what waits, what it is kept in, and what to do about it. For supervisors.

The page is put together from parts. A part that cannot be read says so in its place and takes no other along.
"""

from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, is_dataclass
from functools import cached_property, partial
from typing import Any

from django.http import Http404, HttpRequest, HttpResponse, JsonResponse
from django.shortcuts import render
from django.template.loader import render_to_string
from django.urls import reverse
from django.utils import timezone
from django.utils.cache import patch_vary_headers
from django.utils.safestring import SafeString, mark_safe
from django.views.decorators.http import require_safe
from structlog.stdlib import get_logger

from accounts.access import SignedInRequest, page_or_json, roles, wants_json
from accounts.models import Role
from performance import caches, database, live_test_panels, optimize_plan, queue, timings
from performance.database import Report
from performance.models import SpeedReport
from performance.operations_table import AGAIN, Live, live, pictures
from performance.timings import WINDOWS, Figures
from performance.verdict import Trouble, Verdict, overall, troubles

log = get_logger(__name__)

NOT_READ = "This part could not be read at the moment. The rest of the page is not affected; the log says why."
AWAY = "This part could not be read: Redis, which keeps the figures, does not answer. Leads are saved without it."
REPORTS = 10
NAMING = {"reports"}  # parts that tell of people by name: they are not in the figures


@dataclass(frozen=True)
class Read:
    """What was read for a part of the page, or in words why it could not be."""

    value: Any = None
    trouble: str = ""

    def as_json(self) -> Any:
        return {"error": self.trouble} if self.trouble else plain(self.value)


class Catalogues:
    """PostgreSQL's catalogues, read at most once for all the parts of one page."""

    @cached_property
    def report(self) -> Report:
        return database.report()


@dataclass(frozen=True)
class Part:
    """A section that is read by itself, whole or again on its own; `read` makes what its template shows."""

    name: str
    title: str
    about: str
    template: str
    read: Callable[[Catalogues], dict[str, Any]]


@page_or_json(Role.SUPERVISOR)
@require_safe
def performance_metrics(request: SignedInRequest) -> HttpResponse:
    window = _window(request)
    download = request.GET.get("download") == "1"
    answer = _json(window, download=download) if download or wants_json(request) else _page(request, window)
    # These are figures of this moment.
    answer["Cache-Control"] = "no-store"
    patch_vary_headers(answer, ["Accept"])
    return answer


def _page(request: SignedInRequest, window: str) -> HttpResponse:
    catalogues = Catalogues()
    context = {
        **_now(window),
        "windows": [(key, known.words, key == window) for key, known in WINDOWS.items()],
        "parts": [(part, _shown(part, catalogues, request)) for part in PARTS],
        "charts": _charts(request),
    }
    return render(request, "performance/page.html", context)


def _json(window: str, *, download: bool) -> HttpResponse:
    answer = JsonResponse(_figures(window), json_dumps_params={"indent": 2})
    if download:
        name = f"lead-desk-figures-{timezone.localtime():%Y%m%d-%H%M}.json"
        answer["Content-Disposition"] = f'attachment; filename="{name}"'
    return answer


@require_safe
@roles(Role.SUPERVISOR)
def performance_part(request: SignedInRequest, name: str) -> HttpResponse:
    """A part of the page by itself, as the page asks for it again."""
    window = _window(request)
    if name == "now":
        context = _now(window)
        # Said aloud only when it is another one than the page has.
        context["say"] = context["verdict"].key != request.GET.get("seen", context["verdict"].key)
        return render(request, "performance/_now.html", context)
    if name == "charts":
        return HttpResponse(_charts(request))
    part = next((part for part in PARTS if part.name == name), None)
    if part is None:
        raise Http404
    return HttpResponse(_shown(part, Catalogues(), request))


def _window(request: HttpRequest) -> str:
    window = request.GET.get("window", "")
    return window if window in WINDOWS else "minutes"


# --- What changes by the second -------------------------------------------------------------------------------------
@dataclass(frozen=True)
class Now:
    """The last five minutes, the window that is looked at, the queue, and the indexes that are to be built."""

    minutes: Read
    live: Read
    queue: Read
    indexes: Read

    @property
    def wrong(self) -> list[Trouble]:
        return troubles(self.minutes.value, self.queue.value, self.indexes.value)

    @property
    def verdict(self) -> Verdict:
        return overall(self.minutes.value, self.wrong)


def _read_now(window: str) -> Now:
    minutes = _read("minutes", lambda: timings.figures("minutes"))
    return Now(
        minutes,
        _read("live", lambda: _live(window, minutes.value)),
        _read("queue", queue.state),
        _read("indexes", optimize_plan.to_build),
    )


def _live(window: str, minutes: Mapping[str, Figures] | None) -> Live:
    return live(window, timings.figures(window) if minutes is None or window != "minutes" else minutes)


def _now(window: str) -> dict[str, Any]:
    now = _read_now(window)
    again = reverse("performance_part", args=["now"], query={"window": window, "seen": now.verdict.key})
    return {
        "verdict": now.verdict,
        "troubles": now.wrong,
        "live": now.live.value,
        "live_trouble": now.live.trouble,
        "queue": now.queue.value,
        "queue_trouble": now.queue.trouble,
        "window": window,
        "again": again,
        "seconds": AGAIN[window],
    }


def _charts(request: HttpRequest) -> SafeString:
    found = _read("charts", pictures)
    context = {
        **(found.value or {}),
        "charts_trouble": found.trouble,
        "charts_again": reverse("performance_part", args=["charts"]),
    }
    return _rendered("performance/_charts.html", context, request)


# --- The parts that are read on demand ------------------------------------------------------------------------------
def _caches(_: Catalogues) -> dict[str, Any]:
    return {"caches": caches.overview()}


def _database(catalogues: Catalogues) -> dict[str, Any]:
    return {"database": catalogues.report}


def _optimize(catalogues: Catalogues) -> dict[str, Any]:
    return {"plan": optimize_plan.plan(catalogues.report), "job": optimize_plan.latest()}


def _tests(_: Catalogues) -> dict[str, Any]:
    return {"live_tests": live_test_panels.overview()}


def _reports(_: Catalogues) -> dict[str, Any]:
    return {"reports": list(SpeedReport.objects.select_related("by").order_by("-id")[:REPORTS])}


PARTS = (
    Part(
        "caches",
        "Caches",
        "What the desk keeps at hand so that it need not ask the database. Clearing one is safe: it fills again.",
        "performance/_caches.html",
        _caches,
    ),
    Part(
        "database",
        "Database",
        "Tables, indexes and statements, as PostgreSQL’s catalogues tell of them. Row counts are its estimates.",
        "performance/_database.html",
        _database,
    ),
    Part(
        "optimize",
        "Optimize",
        "Puts in order what can be put in order safely. Nothing is ever dropped.",
        "performance/_plan.html",
        _optimize,
    ),
    Part(
        "tests",
        "Tests",
        "Runs the real thing on the real data, and takes it back: no row is left, and no mail goes out.",
        "performance/_live_tests.html",
        _tests,
    ),
    Part(
        "reports",
        "Reports from colleagues",
        "Sent from “Is the desk fast?”, each with the figures of that moment.",
        "performance/_reports.html",
        _reports,
    ),
)


def _shown(part: Part, catalogues: Catalogues, request: HttpRequest) -> SafeString:
    found = _read(part.name, partial(part.read, catalogues))
    if found.trouble:
        return _trouble(found.trouble)
    return _rendered(part.template, found.value, request)


def _rendered(template: str, context: dict[str, Any], request: HttpRequest) -> SafeString:
    """A template that fails takes no other part along."""
    found = _read(template, lambda: mark_safe(render_to_string(template, context, request)))  # noqa: S308 - a template's
    return found.value or _trouble(found.trouble)


def _trouble(words: str) -> SafeString:
    return mark_safe(render_to_string("performance/_not_read.html", {"trouble": words}))  # noqa: S308 - a template's


def _read(name: str, read: Callable[[], Any]) -> Read:
    try:
        return Read(read())
    except timings.Away:
        return Read(trouble=AWAY)
    except Exception:
        log.exception("part of the performance page not read", part=name)
        return Read(trouble=NOT_READ)


# --- For a support ticket -------------------------------------------------------------------------------------------
def _figures(window: str) -> dict[str, Any]:
    """All figures of the page. Nobody is named in them: neither customers nor colleagues."""
    catalogues = Catalogues()
    read = {part.name: _read(part.name, partial(part.read, catalogues)) for part in PARTS if part.name not in NAMING}
    now = _read_now(window)
    return {
        "at": timezone.now(),
        "verdict": {"kind": now.verdict.kind, "words": now.verdict.words, "detail": now.verdict.detail},
        "troubles": [asdict(trouble) for trouble in now.wrong],
        "live": now.live.as_json(),
        "queue": now.queue.as_json(),
        **{name: one.as_json() for name, one in read.items()},
    }


def plain(value: Any) -> Any:
    """What JSON can say, of dataclasses that may say it themselves."""
    if hasattr(value, "as_json"):
        return value.as_json()
    if isinstance(value, dict):
        return {str(key): plain(one) for key, one in value.items()}
    if isinstance(value, list | tuple | set):
        return [plain(one) for one in value]
    if is_dataclass(value) and not isinstance(value, type):
        return asdict(value)
    return value
