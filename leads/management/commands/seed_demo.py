"""Fills an empty desk with a demo: people with a known password, and two months of invented leads."""

import os
import random
from argparse import ArgumentParser
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

from django.core.management.base import BaseCommand, CommandError
from django.db import transaction
from django.utils import timezone

from accounts.models import Role, User
from followups.catalogue import BY_CODE, MODELS, Category
from leads import bulk, invented, staff
from leads.capture import capture
from leads.chronicle import Staff
from leads.models import LeadMaster
from leads.office_hours import promised
from leads.records import Enquiry

PASSWORD = "demo-Desk-2026"  # noqa: S105 - known to everybody, which is why it goes into a demo alone
LEADS = 2_000
# So many come in by the desk's own door just now: the workers have calls to record and mails to send.
CAPTURED_NOW = 12
PERIOD = timedelta(days=60)
FORGOTTEN = 0.015
JUST_NOW = timedelta(minutes=2)


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
    _capture_now(crew, now, chance)


def _capture_now(crew: Staff, now: datetime, chance: random.Random) -> None:
    """A dozen new customers, of whom the last asks again: mails and an alert are on their way."""
    cres = list(User.objects.filter(role=Role.CRE).order_by("id"))
    branches, pairs = list(crew.sellers.items()), list(crew.letters.items())
    for place, phone in enumerate(bulk.new_phones(chance, CAPTURED_NOW)):
        branch, sellers = branches[place % len(branches)]
        pair, letter = pairs[place % len(pairs)]
        enquiry = Enquiry(
            customer_name=invented.full_name(chance),
            phone=phone,
            phone_as_typed=invented.typed(phone, chance),
            source=pair[0],
            sub_source=pair[1],
            letter=letter,
            call=BY_CODE["Interested"],
            category=chance.choice(list(Category)),
            model=chance.choice(MODELS),
            branch_id=branch,
            ps_id=chance.choice(sellers),
            follow_up_at=promised(now, 1, chance),
            remark=invented.remark("Interested", chance),
        )
        capture(enquiry, cres[place % len(cres)])
    other, letter = pairs[(place + 1) % len(pairs)]
    capture(replace(enquiry, source=other[0], sub_source=other[1], letter=letter, ps_id=None), cres[0])
