"""The PS's update of a lead: a page for people, JSON for programs, one service behind both."""

import time
from typing import Any
from urllib.parse import urlsplit

from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.utils import timezone
from django.views.decorators.http import require_http_methods

from accounts.access import SignedInRequest, by_htmx, page_or_json, refusal, wants_json
from accounts.models import Role
from followups import answers, wording
from followups.catalogue import Moment
from followups.events import assignments, calls, waiting_for
from followups.forms import outcome_rules
from followups.models import PSFollowup
from followups.quick import quick_outcomes
from followups.services import NotYours, held, saved_before, update_ps_lead
from followups.uid import search_key
from followups.update import Told
from followups.update_form import Invalid, Replayed, Stale, UpdateForm

NOT_YOURS = "This lead is not, or no longer, yours to follow up. Nothing was saved."


@require_http_methods(["GET", "HEAD", "POST"])
@page_or_json(Role.PS)
def ps_update(request: SignedInRequest, uid: str) -> HttpResponse:
    """The PS's form for one of their open leads; posted, what became of it."""
    started = time.perf_counter()
    key = search_key(uid) or ""
    try:
        if request.method != "POST" or "resume" in request.POST:
            return _asked(request, held(key, request.user), started)
        return _posted(request, key, started)
    except NotYours:
        before = saved_before(key, request.user, request.POST.get("request_id", ""))
        if before:
            return _saved(request, before.lead, wording.replayed(before.lead), started)
        return _not_yours(request, started)


def _asked(request: SignedInRequest, followup: PSFollowup, started: float) -> HttpResponse:
    form = UpdateForm(followup.lead, Moment.PS)
    if wants_json(request):
        return answers.read_json(form, started)
    if "resume" in request.POST:
        form.resume(request.POST.dict())
        return _page(request, followup, form, resumed=True)
    return _page(request, followup, form)


def _posted(request: SignedInRequest, uid: str, started: float) -> HttpResponse:
    asked: list[PSFollowup] = []

    def read(followup: PSFollowup) -> Told:
        asked.append(followup)
        form = UpdateForm(followup.lead, Moment.PS, request.POST.dict())
        return form.told(actor_id=request.user.pk, cause=request.cause)

    try:
        followup, told = update_ps_lead(uid, request.user, read)
        message = wording.saved(followup.lead, told)
    except Replayed:
        followup, message = asked[0], wording.replayed(asked[0].lead)
    except Stale as stale:
        if wants_json(request):
            return answers.stale_json(stale.form, started)
        return _page(request, asked[0], stale.form, status=409, differences=stale.form.differences())
    except Invalid as invalid:
        if wants_json(request):
            return answers.invalid_json(invalid.form, started)
        return _page(request, asked[0], invalid.form, status=422)
    return _saved(request, followup.lead, message, started)


def _saved(request: HttpRequest, lead: Any, message: str, started: float) -> HttpResponse:
    if wants_json(request):
        return answers.saved_json(lead, message, started)
    return answers.saved_page(request, lead, message, home=reverse("ps_dashboard"))


def _page(
    request: HttpRequest, followup: PSFollowup, form: UpdateForm, *, status: int = 200, **context: Any
) -> HttpResponse:
    lead, now = followup.lead, timezone.now()
    if context.get("differences") is not None:
        form.refreshed()
    form.offer()
    context |= {
        "lead": lead,
        "followup": followup,
        "form": form,
        "address": reverse("update_ps_lead", args=[lead.uid]),
        "rules": outcome_rules(form.moment),
        "quick": quick_outcomes(form.moment, now),
        "next": answers.way_back(request, ""),
        "follow_up_note": wording.kept_follow_up(lead),
    }
    if lead.next_call_by and (lead.next_call_until or now) > now:
        context["in_hand"] = lead.next_call_by
    beside = status == 409 and _is_own_page(request)
    if by_htmx(request) and not beside:
        return render(request, "desk/work.html", context, status=status)
    waiting = waiting_for(lead)
    given = assignments(lead.followups.select_related("ps", "branch", "assigned_by"), waiting)
    events = sorted([*calls(lead, waiting), *given], key=lambda event: event.at, reverse=True)
    answer = render(request, "desk/update.html", {**context, "story": {"events": events}}, status=status)
    if beside and by_htmx(request):
        # What somebody else saved stands beside the form too: the history, with their remark, and the facts.
        answer["HX-Retarget"] = answer["HX-Reselect"] = ".work-columns"
    return answer


def _is_own_page(request: HttpRequest) -> bool:
    """Whether the form stands on the lead's own page, with the history beside it, and not on a card of the desk."""
    return urlsplit(request.headers.get("HX-Current-URL", "")).path == request.path


def _not_yours(request: HttpRequest, started: float) -> HttpResponse:
    if wants_json(request):
        return refusal(NOT_YOURS, 404, started)
    if request.method == "POST":
        typed = {"remark": request.POST.get("remark", ""), "message": NOT_YOURS}
        return render(request, "desk/not_yours.html", typed, status=404)
    messages.warning(request, "This lead is not, or no longer, yours to follow up.")
    return redirect("ps_dashboard")
