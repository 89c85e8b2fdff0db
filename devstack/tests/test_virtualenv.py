"""The virtual environment: what counts as finished, what is made anew, what is said when that fails."""

import importlib.util
from pathlib import Path

import pytest

from devstack import ROOT, virtualenv
from devstack.console import Refusal


@pytest.fixture
def venv(tmp_path: Path) -> Path:
    """Looks like one that was made here and finished."""
    made = tmp_path / ".venv"
    (made / "bin").mkdir(parents=True)
    (made / "bin" / "python").symlink_to("/bin/sh")
    (made / "pyvenv.cfg").write_text("version = 3.11.7\n")
    lock = tmp_path / "requirements-dev.txt"
    lock.write_text("uv==1 \\\n    --hash=sha256:ab\n    # via x\nvine==2 \\\n    --hash=sha256:ef\n")
    (made / ".stamp").write_text(virtualenv._stamp(made, lock))
    return made


def test_a_second_start_installs_nothing(venv: Path) -> None:
    assert virtualenv.ensure(venv.parent) == venv / "bin" / "python"


@pytest.mark.parametrize("change", ["lock", "python", "stamp", "base"])
def test_what_makes_it_anew(venv: Path, change: str) -> None:
    lock = venv.parent / "requirements-dev.txt"
    assert virtualenv._is_current(venv, lock)
    if change == "lock":
        lock.write_text("other==1\n")
    elif change == "python":
        (venv / "pyvenv.cfg").write_text("version = 3.12.1\n")
    elif change == "stamp":
        (venv / ".stamp").unlink()
    else:
        (venv / "bin" / "python").unlink()
        (venv / "bin" / "python").symlink_to("/not/there")
    assert not virtualenv._is_current(venv, lock)


def test_a_copy_of_a_checkout_is_made_anew(venv: Path, tmp_path: Path) -> None:
    copy = venv.rename(tmp_path / "moved")
    assert not virtualenv._is_current(copy, tmp_path / "requirements-dev.txt")


def test_one_without_pip_is_half_made(venv: Path) -> None:
    assert not virtualenv._is_usable(venv)


def test_uv_is_cut_out_of_the_lock_with_its_hashes() -> None:
    lock = (ROOT / "requirements-dev.txt").read_text()
    pinned = virtualenv._block(lock, "uv")
    assert pinned.startswith("uv==")
    assert pinned.count("==") == 1
    assert pinned.count("--hash=sha256:") > 1
    assert virtualenv._block(lock, "not-there") == ""


@pytest.mark.parametrize("missing", ["venv", "ensurepip"])
def test_a_python_without_venv_is_one_sentence(tmp_path: Path, missing: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None if name == missing else True)
    with pytest.raises(
        Refusal, match=rf"no {missing} module: install it \(Debian: apt-get install python3\.\d+-venv\)\.$"
    ):
        virtualenv._create(tmp_path / ".venv")


def test_pip_installs_the_same_lock_when_uv_fails(venv: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    ran: list[list[str]] = []
    monkeypatch.setattr(virtualenv, "_is_usable", lambda venv: True)
    monkeypatch.setattr(virtualenv, "_install_with_uv", lambda venv, lock, log: False)
    monkeypatch.setattr(virtualenv, "_run", lambda command, log, variables: ran.__iadd__([command]))
    lock = venv.parent / "requirements-dev.txt"
    virtualenv._build(venv, lock)
    assert ran == [[str(venv / "bin" / "python"), "-m", "pip", "install", "--require-hashes", "-r", str(lock)]]
    assert virtualenv._is_current(venv, lock)


@pytest.mark.parametrize(
    ("output", "sentence"),
    [
        (
            "WARNING: Retrying (Retry(total=1)) after connection broken",
            "The package index cannot be reached: check",
        ),
        (
            "ERROR: THESE PACKAGES DO NOT MATCH THE HASHES\n",
            "could not be installed, see .*: ERROR: THESE PACKAGES",
        ),
    ],
)
def test_why_nothing_could_be_installed(tmp_path: Path, output: str, sentence: str) -> None:
    log = tmp_path / "install.log"
    log.write_text(output)
    with pytest.raises(Refusal, match=sentence):
        raise Refusal(virtualenv._why(log))
