"""What the desk keeps in Redis through Django's cache, by the beginnings of its keys: the one list of it."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Kept:
    """`seconds` is how long an entry lives at most. Who clears it loses time and nothing else."""

    name: str
    words: str
    prefixes: tuple[str, ...]
    holds: str
    stale: str
    seconds: int


# No copy lives longer, whatever it was given: what a lost drop can do has an end.
MOST_SECONDS = 600

KEPT = (
    Kept(
        "sessions",
        "Sessions",
        ("django.contrib.sessions.cached_db",),
        "Who is signed in with which browser. Each session is in the database too, so clearing signs nobody out.",
        "Never; up to ten minutes if Redis was down when a session ended.",
        MOST_SECONDS,
    ),
    Kept(
        "people",
        "Signed-in people",
        ("signed-in:",),
        "Name, role and branch of everybody who is working. Never a password.",
        "Never; up to a minute if Redis was down when the person was changed.",
        60,
    ),
    Kept(
        "dashboards",
        "Dashboards",
        ("board:",),
        "Counts and first pages of the CREs’ and PSs’ dashboards.",
        "Never for whoever saved; up to five minutes for others if Redis was down at the save, and for a name that the"
        " admin has changed.",
        300,
    ),
    Kept(
        "top_five",
        "Top five",
        ("most-won:",),
        "Who has won the most, on the pages of figures.",
        "Never for whoever saved; five minutes for others.",
        300,
    ),
)
# These are no copies of anything: to clear them would not make them anew. When a person's leads were last written to
# (without it an old dashboard would be believed, so it has no end), when a worker was last seen, that the mail server
# is away.
MARKS = ("wrote:", "worker seen", "mail server away")


def kept_of(key: str) -> Kept | None:
    """Where a key belongs; None for a mark."""
    for kept in KEPT:
        if key.startswith(kept.prefixes):
            return kept
    return None
