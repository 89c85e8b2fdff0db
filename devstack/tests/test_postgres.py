"""The embedded PostgreSQL, really started: recovered after crashes, the system's as its fallback."""

import os
import shutil
import signal
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import psycopg
import pytest

from devstack import account, kernel, postgres
from devstack.console import Refusal
from devstack.tests.conftest import Cluster, eventually

pytestmark = pytest.mark.devstack


@pytest.fixture
def cluster(place: Path) -> Iterator[Cluster]:
    lent = account.for_postgres()
    made = Cluster(place, postgres.find(lent), lent)
    yield made
    made.end()


def ask(cluster: Cluster, sql: str) -> object:
    with psycopg.connect(cluster.postgres.url, autocommit=True) as connection:
        cursor = connection.execute(sql)
        row = cursor.fetchone() if cursor.description else None
        return row[0] if row else None


def test_unicode_no_tcp_and_statement_counts(cluster: Cluster) -> None:
    cluster.start()
    assert ask(cluster, "SELECT upper('é')") == "É"
    assert ask(cluster, "SHOW listen_addresses") == ""
    assert ask(cluster, "SELECT current_database() || ' ' || current_user") == "leaddesk desk"
    assert ask(cluster, "SELECT calls FROM pg_stat_statements WHERE query LIKE '%listen_addresses'") == 1


def test_a_killed_server_starts_again_at_once_with_its_rows(cluster: Cluster) -> None:
    """Unreaped, its pid file still names a zombie, and its backends may still hold the shared memory."""
    first = cluster.start()
    ask(cluster, "CREATE TABLE kept AS SELECT 42 AS answer")
    kernel.signal_quietly(first.process.pid, signal.SIGKILL)
    cluster.start()
    assert ask(cluster, "SELECT answer FROM kept") == 42
    first.process.wait()


def test_a_pid_file_that_names_somebody_else_is_not_believed(cluster: Cluster) -> None:
    service = cluster.start()
    service.stop(cluster.postgres.requests)
    # Of the same account: PostgreSQL by itself would take it for its server.
    lent = cluster.postgres.account
    with subprocess.Popen(["sleep", "60"], user=lent.uid if lent else None) as bystander:
        lines = [
            str(bystander.pid),
            str(cluster.postgres.data),
            "0",
            "5432",
            str(cluster.sockets),
            "",
            "",
            "ready",
        ]
        (cluster.postgres.data / "postmaster.pid").write_text("\n".join(lines))
        cluster.start()
        assert ask(cluster, "SELECT 1") == 1
        assert bystander.poll() is None
        bystander.kill()


def test_a_server_that_was_left_running_is_stopped_first(cluster: Cluster) -> None:
    first = cluster.start()
    cluster.start()
    assert eventually(lambda: first.ended)
    assert ask(cluster, "SELECT 1") == 1


def test_an_interrupted_first_start_leaves_no_half_cluster(cluster: Cluster) -> None:
    half = cluster.postgres.data.with_name(f"{cluster.postgres.data.name}.partial")
    half.mkdir(parents=True)
    (half / "PG_VERSION").write_text("18")
    cluster.start()
    assert ask(cluster, "SELECT 1") == 1
    assert not half.exists()


def test_little_shared_memory_is_enough(cluster: Cluster, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(postgres, "_has_shared_memory", lambda: False)
    cluster.start()
    assert ask(cluster, "SHOW dynamic_shared_memory_type") == "mmap"


@pytest.mark.skipif(os.geteuid() != 0, reason="ONLY ROOT has to lend another account what it cannot reach")
def test_a_private_parent_stays_private(place: Path) -> None:
    place.chmod(0o700)
    lent = account.for_postgres()
    cluster = Cluster(place, postgres.find(lent), lent)
    try:
        cluster.start()
        assert ask(cluster, "SELECT 1") == 1
        assert place.stat().st_mode & 0o777 == 0o700
        assert (place / cluster.postgres.data.name).is_symlink()
    finally:
        cluster.end()


def system_bindirs() -> list[Path]:
    return sorted(Path("/usr/lib/postgresql").glob("*/bin"))


@pytest.mark.skipif(not system_bindirs(), reason="NO SYSTEM POSTGRESQL HERE: the fallback was not tried")
@pytest.mark.parametrize("chosen", [True, False])
def test_the_systems_postgresql_is_the_fallback(place: Path, chosen: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    if chosen:
        monkeypatch.setenv("PG_BINDIR", str(system_bindirs()[-1]))
    else:
        monkeypatch.setattr(postgres, "find_spec", lambda name: None)
    lent = account.for_postgres()
    binaries = postgres.find(lent)
    assert binaries.origin == ("PG_BINDIR" if chosen else "system")
    cluster = Cluster(place, binaries, lent)
    try:
        cluster.start()
        assert str(ask(cluster, "SHOW server_version")).startswith(binaries.version)
        assert ask(cluster, "SELECT upper('é')") == "É"
    finally:
        cluster.end()


def test_a_wrong_pg_bindir_is_one_sentence(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PG_BINDIR", "/not/there")
    with pytest.raises(Refusal, match=r"^PG_BINDIR=/not/there holds no postgres that can be run here: correct it"):
        postgres.find(None)


def test_root_gets_a_copy_of_binaries_out_of_reach(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As the account would find them; the copy starts, and a second look copies nothing."""
    monkeypatch.setattr(account, "STORE", place / "store")
    bindir, _ = postgres._candidates()[0]
    copied: Callable[[], Path] = lambda: postgres._copied(bindir)  # noqa: E731
    if os.geteuid() != 0:
        with pytest.raises(Refusal, match="does not belong to root"):
            copied()
        return
    copy = copied()
    assert postgres._version(copy) == postgres._version(bindir)
    assert copied() == copy
    assert [path.name for path in (place / "store").iterdir()] == [copy.parents[2].name]
    shutil.rmtree(place / "store")
