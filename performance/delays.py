"""How long work has waited from the save that asked for it to its end: told by the workers' modules, and counted."""

import time
from typing import Any

from followups.delivery import mail_left
from followups.recorder import attempts_recorded
from performance import timings
from performance.operations import OPERATIONS
from performance.timings import Timing


def listen() -> None:
    mail_left.connect(_mail_left, dispatch_uid="mail delay")
    attempts_recorded.connect(_attempts_recorded, dispatch_uid="record delay")


def _mail_left(seconds: float, **_: Any) -> None:
    _count("mail_delay", seconds)


def _attempts_recorded(seconds: list[float], **_: Any) -> None:
    for one in seconds:
        _count("record_delay", one)


def _count(name: str, seconds: float) -> None:
    # Two machines' clocks may differ a little.
    waited = max(seconds, 0.0)
    timings.record(Timing(time.time(), OPERATIONS[name], waited, 0, 0.0, 0, 0, timings.OK))
