"""What people and programs type in, turned into an Enquiry: shape and spelling only, without a query as a rule."""

import unicodedata
from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

from django import forms
from django.core.exceptions import ValidationError
from django.utils import timezone

from accounts.directory import Directory, directory
from followups import catalogue
from followups.catalogue import CAPTURE, Category, FinalStatus, FollowUp
from leads import phone
from leads.models import Channel
from leads.records import Enquiry
from leads.sources import Sources, sources

DIRECTION_MARKS = {chr(code) for code in (*range(0x202A, 0x202F), *range(0x2066, 0x206A))}
# Hangul fillers: letters by their kind, and invisible.
BLANK_LETTERS = "\u115f\u1160\u3164\uffa0"
GRACE = timedelta(minutes=2)
FARTHEST = timedelta(days=366)


def refuse_control_characters(text: str) -> None:
    """Raises ValidationError for what cannot be typed and would garble a list or a mail. Line breaks are fine."""
    for character in text:
        kind = unicodedata.category(character)
        if character in DIRECTION_MARKS or kind == "Cs" or (kind == "Cc" and character not in "\r\n\t"):
            raise ValidationError("This has a character in it that cannot be shown: type it again.")


class Words(forms.CharField):
    """One line of text: white space folded, control characters refused."""

    def __init__(self, *, missing: str = "", **options: Any) -> None:
        super().__init__(required=bool(missing), error_messages={"required": missing}, **options)

    def to_python(self, value: Any) -> str:
        text = str(super().to_python(value))
        refuse_control_characters(text)
        return " ".join(text.split())


class Name(Words):
    """A name that can be seen in a list, and clicked on."""

    def clean(self, value: Any) -> str:
        name = str(super().clean(value))
        if not any(character.isalnum() and character not in BLANK_LETTERS for character in name):
            raise ValidationError("Type a name with letters in it.")
        return name


class Lines(forms.CharField):
    """Text of several lines: control characters refused, line breaks kept."""

    widget = forms.Textarea

    def to_python(self, value: Any) -> str:
        text = str(super().to_python(value))
        refuse_control_characters(text)
        return text.replace("\r\n", "\n")


class PhoneField(forms.CharField):
    """A telephone number; cleans to E.164."""

    widget = forms.TextInput(attrs={"type": "tel", "inputmode": "tel", "autocomplete": "off"})

    def clean(self, value: Any) -> str:
        typed = str(value or "")
        refuse_control_characters(typed)
        found = phone.normalise(typed)
        if found.problem:
            raise ValidationError(found.problem)
        return found.e164


class MomentField(forms.DateTimeField):
    """A time to come: YYYY-MM-DDTHH:MM in the dealer's time zone, or ISO 8601 with an offset."""

    widget = forms.DateTimeInput(attrs={"type": "datetime-local"}, format="%Y-%m-%dT%H:%M")
    default_error_messages = {"invalid": "Write the date and time as 2026-01-31T17:30."}

    def clean(self, value: Any) -> datetime | None:
        moment: datetime | None = super().clean(value)
        if moment is None:
            return None
        now = timezone.now()
        if moment < now - GRACE:
            raise ValidationError("This time has passed: choose one to come.")
        if moment > now + FARTHEST:
            raise ValidationError("This is more than a year ahead: choose a nearer time.")
        # PostgreSQL does not read every offset that ISO 8601 allows.
        return moment.astimezone(UTC)


class PairForm(forms.Form):
    """A source and its sub-source, in any case, spelt as the catalogue has them."""

    def _pair(self, *, required: bool) -> tuple[str, str] | None:
        source, sub_source = self.cleaned_data.get("source", ""), self.cleaned_data.get("subsource", "")
        if not source or not sub_source:
            return None
        known: Sources = sources()
        if not (pair := known.pair(source, sub_source)):
            known = sources(fresh=True)
            pair = known.pair(source, sub_source)
        if pair or not required:
            return pair
        if known.source(source) is None:
            self.add_error("source", f"There is no source “{source}”.")
        else:
            self.add_error("subsource", f"{source} has no sub-source “{sub_source}”.")
        return None


class CheckForm(PairForm):
    """The question whether a phone is known; the pair may still be missing."""

    phone_number = PhoneField()
    source = Words(max_length=40)
    subsource = Words(max_length=60)

    def pair(self) -> tuple[str, str] | None:
        return self._pair(required=False)


def _same(values: Iterable[str]) -> list[tuple[str, str]]:
    return [(str(value), str(value)) for value in values]


def _outcomes() -> list[tuple[str, list[tuple[str, str]]]]:
    """What a first call may come to, in four groups."""
    groups: dict[str, list[str]] = {}
    for outcome in catalogue.offered(CAPTURE):
        name = str(outcome.implies) if outcome.closes else "Spoken to" if outcome.contacted else "Not reached"
        groups.setdefault(name, []).append(outcome.code)
    return [(name, _same(codes)) for name, codes in groups.items()]


def _models() -> list[tuple[str, list[tuple[str, str]]]]:
    """The models under the first word of their names."""
    families: dict[str, list[str]] = {}
    for model in catalogue.MODELS:
        families.setdefault(model.split()[0], []).append(model)
    return [(family, _same(models)) for family, models in families.items()]


def _sellers(people: Directory, branch_id: int) -> list[tuple[str, str]]:
    """The PS of a branch who take new leads, by name."""
    there = [seller for seller in people.sellers.values() if seller.branch_id == branch_id and seller.available]
    return [(str(seller.id), seller.name) for seller in sorted(there, key=lambda seller: seller.name)]


class LeadForm(PairForm):
    """A new enquiry, from the page or from a program: the same fields, the same rules."""

    customer_mobile_number = PhoneField(label="Phone number", max_length=phone.LONGEST)
    customer_name = Name(
        label="Customer’s name",
        max_length=100,
        missing="Type the customer’s name.",
        widget=forms.TextInput(attrs={"autocomplete": "off"}),
    )
    source = Words(label="Source", max_length=40, missing="Choose a source.", widget=forms.Select)
    subsource = Words(label="Sub-source", max_length=60, missing="Choose a sub-source.", widget=forms.Select)
    lead_status = Words(
        label="How did the call go?", max_length=60, missing="Choose how the call went.", widget=forms.Select
    )
    lead_category = Words(label="Category", max_length=20, widget=forms.Select)
    model_interested = Words(label="Model", max_length=60, widget=forms.Select)
    branch = Words(label="Branch", max_length=60, widget=forms.Select)
    ps_name = Words(label="PS", max_length=80, widget=forms.Select)
    final_status = Words(label="Final status", max_length=10, widget=forms.HiddenInput)
    follow_up_date = MomentField(label="Follow-up", required=False)
    remark = Lines(label="Remark", max_length=1000, required=False, widget=forms.Textarea(attrs={"rows": 2}))
    campaign = Words(label="Campaign", max_length=120, widget=forms.HiddenInput)
    request_id = forms.UUIDField(
        required=False, widget=forms.HiddenInput, error_messages={"invalid": "This must be a UUID."}
    )

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._outcome: catalogue.Outcome | None = None

    def offer(self, people: Directory, known: Sources) -> None:
        """Fills the page's selects, grouped so that they read well without a script; people and places by id."""
        self._choose("source", "Choose…", [(source, source) for source in known.grouped()])
        self._choose("subsource", "Choose…", [(source, _same(names)) for source, names in known.grouped().items()])
        self._choose("lead_status", "Choose…", _outcomes())
        self._choose("lead_category", "Not known yet", _same(Category))
        self._choose("model_interested", "Not known yet", _models())
        branches = sorted(people.branches.items(), key=lambda branch: branch[1])
        self._choose("branch", "Unassigned", [(str(key), name) for key, name in branches])
        self._choose("ps_name", "Unassigned", [(name, _sellers(people, key)) for key, name in branches])

    def _choose(self, field: str, blank: str, choices: list[Any]) -> None:
        widget = self.fields[field].widget
        assert isinstance(widget, forms.Select)
        widget.attrs.pop("maxlength", None)
        widget.choices = [("", blank), *((label, group) for label, group in choices if group)]

    # --- Field by field -------------------------------------------------------------------------------------------

    def clean_lead_status(self) -> str:
        typed = self.cleaned_data["lead_status"]
        outcome = catalogue.find(typed)
        if outcome is None:
            raise ValidationError(f"There is no status “{typed}”.")
        if CAPTURE not in outcome.offered:
            raise ValidationError(f"“{outcome.code}” cannot be the outcome of a first call.")
        self._outcome = outcome
        return outcome.code

    def clean_lead_category(self) -> str:
        return self._one_of(list(Category), "lead_category", "category")

    def clean_model_interested(self) -> str:
        return self._one_of(catalogue.MODELS, "model_interested", "model")

    def clean_final_status(self) -> str:
        return self._one_of(list(FinalStatus), "final_status", "final status")

    def _one_of(self, values: Any, field: str, noun: str) -> str:
        typed: str = self.cleaned_data[field]
        for value in values:
            if str(value).casefold() == typed.casefold():
                return str(value)
        if typed:
            raise ValidationError(f"There is no {noun} “{typed}”.")
        return ""

    # --- Fields together ------------------------------------------------------------------------------------------

    def clean(self) -> dict[str, Any]:
        data = self.cleaned_data
        data["pair"] = self._pair(required=True)
        data["branch_id"], data["ps_id"] = self._place()
        if self._outcome:
            self._check_final_status(self._outcome)
            self._check_follow_up(self._outcome)
        return data

    def _check_final_status(self, outcome: catalogue.Outcome) -> None:
        given = self.cleaned_data.get("final_status")
        if given and given != outcome.implies:
            self.add_error("final_status", f"“{outcome.code}” means {outcome.implies}, not {given}.")

    def _check_follow_up(self, outcome: catalogue.Outcome) -> None:
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

    def _place(self) -> tuple[int | None, int | None]:
        """The ids of branch and PS; a PS alone brings the branch along."""
        branch, ps = self.cleaned_data.get("branch", ""), self.cleaned_data.get("ps_name", "")
        people = directory()
        branch_id, ps_id = self._find_place(people, branch, ps)
        if (branch and branch_id is None) or (ps and ps_id is None):
            people = directory(fresh=True)
            branch_id, ps_id = self._find_place(people, branch, ps)
        if branch and branch_id is None:
            self.add_error("branch", f"There is no branch “{branch}”.")
        if ps and ps_id is None:
            self.add_error("ps_name", f"There is no PS “{ps}” whom the name alone makes out.")
        elif ps_id is not None:
            home = people.sellers[ps_id].branch_id
            if not branch:
                branch_id = home
            elif branch_id is not None and branch_id != home:
                where, here = people.branches.get(home, "another branch"), people.branches[branch_id]
                self.add_error("ps_name", f"{people.sellers[ps_id].name} works at {where}, not at {here}.")
        return branch_id, ps_id

    @staticmethod
    def _find_place(people: Directory, branch: str, ps: str) -> tuple[int | None, int | None]:
        branch_id = people.branch_id(branch) if branch else None
        seller = people.seller(ps, branch_id) if ps else None
        return branch_id, seller.id if seller else None

    def identity(self) -> tuple[UUID | None, str]:
        """By which a form that was sent before is known, as far as it could be read: request id and phone."""
        return self.cleaned_data.get("request_id"), self.cleaned_data.get("customer_mobile_number", "")

    # --- Results --------------------------------------------------------------------------------------------------

    def enquiry(self, *, channel: Channel, cause: str) -> Enquiry:
        """The valid form as capture takes it. `cause` is the id of the request, for the log."""
        data, pair = self.cleaned_data, self.cleaned_data["pair"]
        return Enquiry(
            customer_name=data["customer_name"],
            phone=data["customer_mobile_number"],
            phone_as_typed=str(self.data.get("customer_mobile_number", "")).strip(),
            source=pair[0],
            sub_source=pair[1],
            letter=sources().letters[pair],
            call=catalogue.BY_CODE[data["lead_status"]],
            category=data["lead_category"],
            model=data["model_interested"],
            branch_id=data["branch_id"],
            ps_id=data["ps_id"],
            follow_up_at=data["follow_up_date"],
            remark=data["remark"],
            campaign=data["campaign"],
            channel=channel.value,
            request_id=data["request_id"],
            cause=cause,
        )

    def refuse(self, errors: dict[str, str]) -> None:
        """Puts what capture refused at the fields it belongs to."""
        for field, message in errors.items():
            self.add_error(field, message)


class TellForm(forms.Form):
    """What the owner of a lead is told, by a colleague who had the customer on the line."""

    uid = Words(max_length=20, missing="Name the lead.")
    phone = PhoneField()
    remark = Lines(max_length=1000, required=False)


def words(form: forms.Form) -> dict[str, str]:
    """The errors of a form as one sentence a field."""
    return {field: " ".join(map(str, messages)) for field, messages in form.errors.items()}
