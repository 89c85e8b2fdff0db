"""load_leads: a loaded base is what capture and the recorder would have written, and as uneven as life."""

import io
import itertools
import random
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import phonenumbers
import pytest
from django.core.management import CommandError, call_command
from django.db.models import F
from django.utils import timezone

from accounts.models import Branch, Role, User
from followups.calls import CallNumber, following
from followups.catalogue import BY_CODE, FinalStatus, FollowUp
from followups.models import CallAttempt, Outbox, PSFollowup
from followups.recorder import record_waiting
from leads.capture import Outcome, capture
from leads.invariants import INVARIANTS, offending
from leads.invented import bulk, material, staff
from leads.invented.chronicle import Chronicle, Numbers, Staff
from leads.models import DuplicateLead, LeadChange, LeadMaster, Source
from leads.phone import normalise
from leads.tests.factories import enquiry

UNTIL = datetime(2026, 3, 2, 12, 0, tzinfo=UTC)


def load(count: int, **options: Any) -> None:
    call_command("load_leads", count=count, verbosity=0, stdout=io.StringIO(), **options)


def broken() -> dict[str, list[str]]:
    return {invariant.name: uids for invariant in INVARIANTS if (uids := offending(invariant))}


def invent(count: int, seed: int) -> list[Any]:
    """Leads of a small staff, without a database."""
    crew = Staff(
        {1: "Asha", 2: "Ravi", 3: "Latha"}, {7: [4], 8: [5, 6]}, 9, {("META", "Meta Know"): "M", ("OEM", "Web"): "O"}
    )
    chance = random.Random(seed)
    numbers = Numbers(
        itertools.count(1), itertools.count(1), itertools.count(1), material.mobile_numbers(chance), b"key"
    )
    return list(Chronicle(crew, numbers, chance, 0.05).histories(count, UNTIL - timedelta(days=90), UNTIL))


@pytest.mark.usefixtures("pairs")
class TestALoadedBase:
    def test_it_holds_together(self) -> None:
        load(3_000)
        assert LeadMaster.objects.count() == 3_000
        assert DuplicateLead.objects.count() > 100
        assert LeadMaster.objects.filter(previous__isnull=False).count() > 100
        assert PSFollowup.objects.count() > LeadMaster.objects.filter(ps__isnull=False).count()
        assert 0 < LeadChange.objects.filter(field="final_status").count() < 100
        assert broken() == {}

    def test_each_lead_is_what_its_calls_make_of_it(self) -> None:
        """Told again in Python, call by call."""
        load(1_500)
        repeats = set(DuplicateLead.objects.values_list("lead_id", "created_at"))
        for lead in LeadMaster.objects.prefetch_related("call_attempts", "changes"):
            calls = sorted(lead.call_attempts.all(), key=lambda call: call.outbox_id)
            _retell(lead, [call for call in calls if (lead.pk, call.called_at) not in repeats])
            _renumber(lead, calls)
            assert lead.last_attempt_at == (calls[-1].called_at if calls else None)

    def test_each_assignment_is_what_its_ps_made_of_it(self) -> None:
        load(1_500)
        followups = list(PSFollowup.objects.prefetch_related("call_attempts"))
        for followup in followups:
            calls = [call for call in followup.call_attempts.all() if call.role == "ps"]
            assert all(call.by_id == followup.ps_id for call in calls)
            assert followup.first_call_at == min((call.called_at for call in calls if call.contacted), default=None)
            if calls:
                assert followup.accepted_at
            if followup.accepted_at:
                ended = min([call.called_at for call in calls] + [followup.closed_at or timezone.now()])
                assert followup.assigned_at <= followup.accepted_at <= ended
        taken = [row.accepted_at - row.assigned_at for row in followups if row.accepted_at]
        assert 0.85 < len(taken) / len(followups) < 0.99
        assert 0.4 < sum(minutes < timedelta(minutes=30) for minutes in taken) / len(taken) < 0.9

    def test_customers_ride_before_it_is_told_and_supervisors_reopen_what_was_closed(self) -> None:
        load(3_000)
        ridden = LeadMaster.objects.filter(test_drive_at__isnull=False)
        assert 0.05 < ridden.count() / 3_000 < 0.3
        assert not ridden.filter(test_drive_at__gt=F("last_attempt_at")).exists()
        noted = LeadChange.objects.filter(field="test_drive_at")
        assert {(row.lead_id, row.after) for row in noted} == {
            (lead.pk, lead.test_drive_at.isoformat()) for lead in ridden if lead.test_drive_at
        }
        names = LeadChange.objects.filter(field="customer_name").order_by("-at", "-id")
        for lead in LeadMaster.objects.filter(changes__in=names).distinct().prefetch_related("changes"):
            assert next(row.after for row in lead.changes.all() if row.field == "customer_name") == lead.customer_name
        for change in LeadChange.objects.filter(field="final_status").select_related("by"):
            assert (change.after, change.by.role) == ("Pending", Role.SUPERVISOR)
            assert change.reason

    def test_a_lead_names_who_saved_it_last_once_somebody_has(self) -> None:
        load(500)
        assert not LeadMaster.objects.filter(version=1, saved_by__isnull=False).exists()
        assert not LeadMaster.objects.filter(version__gt=1, saved_by=None).exists()
        assert LeadMaster.objects.filter(saved_by__role=Role.PS).count() > 100

    def test_it_is_as_uneven_as_life(self) -> None:
        load(3_000)
        leads = LeadMaster.objects.all()
        closed = leads.exclude(final_status="Pending").count()
        assert 0.82 < closed / 3_000 < 0.88
        assert 2.5 < CallAttempt.objects.count() / 3_000 < 5
        load_of_each = sorted(leads.filter(cre=cre).count() for cre in User.objects.filter(role=Role.CRE))
        assert len(load_of_each) == 50
        assert load_of_each[-1] > 5 * load_of_each[25]
        assert leads.values("source", "sub_source").distinct().count() == Source.objects.count()

    def test_it_covers_two_years_up_to_now_in_office_hours(self) -> None:
        now = timezone.now()
        load(2_000)
        oldest, newest = (LeadMaster.objects.order_by(order)[0].created_at for order in ("id", "-id"))
        assert timedelta(days=720) < now - oldest < timedelta(days=731)
        assert newest <= now
        calls = list(CallAttempt.objects.values_list("called_at", "recorded_at"))
        assert all(called_at < recorded_at <= timezone.now() for called_at, recorded_at in calls)
        hours = [timezone.localtime(called_at).hour for called_at, _ in calls]
        assert sum(9 <= hour < 20 for hour in hours) / len(hours) > 0.95

    def test_phones_are_valid_however_they_were_typed(self) -> None:
        load(1_000)
        for e164, as_typed in LeadMaster.objects.values_list("customer_mobile_number", "phone_as_typed"):
            assert phonenumbers.is_valid_number(phonenumbers.parse(e164))
            assert normalise(as_typed).e164 == e164

    def test_real_outbox_rows_get_later_numbers(self) -> None:
        load(50)
        row = Outbox.objects.create(kind="alert", lead=LeadMaster.objects.all()[0])
        assert row.pk > max(CallAttempt.objects.values_list("outbox_id", flat=True))

    def test_more_can_be_loaded_on_top(self) -> None:
        load(300)
        load(300)
        load(300, seed=2)
        assert LeadMaster.objects.count() == 900
        assert User.objects.count() == 1 + staff.LOAD_CRES + staff.LOAD_PS
        assert broken() == {}

    def test_it_uses_the_branches_that_are_there(self) -> None:
        branch = Branch.objects.create(name="SECUNDERABAD")
        load(200)
        assert list(Branch.objects.all()) == [branch]

    def test_a_captured_and_recorded_lead_satisfies_the_same(self, cast: Any) -> None:
        seller = {"branch_id": cast.attapur.pk, "ps_id": cast.kiran.pk}
        first = enquiry(status="Interested", category="Hot", **seller)
        outcomes = [
            capture(first, cast.asha).outcome,
            capture(replace(first, source="OEM", sub_source="Web", ps_id=None), cast.ravi).outcome,
            capture(enquiry(status="Booked", **seller), cast.asha).outcome,
            capture(enquiry(status="Call me Back", follow_up_at=timezone.now()), cast.ravi).outcome,
            capture(enquiry(status="Pending"), cast.meera).outcome,
        ]
        assert outcomes == [Outcome.CREATED, Outcome.REPEAT, *[Outcome.CREATED] * 3]
        assert broken() == {}
        assert record_waiting() == 4
        assert broken() == {}


def _retell(lead: LeadMaster, calls: list[CallAttempt]) -> None:
    """`lead` shows what its own `calls` and reopenings make of it."""
    status, follow_up_at = "Pending", None
    reopenings = [(change.at, None) for change in lead.changes.all() if change.field == "final_status"]
    told = [*((call.called_at, call) for call in calls), *reopenings]
    for at, call in sorted(told, key=lambda one: one[0]):
        if call is None:
            assert BY_CODE[status].closes
            status, follow_up_at = "Pending", at
            continue
        assert not BY_CODE[status].closes
        status = call.lead_status
        if call.contacted or call.follow_up_at:
            follow_up_at = call.follow_up_at
    assert lead.lead_status == status
    assert lead.final_status == BY_CODE[status].implies
    assert lead.follow_up_at == follow_up_at


def _renumber(lead: LeadMaster, calls: list[CallAttempt]) -> None:
    """All `calls` of `lead`, those of repeats too, are numbered and counted."""
    last: dict[str, CallAttempt] = {}
    for call in calls:
        before, outcome = last.get(call.role), BY_CODE[call.lead_status]
        last_number = CallNumber(before.call_no, before.attempt) if before else None
        number = following(last_number, contacted=before is not None and before.contacted)
        assert (call.call_no, call.attempt) == number
        assert call.contacted == outcome.contacted
        assert call.follow_up_at is not None or outcome.follow_up != FollowUp.REQUIRED
        assert call.final_status_before == FinalStatus.PENDING
        last[call.role] = call
    reached = [call.called_at for call in calls if call.contacted]
    assert lead.attempts == len(calls)
    assert lead.first_attempt_at == (calls[0].called_at if calls else None)
    assert lead.first_call_at == (reached[0] if reached else None)
    assert lead.last_contact_at == (reached[-1] if reached else None)


class TestRefusals:
    @pytest.mark.parametrize("count", [0, -5, 10_000_001])
    def test_a_silly_count_is_refused_in_words(self, count: int) -> None:
        with pytest.raises(CommandError, match="give a number from 1 to 10,000,000"):
            load(count)

    @pytest.mark.django_db
    def test_a_weak_password_is_refused_in_words(self) -> None:
        with pytest.raises(CommandError, match="capital letter"):
            load(10, password="leads-of-the-desk")
        assert not User.objects.exists()

    @pytest.mark.django_db
    def test_without_sources_nothing_is_loaded(self) -> None:
        Source.objects.all().delete()
        with pytest.raises(CommandError, match="No source is offered"):
            load(10)
        assert not User.objects.exists()

    @pytest.mark.usefixtures("pairs")
    def test_stopped_half_way_it_leaves_nothing(self, monkeypatch: pytest.MonkeyPatch) -> None:
        save, saved = bulk._save, itertools.count()

        def save_one_chunk(histories: Any) -> None:
            save(histories)
            if next(saved):
                raise KeyboardInterrupt

        monkeypatch.setattr(bulk, "CHUNK", 50)
        monkeypatch.setattr(bulk, "_save", save_one_chunk)
        with pytest.raises(CommandError, match="Stopped: nothing was added"):
            load(200)
        assert not LeadMaster.objects.exists()
        assert not User.objects.exists()

    @pytest.mark.usefixtures("pairs")
    def test_a_lead_that_the_desk_made_meanwhile_is_told_in_words(self, monkeypatch: pytest.MonkeyPatch) -> None:
        load(100)
        monkeypatch.setattr(bulk, "_unknown", lambda phones: phones)
        with pytest.raises(CommandError, match="Nothing was added: run it again"):
            load(100)
        assert LeadMaster.objects.count() == 100


@pytest.mark.usefixtures("pairs")
def test_the_password_lets_them_sign_in_and_without_one_they_cannot() -> None:
    load(5)
    assert not User.objects.get(username="load-cre01").has_usable_password()
    load(5, password="Many-Leads-2026")
    assert User.objects.get(username="load-cre01").check_password("Many-Leads-2026")


def test_the_same_seed_gives_the_same_leads() -> None:
    def told(seed: int) -> list[Any]:
        return [
            (history.lead.uid, history.lead.customer_name, history.lead.lead_status, history.attempts)
            for history in invent(300, seed)
        ]

    assert told(1) == told(1)
    assert told(1) != told(2)


def test_invented_words_fit_the_catalogue() -> None:
    assert set(material.REMARKS) == material.speakable()
    decks = (material.AT_CAPTURE, material.ON_REPEAT, material.CRE_FIRST, material.CRE_LATER, material.BY_PS)
    assert set().union(*decks) == material.speakable()
