"""The doctor finds what is wrong, says it, and repairs what is derived and nothing else."""

import io
import json
from datetime import timedelta
from typing import Any

import pytest
from django.core.management import call_command
from django.db import connection
from django.db.models import F
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from conftest import Cast
from followups.models import CallAttempt
from followups.priority import REPEAT_POINTS
from followups.recorder import record_waiting
from leads.capture import capture
from leads.invariants import INVARIANTS, TOLD
from leads.models import DuplicateLead, LeadMaster
from leads.repair import DERIVED, repair
from leads.tests.factories import enquiry
from leads.tests.rivals import while_it_waits
from leads.tests.test_invariants import PLANTED, planted
from performance import doctor

pytestmark = pytest.mark.django_db


def ask(*options: str) -> tuple[str, int]:
    """What the doctor says, and its exit code."""
    said = io.StringIO()
    try:
        call_command("doctor", *options, stdout=said, no_color=True)
    except SystemExit as end:
        return said.getvalue(), int(str(end.code))
    return said.getvalue(), 0


@pytest.fixture
def leads(cast: Cast) -> list[LeadMaster]:
    """Three leads with their calls; the customer of the first has asked again."""
    typed = [
        enquiry(status="Call me Back", category="Hot", follow_up_at=timezone.now() + timedelta(hours=1)),
        enquiry(status="Interested"),
        enquiry(),
    ]
    for one in typed:
        capture(one, cast.asha)
    capture(enquiry(phone=typed[0].phone, source="OEM", sub_source="Web"), cast.ravi)
    record_waiting()
    return list(LeadMaster.objects.order_by("pk"))


def plant(lead: LeadMaster, **fields: Any) -> None:
    LeadMaster.objects.filter(pk=lead.pk).update(**fields)


FAULTS: dict[str, dict[str, Any]] = {
    "attempts counted": {"attempts": F("attempts") + 5},
    "first response": {"first_attempt_at": None},
    "enquiries counted": {"enquiries": F("enquiries") + 2, "priority": F("priority") + 80},
    "priority": {"priority": F("priority") + 1},
}


def test_every_counter_that_can_be_repaired_is_an_invariant_with_a_fault_here() -> None:
    assert set(FAULTS) == set(DERIVED) <= {invariant.name for invariant in INVARIANTS}


def test_a_sound_desk_is_said_to_be_so(leads: list[LeadMaster]) -> None:
    said, code = ask()
    assert code == 0
    assert said.startswith(f"Everything agrees. {len(INVARIANTS)} questions, ")


@pytest.mark.parametrize("name", DERIVED)
def test_a_wrong_counter_is_found_said_and_repaired(leads: list[LeadMaster], name: str) -> None:
    before = LeadMaster.objects.values().get(pk=leads[0].pk)
    plant(leads[0], **FAULTS[name])

    said, code = ask()
    says = next(invariant.says for invariant in INVARIANTS if invariant.name == name)
    assert code == 1
    assert f"{name}: Leads that {says}: 1, such as {leads[0].uid}." in said
    assert "manage.py doctor --repair" in said
    assert f"1 of {len(INVARIANTS)} are broken" in said

    said, code = ask("--repair")
    assert code == 0
    assert "Leads whose counters were repaired: 1." in said
    assert LeadMaster.objects.values().get(pk=leads[0].pk) == before


def test_more_leads_than_are_repaired_at_a_time_are_repaired_too(
    leads: list[LeadMaster], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(doctor, "MOST", 1)
    LeadMaster.objects.update(attempts=F("attempts") + 5)
    assert "calls: 1 or more, such as" in ask()[0]
    assert doctor.repaired() == len(leads)
    assert ask()[1] == 0


@pytest.mark.django_db(transaction=True)
def test_a_repair_that_waits_for_a_repeat_counts_it(leads: list[LeadMaster]) -> None:
    asked_again = DuplicateLead.objects.get()

    def again() -> None:
        asked_again.pk, asked_again.sub_source = None, "Tele"
        asked_again.save(force_insert=True)

    assert while_it_waits(leads[0], lambda: repair([leads[0].uid]), again) == 1
    lead = LeadMaster.objects.get(pk=leads[0].pk)
    assert (lead.enquiries, lead.priority) == (3, leads[0].priority + REPEAT_POINTS)


def test_looking_changes_nothing(leads: list[LeadMaster]) -> None:
    plant(leads[0], attempts=9)
    ask()
    assert LeadMaster.objects.get(pk=leads[0].pk).attempts == 9


def test_what_people_told_is_not_repaired(leads: list[LeadMaster]) -> None:
    CallAttempt.objects.filter(lead=leads[1]).update(contacted=False)
    before = list(LeadMaster.objects.order_by("pk").values())
    said, code = ask("--repair")
    assert code == 1
    assert "calls as in the catalogue: " in said
    assert "Nothing can work out anew what people told: look at these leads." in said
    assert list(LeadMaster.objects.order_by("pk").values()) == before


def test_for_programs_it_is_json(leads: list[LeadMaster]) -> None:
    plant(leads[2], attempts=9)
    said, code = ask("--json")
    told = json.loads(said)
    assert (code, told["sound"], told["repaired"]) == (1, False, None)
    assert told["broken"] == [
        {
            "name": "attempts counted",
            "says": "have another number of attempts than calls",
            "leads": 1,
            "or_more": False,
            "examples": [leads[2].uid],
            "can_be_repaired": True,
        }
    ]
    said, code = ask("--json", "--repair")
    told = json.loads(said)
    assert (code, told["sound"], told["repaired"], told["broken"]) == (0, True, 1, [])


def test_a_lead_whose_call_still_waits_is_left_alone(cast: Cast) -> None:
    capture(enquiry(), cast.asha)
    assert ask()[1] == 0
    assert repair(list(LeadMaster.objects.values_list("uid", flat=True))) == 1
    assert LeadMaster.objects.get().attempts == 0
    record_waiting()
    assert LeadMaster.objects.get().attempts == 1


def test_what_begins_alike_is_asked_at_once_and_all_of_it_is_asked() -> None:
    together = list(doctor._together(INVARIANTS))
    assert [invariant for group in together for invariant in group] == list(INVARIANTS)
    assert max(len(group) for group in together) == sum(i.query.startswith(TOLD) for i in INVARIANTS) == 7
    with CaptureQueriesContext(connection) as asked:
        assert doctor.examine() == []
    assert sum("MATERIALIZED (" in query["sql"] for query in asked) >= len(together)
    assert sum("FROM found LIMIT" in query["sql"] for query in asked) == len(together) < len(INVARIANTS)


@pytest.mark.usefixtures("pairs")
def test_asked_at_once_each_fault_is_found_by_its_name() -> None:
    call_command("load_leads", count=400, verbosity=0, stdout=io.StringIO())
    for invariant in INVARIANTS:
        for table, fault, condition in PLANTED[invariant.name]:
            with planted(table, fault, condition) as uid:
                found = {finding.invariant.name: finding.uids for finding in doctor.examine()}
            assert found[invariant.name] == (uid,), (fault, condition)
    assert doctor.examine() == []
