"""As whom PostgreSQL runs: it refuses to be root, so root lends it an account with nothing else to lose."""

import os
import pwd
import re
import shutil
import subprocess
import tempfile
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from devstack.console import Refusal

# What that account needs but cannot reach (a checkout in /root, say) stands here, owned by root.
STORE = Path("/var/lib/lead-desk-devstack")
_SOCKET_PATH_BYTES = 107


@dataclass(frozen=True)
class Account:
    """Another account that root starts a process as; `None` stands for the one that runs the script."""

    name: str
    uid: int
    gid: int


def for_postgres(directory: Path | None = None) -> Account | None:
    """If this is root: the owner of a cluster that stands in the directory, else `postgres` or `nobody`."""
    if os.geteuid() != 0:
        return None
    for cluster in sorted(directory.glob("pg[0-9]*")) if directory else ():
        if cluster.exists() and (owner := cluster.stat().st_uid):
            return Account(f"uid {owner}", owner, cluster.stat().st_gid)
    for name in ("postgres", "nobody"):
        try:
            entry = pwd.getpwnam(name)
        except KeyError:
            continue
        return Account(name, entry.pw_uid, entry.pw_gid)
    raise Refusal("PostgreSQL does not run as root: start this as an ordinary user, or add an account named postgres.")


def can_read(account: Account | None, *paths: Path) -> bool:
    """Asked of the kernel, as the account: modes of all the parents, ACLs and mounts have their say."""
    if account is None:
        return all(os.access(path, os.R_OK) for path in paths)
    script = 'for path; do test -r "$path" || exit 1; done'
    command = ["/bin/sh", "-c", script, "sh", *map(str, paths)]
    ran = subprocess.run(command, user=account.uid, group=account.gid, extra_groups=[], cwd="/", capture_output=True)
    return ran.returncode == 0


def own(path: Path, account: Account | None) -> None:
    if account is not None:
        os.chown(path, account.uid, account.gid, follow_symlinks=False)


def store(name: str) -> Path:
    """A place of root's own that every account can pass through. Parents keep their modes."""
    try:
        STORE.mkdir(mode=0o755, exist_ok=True)
    except OSError as error:
        raise Refusal(f"{STORE} cannot be made ({error.strerror}): start this as an ordinary user.") from None
    if STORE.is_symlink() or STORE.stat().st_uid != 0:
        raise Refusal(f"{STORE} does not belong to root: remove it, and start again.")
    STORE.chmod(0o755)
    return STORE / name


def socket_dir(token: str, account: Account | None) -> Path:
    """A short directory with a fixed name, for this account only; an earlier run's sockets in it go."""
    uid = account.uid if account else os.geteuid()
    path = temporary_place() / f"lead-desk-{uid}-{token}"
    with suppress(FileExistsError):
        path.mkdir(mode=0o700)
    try:
        # Through a descriptor that follows no link: what is checked is what is changed.
        descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
    except OSError:
        raise _not_ours(path) from None
    try:
        if os.fstat(descriptor).st_uid not in (uid, os.geteuid()):
            raise _not_ours(path)
        os.fchown(descriptor, uid, account.gid if account else -1)
        os.fchmod(descriptor, 0o700)
        # Only names that are ours, one by one: nothing here may ever delete a tree.
        for name in os.listdir(descriptor):  # noqa: PTH208 - pathlib knows no descriptors
            if name.startswith(".s.PGSQL.") or name == "valkey.sock":
                os.unlink(name, dir_fd=descriptor)
    finally:
        os.close(descriptor)
    return path


def remove_socket_dir(path: Path) -> None:
    """With all that stands in it; refused for anything that `socket_dir` cannot have made."""
    if path.parent != temporary_place() or not path.name.startswith("lead-desk-") or path.is_symlink():
        raise ValueError(f"{path} was not made by socket_dir")
    shutil.rmtree(path, ignore_errors=True)


def _not_ours(path: Path) -> Refusal:
    return Refusal(f"{path} is somebody else's: remove it, or set TMPDIR to a directory of yours.")


def temporary_place() -> Path:
    """The temporary directory, unless a socket's path in it would be too long or need quoting; then /tmp."""
    place = tempfile.gettempdir()
    longest = len(os.fsencode(place)) + len("/lead-desk-0123456789-test-0123456789/.s.PGSQL.5432.lock")
    plain = re.fullmatch(r"[\w./+-]+", place, re.ASCII)
    return Path(place if plain and longest <= _SOCKET_PATH_BYTES and _is_shared(place) else "/tmp")


def _is_shared(place: str) -> bool:
    """As root, another account has to pass through it."""
    return os.geteuid() != 0 or Path(place).stat().st_mode & 0o001 != 0
