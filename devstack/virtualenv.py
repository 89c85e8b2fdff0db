"""The virtual environment of the checkout: made once from the lock with its hashes, checked by a stamp."""

import fcntl
import hashlib
import importlib.util
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

from devstack import kernel, package_index
from devstack.console import Refusal, say, step

_NETWORK_WORDS = re.compile(
    r"Retrying \(|NewConnectionError|ConnectTimeout|Connection refused|Temporary failure in name resolution"
    r"|Name or service not known|ProxyError|error sending request|dns error"
)


def ensure(root: Path) -> Path:
    """The environment's Python, with exactly the locked packages. A second call costs two file reads."""
    venv = root / ".venv"
    lock = root / "requirements-dev.txt"
    if not _is_current(venv, lock):
        with _one_at_a_time(root), step("Python environment"):
            if not _is_current(venv, lock):
                _build(venv, lock)
    return venv / "bin" / "python"


def variables(root: Path) -> dict[str, str]:
    """The environment in which the launcher and all its children run."""
    kept = {k: v for k, v in os.environ.items() if not k.startswith(("LC_", "LANG"))}
    bin_dir = root / ".venv" / "bin"
    return kept | {
        # A locale that is not installed breaks initdb and colours every other tool's output.
        "LC_ALL": "C.UTF-8",
        "PATH": f"{bin_dir}{os.pathsep}{kept.get('PATH', os.defpath)}",
        "VIRTUAL_ENV": str(root / ".venv"),
        "PYTHONPATH": str(root),
        "PYTHONUNBUFFERED": "1",
    }


def _stamp(venv: Path, lock: Path) -> str:
    """What was installed, by which Python, where: scripts hold the path, so a moved copy is made anew."""
    digest = hashlib.sha256(lock.read_bytes()).hexdigest()
    return f"{digest}\n{_version(venv)}\n{venv.resolve()}\n"


def _version(venv: Path) -> str:
    try:
        found = re.search(r"^version\s*=\s*(\S+)", (venv / "pyvenv.cfg").read_text(), re.MULTILINE)
    except OSError:
        return ""
    return found[1] if found else ""


def _is_current(venv: Path, lock: Path) -> bool:
    try:
        stamp = (venv / ".stamp").read_text()
    except OSError:
        return False
    return stamp == _stamp(venv, lock) and os.access(venv / "bin" / "python", os.X_OK)


@contextmanager
def _one_at_a_time(root: Path) -> Iterator[None]:
    """The checkout's own directory is the lock: it leaves no file, and dies with whoever holds it."""
    descriptor = os.open(root, os.O_RDONLY)
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            say("Another start is making the Python environment; waiting for it.")
            fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)


def _build(venv: Path, lock: Path) -> None:
    os.umask(0o022)  # as root the servers run as another account, which has to read what is installed here
    (venv / ".stamp").unlink(missing_ok=True) if os.access(venv, os.W_OK) else None
    if not _is_usable(venv):
        _create(venv)
    if not os.access(venv, os.W_OK):
        raise Refusal(f"{venv} cannot be written by this user: run this as its owner, or remove it.")
    log = venv / "install.log"
    log.write_text("")
    if not _install_with_uv(venv, lock, log):
        say("(uv cannot be used here; pip takes longer)", end=" ")
        if not _run(_pip(venv, "install", "--require-hashes", "-r", str(lock)), log, _pip_environment()):
            raise Refusal(_why(log))
    partial = venv / ".stamp.partial"
    partial.write_text(_stamp(venv, lock))
    partial.replace(venv / ".stamp")


def _is_usable(venv: Path) -> bool:
    """Was it made here, by a Python that still runs, and did it get its pip? A half-made one did not."""
    try:
        made_here = str(venv.resolve()) in (venv / "bin" / "pip").read_text()
        check = "import sys, pip; sys.exit(sys.version_info < (3, 11))"
        return made_here and subprocess.run([venv / "bin" / "python", "-c", check], capture_output=True).returncode == 0
    except (OSError, UnicodeError):
        return False


def _create(venv: Path) -> None:
    for module in ("venv", "ensurepip"):
        if importlib.util.find_spec(module) is None:
            package = f"python{sys.version_info[0]}.{sys.version_info[1]}-venv"
            raise Refusal(f"This Python has no {module} module: install it (Debian: apt-get install {package}).")
    if not os.access(venv.parent, os.W_OK):
        raise Refusal(f"{venv.parent} cannot be written by this user: run this as its owner, or copy it elsewhere.")
    if venv.is_symlink():
        venv.unlink()
    shutil.rmtree(venv, ignore_errors=True)
    with tempfile.TemporaryFile("w+") as output:
        command = [sys.executable, "-m", "venv", str(venv)]
        if _call(command, output.fileno(), os.environ) != 0:
            output.seek(0)
            last = " ".join(output.read().split())[-300:]
            raise Refusal(f"The virtual environment {venv} could not be made: {last}")


def _install_with_uv(venv: Path, lock: Path, log: Path) -> bool:
    """uv is a tenth of pip's time. It comes by pip, from the same lock, with the same hashes."""
    pinned = _block(lock.read_text(), "uv")
    if not pinned:
        return False
    with tempfile.NamedTemporaryFile("w", suffix=".txt") as requirement:
        requirement.write(pinned)
        requirement.flush()
        install = _pip(venv, "install", "--require-hashes", "--no-deps", "-r", requirement.name)
        if not _run(install, log, _pip_environment()):
            if _NETWORK_WORDS.search(log.read_text(errors="replace")):
                raise Refusal(_why(log))
            return False
    sync = [
        str(venv / "bin" / "uv"),
        "pip",
        "sync",
        "--require-hashes",
        "--python",
        str(venv / "bin" / "python"),
    ]
    return _run([*sync, str(lock)], log, _uv_environment(venv))


def _block(lock: str, name: str) -> str:
    """One package's pin and hashes, cut out of the lock."""
    found = re.search(rf"^{re.escape(name)}==.*(?:\n[ \t]+--hash.*)*", lock, re.MULTILINE)
    return found[0] + "\n" if found else ""


def _pip(venv: Path, *arguments: str) -> list[str]:
    return [str(venv / "bin" / "python"), "-m", "pip", *arguments]


def _pip_environment() -> dict[str, str]:
    # A person's own pip settings for places to install to do not apply to an environment of ours.
    kept = {k: v for k, v in os.environ.items() if k not in ("PIP_TARGET", "PIP_PREFIX", "PIP_ROOT")}
    ours = {
        "PIP_DISABLE_PIP_VERSION_CHECK": "1",
        "PIP_NO_INPUT": "1",
        "PIP_USER": "0",
        "PIP_REQUIRE_VIRTUALENV": "0",
    }
    return {"PIP_RETRIES": "2", **kept, **ours}


def _uv_environment(venv: Path) -> dict[str, str]:
    listed = subprocess.run(_pip(venv, "config", "list"), capture_output=True, text=True, env=_pip_environment())
    ours = {
        "UV_PYTHON_DOWNLOADS": "never",
        "UV_NO_PROGRESS": "1",
        "UV_NO_CONFIG": "1",
        "UV_LINK_MODE": "copy",
    }
    if not _can_cache():
        ours["UV_NO_CACHE"] = "1"
    # What a person says to uv itself counts more than what they say to pip.
    return package_index.for_uv(listed.stdout) | ours | dict(os.environ)


def _can_cache() -> bool:
    home = Path(os.environ.get("UV_CACHE_DIR") or os.environ.get("XDG_CACHE_HOME") or Path.home())
    return os.access(home, os.W_OK)


def _run(command: Sequence[str], log: Path, environment: Mapping[str, str]) -> bool:
    with log.open("a") as output:
        output.write(f"$ {' '.join(command)}\n")
        output.flush()
        try:
            return _call(command, output.fileno(), environment) == 0
        except OSError as error:
            output.write(f"{error}\n")
            return False


def _call(command: Sequence[str], output: int, environment: Mapping[str, str]) -> int:
    return subprocess.run(
        command,
        env=environment,
        stdin=subprocess.DEVNULL,
        stdout=output,
        stderr=output,
        preexec_fn=kernel.tied_to_parent(signal.SIGKILL),
    ).returncode


def _why(log: Path) -> str:
    text = log.read_text(errors="replace")
    if _NETWORK_WORDS.search(text) or "from versions: none" in text:
        return f"The package index cannot be reached: check the network and pip's index-url, see {log}."
    last = next((line for line in reversed(text.splitlines()) if line.strip()), "no output")
    return f"The packages could not be installed, see {log}: {last.strip()}"
