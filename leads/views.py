"""The pages for leads: adding one, lists for CRE, branch head and reception, search, a lead's own page."""

import time
import uuid
from typing import Any

from django.contrib import messages
from django.core.exceptions import PermissionDenied
from django.db.models import QuerySet
from django.http import Http404, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.utils import timezone
from django.views.decorators.http import require_http_methods, require_POST, require_safe

from accounts.access import SignedInRequest, by_htmx, roles
from accounts.directory import directory
from accounts.models import Role, User
from followups import catalogue
from followups.acceptance import waiting_for
from followups.buckets import REPEATS_FOR, REPEATS_SHOWN
from followups.forms import outcome_rules
from followups.paging import page
from followups.uid import search_key
from leads import wording
from leads.capture import Captured, NotAllowed, Outcome, check
from leads.find import find, for_list
from leads.forms import CheckForm, LeadForm, TellForm
from leads.models import Channel, DuplicateLead, LeadMaster
from leads.services import capture_form, tell_owner
from leads.sources import sources
from leads.story import story
from leads.update_form import CARRIED

# --- Adding a lead ------------------------------------------------------------------------------------------


@require_http_methods(["GET", "HEAD", "POST"])
@roles(Role.CRE, Role.SUPERVISOR)
def add_lead(request: SignedInRequest) -> HttpResponse:
    """The form; posted, what became of the enquiry, above an empty form for the next caller."""
    if request.method != "POST":
        return _desk(request, _empty_form(request.GET.get("phone", "")), fresh=True)
    if "resume" in request.POST:
        # Typed before a sign-in: shown as it was, not judged and not saved.
        return _desk(request, LeadForm(initial=request.POST.dict()), fresh=True, resumed=True)
    started = time.perf_counter()
    form = LeadForm(request.POST)
    try:
        captured = capture_form(form, request.user, channel=Channel.DESK, cause=request.cause)
    except NotAllowed as error:
        raise PermissionDenied from error
    if captured is None:
        return _desk(request, form, status=422)
    if captured.errors:
        form.refuse(captured.errors)
        return _desk(request, form, fresh=True, status=422)
    context = {
        "captured": captured,
        "message": wording.message(captured),
        "milliseconds": (time.perf_counter() - started) * 1000,
        "enquiry_phone": form.cleaned_data["customer_mobile_number"],
        "remark": form.cleaned_data.get("remark", ""),
        "typed": {name: request.POST.get(name, "") for name in CARRIED},
    }
    kept = captured.outcome == Outcome.DUPLICATE
    response = _desk(request, form if kept else _empty_form(), status=wording.HTTP_STATUS[captured.outcome], **context)
    response.created = captured.is_new_lead  # type: ignore[attr-defined]
    return response


def _empty_form(phone: str = "") -> LeadForm:
    form = LeadForm(initial={"request_id": uuid.uuid4(), "customer_mobile_number": phone})
    form.fields["customer_name" if phone else "customer_mobile_number"].widget.attrs["autofocus"] = True
    return form


def _desk(
    request: SignedInRequest, form: LeadForm, *, fresh: bool = False, status: int = 200, **context: Any
) -> HttpResponse:
    """The form with its choices; `fresh` looks up who takes leads now, rather than a minute ago."""
    form.offer(directory(fresh=fresh), sources(fresh=fresh))
    rules = outcome_rules(catalogue.CAPTURE)
    template = "leads/_add_lead.html" if by_htmx(request) else "leads/add_lead.html"
    return render(request, template, {"form": form, "rules": rules, **context}, status=status)


@require_POST
@roles(Role.CRE, Role.SUPERVISOR)
def known(request: SignedInRequest) -> HttpResponse:
    """The part of the form that tells whether the typed number is known, and what saving would do."""
    typed = request.POST
    form = CheckForm(
        {
            "phone_number": typed.get("customer_mobile_number", ""),
            "source": typed.get("source", ""),
            "subsource": typed.get("subsource", ""),
        }
    )
    form.full_clean()
    if problem := form.errors.get("phone_number"):
        return render(request, "leads/_known.html", {"problem": problem[0]})
    number = form.cleaned_data["phone_number"]
    found: Captured = check(number, form.pair(), request.user)
    context = {"found": found, "message": wording.forecast(found), "enquiry_phone": number}
    return render(request, "leads/_known.html", context)


@require_http_methods(["GET", "HEAD", "POST"])
@roles(Role.CRE, Role.SUPERVISOR)
def tell(request: SignedInRequest) -> HttpResponse:
    """A customer of a colleague called: says so to the lead's owner."""
    if request.method != "POST":
        return redirect("add_lead")
    form = TellForm(request.POST)
    lead = form.is_valid() and tell_owner(
        uid=form.cleaned_data["uid"],
        phone=form.cleaned_data["phone"],
        remark=form.cleaned_data["remark"],
        actor=request.user,
    )
    if lead:
        people = " and ".join(person.name for person in (lead.cre, lead.ps) if person) or "the branch head"
        message = f"Told: {people} will hear that the customer of {lead.uid} called."
    elif "remark" in form.errors:
        message = f"Nobody was told. The remark: {form.errors['remark'][0]}"
    else:
        message = "Nobody was told: this lead is no longer open. Save the enquiry again."
    if by_htmx(request):
        return render(request, "leads/_told.html", {"message": message, "told": bool(lead)})
    messages.add_message(request, messages.SUCCESS if lead else messages.WARNING, message)
    return redirect("add_lead")


# --- Lists --------------------------------------------------------------------------------------------------


@require_safe
@roles(Role.BRANCH_HEAD)
def branch_head_dashboard(request: SignedInRequest) -> HttpResponse:
    """The branch's leads, newest first."""
    waiting = waiting_for(request.user, timezone.now())
    empty = "No lead has been given to this branch yet."
    return _list(request, f"Leads of {request.user.branch}", empty, waiting=waiting)


@require_safe
@roles(Role.RECEPTIONIST)
def rec_dashboard(request: SignedInRequest) -> HttpResponse:
    """The branch's walk-ins, newest first."""
    return _list(request, f"Walk-ins at {request.user.branch}", "No walk-in has been entered for this branch yet.")


def _list(request: SignedInRequest, title: str, empty: str, **context: Any) -> HttpResponse:
    leads = for_list(LeadMaster.objects.visible_to(request.user))
    context |= {
        "title": title,
        "empty": empty,
        "page": page(leads, request.GET.get("page", "")),
        "repeats": _repeats(request.user),
        "repeats_days": REPEATS_FOR.days,
    }
    return render(request, "leads/branch_leads.html", context)


def _repeats(user: User) -> QuerySet[DuplicateLead]:
    """The newest enquiries of customers whose lead is open, on the leads that `user` sees."""
    recent = DuplicateLead.objects.visible_to(user).filter(
        created_at__gt=timezone.now() - REPEATS_FOR, lead__final_status=catalogue.FinalStatus.PENDING
    )
    return recent.select_related("lead", "created_by")[:REPEATS_SHOWN]


@require_safe
def search(request: SignedInRequest) -> HttpResponse:
    """What the search box finds among the leads that one may see; a single lead opens at once."""
    typed = request.GET.get("q", "")
    found = find(typed, request.user)
    if len(found.leads) == 1:
        return redirect("lead", uid=found.leads[0].uid)
    may_add = request.user.role in (Role.CRE, Role.SUPERVISOR)
    return render(request, "leads/search.html", {"searched": typed, "typed": typed, "found": found, "may_add": may_add})


# --- One lead -----------------------------------------------------------------------------------------------


@require_safe
def lead_page(request: SignedInRequest, uid: str) -> HttpResponse:
    """A lead and what happened to it. While something waits the page asks again, and gets 204 without news."""
    people = ("branch", "cre", "ps", "created_by", "next_call_by")
    key = search_key(uid)
    if key is None:
        raise Http404
    lead = get_object_or_404(LeadMaster.objects.visible_to(request.user).select_related(*people), uid=key)
    told = story(lead)
    if by_htmx(request) and request.GET.get("seen") == f"{told.digest}-{told.refresh}":
        return HttpResponse(status=204)
    # Numbers are compared in their one spelling, so this finds the customer's leads however they were typed.
    same_customer = LeadMaster.objects.visible_to(request.user).filter(
        customer_mobile_number=lead.customer_mobile_number
    )
    context = {
        "lead": lead,
        "story": told,
        "others": same_customer.exclude(pk=lead.pk).newest_first()[:10],
        "in_hand": lead.next_call_until is not None and lead.next_call_until > timezone.now(),
    }
    return render(request, "leads/_lead.html" if by_htmx(request) else "leads/lead.html", context)
