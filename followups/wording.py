"""What the desk says about a saved call, in one place for page and program; and times as people write them."""

from datetime import datetime
from typing import Any

from django.utils import timezone

from followups.catalogue import UNTOUCHED, FinalStatus
from followups.update import Told


def moment_in_words(at: datetime | None) -> str:
    """A time in full on the dealer's clock: "5 Sep 2026, 17:30"; without the year where it is this one's."""
    if at is None:
        return ""
    local = timezone.localtime(at)
    year = "" if local.year == timezone.localdate().year else f" {local.year}"
    return f"{local.day} {local:%b}{year}, {local:%H:%M}"


def saved(lead: Any, told: Told, *, handed_to: str = "", owned_by: str = "") -> str:
    """What became of an update of `lead`; the PS and the CRE who were given it in the same save are named."""
    said = [f"Saved, {told.call.code}." if told.call else "Saved."]
    if told.call and told.call.closes:
        reason = f" ({lead.lost_reason})" if lead.lost_reason not in ("", told.call.code) else ""
        said.append(f"The lead is {lead.final_status}{reason}.")
    elif told.follow_up_at:
        said.append(f"Follow-up {moment_in_words(told.follow_up_at)}.")
    elif told.call and lead.follow_up_at:
        said.append(f"The follow-up stays as agreed: {moment_in_words(lead.follow_up_at)}.")
    if handed_to:
        said.append(f"{handed_to} gets an e-mail.")
    if owned_by:
        said.append(f"It is {owned_by}’s lead now.")
    return " ".join(said)


def after_a_name(message: str) -> str:
    """`message` as it goes on after “Ramesh Kumar:”."""
    return message[:1].lower() + message[1:]


def named(lead: Any, message: str) -> str:
    """`message` for a page that is no more this lead's."""
    return f"{lead.customer_name}: {after_a_name(message)}"


def replayed(lead: Any) -> str:
    """For a form that arrives a second time."""
    final = "" if lead.final_status == FinalStatus.PENDING else f", {lead.final_status}"
    return f"Saved before, when this form first arrived. The lead is at “{lead.lead_status}”{final}."


def clock_in_words(at: datetime, now: datetime) -> str:
    """A near time: "at 16:15", "tomorrow at 9:30", or in full."""
    local, today = timezone.localtime(at), timezone.localdate(now)
    clock = f"at {local.hour}:{local:%M}"
    days = (local.date() - today).days
    return clock if days == 0 else f"tomorrow {clock}" if days == 1 else moment_in_words(at)


def kept_follow_up(lead: Any) -> str:
    """Beside the field for a follow-up: what leaving it empty means."""
    return f"empty keeps {moment_in_words(lead.follow_up_at)}" if lead.follow_up_at else "if one is agreed"


def status_in_words(lead: Any) -> str:
    """The lead's status; “Pending”, which is also a tab's name and a final status, as what it means."""
    if lead.lead_status != UNTOUCHED:
        return str(lead.lead_status)
    return "To be called again" if lead.last_attempt_at else "Not called yet"
