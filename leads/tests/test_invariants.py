"""The invariants hold after whatever the services do, and each finds the one lead that breaks it."""

import io
from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
import time_machine
from django.core.management import call_command
from django.db import connection, transaction
from django.utils import timezone

from accounts.models import User
from conftest import Cast
from followups.acceptance import accept
from followups.catalogue import BY_CODE
from followups.models import PSFollowup
from followups.recorder import record_waiting
from followups.services import update_ps_lead
from followups.update import Told
from leads.capture import capture
from leads.invariants import INVARIANTS, Invariant, offending
from leads.models import LeadChange, LeadMaster
from leads.tests.factories import enquiry, phone
from leads.update_form import LeadTold
from leads.updates import reopen_lead, update_lead

# For each invariant what is done to one row: its table, the fault, and which row.
PLANTED: dict[str, list[tuple[str, str, str]]] = {
    "attempts counted": [("lead_master", "attempts = attempts + 1", "true")],
    "first response": [("lead_master", "first_attempt_at = created_at - interval '1 day'", "attempts > 0")],
    "qualifying call": [
        ("lead_master", "first_call_at = created_at - interval '1 day'", "first_call_at IS NOT NULL"),
        ("lead_master", "first_call_at = NULL", "final_status = 'Lost'"),
    ],
    "last contact": [("lead_master", "last_contact_at = now()", "last_contact_at IS NOT NULL")],
    "last attempt": [
        ("lead_master", "last_attempt_at = now()", "last_attempt_at IS NOT NULL"),
        ("lead_master", "last_attempt_at = now()", "lead_status = 'Pending'"),
        ("lead_master", "last_attempt_at = last_contact_at", "last_contact_at < last_attempt_at"),
    ],
    "status of the last call": [("lead_master", "lead_status = 'Dropped'", "lead_status = 'Not Interested'")],
    "closed by the last call": [("lead_master", "won_at = now()", "final_status = 'Won'")],
    "calls as in the catalogue": [("call_attempt", "contacted = NOT contacted", "true")],
    "calls numbered": [("call_attempt", "attempt = attempt + 100", "true")],
    "calls within their follow-up": [("call_attempt", "ps_followup_id = NULL", "role = 'ps'")],
    "first call of the PS": [
        ("ps_followup", "first_call_at = NULL", "first_call_at IS NOT NULL"),
        ("ps_followup", "first_call_at = now()", "first_call_at IS NULL"),
        ("ps_followup", "first_call_at = now()", "first_call_at IS NOT NULL"),
    ],
    "accepted by calling": [
        ("ps_followup", "accepted_at = NULL", "first_call_at IS NOT NULL"),
        ("ps_followup", "accepted_at = now()", "first_call_at IS NOT NULL"),
        ("ps_followup", "accepted_at = assigned_at - interval '1 minute'", "true"),
    ],
    "reopened after a closing call": [
        ("lead_change", "at = at - interval '2 years'", "field = 'final_status'"),
        ("lead_change", "before = 'Pending'", "field = 'final_status'"),
        ("lead_change", "after = 'Won'", "field = 'final_status'"),
    ],
    "enquiries counted": [("lead_master", "enquiries = enquiries + 1", "true")],
    "repeats of the customer": [("duplicate_leads", "customer_mobile_number = '+919000000000'", "true")],
    "priority": [("lead_master", "priority = priority + 1", "true")],
    "open follow-up": [
        ("ps_followup", "closed_at = now()", "closed_at IS NULL"),
        ("ps_followup", "assigned_at = now()", "closed_at IS NULL"),
        ("lead_master", "ps_id = NULL, ps_assigned_at = NULL", "final_status = 'Pending' AND ps_id IS NOT NULL"),
    ],
    "latest follow-up": [
        ("lead_master", "ps_assigned_at = now()", "ps_id IS NOT NULL"),
        ("lead_master", "ps_id = NULL, ps_assigned_at = NULL", "final_status <> 'Pending' AND ps_id IS NOT NULL"),
        ("lead_master", "ps_id = NULL, ps_assigned_at = NULL", "final_status = 'Pending' AND ps_id IS NOT NULL"),
    ],
    "mail on its way": [("ps_followup", "email_state = 'waiting', email_sent_at = NULL", "email_state = 'sent'")],
    "returning customers": [("lead_master", "previous_id = NULL", "previous_id IS NOT NULL")],
}


@pytest.mark.usefixtures("pairs")
@pytest.mark.parametrize("invariant", INVARIANTS, ids=lambda invariant: invariant.name)
def test_an_invariant_finds_the_one_lead_that_breaks_it(invariant: Invariant) -> None:
    call_command("load_leads", count=400, verbosity=0, stdout=io.StringIO())
    for table, fault, condition in PLANTED[invariant.name]:
        with planted(table, fault, condition) as uid:
            assert offending(invariant) == [uid], (fault, condition)


class planted:  # noqa: N801 - reads like the functions of contextlib
    """Does the latest row of `table` that fits `condition` some harm, until the block ends; gives its lead's uid."""

    def __init__(self, table: str, fault: str, condition: str) -> None:
        one = f"SELECT max(id) FROM {table} WHERE {condition}"
        self.sql = f"UPDATE {table} SET {fault} WHERE id = ({one}) RETURNING *"

    def __enter__(self) -> str:
        self.before = transaction.savepoint()
        with connection.cursor() as cursor:
            cursor.execute(self.sql)
            assert cursor.rowcount == 1, self.sql
            row = dict(zip((column.name for column in cursor.description), cursor.fetchone(), strict=True))
        uid = row.get("uid") or row.get("lead_uid") or LeadMaster.objects.get(pk=row["lead_id"]).uid
        return str(uid)

    def __exit__(self, *_: object) -> None:
        transaction.savepoint_rollback(self.before)


# --- What the services do ---------------------------------------------------------------------------------------------


def broken() -> dict[str, list[str]]:
    return {invariant.name: uids for invariant in INVARIANTS if (uids := offending(invariant))}


@pytest.fixture
def holds() -> Iterator[Any]:
    """Called after a step: all invariants hold, while calls wait for the recorder and when it has been there."""

    def check(_: object = None) -> None:
        assert broken() == {}
        record_waiting()
        assert broken() == {}

    yield check
    assert len(INVARIANTS) == len(PLANTED)


def cre_tells(uid: str, cre: User, status: str = "", **fields: Any) -> LeadMaster:
    def read(lead: LeadMaster) -> LeadTold:
        as_it_is = LeadTold(
            category=lead.lead_category,
            model=lead.model_interested,
            test_drive_at=lead.test_drive_at,
            branch_id=lead.branch_id,
            ps_id=lead.ps_id,
            cre_id=lead.cre_id,
            customer_name=lead.customer_name,
            phone=lead.customer_mobile_number,
            phone_as_typed=lead.customer_mobile_number,
            alternate_number=lead.alternate_number,
            email=lead.email,
        )
        return replace(as_it_is, call=BY_CODE[status] if status else None, **fields)

    return update_lead(uid, cre, read)[0]


def ps_tells(uid: str, ps: User, status: str = "", **fields: Any) -> None:
    def read(followup: PSFollowup) -> Told:
        lead = followup.lead
        as_it_is = Told(category=lead.lead_category, model=lead.model_interested, test_drive_at=lead.test_drive_at)
        return replace(as_it_is, call=BY_CODE[status] if status else None, **fields)

    update_ps_lead(uid, ps, read)


def reopened(uid: str, by: User) -> LeadMaster:
    version = LeadMaster.objects.get(uid=uid).version
    return reopen_lead(uid, by, reason="Called again.", version=version)


def soon(days: int = 1) -> Any:
    return timezone.now() + timedelta(days=days)


def test_they_hold_along_the_whole_way_of_a_lead(cast: Cast, holds: Any) -> None:
    place = {"branch_id": cast.attapur.pk, "ps_id": cast.kiran.pk}
    uid = capture(enquiry(status="RNR"), cast.asha).uid
    holds()
    cre_tells(uid, cast.asha, "Call me Back", follow_up_at=soon())
    holds()
    cre_tells(uid, cast.asha, "Interested", follow_up_at=soon(), category="Hot", model="450 Apex STD", **place)
    holds()
    ps_tells(uid, cast.kiran, "RNR")
    holds()
    assert LeadMaster.objects.get(uid=uid).follow_up_at
    ps_tells(uid, cast.kiran, "Test Drive", follow_up_at=soon(), test_drive_at=timezone.now())
    holds()
    cre_tells(uid, cast.asha, category="Warm", remark="Told by his wife")
    holds()
    cre_tells(uid, cast.asha, customer_name="Ramesh Rao", phone=phone())
    holds()
    cre_tells(uid, cast.asha, ps_id=cast.latha.pk)
    holds()
    accept(uid, cast.latha, timezone.now())
    holds()
    capture(
        enquiry(phone=LeadMaster.objects.get(uid=uid).customer_mobile_number, sub_source="Tele", source="OEM"),
        cast.ravi,
    )
    holds()
    cre_tells(uid, cast.asha, "Talked to PS", follow_up_at=soon())
    holds()
    ps_tells(uid, cast.latha, "Booked")
    holds()
    lead = reopened(uid, cast.meera)
    assert (lead.ps, lead.lead_status) == (cast.latha, "Pending")
    holds()
    cre_tells(uid, cast.asha, "RNR")
    holds()
    ps_tells(uid, cast.latha, "Dropped")
    holds()
    assert LeadMaster.objects.get(uid=uid).final_status == "Lost"
    assert LeadChange.objects.filter(lead__uid=uid).count() > 4


def test_they_hold_where_a_reopened_lead_has_lost_its_ps(cast: Cast, holds: Any) -> None:
    place = {"branch_id": cast.attapur.pk, "ps_id": cast.kiran.pk}
    uid = capture(enquiry(status="Interested", follow_up_at=soon(), category="Hot", **place), cast.asha).uid
    ps_tells(uid, cast.kiran, "Retailed")
    holds()
    User.objects.filter(pk=cast.kiran.pk).update(available=False)
    assert reopened(uid, cast.meera).ps is None
    holds()
    cre_tells(uid, cast.asha, "Finance Rejected")
    holds()
    assert reopened(uid, cast.meera).ps is None
    cre_tells(uid, cast.asha, "Delayed", follow_up_at=soon(), ps_id=cast.latha.pk)
    holds()
    accept(uid, cast.latha, timezone.now())
    cre_tells(uid, cast.asha, "Booked")
    holds()


def test_they_hold_where_a_customer_came_back_before_the_earlier_lead_was_reopened(cast: Cast, holds: Any) -> None:
    first = capture(enquiry(status="Wrong Number"), cast.asha).uid
    number = LeadMaster.objects.get(uid=first).customer_mobile_number
    second = capture(enquiry(phone=number, source="OEM", sub_source="Web"), cast.asha)
    assert second.returning == first
    cre_tells(second.uid, cast.asha, "Not Interested")
    holds()
    reopened(first, cast.meera)
    holds()
    cre_tells(first, cast.asha, "Not Interested")
    holds()
    # Opened again, it turns out to be another customer's: only an open lead's number is corrected.
    reopened(first, cast.meera)
    cre_tells(first, cast.asha, phone=phone())
    holds()


def test_they_hold_where_a_number_is_corrected_to_that_of_a_lead_that_was_open_then(cast: Cast, holds: Any) -> None:
    known = capture(enquiry(), cast.asha).uid
    other = capture(enquiry(), cast.asha).uid
    for _ in range(2):
        cre_tells(known, cast.asha, "Not Interested")
        reopened(known, cast.meera)
    cre_tells(known, cast.asha, "Not Interested")
    number = LeadMaster.objects.get(uid=known).customer_mobile_number
    assert cre_tells(other, cast.asha, phone=number).previous is None
    holds()


def test_they_hold_where_an_enquiry_had_to_wait_for_a_reopening(cast: Cast, holds: Any) -> None:
    uid = capture(enquiry(), cast.asha).uid
    cre_tells(uid, cast.asha, "Not Interested")
    number = LeadMaster.objects.get(uid=uid).customer_mobile_number
    taken_up_at = timezone.now()
    reopened(uid, cast.meera)
    with time_machine.travel(taken_up_at, tick=False):
        again = capture(enquiry(phone=number, source="OEM", sub_source="Web", status="RNR"), cast.ravi)
    assert again.outcome == "repeat"
    holds()


STATUS, CLOSED = "status of the last call", "closed by the last call"


@pytest.mark.parametrize(
    ("invariant", "fault"),
    [
        (STATUS, "lead_status = 'Booked', final_status = 'Won', won_at = now(), follow_up_at = NULL"),
        (STATUS, "lead_status = 'Delayed'"),
        ("qualifying call", "first_call_at = NULL"),
        ("last attempt", "last_attempt_at = NULL"),
        ("priority", "priority = priority + 25"),
        ("latest follow-up", "ps_id = NULL, ps_assigned_at = NULL"),
    ],
)
def test_they_find_what_a_reopening_did_wrong(cast: Cast, invariant: str, fault: str, holds: Any) -> None:
    place = {"branch_id": cast.attapur.pk, "ps_id": cast.kiran.pk}
    uid = capture(enquiry(status="Interested", follow_up_at=soon(), category="Hot", **place), cast.asha).uid
    ps_tells(uid, cast.kiran, "Booked")
    reopened(uid, cast.meera)
    holds()
    with planted("lead_master", fault, f"uid = '{uid}'"):
        assert invariant in broken()


def test_they_find_a_lead_that_was_closed_before_it_was_reopened(cast: Cast, holds: Any) -> None:
    uid = capture(enquiry(status="Booked"), cast.asha).uid
    holds()
    lead = LeadMaster.objects.get(uid=uid)
    LeadChange.objects.create(lead=lead, field="final_status", before="Won", after="Pending", reason="x", by=cast.meera)
    assert {STATUS, CLOSED} <= set(broken())
