"""A stand-in for the desk: a checkout with the real scripts and launcher, and three tiny processes to run."""

import os
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from devstack import ROOT, account, variables
from devstack.postgres import Binaries, Postgres, cluster_place
from devstack.service import Requests, Service, Starter

PROCFILE = """\
web: python -m crm.process web
worker: python -m crm.process worker
beat: python -m crm.process beat
"""

SETTINGS = """\
import os
from pathlib import Path
from psycopg.conninfo import conninfo_to_dict
given = conninfo_to_dict(os.environ["DATABASE_URL"])
DATABASES = {"default": {"ENGINE": "django.db.backends.postgresql", "NAME": given["dbname"],
                         "USER": given["user"], "HOST": given["host"]}}
SECRET_KEY = Path(os.environ["SECRET_KEY_FILE"]).read_text()
INSTALLED_APPS = ["django.contrib.contenttypes", "django.contrib.auth", "django.contrib.staticfiles"]
STATIC_URL, STATIC_ROOT = "static/", Path(os.environ["DATA_DIR"]) / "static"
"""

# The worker's children do what is hardest to find again: one of them leaves its group, session and parent.
PROCESS = """\
import http.server, os, signal, subprocess, sys, time

class Ready(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200)
        self.end_headers()
        self.wfile.write(b'{"state": "ready"}')

if sys.argv[1] == "web":
    http.server.ThreadingHTTPServer(("127.0.0.1", int(os.environ["PORT"])), Ready).serve_forever()
if sys.argv[1] == "worker":
    subprocess.Popen(["sh", "-c", "setsid sleep 4321 & sleep 4322"])
time.sleep(4323)
"""

MANAGE = """\
import os, sys
from django.core.management import execute_from_command_line
os.environ.setdefault("DJANGO_SETTINGS_MODULE", "crm.settings")
execute_from_command_line(sys.argv)
"""


class Patient(Requests):
    """Nobody asks it to stop, and it leaves pytest's own signal handlers alone."""

    def __init__(self) -> None:
        self._count = 0


@pytest.fixture
def place() -> Iterator[Path]:
    """A short directory that root's account for PostgreSQL can reach, with a space in its name."""
    path = Path(tempfile.mkdtemp(prefix="desk try "))
    path.chmod(0o755)
    yield path
    shutil.rmtree(path, ignore_errors=True)


@pytest.fixture
def checkout(place: Path) -> Path:
    root = place / "checkout"
    files = {
        "Procfile": PROCFILE,
        "manage.py": MANAGE,
        "crm/settings.py": SETTINGS,
        "crm/process.py": PROCESS,
    }
    for name, text in files.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(text)
    for tree in ("script", "devstack"):
        shutil.copytree(ROOT / tree, root / tree, ignore=shutil.ignore_patterns("tests", "__pycache__"))
    shutil.copy(ROOT / "requirements-dev.txt", root)
    (root / ".venv").symlink_to((ROOT / ".venv").resolve())
    return root


class Launcher:
    """script/server of the stand-in, from outside."""

    def __init__(self, checkout: Path, *arguments: str, **environment: str) -> None:
        self.checkout = checkout
        self.output = checkout.parent / f"output-{time.monotonic_ns()}"
        with self.output.open("w") as output:
            self.process = subprocess.Popen(
                [checkout / "script" / "server", *(arguments or ("--port", "0"))],
                cwd="/",
                env=variables.without_settings() | environment,
                stdout=output,
                stderr=output,
                start_new_session=True,
            )

    def said(self) -> str:
        return self.output.read_text()

    def wait_for(self, words: str, seconds: float = 60) -> None:
        eventually(lambda: words in self.said() or self.process.poll() is not None, seconds)
        assert words in self.said(), self.said()

    def left(self) -> list[str]:
        return processes_of(self.checkout)

    def kill(self) -> None:
        self.process.kill()
        self.process.wait()

    def end(self) -> int:
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(60)


@pytest.fixture
def launch(checkout: Path) -> Iterator[Callable[..., Launcher]]:
    launchers: list[Launcher] = []

    def start(*arguments: str, **environment: str) -> Launcher:
        launchers.append(Launcher(checkout, *arguments, **environment))
        return launchers[-1]

    yield start
    for launcher in launchers:
        if launcher.process.poll() is None:
            launcher.end()


def processes_of(checkout: Path) -> list[str]:
    """Every living process that was started from this checkout, whoever its parent is by now."""
    found = []
    for entry in Path("/proc").glob("[0-9]*"):
        try:
            zombie = (entry / "stat").read_text().rpartition(")")[2].split()[0] == "Z"
            traces = (entry / "cmdline").read_bytes() + (entry / "environ").read_bytes()
            traces += os.fsencode((entry / "cwd").readlink())
        except OSError:
            continue
        if not zombie and os.fsencode(checkout) in traces:
            found.append(f"{entry.name} {(entry / 'cmdline').read_bytes().replace(bytes(1), b' ').decode()}")
    return found


def eventually(true: Callable[[], bool], seconds: float = 15) -> bool:
    deadline = time.monotonic() + seconds
    while not true():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.05)
    return True


class Cluster:
    """A PostgreSQL in a place of the test's own."""

    def __init__(self, place: Path, binaries: Binaries, lent: account.Account | None) -> None:
        self.sockets = account.socket_dir(f"t{os.getpid()}", lent)
        starter = Starter(Path("/"), variables.without_libpq(dict(os.environ)) | {"LC_ALL": "C"})
        data = cluster_place(place, binaries.major, lent)
        settings = {"fsync": "off", "shared_buffers": "16MB"}
        self.postgres = Postgres(starter, Patient(), place / "log", binaries, lent, data, self.sockets, settings)
        self.service: Service | None = None

    def start(self) -> Service:
        self.service = self.postgres.start()
        return self.service

    def end(self) -> None:
        if self.service is not None:
            self.service.stop(self.postgres.requests)
        account.remove_socket_dir(self.sockets)
        if str(self.postgres.data).startswith(str(account.STORE)):
            shutil.rmtree(self.postgres.data.parent)
