"""The few things only the kernel can promise: a child dies with its parent, and no descendant gets lost.
All of it is Linux; elsewhere these do nothing and the process groups in service.py have to do."""

import ctypes
import os
import signal
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

_PR_SET_PDEATHSIG = 1
_PR_SET_CHILD_SUBREAPER = 36

# Loaded here, not after a fork: a fresh child must not load libraries.
_libc = ctypes.CDLL(None, use_errno=True) if sys.platform == "linux" else None


def adopt_orphans() -> None:
    """Become the parent of every descendant whose own parent dies, so that none escapes `descendants`."""
    if _libc is not None:
        _libc.prctl(_PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)


def die_with_parent(number: signal.Signals) -> None:
    """Get this signal when the parent ends, however it ends. Call it after changing user, which clears it."""
    if _libc is not None:
        _libc.prctl(_PR_SET_PDEATHSIG, int(number), 0, 0, 0)


def tied_to_parent(number: signal.Signals) -> Callable[[], None]:
    """For Popen's preexec_fn: die with the parent, and at once if it is gone already."""
    parent = os.getpid()

    def tie() -> None:
        die_with_parent(number)
        if os.getppid() != parent:
            os._exit(1)

    return tie


def _parents() -> dict[int, int]:
    """pid -> parent's pid of every living process; a zombie is dead."""
    found: dict[int, int] = {}
    for entry in Path("/proc").glob("[0-9]*"):
        try:
            state, parent = (entry / "stat").read_text(errors="replace").rpartition(")")[2].split()[:2]
        except (OSError, ValueError):
            continue
        if state not in "ZX":
            found[int(entry.name)] = int(parent)
    return found


def alive(pid: int) -> bool:
    """Is there such a process, and is it more than a zombie?"""
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        pass
    return pid in _parents() if _libc is not None else True


def descendants(root: int) -> list[int]:
    parents = _parents()
    family, found = {root}, True
    while found:
        young = {pid for pid, parent in parents.items() if parent in family} - family
        family |= young
        found = bool(young)
    return sorted(family - {root})


def sweep(seconds: float = 10.0) -> bool:
    """SIGKILL every descendant of this process until none is left. True when none is."""
    deadline = time.monotonic() + seconds
    while family := descendants(os.getpid()):
        for pid in family:
            signal_quietly(pid, signal.SIGKILL)
        if time.monotonic() > deadline:
            return False
        time.sleep(0.02)
    return True


def signal_quietly(pid: int, number: int) -> None:
    with suppress(ProcessLookupError, PermissionError):
        os.kill(pid, number)


def signal_group(pid: int, number: int) -> None:
    """To every process of a group whose leader we started (and whose number is therefore still ours)."""
    with suppress(ProcessLookupError, PermissionError):
        os.killpg(pid, number)
