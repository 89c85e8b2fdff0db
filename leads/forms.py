"""What people and programs type in, turned into an Enquiry: shape and spelling only, without a query as a rule."""

from typing import Any
from uuid import UUID

from django import forms
from django.core.exceptions import ValidationError

from accounts.characters import refuse_control_characters
from accounts.directory import Directory, directory
from followups import catalogue
from followups.catalogue import FinalStatus, choices
from followups.fields import Lines, Name, Words
from followups.forms import CallForm
from leads import phone
from leads.models import Channel
from leads.records import Enquiry
from leads.sources import Sources, sources


class PhoneField(forms.CharField):
    """A telephone number; cleans to E.164, or to nothing where it may be left out."""

    widget = forms.TextInput(attrs={"type": "tel", "inputmode": "tel", "autocomplete": "off"})

    def clean(self, value: Any) -> str:
        typed = str(value or "")
        if not typed.strip() and not self.required:
            return ""
        refuse_control_characters(typed)
        found = phone.normalise(typed)
        if found.problem:
            raise ValidationError(found.problem)
        return found.e164


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


def _sellers(people: Directory, branch_id: int) -> list[tuple[str, str]]:
    """The PS of a branch who take new leads, by name."""
    there = [seller for seller in people.sellers.values() if seller.branch_id == branch_id and seller.available]
    return [(str(seller.id), seller.name) for seller in sorted(there, key=lambda seller: seller.name)]


class PlaceForm(CallForm):
    """Where a lead goes: a branch and one of its PS, by id, username or name."""

    branch = Words(label="Branch", max_length=60, widget=forms.Select)
    ps_name = Words(label="PS", max_length=80, widget=forms.Select)

    def offer_places(self, people: Directory) -> None:
        """Fills the two selects by id, the PS grouped under their branches."""
        branches = sorted(people.branches.items(), key=lambda branch: branch[1])
        self.choose("branch", "Unassigned", [(str(key), name) for key, name in branches])
        self.choose("ps_name", "Unassigned", [(name, _sellers(people, key)) for key, name in branches])

    def place(self) -> tuple[int | None, int | None]:
        """The ids of branch and PS; a PS alone brings the branch along."""
        branch, ps = self.cleaned_data.get("branch", ""), self.cleaned_data.get("ps_name", "")
        people = directory()
        branch_id, ps_id = self._found(people, branch, ps)
        if (branch and branch_id is None) or (ps and ps_id is None):
            people = directory(fresh=True)
            branch_id, ps_id = self._found(people, branch, ps)
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
    def _found(people: Directory, branch: str, ps: str) -> tuple[int | None, int | None]:
        branch_id = people.branch_id(branch) if branch else None
        seller = people.seller(ps, branch_id) if ps else None
        return branch_id, seller.id if seller else None


class LeadForm(PairForm, PlaceForm):
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
    final_status = Words(label="Final status", max_length=10, widget=forms.HiddenInput)
    campaign = Words(label="Campaign", max_length=120, widget=forms.HiddenInput)

    field_order = (
        "customer_mobile_number",
        "customer_name",
        "source",
        "subsource",
        "lead_status",
        "lead_category",
        "model_interested",
        "branch",
        "ps_name",
        "final_status",
        "follow_up_date",
        "remark",
        "campaign",
        "request_id",
    )

    def offer(self, people: Directory, known: Sources) -> None:
        """Fills the page's selects, grouped so that they read well without a script; people and places by id."""
        self.choose("source", "Choose…", [(source, source) for source in known.grouped()])
        self.choose("subsource", "Choose…", [(source, choices(names)) for source, names in known.grouped().items()])
        self.offer_outcomes()
        self.offer_places(people)

    def clean_final_status(self) -> str:
        return self.one_of(list(FinalStatus), "final_status", "final status")

    def clean(self) -> dict[str, Any]:
        data = self.cleaned_data
        data["pair"] = self._pair(required=True)
        data["branch_id"], data["ps_id"] = self.place()
        if self.outcome:
            self._check_final_status(self.outcome)
            self.check_follow_up(self.outcome)
        return data

    def _check_final_status(self, outcome: catalogue.Outcome) -> None:
        given = self.cleaned_data.get("final_status")
        if given and given != outcome.implies:
            self.add_error("final_status", f"“{outcome.code}” means {outcome.implies}, not {given}.")

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


class TellForm(forms.Form):
    """What the owner of a lead is told, by a colleague who had the customer on the line."""

    uid = Words(max_length=20, missing="Name the lead.")
    phone = PhoneField()
    remark = Lines(max_length=1000, required=False)
