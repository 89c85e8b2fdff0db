"""The desk's sessions: Django's, in PostgreSQL and kept in Redis, for keys that can be one."""

from typing import Any

from django.contrib.sessions.backends import cached_db


class SessionStore(cached_db.SessionStore):
    """A cookie may hold anything; what no key was ever made of is no session, and nobody is asked for it."""

    def _validate_session_key(self, key: Any) -> bool:
        return bool(super()._validate_session_key(key)) and key.isascii() and key.isalnum()  # type: ignore[misc]
