"""What an update answers, to people and to programs, the same from both desks."""

from typing import Any

from django.contrib import messages
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.utils.http import url_has_allowed_host_and_scheme

from accounts.access import by_htmx, since
from followups import wording
from followups.forms import words
from followups.update_form import UpdateForm

STALE = "Somebody has saved this lead since you read it. Nothing was saved: look at both, and save again."


def saved_json(lead: Any, message: str, started: float) -> JsonResponse:
    return JsonResponse({"success": True, "message": message, **_state(lead), "execution_time": since(started)})


def read_json(form: UpdateForm, started: float) -> JsonResponse:
    """The lead as a program has to know it before it sends an update."""
    form.offer()
    offered = [code for _, group in form.fields["lead_status"].widget.choices[1:] for code, _ in group]
    fields = {"fields": form.current(), "lead_statuses": offered}
    return JsonResponse({"success": True, **_state(form.lead), **fields, "execution_time": since(started)})


def invalid_json(form: UpdateForm, started: float) -> JsonResponse:
    errors = words(form)
    answer = {"success": False, "message": " ".join(errors.values()), "errors": errors}
    return JsonResponse({**answer, "execution_time": since(started)}, status=422)


def stale_json(form: UpdateForm, started: float) -> JsonResponse:
    both = {row.name: {"theirs": row.theirs, "mine": row.mine} for row in form.differences()}
    answer = {"success": False, "message": STALE, "errors": {}, "conflict": both, "version": form.lead.version}
    return JsonResponse({**answer, "execution_time": since(started)}, status=409)


def saved_page(request: HttpRequest, lead: Any, message: str, *, home: str) -> HttpResponse:
    """Says what happened and offers what comes next: in place, or without a script on the page to go on to."""
    if by_htmx(request):
        said = {"message": message, "said": wording.after_a_name(message)}
        return render(request, "desk/saved.html", {"lead": lead, **said, "home": home})
    messages.success(request, wording.named(lead, message))
    return redirect(way_back(request, reverse("lead", args=[lead.uid])))


def way_back(request: HttpRequest, otherwise: str) -> str:
    """The local address that the form asked to go on to."""
    wanted = request.POST.get("next", "") or request.GET.get("next", "")
    # It must be a path: `redirect` would take a bare word for the name of an address.
    local = url_has_allowed_host_and_scheme(wanted, allowed_hosts=None, require_https=request.is_secure())
    return wanted if local and wanted.startswith("/") else otherwise


def _state(lead: Any) -> dict[str, Any]:
    return {
        "uid": lead.uid,
        "lead_status": lead.lead_status,
        "final_status": lead.final_status,
        "follow_up_at": lead.follow_up_at and lead.follow_up_at.isoformat(),
        "version": lead.version,
    }
