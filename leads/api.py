"""The two addresses for programs: form fields in, JSON out. Their shape is what scripts outside depend on."""

import time
from typing import Any

from django.http import JsonResponse

from accounts.access import SignedInRequest, json_post, refusal, since
from accounts.models import Role
from followups.forms import words
from leads import wording
from leads.capture import NotAllowed, Outcome, check
from leads.forms import CheckForm, LeadForm
from leads.models import Channel
from leads.services import capture_form


@json_post(Role.CRE, Role.SUPERVISOR)
def add_lead_optimized(request: SignedInRequest) -> JsonResponse:
    """Captures a lead: 201 created, 200 repeat, 409 duplicate, 422 with `errors` per field."""
    started = time.perf_counter()
    form = LeadForm(request.POST)
    try:
        captured = capture_form(form, request.user, channel=Channel.API, cause=request.cause)
    except NotAllowed:
        return refusal("Your role may not do this.", 403, started)
    if captured is None:
        return _invalid(words(form), started)
    if captured.errors:
        return _invalid(captured.errors, started)
    answer: dict[str, Any] = {
        "success": captured.outcome != Outcome.DUPLICATE,
        "outcome": captured.outcome.value,
        "uid": captured.uid,
        "message": wording.message(captured),
        "execution_time": since(started),
    }
    if captured.replayed:
        answer["replayed"] = True
    if captured.returning:
        answer["returning"] = captured.returning
    if captured.card:
        answer["card"] = captured.card.as_json()
    response = JsonResponse(answer, status=wording.HTTP_STATUS[captured.outcome])
    response.created = captured.is_new_lead  # type: ignore[attr-defined]
    return response


@json_post(Role.CRE, Role.SUPERVISOR)
def check_duplicate_lead(request: SignedInRequest) -> JsonResponse:
    """Tells what capture would say to a phone and pair: `outcome` new, duplicate or repeat."""
    started = time.perf_counter()
    form = CheckForm(request.POST)
    if not form.is_valid():
        return _invalid(words(form), started)
    found = check(form.cleaned_data["phone_number"], form.pair(), request.user)
    return JsonResponse(
        {
            "success": True,
            "is_duplicate": found.outcome != Outcome.NEW,
            "outcome": found.outcome.value,
            "card": found.card and found.card.as_json(),
            "message": wording.forecast(found),
            "execution_time": since(started),
        }
    )


def _invalid(errors: dict[str, str], started: float) -> JsonResponse:
    return JsonResponse(
        {
            "success": False,
            "outcome": Outcome.INVALID.value,
            "message": " ".join(errors.values()),
            "errors": errors,
            "execution_time": since(started),
        },
        status=422,
    )
