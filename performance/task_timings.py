"""Takes the time of a worker's tasks; the Celery application says when one begins and ends."""

from performance import timings
from performance.measuring import Measured
from performance.noting import note
from performance.operations import of_task

_running: dict[str, Measured] = {}


def begin(task_id: str) -> None:
    _running[task_id] = Measured()


def end(task_id: str, name: str, *, failed: bool) -> None:
    measured = _running.pop(task_id, None)
    if measured is not None:
        measured.end()
        note(of_task(name), measured, timings.FAILED if failed else timings.OK)
