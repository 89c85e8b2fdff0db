"""The benchmark, small: what it says is whole, and it leaves nothing and touches nothing that is not its own."""

import ast
import gzip
import itertools
import json
import os
import random
import re
import runpy
import signal
import socket
import subprocess
import sys
import threading
import time
from collections import defaultdict
from datetime import timedelta
from pathlib import Path
from typing import Any

import django
import psycopg
import pytest
from django.conf import settings
from django.core.cache import cache
from django.core.management import CommandError, call_command
from django.db import connection
from django.utils import timezone
from redis import Redis

from followups import kept
from followups.kept import Kept
from performance.benchmark import databases, operations, report
from performance.benchmark.figures import Series, quantile, ratio
from performance.benchmark.load import Answer, Sample, parsed, press
from performance.benchmark.operations import Asker, Operation
from performance.benchmark.prepare import Facts
from performance.benchmark.processes import Failed, Processes
from performance.benchmark.run import MOST_IN_VAIN, _forget_desk
from performance.page_views import AWAY, NOT_READ

ROOT = Path(settings.BASE_DIR)
RATIOS = {
    "capture_vs_empty_post",
    "capture_throughput_vs_empty_post",
    "duplicate_check_vs_empty_post",
    "dashboard_vs_empty_page",
    "capture_growth",
    "duplicate_check_growth",
    "dashboard_growth",
    "capture_vs_former",
    "capture_vs_former_indexed",
    "recorder_vs_capture",
    "dashboard_cold_vs_empty_page",
    "capture_throughput_2_processes_vs_1",
    "recorder_2_processes_vs_1",
}
SMALL = {"leads": [300], "rounds": 1, "seconds": 0.05}
# What the ratios need, and the operations that go their own way.
NEEDED = (
    "raw_insert,empty_post,empty_post_8,empty_page,capture,capture_8,capture_2_web,duplicate_check,update,next_call,"
    "dashboard,dashboard_cold,performance_page,former,former_indexed,recorded,record_delay"
)


@pytest.fixture
def server(db: None) -> Any:
    """A connection beside the test's transaction, to ask and to make databases."""
    with psycopg.connect(databases.conninfo(connection.settings_dict["NAME"]), autocommit=True) as asked:
        yield asked


def of_the_benchmark(server: Any) -> list[str]:
    begins = f"{connection.settings_dict['NAME']}_benchmark_%"
    return [name for (name,) in server.execute("SELECT datname FROM pg_database WHERE datname LIKE %s", [begins])]


def children_of(process: int) -> list[int]:
    """The processes of a benchmark that this one has started and that still run."""
    asked = ["ps", "-o", "pid=,args=", "--ppid", str(process)]
    listed = subprocess.run(asked, capture_output=True, text=True, check=False).stdout.splitlines()
    return [int(line.split()[0]) for line in listed if re.search(r"performance\.benchmark|gunicorn|celery", line)]


def test_a_whole_run_says_everything_and_leaves_nothing(
    server: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("WEB_CONCURRENCY", "1")
    told, table = tmp_path / "told.json", tmp_path / "table.md"
    call_command("benchmark", **SMALL, only=NEEDED, json=told, markdown=table)
    said = json.loads(told.read_text())
    assert set(said["ratios"]) >= RATIOS
    assert {name for name in RATIOS if not said["ratios"][name]} == set()
    assert said["wrong"] == {}
    assert {"commit", "settings", "workers", "cpus"} <= set(said)
    assert said["statements"]["capture"] == 1
    assert said["statements"]["former"] >= 7
    assert said["statements"]["dashboard"] < said["statements"]["dashboard_cold"]
    delays = {one["operation"]: one["milliseconds"] for one in said["measured"] if one["operation"].endswith("_delay")}
    assert {name: len(rounds[0]) for name, rounds in delays.items()} == {"record_delay": 5, "mail_delay": 5}
    assert all(one["milliseconds"] or one["per_second"] for one in said["measured"])
    assert re.search(r"^\| capture / the former way \| .* \| ≤ 0.015 \| (yes|\*\*no\*\*) \|$", table.read_text(), re.M)
    assert of_the_benchmark(server) == []
    assert children_of(os.getpid()) == []


def test_a_database_that_is_not_its_own_is_left_alone(server: Any) -> None:
    name = databases.name_for(301)
    server.execute(f'CREATE DATABASE "{name}"')
    try:
        with pytest.raises(CommandError, match="that the benchmark has not made"):
            call_command("benchmark", **{**SMALL, "leads": [301]})
        databases.drop(name)
        assert of_the_benchmark(server) == [name]
    finally:
        server.execute(f'DROP DATABASE "{name}"')


def test_a_database_that_another_run_uses_is_left_alone(server: Any) -> None:
    name = databases.name_for(302)
    databases.create(name)
    try:
        with psycopg.connect(databases.conninfo(name)), pytest.raises(databases.NotOurs, match="Another benchmark"):
            databases.create(name)
        databases.create(name)
    finally:
        databases.drop(name)
    assert of_the_benchmark(server) == []


def test_a_filled_database_is_kept_as_it_was_filled(server: Any) -> None:
    """Runs that take it measure in a copy, which goes; it is neither filled again nor written to."""
    name, size = databases.name_for(304), {**SMALL, "leads": [304]}
    try:
        call_command("benchmark", **size, fill_only=True)
        filled = server.execute("SELECT oid FROM pg_database WHERE datname = %s", [name]).fetchone()
        call_command("benchmark", **size, reuse=True, only="capture")
        assert of_the_benchmark(server) == [name]
        assert server.execute("SELECT oid FROM pg_database WHERE datname = %s", [name]).fetchone() == filled
        with psycopg.connect(databases.conninfo(name)) as kept:
            assert kept.execute("SELECT count(*) FROM lead_master").fetchone() == (304,)
    finally:
        databases.drop(name)


def test_a_database_that_was_not_filled_to_the_end_is_not_taken(server: Any) -> None:
    name = databases.name_for(305)
    databases.create(name)
    try:
        with pytest.raises(CommandError, match="not filled with 305 leads to the end"):
            call_command("benchmark", **{**SMALL, "leads": [305]}, reuse=True)
        databases.note_filled(name, 1305, 1.0)
        with pytest.raises(databases.NotOurs, match="not filled with 305 leads"):
            databases.filled_in(name, 305)
    finally:
        databases.drop(name)
    assert databases.filled_in(name, 305) is None


def test_ended_half_way_it_leaves_nothing(server: Any) -> None:
    """SIGTERM while it fills its database, which ends it as Ctrl-C does."""
    variables = {**os.environ, "DATABASE_URL": databases.url(connection.settings_dict["NAME"])}
    command = [sys.executable, "manage.py", "benchmark", "--leads", "303", "--rounds", "1000"]
    run = subprocess.Popen(command, cwd=ROOT, env=variables, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
    try:
        until = time.monotonic() + 60
        while not children_of(run.pid) and time.monotonic() < until:
            time.sleep(0.05)
        started = children_of(run.pid)
        assert of_the_benchmark(server)
        run.send_signal(signal.SIGTERM)
        _, said = run.communicate(timeout=60)
    finally:
        run.kill()
        run.wait()
    assert b"what it had made is gone" in said
    assert run.returncode != 0
    assert [pid for pid in started if Path(f"/proc/{pid}").exists()] == []
    assert of_the_benchmark(server) == []


# --- What is asked ----------------------------------------------------------------------------------------------------


def asked() -> list[Operation]:
    facts = Facts(
        sessions=defaultdict(lambda: ("ours", "theirs")),
        desks=["cre1", "cre2"],
        first_desk=1,
        supervisor="supervisor",
        capturers=["cre9"],
        ps="ps1",
        sellers=[("ps1", "Kiran", "ATTAPUR")],
        known_phones=["+918800000001"],
        own_phones=["+918800000001"],
        new_phones=["+918800000002"],
        updates=[("M-1", 1, "cre1")],
        callers=["cre2"],
        deep="",
        counts_statements=True,
    )
    return Asker(facts, random.Random(1), itertools.repeat("+918800000002"), lambda: None).operations()


def test_every_name_in_the_tables_is_one_that_is_measured() -> None:
    names = [operation.name for operation in asked()]
    measured = {*names, operations.RAW, *operations.DRAINED, *operations.DELAYS}
    assert len(names) == len(set(names))
    assert set(operations.DESKS) <= measured
    assert {name for _, above, below, _ in report.WITHIN for name in (above, below)} <= measured
    assert sorted(row.name for row in report.ROWS) == sorted(measured)
    ratios = {name for name, *_ in report.WITHIN} | set(report.GROWTH) | {"capture_statements"}
    assert {goal.name for goal in report.GOALS} <= ratios
    assert ratios >= RATIOS


@pytest.mark.parametrize("packed", [False, True])
@pytest.mark.parametrize(("shown", "whole"), [("Live", True), (NOT_READ, False), (AWAY, False)])
def test_a_performance_page_that_is_not_whole_is_a_wrong_answer(shown: str, whole: bool, packed: bool) -> None:
    page = next(operation for operation in asked() if operation.name == "performance_page")
    body = f"<p>{shown}</p>".encode()
    head = b"HTTP/1.1 200 OK\r\nContent-Encoding: gzip" if packed else b"HTTP/1.1 200 OK"
    assert page.right(Answer(200, head, gzip.compress(body) if packed else body)) == whole


def test_the_desk_that_is_made_anew_was_dropped_and_no_other(
    empty_cache: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(kept, "KEEP", timedelta(minutes=5))
    tomorrow = timezone.now() + timedelta(days=1)
    with Redis.from_url(settings.REDIS_URL) as redis:
        forget = _forget_desk(redis, 5)
        for _ in range(MOST_IN_VAIN + 1):
            for person in (5, 55):
                Kept(person, 0).keep("page", [1], tomorrow)
            forget()
            assert [Kept(person, 0).look("page") for person in (5, 55)] == [None, [1]]


def test_a_desk_of_which_nothing_is_ever_kept_ends_the_run(empty_cache: None) -> None:
    cache.set("elsewhere:5:page", [1])
    with Redis.from_url(settings.REDIS_URL) as redis:
        forget = _forget_desk(redis, 5)
        for _ in range(MOST_IN_VAIN):
            forget()
        with pytest.raises(Failed, match="Nothing is kept of the desk under desk:1:board:5:"):
            forget()


# --- What is made of it -----------------------------------------------------------------------------------------------


def test_what_does_not_start_is_told_in_its_own_words(tmp_path: Path) -> None:
    with Processes(tmp_path) as processes:
        processes.start("nothing", ["-m", "no_such_module"], {}, port=1)
        with pytest.raises(Failed, match="no_such_module"):
            processes.wait()


@pytest.mark.parametrize("typed", ["many", "10", "300,99999999999"])
def test_silly_sizes_are_refused(typed: str) -> None:
    with pytest.raises(CommandError, match="leads"):
        call_command("benchmark", f"--leads={typed}")


def test_a_ratio_is_the_median_of_the_rounds_own() -> None:
    slow = Series("slow", 1, [Sample([2.0]), Sample([30.0]), Sample([6.0])])
    fast = Series("fast", 1, [Sample([1.0]), Sample([10.0]), Sample([1.0])])
    found = ratio(slow, fast, "p50")
    assert found is not None
    assert (found.value, found.low, found.high) == (3, 2, 6)


def test_what_was_answered_wrongly_has_no_ratio() -> None:
    good, bad = Series("good", 1, [Sample([1.0])]), Series("bad", 1, [Sample([1.0], wrong=1)])
    assert ratio(bad, good, "p50") is None
    assert ratio(good, None, "p50") is None


def test_a_quantile_is_one_of_the_values() -> None:
    assert quantile([3.0, 1.0, 2.0], 0.5) == 2.0
    assert quantile([1.0, 2.0], 0.99) == 2.0
    assert quantile([], 0.5) == 0.0


@pytest.mark.parametrize(
    ("received", "whole"),
    [
        (b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n", False),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nx", False),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nxy", True),
        (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nx\r\n", False),
        (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nx\r\n0\r\n\r\n", True),
    ],
)
def test_an_answer_counts_once_it_is_whole(received: bytes, whole: bool) -> None:
    assert (parsed(bytearray(received)) is not None) == whole


def test_a_server_that_ends_idle_connections_does_nothing_wrong() -> None:
    """gunicorn does so after two seconds, while another client still waits for a long answer."""
    second = threading.Event()
    answer = b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"

    def serve(one: socket.socket) -> None:
        with one:
            one.recv(1000)
            if second.is_set():
                time.sleep(0.2)
            second.set()
            one.sendall(answer)

    with socket.create_server(("127.0.0.1", 0)) as listening:

        def accept() -> None:
            for _ in range(2):
                threading.Thread(target=serve, args=[listening.accept()[0]]).start()

        threading.Thread(target=accept).start()
        port = listening.getsockname()[1]
        sample = press(port, lambda: b"GET", lambda answer: True, clients=2, seconds=0.1, most=2)
    assert (len(sample.milliseconds), sample.wrong) == (2, 0)


# --- What it is compared with ---------------------------------------------------------------------------------------


def test_stock_django_is_what_startproject_writes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DATABASE_URL", databases.url("stock"))
    monkeypatch.setenv("BENCHMARK_MAIL_PORT", "25")
    stock = runpy.run_path(str(ROOT / "performance" / "benchmark" / "stock_settings.py"))
    template = Path(django.__file__).parent / "conf" / "project_template" / "project_name" / "settings.py-tpl"
    middleware = re.search(r"^MIDDLEWARE = (\[.*?^\])", template.read_text(), re.DOTALL | re.MULTILINE)
    assert middleware
    assert stock["MIDDLEWARE"] == ast.literal_eval(middleware[1])
    # The only other difference that would make the floor a high one.
    assert stock["DATABASES"]["default"]["CONN_MAX_AGE"] > 60
    assert stock["DEBUG"] is False


@pytest.mark.parametrize("module", ["former", "stock_views", "stock_urls", "sink", "load"])
def test_nothing_that_is_compared_waits_on_purpose(module: str) -> None:
    assert "sleep(" not in (ROOT / "performance" / "benchmark" / f"{module}.py").read_text()
