"""Where sockets stand: short, private, and never in a directory of somebody else's."""

import os
import shutil
import tempfile
from pathlib import Path

import pytest

from devstack import account
from devstack.console import Refusal


@pytest.mark.parametrize("tail", ["x" * 100, "with space", "quo'te"])
def test_a_temporary_directory_that_does_not_suit_sockets_is_passed_over(
    tail: str, place: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    odd = place.rename(place.with_name(f"desk-{os.getpid()}")) / tail
    odd.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(odd))
    found = account.socket_dir(f"t{os.getpid()}", None)
    assert found.parent == Path("/tmp")
    assert len(os.fsencode(found / ".s.PGSQL.5432.lock")) <= 107
    found.rmdir()
    odd.rmdir()
    odd.parent.rmdir()


def test_it_is_private_and_loses_only_the_sockets_of_an_earlier_run() -> None:
    first = account.socket_dir(f"t{os.getpid()}", None)
    for name in ("valkey.sock", ".s.PGSQL.5432.lock", "something else"):
        (first / name).touch()
    first.chmod(0o755)
    again = account.socket_dir(f"t{os.getpid()}", None)
    assert again == first
    assert [path.name for path in again.iterdir()] == ["something else"]
    assert again.stat().st_mode & 0o777 == 0o700
    (again / "something else").unlink()
    again.rmdir()


def test_a_link_is_refused_and_what_it_points_to_is_untouched(place: Path) -> None:
    """The target is a directory of this test's own: were the check broken, nothing else could be hurt."""
    victim = place / "victim"
    victim.mkdir(mode=0o755)
    (victim / "valkey.sock").touch()
    path = account.temporary_place() / f"lead-desk-{os.geteuid()}-link{os.getpid()}"
    path.symlink_to(victim)
    try:
        with pytest.raises(Refusal, match="is somebody else's: remove it"):
            account.socket_dir(f"link{os.getpid()}", None)
    finally:
        path.unlink()
    assert (victim / "valkey.sock").exists()
    assert victim.stat().st_mode & 0o777 == 0o755


@pytest.mark.parametrize("path", ["/", "/tmp", "/tmp/other", "/tmp/lead-desk-x/below", "/not/there/lead-desk-x"])
def test_nothing_but_its_own_directories_is_ever_removed(path: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shutil, "rmtree", lambda *_, **__: pytest.fail("this would have deleted it"))
    with pytest.raises(ValueError, match="was not made by socket_dir"):
        account.remove_socket_dir(Path(path))
