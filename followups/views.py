"""The PS's desk: the leads that are theirs to follow up, and “Got it”."""

from datetime import datetime

from django.contrib import messages
from django.core.exceptions import PermissionDenied
from django.http import Http404, HttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.utils import timezone
from django.views.decorators.http import require_http_methods, require_safe

from accounts.access import SignedInRequest, by_htmx, roles
from accounts.models import Role
from followups import acceptance, catalogue, desk
from followups.answers import way_back
from followups.buckets import REPEATS_FOR
from followups.kept import Kept
from followups.models import PSFollowup
from followups.quick import quick_outcomes
from followups.saved import saved_at
from followups.uid import search_key


@require_safe
@roles(Role.PS)
def ps_dashboard(request: SignedInRequest) -> HttpResponse:
    """The PS's desk, one tab of it. The page asks again now and then, and gets 204 without news."""
    now, seen = timezone.now(), request.GET.get("seen", "")
    kept = Kept(request.user.pk, saved_at(request))
    place = desk.Place.read(request.GET, desk.FRESH)
    counted = _counts(request, kept, place.tab, now)
    if "tab" not in request.GET and not counted.fresh:
        place = desk.Place(desk.TODAY)
        counted = _counts(request, kept, place.tab, now)
    digest = counted.digest(now)
    if by_htmx(request) and seen == digest:
        return HttpResponse(status=204)
    if since := desk.read_digest(seen):
        counted = desk.counts(request.user, place.tab, now, since=since)
        digest = counted.digest(now)
    context = {
        "place": place,
        "tabs": desk.tabs(counted, place),
        "parts": desk.parts(counted, place),
        "cards": desk.cards(request.user, place, now),
        "arrived": counted.arrived,
        "digest": digest,
        "repeats": desk.repeats(request.user, now),
        "repeats_days": REPEATS_FOR.days,
        **_for_cards(f"{reverse('ps_dashboard')}?{place.query}"),
    }
    return render(request, f"followups/{'_ps_desk' if by_htmx(request) else 'ps_dashboard'}.html", context)


def _counts(request: SignedInRequest, kept: Kept, tab: desk.Tab, now: datetime) -> desk.Counts:
    """The numbers of the desk, as they were lately if nothing has touched them since."""
    name = f"ps?{tab.name}"
    found = desk.Counts.read(kept.look(name))
    if found is None:
        found = desk.counts(request.user, tab, now, since=None)
        kept.keep(name, found.as_json(), found.until(now))
    return found


def _for_cards(here: str) -> dict[str, object]:
    """What every card needs to save an outcome in two taps, and to come back `here`."""
    return {"here": here, "quick": quick_outcomes(catalogue.PS, timezone.now())}


@require_http_methods(["GET", "HEAD", "POST"])
def accept(request: SignedInRequest, uid: str) -> HttpResponse:
    """“Got it”. A GET only asks: whoever follows the mail's link, a scanner too, accepts nothing."""
    if request.user.role != Role.PS:
        # The branch head has the mail as a copy: for them its link leads to the lead.
        if request.method == "POST":
            raise PermissionDenied
        return redirect("lead", uid)
    uid = search_key(uid) or ""
    if request.method != "POST":
        return _ask_to_accept(request, uid)
    accepted = acceptance.accept(uid, request.user, timezone.now())
    if by_htmx(request):
        return _accepted_card(request, uid, accepted)
    if accepted:
        messages.success(request, f"{accepted.lead.customer_name} is yours to call.")
    else:
        messages.warning(request, f"Nothing was accepted: {_no_longer_yours(request, uid)}")
    return redirect(way_back(request, reverse("ps_dashboard")))


def _ask_to_accept(request: SignedInRequest, uid: str) -> HttpResponse:
    ever = PSFollowup.objects.filter(lead__uid=uid, ps=request.user).select_related("lead", "lead__ps", "assigned_by")
    followup = ever.order_by("-assigned_at", "-id").first()
    if followup is None:
        raise Http404
    context = {"followup": followup, "lead": followup.lead}
    return render(request, "followups/accept.html", context)


def _accepted_card(request: SignedInRequest, uid: str, accepted: PSFollowup | None) -> HttpResponse:
    """The card in place of the one that asked."""
    if accepted is None:
        return render(request, "followups/_ps_gone.html", {"words": _no_longer_yours(request, uid)})
    context = {
        "card": desk.card(accepted, timezone.now()),
        "got": True,
        **_for_cards(way_back(request, reverse("ps_dashboard"))),
    }
    return render(request, "followups/_ps_card.html", context)


def _no_longer_yours(request: SignedInRequest, uid: str) -> str:
    """In words; a stranger's lead is not there."""
    if not PSFollowup.objects.filter(lead__uid=uid, ps=request.user).exists():
        raise Http404
    return f"the lead {uid} is no longer yours to follow up."
