"""The least that a signed-in person can be answered, and the former way, behind the same server."""

from typing import Any

from django.contrib.auth.decorators import login_required
from django.http import Http404, HttpRequest, HttpResponse, JsonResponse
from django.template import RequestContext, Template
from django.views.decorators.http import require_GET, require_POST

from performance.benchmark import former

PAGE = Template("<!doctype html><html lang=en><title>Empty</title><p>Signed in as {{ user.username }}.</p></html>")
DASHBOARD = Template(
    "<!doctype html><html lang=en><title>Leads</title>{% for bucket, leads in buckets.items %}"
    "<h2>{{ bucket }}: {{ leads|length }}</h2><table>{% for lead in leads %}<tr>"
    "<td>{{ lead.lead_status }}<td>{{ lead.uid }}<td>{{ lead.customer_name }}<td>{{ lead.customer_mobile_number }}"
    "<td>{{ lead.source }}<td>{{ lead.campaign }}<td>{{ lead.date }}<td>{{ lead.branch }}<td>{{ lead.ps_name }}"
    "<td>{{ lead.follow_up_date }}{% endfor %}</table>{% endfor %}</html>"
)


@require_POST
@login_required
def empty(request: HttpRequest) -> JsonResponse:
    return JsonResponse({"ok": True})


@require_GET
@login_required
def empty_page(request: HttpRequest) -> HttpResponse:
    return HttpResponse(PAGE.render(RequestContext(request)))


@require_POST
@login_required
def former_add_lead(request: HttpRequest, schema: str) -> JsonResponse:
    uid = former.add_lead(_known(schema), _name(request), request.POST.dict())
    return JsonResponse({"success": uid is not None, "uid": uid}, status=201 if uid else 409)


@require_GET
@login_required
def former_dashboard(request: HttpRequest, schema: str) -> HttpResponse:
    buckets = former.dashboard(_known(schema), _name(request))
    return HttpResponse(DASHBOARD.render(RequestContext(request, {"buckets": buckets})))


def _known(schema: str) -> str:
    if schema not in former.SCHEMAS:
        raise Http404
    return schema


def _name(request: HttpRequest) -> str:
    user: Any = request.user
    return str(user.name)
