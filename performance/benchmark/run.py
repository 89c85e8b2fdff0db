"""One run: databases filled, servers started, rounds measured, and everything taken away again."""

import itertools
import json
import os
import platform
import random
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass, field
from datetime import UTC, datetime
from fnmatch import fnmatchcase
from pathlib import Path
from statistics import median_low
from typing import Any

import django
import psycopg
from django.conf import settings

from performance.benchmark import databases, former, operations
from performance.benchmark.load import Sample, press
from performance.benchmark.operations import Asker, Operation
from performance.benchmark.prepare import Facts
from performance.benchmark.processes import Processes, free_port
from performance.benchmark.report import Results

# A load of a million takes minutes; more than this for each thousand leads is a machine to be looked at.
LOAD_LIMIT, LOAD_LIMIT_PER_LEAD = 300.0, 0.005
COUNTED = 5
WARM_CLIENTS, WARM_REQUESTS, WARM_SECONDS = 8, 80, 1.0
# What the server ran for clients besides BEGIN and COMMIT, without its own look-ups for foreign keys.
STATEMENTS = """
    SELECT queryid, sum(calls)::int FROM pg_stat_statements JOIN pg_database ON pg_database.oid = dbid
     WHERE datname = current_database() AND query NOT IN ('BEGIN', 'COMMIT')
       AND query NOT LIKE '%FOR KEY SHARE OF x%' AND query NOT LIKE '%pg_stat_statements%'
     GROUP BY queryid
"""
SERVER_SETTINGS = ("server_version", "shared_buffers", "fsync", "synchronous_commit", "max_connections", "jit")

Tell = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class Wanted:
    """What the command was asked for. `only` are names of operations, with * for any end; empty is all."""

    sizes: list[int]
    rounds: int
    seconds: float
    minutes: float = 60.0
    only: tuple[str, ...] = ()
    keep: bool = False
    command: str = ""

    def wants(self, name: str) -> bool:
        return not self.only or any(fnmatchcase(name, pattern) for pattern in self.only)


@dataclass(slots=True)
class Desk:
    """One size: its database, its servers' ports, and what is asked of them."""

    leads: int
    database: str
    variables: dict[str, str]
    facts: Facts
    connection: psycopg.Connection[Any]
    ports: dict[str, int] = field(default_factory=dict)
    operations: list[Operation] = field(default_factory=list)


def benchmark(wanted: Wanted, tell: Tell) -> Results:
    """Raises NotOurs or Failed; whatever happens, nothing that it made is left (but databases with `keep`)."""
    with ExitStack() as stack:
        directory = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="benchmark-")))
        phones = _new_phones()
        names = [databases.name_for(leads) for leads in wanted.sizes]
        caches = [stack.enter_context(databases.redis_database()) for _ in names]
        for name in names:
            databases.create(name)
            if not wanted.keep:
                stack.callback(databases.drop, name)
        processes = stack.enter_context(Processes(directory))
        sink = free_port()
        processes.start("sink", ["-m", "performance.benchmark.sink", str(sink)], {}, port=sink)
        results = Results(_machine(wanted), wanted.sizes)
        desks: list[Desk] = []
        for leads, name, cache in zip(wanted.sizes, names, caches, strict=True):
            tell(f"Filling {name} with {leads:,} leads …")
            variables = _variables(name, cache, sink, directory)
            facts = _filled(processes, leads, variables, static=not desks)
            connection = stack.enter_context(psycopg.connect(databases.conninfo(name), autocommit=True))
            desk = Desk(leads, name, variables, facts, connection)
            results.load_per_second[leads] = round(leads / facts.load_seconds, 1)
            desks.append(desk)
        for desk in desks:
            desk.operations = _asked(desk, phones, wanted)
            _serve(processes, desk, largest=desk is desks[-1])
        processes.wait()
        Measuring(processes, desks, results, wanted, tell).run()
        results.facts["load_after"] = _load()
        for desk in desks:
            results.rows[desk.leads] = _rows(desk)
    return results


def _variables(database: str, cache: str, sink: int, directory: Path) -> dict[str, str]:
    """What all processes of one size find in their environment."""
    return {
        "DATABASE_URL": databases.url(database),
        "REDIS_URL": cache,
        "EMAIL_URL": f"smtp://127.0.0.1:{sink}",
        "BENCHMARK_MAIL_PORT": str(sink),
        "SECRET_KEY": settings.SECRET_KEY,
        "SITE_URL": "http://127.0.0.1",
        "DATA_DIR": str(directory / "data"),
    }


def _filled(processes: Processes, leads: int, variables: dict[str, str], *, static: bool) -> Facts:
    arguments = [str(leads), *(["--static"] if static else [])]
    variables = {**variables, "STATEMENT_TIMEOUT": "0"}
    limit = LOAD_LIMIT + leads * LOAD_LIMIT_PER_LEAD
    module = "performance.benchmark.prepare"
    printed = processes.module(f"prepare-{leads}", module, *arguments, variables=variables, limit=limit)
    return Facts(**json.loads(printed.splitlines()[-1]))


def _serve(processes: Processes, desk: Desk, *, largest: bool) -> None:
    """Starts the servers that are asked anything."""
    applications = {
        operations.DESK: "crm.wsgi",
        operations.STOCK: "performance.benchmark.stock_wsgi",
        operations.BARE: "performance.benchmark.bare_wsgi",
        **({operations.SINGLE: "crm.wsgi"} if largest else {}),
    }
    asked = {operation.server for operation in desk.operations}
    for server in [server for server in applications if server in asked]:
        alone = {"WEB_CONCURRENCY": "1"} if server == operations.SINGLE else {}
        variables = {**desk.variables, **alone}
        desk.ports[server] = processes.server(f"{server}-{desk.leads}", applications[server], variables)
    desk.operations = [operation for operation in desk.operations if operation.server in desk.ports]


def _asked(desk: Desk, phones: Iterator[str], wanted: Wanted) -> list[Operation]:
    offered = Asker(desk.facts, random.Random(desk.leads), phones).operations()  # noqa: S311 - a load, not a secret
    drained = wanted.wants(operations.RECORDED)
    return [
        operation
        for operation in offered
        if wanted.wants(operation.name) or (operation.name == operations.ONE_PROCESS and drained)
    ]


def _new_phones() -> Iterator[str]:
    """Numbers that nobody has had: those that were loaded are looked at by chance, these go up one by one."""
    start = random.SystemRandom().randrange(10**8)
    return (f"+9188{(start + number * 7) % 10**8:08d}" for number in itertools.count())


def _rows(desk: Desk) -> dict[str, int]:
    tables = ("lead_master", "call_attempt", "outbox", *(f"{schema}.lead_master" for schema in former.SCHEMAS))
    counted = {}
    for table in tables:
        row = desk.connection.execute(f"SELECT count(*) FROM {table}").fetchone()  # noqa: S608 - our own names
        counted[table] = row[0] if row else 0
    return counted


# --- Measuring --------------------------------------------------------------------------------------------------


@dataclass(slots=True)
class Measuring:
    """The rounds: in each, every operation at every size, those that are compared next to one another."""

    processes: Processes
    desks: list[Desk]
    results: Results
    wanted: Wanted
    tell: Tell

    def run(self) -> None:
        until = time.monotonic() + self.wanted.minutes * 60
        for desk in self.desks:
            for operation in desk.operations:
                self._warm_up(desk, operation)
        for number in range(1, self.wanted.rounds + 1):
            self.tell(f"Round {number} of {self.wanted.rounds} …")
            self._round()
            if time.monotonic() > until and number < self.wanted.rounds:
                self.tell(f"Stopped after {number} rounds: --minutes are over.")
                self.results.facts["rounds"] = number
                break

    def _warm_up(self, desk: Desk, operation: Operation) -> None:
        """Every web process has seen it, and its statements are counted."""
        most = min(operation.most, WARM_REQUESTS)
        seconds = min(WARM_SECONDS, self.wanted.seconds)
        port = desk.ports[operation.server]
        # A kept connection stays with one web process: several reach them all. But an update's answer belongs to the
        # question before it.
        clients = 1 if operation.name == "update" else min(WARM_CLIENTS, most)
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

    def _round(self) -> None:
        if self.wanted.wants(operations.RAW):
            for desk in self.desks:
                self.results.of(operations.RAW, desk.leads).rounds.append(_raw(desk, self.wanted.seconds))
        names = list(dict.fromkeys(operation.name for operation in self.desks[-1].operations))
        for name in names:
            for desk in self.desks:
                for operation in desk.operations:
                    if operation.name == name:
                        self._measure(desk, operation)
        if self.wanted.wants(operations.RECORDED):
            self._drain(self.desks[-1])

    def _measure(self, desk: Desk, operation: Operation) -> None:
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

    def _drain(self, desk: Desk) -> None:
        """What the captures have left in the outbox, recorded and mailed by one process."""
        module, seconds = "performance.benchmark.drain", self.wanted.seconds
        printed = self.processes.module("drain", module, str(seconds), variables=desk.variables, limit=300)
        for name, (done, took) in json.loads(printed.splitlines()[-1]).items():
            if done:
                self.results.of(name, desk.leads).rates.append(round(done / took, 1))


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


# --- What it was measured on ------------------------------------------------------------------------------------


def _machine(wanted: Wanted) -> dict[str, Any]:
    root = Path(settings.BASE_DIR)
    with psycopg.connect(databases.conninfo(str(settings.DATABASES["default"]["NAME"]))) as server:
        shown = {name: server.execute(f"SHOW {name}".encode()).fetchone() for name in SERVER_SETTINGS}
    return {
        "date": f"{datetime.now(UTC):%Y-%m-%d %H:%M} UTC",
        "command": wanted.command,
        "commit": _commit(root),
        "python": platform.python_version(),
        "django": django.get_version(),
        "postgresql": (shown["server_version"] or ["unknown"])[0],
        "postgresql_settings": {name: row and row[0] for name, row in shown.items()},
        "cpus": os.cpu_count(),
        "platform": platform.platform(),
        "workers": int(os.environ.get("WEB_CONCURRENCY") or 2),
        "threads": int(os.environ.get("WEB_THREADS") or 4),
        "rounds": wanted.rounds,
        "seconds": wanted.seconds,
        "load_before": _load(),
        "load_after": "",
        "settings": {
            "gunicorn": (root / "deploy" / "gunicorn.conf.py").read_text(),
            "stock_django": (Path(__file__).parent / "stock_settings.py").read_text(),
            "our_middleware": list(settings.MIDDLEWARE),
        },
        "former_sql": [" ".join(statement.split()) for statement in (*former.FLOW, former.LEADS_OF_CRE)],
        "former_indexes": list(former.INDEXES),
    }


def _load() -> str:
    return f"{os.getloadavg()[0]:.2f}"


def _commit(root: Path) -> str:
    """The commit that is checked out, with a + where files differ from it; empty without git."""
    try:
        asked = ["git", "-C", str(root), "describe", "--always", "--dirty=+", "--abbrev=12", "--exclude=*"]
        return subprocess.run(asked, capture_output=True, text=True, check=True, timeout=10).stdout.strip()  # noqa: S603
    except (OSError, subprocess.SubprocessError):
        return ""
