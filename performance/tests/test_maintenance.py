"""Each job of the maintenance does what it says, only that, only says so when dry, and minds the running desk."""

import io
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from axes.models import AccessAttempt
from django.conf import settings
from django.contrib.sessions.models import Session
from django.core.management import CommandError, call_command
from django.db import connection
from django.utils import timezone

from conftest import Cast
from followups.maintenance import stuck
from followups.models import Outbox
from followups.priority import priority
from followups.recorder import record_waiting
from followups.tests.conftest import Workers, inbox, until, workers  # noqa: F401 - fixtures
from leads.capture import capture
from leads.maintenance import clear_abandoned_claims
from leads.models import LeadMaster
from leads.next_call import claim
from leads.tests.factories import enquiry, make_lead
from performance import maintenance
from performance.maintenance import JOBS
from performance.tasks import maintain

HOUR, DAY = timedelta(hours=1), timedelta(days=1)
# Of a lead of which nothing is known.
PRIORITY = priority(category="", enquiries=1, promised=False)


def do(*arguments: str) -> str:
    said = io.StringIO()
    call_command("maintain", *arguments, stdout=said, no_color=True)
    return said.getvalue()


def a_session(key: str, ends_in: timedelta) -> None:
    Session.objects.create(session_key=key, session_data="", expire_date=timezone.now() + ends_in)


def a_sign_in(username: str, before: timedelta) -> None:
    attempt = AccessAttempt.objects.create(username=username, ip_address="127.0.0.1", failures_since_start=1)
    AccessAttempt.objects.filter(pk=attempt.pk).update(attempt_time=timezone.now() - before)


def a_claim(cast: Cast, ended: timedelta) -> LeadMaster:
    return make_lead(cast.asha, priority=PRIORITY, next_call_by=cast.asha, next_call_until=timezone.now() - ended)


def claimed() -> set[int]:
    return set(LeadMaster.objects.filter(next_call_by__isnull=False).values_list("pk", flat=True))


def plant(cast: Cast) -> None:
    """Of everything that a job deals with one that is due, and one that is not."""
    a_session("old", -HOUR)
    a_session("new", HOUR)
    a_sign_in("old", 31 * DAY)
    a_sign_in("new", 29 * DAY)
    a_claim(cast, 2 * HOUR)
    a_claim(cast, -HOUR / 6)
    make_lead(cast.asha, attempts=3, priority=PRIORITY)
    capture(enquiry(), cast.asha)
    old = timezone.now() - HOUR
    Outbox.objects.update(not_before=old)


def stands() -> dict[str, Any]:
    return {
        "sessions": set(Session.objects.values_list("pk", flat=True)),
        "sign-ins": set(AccessAttempt.objects.values_list("username", flat=True)),
        "next-calls": len(claimed()),
        "outbox": Outbox.objects.count(),
        "counters": sum(LeadMaster.objects.values_list("attempts", flat=True)),
    }


AFTER = {"sessions": {"new"}, "sign-ins": {"new"}, "next-calls": 1, "outbox": 1, "counters": 0}


@pytest.mark.django_db
@pytest.mark.parametrize("name", JOBS)
def test_a_job_deals_with_what_is_due_and_a_dry_run_only_says_so(cast: Cast, name: str) -> None:
    plant(cast)
    before = stands()
    assert do("--dry-run", name).splitlines()[0] == f"{name}: 1 {JOBS[name].found} (nothing was changed)."
    assert stands() == before
    assert do(name).splitlines()[0] == f"{name}: 1 {JOBS[name].found}."
    assert stands() == {**before, name: AFTER[name]}
    again = 1 if name == "outbox" else 0
    assert do(name).startswith(f"{name}: {again} ")


@pytest.mark.django_db
def test_without_a_name_all_of_it_is_done(cast: Cast) -> None:
    plant(cast)
    assert [line.split(":")[0] for line in do().splitlines() if not line.startswith(" ")] == list(JOBS)
    assert stands() == AFTER


@pytest.mark.django_db
def test_a_job_that_is_not_there_is_refused() -> None:
    with pytest.raises(CommandError, match="There is no job leads"):
        do("leads")


@pytest.mark.django_db
def test_it_goes_in_batches_and_leaves_the_rest_for_the_next_time(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(maintenance, "BATCH", 2)
    monkeypatch.setattr(maintenance, "BATCHES", 3)
    for number in range(9):
        a_session(f"old-{number}", -HOUR)
    assert [do("sessions") for _ in range(3)] == [f"sessions: {n} expired sessions.\n" for n in (6, 3, 0)]


@pytest.mark.django_db
@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({}, None),
        ({"not_before": -HOUR}, "due for more than 15 minutes"),
        ({"state": "claimed", "claimed_until": HOUR}, None),
        ({"state": "claimed", "claimed_until": -HOUR}, "claimed, and left for more than 15 minutes"),
        ({"state": "dead", "created_at": -6 * DAY}, None),
        ({"state": "dead", "created_at": -8 * DAY}, "given up, and older than 7 days"),
    ],
)
def test_what_stays_in_the_outbox_is_told_and_stays(cast: Cast, change: dict[str, Any], words: str | None) -> None:
    capture(enquiry(), cast.asha)
    now = timezone.now()
    Outbox.objects.update(
        **{name: now + value if isinstance(value, timedelta) else value for name, value in change.items()}
    )
    rows = list(Outbox.objects.values())
    found = list(stuck(now))
    assert [one.words.startswith(words or "-") for one in found] == ([True] if words else [])
    do("outbox")
    assert list(Outbox.objects.values()) == rows


@pytest.mark.django_db
def test_an_attempt_that_is_recorded_and_still_there_is_told(cast: Cast) -> None:
    capture(enquiry(), cast.asha)
    row = Outbox.objects.get()
    record_waiting()
    row.save(force_insert=True)
    assert [one.words for one in stuck(timezone.now())] == ["recorded, and still there: delete them in the admin."]


@pytest.mark.django_db
def test_a_next_call_that_somebody_has_in_hand_stays_theirs(cast: Cast) -> None:
    make_lead(cast.asha)
    lead = claim(cast.asha)
    assert lead
    do("next-calls")
    assert claimed() == {lead.pk}


@pytest.mark.django_db(transaction=True)
def test_a_lead_that_is_being_saved_is_passed_over(cast: Cast) -> None:
    saved, other = a_claim(cast, 2 * HOUR), a_claim(cast, 2 * HOUR)
    rival = connection.copy()
    try:
        rival.set_autocommit(False)
        with rival.cursor() as cursor:
            cursor.execute("SELECT FROM lead_master WHERE id = %s FOR NO KEY UPDATE", [saved.pk])
        assert clear_abandoned_claims(timezone.now(), 10) == 1
        assert claimed() == {saved.pk}
    finally:
        rival.rollback()
        rival.close()
    assert clear_abandoned_claims(timezone.now(), 10) == 1
    assert other.pk not in claimed()


def test_beat_does_every_job_at_a_time_of_its_own() -> None:
    entries: list[dict[str, Any]] = list(settings.CELERY_BEAT_SCHEDULE.values())
    planned = {entry["args"][0]: entry["schedule"] for entry in entries if entry["task"] == maintain.name}
    assert set(planned) == set(JOBS)
    assert len(set(map(repr, planned.values()))) == len(JOBS)


@pytest.mark.worker
@pytest.mark.django_db(transaction=True)
def test_a_worker_does_it_when_beat_asks(
    cast: Cast,
    workers: Workers,  # noqa: F811 - a fixture
) -> None:
    a_claim(cast, 2 * HOUR)
    held = a_claim(cast, -HOUR / 6)
    wrong = make_lead(cast.asha, attempts=3, priority=PRIORITY)
    workers.start("worker", "--concurrency", "1", "--loglevel", "INFO")
    for name in ("next-calls", "counters"):
        workers.start("call", "performance.tasks.maintain", "--args", f'["{name}"]')
    done: list[Callable[[], bool]] = [
        lambda: claimed() == {held.pk},
        lambda: LeadMaster.objects.get(pk=wrong.pk).attempts == 0,
    ]
    for what in done:
        until(what, "the maintenance is done")
