"""script/manage: manage.py with the environment of the desk that runs, or with the one that was given."""

import json
import os
import sys
from pathlib import Path

from devstack import ROOT, variables
from devstack.console import Refusal, refuse
from devstack.data_dir import DataDir


def main(arguments: list[str]) -> int:
    try:
        directory, command = _split(arguments)
        environment = _environment(DataDir(Path(directory).absolute()))
    except Refusal as refusal:
        refuse(refusal)
        return 1
    bindir = environment.pop("PG_BINDIR", "")
    if bindir:
        # For dbshell: the embedded psql speaks this server's version.
        environment["PATH"] = f"{bindir}{os.pathsep}{environment['PATH']}"
    return os.execve(sys.executable, [sys.executable, str(ROOT / "manage.py"), *command], environment)


def _split(arguments: list[str]) -> tuple[str, list[str]]:
    """--data-dir comes before manage.py's own command, whose arguments are none of our business."""
    first = arguments[0] if arguments else ""
    if first.startswith("--data-dir="):
        return first.partition("=")[2], arguments[1:]
    if first == "--data-dir" and len(arguments) > 1:
        return arguments[1], arguments[2:]
    return os.environ.get("DATA_DIR") or str(ROOT / "var"), arguments


def _environment(data_dir: DataDir) -> dict[str, str]:
    given, noted = variables.inherited(), _noted(data_dir)
    if variables.given("DATABASE_URL"):
        usual = {
            "SITE_URL": "http://127.0.0.1:8000",
            "REDIS_URL": "redis://127.0.0.1:6379/0",
            "EMAIL_URL": "smtp://127.0.0.1:25",
            "DATA_DIR": str(data_dir.path),
            **{k: v for k, v in noted.items() if not k.startswith(("DATABASE_URL", "DESK_"))},
        }
        return _merged(usual | _secret(data_dir), given)
    if not noted:
        place = data_dir.path
        raise Refusal(f"No desk is running in {place}: start script/server with it, or set DATABASE_URL.")
    return {**variables.without_libpq(variables.without_settings()), **noted}


def _secret(data_dir: DataDir) -> dict[str, str]:
    path = data_dir.path / "secret_key"
    return {"SECRET_KEY_FILE": str(path)} if path.exists() else {}


def _merged(usual: dict[str, str], given: dict[str, str]) -> dict[str, str]:
    """What was given wins, in either of its two spellings."""
    plain = {name.removesuffix("_FILE") for name in given}
    return {k: v for k, v in usual.items() if k.removesuffix("_FILE") not in plain} | given


def _noted(data_dir: DataDir) -> dict[str, str]:
    """Empty unless the desk is running: a launcher that was killed leaves its note behind."""
    if not data_dir.is_running():
        return {}
    try:
        noted = json.loads(data_dir.run_file.read_text())
    except (OSError, ValueError):
        return {}
    return {str(k): str(v) for k, v in noted.items()}
