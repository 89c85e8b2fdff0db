"""What a person tells of a call: the part that adding a lead and updating one have in common."""

from typing import Any

from django import forms
from django.core.exceptions import ValidationError

from followups import catalogue
from followups.catalogue import Category, FinalStatus, FollowUp, Moment, Outcome, choices
from followups.fields import Lines, MomentField, Words

NOT_OFFERED = {
    Moment.CAPTURE: "“{}” cannot be the outcome of a first call.",
    Moment.CRE_FIRST: "“{}” cannot be chosen before the customer has been reached.",
    Moment.CRE_LATER: "“{}” can only be the outcome of the call in which the customer was first reached.",
    Moment.PS: "“{}” is not among a PS’s outcomes.",
}


def outcome_choices(moment: Moment) -> list[tuple[str, list[tuple[str, str]]]]:
    """What a call may come to at `moment`, in groups."""
    groups: dict[str, list[str]] = {}
    for outcome in catalogue.offered(moment):
        name = str(outcome.implies) if outcome.closes else "Spoken to" if outcome.contacted else "Not reached"
        groups.setdefault(name, []).append(outcome.code)
    return [(name, choices(codes)) for name, codes in groups.items()]


def model_choices() -> list[tuple[str, list[tuple[str, str]]]]:
    """The models under the first word of their names."""
    families: dict[str, list[str]] = {}
    for model in catalogue.MODELS:
        families.setdefault(model.split()[0], []).append(model)
    return [(family, choices(models)) for family, models in families.items()]


def outcome_rules(moment: Moment) -> dict[str, dict[str, Any]]:
    """What the browser has to know of each outcome, to ask for the right things at once."""
    return {
        outcome.code: {
            "follow_up": outcome.follow_up.value,
            "days": outcome.suggest_days,
            "lost": outcome.implies == FinalStatus.LOST,
            "asks": outcome.asks,
            "hands_over": outcome.hands_over and moment == Moment.CRE_FIRST,
        }
        for outcome in catalogue.offered(moment)
    }


class CallForm(forms.Form):
    """How a call went, and what was learnt of the customer's interest."""

    lead_status = Words(
        label="How did the call go?", max_length=60, missing="Choose how the call went.", widget=forms.Select
    )
    lead_category = Words(label="Category", max_length=20, widget=forms.Select)
    model_interested = Words(label="Model", max_length=60, widget=forms.Select)
    follow_up_date = MomentField(label="Follow-up", required=False)
    remark = Lines(label="Remark", max_length=1000, required=False, widget=forms.Textarea(attrs={"rows": 2}))
    request_id = forms.UUIDField(
        required=False, widget=forms.HiddenInput, error_messages={"invalid": "This must be a UUID."}
    )

    moment: Moment = Moment.CAPTURE
    outcome: Outcome | None = None

    def offer_outcomes(self, blank: str = "Choose…") -> None:
        """Fills the page's selects, grouped so that they read well without a script."""
        self.choose("lead_status", blank, outcome_choices(self.moment))
        self.choose("lead_category", "Not known yet", choices(Category))
        self.choose("model_interested", "Not known yet", model_choices())

    def choose(self, field: str, blank: str, offered: list[Any]) -> None:
        widget = self.fields[field].widget
        assert isinstance(widget, forms.Select)
        widget.attrs.pop("maxlength", None)
        widget.choices = [("", blank), *((label, group) for label, group in offered if group)]

    # --- Field by field -------------------------------------------------------------------------------------------

    def clean_lead_status(self) -> str:
        typed: str = self.cleaned_data["lead_status"]
        if not typed:
            return ""
        outcome = catalogue.find(typed)
        if outcome is None:
            raise ValidationError(f"There is no status “{typed}”.")
        if self.moment not in outcome.offered:
            raise ValidationError(NOT_OFFERED[self.moment].format(outcome.code))
        self.outcome = outcome
        return outcome.code

    def clean_lead_category(self) -> str:
        return self.one_of(list(Category), "lead_category", "category")

    def clean_model_interested(self) -> str:
        return self.one_of(catalogue.MODELS, "model_interested", "model")

    def one_of(self, values: Any, field: str, noun: str) -> str:
        """What was typed in the spelling of `values`; raises ValidationError where it is none of them."""
        typed: str = self.cleaned_data[field]
        for value in values:
            if str(value).casefold() == typed.casefold():
                return str(value)
        if typed:
            raise ValidationError(f"There is no {noun} “{typed}”.")
        return ""

    # --- Fields together ------------------------------------------------------------------------------------------

    def check_follow_up(self, outcome: Outcome) -> None:
        if outcome.follow_up == FollowUp.NONE:
            # A closed lead has nothing to follow up: whatever stands in the field is dropped, a past time too.
            self.cleaned_data["follow_up_date"] = None
            self.errors.pop("follow_up_date", None)
        elif (
            outcome.follow_up == FollowUp.REQUIRED
            and not self.cleaned_data.get("follow_up_date")
            and "follow_up_date" not in self.errors
        ):
            self.add_error("follow_up_date", f"“{outcome.code}” needs a follow-up time.")

    def refuse(self, errors: dict[str, str]) -> None:
        """Puts what a service refused at the fields it belongs to."""
        for field, message in errors.items():
            self.add_error(field, message)


def words(form: forms.Form) -> dict[str, str]:
    """The errors of a form as one sentence a field."""
    return {field: " ".join(map(str, errors)) for field, errors in form.errors.items()}
