"""Between the servers and the desk's processes: migrate, collect static files, seed the demo. One Python
process for all three, because starting Django is most of their time. Run as `python -m devstack.prepare`."""

import hashlib
import json
import os
import sys
from contextlib import redirect_stdout
from pathlib import Path
from typing import Any

import django
from django.apps import apps
from django.conf import settings
from django.contrib.auth import get_user_model
from django.contrib.staticfiles.finders import get_finders
from django.core.management import call_command
from django.db import connection
from django.db.migrations.executor import MigrationExecutor

from devstack.console import harden_streams, step
from devstack.data_dir import DataDir


def main() -> int:
    harden_streams()
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "crm.settings")
    # A migration may run longer than any request may.
    os.environ.setdefault("STATEMENT_TIMEOUT", "0")
    data_dir = DataDir(Path(os.environ["DATA_DIR"]))
    with step("Migrations"):
        django.setup()
        if _has_pending_migrations():
            _run(data_dir, "migrate", interactive=False)
    with step("Static files"):
        _collect_static(data_dir)
    (data_dir.path / "prepared.json").write_text(json.dumps({"demo": _seed_demo(data_dir)}))
    return 0


def _run(data_dir: DataDir, command: str, **options: Any) -> None:
    """What Django says goes to the log; the progress line is enough for a person."""
    with data_dir.log("prepare").open("a") as log, redirect_stdout(log):
        call_command(command, stdout=log, **options)


def _has_pending_migrations() -> bool:
    """A desk that is up to date is not asked to create its permissions and content types again."""
    executor = MigrationExecutor(connection)
    return bool(executor.migration_plan(executor.loader.graph.leaf_nodes()))


def _collect_static(data_dir: DataDir) -> None:
    """Hashing and compressing takes seconds, so only when a source has changed."""
    stamp = data_dir.path / "static.stamp"
    wanted = _fingerprint()
    if stamp.exists() and stamp.read_text() == wanted and Path(settings.STATIC_ROOT).is_dir():
        return
    stamp.unlink(missing_ok=True)
    _run(data_dir, "collectstatic", interactive=False)
    stamp.write_text(wanted)


def _fingerprint() -> str:
    digest = hashlib.sha256(f"{django.__version__} {settings.STORAGES['staticfiles']}".encode())
    for finder in get_finders():
        for path, storage in sorted(finder.list([]), key=lambda found: found[0]):
            status = Path(storage.path(path)).stat()
            digest.update(f"{path} {status.st_size} {status.st_mtime_ns}\n".encode())
    return digest.hexdigest()


def _seed_demo(data_dir: DataDir) -> bool:
    """Only into the launcher's own, empty database. True when the demo's people are there."""
    if os.environ.get("DESK_DATABASE") != "embedded" or not apps.is_installed("accounts"):
        return False
    people = get_user_model()._default_manager
    if not people.exists():
        with step("Demo data"):
            _run(data_dir, "seed_demo")
    return bool(people.filter(username="cre1").exists())


if __name__ == "__main__":
    sys.exit(main())
