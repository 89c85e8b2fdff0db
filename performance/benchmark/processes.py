"""The processes of a run: each in a session of its own, so that Ctrl-C meets only the command, which ends them all."""

import contextlib
import ctypes
import os
import shlex
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any

from django.conf import settings

READY_WITHIN = 60
STOP_WITHIN = 15
PR_SET_PDEATHSIG = 1


class Failed(Exception):
    """A process ended, or did not come up; with what it said last."""


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def environment(changes: Mapping[str, str]) -> dict[str, str]:
    """Ours, with these variables instead."""
    dropped = {f"{name}_FILE" for name in changes} | {"ALLOWED_HOSTS", "DEBUG"}
    kept = {name: value for name, value in os.environ.items() if name not in dropped}
    return {**kept, "PYTHONPATH": str(settings.BASE_DIR), **changes}


class Processes:
    """A context that has ended everything it started when it is left, however that happens."""

    def __init__(self, logs: Path) -> None:
        self._logs = logs
        self._running: list[tuple[str, subprocess.Popen[bytes]]] = []
        self._expected: dict[str, int] = {}

    def __enter__(self) -> "Processes":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for _, process in self._running:
            _signal(process, signal.SIGTERM)
        deadline = time.monotonic() + STOP_WITHIN
        for _, process in self._running:
            _ended(process, max(0.1, deadline - time.monotonic()))

    def start(
        self, name: str, arguments: Sequence[str], variables: Mapping[str, str], *, port: int = 0
    ) -> "subprocess.Popen[bytes]":
        """Starts a module of Python; `wait` waits until it listens at its `port`."""
        process = _popen(self._log(name), arguments, variables, subprocess.DEVNULL)
        self._running.append((name, process))
        self._expected[name] = port
        return process

    def module(self, name: str, module: str, *arguments: str, variables: Mapping[str, str], limit: float) -> str:
        """Runs a module of Python to its end and gives what it printed."""
        process = _popen(self._log(name), ["-m", module, *arguments], variables, subprocess.PIPE)
        self._running.append((name, process))
        try:
            printed, _ = process.communicate(timeout=limit)
        except subprocess.TimeoutExpired:
            raise Failed(f"{name} took longer than {limit:.0f} s.") from None
        self._running.remove((name, process))
        if process.returncode:
            raise Failed(f"{name} ended with code {process.returncode}: {self.last_words(name)}")
        return printed.decode()

    def server(self, name: str, application: str, variables: Mapping[str, str]) -> int:
        """gunicorn as deployed, on a free port of loopback, which is returned; `wait` waits for it."""
        port = free_port()
        own = {**variables, "PORT": str(port), "SITE_URL": f"http://127.0.0.1:{port}"}
        config = Path(settings.BASE_DIR) / "deploy" / "gunicorn.conf.py"
        self.start(name, ["-m", "gunicorn", "--config", str(config), application], own, port=port)
        return port

    def deployed(self, name: str, variables: Mapping[str, str]) -> None:
        """Starts one of the Procfile's own: worker or beat."""
        lines = (Path(settings.BASE_DIR) / "Procfile").read_text().splitlines()
        command = dict(line.split(":", 1) for line in lines if ":" in line)[name]
        self.start(name, ["-m", *shlex.split(command)], variables)

    def stop(self, name: str) -> None:
        """Ends the process of this name, and whatever it has started."""
        [process] = [process for known, process in self._running if known == name]
        _signal(process, signal.SIGTERM)
        _ended(process, STOP_WITHIN)
        self._running.remove((name, process))

    def wait(self) -> None:
        """Until everything that was started listens. Raises Failed where one has ended instead."""
        for name, process in self._running:
            self._wait_for(name, process, self._expected[name])

    def _wait_for(self, name: str, process: "subprocess.Popen[bytes]", port: int) -> None:
        deadline = time.monotonic() + READY_WITHIN
        while time.monotonic() < deadline:
            if process.poll() is not None:
                raise Failed(f"{name} did not start: {self.last_words(name)}")
            with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), 1):
                return
            time.sleep(0.05)
        raise Failed(f"{name} did not answer within {READY_WITHIN} s: {self.last_words(name)}")

    def last_words(self, name: str) -> str:
        return self._log(name).read_text(errors="replace")[-2000:]

    def _log(self, name: str) -> Path:
        return self._logs / f"{name}.log"


def _popen(log: Path, arguments: Sequence[str], variables: Mapping[str, str], out: Any) -> "subprocess.Popen[bytes]":
    with log.open("ab") as said:
        return subprocess.Popen(  # noqa: S603 - our own modules
            [sys.executable, *arguments],
            cwd=settings.BASE_DIR,
            env=environment(variables),
            stdin=subprocess.DEVNULL,
            stdout=said if out == subprocess.DEVNULL else out,
            stderr=said,
            start_new_session=True,
            preexec_fn=_die_with_parent,
        )


def _die_with_parent() -> None:
    """Where the kernel can: nobody can catch a SIGKILL of the command, but its children hear of it."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGTERM)


def _signal(process: "subprocess.Popen[bytes]", number: signal.Signals) -> None:
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(process.pid, number)


def _ended(process: "subprocess.Popen[bytes]", within: float) -> None:
    """Waits for one that was told to end, and kills it and what it has left behind."""
    with contextlib.suppress(subprocess.TimeoutExpired):
        process.wait(within)
    _signal(process, signal.SIGKILL)
    process.wait()
