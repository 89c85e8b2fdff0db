"""The servers that one launcher embeds. Each adds its URL to the environment of what is started after it."""

import os
import socket
from dataclasses import dataclass, field
from pathlib import Path

from devstack import ROOT, account, postgres, variables
from devstack.account import Account
from devstack.console import step
from devstack.data_dir import DataDir
from devstack.postgres import Postgres
from devstack.service import Program, Requests, Service, Starter, python
from devstack.valkey import Valkey


@dataclass
class Embedded:
    requests: Requests
    data_dir: DataDir
    sockets: Path
    account: Account | None
    environment: dict[str, str]
    services: list[Service] = field(default_factory=list)
    bindir: str = ""

    def start_postgres(self, settings: dict[str, str]) -> None:
        binaries = postgres.find(self.account)
        with step(f"PostgreSQL {binaries.version} ({binaries.origin})"):
            self.environment = variables.without_libpq(self.environment)
            server = Postgres(
                Starter(ROOT, {**self.environment, "LC_ALL": "C"}),
                self.requests,
                self.data_dir.log("postgresql"),
                binaries,
                self.account,
                postgres.cluster_place(self.data_dir.path, binaries.major, self.account),
                self.sockets,
                settings,
            )
            self.services.append(server.start())
        self.bindir = str(binaries.bindir)
        self.environment |= {"DATABASE_URL": server.url, **variables.EMBEDDED_DATABASE}

    def start_valkey(self) -> None:
        with step("Valkey"):
            server = Valkey(self.starter, self.requests, self.data_dir.log("valkey"), self.sockets)
            self.services.append(server.start())
        self.environment["REDIS_URL"] = server.url

    def start_mail_sink(self) -> None:
        """On a port that is bound here and handed over, so that nobody can take it in between."""
        with step("Mail sink"), socket.create_server(("127.0.0.1", 0)) as listener:
            descriptor = listener.fileno()
            command = python("devstack.mail_sink", str(descriptor), str(self.data_dir.mail))
            log = self.data_dir.log("mail-sink")
            self.services.append(self.starter.start(Program("mail sink", command, log, pass_fds=[descriptor])))
            self.environment["EMAIL_URL"] = f"smtp://127.0.0.1:{listener.getsockname()[1]}"

    @property
    def starter(self) -> Starter:
        return Starter(ROOT, self.environment)

    def stop(self) -> None:
        """The last first."""
        while self.services:
            self.services.pop().stop(self.requests)
        account.remove_socket_dir(self.sockets)


def embedded(requests: Requests, data_dir: DataDir, environment: dict[str, str]) -> Embedded:
    lent = None if variables.given("DATABASE_URL") else account.for_postgres(data_dir.path)
    return Embedded(requests, data_dir, account.socket_dir(data_dir.token, lent), lent, environment)


def throw_away(requests: Requests, environment: dict[str, str]) -> Embedded:
    """All in one temporary directory, the cluster included."""
    lent = account.for_postgres()
    place = account.socket_dir(f"test-{os.getpid()}", lent)
    data_dir = DataDir(place)
    data_dir.make()
    data_dir.lock()
    return Embedded(requests, data_dir, place, lent, environment | {"DATA_DIR": str(place)})
