"""The signed-in person, kept in Redis for a minute, so that a request need not ask the database who is asking.

Kept is what pages need and the session's hash, never the password. A change by any of our paths drops it at once; a
minute is the worst case, if Redis misses that. Capture asks the database again whether its actor is active.
"""

from typing import Any

from django.contrib.auth.backends import ModelBackend
from django.core.cache import cache

from accounts.models import KEPT_FIELDS, User, kept_key

KEEP_SECONDS = 60


class SignedInBackend(ModelBackend):
    def get_user(self, user_id: int) -> User | None:
        """The active user of a session. Fields that are not kept are fetched when they are first looked at."""
        kept: Any = cache.get(kept_key(user_id))
        if _is_of(kept, user_id):
            *values, session_hash = kept
            user = User.from_db("default", KEPT_FIELDS, values)
            user.kept_session_hash = session_hash
            return user
        found = super().get_user(user_id)
        if not isinstance(found, User):
            return None
        values = [getattr(found, field) for field in KEPT_FIELDS]
        cache.set(kept_key(user_id), [*values, found.get_session_auth_hash()], KEEP_SECONDS)
        return found


def _is_of(kept: Any, user_id: int) -> bool:
    """Whether this is what we keep of the person: not if a release with other fields has written it."""
    return (
        isinstance(kept, list)
        and len(kept) == len(KEPT_FIELDS) + 1
        and kept[0] == user_id
        and isinstance(kept[-1], str)
        and bool(kept[-1])
    )
