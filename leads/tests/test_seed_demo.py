"""seed_demo: an empty desk becomes one that can be tried out; no other desk is touched."""

import io

import pytest
from django.core.management import CommandError, call_command
from django.db.models import Count

from accounts.models import Branch, Role, User
from followups.models import EmailState, Outbox, PSFollowup
from followups.recorder import record_waiting
from leads import invented
from leads.invariants import INVARIANTS, offending
from leads.management.commands import seed_demo
from leads.models import DuplicateLead, LeadMaster
from leads.tests.factories import make_lead

pytestmark = pytest.mark.usefixtures("pairs")
PASSWORD = "demo-Desk-2026"


def seed(*, yes: bool = True) -> str:
    out = io.StringIO()
    call_command("seed_demo", yes_demo_passwords=yes, stdout=out)
    return out.getvalue()


def test_the_cast_and_the_leads() -> None:
    assert PASSWORD in seed()
    assert set(Branch.objects.values_list("name", flat=True)) == set(invented.BRANCHES)
    names = {"supervisor", *(f"cre{n}" for n in range(1, 7)), *(f"ps{n}" for n in range(1, 15))}
    names |= {f"{role}{n}" for role in ("head", "reception") for n in range(1, 8)}
    assert set(User.objects.values_list("username", flat=True)) == names
    assert all(user.check_password(PASSWORD) for user in User.objects.all())
    per_branch = User.objects.filter(role=Role.PS).values("branch").annotate(number=Count("id"))
    assert [row["number"] for row in per_branch] == [2] * 7
    assert User.objects.values("name").distinct().count() == len(names)
    assert LeadMaster.objects.count() == 2_000


def test_every_desk_has_something_of_everything() -> None:
    seed()
    leads = LeadMaster.objects.all()
    assert leads.exclude(final_status="Pending").count() > 1_400
    for wanted in (
        leads.filter(final_status="Won"),
        leads.filter(final_status="Lost"),
        leads.filter(previous__isnull=False),
        leads.filter(final_status="Pending", lead_status="Pending"),
        leads.filter(final_status="Pending", first_call_at=None, lead_status="Call me Back"),
        leads.filter(final_status="Pending", first_call_at=None, lead_status="RNR"),
        leads.filter(final_status="Pending", first_call_at__isnull=False, ps__isnull=False),
        DuplicateLead.objects.all(),
    ):
        assert wanted.count() > 3
    due = leads.filter(follow_up_at__isnull=False).order_by("follow_up_at")
    newest = leads.latest("created_at").created_at
    assert due.filter(follow_up_at__lt=newest).count() > 20
    assert due.filter(follow_up_at__gt=newest).count() > 20


def test_only_the_dozen_captured_just_now_leave_work_and_mail() -> None:
    seed()
    kinds = dict(Outbox.objects.values_list("kind").annotate(number=Count("id")).order_by())
    assert kinds == {"attempt": 13, "mail": 12, "alert": 1}
    states = PSFollowup.objects.exclude(outbox__isnull=False).values_list("email_state", flat=True)
    assert set(states) <= {EmailState.SENT, EmailState.NOT_NEEDED}


def test_it_holds_together_before_and_after_the_recorder() -> None:
    seed()
    assert [invariant.name for invariant in INVARIANTS if offending(invariant)] == []
    assert record_waiting() == 13
    assert [invariant.name for invariant in INVARIANTS if offending(invariant)] == []


def test_alone_it_runs_only_into_the_launchers_own_database(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("DESK_DATABASE", raising=False)
    with pytest.raises(CommandError, match="add --yes-demo-passwords"):
        seed(yes=False)
    assert not User.objects.exists()
    monkeypatch.setenv("DESK_DATABASE", "embedded")
    seed(yes=False)
    assert User.objects.filter(username="cre1").exists()


@pytest.mark.parametrize("embedded", ["embedded", ""])
def test_where_anybody_or_anything_is_it_refuses(embedded: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DESK_DATABASE", embedded)
    make_lead()
    with pytest.raises(CommandError, match="an empty desk only"):
        seed()
    LeadMaster.objects.all().delete()
    User.objects.create_user("meera", name="Meera", role=Role.SUPERVISOR)
    with pytest.raises(CommandError, match="an empty desk only"):
        seed()
    assert User.objects.count() == 1


def test_nothing_is_half_seeded(monkeypatch: pytest.MonkeyPatch) -> None:
    def fails(*_: object) -> None:
        raise RuntimeError("the disk is full")

    monkeypatch.setattr(seed_demo, "capture", fails)
    with pytest.raises(RuntimeError):
        seed()
    assert not User.objects.exists()
    assert not Branch.objects.exists()
    assert not LeadMaster.objects.exists()
