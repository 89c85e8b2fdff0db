"""What the owning CRE and supervisors type into a lead that is there: the call, the PS, corrections; and reopenings."""

import uuid
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from django import forms
from django.core.exceptions import ValidationError

from accounts.directory import directory
from accounts.models import Role, User
from followups.catalogue import FinalStatus, Moment, Outcome
from followups.fields import Lines, Name, Words
from followups.update import Told
from followups.update_form import UpdateForm
from leads import phone
from leads.forms import PhoneField, PlaceForm
from leads.models import LeadMaster

NO_CALLS = "Calls are recorded by the CRE and the PS; a supervisor corrects."
# What the form for a new lead hands on where the customer turns out to be known.
CARRIED = (
    "customer_name",
    "lead_status",
    "lead_category",
    "model_interested",
    "branch",
    "ps_name",
    "follow_up_date",
    "remark",
)
# What a lead that goes to a PS must say, and the words where it does not.
HANDED_OVER = {
    "lead_category": "“{}” needs a category: how close is the customer to buying?",
    "model_interested": "“{}” needs the model.",
    "branch": "“{}” needs a branch.",
    "ps_name": "“{}” needs a PS who goes on with this customer.",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class LeadTold(Told):
    """What a CRE or supervisor typed. `phone` is E.164, and `phone_as_typed` what it was made of."""

    branch_id: int | None
    ps_id: int | None
    cre_id: int | None
    customer_name: str
    phone: str
    phone_as_typed: str
    alternate_number: str
    email: str


def moment_of(lead: LeadMaster) -> Moment:
    """Whether the CRE's next call is the qualifying one."""
    return Moment.CRE_LATER if lead.first_call_at else Moment.CRE_FIRST


class UpdateLeadForm(UpdateForm, PlaceForm):
    """The CRE's form; a supervisor's has no call in it, and names the CRE."""

    customer_name = Name(
        label="Customer’s name",
        max_length=100,
        missing="Type the customer’s name.",
        widget=forms.TextInput(attrs={"autocomplete": "off"}),
    )
    customer_mobile_number = PhoneField(label="Phone number", max_length=phone.LONGEST)
    alternate_number = PhoneField(label="Other number", max_length=phone.LONGEST, required=False)
    email = forms.EmailField(
        label="E-mail",
        max_length=254,
        required=False,
        widget=forms.EmailInput(attrs={"autocomplete": "off"}),
        error_messages={"invalid": "Write the address as name@example.com."},
    )
    cre = Words(label="CRE", max_length=60, widget=forms.Select)

    COMPARED = (
        *UpdateForm.COMPARED,
        "branch",
        "ps_name",
        "customer_name",
        "customer_mobile_number",
        "alternate_number",
        "email",
    )

    def __init__(self, lead: LeadMaster, actor: User, typed: Mapping[str, str] | None = None) -> None:
        self.actor = actor
        super().__init__(lead, moment_of(lead), typed)
        self.had_ps, self.had_cre = lead.ps_id, lead.cre_id
        if actor.role != Role.SUPERVISOR:
            del self.fields["cre"]

    def offer(self, blank: str = "No call: only details") -> None:
        super().offer(blank)
        self.offer_places(directory())
        if "cre" in self.fields:
            cres = User.objects.filter(role=Role.CRE, is_active=True).order_by("name").values_list("pk", "name")
            self.choose("cre", "Nobody", [(str(key), name) for key, name in cres])
            if self.lead.cre:
                self._offer_kept("cre", str(self.lead.cre_id), self.lead.cre.name)

    def current(self) -> dict[str, str]:
        lead = self.lead
        return {
            **super().current(),
            "branch": str(lead.branch_id or ""),
            "ps_name": str(lead.ps_id or ""),
            "cre": str(lead.cre_id or ""),
            "customer_name": lead.customer_name,
            "customer_mobile_number": lead.customer_mobile_number,
            "alternate_number": lead.alternate_number,
            "email": lead.email,
        }

    def stored(self) -> dict[str, Any]:
        lead = self.lead
        return {
            **super().stored(),
            "branch": str(lead.branch_id or ""),
            "ps_name": str(lead.ps_id or ""),
            "cre": lead.cre_id,
            "customer_name": lead.customer_name,
            "customer_mobile_number": lead.customer_mobile_number,
            "alternate_number": lead.alternate_number,
            "email": lead.email,
        }

    def offer_places(self, people: Any) -> None:
        """With the lead's own branch and PS, though they may take no new leads by now."""
        super().offer_places(people)
        lead = self.lead
        if lead.ps and lead.branch:
            self._offer_kept("ps_name", str(lead.ps_id), lead.ps.name, group=lead.branch.name)
        if lead.branch:
            self._offer_kept("branch", str(lead.branch_id), lead.branch.name)

    def _offer_kept(self, field: str, key: str, name: str, group: str = "") -> None:
        widget = self.fields[field].widget
        assert isinstance(widget, forms.Select)
        choices = list(widget.choices)
        flat = [str(pair[0]) for value, words in choices for pair in (words if isinstance(words, list) else [(value,)])]
        if key not in flat:
            widget.choices = [*choices, (group, [(key, name)]) if group else (key, name)]

    def carry(self, typed: Mapping[str, str]) -> None:
        """Shows what was typed into the form for a new lead, as far as it belongs here; nothing is judged yet."""
        told = {name: typed[name] for name in CARRIED[1:] if typed.get(name)}
        name = typed.get("customer_name", "").strip()
        if name and name.casefold() != self.lead.customer_name.casefold():
            told["remark"] = "\n".join(filter(None, [told.get("remark", ""), f"Gave the name {name}."]))
        self.resume({**told, "version": str(self.lead.version), "request_id": str(uuid.uuid4())})

    # --- Rules ----------------------------------------------------------------------------------------------------

    def clean_lead_status(self) -> str:
        status = super().clean_lead_status()
        if status and self.actor.role == Role.SUPERVISOR:
            raise ValidationError(NO_CALLS)
        return status

    def clean_customer_mobile_number(self) -> str:
        number: str = self.cleaned_data["customer_mobile_number"]
        if number != self.lead.customer_mobile_number and self.lead.final_status != FinalStatus.PENDING:
            raise ValidationError("The number of a closed lead stays as it was dialled.")
        return number

    def clean_cre(self) -> int:
        typed: str = self.cleaned_data["cre"]
        wanted = {"pk": int(typed)} if typed.isdecimal() and len(typed) < 19 else {"username": typed.lower()}
        found = User.objects.filter(role=Role.CRE, is_active=True, **wanted).first() if typed else None
        if found is None:
            raise ValidationError("Choose an active CRE: a lead that has an owner stays with somebody.")
        return int(found.pk)

    def clean(self) -> dict[str, Any]:
        self.cleaned_data["branch_id"], self.cleaned_data["ps_id"] = self._kept_or_new_place()
        data = super().clean()
        if self.outcome and self.outcome.hands_over and self.moment == Moment.CRE_FIRST:
            self._check_handed_over(self.outcome)
        return data

    def changes_anything(self) -> bool:
        data, lead = self.cleaned_data, self.lead
        mine = (data["branch_id"], data["ps_id"], data.get("cre", lead.cre_id), data["customer_name"])
        theirs = (lead.branch_id, lead.ps_id, lead.cre_id, lead.customer_name)
        reached = (data["customer_mobile_number"], data["alternate_number"], data["email"])
        kept = (lead.customer_mobile_number, lead.alternate_number, lead.email)
        return super().changes_anything() or mine != theirs or reached != kept

    def _check_handed_over(self, outcome: Outcome) -> None:
        for field, problem in HANDED_OVER.items():
            if not self.cleaned_data.get(field) and field not in self.errors:
                self.add_error(field, problem.format(outcome.code))

    def _kept_or_new_place(self) -> tuple[int | None, int | None]:
        """Branch and PS by id. What the lead has already may stay, whoever is on leave; what is new must take leads."""
        lead, data = self.lead, self.cleaned_data
        branch, ps = data.get("branch", ""), data.get("ps_name", "")
        if (branch, ps) == (str(lead.branch_id or ""), str(lead.ps_id or "")):
            return lead.branch_id, lead.ps_id
        branch_id, ps_id = self.place()
        if self.errors.get("branch") or self.errors.get("ps_name"):
            return lead.branch_id, lead.ps_id
        if lead.final_status != FinalStatus.PENDING:
            self.add_error("ps_name", f"This lead is {lead.final_status}: it cannot be given to anybody.")
        elif lead.ps_id and ps_id is None:
            self.add_error("ps_name", f"{lead.ps.name} has this lead: choose who takes it over.")
        elif ps_id != lead.ps_id and ps_id is not None:
            # Another request may have read the directory anew since.
            seller = directory().sellers.get(ps_id)
            if seller is None or not seller.available:
                name = seller.name if seller else "This PS"
                self.add_error("ps_name", f"{name} takes no new leads now: choose another.")
        return branch_id, ps_id

    # --- Results --------------------------------------------------------------------------------------------------

    def values(self, cause: str) -> dict[str, Any]:
        data = self.cleaned_data
        return {
            **super().values(cause),
            "branch_id": data["branch_id"],
            "ps_id": data["ps_id"],
            "cre_id": data.get("cre", self.lead.cre_id),
            "customer_name": data["customer_name"],
            "phone": data["customer_mobile_number"],
            "phone_as_typed": self.data["customer_mobile_number"].strip(),
            "alternate_number": data["alternate_number"],
            "email": data["email"],
        }

    def told(self, *, actor_id: int, cause: str) -> LeadTold:
        self.judge(actor_id)
        return LeadTold(**self.values(cause))


class ReopenForm(forms.Form):
    """Why a closed lead is worked on again."""

    reason = Lines(
        label="Why is it reopened?",
        max_length=500,
        error_messages={"required": "Say why: it is kept with the lead."},
        widget=forms.Textarea(attrs={"rows": 2}),
    )
    version = forms.IntegerField(widget=forms.HiddenInput, min_value=1, max_value=2**31 - 1)
