"""seed_demo: an empty desk becomes one that can be tried out; no other desk is touched."""

import io
from datetime import timedelta

import pytest
import time_machine
from django.core.management import CommandError, call_command
from django.db.models import Count
from django.utils import timezone

from accounts.models import Branch, Role, User
from followups import buckets
from followups.models import EmailState, Outbox, PSFollowup
from followups.recorder import record_waiting
from leads.invariants import INVARIANTS, offending
from leads.invented import material
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
    assert set(Branch.objects.values_list("name", flat=True)) == set(material.BRANCHES)
    names = {"supervisor", *(f"cre{n}" for n in range(1, 7)), *(f"ps{n}" for n in range(1, 15))}
    names |= {f"{role}{n}" for role in ("head", "reception") for n in range(1, 8)}
    assert set(User.objects.values_list("username", flat=True)) == names
    assert all(user.check_password(PASSWORD) for user in User.objects.all())
    per_branch = User.objects.filter(role=Role.PS).values("branch").annotate(number=Count("id"))
    assert [row["number"] for row in per_branch] == [2] * 7
    assert User.objects.values("name").distinct().count() == len(names)
    assert LeadMaster.objects.count() == 2_000


def test_the_desk_as_a_whole_has_something_of_everything() -> None:
    seed()
    leads = LeadMaster.objects.all()
    assert leads.exclude(final_status="Pending").count() > 1_400
    for wanted in (
        leads.filter(previous__isnull=False),
        leads.filter(buckets.UNTOUCHED, cre=None),
        leads.filter(changes__field="final_status"),
        leads.filter(changes__field="customer_name"),
        DuplicateLead.objects.all(),
        PSFollowup.objects.open().filter(buckets.UNACCEPTED, assigned_at__lt=timezone.now() - timedelta(hours=1)),
    ):
        assert wanted.count() > 2


@pytest.mark.parametrize(
    "now",
    ["2026-11-22T01:10+05:30", "2026-11-23T09:05+05:30", "2027-01-01T15:40+05:30", "2027-02-28T22:30+05:30"],
)
def test_every_cre_and_every_ps_has_a_day_before_them(now: str) -> None:
    """At whatever hour it is seeded; in the evening the day that comes is the next one."""
    with time_machine.travel(now):
        seed()
        at, month = timezone.now(), timezone.now() - timedelta(days=30)
        for cre in User.objects.filter(role=Role.CRE):
            leads = LeadMaster.objects.filter(cre=cre)
            for some in (buckets.UNTOUCHED, buckets.CALLED, buckets.CALL_BACK, buckets.PENDING, buckets.WITH_PS):
                assert leads.filter(some).exists(), (cre.username, some)
            assert leads.filter(buckets.overdue(at)).count() > 1
            assert leads.filter(won_at__gt=month).count() > 1
            assert leads.filter(lost_at__gt=month).count() > 1
        for ps in User.objects.filter(role=Role.PS):
            leads = LeadMaster.objects.filter(ps=ps)
            assert PSFollowup.objects.filter(buckets.PS_FRESH, ps=ps).exists(), ps.username
            assert PSFollowup.objects.filter(buckets.PS_PENDING, ps=ps).exists(), ps.username
            assert leads.filter(buckets.today(at + timedelta(days=1))).exists(), ps.username
            assert leads.filter(buckets.TEST_DRIVEN).exists(), ps.username
            assert leads.filter(won_at__gt=month).exists(), ps.username
            assert leads.filter(lost_at__gt=month).exists(), ps.username


def test_only_what_was_captured_just_now_leaves_work_and_mail() -> None:
    seed()
    kinds = dict(Outbox.objects.values_list("kind").annotate(number=Count("id")).order_by())
    assert kinds == {"attempt": 27, "mail": 14, "alert": 1}
    states = PSFollowup.objects.exclude(outbox__isnull=False).values_list("email_state", flat=True)
    assert set(states) <= {EmailState.SENT, EmailState.NOT_NEEDED}


def test_it_holds_together_before_and_after_the_recorder() -> None:
    seed()
    assert [invariant.name for invariant in INVARIANTS if offending(invariant)] == []
    with time_machine.travel(timezone.now() + timedelta(minutes=1)):
        assert record_waiting() == 27
    assert [invariant.name for invariant in INVARIANTS if offending(invariant)] == []


def test_its_work_has_not_waited_when_the_desk_has_started() -> None:
    """Else a new demo says of itself that mails and calls are late."""
    seed()
    assert record_waiting() == 0
    desk_runs = timezone.now() + timedelta(seconds=15)
    assert not Outbox.objects.filter(created_at__lt=desk_runs).exists()
    assert not Outbox.objects.filter(not_before__gt=desk_runs + timedelta(seconds=15)).exists()


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
