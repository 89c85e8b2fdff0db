"""deploy/ runs what the Procfile says, and the example environment names every variable there is."""

import re
import shlex
from pathlib import Path

import pytest

from devstack import ROOT, procfile, variables

DEPLOY = ROOT / "deploy"
PROCESSES = procfile.read(ROOT / "Procfile")
UNITS = sorted(path.name for path in DEPLOY.glob("*.service"))


def settings_of(unit: str) -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    for line in (DEPLOY / unit).read_text().splitlines():
        name, equals, value = line.partition("=")
        if equals and not line.startswith("#"):
            found.setdefault(name, []).append(value)
    return found


def test_the_procfile_lists_web_worker_and_beat() -> None:
    assert list(PROCESSES) == ["web", "worker", "beat"]


def test_there_is_a_unit_for_each_process_and_one_that_migrates() -> None:
    assert sorted(UNITS) == sorted(f"lead-desk-{name}.service" for name in [*PROCESSES, "migrate"])


@pytest.mark.parametrize("name", PROCESSES)
def test_a_unit_runs_the_procfiles_command(name: str) -> None:
    (command,) = settings_of(f"lead-desk-{name}.service")["ExecStart"]
    program, *arguments = shlex.split(command)
    assert program.startswith("/opt/lead-desk/.venv/bin/")
    assert [Path(program).name, *arguments] == PROCESSES[name]


@pytest.mark.parametrize("name", PROCESSES)
def test_no_process_starts_before_the_migrations_are_through(name: str) -> None:
    unit = settings_of(f"lead-desk-{name}.service")
    assert unit["Requires"] == ["lead-desk-migrate.service"]
    assert "lead-desk-migrate.service" in unit["After"][0].split()


@pytest.mark.parametrize("unit", UNITS)
def test_a_unit_is_hardened_and_reads_the_environment_file(unit: str) -> None:
    settings = settings_of(unit)
    assert settings["EnvironmentFile"] == ["/etc/lead-desk/env"]
    assert settings["User"] == ["lead-desk"]
    assert settings["ProtectSystem"] == ["strict"]
    assert settings["NoNewPrivileges"] == ["yes"]
    assert settings["CapabilityBoundingSet"] == [""]


def test_the_example_environment_names_every_variable_that_the_desk_reads() -> None:
    example = set(re.findall(r"^([A-Z_]+)=", (ROOT / ".env.example").read_text(), re.MULTILINE))
    assert example == set(variables.SETTINGS)


def test_the_launcher_knows_every_variable_that_the_desk_reads() -> None:
    read: set[str] = set()
    for source in ("crm/settings.py", "crm/environment.py"):
        calls = r'\b(?:text|boolean|number|words|url)\(\s*"([A-Z_]+)"'
        read |= set(re.findall(calls, (ROOT / source).read_text()))
    read |= set(re.findall(r'environ\.get\("([A-Z_]+)"\)', (DEPLOY / "gunicorn.conf.py").read_text()))
    assert read == set(variables.SETTINGS)
