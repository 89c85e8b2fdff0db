"""script/test: the whole suite in parallel, against a throw-away PostgreSQL and Valkey."""

import os
import secrets
import signal
import subprocess
import sys
from pathlib import Path

from devstack import ROOT, account, browser, kernel, postgres, variables
from devstack.console import Refusal, refuse, say
from devstack.data_dir import DataDir
from devstack.embedded import Embedded, throw_away
from devstack.service import Requests, Service, Stopped

# Somebody who says one of these has their own idea of how to run; a debugger needs the terminal.
OWN_WAY = (
    "-n",
    "--numprocesses",
    "--dist",
    "--pdb",
    "--trace",
    "no:xdist",
    "--collect-only",
    "--co",
    "-h",
    "--help",
)


def main(arguments: list[str]) -> int:
    requests = Requests()
    servers = None
    try:
        remove_left_overs()
        servers = throw_away(requests, _environment())
        servers.start_postgres(postgres.THROW_AWAY)
        servers.start_valkey()
        return _pytest(servers, requests, arguments)
    except Stopped:
        return 130
    except Refusal as refusal:
        refuse(refusal)
        return 1
    finally:
        if servers is not None:
            servers.stop()
        kernel.sweep()


def _environment() -> dict[str, str]:
    """The same for everybody: no setting of a person's desk reaches the tests, no mail leaves them."""
    return variables.without_settings() | {
        "DJANGO_SETTINGS_MODULE": "crm.settings",
        "SECRET_KEY": secrets.token_urlsafe(50),
        "SITE_URL": "http://127.0.0.1:8000",
        "ALLOWED_HOSTS": "127.0.0.1,localhost,testserver",
        "EMAIL_URL": "smtp://127.0.0.1:1",
    }


def _pytest(servers: Embedded, requests: Requests, arguments: list[str]) -> int:
    servers.environment |= _home(servers.data_dir.path)
    log = servers.data_dir.log("chromium")
    servers.environment["DESK_CHROMIUM"] = browser.ensure(servers.starter, requests, log)
    command = [sys.executable, "-m", "pytest", *_parallel(arguments), *arguments]
    process = subprocess.Popen(
        command,
        cwd=ROOT,
        env=servers.environment,
        start_new_session=True,
        preexec_fn=kernel.tied_to_parent(signal.SIGKILL),
    )
    # Ctrl-C is pytest's own: it still reports what it has.
    run = Service("pytest", process, Path(os.devnull), signal.SIGINT, patience=30.0)
    try:
        requests.wait(lambda: run.ended, 24 * 3600)
    except Stopped:
        say("Stopping the tests.")
    finally:
        run.stop(requests)
    code = process.returncode
    return code if code >= 0 else 128 - code


def _parallel(arguments: list[str]) -> list[str]:
    if any(argument.startswith(own) for argument in arguments for own in OWN_WAY):
        return []
    # Work stealing starts with whole modules side by side and evens out the end.
    return ["-n", str(max(2, os.cpu_count() or 2)), "--dist", "worksteal"]


def _home(place: Path) -> dict[str, str]:
    """A browser does not start without a home that it can write to."""
    home = os.environ.get("HOME", "")
    if home and os.access(home, os.W_OK):
        return {}
    own = place / "home"
    own.mkdir(mode=0o700, exist_ok=True)
    return {"HOME": str(own)}


def remove_left_overs() -> None:
    """Directories of test runs that were killed: nobody holds their lock any more."""
    for place in account.temporary_place().glob("lead-desk-*-test-*"):
        if os.access(place, os.W_OK) and (place / "lock").exists() and not DataDir(place).is_running():
            account.remove_socket_dir(place)
