"""The benchmark's own databases, beside the configured one; it makes and drops no others.

A database is the benchmark's own if it carries the mark as its comment. One that has the name without the mark, or that
somebody is connected to, is left alone.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any
from urllib.parse import quote, urlencode, urlsplit, urlunsplit

import psycopg
import redis
from django.conf import settings
from django.db import connection
from psycopg import sql
from psycopg.conninfo import make_conninfo

MARK = "Made by manage.py benchmark, which may drop it."
LONGEST_NAME = 63
REDIS_DATABASES = range(15, 0, -1)


class NotOurs(Exception):
    """Something stands where the benchmark would put its own."""


def _parameters(name: str) -> dict[str, Any]:
    configured = connection.settings_dict
    keys = {"USER": "user", "PASSWORD": "password", "HOST": "host", "PORT": "port"}
    given = {libpq: str(configured[key]) for key, libpq in keys.items() if configured[key]}
    kept = {key: value for key, value in configured["OPTIONS"].items() if key.startswith("ssl")}
    return {**given, **kept, "dbname": name}


def conninfo(name: str) -> str:
    return make_conninfo("", **_parameters(name))


def url(name: str) -> str:
    """As DATABASE_URL has it."""
    return "postgresql:///?" + urlencode(_parameters(name), quote_via=quote)


def name_for(leads: int) -> str:
    name = f"{connection.settings_dict['NAME']}_benchmark_{leads}"
    if len(name.encode()) > LONGEST_NAME:
        raise NotOurs(f"The name {name} is too long for PostgreSQL.")
    return name


def _configured() -> psycopg.Connection[Any]:
    """To the configured database, only to speak of others."""
    return psycopg.connect(conninfo(str(connection.settings_dict["NAME"])), autocommit=True)


def _mark_of(server: psycopg.Connection[Any], name: str) -> tuple[bool, str, int]:
    """Whether there is such a database, its mark, and how many are connected to it."""
    row = server.execute(
        "SELECT coalesce(shobj_description(oid, 'pg_database'), ''),"
        " (SELECT count(*) FROM pg_stat_activity WHERE datid = pg_database.oid) FROM pg_database WHERE datname = %s",
        [name],
    ).fetchone()
    return (True, row[0], row[1]) if row else (False, "", 0)


def create(name: str) -> None:
    """An empty database. Raises NotOurs where another one, or one in use, has the name."""
    with _configured() as server:
        there, mark, connected = _mark_of(server, name)
        if there and mark != MARK:
            raise NotOurs(f"There is a database {name} that the benchmark has not made: it stays as it is.")
        if connected:
            raise NotOurs(f"Another benchmark seems to run: {connected} are connected to {name}.")
        if there:
            server.execute(sql.SQL("DROP DATABASE {}").format(sql.Identifier(name)))
        server.execute(sql.SQL("CREATE DATABASE {}").format(sql.Identifier(name)))
        server.execute(sql.SQL("COMMENT ON DATABASE {} IS {}").format(sql.Identifier(name), sql.Literal(MARK)))


def drop(name: str) -> None:
    """Drops it with whoever is still connected; nothing happens to one without the mark."""
    with _configured() as server:
        if _mark_of(server, name)[1] == MARK:
            server.execute(sql.SQL("DROP DATABASE {} WITH (FORCE)").format(sql.Identifier(name)))


@contextmanager
def redis_database() -> Iterator[str]:
    """The URL of a Redis database that was empty; it is emptied in the end. Raises NotOurs where none is."""
    for number in REDIS_DATABASES:
        address = _numbered(settings.REDIS_URL, number)
        client = redis.Redis.from_url(address)
        try:
            if client.dbsize() or not client.set("benchmark", MARK, nx=True):
                continue
            try:
                yield address
            finally:
                client.flushdb()
            return
        except redis.ResponseError:
            continue
        finally:
            client.close()
    raise NotOurs("Redis has no empty database from 1 to 15: the benchmark needs one a size.")


def _numbered(address: str, number: int) -> str:
    parts = urlsplit(address)
    if parts.scheme == "unix":
        return f"{address.split('?')[0]}?db={number}"
    return urlunsplit(parts._replace(path=f"/{number}"))
