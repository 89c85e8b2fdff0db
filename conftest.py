"""What every test may ask for: the cast, clean caches, and browser tests that are never left out in silence."""

import os
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import pytest
from django.core.cache import cache

from accounts import directory
from accounts.models import Branch, Role, User
from followups import kept
from leads import sources
from leads.models import Source

PASSWORD = "Test-Desk-2026"
# How long the desk waits for its cache when it is no test.
SHIPPED_PATIENCE: dict[str, float] = {}
CHROMIUM = os.environ.get("DESK_CHROMIUM", "")


def pytest_configure(config: pytest.Config) -> None:
    from django.conf import settings

    settings.PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]
    # Each parallel worker has a Redis database of its own, as pytest-django gives it a PostgreSQL one.
    number = int(os.environ.get("PYTEST_XDIST_WORKER", "gw0").removeprefix("gw")) + 1
    settings.REDIS_URL = f"{settings.REDIS_URL.split('?')[0]}?db={number}"
    settings.CACHES["default"]["LOCATION"] = settings.REDIS_URL
    # A machine that is busy with tests may answer late; a cache that is given up on is a test of its own.
    patience = {"SOCKET_TIMEOUT": 10, "SOCKET_CONNECT_TIMEOUT": 10}
    options = settings.CACHES["default"]["OPTIONS"]
    SHIPPED_PATIENCE.update({name: options[name] for name in patience})
    settings.CACHES["default"]["OPTIONS"] = {**options, **patience}
    settings.STATIC_ROOT.mkdir(parents=True, exist_ok=True)
    settings.STORAGES["staticfiles"] = {"BACKEND": "django.contrib.staticfiles.storage.StaticFilesStorage"}


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    if not CHROMIUM and not os.environ.get("CI"):
        for item in items:
            if item.get_closest_marker("browser"):
                item.add_marker(pytest.mark.skip(reason="no Chromium"))


def pytest_terminal_summary(terminalreporter: Any) -> None:
    left_out = [
        report.nodeid for report in terminalreporter.stats.get("skipped", []) if "no Chromium" in str(report.longrepr)
    ]
    if left_out:
        terminalreporter.section("NOT RUN, for want of a browser: install Debian's chromium, or set CHROMIUM")
        for nodeid in left_out:
            terminalreporter.line(nodeid)


@pytest.fixture(autouse=True)
def _nothing_kept() -> Iterator[None]:
    """No test sees what another one left in a cache."""
    directory.forget()
    sources.forget()
    yield
    directory.forget()
    sources.forget()


@pytest.fixture(autouse=True)
def _desks_are_kept_where_writes_commit(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Elsewhere a test's writes are never committed, and so would never end what is kept."""
    marked = request.node.get_closest_marker("django_db")
    if "live_server" in request.fixturenames or (marked and marked.kwargs.get("transaction")):
        cache.delete_pattern("board:*")  # type: ignore[attr-defined]
        cache.delete_pattern("wrote:*")  # type: ignore[attr-defined]
    else:
        monkeypatch.setattr(kept, "KEEP", timedelta(0))


@pytest.fixture
def empty_cache() -> None:
    cache.clear()


@pytest.fixture
def pairs(db: None) -> None:
    """The catalogue of sources, also where a test without a transaction has emptied the tables."""
    for letter, source, sub_source in [
        ("M", "META", "Meta Know"),
        ("G", "GOOGLE", "Google Know"),
        ("B", "BTL", "BTL Know"),
        ("O", "OEM", "Web"),
        ("O", "OEM", "Tele"),
    ]:
        Source.objects.get_or_create(source=source, sub_source=sub_source, defaults={"letter": letter})


@dataclass
class Cast:
    """Asha owns leads, Ravi must not see them; Kiran and Latha sell at Attapur, Sunil at Malakpet; Meera supervises."""

    attapur: Branch
    malakpet: Branch
    asha: User
    ravi: User
    kiran: User
    latha: User
    sunil: User
    head: User
    reception: User
    meera: User


@pytest.fixture
def cast(pairs: None) -> Cast:
    attapur = Branch.objects.create(name="ATTAPUR")
    malakpet = Branch.objects.create(name="MALAKPET")

    def person(username: str, role: Role, branch: Branch | None = None) -> User:
        return User.objects.create_user(
            username,
            PASSWORD,
            name=username.title(),
            role=role,
            branch=branch,
            email=f"{username}@example.com",
        )

    return Cast(
        attapur=attapur,
        malakpet=malakpet,
        asha=person("asha", Role.CRE),
        ravi=person("ravi", Role.CRE),
        kiran=person("kiran", Role.PS, attapur),
        latha=person("latha", Role.PS, attapur),
        sunil=person("sunil", Role.PS, malakpet),
        head=person("head", Role.BRANCH_HEAD, attapur),
        reception=person("reception", Role.RECEPTIONIST, attapur),
        meera=person("meera", Role.SUPERVISOR),
    )
