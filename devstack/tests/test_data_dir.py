"""The data directory: private, locked, and clear about what is wrong with it."""

import os
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from devstack.console import Refusal
from devstack.data_dir import LOG_BYTES, DataDir, write_private


@pytest.fixture
def data_dir(tmp_path: Path) -> DataDir:
    made = DataDir(tmp_path / "data")
    made.make()
    return made


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def test_the_secret_key_is_private_long_and_kept(data_dir: DataDir) -> None:
    path = data_dir.secret_key_file()
    key = path.read_text()
    assert mode(path) == 0o600
    assert len(key.strip()) >= 50
    path.chmod(0o644)
    assert data_dir.secret_key_file().read_text() == key
    assert mode(path) == 0o600


def test_a_secret_key_that_was_cut_short_is_made_anew(data_dir: DataDir) -> None:
    write_private(data_dir.path / "secret_key", "abc")
    assert len(data_dir.secret_key_file().read_text()) > 50


def test_the_environment_of_a_run_is_private(data_dir: DataDir) -> None:
    data_dir.note_run({"DATABASE_URL": "postgresql://desk:password@/leaddesk"})
    assert mode(data_dir.run_file) == 0o600
    assert mode(data_dir.mail) == mode(data_dir.logs) == 0o700


def test_a_second_copy_is_refused_in_one_sentence(data_dir: DataDir) -> None:
    held = data_dir.lock()
    with pytest.raises(Refusal, match=rf"already running in .*\(process {os.getpid()}\): stop it first, or give"):
        data_dir.lock()
    assert data_dir.is_running()
    os.close(held)
    assert not data_dir.is_running()
    os.close(data_dir.lock())


def test_a_launcher_that_was_killed_is_waited_for(data_dir: DataDir) -> None:
    """Its number stands in the lock, it is dead, and what it started is just letting go."""
    lock = "import fcntl, sys, time; f = open(sys.argv[1], 'w'); fcntl.flock(f, 2); f.write('4194304')"
    hold = f"{lock}; f.flush(); print(flush=True); time.sleep(1)"
    with subprocess.Popen([sys.executable, "-c", hold, data_dir.path / "lock"], stdout=subprocess.PIPE) as holder:
        assert holder.stdout is not None
        holder.stdout.readline()
        os.close(data_dir.lock())


def test_a_place_that_cannot_be_made_is_refused_in_one_sentence(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(Refusal, match=r"cannot be made \(Not a directory\): choose another with --data-dir\.$"):
        DataDir(tmp_path / "file" / "data").make()


def test_logs_are_bounded_while_they_are_written(data_dir: DataDir) -> None:
    log = data_dir.log("web")
    with log.open("ab") as writer:
        writer.write(b"x" * (LOG_BYTES + 1))
        writer.flush()
        data_dir.bound_logs()
        writer.write(b"after")
    assert log.read_bytes() == b"after"
    assert (data_dir.logs / "web.log.1").stat().st_size == LOG_BYTES // 2
