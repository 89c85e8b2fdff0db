"""What the database keeps true about leads, repeats and sources, whoever writes."""

from datetime import UTC, datetime
from typing import Any

import pytest

from accounts.tests.constraints import Case, declared, try_out
from conftest import Cast
from leads.models import DuplicateLead, LeadChange, LeadMaster, Source
from leads.tests.factories import make_lead

NOW = datetime(2026, 11, 20, 9, 30, tzinfo=UTC)
WON = {"lead_status": "Booked", "final_status": "Won", "won_at": NOW}
LOST = {"lead_status": "Dropped", "final_status": "Lost", "lost_at": NOW, "lost_reason": "Dropped"}
KNOWN_BY_NAME = ("cre", "ps", "branch", "next_call_by")


def lead(cast: Cast, **fields: Any) -> LeadMaster:
    """A lead; people and branches by their name in the cast."""
    named = {name: fields[name] and getattr(cast, fields[name]) for name in KNOWN_BY_NAME if name in fields}
    return make_lead(**{**fields, **named})


def repeat(cast: Cast, **fields: Any) -> DuplicateLead:
    known = LeadMaster.objects.filter(uid="KNOWN").first() or make_lead(uid="KNOWN")
    pair = {"source": "OEM", "sub_source": "Web"}
    typed = {"customer_mobile_number": known.customer_mobile_number, "customer_name": "Ramesh"}
    return DuplicateLead.objects.create(**{"lead": known, **typed, **pair, **fields})


def change(cast: Cast, **fields: Any) -> LeadChange:
    return LeadChange.objects.create(**{"lead": make_lead(), "field": "email", "by": cast.meera, **fields})


def source(cast: Cast, **fields: Any) -> Source:
    return Source.objects.create(**{"source": "WEBSITE", "sub_source": "Form", "letter": "W", **fields})


PHONE = "+919876543210"
KIRAN = {"ps": "kiran", "ps_assigned_at": NOW, "branch": "attapur"}
FOLLOWS = "lead_master_final_follows_status"
LEAD_CASES = [
    Case("lead_master_uid_once", lead, [{"uid": "A-1"}, {"uid": "A-2"}], [{"uid": "A-1"}, {"uid": "A-1"}]),
    Case(
        "lead_master_one_open_per_phone",
        lead,
        fits=[
            {"customer_mobile_number": PHONE},
            {"customer_mobile_number": PHONE, **LOST},
            {"customer_mobile_number": PHONE, **WON},
        ],
        breaks=[{"customer_mobile_number": PHONE}, {"customer_mobile_number": PHONE}],
    ),
    *(
        Case(
            "lead_master_phone_e164",
            lead,
            fits=[{"customer_mobile_number": "+123456"}, {"customer_mobile_number": "+123456789012345"}],
            breaks=[{"customer_mobile_number": wrong}],
        )
        for wrong in ("+12345", "123456", "+012345", "+12345x", "+123456\n", "")
    ),
    Case(
        "lead_master_alternate_e164",
        lead,
        fits=[{"alternate_number": ""}, {"alternate_number": "+123456"}],
        breaks=[{"alternate_number": "98765"}],
    ),
    Case("lead_master_name_given", lead, [{"customer_name": "R"}], [{"customer_name": ""}]),
    Case("lead_master_source_given", lead, [{"source": "M"}], [{"source": ""}]),
    Case("lead_master_source_given", lead, [{"sub_source": "M"}], [{"sub_source": ""}]),
    Case("lead_master_pipeline_known", lead, [{"pipeline": "event"}], [{"pipeline": "street"}]),
    Case(
        "lead_master_lead_status_known",
        lead,
        [{"lead_status": "RNR"}],
        [{"lead_status": "Rnr", "first_call_at": NOW}],
        [FOLLOWS],
    ),
    Case("lead_master_lead_category_known", lead, [{"lead_category": "Hot"}], [{"lead_category": "HOT"}]),
    Case(
        "lead_master_model_known",
        lead,
        [{"model_interested": "450 Apex STD"}, {"model_interested": ""}],
        [{"model_interested": "450 Apex"}],
    ),
    Case(
        "lead_master_final_status_known",
        lead,
        [{"final_status": "Pending"}],
        [{"final_status": "Open"}],
        [FOLLOWS],
    ),
    Case(FOLLOWS, lead, [WON], [{**WON, "lead_status": "RNR"}]),
    Case(FOLLOWS, lead, [LOST], [{**LOST, "lead_status": "Booked"}]),
    Case(FOLLOWS, lead, [{"lead_status": "RNR"}], [{"lead_status": "Dropped", "first_call_at": NOW}]),
    Case("lead_master_won_has_time", lead, [WON], [{**WON, "won_at": None}]),
    Case("lead_master_won_has_time", lead, [{"won_at": None}], [{"won_at": NOW}]),
    Case("lead_master_lost_has_time", lead, [LOST], [{**LOST, "lost_at": None}]),
    Case("lead_master_lost_has_time", lead, [{"lost_at": None}], [{"lost_at": NOW}]),
    Case("lead_master_lost_has_reason", lead, [LOST], [{**LOST, "lost_reason": ""}]),
    Case("lead_master_lost_has_reason", lead, [WON], [{**WON, "lost_reason": "Dropped"}]),
    Case(
        "lead_master_fresh_until_called",
        lead,
        fits=[{"lead_status": "Interested", "first_call_at": NOW}, {"lead_status": "Call me Back"}],
        breaks=[{"lead_status": "Interested"}],
    ),
    Case(
        "lead_master_closed_has_no_follow_up",
        lead,
        fits=[{"follow_up_at": NOW}, LOST],
        breaks=[{**LOST, "follow_up_at": NOW}],
    ),
    Case(
        "lead_master_call_back_has_time",
        lead,
        fits=[
            {"lead_status": "Call me Back", "follow_up_at": NOW},
            {"lead_status": "RNR", "follow_up_at": None},
            {"lead_status": "Pending", "follow_up_at": None},
        ],
        breaks=[{"lead_status": "Call me Back", "follow_up_at": None}],
    ),
    Case(
        "lead_master_called_has_time",
        lead,
        fits=[
            {"lead_status": "RNR", "last_attempt_at": NOW},
            {"lead_status": "Pending", "last_attempt_at": None},
            {"lead_status": "Pending", "last_attempt_at": NOW},
        ],
        breaks=[{"lead_status": "RNR", "last_attempt_at": None}],
    ),
    Case("lead_master_called_has_time", lead, [LOST], [{**LOST, "last_attempt_at": None}]),
    Case("lead_master_ps_has_branch", lead, [KIRAN, {"branch": "attapur"}], [{**KIRAN, "branch": None}]),
    Case(
        "lead_master_cre_has_time",
        lead,
        [{"cre": "asha", "cre_assigned_at": NOW}],
        [{"cre": "asha", "cre_assigned_at": None}],
    ),
    Case("lead_master_cre_has_time", lead, [{"cre": None}], [{"cre": None, "cre_assigned_at": NOW}]),
    Case("lead_master_ps_has_time", lead, [KIRAN], [{**KIRAN, "ps_assigned_at": None}]),
    Case("lead_master_ps_has_time", lead, [{"ps": None}], [{"ps_assigned_at": NOW}]),
    Case(
        "lead_master_next_call_has_end",
        lead,
        [{"next_call_by": "asha", "next_call_until": NOW}],
        [{"next_call_by": "asha"}],
    ),
    Case("lead_master_next_call_has_end", lead, [{}], [{"next_call_until": NOW}]),
    Case("lead_master_counts_sane", lead, [{"attempts": 0}], [{"attempts": -1}]),
    Case("lead_master_counts_sane", lead, [{"enquiries": 1}], [{"enquiries": 0}]),
    Case("lead_master_counts_sane", lead, [{"version": 1}], [{"version": 0}]),
]
OTHER_CASES = [
    Case(
        "duplicate_leads_enquiry_once",
        repeat,
        fits=[{}, {"external_ref": "7"}, {"sub_source": "Tele"}, {"source": "META"}],
        breaks=[{}, {}],
    ),
    Case(
        "duplicate_leads_phone_e164",
        repeat,
        [{"customer_mobile_number": "+123456"}],
        [{"customer_mobile_number": "98765 43210"}],
    ),
    Case("duplicate_leads_source_given", repeat, [{"source": "M"}], [{"source": ""}]),
    Case("duplicate_leads_source_given", repeat, [{"sub_source": "M"}], [{"sub_source": ""}]),
    Case("duplicate_leads_channel_known", repeat, [{"channel": "import"}], [{"channel": "fax"}]),
    Case("lead_change_field_given", change, [{"field": "e"}], [{"field": ""}]),
    Case(
        "lead_change_reopening_has_reason",
        change,
        [{"field": "final_status", "reason": "Called again."}, {"field": "email", "reason": ""}],
        [{"field": "final_status", "reason": ""}],
    ),
    Case("lead_source_pair_once", source, [{}, {"sub_source": "Chat"}], [{}, {"letter": "X"}]),
    Case("lead_source_letter_capital", source, [{"letter": "Z"}], [{"letter": "z"}]),
    Case("lead_source_letter_capital", source, [{"letter": "A"}], [{"letter": ""}]),
    Case("lead_source_pair_given", source, [{"source": "W"}], [{"source": ""}]),
    Case("lead_source_pair_given", source, [{"sub_source": "W"}], [{"sub_source": ""}]),
]
CASES = LEAD_CASES + OTHER_CASES


@pytest.mark.parametrize("case", CASES, ids=str)
def test_a_row_that_just_fits_is_kept_and_one_that_just_does_not_is_refused(case: Case, cast: Cast) -> None:
    try_out(case, cast)


def test_every_constraint_of_leads_was_tried() -> None:
    assert {case.constraint for case in CASES} == set(declared("leads"))
