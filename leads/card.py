"""The card of a known lead: what a colleague who types its number may see of it. Pure."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from leads import phone


@dataclass(frozen=True, slots=True)
class Card:
    """A known lead. `enquiries` counts all, `recent` those of the last seven days, the present one included.

    `masked` says that name and number are hidden from the reader, who neither owns the lead nor supervises.
    """

    uid: str
    customer_name: str
    phone: str
    owner: str
    branch: str
    ps: str
    source: str
    sub_source: str
    lead_status: str
    final_status: str
    created_at: datetime
    last_contact_at: datetime | None
    enquiries: int
    recent: int
    masked: bool

    def as_json(self) -> dict[str, Any]:
        return {
            "uid": self.uid,
            "customer_name": self.customer_name,
            "phone": self.phone,
            "owner": self.owner,
            "branch": self.branch,
            "lead_status": self.lead_status,
            "final_status": self.final_status,
            "last_contact_at": self.last_contact_at and self.last_contact_at.isoformat(),
            "enquiries": self.enquiries,
            "masked": self.masked,
        }

    @property
    def pretty_phone(self) -> str:
        return self.phone if self.masked else phone.pretty(self.phone)


def card(row: dict[str, Any], *, full: bool) -> Card:
    """The card of a row with one column a field (the phone as `customer_mobile_number`), masked unless `full`."""
    name, number = row["customer_name"], row["customer_mobile_number"]
    return Card(
        uid=row["uid"],
        customer_name=name if full else phone.masked_name(name),
        phone=number if full else phone.masked(number),
        owner=row["owner"] or "",
        branch=row["branch"] or "",
        ps=row["ps"] or "",
        source=row["source"],
        sub_source=row["sub_source"],
        lead_status=row["lead_status"],
        final_status=row["final_status"],
        created_at=row["created_at"],
        last_contact_at=row["last_contact_at"],
        enquiries=row["enquiries"],
        recent=row["recent"],
        masked=not full,
    )
