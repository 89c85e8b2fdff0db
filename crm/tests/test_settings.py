"""A missing or silly value stops the desk at once, in a sentence that names the variable."""

import ast
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from django.conf import settings
from django.core.exceptions import ImproperlyConfigured

from crm import environment

ROOT = Path(settings.BASE_DIR)
KEY = "kQ9wX2vB7nM4pL8sR1tY6uJ3hG5fD0aZcVbNmKjHgFdSaQwErTyUiOp"
SOUND = {
    "SECRET_KEY": KEY,
    "DATABASE_URL": "postgresql://desk:pw@db.example.com:5432/desk",
    "REDIS_URL": "redis://redis.example.com:6379/0",
    "EMAIL_URL": "smtp+tls://desk:pw@mail.example.com:587",
    "SITE_URL": "https://desk.example.com",
}


@pytest.fixture(autouse=True)
def _bare(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing of what this machine has set."""
    for name in known():
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(f"{name}_FILE", raising=False)


def known() -> set[str]:
    """Every variable that settings and gunicorn's configuration read, out of their own text."""
    read = set()
    for path in ("crm/settings.py", "crm/environment.py", "deploy/gunicorn.conf.py"):
        for node in ast.walk(ast.parse((ROOT / path).read_text(encoding="utf-8"))):
            if isinstance(node, ast.Call):
                names = [part.value for part in node.args[:1] if isinstance(part, ast.Constant)]
                read |= {name for name in names if isinstance(name, str) and re.fullmatch(r"[A-Z][A-Z_]+", name)}
    return read


def settings_with(**variables: str) -> subprocess.CompletedProcess[str]:
    """What happens when the desk is started with these on top of a sound environment; empty takes one away."""
    given = {name: value for name, value in {**SOUND, **variables}.items() if value}
    return subprocess.run(
        [sys.executable, "-c", "import crm.settings as s; print(s.DATABASES['default']['NAME'], s.HTTPS)"],
        env={"PATH": os.environ["PATH"], "HOME": "/nonexistent", **given},
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )


def test_a_sound_environment_is_taken() -> None:
    started = settings_with()
    assert started.returncode == 0, started.stderr
    assert started.stdout.split() == ["desk", "True"]


# One process each, so only what settings.py itself decides; the readers are tried below.
@pytest.mark.parametrize(
    ("variables", "words"),
    [
        ({"SECRET_KEY": ""}, "SECRET_KEY is not set"),
        ({"DEBUG": "true"}, "DEBUG is true with a public host"),
        (
            {"DEBUG": "true", "SITE_URL": "http://localhost:8000", "ALLOWED_HOSTS": "desk.example.com"},
            "ALLOWED_HOSTS",
        ),
        ({"ALLOWED_HOSTS": "*"}, "ALLOWED_HOSTS is *"),
        ({"SITE_URL": "http://desk.example.com"}, "SITE_URL is plain http on a public host"),
        ({"LOG_LEVEL": "LOUD"}, "LOG_LEVEL is 'LOUD'"),
        ({"SECRET_KEY_FILE": "/etc/key"}, "SECRET_KEY and SECRET_KEY_FILE are both set"),
    ],
)
def test_a_missing_or_silly_value_stops_the_desk_in_words(variables: dict[str, str], words: str) -> None:
    started = settings_with(**variables)
    assert started.returncode != 0
    assert words in started.stderr.splitlines()[-1]


def refusal(monkeypatch: pytest.MonkeyPatch, read: Any, **variables: str) -> str:
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    with pytest.raises(ImproperlyConfigured) as refused:
        read()
    return str(refused.value)


@pytest.mark.parametrize(
    "key",
    ["", "short", "a" * 60, "ab" * 30, "change-me-" + KEY, f"django-insecure-{KEY}", "my secret " + KEY],
)
def test_a_missing_or_weak_key_is_refused(monkeypatch: pytest.MonkeyPatch, key: str) -> None:
    assert "SECRET_KEY" in refusal(monkeypatch, environment.secret_key, SECRET_KEY=key)


def _database() -> dict[str, Any]:
    return environment.database({}, statement_timeout=15_000)


@pytest.mark.parametrize(
    ("read", "name", "value"),
    [
        *(
            (_database, "DATABASE_URL", value)
            for value in ("", "desk", "mysql://host/desk", "postgresql://host:x/desk")
        ),
        *((_database, "DATABASE_URL", value) for value in ("postgresql://host", "postgresql://h/desk?nonsense=1")),
        *(
            (environment.redis_url, "REDIS_URL", value)
            for value in ("", "localhost:6379", "http://h", "redis://", "unix://")
        ),
        *(
            (environment.email, "EMAIL_URL", value)
            for value in ("", "mail.example.com", "imap://h", "smtp://", "smtp://h:port")
        ),
        *((environment.site_url, "SITE_URL", value) for value in ("", "desk.example.com", "ftp://h", "https://")),
        *((environment.site_url, "SITE_URL", value) for value in ("https://h/desk", "https://h?x=1", "https://[h")),
    ],
)
def test_a_silly_url_is_refused_by_name(monkeypatch: pytest.MonkeyPatch, read: Any, name: str, value: str) -> None:
    assert name in refusal(monkeypatch, read, **{name: value})


@pytest.mark.parametrize("value", ["maybe", "2", "trueish"])
def test_a_misspelt_boolean_is_refused_rather_than_taken_for_false(monkeypatch: pytest.MonkeyPatch, value: str) -> None:
    assert "DEBUG" in refusal(monkeypatch, lambda: environment.boolean("DEBUG", default=False), DEBUG=value)


@pytest.mark.parametrize(("value", "taken"), [("1", True), ("Yes", True), ("off", False), ("", True)])
def test_a_boolean_is_written_in_many_ways(monkeypatch: pytest.MonkeyPatch, value: str, taken: bool) -> None:
    monkeypatch.setenv("DEBUG", value)
    assert environment.boolean("DEBUG", default=True) is taken


@pytest.mark.parametrize("value", ["-1", "1.5", "ten", "99999999999", "¹"])
def test_a_number_out_of_range_is_refused_by_name(monkeypatch: pytest.MonkeyPatch, value: str) -> None:
    assert "STATEMENT_TIMEOUT" in refusal(
        monkeypatch, lambda: environment.number("STATEMENT_TIMEOUT", 5), STATEMENT_TIMEOUT=value
    )


def test_a_value_may_stand_in_a_file(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "key").write_text(f"{KEY}\n", encoding="utf-8")
    monkeypatch.setenv("SECRET_KEY_FILE", str(tmp_path / "key"))
    assert environment.secret_key() == KEY
    assert "SECRET_KEY and SECRET_KEY_FILE" in refusal(monkeypatch, environment.secret_key, SECRET_KEY=KEY)


def test_a_file_that_cannot_be_read_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    words = refusal(monkeypatch, environment.redis_url, REDIS_URL_FILE="/nowhere/redis")
    assert "REDIS_URL_FILE names /nowhere/redis" in words


def test_a_file_that_is_no_text_is_refused_by_name(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "key").write_bytes(b"\xff\xfe\x00")
    assert "SECRET_KEY_FILE" in refusal(monkeypatch, environment.secret_key, SECRET_KEY_FILE=str(tmp_path / "key"))


def test_a_password_is_never_in_the_complaint(monkeypatch: pytest.MonkeyPatch) -> None:
    assert "hush" not in refusal(monkeypatch, _database, DATABASE_URL="postgresql://desk:hush@db:port/desk")
    assert "hush" not in refusal(monkeypatch, environment.redis_url, REDIS_URL="http://:hush@redis")
    assert "hush" not in refusal(monkeypatch, environment.email, EMAIL_URL="smtp://desk:hush@mail:x")


def test_a_database_on_a_unix_socket_is_understood(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DATABASE_URL", "postgresql://desk@/desk?host=/run/pg&application_name=x")
    found = _database()
    assert (found["NAME"], found["HOST"], found["USER"]) == ("desk", "/run/pg", "desk")
    assert found["OPTIONS"]["application_name"] == "x"


def test_time_outs_are_set_from_the_start(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DATABASE_URL", SOUND["DATABASE_URL"])
    options = _database()["OPTIONS"]
    assert options["connect_timeout"] == 5
    for limit in ("statement_timeout=15000", "lock_timeout=", "idle_in_transaction_session_timeout="):
        assert limit in options["options"]


@pytest.mark.parametrize(
    ("url", "broker"),
    [
        ("redis://h:6379/1", "redis://h:6379/1"),
        ("unix:///run/valkey.sock", "redis+socket:///run/valkey.sock?virtual_host=0"),
        ("unix:///run/valkey.sock?db=3", "redis+socket:///run/valkey.sock?virtual_host=3"),
    ],
)
def test_the_broker_is_the_same_redis(url: str, broker: str) -> None:
    assert environment.broker_url(url) == broker


@pytest.mark.parametrize(
    ("url", "port", "tls", "ssl"),
    [
        ("smtp://mail.example.com", 25, False, False),
        ("smtp+tls://u:p%40w@mail.example.com", 587, True, False),
        ("smtps://mail.example.com:4650", 4650, False, True),
    ],
)
def test_mail_goes_as_its_url_says(monkeypatch: pytest.MonkeyPatch, url: str, port: int, tls: bool, ssl: bool) -> None:
    monkeypatch.setenv("EMAIL_URL", url)
    found = environment.email()
    assert (found["EMAIL_PORT"], found["EMAIL_USE_TLS"], found["EMAIL_USE_SSL"]) == (port, tls, ssl)
    assert found["EMAIL_HOST_PASSWORD"] in ("", "p@w")


def test_the_example_names_every_variable_and_no_other() -> None:
    text = (ROOT / ".env.example").read_text(encoding="utf-8")
    shown = set(re.findall(r"^([A-Z_]+)=", text, re.MULTILINE))
    read = known()
    assert len(read) > 12
    assert shown == read


def test_no_value_of_the_example_is_a_working_key(monkeypatch: pytest.MonkeyPatch) -> None:
    text = (ROOT / ".env.example").read_text(encoding="utf-8")
    for value in re.findall(r"^SECRET_KEY=(.*)$", text, re.MULTILINE):
        assert "SECRET_KEY" in refusal(monkeypatch, environment.secret_key, SECRET_KEY=value)
