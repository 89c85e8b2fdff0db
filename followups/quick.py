"""The outcomes that are saved by one key or tap: those that need no more words."""

from dataclasses import dataclass
from datetime import datetime

from followups import catalogue
from followups.catalogue import CALL_BACK, FollowUp, Moment, Outcome
from followups.update_form import written
from followups.wording import clock_in_words
from followups.working_hours import suggestion


@dataclass(frozen=True, slots=True)
class Quick:
    """A button: the outcome's code, its key, what stands on it, and the follow-up that goes along, if any."""

    code: str
    key: str
    words: str
    at: str = ""


def quick_outcomes(moment: Moment, now: datetime) -> list[Quick]:
    """The buttons for a call at `moment` that did not reach the customer, or only to agree on another time."""
    found = [outcome for outcome in catalogue.offered(moment) if not outcome.contacted]
    return [_quick(outcome, str(place), now) for place, outcome in enumerate(found, 1)]


def _quick(outcome: Outcome, key: str, now: datetime) -> Quick:
    if outcome.follow_up != FollowUp.REQUIRED:
        return Quick(outcome.code, key, outcome.code)
    at = suggestion(now, outcome.suggest_days or 0)
    words = "Call back" if outcome.code == CALL_BACK else outcome.code
    return Quick(outcome.code, key, f"{words} {clock_in_words(at, now)}", written(at))
