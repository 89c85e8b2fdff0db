"""What the buttons of the performance page answer where no script has pressed them: a page again, or JSON."""

from typing import Any

from django.contrib import messages
from django.http import HttpResponse, HttpResponseRedirect, JsonResponse

from accounts.access import SignedInRequest, since, wants_page


def page_or_json(
    request: SignedInRequest, started: float, status: int, answer: dict[str, Any], goal: str
) -> HttpResponse:
    """To the page `goal`, which says the answer's `message`; or the whole answer, for a program."""
    if wants_page(request):
        messages.add_message(request, level(good=answer["success"]), answer["message"])
        return HttpResponseRedirect(goal, status=303)
    return JsonResponse({**answer, "execution_time": since(started)}, status=status)


def level(*, good: bool) -> int:
    return messages.SUCCESS if good else messages.WARNING
