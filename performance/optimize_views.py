"""Where a supervisor asks to put the database in order, and sees how far it is."""

import time
from typing import Any
from urllib.parse import urlsplit
from uuid import UUID

from django.contrib import messages
from django.http import HttpResponse, JsonResponse
from django.shortcuts import get_object_or_404, render
from django.urls import reverse
from django.utils.cache import patch_vary_headers
from django.views.decorators.http import require_safe
from structlog.stdlib import get_logger

from accounts.access import SignedInRequest, by_htmx, json_post, page_or_json, since, wants_json
from accounts.models import Role
from performance import answers, optimize_plan
from performance.models import Optimization

log = get_logger(__name__)

NOTHING = (
    "There is nothing that the desk can put right by itself. Whatever else there is to see to stands under Database."
)
BUSY = "The database is being put in order already, and only one request is carried out at a time."
STARTED = "Requested. A worker will start within seconds. You can close the page meanwhile."
WOULD = "This is what would be done. Nothing was changed."
UNREADABLE = "PostgreSQL’s catalogues could not be read, so nothing was done."
NOT_UNDERSTOOD = (
    "Nothing was done, because the request could not be understood. It takes a form with “dry_run”, “true” or “false”, "
    "or an empty one, and nothing else; nothing in the address, and no JSON."
)
TRUE, FALSE = {"true", "1", "yes", "on"}, {"false", "0", "no", "off", ""}
FORMS = {"application/x-www-form-urlencoded", "multipart/form-data"}


@json_post(Role.SUPERVISOR)
def apply_database_optimizations(request: SignedInRequest) -> HttpResponse:
    """Leaves a request for the workers; with `dry_run` it only answers what they would do."""
    started = time.perf_counter()
    dry_run = _dry_run(request)
    if dry_run is None:
        return _answer(request, started, 422, success=False, message=NOT_UNDERSTOOD)
    try:
        if dry_run:
            steps = [step.kept() for step in optimize_plan.plan()]
            return _answer(request, started, 200, message=WOULD if steps else NOTHING, steps=steps, dry_run=True)
        job = optimize_plan.ask(request.user, request.cause)
    except optimize_plan.Unreadable as unread:
        return _answer(request, started, 503, success=False, message=f"{UNREADABLE} {unread}")
    except optimize_plan.AlreadyRunning as running:
        return _answer(request, started, 409, running.job, success=False, message=BUSY)
    if job is None:
        return _answer(request, started, 200, message=NOTHING, steps=[])
    return _answer(request, started, 202, job, message=STARTED)


def _dry_run(request: SignedInRequest) -> bool | None:
    """Whether only a look is asked for; None where that is not certain: who wanted a look must not get the deed."""
    if request.content_type not in FORMS and (request.content_type or request.body):
        return None
    if request.GET or request.FILES or set(request.POST) - {"dry_run", "csrfmiddlewaretoken"}:
        return None
    asked = {value.strip().lower() for value in request.POST.getlist("dry_run")}
    if asked and asked <= TRUE:
        return True
    return False if asked <= FALSE else None


def _answer(
    request: SignedInRequest, started: float, status: int, job: Optimization | None = None, **answer: Any
) -> HttpResponse:
    """In the caller's manner: a part of the page, another page, or JSON. Every use is in the log."""
    told = {"success": True, **answer, **({"job": str(job.pk), "steps": job.steps} if job else {})}
    log.info(
        "optimizations asked for",
        by=request.user.pk,
        status=status,
        job=told.get("job"),
        steps=len(told.get("steps", [])),
        dry_run="dry_run" in told,
    )
    if by_htmx(request) and status == 503:
        return render(request, "trouble.html", {"message": told["message"], "status": status}, status=status)
    if by_htmx(request) and job:
        context = {**_shown(request, job), "said": told["message"], "say": told["message"]}
        return render(request, "performance/_job.html", context, status=status)
    if by_htmx(request):
        return _anew(request, told["message"], good=told["success"])
    goal = reverse("optimization", args=[job.pk]) if job else reverse("performance_metrics")
    return answers.page_or_json(request, started, status, told, goal)


def _anew(request: SignedInRequest, words: str, *, good: bool) -> HttpResponse:
    """Has the browser load the whole page: what stands above the plan, too, is no longer true."""
    messages.add_message(request, answers.level(good=good), words)
    return HttpResponse(headers={"HX-Refresh": "true"})


@page_or_json(Role.SUPERVISOR)
@require_safe
def optimization(request: SignedInRequest, job: UUID) -> HttpResponse:
    """How far a request is: the page, the part of it that asks for itself again, or JSON."""
    started = time.perf_counter()
    found = get_object_or_404(Optimization.objects.select_related("asked_by"), pk=job)
    context = _shown(request, found)
    if wants_json(request):
        progress = context["progress"]
        told = {"success": found.state != Optimization.State.FAILED, **found.as_json()}
        told["progress"] = progress and {"phase": progress.phase, "share": progress.share}
        answer: HttpResponse = JsonResponse({**told, "execution_time": since(started)})
    elif found.is_finished and _on_the_performance_page(request):
        answer = _anew(request, _news(found), good=found.state == Optimization.State.DONE)
    else:
        answer = render(request, "performance/_job.html" if by_htmx(request) else "performance/job.html", context)
    answer["Cache-Control"] = "no-store"
    patch_vary_headers(answer, ["Accept", "HX-Request"])
    return answer


def _on_the_performance_page(request: SignedInRequest) -> bool:
    """Whether it is there that the request is looked at, below the verdict and the plan."""
    here = urlsplit(request.headers.get("HX-Current-URL", "")).path
    return by_htmx(request) and here == reverse("performance_metrics")


def _shown(request: SignedInRequest, job: Optimization) -> dict[str, Any]:
    """`say` is said aloud: only when it is another one than the page has said already."""
    seen = f"{job.state}-{job.steps_over}"
    say = _news(job) if seen != request.GET.get("seen", seen) else ""
    progress = optimize_plan.progress(job)
    value = job.steps_over + (progress.share or 0) / 100 if progress else job.steps_over
    return {"job": job, "progress": progress, "value": value, "seen": seen, "say": say}


def _news(job: Optimization) -> str:
    if job.is_finished:
        return f"{job.get_state_display()}. {job.message}"
    return f"{job.get_state_display()}. {job.steps_over} of {len(job.steps)} steps finished."
