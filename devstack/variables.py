"""The environment variables that the desk reads, and what the launcher adds to them."""

import os
from collections.abc import Mapping

# Each may also be given as NAME_FILE, the path of a file that holds the value.
SETTINGS = (
    "DATABASE_URL",
    "REDIS_URL",
    "EMAIL_URL",
    "SECRET_KEY",
    "DEBUG",
    "ALLOWED_HOSTS",
    "SITE_URL",
    "MAIL_FROM",
    "LOG_LEVEL",
    "STATEMENT_TIMEOUT",
    "PREPARE_STATEMENTS",
    "SSL_REDIRECT",
    "METRICS_TOKEN",
    "DATA_DIR",
    "PORT",
    "WEB_CONCURRENCY",
    "WEB_THREADS",
)

# "embedded" tells seed_demo that the database is the launcher's own, which it may fill by itself.
EMBEDDED_DATABASE = {"DESK_DATABASE": "embedded"}

_OURS = {"DESK_DATABASE", "DESK_FRONT_PID", "DESK_CHROMIUM"}


def given(name: str) -> bool:
    return bool(os.environ.get(name) or os.environ.get(f"{name}_FILE"))


def inherited() -> dict[str, str]:
    """What a process of the desk gets from the person's environment; an empty value counts as none."""
    return {k: v for k, v in os.environ.items() if k not in _OURS and (v or not _is_setting(k))}


def without_settings() -> dict[str, str]:
    return {k: v for k, v in inherited().items() if not _is_setting(k)}


def only_settings(variables: Mapping[str, str]) -> dict[str, str]:
    return {k: v for k, v in variables.items() if _is_setting(k) or k in EMBEDDED_DATABASE}


def without_libpq(variables: Mapping[str, str]) -> dict[str, str]:
    """PGHOST, PGPASSWORD and the like are about a server of the person's, not about the embedded one."""
    return {k: v for k, v in variables.items() if not k.startswith("PG")}


def _is_setting(name: str) -> bool:
    return name.removesuffix("_FILE") in SETTINGS
