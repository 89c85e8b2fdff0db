"""Two processes that guard one another, so that SIGKILL of either leaves nothing behind.

The *front* is the one that was started: it passes signals on and waits. The *desk*, its child in a session of
its own, does the work. When the front is killed the desk gets SIGTERM from the kernel and stops everything;
when the desk is killed the front inherits all that the desk had started and kills it."""

import os
import signal
import sys
from types import FrameType

from devstack import kernel
from devstack.console import refuse, say

STOPPING = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
_FRONT = "DESK_FRONT_PID"


def split() -> None:
    """Returns in the desk; the front never comes back from here."""
    front = os.getpid()
    kernel.adopt_orphans()
    # Held back until both sides have their handlers, so that a signal in between is late rather than lost.
    signal.pthread_sigmask(signal.SIG_BLOCK, STOPPING)
    desk = os.fork()
    if desk:
        os._exit(_stand_in_front_of(desk))
    os.setsid()
    kernel.adopt_orphans()
    for number in heeded():
        signal.signal(number, _give_up)
    kernel.die_with_parent(signal.SIGTERM)
    os.environ[_FRONT] = str(front)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, STOPPING)
    if front_is_gone():
        os._exit(1)


def front_pid() -> int:
    """The process that a person sees, and would stop."""
    return int(os.environ.get(_FRONT) or os.getpid())


def front_is_gone() -> bool:
    return _FRONT in os.environ and os.getppid() != front_pid()


def heeded() -> list[signal.Signals]:
    """All of them, except a hang-up that nohup asked to ignore."""
    return [n for n in STOPPING if not (n is signal.SIGHUP and signal.getsignal(n) is signal.SIG_IGN)]


def _give_up(number: int, frame: FrameType | None) -> None:
    """While the environment is being made there is nothing to stop in order: kill the installers and go."""
    kernel.sweep()
    os._exit(128 + number)


def _stand_in_front_of(desk: int) -> int:
    def pass_on(number: int, frame: FrameType | None) -> None:
        kernel.signal_quietly(desk, number)

    for number in heeded():
        signal.signal(number, pass_on)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, STOPPING)
    code = os.waitstatus_to_exitcode(os.waitpid(desk, 0)[1])
    kernel.sweep()
    if code == -signal.SIGKILL:
        refuse("The launcher was killed; what it had started has been stopped, so simply start it again.")
    elif code < 0 or code > 128:
        say("Stopped.")
    sys.stdout.flush()
    return code if code >= 0 else 128 - code
