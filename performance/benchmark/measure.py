"""The measuring of a run: in each round every operation at every size, those that are compared next to one another."""

import json
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from statistics import median_low
from typing import Any

import psycopg

from followups.kept import CLOCKS_DIFFER
from performance.benchmark import operations
from performance.benchmark.load import Sample, press
from performance.benchmark.operations import Operation
from performance.benchmark.prepare import Facts
from performance.benchmark.processes import Processes
from performance.benchmark.report import Results
from performance.benchmark.workers import Workers

SERVERS = {
    operations.DESK: "crm.wsgi",
    operations.STOCK: "performance.benchmark.stock_wsgi",
    operations.BARE: "performance.benchmark.bare_wsgi",
}
COUNTED = 5
WARM_CLIENTS, WARM_REQUESTS, WARM_SECONDS = 8, 80, 1.0
# What the server ran for clients besides BEGIN and COMMIT, without its own look-ups for foreign keys.
STATEMENTS = """
    SELECT queryid, sum(calls)::int FROM pg_stat_statements JOIN pg_database ON pg_database.oid = dbid
     WHERE datname = current_database() AND query NOT IN ('BEGIN', 'COMMIT')
       AND query NOT LIKE '%FOR KEY SHARE OF x%' AND query NOT LIKE '%pg_stat_statements%'
     GROUP BY queryid
"""

Tell = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class Wanted:
    """What the command was asked for.

    `only` are names of operations, with * for any end; empty is all. With `keep` the filled databases stay, and the run
    measures in copies; with `reuse` it takes those that are there.
    """

    sizes: list[int]
    rounds: int
    seconds: float
    minutes: float = 60.0
    only: tuple[str, ...] = ()
    keep: bool = False
    reuse: bool = False
    command: str = ""

    def wants(self, name: str) -> bool:
        return not self.only or any(fnmatchcase(name, pattern) for pattern in self.only)

    def wants_any(self, names: Iterable[str]) -> bool:
        return any(self.wants(name) for name in names)


@dataclass(slots=True)
class Desk:
    """One size: its database, its servers' ports, and what is asked of them."""

    leads: int
    variables: dict[str, str]
    facts: Facts
    connection: psycopg.Connection[Any]
    ports: dict[str, int] = field(default_factory=dict)
    operations: list[Operation] = field(default_factory=list)

    def serve(self, processes: Processes, applications: Mapping[str, str]) -> None:
        """Starts those of the servers that are asked anything."""
        asked = {operation.server for operation in self.operations}
        for server in [server for server in applications if server in asked]:
            number = operations.BY_PROCESSES.get(server)
            variables = {**self.variables, **({"WEB_CONCURRENCY": str(number)} if number else {})}
            self.ports[server] = processes.server(f"{server}-{self.leads}", applications[server], variables)

    def stop(self, processes: Processes) -> None:
        for server in self.ports:
            processes.stop(f"{server}-{self.leads}")
        self.ports.clear()

    def asked(self) -> list[Operation]:
        """What is asked of the servers that run."""
        return [operation for operation in self.operations if operation.server in self.ports]


@dataclass(slots=True)
class Measuring:
    """The rounds: in each, every operation at every size, those that are compared next to one another."""

    processes: Processes
    desks: list[Desk]
    results: Results
    wanted: Wanted
    tell: Tell
    _until: float = 0.0

    def run(self) -> None:
        """All sizes beside one another; then the largest by a number of web and worker processes; then the delays."""
        self._until = time.monotonic() + self.wanted.minutes * 60
        self._rounds(self.desks, SERVERS, self._raw_inserts)
        largest = self.desks[-1]
        if any(operation.server in operations.BY_PROCESSES for operation in largest.operations):
            self._rounds([largest], dict.fromkeys(operations.BY_PROCESSES, "crm.wsgi"), self._drain)
        if self.wanted.wants_any(operations.DELAYS):
            self._delays(largest)

    def _rounds(self, desks: list[Desk], applications: dict[str, str], besides: Callable[[], None]) -> None:
        """Starts the servers that are asked anything, and ends them after the last round."""
        for desk in desks:
            desk.serve(self.processes, applications)
        self.processes.wait()
        for desk in desks:
            for operation in desk.asked():
                self._warm_up(desk, operation)
        for number in range(1, self.wanted.rounds + 1):
            self.tell(f"Round {number} of {self.wanted.rounds} …")
            self._round(desks)
            besides()
            if time.monotonic() > self._until and number < self.wanted.rounds:
                self.tell(f"Stopped after {number} rounds: --minutes are over.")
                self.results.facts["rounds"] = number
                break
        for desk in desks:
            desk.stop(self.processes)

    def _warm_up(self, desk: Desk, operation: Operation) -> None:
        """Every web process has seen it, and its statements are counted."""
        most = min(operation.most, WARM_REQUESTS)
        seconds = min(WARM_SECONDS, self.wanted.seconds)
        port = desk.ports[operation.server]
        # A kept connection stays with one web process: several reach them all. But an update's answer belongs to the
        # question before it.
        clients = 1 if operation.name == "update" else min(WARM_CLIENTS, most)
        self._settle(operation)
        press(port, operation.ask, operation.right, clients=clients, seconds=seconds, most=most)
        if desk is self.desks[-1]:
            self._count(desk, operation)
        self._release(desk, operation)

    def _count(self, desk: Desk, operation: Operation) -> None:
        if not desk.facts.counts_statements:
            self._count_by_log(desk, operation)
            return
        counted, before = [], _executed(desk)
        for _ in range(min(operation.most, COUNTED)):
            press(desk.ports[operation.server], operation.ask, operation.right, clients=1, seconds=1, most=1)
            after = _executed(desk)
            # Somebody else's statements may push one of ours out of the server's list: it counts from 0 again then.
            more = [number - before.get(query, 0) for query, number in after.items()]
            counted.append(sum(number for number in more if number > 0))
            before = after
        # The median is of a warm request: now and then one fills a cache again.
        self.results.statements[operation.name] = median_low(counted)

    def _count_by_log(self, desk: Desk, operation: Operation) -> None:
        """Without pg_stat_statements: what the desk says of a capture in its own log."""
        if operation.name == "capture":
            said = self.processes.last_words(f"{operation.server}-{desk.leads}").splitlines()
            counted = [json.loads(line)["statements"] for line in said if '"lead captured"' in line and line[0] == "{"]
            self.results.statements.update({operation.name: counted[-1]} if counted else {})

    def _round(self, desks: list[Desk]) -> None:
        for name in dict.fromkeys(operation.name for operation in desks[-1].asked()):
            for desk in desks:
                for operation in desk.asked():
                    if operation.name == name:
                        self._measure(desk, operation)

    def _raw_inserts(self) -> None:
        if self.wanted.wants(operations.RAW):
            for desk in self.desks:
                self.results.of(operations.RAW, desk.leads).rounds.append(_raw(desk, self.wanted.seconds))

    def _settle(self, operation: Operation) -> None:
        """Lets pass the time in which nothing is kept of a desk to which the operation before has written."""
        if operation.name in operations.KEPT:
            time.sleep(2 * CLOCKS_DIFFER)

    def _measure(self, desk: Desk, operation: Operation) -> None:
        self._settle(operation)
        sample = press(
            desk.ports[operation.server],
            operation.ask,
            operation.right,
            clients=operation.clients,
            seconds=self.wanted.seconds,
            most=operation.most,
        )
        self.results.of(operation.name, desk.leads).rounds.append(sample)
        self._release(desk, operation)

    def _release(self, desk: Desk, operation: Operation) -> None:
        if operation.name == "next_call":
            desk.connection.execute(
                "UPDATE lead_master SET next_call_by_id = NULL, next_call_until = NULL"
                " WHERE next_call_by_id IS NOT NULL"
            )

    def _drain(self) -> None:
        """What captures have left in the outbox, recorded and mailed."""
        if self.wanted.wants_any(operations.DRAINED):
            desk = self.desks[-1]
            workers = Workers(self.processes, desk.connection, desk.variables)
            for name, rate in workers.rates(self.wanted.seconds).items():
                self.results.of(name, desk.leads).rates.append(rate)

    def _delays(self, desk: Desk) -> None:
        """With workers as deployed, so apart from the rounds: they would take the processors from everything else."""
        self.tell("A trickle of captures, with worker and beat …")
        desk.serve(self.processes, {"desk-1": "crm.wsgi"})
        self.processes.wait()
        capture = desk.asked()[0]
        workers = Workers(self.processes, desk.connection, desk.variables)
        seconds = self.wanted.seconds * self.wanted.rounds
        for name, sample in workers.delays(desk.ports[capture.server], capture, seconds).items():
            self.results.of(name, desk.leads).rounds.append(sample)
        desk.stop(self.processes)


def _executed(desk: Desk) -> dict[int, int]:
    return dict(desk.connection.execute(STATEMENTS.encode()).fetchall())


def _raw(desk: Desk, seconds: float) -> Sample:
    """The floor under any save: psycopg, one prepared statement, one commit, no Django."""
    sample = Sample()
    connection = desk.connection
    connection.execute("CREATE TABLE IF NOT EXISTS benchmark_raw (id bigint GENERATED ALWAYS AS IDENTITY, phone text)")
    began = now = time.perf_counter()
    while now - began < seconds:
        connection.execute("INSERT INTO benchmark_raw (phone) VALUES (%s)", ["+918800000000"], prepare=True)
        after = time.perf_counter()
        sample.milliseconds.append(round((after - now) * 1000, 3))
        now = after
    sample.seconds = now - began
    return sample
