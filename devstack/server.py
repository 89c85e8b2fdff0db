"""script/server: all that the desk needs, in order, until somebody stops it or one of its processes ends."""

import argparse
import json
import os
import socket
import time
from pathlib import Path

from devstack import ROOT, kernel, postgres, procfile, readiness, variables
from devstack.console import Refusal, refuse, say, step
from devstack.data_dir import DataDir
from devstack.embedded import Embedded, embedded
from devstack.service import Program, Requests, Service, Stopped, python

# First nobody comes in any more, then nothing new is nudged, then what was begun is finished.
STOP_ORDER = {"web": 12.0, "beat": 5.0, "worker": 20.0}

DEMO = """\
Sign in as cre1 ... cre6, ps1 ... ps14, head1 ... head7, reception1 ... reception7 or supervisor;
the password of all of them is demo-Desk-2026."""


def main(arguments: list[str]) -> int:
    began = time.monotonic()
    options = _options(arguments)
    requests = Requests()
    try:
        desk = Desk(DataDir(Path(options.data_dir).absolute()), options.port, requests)
        try:
            desk.start()
            desk.announce(time.monotonic() - began)
            desk.watch()
        finally:
            desk.stop()
    except Stopped:
        return 0
    except Refusal as refusal:
        refuse(refusal)
        return 1
    return 0


def _options(arguments: list[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="script/server", description="Sets everything up and serves the desk.")
    parser.add_argument("--port", default=os.environ.get("PORT") or "8000", help="default: PORT, or 8000")
    parser.add_argument("--data-dir", default=os.environ.get("DATA_DIR") or str(ROOT / "var"), help="default: var/")
    return parser.parse_args(arguments)


def _free_port(text: str) -> int:
    if not text.isdecimal() or not 0 <= int(text) <= 65535:
        raise Refusal(f"The port is {text!r}: give a number from 1 to 65535, or 0 for any that is free.")
    try:
        with socket.create_server(("127.0.0.1", int(text))) as probe:
            return int(probe.getsockname()[1])
    except PermissionError:
        raise Refusal(f"Port {text} needs rights that this user does not have: choose one above 1023.") from None
    except OSError:
        raise Refusal(f"Port {text} is taken: stop what uses it, or choose another with --port.") from None


class Desk:
    def __init__(self, data_dir: DataDir, port: str, requests: Requests) -> None:
        self.data_dir = data_dir
        self.asked_port = port
        self.port = 0
        self.requests = requests
        self.servers: Embedded | None = None
        self.processes: dict[str, Service] = {}

    def start(self) -> None:
        self.data_dir.make()
        self.data_dir.lock()
        self.port = _free_port(self.asked_port)
        self.servers = servers = embedded(self.requests, self.data_dir, self._environment())
        if not variables.given("DATABASE_URL"):
            servers.start_postgres(postgres.DURABLE)
        if not variables.given("REDIS_URL"):
            servers.start_valkey()
        if not variables.given("EMAIL_URL"):
            servers.start_mail_sink()
        self.data_dir.note_run({**variables.only_settings(servers.environment), "PG_BINDIR": servers.bindir})
        self._prepare(servers)
        with step("Web, worker and beat"):
            self._start_processes(servers)

    def _environment(self) -> dict[str, str]:
        address = {"SITE_URL": f"http://127.0.0.1:{self.port}", "ALLOWED_HOSTS": "127.0.0.1,localhost"}
        environment = address | variables.inherited()
        environment |= {"DATA_DIR": str(self.data_dir.path), "PORT": str(self.port)}
        if not variables.given("SECRET_KEY"):
            environment["SECRET_KEY_FILE"] = str(self.data_dir.secret_key_file())
        return environment

    def _prepare(self, servers: Embedded) -> None:
        """Its progress lines are its own; a failure is told here."""
        log = self.data_dir.log("prepare")
        run = servers.starter.start(Program("prepare", python("devstack.prepare"), log, keep_stdout=True))
        if not run.finishes(self.requests, 3600):
            raise Refusal(f"The database could not be prepared; the end of {log}:\n{run.last_words()}")

    def _start_processes(self, servers: Embedded) -> None:
        for name, command in procfile.read(ROOT / "Procfile").items():
            self.processes[name] = servers.starter.start(Program(name, command, self.data_dir.log(name)))
            # Until the desk is ready nobody waits for an answer, and a loading server hears no signal.
            self.processes[name].patience = 2.0
        state = readiness.Readiness(self.port, servers.environment)
        self.requests.wait(lambda: self._all_run() and state.ready, 60)
        if not state.answer:
            raise Refusal(f"The desk did not answer within a minute; see {self.data_dir.log('web')}.")
        for name, seconds in STOP_ORDER.items():
            if name in self.processes:
                self.processes[name].patience = seconds
        if not state.ready:
            say(f"(not everything is there: {state.answer[:300]})", end=" ")

    def _all_run(self) -> bool:
        """Always true: one that has ended ends the desk."""
        servers = self.servers.services if self.servers else []
        for service in [*self.processes.values(), *servers]:
            if service.ended:
                code = service.process.returncode
                raise Refusal(
                    f"{service.name} has ended (code {code}), so the desk stops; "
                    f"the end of {service.log}:\n{service.last_words()}"
                )
        return True

    def announce(self, seconds: float) -> None:
        say(f"\nThe lead desk is ready ({seconds:.1f} s): http://127.0.0.1:{self.port}")
        if json.loads((self.data_dir.path / "prepared.json").read_text())["demo"]:
            say(DEMO)
        if not variables.given("EMAIL_URL"):
            say(f"Mail lands in {self.data_dir.mail}/*.eml")
        say(f"Logs are in {self.data_dir.logs}. Ctrl-C stops everything.")

    def watch(self) -> None:
        while self._all_run():
            self.requests.wait(lambda: not self._all_run(), 60)
            self.data_dir.bound_logs()

    def stop(self) -> None:
        if self.servers is None:
            return
        say()
        with step("Stopping"):
            for name in [*STOP_ORDER, *self.processes]:
                if name in self.processes:
                    self.processes.pop(name).stop(self.requests)
            self.servers.stop()
            kernel.sweep()
        self.data_dir.run_file.unlink(missing_ok=True)
