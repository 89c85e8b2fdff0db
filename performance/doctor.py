"""Looks whether the desk's tables agree with one another, says in words where they do not, and repairs what is derived.

The questions are the named invariants of leads.invariants; what may be repaired, and how, is said by leads.repair.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import groupby

from django.db import connection, transaction

from leads.invariants import FOLLOWED, INVARIANTS, TOLD, Invariant, offending
from leads.repair import DERIVED, repair

# Of more leads than this, one says "1,000 or more"; a repair takes as many at a time.
MOST = 1000
EXAMPLES = 5
ROUNDS = 50
# What several invariants begin with, and costs the most.
BEGINNINGS = (TOLD, FOLLOWED)


@dataclass(frozen=True, slots=True)
class Finding:
    """The leads that break one invariant, MOST of them at most."""

    invariant: Invariant
    uids: tuple[str, ...]

    @property
    def derived(self) -> bool:
        return self.invariant.name in DERIVED

    @property
    def number(self) -> str:
        return f"{len(self.uids):,} or more" if len(self.uids) >= MOST else f"{len(self.uids):,}"

    @property
    def words(self) -> str:
        examples = ", ".join(self.uids[:EXAMPLES])
        return f"Leads that {self.invariant.says}: {self.number}, such as {examples}."


def examine(invariants: Iterable[Invariant] = INVARIANTS) -> list[Finding]:
    """What is wrong, in the order of the invariants. It only reads, and nobody waits for it."""
    return [finding for together in _together(invariants) for finding in _examined(together)]


def repaired() -> int:
    """Repairs all that is derived and wrong; returns how many leads that were. Twice is as good as once."""
    invariants = [invariant for invariant in INVARIANTS if invariant.name in DERIVED]
    total = 0
    for _ in range(ROUNDS):
        findings = examine(invariants)
        total += repair(sorted({uid for finding in findings for uid in finding.uids}))
        if all(len(finding.uids) < MOST for finding in findings):
            break
    return total


def _beginning(invariant: Invariant) -> str:
    return next((words for words in BEGINNINGS if invariant.query.startswith(words)), invariant.query)


def _together(invariants: Iterable[Invariant]) -> Iterator[Sequence[Invariant]]:
    """Those that begin alike, and so read the same rows."""
    for _, alike in groupby(invariants, _beginning):
        yield tuple(alike)


def _examined(together: Sequence[Invariant]) -> Iterator[Finding]:
    """Where several begin alike they are asked at once, and one by one only if something is wrong."""
    if len(together) > 1 and not _offending(_at_once(together), limit=1):
        return
    for invariant in together:
        if uids := _offending(invariant, limit=MOST):
            yield Finding(invariant, tuple(uids))


def _at_once(together: Sequence[Invariant]) -> Invariant:
    """The invariant that is broken where one of these is."""
    beginning = _beginning(together[0])
    conditions = (f"({invariant.query.removeprefix(beginning)})" for invariant in together)
    return replace(together[0], query=beginning + f"({' OR '.join(conditions)})")


def _offending(invariant: Invariant, limit: int) -> list[str]:
    with transaction.atomic(), connection.cursor() as cursor:
        # A worker's statements end after some seconds, and sort in little memory; these read millions of rows.
        cursor.execute("SET LOCAL statement_timeout = '5min'")
        cursor.execute("SET LOCAL work_mem = '128MB'")
        cursor.execute("SET LOCAL jit = off")
        return offending(invariant, limit)
