"""Timings that no other test has left, and Redis servers that misbehave."""

import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path

import pytest
from django.conf import settings as django_settings
from redis import Redis

from performance import timings


def try_again() -> None:
    """Forgets that Redis has failed, and the connections to it."""
    timings._pause_until = 0.0
    while timings._clients:
        timings._clients.popitem()[1].close()


@pytest.fixture
def quiet(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Nothing counted yet, and nothing written but by `timings.flush()`: the writing thread is not woken."""
    awake = threading.Event()
    awake.set()
    monkeypatch.setattr(timings, "_something", awake)
    monkeypatch.setattr(timings, "_lost", 0)
    # The machine may be busy with other tests.
    monkeypatch.setattr(timings, "PATIENCE_SECONDS", 10)
    timings._waiting.clear()
    try_again()
    redis = Redis.from_url(django_settings.REDIS_URL)
    for key in redis.scan_iter(f"{timings.PREFIX}:*"):
        redis.delete(key)
    yield
    timings._waiting.clear()
    try_again()
    redis.close()


# Of one attempt: where something waits on a new connection before anything was asked, redis-py makes another one.
MOST_VISITS = 2


class Impostor:
    """Listens where Redis should; counts who comes, and answers each with `words`, or never."""

    def __init__(self, path: Path, words: bytes | None) -> None:
        self.url = f"unix://{path}"
        self.visits = 0
        self._words = words
        self._open: list[socket.socket] = []
        self._listening = socket.socket(socket.AF_UNIX)
        self._listening.bind(str(path))
        self._listening.listen()
        threading.Thread(target=self._serve, daemon=True).start()

    def _serve(self) -> None:
        with suppress(OSError):
            while True:
                caller, _ = self._listening.accept()
                self.visits += 1
                self._open.append(caller)
                if self._words is not None:
                    caller.sendall(self._words)

    def close(self) -> None:
        with suppress(OSError):
            self._listening.shutdown(socket.SHUT_RDWR)
        self._listening.close()
        for caller in self._open:
            caller.close()


@pytest.fixture
def impostor(
    tmp_path: Path, quiet: None, monkeypatch: pytest.MonkeyPatch, settings: object
) -> Iterator[Callable[[bytes | None], Impostor]]:
    """Puts one in the place of Redis, for the timings alone."""
    standing: list[Impostor] = []

    def stand(words: bytes | None) -> Impostor:
        standing.append(Impostor(tmp_path / f"{len(standing)}.sock", words))
        settings.REDIS_URL = standing[-1].url  # type: ignore[attr-defined]
        monkeypatch.setattr(timings, "PATIENCE_SECONDS", 0.1)
        try_again()
        return standing[-1]

    yield stand
    for one in standing:
        one.close()
