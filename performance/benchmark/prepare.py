"""Prepares one of the benchmark's databases, in a process of its own.

`python -m performance.benchmark.prepare fill LEADS` fills an empty one and prints in how many seconds;
`… facts LEADS [--static]` prints as JSON what a client has to know of a filled one, with sessions made for it.
"""

import contextlib
import importlib
import json
import os
import random
import sys
import time
from dataclasses import asdict, dataclass
from typing import Any

import django

# Captures go to CREs whose desks are not looked at, so that a desk stays as large as it was loaded.
DESKS, CAPTURERS = 25, 8
UPDATES, KNOWN, NEW = 400, 2_000, 100_000
DEEPEST = 1_000


@dataclass(frozen=True, slots=True)
class Facts:
    """Of one size: sessions by username (the desk's, stock Django's), and rows to ask about."""

    sessions: dict[str, tuple[str, str]]
    desks: list[str]
    first_desk: int  # the key of its row
    supervisor: str
    capturers: list[str]
    ps: str
    sellers: list[tuple[str, str, str]]  # username, name, branch
    known_phones: list[str]
    own_phones: list[str]  # of the first desk
    new_phones: list[str]  # that no lead has had, as scattered as those that were loaded
    updates: list[tuple[str, int, str]]  # uid, version, whose
    callers: list[str]  # a name for each lead that a next call could be
    deep: str  # the cursor of a far page of the first desk's Lost leads
    counts_statements: bool


def main(step: str, leads: int, static: bool) -> None:
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "crm.settings")
    django.setup()
    from django.core.management import call_command

    if static:
        call_command("collectstatic", interactive=False, verbosity=0)
    # A kept database may be older than the last migration.
    call_command("migrate", interactive=False, verbosity=0)
    said = _fill(leads) if step == "fill" else asdict(_facts(leads))
    print(json.dumps(said))  # noqa: T201 - the command reads it


def _fill(leads: int) -> float:
    """The seconds that load_leads took; the former way's tables are filled from the desk's."""
    from django.core.management import call_command

    began = time.monotonic()
    call_command("load_leads", count=leads, verbosity=0, stdout=sys.stderr)
    took = time.monotonic() - began
    _fill_former()
    return took


def _facts(leads: int) -> Facts:
    # The models are there only after django.setup().
    from django.db import connection

    from accounts.models import Role, User
    from followups import buckets
    from leads.invented.bulk import new_phones
    from leads.models import LeadMaster

    if (found := LeadMaster.objects.count()) != leads:
        raise SystemExit(f"{connection.settings_dict['NAME']} holds {found:,} leads and not {leads:,}.")
    cres = _busiest(Role.CRE, "cre_leads")
    desks, capturers = cres[:DESKS], cres[-CAPTURERS:]
    ps = _busiest(Role.PS, "ps_leads")[0]
    supervisor = User.objects.filter(role=Role.SUPERVISOR, is_active=True).order_by("pk")[0]
    fresh = LeadMaster.objects.filter(buckets.FRESH, cre__in=desks)
    updates = list(fresh.order_by("id").values_list("uid", "version", "cre__username")[:UPDATES])
    phones = LeadMaster.objects.order_by("-id").values_list("customer_mobile_number", flat=True)
    return Facts(
        sessions={
            person.username: (_session(person, ours=True), _session(person, ours=False))
            for person in [*desks, *capturers, ps, supervisor]
        },
        desks=[person.username for person in desks],
        first_desk=desks[0].pk,
        supervisor=supervisor.username,
        capturers=[person.username for person in capturers],
        ps=ps.username,
        sellers=_sellers(),
        known_phones=list(phones[:KNOWN]),
        own_phones=list(phones.filter(cre=desks[0])[:KNOWN]),
        new_phones=new_phones(random.Random(leads), NEW),  # noqa: S311 - a load, not a secret
        updates=updates,
        callers=_callers(desks[1:], {uid for uid, _, _ in updates}),
        deep=_deep(desks[0]),
        counts_statements=_counts_statements(),
    )


def _busiest(role: str, leads: str) -> list[Any]:
    """All with this role; who holds the most pending leads comes first."""
    from django.db.models import Count, Q

    from accounts.models import User

    pending = Count(leads, filter=Q(**{f"{leads}__final_status": "Pending"}))
    return list(User.objects.filter(role=role).annotate(pending=pending).order_by("-pending", "pk"))


def _sellers() -> list[tuple[str, str, str]]:
    from accounts.models import Role, User

    sellers = User.objects.filter(role=Role.PS, is_active=True, branch__isnull=False)
    return list(sellers.values_list("username", "name", "branch__name"))


def _callers(cres: list[Any], updated: set[str]) -> list[str]:
    """For half of the leads that need a call now and are not updated meanwhile: whose they are."""
    from django.utils import timezone

    from followups import buckets
    from leads.models import LeadMaster

    waiting = LeadMaster.objects.filter(buckets.overdue(timezone.now()), cre__in=cres, next_call_until__isnull=True)
    found = waiting.exclude(uid__in=updated).order_by("uid").values_list("cre__username", flat=True)
    return list(found[: 2 * UPDATES : 2])


def _deep(cre: Any) -> str:
    """The cursor of page 1,000 of this CRE's Lost leads, or of their last whole page."""
    from followups.paging import SIZE, Order
    from leads.board import LOST
    from leads.models import LeadMaster

    order = Order(LeadMaster, LOST.order)
    lost = LeadMaster.objects.filter(cre=cre, final_status="Lost").order_by(*order.first())
    page = max(1, min(DEEPEST, lost.count() // SIZE))
    return order.cursor(lost[(page - 1) * SIZE - 1], newer=False) if page > 1 else ""


def _session(person: Any, *, ours: bool) -> str:
    """A real session, as a sign-in makes it, in the database and in Redis."""
    from django.conf import settings
    from django.contrib.auth import BACKEND_SESSION_KEY, HASH_SESSION_KEY, SESSION_KEY

    backend = settings.AUTHENTICATION_BACKENDS[-1] if ours else "django.contrib.auth.backends.ModelBackend"
    store = importlib.import_module(settings.SESSION_ENGINE).SessionStore()
    store[SESSION_KEY] = str(person.pk)
    store[BACKEND_SESSION_KEY] = backend
    store[HASH_SESSION_KEY] = person.get_session_auth_hash()
    store.save()
    return str(store.session_key)


def _counts_statements() -> bool:
    """Whether the server has pg_stat_statements for us."""
    from django.db import DatabaseError, connection

    with contextlib.suppress(DatabaseError), connection.cursor() as cursor:
        cursor.execute("CREATE EXTENSION IF NOT EXISTS pg_stat_statements")
        cursor.execute("SELECT count(*) FROM pg_stat_statements")
        return True
    return False


def _fill_former() -> None:
    from django.db import connection

    from performance.benchmark import former

    with connection.cursor() as cursor:
        cursor.execute("SET statement_timeout = 0")
        for schema in former.SCHEMAS:
            for statement in former.TABLES + (former.INDEXES if schema == former.INDEXED else ()):
                cursor.execute(statement.format(schema=schema))
        cursor.execute("VACUUM (ANALYZE)")


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]), "--static" in sys.argv)
