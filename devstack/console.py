"""What the scripts say to the person who started them: progress lines, and refusals of one sentence."""

import os
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TextIO


class Refusal(Exception):
    """The scripts cannot go on; the message is one sentence that says what to do."""


class _Voice:
    """Where progress goes. script/test and script/manage keep standard output for the command they run."""

    stream: TextIO = sys.stdout


def speak_on_stderr() -> None:
    _Voice.stream = sys.stderr


def say(text: str = "", end: str = "\n") -> None:
    """Print at once, and never fail: a closed terminal must not keep the servers from being stopped."""
    try:
        _Voice.stream.write(text + end)
        _Voice.stream.flush()
    except (OSError, UnicodeError, ValueError):
        _Voice.stream = Path(os.devnull).open("w")  # noqa: SIM115 - as long as the process


def refuse(sentence: object) -> None:
    speak_on_stderr()
    say(str(sentence))


def harden_streams() -> None:
    """Under a broken LANG the streams may be ASCII: print a question mark rather than die of a letter."""
    for stream in (sys.stdout, sys.stderr):
        reconfigure = getattr(stream, "reconfigure", None)
        if reconfigure is not None:
            reconfigure(errors="replace")


@contextmanager
def step(what: str) -> Iterator[None]:
    """One progress line: the name when it begins, the time that it took when it is done."""
    say(f"{what + ' ':.<44}", end=" ")
    began = time.monotonic()
    try:
        yield
    except BaseException:
        say()
        raise
    say(f"{time.monotonic() - began:5.1f} s")
