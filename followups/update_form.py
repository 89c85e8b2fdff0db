"""The form that updates a lead: read against the lead as it stands, and against what somebody else may have saved."""

import json
import uuid
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django import forms
from django.core.exceptions import ValidationError
from django.utils import timezone

from followups import catalogue
from followups.catalogue import FinalStatus, Moment, Outcome
from followups.fields import PastField, Words
from followups.forms import CallForm, outcome_choices
from followups.update import Told
from followups.wording import moment_in_words

MOST_WAS = 4000  # characters
WRITTEN = "%Y-%m-%dT%H:%M"


class Invalid(Exception):
    """A form that cannot be saved as it is; it carries its errors."""

    def __init__(self, form: "UpdateForm") -> None:
        super().__init__("invalid")
        self.form = form


class Stale(Exception):
    """Somebody has saved the lead since the form was opened; the form tells theirs and mine apart."""

    def __init__(self, form: "UpdateForm") -> None:
        super().__init__("stale")
        self.form = form


class Replayed(Exception):
    """This very form was saved before: its answer had got lost on the way."""


class UpdateForm(CallForm):
    """What is told of an open lead; read against the lead as it stands. A field that was not sent keeps its value."""

    lead_status = Words(
        label="How did the call go?",
        max_length=60,
        widget=forms.Select(attrs={"data-key": "o", "data-key-says": "How did the call go?"}),
    )
    lost_reason = Words(label="Why was it lost?", max_length=120, widget=forms.TextInput(attrs={"autocomplete": "off"}))
    test_drive_at = PastField(label="Test drive done", required=False)
    version = forms.IntegerField(
        widget=forms.HiddenInput,
        min_value=1,
        max_value=2**31 - 1,
        error_messages={
            "required": "Send the version of the lead that this was typed against.",
            "invalid": "This must be the lead’s version, a number.",
        },
    )

    was = forms.CharField(required=False, widget=forms.HiddenInput, max_length=MOST_WAS)

    # What a page shows beside one another when two people typed; in this order.
    COMPARED: tuple[str, ...] = (
        "lead_status",
        "follow_up_date",
        "lead_category",
        "model_interested",
        "lost_reason",
        "test_drive_at",
    )

    # Empty, these say nothing: there was no call, and what was agreed is kept.
    ASKED_ANEW = frozenset({"lead_status", "follow_up_date", "lost_reason"})

    def __init__(self, lead: Any, moment: Moment, typed: Mapping[str, str] | None = None) -> None:
        """`lead` is the lead as it stands, `typed` what was sent; without it the form shows the lead."""
        self.lead, self.moment = lead, moment
        kept = self.current()
        sent = None
        self.sent = frozenset(typed or ())
        if typed is not None:
            sent = {**kept, **typed}
            if quick := sent.get("quick"):
                sent["lead_status"] = quick
                self.sent |= {"lead_status"}
                sent["follow_up_date"] = sent.get(f"at {quick}") or sent.get("follow_up_date", "")
        super().__init__(
            sent, initial={**kept, "version": lead.version, "request_id": uuid.uuid4(), "was": json.dumps(kept)}
        )

    def offer(self, blank: str = "No call: only details") -> None:
        """Fills the selects, for a page that shows them; to read what was typed they are not needed."""
        self.offer_outcomes(blank)
        typed = self.data.get("lead_status", "")
        if typed and typed not in {outcome.code for outcome in catalogue.offered(self.moment)}:
            # Not offered any more, and not lost either: saved again, it is refused in words.
            before = ("Chosen before", [(typed, typed)])
            self.choose("lead_status", blank, [*outcome_choices(self.moment), before])

    def current(self) -> dict[str, str]:
        """The lead in the form's fields. The follow-up stays empty: it keeps what was agreed."""
        return {
            "lead_category": self.lead.lead_category,
            "model_interested": self.lead.model_interested,
            "test_drive_at": written(self.lead.test_drive_at),
        }

    def stored(self) -> dict[str, Any]:
        """The same values as `current`, as they are stored."""
        lead = self.lead
        return {
            "lead_category": lead.lead_category,
            "model_interested": lead.model_interested,
            "test_drive_at": lead.test_drive_at,
        }

    def _clean_fields(self) -> None:
        """What stands in the lead and was left alone is not judged anew: rules may have changed since."""
        shown, stored, fields = self.current(), self.stored(), self.fields
        left_alone = {name: value for name, value in stored.items() if self.data.get(name) == shown[name]}
        self.fields = {name: field for name, field in fields.items() if name not in left_alone}
        super()._clean_fields()  # type: ignore[misc]
        self.fields = fields
        self.cleaned_data.update({name: value for name, value in left_alone.items() if name in fields})

    # --- Reading --------------------------------------------------------------------------------------------------

    def told(self, *, actor_id: int, cause: str) -> Told:
        """What was typed. Raises as `judge` does."""
        self.judge(actor_id)
        return Told(**self.values(cause))

    def judge(self, actor_id: int) -> None:
        """Raises Replayed, Stale or Invalid, in this order: a stale form is not yet judged."""
        valid = self.is_valid()
        if self._was_saved_by(actor_id):
            raise Replayed
        if (version := self.cleaned_data.get("version")) is not None and version != self.lead.version:
            raise Stale(self)
        if not valid:
            raise Invalid(self)

    def values(self, cause: str) -> dict[str, Any]:
        data = self.cleaned_data
        return {
            "call": self.outcome,
            "category": data["lead_category"],
            "model": data["model_interested"],
            "follow_up_at": data["follow_up_date"],
            "lost_reason": data["lost_reason"],
            "test_drive_at": data["test_drive_at"],
            "remark": data["remark"],
            "request_id": data["request_id"],
            "cause": cause,
        }

    def _was_saved_by(self, actor_id: int) -> bool:
        request_id = self.cleaned_data.get("request_id")
        return bool(request_id) and (self.lead.saved_request_id, self.lead.saved_by_id) == (request_id, actor_id)

    # --- Rules ----------------------------------------------------------------------------------------------------

    def clean_test_drive_at(self) -> datetime | None:
        """Once recorded it stays."""
        given: datetime | None = self.cleaned_data["test_drive_at"]
        recorded: datetime | None = self.lead.test_drive_at
        if recorded is None or given is None or written(given) == written(recorded):
            return recorded or given
        raise ValidationError(f"The test drive of {moment_in_words(recorded)} is recorded, and stays.")

    def clean(self) -> dict[str, Any]:
        data = self.cleaned_data
        if self.outcome:
            self.check_follow_up(self.outcome)
            self._check_detail(self.outcome)
        if self.lead.final_status != FinalStatus.PENDING:
            self._refuse_what_needs_an_open_lead()
        if not self.errors and not self.changes_anything():
            self.add_error("lead_status", "Choose how the call went, or change something: there is nothing to save.")
        return data

    def changes_anything(self) -> bool:
        data = self.cleaned_data
        return bool(self.outcome or data["follow_up_date"] or data["remark"].strip()) or (
            (data["lead_category"], data["model_interested"], data["test_drive_at"])
            != (self.lead.lead_category, self.lead.model_interested, self.lead.test_drive_at)
        )

    def _check_detail(self, outcome: Outcome) -> None:
        if outcome.implies != FinalStatus.LOST:
            self.cleaned_data["lost_reason"] = ""
            self.errors.pop("lost_reason", None)
        elif outcome.asks and not self.cleaned_data.get("lost_reason") and "lost_reason" not in self.errors:
            self.add_error("lost_reason", f"“{outcome.code}”: {outcome.asks}")

    def _refuse_what_needs_an_open_lead(self) -> None:
        closed = f"This lead is {self.lead.final_status}: only a supervisor reopens it."
        if self.cleaned_data.get("lead_status"):
            self.add_error("lead_status", closed)
        if self.cleaned_data.get("follow_up_date"):
            self.add_error("follow_up_date", closed)

    # --- Two people at once ---------------------------------------------------------------------------------------

    def differences(self) -> list["Difference"]:
        """Field by field what stands in the lead by now and what was typed, where the two are not the same.

        A field that was only left as it was is not in dispute: it says so, and takes what the others saved.
        """
        self.offer()
        return [row for name in self.COMPARED if (row := self._difference(name))]

    def _difference(self, name: str) -> "Difference | None":
        mine, theirs = self._mine(name), self._theirs(name)
        if name not in self.sent or mine == theirs or (name in self.ASKED_ANEW and not mine):
            return None
        untouched = self._is_untouched(name)
        return Difference(name, str(self.fields[name].label), theirs, "" if untouched else mine, untouched=untouched)

    def refreshed(self) -> "UpdateForm":
        """The same form, to be saved over what the others did: nothing typed is lost, nothing of theirs undone."""
        theirs = {name: value for name, value in self.current().items() if self._is_untouched(name)}
        afresh = {"version": str(self.lead.version), "request_id": str(uuid.uuid4()), "was": self.shown()}
        self.data = {**self.data, **theirs, **afresh}
        self._show_unjudged()
        return self

    def shown(self) -> str:
        """What the fields held when the form was opened, for the form to carry along."""
        return json.dumps(self.current())

    def _is_untouched(self, name: str) -> bool:
        """Whether the person left the field as the form had shown it."""
        said = self.data.get("was", "")
        try:
            was = json.loads(said) if len(said) <= MOST_WAS else None
        except (ValueError, RecursionError):
            was = None
        return isinstance(was, dict) and name in was and was[name] == self.data.get(name)

    def resume(self, typed: Mapping[str, str]) -> None:
        """Shows what was typed before somebody had to sign in again; it is not saved, and not judged yet."""
        self.data = {**self.current(), **typed}
        self._show_unjudged()

    def _show_unjudged(self) -> None:
        self.is_bound, self._errors = True, forms.utils.ErrorDict()

    def _theirs(self, name: str) -> str:
        match name:
            case "lead_status":
                return str(self.lead.lead_status)
            case "follow_up_date":
                return moment_in_words(self.lead.follow_up_at)
            case "test_drive_at":
                return moment_in_words(self.lead.test_drive_at)
            case "lost_reason":
                return str(self.lead.lost_reason)
        return self._shown(name, self.current().get(name, ""))

    def _mine(self, name: str) -> str:
        if name in ("follow_up_date", "test_drive_at"):
            return moment_in_words(self.cleaned_data.get(name)) or self.data.get(name, "")
        return self._shown(name, self.data.get(name, ""))

    def _shown(self, name: str, value: str) -> str:
        """A select's value as people read it."""
        choices = getattr(self.fields[name].widget, "choices", [])
        flat = [pair for value_, group in choices for pair in (group if isinstance(group, list) else [(value_, group)])]
        return next((str(words) for key, words in flat if key and str(key) == value), value)


@dataclass(frozen=True, slots=True)
class Difference:
    """One field: its name and label, what stands there by now, what was typed; `untouched` if nothing was."""

    name: str
    label: str
    theirs: str
    mine: str
    untouched: bool


def written(at: datetime | None) -> str:
    """As a datetime-local field writes it, on the dealer's clock."""
    return f"{timezone.localtime(at):{WRITTEN}}" if at else ""
