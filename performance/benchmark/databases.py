"""The benchmark's own databases, beside the configured one; it makes and drops no others.

A database is the benchmark's own if it carries the mark as its comment. One that has the name without the mark, or that
somebody is connected to, is left alone. A filled one that is kept says so in its comment; runs measure in copies of it,
so that it stays as it was filled.
"""

import re
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
FILLED = re.compile(r" Filled with (\d+) leads in ([\d.]+) s\.$")
COPY = "_run"
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
    if len((name + COPY).encode()) > LONGEST_NAME:
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
        if _ours(server, name) is not None:
            server.execute(sql.SQL("DROP DATABASE {}").format(sql.Identifier(name)))
        server.execute(sql.SQL("CREATE DATABASE {}").format(sql.Identifier(name)))
        _comment(server, name, MARK)


def _ours(server: psycopg.Connection[Any], name: str) -> str | None:
    """The comment of our own database, which nobody uses; None where there is none. Raises NotOurs otherwise."""
    there, mark, connected = _mark_of(server, name)
    if there and not mark.startswith(MARK):
        raise NotOurs(f"There is a database {name} that the benchmark has not made: it stays as it is.")
    if connected:
        raise NotOurs(f"Another benchmark seems to run: {connected} are connected to {name}.")
    return mark if there else None


def _comment(server: psycopg.Connection[Any], name: str, words: str) -> None:
    server.execute(sql.SQL("COMMENT ON DATABASE {} IS {}").format(sql.Identifier(name), sql.Literal(words)))


def note_filled(name: str, leads: int, seconds: float) -> None:
    """Says in its comment that it is whole, and how long it took."""
    with _configured() as server:
        _comment(server, name, f"{MARK} Filled with {leads} leads in {seconds:.1f} s.")


def filled_in(name: str, leads: int) -> float | None:
    """In how many seconds a kept database was filled; None without one. Raises NotOurs where it does not fit."""
    with _configured() as server:
        comment = _ours(server, name)
    if comment is None:
        return None
    filled = FILLED.search(comment)
    if filled is None or int(filled[1]) != leads:
        raise NotOurs(f"{name} was not filled with {leads:,} leads to the end: run it once without --reuse.")
    return float(filled[2])


def copy(name: str) -> str:
    """The name of a copy of this database, to measure in."""
    copied = name + COPY
    with _configured() as server:
        if _ours(server, copied) is not None:
            server.execute(sql.SQL("DROP DATABASE {}").format(sql.Identifier(copied)))
        # File by file: through the log, which is the default, millions of rows take several times as long.
        statement = sql.SQL("CREATE DATABASE {} TEMPLATE {} STRATEGY file_copy")
        server.execute(statement.format(sql.Identifier(copied), sql.Identifier(name)))
        _comment(server, copied, MARK)
    return copied


def drop(name: str) -> None:
    """Drops it with whoever is still connected; nothing happens to one without the mark."""
    with _configured() as server:
        if _mark_of(server, name)[1].startswith(MARK):
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
        except redis.ConnectionError as error:
            raise NotOurs("Redis does not answer: the benchmark needs it.") from error
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
