"""The workers' part of a run: rows of the outbox a second, and how long a saved lead waits for them."""

import json
import time
from dataclasses import dataclass
from typing import Any

import psycopg

from performance.benchmark import operations
from performance.benchmark.load import Sample, press
from performance.benchmark.operations import Operation
from performance.benchmark.processes import Failed, Processes

DRAIN = "performance.benchmark.drain"
# A trickle is more than a dealer's busiest minute, and less than what a worker can do.
CAPTURES_A_SECOND = 20
FEWEST_CAPTURES = 5
EMPTY_WITHIN = 60
CELERY = ("worker", "beat")
# What the workers note of each row they have done, by their own clock on the same machine, in milliseconds.
NOTED = {
    operations.RECORD_DELAY: (
        "call_attempt",
        "SELECT extract(epoch FROM recorded_at - called_at)::float * 1000 FROM call_attempt WHERE id > %s",
    ),
    operations.MAIL_DELAY: (
        "ps_followup",
        "SELECT extract(epoch FROM email_sent_at - assigned_at)::float * 1000 FROM ps_followup"
        " WHERE id > %s AND email_sent_at IS NOT NULL",
    ),
}


@dataclass(frozen=True, slots=True)
class Workers:
    """On the database of one size."""

    processes: Processes
    connection: psycopg.Connection[Any]
    variables: dict[str, str]

    def rates(self, seconds: float) -> dict[str, float]:
        """Rows a second: of what captures have left in the outbox, and of as many again by two processes."""
        self.connection.execute("DROP TABLE IF EXISTS benchmark_waiting")
        self.connection.execute("CREATE TABLE benchmark_waiting AS SELECT * FROM outbox WHERE kind = 'attempt'")
        rates = {operations.RECORDED: self._drained("attempts", seconds, 1)}
        self.connection.execute("DELETE FROM outbox WHERE kind = 'attempt'")
        self.connection.execute(
            "INSERT INTO outbox (kind, lead_id, ps_followup_id, payload, state, not_before, tries, last_error,"
            " created_at) SELECT kind, lead_id, ps_followup_id, payload, 'waiting', not_before, 0, '', created_at"
            " FROM benchmark_waiting ORDER BY id"
        )
        rates[operations.RECORDED_BY_TWO] = self._drained("attempts", seconds, 2)
        rates[operations.MAILED] = self._drained("mails", seconds, 1)
        return {name: rate for name, rate in rates.items() if rate}

    def _drained(self, kind: str, seconds: float, processes: int) -> float:
        arguments = [kind, str(seconds), str(processes)]
        printed = self.processes.module("drain", DRAIN, *arguments, variables=self.variables, limit=300)
        done, took = map(float, json.loads(printed.splitlines()[-1]))
        return round(done / took, 1)

    def delays(self, port: int, capture: Operation, seconds: float) -> dict[str, Sample]:
        """From the save to the recorded attempt and to the mail server's answer, with worker and beat as deployed."""
        self.connection.execute("DELETE FROM outbox")
        for name in CELERY:
            self.processes.deployed(name, self.variables)
        self._capture(port, capture, 1)
        self._empty("the worker has recorded and mailed its first lead")
        before = {table: self._last(table) for table, _ in NOTED.values()}
        began = time.monotonic()
        self._capture(port, capture, max(FEWEST_CAPTURES, int(seconds * CAPTURES_A_SECOND)))
        took = time.monotonic() - began
        self._empty("everything is recorded and mailed")
        for name in CELERY:
            self.processes.stop(name)
        return {
            name: Sample(
                [round(delay, 3) for (delay,) in self.connection.execute(asked.encode(), [before[table]])], took
            )
            for name, (table, asked) in NOTED.items()
        }

    def _capture(self, port: int, capture: Operation, number: int) -> None:
        began = time.monotonic()
        for one in range(number):
            time.sleep(max(0.0, began + one / CAPTURES_A_SECOND - time.monotonic()))
            press(port, capture.ask, capture.right, clients=1, seconds=1, most=1)

    def _empty(self, what: str) -> None:
        until = time.monotonic() + EMPTY_WITHIN
        while self.connection.execute("SELECT 1 FROM outbox LIMIT 1").fetchone():
            if time.monotonic() > until:
                said = self.processes.last_words("worker")
                raise Failed(f"Waited {EMPTY_WITHIN} s until {what}: {said}")
            time.sleep(0.05)

    def _last(self, table: str) -> int:
        found = self.connection.execute(f"SELECT coalesce(max(id), 0) FROM {table}").fetchone()  # noqa: S608
        return int(found[0]) if found else 0
