"""The catalogue of sources as forms need it, kept in the process for a minute, like the directory of people."""

import time
from dataclasses import dataclass, field

from leads.models import Source

KEEP_SECONDS = 60


@dataclass(frozen=True, slots=True)
class Sources:
    """The offered pairs: `letters` maps (source, sub_source) to the letter of its uids."""

    letters: dict[tuple[str, str], str]
    read_at: float = field(default_factory=time.monotonic)

    def source(self, typed: str) -> str | None:
        """The source as it is spelt in the catalogue, however its case was typed."""
        return next((source for source, _ in self.letters if source.casefold() == typed.casefold()), None)

    def pair(self, source: str, sub_source: str) -> tuple[str, str] | None:
        wanted = (source.casefold(), sub_source.casefold())
        return next((pair for pair in self.letters if (pair[0].casefold(), pair[1].casefold()) == wanted), None)

    def grouped(self) -> dict[str, list[str]]:
        """Sub-sources by source, for the form's two selects."""
        groups: dict[str, list[str]] = {}
        for source, sub_source in self.letters:
            groups.setdefault(source, []).append(sub_source)
        return groups


_kept: Sources | None = None


def sources(*, fresh: bool = False) -> Sources:
    """The kept catalogue, read again (one query) when it is older than a minute or when `fresh` is asked for."""
    global _kept
    if fresh or _kept is None or time.monotonic() - _kept.read_at > KEEP_SECONDS:
        rows = Source.objects.filter(is_active=True).values_list("source", "sub_source", "letter")
        _kept = Sources({(source, sub_source): letter for source, sub_source, letter in rows})
    return _kept


def forget() -> None:
    global _kept
    _kept = None


def entries() -> int:
    """How many pairs this process keeps."""
    kept = _kept  # another thread may forget it meanwhile
    return len(kept.letters) if kept else 0


def age() -> float | None:
    """Seconds since they were read; None where nothing is kept."""
    kept = _kept  # another thread may forget it meanwhile
    return time.monotonic() - kept.read_at if kept else None
