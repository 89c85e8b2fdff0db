"""script/server as a person meets it, on a stand-in for the desk."""

import socket
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from devstack import variables
from devstack.tests.conftest import Launcher, eventually

pytestmark = pytest.mark.devstack

Launch = Callable[..., Launcher]
READY = "The lead desk is ready"


def run(script: Path, *arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    """From elsewhere, with no home and a locale that is not installed."""
    given = {k: v for k, v in variables.without_settings().items() if k != "HOME"}
    given |= {"LANG": "xx_YY", "LC_ALL": "xx_YY.UTF-8", **environment}
    return subprocess.run([script, *arguments], cwd="/", env=given, capture_output=True, text=True)


def test_it_starts_serves_and_stops_in_order(launch: Launch, checkout: Path) -> None:
    desk = launch(LANG="xx_YY", HOME="")
    desk.wait_for(READY)
    for line in ("PostgreSQL 18", "Valkey", "Mail sink", "Migrations", "Static files", "Mail lands in"):
        assert line in desk.said()
    shell = run(checkout / "script" / "manage", "shell", "-c", "import os; print(os.environ['REDIS_URL'])")
    assert "unix:///" in shell.stdout, shell.stderr
    assert desk.end() == 0
    assert desk.left() == []
    assert not (checkout / "var" / "run.json").exists()
    again = launch()
    again.wait_for(READY)
    assert again.end() == 0


@pytest.mark.parametrize("moment", ["Valkey", "Static files", "Web, worker and beat", READY])
def test_a_killed_launcher_leaves_nothing_and_the_next_start_recovers(launch: Launch, moment: str) -> None:
    desk = launch()
    desk.wait_for(moment)
    assert len(desk.left()) > 3
    desk.kill()
    again = launch()
    again.wait_for(READY)
    assert again.end() == 0
    assert eventually(lambda: desk.left() == []), desk.left()


def test_a_killed_launcher_takes_even_detached_grandchildren_along(launch: Launch) -> None:
    desk = launch()
    desk.wait_for(READY)
    assert eventually(lambda: any("sleep 4321" in process for process in desk.left()))
    desk.kill()
    assert eventually(lambda: desk.left() == []), desk.left()


def test_a_second_copy_and_a_taken_port_are_one_sentence_each(launch: Launch, place: Path) -> None:
    desk = launch()
    desk.wait_for(READY)
    second = launch()
    assert second.process.wait(30) == 1
    assert "A desk is already running in" in second.said()
    assert len(second.said().strip().splitlines()) == 1
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        third = launch("--port", port, "--data-dir", str(place / "other"))
        assert third.process.wait(30) == 1
    assert third.said().strip() == f"Port {port} is taken: stop what uses it, or choose another with --port."


def test_a_process_that_dies_is_named_and_ends_the_desk(launch: Launch, checkout: Path) -> None:
    (checkout / "Procfile").write_text("web: python -m crm.process web\nbeat: sh -c 'sleep 3; echo I fell; exit 7'\n")
    desk = launch()
    assert desk.process.wait(60) == 1
    assert "beat has ended (code 7), so the desk stops; the end of " in desk.said()
    assert "  I fell" in desk.said()
    assert desk.left() == []


def test_manage_without_a_desk_is_one_sentence(checkout: Path) -> None:
    told = run(checkout / "script" / "manage", "check")
    assert told.returncode == 1
    assert told.stderr.startswith("No desk is running in ")
    assert len(told.stderr.strip().splitlines()) == 1


def test_manage_uses_the_database_that_was_given(checkout: Path) -> None:
    (checkout / "manage.py").write_text("import os, sys; print(os.environ['DATABASE_URL'], sys.argv[1:])")
    told = run(checkout / "script" / "manage", "migrate", "--plan", DATABASE_URL="postgresql://other/base")
    assert told.stdout.strip() == "postgresql://other/base ['migrate', '--plan']"


def test_an_old_python_is_one_sentence(checkout: Path, place: Path) -> None:
    old = place / "python"
    old.write_text("#!/bin/sh\nexit 1\n")
    old.chmod(0o755)
    told = run(checkout / "script" / "server", PYTHON=str(old))
    assert (told.returncode, told.stdout) == (1, "")
    assert told.stderr.strip() == f"PYTHON={old} is not Python 3.11 or newer: name one that is, or leave PYTHON unset."


def test_it_is_found_through_a_link(checkout: Path, place: Path) -> None:
    (place / "link").symlink_to(checkout / "script" / "manage")
    assert run(place / "link", "check").stderr.startswith("No desk is running in ")
