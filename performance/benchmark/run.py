"""One run: databases filled, measured, and everything taken away again."""

import json
import os
import platform
import random
import runpy
import subprocess
import tempfile
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from datetime import UTC, datetime
from itertools import chain, count
from pathlib import Path
from typing import Any

import django
import psycopg
import redis
from django.conf import settings
from django.core.cache import cache as desk_cache

from performance.benchmark import databases, former, operations
from performance.benchmark.measure import Desk, Measuring, Tell, Wanted
from performance.benchmark.operations import Asker, Operation
from performance.benchmark.prepare import Facts
from performance.benchmark.processes import Failed, Processes, free_port
from performance.benchmark.report import Results
from performance.cache_names import KEPT

# A load of a million takes minutes; more than this for each thousand leads is a machine to be looked at.
LOAD_LIMIT, LOAD_LIMIT_PER_LEAD = 300.0, 0.005
PREPARE = "performance.benchmark.prepare"
# The clients of a warm-up ask before the first of them has its answer, and so has made something to drop.
MOST_IN_VAIN = 20
SERVER_SETTINGS = ("server_version", "shared_buffers", "fsync", "synchronous_commit", "max_connections", "jit")


def fill(wanted: Wanted, tell: Tell) -> None:
    """Only fills the databases and keeps them for later runs. Raises NotOurs or Failed."""
    with tempfile.TemporaryDirectory(prefix="benchmark-") as directory, databases.redis_database() as cache:
        for leads in wanted.sizes:
            took = _filled(leads, wanted, cache, Path(directory), tell)
            tell(f"{databases.name_for(leads)} holds {leads:,} leads, loaded in {took:.0f} s.")


def benchmark(wanted: Wanted, tell: Tell) -> Results:
    """Raises NotOurs or Failed; whatever happens, nothing that it made is left (but filled databases with `keep`)."""
    with ExitStack() as stack:
        directory = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="benchmark-")))
        caches = [stack.enter_context(databases.redis_database()) for _ in wanted.sizes]
        results = Results(_machine(wanted), wanted.sizes)
        names = []
        for leads, cache in zip(wanted.sizes, caches, strict=True):
            took = _filled(leads, wanted, cache, directory, tell)
            results.load_per_second[leads] = round(leads / took, 1)
            name = databases.name_for(leads)
            names.append(databases.copy(name) if wanted.keep else name)
            stack.callback(databases.drop, names[-1])
        processes = stack.enter_context(Processes(directory))
        sink = free_port()
        processes.start("sink", ["-m", "performance.benchmark.sink", str(sink)], {}, port=sink)
        desks: list[Desk] = []
        for leads, name, cache in zip(wanted.sizes, names, caches, strict=True):
            variables = _variables(name, cache, sink, directory)
            facts = _facts(processes, leads, variables, static=not desks)
            connection = stack.enter_context(psycopg.connect(databases.conninfo(name), autocommit=True))
            desks.append(Desk(leads, variables, facts, connection))
        for desk in desks:
            kept = stack.enter_context(redis.Redis.from_url(desk.variables["REDIS_URL"]))
            desk.operations = _asked(desk, wanted, _forget_desk(kept, desk.facts.first_desk))
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


def _filled(leads: int, wanted: Wanted, cache: str, directory: Path, tell: Tell) -> float:
    """The database of this size holds its leads, and in how many seconds load_leads loaded them."""
    name = databases.name_for(leads)
    if wanted.reuse and (took := databases.filled_in(name, leads)) is not None:
        return took
    tell(f"Filling {name} with {leads:,} leads …")
    databases.create(name)
    try:
        with Processes(directory) as processes:
            variables = {**_variables(name, cache, 0, directory), "STATEMENT_TIMEOUT": "0"}
            limit = LOAD_LIMIT + leads * LOAD_LIMIT_PER_LEAD
            printed = processes.module(f"fill-{leads}", PREPARE, "fill", str(leads), variables=variables, limit=limit)
    except BaseException:
        databases.drop(name)
        raise
    took = float(printed.splitlines()[-1])
    databases.note_filled(name, leads, took)
    return took


def _facts(processes: Processes, leads: int, variables: dict[str, str], *, static: bool) -> Facts:
    arguments = ["facts", str(leads), *(["--static"] if static else [])]
    variables = {**variables, "STATEMENT_TIMEOUT": "0"}
    printed = processes.module(f"facts-{leads}", PREPARE, *arguments, variables=variables, limit=LOAD_LIMIT)
    return Facts(**json.loads(printed.splitlines()[-1]))


def _asked(desk: Desk, wanted: Wanted, forget: Callable[[], None]) -> list[Operation]:
    chance = random.Random(desk.leads)  # noqa: S311 - a load, not a secret
    # What workers do is compared with what one web process leaves for them.
    needed = wanted.wants_any([*operations.DRAINED, *operations.DELAYS])
    return [
        operation
        for operation in Asker(desk.facts, chance, _new_phones(desk.facts), forget).operations()
        if wanted.wants(operation.name) or (needed and operation.name == operations.ONE_WEB)
    ]


def _forget_desk(kept: redis.Redis, person: int) -> Callable[[], None]:
    """Drops what is kept of a CRE's desk, as any write that touches one of their leads makes it worthless.

    Raises Failed where again and again there is nothing: then it is kept elsewhere, and no desk would be made anew.
    """
    (prefix,) = next(of.prefixes for of in KEPT if of.name == "dashboards")
    pattern = str(desk_cache.make_key(f"{prefix}{person}:*"))
    in_vain = 0

    def forget() -> None:
        nonlocal in_vain
        keys = list(kept.scan_iter(pattern, count=1000))
        in_vain = 0 if keys else in_vain + 1
        if in_vain > MOST_IN_VAIN:
            raise Failed(f"Nothing is kept of the desk under {pattern}, so none was made anew.")
        if keys:
            kept.delete(*keys)

    return forget


def _new_phones(facts: Facts) -> Iterator[str]:
    """Numbers that nobody has had, scattered as people's are. Where these run out, others that go up one by one: they
    all meet the same few pages of an index, which is cheaper."""
    start = random.SystemRandom().randrange(10**8)
    return chain(facts.new_phones, (f"+9188{(start + number * 7) % 10**8:08d}" for number in count()))


def _rows(desk: Desk) -> dict[str, int]:
    tables = ("lead_master", "call_attempt", "outbox", *(f"{schema}.lead_master" for schema in former.SCHEMAS))
    counted = {}
    for table in tables:
        row = desk.connection.execute(f"SELECT count(*) FROM {table}").fetchone()  # noqa: S608 - our own names
        counted[table] = row[0] if row else 0
    return counted


# --- What it was measured on ------------------------------------------------------------------------------------


def _machine(wanted: Wanted) -> dict[str, Any]:
    root = Path(settings.BASE_DIR)
    gunicorn = runpy.run_path(str(root / "deploy" / "gunicorn.conf.py"))
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
        "workers": gunicorn["workers"],
        "threads": gunicorn["threads"],
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
