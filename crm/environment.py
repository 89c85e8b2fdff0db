"""Readers for the environment that refuse nonsense: every complaint names its variable and says what to write.

django-environ was tried and left out: it takes any misspelt boolean for False and cannot parse a database URL
with a Unix socket, which psycopg's own parser can.
"""

import os
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any
from urllib.parse import SplitResult, parse_qs, unquote, urlsplit

from django.core.exceptions import ImproperlyConfigured
from psycopg import ProgrammingError
from psycopg.conninfo import conninfo_to_dict

TRUE = {"1", "true", "yes", "on"}
FALSE = {"0", "false", "no", "off", ""}
WEAK_KEYS = re.compile(r"insecure|change.?me|secret|password|example|django", re.IGNORECASE)


def text(name: str, default: str = "") -> str:
    """The value of `name`, or what stands in the file that `name`_FILE points to, without the white space around it."""
    value = os.environ.get(name, "").strip()
    path = os.environ.get(f"{name}_FILE", "").strip()
    if value and path:
        raise ImproperlyConfigured(f"{name} and {name}_FILE are both set: keep one of them.")
    if path:
        try:
            value = Path(path).read_text(encoding="utf-8").strip()
        except OSError as error:
            raise ImproperlyConfigured(f"{name}_FILE names {path}, which cannot be read: {error.strerror}.") from error
        except UnicodeDecodeError as error:
            raise ImproperlyConfigured(f"{name}_FILE names {path}, which holds no text.") from error
    return value or default


def boolean(name: str, *, default: bool) -> bool:
    value = text(name, str(default)).lower()
    if value not in TRUE | FALSE:
        raise ImproperlyConfigured(f"{name} is {value!r}: write true or false.")
    return value in TRUE


def number(name: str, default: int, *, low: int = 0, high: int = 2**31 - 1) -> int:
    value = text(name, str(default))
    if not re.fullmatch(r"\d{1,10}", value) or not low <= int(value) <= high:
        raise ImproperlyConfigured(f"{name} is {value!r}: write a whole number from {low} to {high}.")
    return int(value)


def metrics_token() -> str:
    """What Prometheus must send to read /metrics; empty, there is no such address."""
    token = text("METRICS_TOKEN")
    if token and (not re.fullmatch(r"[A-Za-z0-9._~+/=-]{32,200}", token) or len(set(token)) < 8):
        raise ImproperlyConfigured(
            "METRICS_TOKEN can be guessed or sent badly: write what `openssl rand -hex 32` says."
        )
    return token


def words(name: str, default: str = "") -> list[str]:
    """A list separated by commas."""
    return [word.strip() for word in text(name, default).split(",") if word.strip()]


def secret_key() -> str:
    """Sessions, password resets and lead uids are signed with it, so a weak one is refused."""
    key = text("SECRET_KEY")
    if not key:
        raise ImproperlyConfigured(
            "SECRET_KEY is not set: write 50 random characters into it, for example from"
            ' python3 -c "import secrets; print(secrets.token_urlsafe(50))".'
        )
    if len(key) < 50 or len(set(key)) < 12 or WEAK_KEYS.search(key):
        raise ImproperlyConfigured("SECRET_KEY is weak: it needs 50 or more random characters.")
    return key


def url(name: str, schemes: set[str]) -> SplitResult:
    value = text(name)
    try:
        parts = urlsplit(value)
        _ = parts.port
    except ValueError as error:
        raise ImproperlyConfigured(f"{name} is not a URL: {error}.") from error
    if not value or parts.scheme not in schemes:
        raise ImproperlyConfigured(f"{name} must be a URL that starts with {' or '.join(sorted(schemes))}://.")
    return parts


def database(options: Mapping[str, Any], statement_timeout: int) -> dict[str, Any]:
    """Django's DATABASES entry from DATABASE_URL, in any form that libpq reads, Unix sockets included.

    statement_timeout is in milliseconds; 0 is none.
    """
    url("DATABASE_URL", {"postgresql", "postgres"})
    try:
        parts = conninfo_to_dict(text("DATABASE_URL"))
    except ProgrammingError as error:
        raise ImproperlyConfigured(f"DATABASE_URL cannot be read: {error}.") from error
    if not parts.get("dbname"):
        raise ImproperlyConfigured("DATABASE_URL names no database: write it after the last slash.")
    limits = (
        f"-c statement_timeout={statement_timeout} -c lock_timeout=5000 -c idle_in_transaction_session_timeout=20000"
    )
    given = str(parts.pop("options", ""))
    return {
        "ENGINE": "django.db.backends.postgresql",
        "NAME": parts.pop("dbname"),
        "USER": parts.pop("user", ""),
        "PASSWORD": parts.pop("password", ""),
        "HOST": parts.pop("host", ""),
        "PORT": parts.pop("port", ""),
        "OPTIONS": {"connect_timeout": 5, **parts, "options": f"{limits} {given}".strip(), **options},
    }


def redis_url() -> str:
    parts = url("REDIS_URL", {"redis", "rediss", "unix"})
    if (not parts.hostname and parts.scheme != "unix") or (parts.scheme == "unix" and not parts.path):
        raise ImproperlyConfigured("REDIS_URL names no server: write redis://host:6379/0 or unix:///path/to/socket.")
    return text("REDIS_URL")


def broker_url(redis: str) -> str:
    """Celery's spelling of the same Redis: kombu knows a Unix socket by another scheme and option."""
    parts = urlsplit(redis)
    if parts.scheme != "unix":
        return redis
    database_number = parse_qs(parts.query).get("db", ["0"])[0]
    return f"redis+socket://{parts.path}?virtual_host={database_number}"


def email() -> dict[str, Any]:
    """Django's EMAIL_… settings from EMAIL_URL: smtp:// is plain, smtp+tls:// STARTTLS, smtps:// TLS from the start."""
    parts = url("EMAIL_URL", {"smtp", "smtp+tls", "smtps"})
    if not parts.hostname:
        raise ImproperlyConfigured("EMAIL_URL names no server: write smtp+tls://user:password@host:587.")
    return {
        "EMAIL_BACKEND": "followups.mail.TellingBackend",
        "EMAIL_HOST": parts.hostname,
        "EMAIL_PORT": parts.port or {"smtp": 25, "smtp+tls": 587, "smtps": 465}[parts.scheme],
        "EMAIL_HOST_USER": unquote(parts.username or ""),
        "EMAIL_HOST_PASSWORD": unquote(parts.password or ""),
        "EMAIL_USE_TLS": parts.scheme == "smtp+tls",
        "EMAIL_USE_SSL": parts.scheme == "smtps",
        "EMAIL_TIMEOUT": 10,
    }


def site_url() -> str:
    """Where people reach the desk; the links in mails start with it."""
    parts = url("SITE_URL", {"http", "https"})
    if not parts.hostname or parts.path not in {"", "/"} or parts.query:
        raise ImproperlyConfigured("SITE_URL must be a scheme and a host only, as in https://desk.example.com.")
    return text("SITE_URL").rstrip("/")


def is_loopback(host: str) -> bool:
    return host in {"localhost", "127.0.0.1", "[::1]", "::1", "testserver", ".localhost"} or host.startswith("127.")
