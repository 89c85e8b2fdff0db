"""The address at which a supervisor starts a live test."""

import time
from typing import Any

from django import forms
from django.http import HttpResponse
from django.shortcuts import render
from django.urls import reverse
from structlog.stdlib import get_logger

from accounts.access import SignedInRequest, by_htmx, json_post
from accounts.models import Role
from followups.forms import words
from performance import live_tests
from performance.answers import page_or_json
from performance.live_test_findings import FAILED
from performance.live_test_panels import panel
from performance.live_tests import MOST_ROUNDS, ROUNDS, TESTS, Busy

log = get_logger(__name__)
BUSY = "Another live test is under way, and there is only ever one. Try again in a few seconds."
BOUNDS = f"Choose between 1 and {MOST_ROUNDS} rounds."


class LiveTestForm(forms.Form):
    test = forms.ChoiceField(
        choices=[(trial.name, trial.words) for trial in TESTS.values()],
        error_messages={"required": "Choose a test.", "invalid_choice": "There is no such test."},
    )
    rounds = forms.IntegerField(
        required=False,
        min_value=1,
        max_value=MOST_ROUNDS,
        error_messages={"invalid": BOUNDS, "min_value": BOUNDS, "max_value": BOUNDS},
    )

    def clean_rounds(self) -> int:
        rounds: int | None = self.cleaned_data["rounds"]
        return ROUNDS if rounds is None else rounds


@json_post(Role.SUPERVISOR)
def live_test(request: SignedInRequest) -> HttpResponse:
    """Runs a test and answers with what it found: 409 while another one runs, 422 for what it cannot read."""
    started = time.perf_counter()
    form = LiveTestForm(request.POST)
    if not form.is_valid():
        errors = words(form)
        return _answer(request, started, 422, success=False, message=" ".join(errors.values()), errors=errors)
    try:
        run = live_tests.run(form.cleaned_data["test"], form.cleaned_data["rounds"], request.user)
    except Busy:
        log.info("live test refused: another one runs", test=form.cleaned_data["test"], by=request.user.pk)
        return _answer(request, started, 409, success=False, message=BUSY)
    return _answer(
        request,
        started,
        200,
        success=run.result["verdict"] != FAILED,
        message=f"{TESTS[run.name].words}: {run.result['message']}",
        test=run.name,
        rounds=run.rounds,
        verdict=run.result["verdict"],
        result=run.result,
    )


def _answer(request: SignedInRequest, started: float, status: int, **answer: Any) -> HttpResponse:
    """In the caller's manner: a part of the page, the whole page once more, or JSON."""
    test = request.POST.get("test", "")
    if by_htmx(request) and test in TESTS:
        refused = answer["message"] if status != 200 else ""
        context = {"panel": panel(test), "refused": refused, "said": answer["message"]}
        return render(request, "performance/_live_test.html", context, status=status)
    anchor = f"#live-test-{test}" if test in TESTS else ""
    return page_or_json(request, started, status, answer, f"{reverse('performance_metrics')}{anchor}")
