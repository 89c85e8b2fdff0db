"""What a CRE's desk is narrowed to: days, category, source, branch, PS. All of it stands in the address."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, NamedTuple

from django import forms
from django.db.models import Q
from django.utils.http import urlencode

from accounts.directory import Directory
from followups import periods
from followups.catalogue import Category
from followups.periods import Period
from leads.sources import Sources

NONE = "none"  # in an address: those leads that have no category, branch or PS
WHOLE_LISTS = {"period": "Any day", "category": "Any", "source": "Any", "branch": "Any", "ps": "Anybody"}
UNKNOWN = {"invalid_choice": "The list has no such choice, so this does not filter. Choose another."}
COLUMNS = {"category": "lead_category", "source": "source", "branch": "branch", "ps": "ps"}
DAYS = ("from", "to")


class Chip(NamedTuple):
    """A filter that is on, and the rest of the address without it."""

    words: str
    without: str


@dataclass(frozen=True, slots=True)
class Filters:
    """What is on: `query` as in an address, `said` in words by the name of the field."""

    period: Period | None = None
    query: dict[str, str] = field(default_factory=dict)
    said: dict[str, str] = field(default_factory=dict)

    def within(self, moment: str) -> Q:
        """Those whose `moment` lies in the days asked for; that of each list is its own."""
        if self.period is None:
            return Q()
        return Q(**{f"{moment}__gte": self.period.since, f"{moment}__lt": self.period.until})

    def of_lead(self) -> Q:
        """What the lead itself must be."""
        wanted: dict[str, Any] = {}
        for name, column in COLUMNS.items():
            value = self.query.get(name)
            if value == NONE:
                wanted |= {column: ""} if name == "category" else {f"{column}__isnull": True}
            elif value:
                wanted[column] = value
        return Q(**wanted)

    def chips(self, dated: str, kept: Mapping[str, str]) -> list[Chip]:
        """One for each that is on. `dated` says what happened on the days asked for; `kept` stays in the address."""
        told = {**self.said}
        if "period" in told:
            told["period"] = f"{dated[:1].upper()}{dated[1:]}: {told['period'][:1].lower()}{told['period'][1:]}"
        return [Chip(words, urlencode({**kept, **self._without(name)})) for name, words in told.items()]

    def _without(self, name: str) -> dict[str, str]:
        gone = {name, *DAYS} if name == "period" else {name}
        return {key: value for key, value in self.query.items() if key not in gone}


class FilterForm(forms.Form):
    """The fields. What is wrong is said at its field and does not filter; the others do."""

    period = forms.ChoiceField(label="Days", required=False, error_messages=UNKNOWN)
    category = forms.ChoiceField(required=False, error_messages=UNKNOWN)
    source = forms.ChoiceField(required=False, error_messages=UNKNOWN)
    branch = forms.ChoiceField(required=False, error_messages=UNKNOWN)
    ps = forms.ChoiceField(label="PS", required=False, error_messages=UNKNOWN)

    def __init__(self, typed: Mapping[str, str], people: Directory, sources: Sources, now: datetime) -> None:
        super().__init__(typed, auto_id="filter_%s", use_required_attribute=False)
        self.now = now
        self.found: Period | None = None
        day = forms.DateInput(attrs={"type": "date", "min": periods.FIRST, "max": periods.LAST})
        self.fields["from"] = forms.CharField(label="From", required=False, widget=day)
        self.fields["to"] = forms.CharField(label="To, that day included", required=False, widget=day)
        self.order_fields(["period", "from", "to", "category", "source", "branch", "ps"])
        names = people.branches
        sellers: dict[str, list[tuple[str, str]]] = {name: [] for name in sorted(names.values())}
        for seller in sorted(people.sellers.values(), key=lambda seller: seller.name):
            sellers.setdefault(names.get(seller.branch_id, ""), []).append((str(seller.id), seller.name))
        groups = [(name, group) for name, group in sellers.items() if group]
        self._offer("period", periods.WORDS.items())
        self._offer("category", [(code.value, code.value) for code in Category], (NONE, "Not known yet"))
        self._offer("source", [(source, source) for source in sources.grouped()])
        places = [(str(pk), name) for pk, name in sorted(names.items(), key=lambda branch: branch[1])]
        self._offer("branch", places, (NONE, "No branch yet"))
        self._offer("ps", groups, (NONE, "Nobody yet"))

    def _offer(self, name: str, choices: Any, *last: tuple[str, str]) -> None:
        offered: forms.ChoiceField = self.fields[name]  # type: ignore[assignment]
        offered.choices = [("", WHOLE_LISTS[name]), *choices, *last]

    def clean(self) -> dict[str, Any]:
        typed: dict[str, Any] = self.cleaned_data
        if typed.get("period"):
            found = periods.read(typed, self.now)
            if isinstance(found, Period):
                self.found = found
            else:
                for name, words in found.items():
                    self.add_error(name, words)
        return typed

    def filters(self) -> Filters:
        """What of it can be used."""
        self.full_clean()
        kept = {name: self.cleaned_data.get(name, "") for name in COLUMNS}
        said = {name: self._said(name, value) for name, value in kept.items() if value}
        if self.found:
            days = {"from": self.found.first.isoformat(), "to": self.found.last.isoformat()}
            kept |= {"period": self.found.key, **(days if self.found.key == periods.RANGE else {})}
            said = {"period": self.found.words, **said}
        return Filters(self.found, {name: value for name, value in kept.items() if value}, said)

    def _said(self, name: str, value: str) -> str:
        field: forms.ChoiceField = self.fields[name]  # type: ignore[assignment]
        if value == NONE:
            return {"category": "No category", "branch": "No branch", "ps": "No PS"}[name]
        flat = dict(_flat(field.choices))
        return {"source": "From {}", "branch": "At {}", "ps": "With {}"}.get(name, "{}").format(flat[value])


def _flat(choices: Any) -> Any:
    for value, words in choices:
        if isinstance(words, list):
            yield from words
        else:
            yield value, words
