"""What waits for the workers, what they gave up, and who they are: told cheaply, whatever the outbox holds."""

import time
from collections.abc import Callable, Iterator
from datetime import timedelta
from typing import Any

import pytest
from django.conf import settings as django_settings
from django.core import mail
from django.db import transaction
from django.utils import timezone
from pytest_django import DjangoAssertNumQueries, DjangoCaptureOnCommitCallbacks
from redis import Redis
from time_machine import TimeMachineFixture

from conftest import Cast
from followups import delivery, recorder
from followups.models import Kind, Outbox, State
from followups.tasks import WORKER_PROCESSES, mail_waiting, record_waiting
from leads.services import capture_lead
from leads.tests.factories import enquiry, make_lead
from performance import queue, timings
from performance.queue import Pile, state
from performance.tests.conftest import MOST_VISITS, Impostor

pytestmark = pytest.mark.django_db


@pytest.fixture
def redis() -> Iterator[Redis]:
    with Redis.from_url(django_settings.REDIS_URL) as redis:
        redis.delete(WORKER_PROCESSES)
        yield redis
        redis.delete(WORKER_PROCESSES)


def waiting(cast: Cast, kind: Kind = Kind.ALERT, *, minutes: float = 0, count: int = 1, **fields: Any) -> None:
    lead = make_lead(cast.asha)
    at = timezone.now() - timedelta(minutes=minutes)
    for _ in range(count):
        Outbox.objects.create(kind=kind, lead=lead, created_at=at, **fields)


def pile(kind: Kind) -> Pile:
    return next(pile for pile in state().piles if pile.kind == kind)


def test_what_waits_is_counted_by_kind_with_the_age_of_the_oldest(cast: Cast, quiet: None) -> None:
    waiting(cast, Kind.ALERT, minutes=3, tries=2)
    waiting(cast, Kind.ALERT)
    waiting(cast, Kind.ATTEMPT, count=3)
    alerts, attempts = pile(Kind.ALERT), pile(Kind.ATTEMPT)
    assert (str(alerts.waiting), alerts.tries, alerts.late) == ("2", 2, False)
    assert alerts.oldest is not None
    assert timezone.now() - alerts.oldest > timedelta(minutes=3)
    assert (str(attempts.waiting), attempts.late) == ("3", False)
    assert (str(pile(Kind.MAIL).waiting), pile(Kind.MAIL).oldest) == ("0", None)


@pytest.mark.parametrize(("kind", "minutes"), [(Kind.ATTEMPT, 1), (Kind.ALERT, 5)])
def test_work_that_waits_for_too_long_is_said_to(cast: Cast, quiet: None, kind: Kind, minutes: float) -> None:
    waiting(cast, kind, minutes=minutes - 0.5)
    assert not pile(kind).late
    waiting(cast, kind, minutes=minutes + 0.5)
    assert not pile(kind).late, "a younger row came first"
    Outbox.objects.all().delete()
    waiting(cast, kind, minutes=minutes + 0.5)
    assert pile(kind).late


def test_what_workers_hold_and_what_they_gave_up_is_counted_apart(cast: Cast, quiet: None) -> None:
    waiting(cast, state=State.CLAIMED, claimed_until=timezone.now(), count=2)
    waiting(cast, state=State.DEAD, last_error="550 no such mailbox", tries=30)
    found = state()
    assert (str(found.claimed), str(found.dead)) == ("2", "1")
    (given_up,) = found.given_up
    assert (given_up.error, given_up.tries) == ("550 no such mailbox", 30)
    assert given_up.address.startswith("/admin/followups/outbox/?state__exact=dead")
    assert given_up.uid in given_up.address


def test_of_very_many_it_counts_no_further_than_it_says(
    cast: Cast, quiet: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(queue, "MOST", 5)
    waiting(cast, Kind.ATTEMPT, count=5)
    assert str(pile(Kind.ATTEMPT).waiting) == "5"
    waiting(cast, Kind.ATTEMPT, count=3)
    assert str(pile(Kind.ATTEMPT).waiting) == "more than 5"


def test_it_asks_as_often_of_fifty_rows_as_of_two(
    cast: Cast, quiet: None, django_assert_num_queries: DjangoAssertNumQueries
) -> None:
    for count in (2, 48):
        waiting(cast, Kind.ATTEMPT, count=count)
        waiting(cast, state=State.DEAD, count=count)
        with django_assert_num_queries(2):
            state()


def test_each_process_that_is_nudged_counts_as_a_worker_for_a_minute(
    cast: Cast, quiet: None, redis: Redis, time_machine: TimeMachineFixture
) -> None:
    time_machine.move_to("2026-11-22 10:00:30+00:00", tick=False)
    assert state().workers == (0, None)
    record_waiting()
    mail_waiting()
    redis.zadd(WORKER_PROCESSES, {"elsewhere 12": time.time() - 60, "elsewhere 13": time.time() - 61})
    workers = state().workers
    assert workers == (2, 0)
    assert workers
    assert workers.alive


def test_workers_that_are_silent_are_not_called_alive(
    cast: Cast, quiet: None, redis: Redis, time_machine: TimeMachineFixture
) -> None:
    time_machine.move_to("2026-11-22 10:00:30+00:00", tick=False)
    redis.zadd(WORKER_PROCESSES, {"here 12": time.time() - 11})
    workers = state().workers
    assert workers == (1, 11)
    assert workers
    assert not workers.alive


def test_how_long_mails_and_attempts_have_waited_is_told(
    cast: Cast,
    quiet: None,
    time_machine: TimeMachineFixture,
    django_capture_on_commit_callbacks: DjangoCaptureOnCommitCallbacks,
) -> None:
    time_machine.move_to("2026-11-22 10:00:30+00:00", tick=False)
    capture_lead(enquiry(branch_id=cast.attapur.pk, ps_id=cast.kiran.pk), cast.asha)
    Outbox.objects.update(created_at=timezone.now() - timedelta(seconds=20))
    with django_capture_on_commit_callbacks(execute=True):
        assert recorder.record_waiting() == 1
    assert delivery.mail_waiting() == 1
    assert len(mail.outbox) == 1
    timings.flush()
    delays = {delay.name: delay for delay in state().delays or []}
    assert delays["mail_delay"].count == delays["record_delay"].count == 1
    for delay in delays.values():
        assert delay.p95 == pytest.approx(20, rel=0.25)
        assert delay.late


def test_a_recording_that_is_rolled_back_has_ended_nobodys_waiting(
    cast: Cast, quiet: None, django_capture_on_commit_callbacks: DjangoCaptureOnCommitCallbacks
) -> None:
    capture_lead(enquiry(), cast.asha)
    with django_capture_on_commit_callbacks(execute=True), transaction.atomic():
        assert recorder.record_waiting() == 1
        transaction.set_rollback(True)
    timings.flush()
    assert "record_delay" not in timings.figures("minutes")


@pytest.mark.parametrize("words", [None, b"HTTP/1.1 400 Bad Request\r\n\r\n"], ids=["hangs", "answers nonsense"])
def test_a_redis_that_fails_hides_the_workers_and_nothing_else(
    cast: Cast, impostor: Callable[[bytes | None], Impostor], words: bytes | None
) -> None:
    standing = impostor(words)
    waiting(cast, Kind.ALERT)
    found = state()
    assert found.workers is None
    assert found.delays is None
    assert str(found.piles[2].waiting) == "1"
    assert standing.visits <= MOST_VISITS


def test_whose_mail_was_given_up_is_not_in_the_figures(cast: Cast, quiet: None) -> None:
    waiting(cast, state=State.DEAD, last_error="550 kavya@example.com")
    told = str(state().as_json())
    assert "kavya" not in told
    assert "'dead': 1" in told
