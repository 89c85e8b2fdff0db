"""The data directory (DATA_DIR, by default var/ in the checkout): its lock, secret key, logs and notes."""

import fcntl
import hashlib
import json
import os
import secrets
import time
from dataclasses import dataclass
from pathlib import Path

from devstack import kernel, tether
from devstack.console import Refusal

LOG_BYTES = 10_000_000


@dataclass(frozen=True)
class DataDir:
    path: Path

    @property
    def token(self) -> str:
        """Names what belongs to this directory but stands elsewhere."""
        return hashlib.sha256(os.fsencode(self.path.resolve())).hexdigest()[:8]

    @property
    def logs(self) -> Path:
        return self.path / "logs"

    @property
    def mail(self) -> Path:
        return self.path / "mail"

    @property
    def run_file(self) -> Path:
        return self.path / "run.json"

    def make(self) -> None:
        """All private but the directory itself: as root, PostgreSQL's account has to pass through it."""
        try:
            self.path.mkdir(mode=0o755, parents=True, exist_ok=True)
            for place in (self.logs, self.mail):
                place.mkdir(mode=0o700, exist_ok=True)
        except OSError as error:
            raise Refusal(f"{self.path} cannot be made ({error.strerror}): choose another with --data-dir.") from None
        if not all(os.access(place, os.W_OK | os.X_OK) for place in (self.path, self.logs, self.mail)):
            raise Refusal(
                f"{self.path} cannot be written by this user (was the desk started as another one, or as "
                "root?): start it as that user, or choose another with --data-dir."
            )

    def lock(self) -> int:
        """Held for as long as this process lives. A launcher that was killed may need a moment to let go."""
        try:
            descriptor = os.open(self.path / "lock", os.O_RDWR | os.O_CREAT, 0o600)
        except OSError as error:
            raise Refusal(f"{self.path / 'lock'} cannot be opened ({error.strerror}): use --data-dir.") from None
        deadline = time.monotonic() + 20
        while not _locked(descriptor):
            holder = os.pread(descriptor, 20, 0).decode().strip()
            if not holder or kernel.alive(int(holder)) or time.monotonic() > deadline:
                raise Refusal(
                    f"A desk is already running in {self.path} (process {holder or 'unknown'}): "
                    "stop it first, or give this one its own --data-dir."
                )
            time.sleep(0.1)
        os.ftruncate(descriptor, 0)
        os.pwrite(descriptor, f"{tether.front_pid()}\n".encode(), 0)
        return descriptor

    def is_running(self) -> bool:
        try:
            descriptor = os.open(self.path / "lock", os.O_RDONLY)
        except OSError:
            return False
        try:
            return not _locked(descriptor)
        finally:
            os.close(descriptor)

    def secret_key_file(self) -> Path:
        """Made once and kept, so that sessions outlive a restart."""
        path = self.path / "secret_key"
        if not path.exists() or path.stat().st_size < 50:
            write_private(path, secrets.token_urlsafe(50) + "\n")
        path.chmod(0o600)
        return path

    def log(self, name: str) -> Path:
        """Where a process writes; what an earlier run left is moved aside once it is large."""
        path = self.logs / f"{name}.log"
        if path.exists() and path.stat().st_size > LOG_BYTES:
            path.replace(path.with_suffix(".log.1"))
        return path

    def bound_logs(self) -> None:
        """While processes hold them open, so copied and emptied: they append, and go on at the new end."""
        for path in self.logs.glob("*.log"):
            if path.stat().st_size > LOG_BYTES:
                with path.open("rb") as log:
                    log.seek(-LOG_BYTES // 2, os.SEEK_END)
                    path.with_suffix(".log.1").write_bytes(log.read())
                os.truncate(path, 0)

    def note_run(self, variables: dict[str, str]) -> None:
        write_private(self.run_file, json.dumps(variables, indent=1) + "\n")


def write_private(path: Path, text: str) -> None:
    """Whole or not at all, and never readable by others, not even for a moment."""
    partial = path.with_name(f"{path.name}.{os.getpid()}.partial")
    with os.fdopen(os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w") as file:
        file.write(text)
    partial.replace(path)


def _locked(descriptor: int) -> bool:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True
