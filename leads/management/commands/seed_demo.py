"""Fills an empty desk with a demo: people with a known password, and two months of invented leads."""

import os
import random
from argparse import ArgumentParser
from collections.abc import Iterator
from dataclasses import asdict, replace
from datetime import datetime, timedelta
from itertools import cycle, product
from typing import Any

from django.core.management.base import BaseCommand, CommandError
from django.db import transaction
from django.utils import timezone

from accounts.models import Role, User
from followups.catalogue import BY_CODE, CALL_BACK, MODELS, UNTOUCHED, Category
from followups.models import Outbox
from leads.capture import capture
from leads.invented import bulk, material, staff
from leads.invented.chronicle import Staff
from leads.invented.lead_rows import History
from leads.invented.office_hours import promised
from leads.models import LeadChange, LeadMaster
from leads.records import Enquiry

PASSWORD = "demo-Desk-2026"  # noqa: S105 - known to everybody, which is why it goes into a demo alone
LEADS = 2_000
# So many come in by the desk's own door just now, so that the workers have calls to record and mails to send: one for
# each of the 14 PS, for each of the six CREs two that were not reached and two untouched, and some that nobody owns.
UNOWNED = 3
CAPTURED_NOW = 14 + 6 * 4 + UNOWNED
PERIOD = timedelta(days=60)
FORGOTTEN = 0.015
JUST_NOW = timedelta(minutes=2)
# The desk starts after this: what nobody could have done before has not waited.
STARTING = timedelta(seconds=20)


class Command(BaseCommand):
    help = f"Makes branches, people who sign in with {PASSWORD}, and {LEADS:,} leads, in an empty desk."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument(
            "--yes-demo-passwords",
            action="store_true",
            help="Needed in a database of your own: everybody knows the password of these people.",
        )

    def handle(self, *, yes_demo_passwords: bool, **options: Any) -> None:
        # The launcher says so of the database that it made itself.
        embedded = os.environ.get("DESK_DATABASE") == "embedded"
        if not embedded and not yes_demo_passwords:
            raise CommandError(
                "This database is not the launcher's own. The demo's people can do all, with a password"
                " that is in the README: if you want them here, add --yes-demo-passwords."
            )
        if User.objects.exists() or LeadMaster.objects.exists():
            raise CommandError("There are people or leads here already: the demo goes into an empty desk only.")
        try:
            _seed(timezone.now())
        except staff.NoSourceOffered:
            raise CommandError(
                "No source is offered: run migrate, which makes them, or add one in the admin."
            ) from None
        bulk.tidy()
        self.stdout.write(f"{LEADS:,} leads. Sign in as supervisor, cre1, ps1 or head1 with {PASSWORD}.")


@transaction.atomic
def _seed(now: datetime) -> None:
    since = now - PERIOD
    chance = random.Random(2026)  # noqa: S311 - the same demo each time
    staff.make_demo_people(PASSWORD, since)
    crew = staff.staff()
    bulk.load(crew, LEADS - CAPTURED_NOW, period=(since, now - JUST_NOW), chance=chance, forgotten=FORGOTTEN)
    coming = _enquiries(crew, chance)
    cres = list(User.objects.filter(role=Role.CRE).order_by("id"))
    _handed_over(coming, cres, crew, now, chance)
    _not_reached(coming, cres, now, chance)
    _untouched(coming, cres)
    started = timezone.now() + STARTING
    Outbox.objects.update(created_at=started, not_before=started)


def _enquiries(crew: Staff, chance: random.Random) -> Iterator[Enquiry]:
    """New customers, from each source in turn, of whom nothing else is known yet."""
    pairs = cycle(crew.letters.items())
    for phone, ((source, sub_source), letter) in zip(bulk.new_phones(chance, CAPTURED_NOW), pairs, strict=False):
        yield Enquiry(
            customer_name=material.full_name(chance),
            phone=phone,
            phone_as_typed=material.typed(phone, chance),
            source=source,
            sub_source=sub_source,
            letter=letter,
            call=BY_CODE[UNTOUCHED],
        )


def _handed_over(
    coming: Iterator[Enquiry], cres: list[User], crew: Staff, now: datetime, chance: random.Random
) -> None:
    """Each PS gets an interested customer; the last one asks again. Mails and an alert are on their way."""
    places = [(branch, ps) for branch, people in crew.sellers.items() for ps in people]
    for (branch, ps), cre, enquiry in zip(places, cycle(cres), coming, strict=False):
        interested = replace(
            enquiry,
            call=BY_CODE["Interested"],
            category=chance.choice(list(Category)),
            model=chance.choice(MODELS),
            branch_id=branch,
            ps_id=ps,
            follow_up_at=_soon(now, chance),
            remark=material.remark("Interested", chance),
        )
        capture(interested, cre)
    others = ((pair, letter) for pair, letter in crew.letters.items() if pair != (enquiry.source, enquiry.sub_source))
    (source, sub_source), letter = next(others)
    capture(replace(interested, source=source, sub_source=sub_source, letter=letter, ps_id=None), cres[0])


def _not_reached(coming: Iterator[Enquiry], cres: list[User], now: datetime, chance: random.Random) -> None:
    """Each CRE has just tried somebody in vain, and is to call somebody back."""
    for (status, cre), enquiry in zip(product(("RNR", CALL_BACK), cres), coming, strict=False):
        soon = _soon(now, chance) if status == CALL_BACK else None
        remark = material.remark(status, chance)
        capture(replace(enquiry, call=BY_CODE[status], follow_up_at=soon, remark=remark), cre)


def _soon(now: datetime, chance: random.Random) -> datetime:
    """Today, if there is time."""
    return min(promised(now, 0, chance) for _ in range(5))


def _untouched(coming: Iterator[Enquiry], cres: list[User]) -> None:
    """What a supervisor brings in waits for its first call, with a CRE, or with nobody yet."""
    supervisor = User.objects.get(role=Role.SUPERVISOR)
    for enquiry, cre in zip(coming, [*cres, *cres, *[None] * UNOWNED], strict=True):
        captured = capture(enquiry, supervisor)
        if cre:
            lead = LeadMaster.objects.get(uid=captured.uid)
            history = History(lead, iter(()))
            history.owned(cre.pk, cre.name, lead.created_at, by=supervisor.pk)
            lead.save()
            LeadChange.objects.bulk_create([LeadChange(**asdict(change)) for change in history.changes])
