"""The pages of the CRE's desk: the desk itself, and what it asks for every so often while it is looked at."""

import re
from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any
from urllib.parse import parse_qsl

from django.http import HttpResponse
from django.shortcuts import redirect, render
from django.template.loader import render_to_string
from django.urls import reverse
from django.utils import timezone
from django.utils.http import urlencode
from django.utils.safestring import mark_safe
from django.views.decorators.http import require_safe

from accounts.access import SignedInRequest, roles
from accounts.directory import directory
from accounts.models import Role
from followups.acceptance import WAITING_SHOWN, waiting_for
from followups.kept import Kept
from followups.saved import saved_at
from leads.board import CLOSED, FRESH, REPEATS, TABS, WORK, Counts, Tab, count, links, shown
from leads.filters import DAYS, FilterForm, Filters
from leads.next_call import in_hand
from leads.sources import sources

# What is kept of a page.
PAGE = {"title", "body", "filters", "query"}
# What a template's indentation leaves in a page, a third of it.
INDENT = re.compile(r"\n\s+")
# The browser keeps the last filters of each person who works at it, across sign-outs too.
KEPT_FOR = timedelta(days=90)


@require_safe
@roles(Role.CRE)
def cre_dashboard(request: SignedInRequest) -> HttpResponse:
    """The desk. Opened without a query, it comes back with the person's last filters in the address."""
    last = dict(parse_qsl(request.COOKIES.get(_last_filters(request), "")))
    if last and not request.GET:
        return redirect(f"{request.path}?{urlencode({**last, 'restored': 'yes'})}")
    kept = Kept(request.user.pk, saved_at(request))
    name = f"page?{urlencode(sorted(request.GET.dict().items()))}"
    page = kept.look(name)
    if not isinstance(page, dict) or page.keys() != PAGE:
        page, until = _page(request, kept)
        if request.GET.dict().items() <= page["query"].items() and _few_have(page["filters"]):
            # Further pages are seldom looked at twice, and of addresses that nobody offers there is no end.
            kept.keep(name, page, until)
    body = mark_safe(page["body"])  # noqa: S308 - a template has made it
    response = render(request, "leads/board.html", {"title": page["title"], "body": body})
    if page["filters"] != last:
        response.set_cookie(
            _last_filters(request),
            urlencode(page["filters"]),
            KEPT_FOR,
            httponly=True,
            samesite="Lax",
            secure=request.is_secure(),
        )
    return response


def _last_filters(request: SignedInRequest) -> str:
    """The name of this person's cookie."""
    return f"filters-{request.user.pk}"


def _page(request: SignedInRequest, kept: Kept) -> tuple[dict[str, Any], datetime]:
    """All that the desk shows of its leads: title, body and the filters that are on. And until when it holds."""
    now = timezone.now()
    form = _form(request, now)
    filters = form.filters()
    counts = _counts(request, kept, filters, now)
    tab = TABS.get(request.GET.get("tab", "")) or counts.work()
    in_their_hands = list(in_hand(request.user)[:3])
    context = {
        **_list(request, counts, tab, filters, now),
        "form": form,
        "chips": filters.chips(tab.date_words, {"tab": tab.key}),
        "restored": "restored" in request.GET,
        "waiting": waiting_for(request.user, now),
        "waiting_most": WAITING_SHOWN,
        "in_hand": in_their_hands,
    }
    body = INDENT.sub("\n", render_to_string("leads/_board_body.html", context))
    until = min([counts.until, *(lead.next_call_until for lead in in_their_hands if lead.next_call_until)])
    query = {"tab": tab.key, "restored": "yes", **filters.query}
    return {"title": tab.title, "body": body, "filters": filters.query, "query": query}, until


def _counts(request: SignedInRequest, kept: Kept, filters: Filters, now: datetime) -> Counts:
    """The numbers of all tabs, as they were lately if nothing has touched them since."""
    name = f"counts?{urlencode(filters.query)}"
    found = Counts.read(kept.look(name))
    if found is None:
        found = count(request.user, filters, now)
        if _few_have(filters.query):
            kept.keep(name, found.as_json(), found.until)
    return found


def _few_have(query: Mapping[str, str]) -> bool:
    """Whether these filters are some of a few: of days from one to another there are too many to keep a page each."""
    return query.keys().isdisjoint(DAYS)


@require_safe
@roles(Role.CRE)
def board_news(request: SignedInRequest) -> HttpResponse:
    """Tabs and list of the desk if anything of what they show has changed since `seen`, else 204 without a list."""
    now = timezone.now()
    filters = _form(request, now).filters()
    counts = _counts(request, Kept(request.user.pk, saved_at(request)), filters, now)
    seen = request.GET.get("seen", "")
    if seen == counts.seen:
        return HttpResponse(status=204)
    tab = TABS.get(request.GET.get("tab", "")) or counts.work()
    context = {**_list(request, counts, tab, filters, now), "news": counts.news(seen), "live": True}
    return render(request, "leads/_board_live.html", context)


def _form(request: SignedInRequest, now: datetime) -> FilterForm:
    return FilterForm(request.GET, directory(), sources(), now)


def _list(request: SignedInRequest, counts: Counts, tab: Tab, filters: Filters, now: datetime) -> dict[str, Any]:
    """The tabs and one page of the open one, and under which address they are asked for again."""
    kept = {"tab": tab.key, **filters.query}
    cursor = request.GET.get("page", "")
    here = {**kept, "page": cursor} if cursor else kept
    address = f"{reverse('cre_dashboard')}?{urlencode(here)}"
    page = shown(request.user, tab, filters, cursor, now, address)
    tabs = links(counts, tab, filters)
    onwards = next((tabs[other.key] for other in WORK if counts.of[other.key] and other is not tab), None)
    return {
        "tab": tab,
        "tabs": tabs,
        "fresh_number": sum(counts.of[part.key] for part in FRESH),
        "page": page,
        "kept": urlencode(kept),
        "repeats": tab is REPEATS,
        "closed": tab in CLOSED,
        "at_label": tab.title if tab in CLOSED else "Next follow-up",
        "filtered": bool(filters.query),
        "none_at_all": not filters.query and not any(counts.of.values()),
        "onwards": None if page.rows else onwards,
        "again": f"{reverse('board_news')}?{urlencode({**here, 'seen': counts.seen})}",
        "address": address,
    }
