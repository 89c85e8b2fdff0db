"""The whole way, with a real worker and beat on a real Redis, and a mail server that really speaks SMTP."""

import email
import os
import signal
from collections import Counter
from email.message import Message

import pytest
from django.conf import settings
from django.utils import timezone
from django_redis import get_redis_connection

from conftest import Cast
from followups.models import CallAttempt, EmailState, Outbox, PSFollowup, State
from followups.tests.conftest import Inbox, Workers, until
from leads.capture import capture
from leads.models import LeadMaster
from leads.tests.factories import enquiry

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.worker]


def test_two_hundred_leads_in_are_two_hundred_attempts_and_the_right_mails_once_each(
    cast: Cast, inbox: Inbox, workers: Workers
) -> None:
    workers.start("worker", "--concurrency", "2", "--loglevel", "INFO")
    workers.start("beat", "--loglevel", "INFO", "--pidfile", "")
    sellers = {cast.kiran: cast.attapur, cast.sunil: cast.malakpet}
    told: Counter[str] = Counter()
    repeats = 0
    for number in range(200):
        ps = [cast.kiran, cast.sunil, None, None][number % 4]
        typed = enquiry(ps_id=ps and ps.pk, branch_id=ps and sellers[ps].pk, cause=f"request-{number}")
        capture(typed, cast.asha)
        if ps:
            told[ps.email] += 1
        if number % 20 == 0:
            capture(enquiry(phone=typed.phone, source="OEM", sub_source="Web"), cast.ravi)
            repeats += 1

    until(lambda: not Outbox.objects.exists(), "the outbox is empty")

    assert CallAttempt.objects.count() == 200 + repeats
    assert set(LeadMaster.objects.values_list("attempts", flat=True)) == {1, 2}
    assert not LeadMaster.objects.filter(first_attempt_at=None).exists()
    assert set(PSFollowup.objects.values_list("email_state", flat=True)) == {EmailState.SENT}
    ids = [mail["Message-ID"] for mail in inbox.mails]
    assert len(ids) == len(set(ids)) == 100 + repeats
    subjects = Counter(str(mail["To"]) for mail in inbox.mails if "assigned" in _subject(mail))
    assert subjects == {f"{name} <{address}>": told[address] for address in told for name in [_name(address)]}


def test_a_killed_worker_and_a_flushed_queue_lose_and_double_nothing(
    cast: Cast, inbox: Inbox, workers: Workers
) -> None:
    inbox.answer = lambda number: "451 busy" if number % 7 == 0 else "250 taken"
    workers.start("beat", "--loglevel", "INFO", "--pidfile", "")
    first = workers.start("worker", "--concurrency", "2", "--loglevel", "INFO")
    for _ in range(60):
        capture(enquiry(ps_id=cast.kiran.pk, branch_id=cast.attapur.pk), cast.asha)
    until(lambda: len(inbox.mails) > 5, "some mails are out")
    os.killpg(first.pid, signal.SIGKILL)
    first.wait(5)
    get_redis_connection("default").flushdb()
    # The leases of the dead end now instead of in minutes.
    Outbox.objects.filter(state=State.CLAIMED).update(claimed_until=timezone.now())
    workers.start("worker", "--concurrency", "2", "--loglevel", "INFO")

    def settled() -> bool:
        # What the mail server put off is due at once, too.
        Outbox.objects.filter(state=State.WAITING).update(not_before=timezone.now())
        return not Outbox.objects.exists()

    until(settled, "everything is sent")
    assert CallAttempt.objects.count() == 60
    assert set(PSFollowup.objects.values_list("email_state", flat=True)) == {EmailState.SENT}
    ids = Counter(mail["Message-ID"] for mail in inbox.mails)
    assert len(ids) == 60
    # Two processes were killed: at most the mail that each of them had in hand may have gone out twice.
    assert sum(ids.values()) - len(ids) <= 2


def test_beat_nudges_tasks_that_the_worker_knows() -> None:
    from crm.celery import app

    app.loader.import_default_modules()
    for entry in settings.CELERY_BEAT_SCHEDULE.values():
        assert entry["task"] in app.tasks


def _subject(mail: Message) -> str:
    return str(email.header.make_header(email.header.decode_header(mail["Subject"])))


def _name(address: str) -> str:
    return address.split("@")[0].title()
