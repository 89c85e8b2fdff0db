"""The one catalogue of call outcomes: what each is called, who may pick it when, and what follows from it.

Pure: forms, services, constraints, the browser and imports all read it, and it reads nothing. CONTRIBUTING.md tells
how to add a status.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum


class FinalStatus(StrEnum):
    PENDING = "Pending"
    WON = "Won"
    LOST = "Lost"


class Category(StrEnum):
    """How close to buying; empty is not known yet."""

    HOT = "Hot"
    WARM = "Warm"
    COLD = "Cold"


class Pipeline(StrEnum):
    DIGITAL = "digital"
    WALK_IN = "walk-in"
    EVENT = "event"


class FollowUp(StrEnum):
    """What an outcome asks of the follow-up date."""

    REQUIRED = "required"
    OPTIONAL = "optional"
    NONE = "none"  # the lead is closed: a date that was typed is dropped


class Moment(StrEnum):
    """Who is choosing, and when: the qualifying call is the first in which the customer was reached."""

    CAPTURE = "capture"
    CRE_FIRST = "cre_first"
    CRE_LATER = "cre_later"
    PS = "ps"


CAPTURE, CRE_FIRST, CRE_LATER, PS = Moment
UNTOUCHED = "Pending"
CALL_BACK = "Call me Back"


@dataclass(frozen=True, slots=True)
class Outcome:
    """How a call ended.

    `code` is what is stored and shown; `contacted` means that the customer was reached; `implies` is the final status
    that follows; `suggest_days` is the follow-up that the form proposes; `hands_over` that the CRE's qualifying call
    gives the lead to a PS; `asks` what has to be told besides; `spellings` are the former programs' words.
    """

    code: str
    offered: frozenset[Moment]
    contacted: bool = True
    implies: FinalStatus = FinalStatus.PENDING
    follow_up: FollowUp = FollowUp.OPTIONAL
    suggest_days: int | None = None
    hands_over: bool = False
    asks: str = ""
    spellings: tuple[str, ...] = ()

    @property
    def closes(self) -> bool:
        return self.implies != FinalStatus.PENDING


def _missed(code: str, *moments: Moment, spellings: tuple[str, ...] = ()) -> Outcome:
    return Outcome(code, frozenset(moments), contacted=False, spellings=spellings)


def _spoke(code: str, *moments: Moment, days: int) -> Outcome:
    return Outcome(code, frozenset(moments), follow_up=FollowUp.REQUIRED, suggest_days=days)


def _closed(
    code: str, final: FinalStatus, *moments: Moment, asks: str = "", spellings: tuple[str, ...] = ()
) -> Outcome:
    return Outcome(code, frozenset(moments), implies=final, follow_up=FollowUp.NONE, asks=asks, spellings=spellings)


WON, LOST = FinalStatus.WON, FinalStatus.LOST

OUTCOMES: tuple[Outcome, ...] = (
    # Waits for its first call; what machines bring in starts here and nobody picks it.
    Outcome(UNTOUCHED, frozenset(), contacted=False),
    # The customer was not reached, or not properly: a fresh lead stays fresh.
    _missed("RNR", CAPTURE, CRE_FIRST, CRE_LATER, PS, spellings=("Ringing No Response", "Rang No Reply")),
    _missed(
        "Busy on another Call",
        CAPTURE,
        CRE_FIRST,
        CRE_LATER,
        PS,
        spellings=("Busy on another call", "Busy"),
    ),
    Outcome(
        CALL_BACK,
        frozenset({CAPTURE, CRE_FIRST, CRE_LATER, PS}),
        contacted=False,
        follow_up=FollowUp.REQUIRED,
        suggest_days=0,
        spellings=("Call Back", "Callback"),
    ),
    _missed("Call Disconnected", CAPTURE, CRE_FIRST, PS),
    _missed("Call not Connected", CRE_LATER, PS),
    # Spoken to, and still deciding.
    Outcome(
        "Interested",
        frozenset({CAPTURE, CRE_FIRST, PS}),
        follow_up=FollowUp.REQUIRED,
        suggest_days=3,
        hands_over=True,
    ),
    Outcome(
        "Customer Visited Experience Centre",
        frozenset({CAPTURE}),
        spellings=("Customer Visited Experience Center",),
    ),
    _spoke("Test Drive", CRE_LATER, PS, days=3),
    _spoke("Discount Issue", CRE_LATER, PS, days=3),
    _spoke("Delayed", CRE_LATER, PS, days=7),
    _spoke("Talked to PS", CRE_LATER, days=3),
    _spoke("Planning in Next Month", PS, days=30),
    # Closed.
    _closed("Booked", WON, CAPTURE, CRE_LATER, PS),
    _closed("Retailed", WON, CAPTURE, CRE_LATER, PS),
    _closed("Booked with another number", WON, PS),
    _closed("Not Interested", LOST, CAPTURE, CRE_FIRST, CRE_LATER, PS),
    _closed("Did Not Inquire", LOST, CAPTURE, CRE_FIRST),
    _closed("Wrong Number", LOST, CAPTURE, CRE_FIRST),
    _closed("Lost to Competition", LOST, CAPTURE, CRE_FIRST, CRE_LATER, PS),
    _closed(
        "Lost to Co Dealer",
        LOST,
        CAPTURE,
        CRE_FIRST,
        CRE_LATER,
        PS,
        spellings=("Lost to codealer", "Lost to Codealer", "Lost to Co-dealer"),
    ),
    _closed("Out of Station", LOST, CRE_FIRST, CRE_LATER, asks="Where does the customer live?"),
    _closed("Finance Rejected", LOST, CRE_LATER, PS),
    _closed("Dropped", LOST, CRE_LATER, PS),
    # Only imports bring it.
    _closed("Lead Already Assigned", LOST),
)

BY_CODE: dict[str, Outcome] = {outcome.code: outcome for outcome in OUTCOMES}
CODES: tuple[str, ...] = tuple(BY_CODE)
NON_CONTACTS: tuple[str, ...] = tuple(
    outcome.code for outcome in OUTCOMES if not outcome.contacted and outcome.code != UNTOUCHED
)
# What an open lead may show before its qualifying call.
FRESH: tuple[str, ...] = (UNTOUCHED, *NON_CONTACTS)


def _fold(words: str) -> str:
    return " ".join(words.casefold().replace("-", " ").split())


_BY_SPELLING: dict[str, Outcome] = {
    _fold(spelling): outcome for outcome in OUTCOMES for spelling in (outcome.code, *outcome.spellings)
}


def find(typed: str) -> Outcome | None:
    """The outcome by its code or any former spelling, whatever the case; None if there is none."""
    return _BY_SPELLING.get(_fold(typed))


def offered(moment: Moment) -> list[Outcome]:
    """What may be picked at `moment`, in the catalogue's order."""
    return [outcome for outcome in OUTCOMES if moment in outcome.offered]


def choices(values: Iterable[str]) -> list[tuple[str, str]]:
    """Django choices in which the stored value is what people read."""
    return [(str(value), str(value)) for value in values]


MODELS: tuple[str, ...] = (
    "Rizta S Mono (2.9 kWh)",
    "Rizta S Super Matte (2.9 kWh)",
    "Rizta Z Mono (2.9 kWh)",
    "Rizta Z Duo (2.9 kWh)",
    "Rizta Z Super Matte (2.9 kWh)",
    "Rizta Z Mono (3.7 kWh)",
    "Rizta Z Duo (3.7 kWh)",
    "Rizta Z Super Matte (3.7 kWh)",
    "450 X (2.9 kWh)",
    "450 X (3.7 kWh)",
    "450 X (2.9 kWh) Pro Pack",
    "450 X (3.7 kWh) Pro Pack",
    "450 Apex STD",
)
