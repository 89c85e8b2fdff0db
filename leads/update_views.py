"""The CRE's and the supervisor's update of a lead, reopening, and the next call."""

import time
from typing import Any

from django.contrib import messages
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseRedirect
from django.shortcuts import redirect, render
from django.urls import reverse
from django.utils import timezone
from django.views.decorators.http import require_http_methods

from accounts.access import SignedInRequest, by_htmx, page_or_json, refusal, roles, wants_json
from accounts.models import Role, User
from followups import answers, wording
from followups.forms import outcome_rules
from followups.quick import quick_outcomes
from followups.uid import search_key
from followups.update_form import Invalid, Replayed, Stale
from leads.models import LeadMaster
from leads.next_call import claim, in_hand, next_promise
from leads.story import story
from leads.update_form import LeadTold, ReopenForm, UpdateLeadForm
from leads.updates import Refused, reopen_lead, takes_leads, update_lead

NOT_YOURS = "There is no such lead among yours, or not any more. Nothing was saved."
HOMES = {Role.CRE: "cre_dashboard", Role.SUPERVISOR: "admin:leads_leadmaster_changelist"}


# --- Updating -----------------------------------------------------------------------------------------------


@require_http_methods(["GET", "HEAD", "POST"])
@page_or_json(Role.CRE, Role.SUPERVISOR)
def update(request: SignedInRequest, uid: str) -> HttpResponse:
    """The form for a lead of one's own; posted, what became of it."""
    started = time.perf_counter()
    key = search_key(uid)
    try:
        if key is None:
            raise LeadMaster.DoesNotExist
        if request.method != "POST" or "resume" in request.POST:
            return _asked(request, _seen(key, request.user), started)
        return _posted(request, key, started)
    except LeadMaster.DoesNotExist as error:
        if wants_json(request):
            return refusal(NOT_YOURS, 404, started)
        if request.method == "POST":
            typed = {"remark": request.POST.get("remark", ""), "message": NOT_YOURS}
            return render(request, "desk/not_yours.html", typed, status=404)
        raise Http404 from error


def _seen(uid: str, user: User) -> LeadMaster:
    return LeadMaster.objects.visible_to(user).select_related("cre", "ps", "branch", "next_call_by").get(uid=uid)


def _asked(request: SignedInRequest, lead: LeadMaster, started: float) -> HttpResponse:
    form = UpdateLeadForm(lead, request.user)
    if wants_json(request):
        return answers.read_json(form, started)
    if "resume" in request.POST:
        form.resume(request.POST.dict())
        return _page(request, lead, form, resumed=True)
    return _page(request, lead, form)


def _posted(request: SignedInRequest, uid: str, started: float) -> HttpResponse:
    read: list[UpdateLeadForm] = []

    def reader(lead: LeadMaster) -> LeadTold:
        read.append(UpdateLeadForm(lead, request.user, request.POST.dict()))
        return read[0].told(actor_id=request.user.pk, cause=request.cause)

    try:
        lead, told = update_lead(uid, request.user, reader)
        message = wording.saved(
            lead, told, handed_to=_handed_to(lead, told, read[0]), owned_by=_owned_by(lead, read[0])
        )
    except Replayed:
        lead, message = read[0].lead, wording.replayed(read[0].lead)
        if _is_calling(request) and (in_their_hands := in_hand(request.user).first()):
            # The first of the two has claimed the next lead already.
            return _go(request, _call_address(in_their_hands))
    except Stale as stale:
        return _stale(request, stale, read[0], started)
    except (Invalid, Refused) as refused:
        return _refused(request, refused, read[0], started)
    if wants_json(request):
        return answers.saved_json(lead, message, started)
    if _is_calling(request):
        messages.success(request, wording.named(lead, message))
        return _go(request, _to_next_call(request))
    return answers.saved_page(request, lead, message, home=_home(request.user))


def _stale(request: SignedInRequest, stale: Stale, form: UpdateLeadForm, started: float) -> HttpResponse:
    if wants_json(request):
        return answers.stale_json(stale.form, started)
    return _page(request, form.lead, form, status=409, differences=form.differences())


def _refused(
    request: SignedInRequest, refused: Invalid | Refused, form: UpdateLeadForm, started: float
) -> HttpResponse:
    lead, rival = form.lead, None
    if isinstance(refused, Refused):
        form.refuse(refused.errors)
        # What the service had put into the lead before it was refused is not what stands in the table.
        lead, rival = _seen(lead.uid, request.user), refused.rival
    if wants_json(request):
        return answers.invalid_json(form, started)
    return _page(request, lead, form, status=422, rival=rival)


def _is_calling(request: SignedInRequest) -> bool:
    """Whether this form was opened by Next call, and leads on to the next one."""
    return request.user.role == Role.CRE and request.POST.get("then") == "next"


def _handed_to(lead: LeadMaster, told: LeadTold, form: UpdateLeadForm) -> str:
    """The PS who was given the lead in this save, and hears of it."""
    moved = lead.ps_id is not None and lead.ps_id != form.had_ps
    return lead.ps.name if moved and lead.ps and not (told.call and told.call.closes) else ""


def _owned_by(lead: LeadMaster, form: UpdateLeadForm) -> str:
    """The CRE who was given the lead in this save."""
    return lead.cre.name if lead.cre and lead.cre_id != form.had_cre else ""


def _page(
    request: SignedInRequest, lead: LeadMaster, form: UpdateLeadForm, *, status: int = 200, **context: Any
) -> HttpResponse:
    now = timezone.now()
    # Who has been given a number to call tells how the call went; who opened the lead may only correct it.
    calling = _is_calling(request) or (request.user.role == Role.CRE and bool(request.GET.get("call")))
    if context.get("differences") is not None:
        form.refreshed()
    if calling:
        form.offer("Choose…")
    else:
        form.offer()
    context |= {
        "lead": lead,
        "form": form,
        "address": reverse("update_lead", args=[lead.uid]),
        "rules": outcome_rules(form.moment),
        "quick": quick_outcomes(form.moment, now) if request.user.role == Role.CRE else [],
        "calling": calling,
        "held": lead.next_call_by_id == request.user.pk and (lead.next_call_until or now) > now,
        "next": answers.way_back(request, ""),
        "follow_up_note": wording.kept_follow_up(lead),
    }
    if lead.next_call_by_id and lead.next_call_by_id != request.user.pk and (lead.next_call_until or now) > now:
        context["in_hand"] = lead.next_call_by
    if by_htmx(request) and status != 409:
        return render(request, "desk/work.html", context, status=status)
    answer = render(request, "desk/update.html", {**context, "story": story(lead)}, status=status)
    if by_htmx(request):
        # What somebody else saved stands beside the form too: the history, with their remark, and the facts.
        answer["HX-Retarget"] = answer["HX-Reselect"] = ".work-columns"
    return answer


def _home(user: User) -> str:
    return reverse(HOMES[Role(user.role)])


@require_http_methods(["GET", "HEAD", "POST"])
@roles(Role.CRE)
def carry(request: SignedInRequest, uid: str) -> HttpResponse:
    """The update form of one's own lead, filled in with what was typed for a new one: the customer was known."""
    if request.method != "POST":
        return redirect("update_lead", uid)
    key = search_key(uid)
    lead = LeadMaster.objects.visible_to(request.user).select_related("cre", "ps", "branch").filter(uid=key).first()
    if lead is None:
        raise Http404
    form = UpdateLeadForm(lead, request.user)
    form.carry(request.POST.dict())
    return _page(request, lead, form, carried=True)


# --- Reopening ----------------------------------------------------------------------------------------------


@require_http_methods(["GET", "HEAD", "POST"])
@roles(Role.SUPERVISOR)
def reopen(request: SignedInRequest, uid: str) -> HttpResponse:
    """A supervisor says why a closed lead is worked on again."""
    key = search_key(uid)
    lead = LeadMaster.objects.select_related("cre", "ps", "ps__branch", "branch").filter(uid=key).first()
    if lead is None:
        raise Http404
    form = ReopenForm(request.POST or None, initial={"version": lead.version})
    rival = None
    if form.is_valid():
        try:
            reason, version = form.cleaned_data["reason"], form.cleaned_data["version"]
            lead = reopen_lead(lead.uid, request.user, reason=reason, version=version)
        except Refused as refused:
            rival = refused.rival
            for field, words in refused.errors.items():
                form.add_error(field, words)
        else:
            messages.success(request, "Reopened: the lead waits for a call now.")
            return redirect("lead", uid=lead.uid)
    status = 422 if form.is_bound else 200
    context = {"lead": lead, "gets_it_back": bool(lead.ps) and takes_leads(lead.ps, lead.branch_id)}
    return render(request, "leads/reopen.html", {**context, "form": form, "rival": rival}, status=status)


# --- The next call ------------------------------------------------------------------------------------------


@require_http_methods(["GET", "HEAD", "POST"])
@roles(Role.CRE)
def next_call(request: SignedInRequest) -> HttpResponse:
    """Claims the lead that most needs a call, and opens it. Who comes by a link, after a sign-in, has to ask again."""
    if request.method != "POST":
        return redirect("cre_dashboard")
    return _go(request, _to_next_call(request))


def _to_next_call(request: SignedInRequest) -> str:
    # Where nothing else is left, what one has claimed and not called yet is what needs a call.
    lead = claim(request.user) or in_hand(request.user).first()
    if lead:
        return _call_address(lead)
    coming = next_promise(request.user)
    words = "Nothing needs a call right now."
    if coming:
        at = wording.clock_in_words(coming.follow_up_at, timezone.now()) if coming.follow_up_at else ""
        words += f" The next one is {coming.customer_name}, {at}."
    messages.info(request, words)
    return reverse("cre_dashboard")


def _call_address(lead: LeadMaster) -> str:
    return f"{reverse('update_lead', args=[lead.uid])}?call=1"


def _go(request: HttpRequest, address: str) -> HttpResponse:
    """To another page, also where only a part of this one was asked for."""
    if by_htmx(request):
        return HttpResponse(headers={"HX-Redirect": address})
    return HttpResponseRedirect(address)
