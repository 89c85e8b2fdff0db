"""The least that satisfies the constraints; a test states what it cares about."""

import itertools
from typing import Any

from django.utils import timezone

from accounts.models import User
from followups import catalogue
from followups.catalogue import CALL_BACK, UNTOUCHED
from leads.models import LeadMaster
from leads.records import Enquiry

_numbers = itertools.count(1)


def phone() -> str:
    """A number that no other test has had."""
    return f"+9197{next(_numbers):08d}"


def enquiry(*, status: str = "RNR", **fields: Any) -> Enquiry:
    """What a CRE typed, ready for capture."""
    return Enquiry(
        **{
            "customer_name": "Ramesh Kumar",
            "phone": phone(),
            "source": "META",
            "sub_source": "Meta Know",
            "letter": "M",
            "call": catalogue.BY_CODE[status],
            **fields,
        }
    )


def make_lead(cre: User | None = None, **fields: Any) -> LeadMaster:
    """A lead in the table, without calls or follow-ups; through no service."""
    now = timezone.now()
    number = next(_numbers)
    called = {"last_attempt_at": now} if fields.get("lead_status", UNTOUCHED) != UNTOUCHED else {}
    promised = {"follow_up_at": now} if fields.get("lead_status") == CALL_BACK else {}
    return LeadMaster.objects.create(
        **{
            "uid": f"M-{number:05d}-0000000"[:20],
            "customer_name": "Ramesh Kumar",
            "customer_mobile_number": phone(),
            "source": "META",
            "sub_source": "Meta Know",
            "cre": cre,
            "cre_assigned_at": cre and now,
            **called,
            **promised,
            **fields,
        }
    )
