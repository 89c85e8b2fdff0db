"""A process that the launcher runs: started so that it cannot outlive it, with a log, stopped as a group."""

import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import FrameType
from typing import IO

from devstack import kernel, tether
from devstack.account import Account


class Stopped(Exception):
    """Somebody asked the launcher to stop."""


class Requests:
    """The signals received. They are only noted; whoever waits looks, so nothing is torn in the middle."""

    def __init__(self) -> None:
        self._count = 0
        for number in tether.heeded():
            signal.signal(number, self._note)
        # Held back since before this Python started; one that came meanwhile arrives now.
        signal.pthread_sigmask(signal.SIG_UNBLOCK, tether.STOPPING)

    def _note(self, number: int, frame: FrameType | None) -> None:
        self._count += 1

    @property
    def asked(self) -> bool:
        return self._count > 0 or tether.front_is_gone()

    @property
    def in_a_hurry(self) -> bool:
        return self._count > 1 or tether.front_is_gone()

    def wait(self, until: Callable[[], bool], seconds: float) -> bool:
        """False when the time is up; `Stopped` when somebody no longer wants to wait for it."""
        deadline = time.monotonic() + seconds
        while not until():
            if self.asked:
                raise Stopped
            if time.monotonic() > deadline:
                return False
            time.sleep(0.02)
        return True


@dataclass
class Service:
    name: str
    process: subprocess.Popen[bytes]
    log: Path
    stop_signal: signal.Signals = signal.SIGTERM
    patience: float = 5.0
    hurried: float = 0.0

    @property
    def ended(self) -> bool:
        return self.process.poll() is not None

    def becomes(self, ready: Callable[[], bool], requests: Requests, seconds: float) -> bool:
        """Wait for it; one that does not make it, or is no longer wanted, is stopped again."""
        good = False
        try:
            good = requests.wait(lambda: self.ended or ready(), seconds) and not self.ended
        finally:
            if not good:
                self.stop(requests)
        return good

    def finishes(self, requests: Requests, seconds: float) -> bool:
        """For a program that has an end: did it come to a good one?"""
        self.becomes(lambda: False, requests, seconds)
        return self.process.returncode == 0

    def stop(self, requests: Requests) -> None:
        """Ask, wait (less when in a hurry), then kill whatever of the group is left."""
        if not self.ended:
            kernel.signal_quietly(self.process.pid, self.stop_signal)
        began = time.monotonic()
        while not self.ended and time.monotonic() - began < (self.hurried if requests.in_a_hurry else self.patience):
            time.sleep(0.02)
        kernel.signal_group(self.process.pid, signal.SIGKILL)
        self.process.wait()

    def last_words(self, lines: int = 12) -> str:
        try:
            text = self.log.read_text(errors="replace")
        except OSError:
            return ""
        return "\n".join(f"  {line}" for line in text.splitlines()[-lines:])


@dataclass(frozen=True)
class Program:
    """What is to be run. All that most programs need is a name, a command and a log."""

    name: str
    command: Sequence[str]
    log: Path
    account: Account | None = None
    cwd: Path | None = None
    typed: str = ""
    pass_fds: Sequence[int] = ()
    keep_stdout: bool = False
    if_orphaned: signal.Signals = signal.SIGKILL


@dataclass(frozen=True)
class Starter:
    """What all processes of one launcher have in common."""

    cwd: Path
    environment: Mapping[str, str]

    def start(self, program: Program) -> Service:
        """In a session of its own, so that Ctrl-C reaches the launcher alone."""
        account = program.account
        with program.log.open("ab") as output, _as_input(program.typed) as keyboard:
            process = subprocess.Popen(
                program.command,
                cwd=program.cwd or self.cwd,
                env=self.environment,
                stdin=keyboard,
                stdout=None if program.keep_stdout else output,
                stderr=output,
                start_new_session=True,
                preexec_fn=kernel.tied_to_parent(program.if_orphaned),
                pass_fds=program.pass_fds,
                user=account.uid if account else None,
                group=account.gid if account else None,
                extra_groups=[] if account else None,
                umask=0o077 if account else -1,
            )
        return Service(program.name, process, program.log)


def _as_input(text: str) -> IO[bytes]:
    """A file rather than a pipe: nobody has to stand by and write."""
    if not text:
        return Path(os.devnull).open("rb")
    file = tempfile.TemporaryFile()  # noqa: SIM115 - the caller closes it
    file.write(text.encode())
    file.seek(0)
    return file


def python(module: str, *arguments: str) -> list[str]:
    return [sys.executable, "-m", module, *arguments]
