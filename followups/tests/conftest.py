"""Real Celery workers on the test's own database and Redis, and a mail server that really speaks SMTP."""

import email
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from email.message import Message
from pathlib import Path
from urllib.parse import quote

import pytest
from aiosmtpd.controller import Controller
from django.conf import settings
from django.db import connection
from django_redis import get_redis_connection

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
