"""The whole way, with a real worker and beat on a real Redis, and a mail server that really speaks SMTP."""

import email
import os
import signal
import socket
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator
from email.message import Message
from pathlib import Path
from urllib.parse import quote

import pytest
from aiosmtpd.controller import Controller
from django.conf import settings
from django.db import connection
from django.utils import timezone
from django_redis import get_redis_connection

from conftest import Cast
from followups.models import CallAttempt, EmailState, Outbox, PSFollowup, State
from leads.capture import capture
from leads.models import LeadMaster
from leads.tests.factories import enquiry

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.worker]
# Starting Celery takes some seconds on a small machine, so these tests may take longer than a second each.
PATIENCE = 60


class Inbox:
    """An SMTP server that keeps what it takes; `answer` may refuse instead."""

    def __init__(self) -> None:
        self.mails: list[Message] = []
        self.answer: Callable[[int], str] = lambda number: "250 taken"
        self.asked = 0
        self.port = 0

    async def handle_DATA(self, server: object, session: object, envelope: object) -> str:  # noqa: N802 - aiosmtpd's name
        self.asked += 1
        answer = self.answer(self.asked)
        if answer.startswith("250"):
            self.mails.append(email.message_from_bytes(envelope.content))  # type: ignore[attr-defined]
        return answer


@pytest.fixture
def inbox() -> Iterator[Inbox]:
    inbox = Inbox()
    with socket.create_server(("127.0.0.1", 0)) as free:
        inbox.port = free.getsockname()[1]
    controller = Controller(inbox, hostname="127.0.0.1", port=inbox.port)
    controller.start()
    yield inbox
    controller.stop()


class Workers:
    """Celery processes on the test's own database and Redis."""

    def __init__(self, inbox: Inbox, directory: Path) -> None:
        self.environment = {
            **os.environ,
            "DATABASE_URL": database_url(),
            "REDIS_URL": settings.REDIS_URL,
            "EMAIL_URL": f"smtp://127.0.0.1:{inbox.port}",
            "DATA_DIR": str(directory),
        }
        self.log = (directory / "celery.log").open("ab")
        self.running: list[subprocess.Popen[bytes]] = []

    def start(self, *arguments: str) -> subprocess.Popen[bytes]:
        command = [sys.executable, "-m", "celery", "-A", "crm", *arguments]
        process = subprocess.Popen(
            command,
            cwd=settings.BASE_DIR,
            env=self.environment,
            stdout=self.log,
            stderr=self.log,
            start_new_session=True,
        )
        self.running.append(process)
        return process

    def stop(self) -> None:
        for process in self.running:
            if process.poll() is None:
                process.terminate()
        for process in self.running:
            try:
                process.wait(20)
            except subprocess.TimeoutExpired:
                os.killpg(process.pid, signal.SIGKILL)
                process.wait(5)
        self.log.close()


def database_url() -> str:
    parts = connection.settings_dict
    host, port = quote(str(parts["HOST"]), safe=""), parts["PORT"] or "5432"
    password = f":{quote(parts['PASSWORD'], safe='')}" if parts["PASSWORD"] else ""
    return f"postgresql://{parts['USER']}{password}@/{parts['NAME']}?host={host}&port={port}"


@pytest.fixture
def workers(inbox: Inbox, tmp_path: Path) -> Iterator[Workers]:
    get_redis_connection("default").flushdb()
    workers = Workers(inbox, tmp_path)
    yield workers
    workers.stop()


def until(done: Callable[[], bool], what: str) -> None:
    deadline = time.monotonic() + PATIENCE
    while not done():
        assert time.monotonic() < deadline, f"still waiting until {what}"
        time.sleep(0.1)


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
