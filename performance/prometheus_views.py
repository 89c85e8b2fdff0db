"""/metrics: all counts so far, in the text format that Prometheus reads."""

import hmac
from collections.abc import Iterator

from django.conf import settings
from django.contrib.auth.decorators import login_not_required
from django.http import Http404, HttpRequest, HttpResponse
from django.views.decorators.csrf import csrf_exempt

from performance import timings
from performance.statements import BUDGET
from performance.timings import BOUNDS, Figures

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"
# Every fourth bound, a doubling each: enough for a graph, and a quarter of the lines.
SHOWN = range(0, len(BOUNDS), 4)
COUNTED = (
    ("desk_over_budget_total", "over", "Answers that took longer than their budget."),
    ("desk_statements_total", "statements", "SQL statements."),
    ("desk_rows_total", "rows", "Rows that SQL statements gave back or changed."),
    ("desk_database_microseconds_total", "database", "Time of the SQL statements."),
    ("desk_cache_hits_total", "hits", "Looks into the cache that found something."),
    ("desk_cache_misses_total", "misses", "Looks into the cache that found nothing."),
)


@csrf_exempt  # a stranger's POST is answered like a stranger's GET
@login_not_required
def metrics(request: HttpRequest) -> HttpResponse:
    """Without METRICS_TOKEN there is no such address; with it, only whoever sends it reads."""
    if not settings.METRICS_TOKEN:
        raise Http404
    scheme, _, token = request.headers.get("Authorization", "").partition(" ")
    if scheme.lower() != "bearer" or not _same(token.strip(), settings.METRICS_TOKEN):
        return HttpResponse(
            "Send the token.\n", status=401, content_type=CONTENT_TYPE, headers={"WWW-Authenticate": "Bearer"}
        )
    if request.method not in ("GET", "HEAD"):
        return HttpResponse("Send a GET.\n", status=405, content_type=CONTENT_TYPE, headers={"Allow": "GET, HEAD"})
    try:
        found, lost = timings.totals()
        kinds, caches = timings.totals_of(timings.SQL), timings.totals_of(timings.CACHES)
    except timings.Away:
        return HttpResponse("The counts cannot be read: Redis is away.\n", status=503, content_type=CONTENT_TYPE)
    return HttpResponse(
        "\n".join([*_lines(found, lost), *_statements(kinds), *_caches(caches), ""]), content_type=CONTENT_TYPE
    )


def _same(given: str, wanted: str) -> bool:
    """In a time that does not tell how much of it was right."""
    return hmac.compare_digest(given.encode(), wanted.encode())


def _lines(found: dict[str, Figures], lost: int) -> Iterator[str]:
    yield "# HELP desk_operation_seconds Time at the server, by operation."
    yield "# TYPE desk_operation_seconds histogram"
    for name, figures in sorted(found.items()):
        yield from _histogram(name, figures)
    yield from _counter("desk_answers_total", "Answers, by operation and outcome.")
    for name, figures in sorted(found.items()):
        for outcome in (timings.OK, timings.REFUSED, timings.FAILED):
            yield f'desk_answers_total{{operation="{name}",outcome="{outcome}"}} {getattr(figures, outcome)}'
    for metric, what, words in COUNTED:
        yield from _counter(metric, words)
        for name, figures in sorted(found.items()):
            yield f'{metric}{{operation="{name}"}} {getattr(figures, what)}'
    yield from _counter("desk_leads_created_total", "Leads created.")
    yield f"desk_leads_created_total {sum(figures.created for figures in found.values())}"
    yield from _counter("desk_timings_lost_total", "Timings that Redis did not take.")
    yield f"desk_timings_lost_total {lost}"


def _statements(kinds: dict[str, Figures]) -> Iterator[str]:
    """A kind is bounded in number: what a statement does, and to which table."""
    for metric, what, words in (
        ("desk_statement_kind_total", "count", "SQL statements, by kind."),
        ("desk_statement_kind_microseconds_total", "microseconds", "Their time."),
        ("desk_statement_kind_slow_total", "over", f"Those that took longer than {BUDGET:.0f} ms."),
    ):
        yield from _counter(metric, words)
        for kind, figures in sorted(kinds.items()):
            yield f'{metric}{{kind="{kind}"}} {getattr(figures, what)}'


def _caches(caches: dict[str, Figures]) -> Iterator[str]:
    yield from _counter("desk_cache_reads_total", "Looks into each cache, by what it had.")
    for name, figures in sorted(caches.items()):
        yield f'desk_cache_reads_total{{cache="{name}",found="yes"}} {figures.hits}'
        yield f'desk_cache_reads_total{{cache="{name}",found="no"}} {figures.misses}'


def _histogram(name: str, figures: Figures) -> Iterator[str]:
    below = 0
    for number, bound in enumerate(BOUNDS):
        below += figures.buckets[number]
        if number in SHOWN:
            yield f'desk_operation_seconds_bucket{{operation="{name}",le="{bound / 1000:g}"}} {below}'
    yield f'desk_operation_seconds_bucket{{operation="{name}",le="+Inf"}} {figures.count}'
    yield f'desk_operation_seconds_sum{{operation="{name}"}} {figures.microseconds / 1_000_000}'
    yield f'desk_operation_seconds_count{{operation="{name}"}} {figures.count}'


def _counter(metric: str, words: str) -> Iterator[str]:
    yield f"# HELP {metric} {words}"
    yield f"# TYPE {metric} counter"
