"""What the desk says about an enquiry, in one place for page, program and mail."""

from leads.capture import Captured, Outcome
from leads.card import Card

HTTP_STATUS = {Outcome.CREATED: 201, Outcome.REPEAT: 200, Outcome.DUPLICATE: 409, Outcome.INVALID: 422}
SUFFIXES = {1: "st", 2: "nd", 3: "rd"}


def ordinal(number: int) -> str:
    """1st, 2nd, 3rd, 11th."""
    if number % 100 in (11, 12, 13):
        return f"{number}th"
    return f"{number}{SUFFIXES.get(number % 10, 'th')}"


def message(captured: Captured) -> str:
    """What became of the enquiry."""
    card = captured.card
    match captured.outcome, card:
        case Outcome.REPEAT, Card():
            said = f"{_count(card)}, now from {captured.pair}."
            return f"{said} It was added to {card.uid}, and {_people(card)} will be told."
        case Outcome.DUPLICATE, Card():
            return _known(captured, card)
    if captured.replayed:
        return f"Saved before as {captured.uid}: this form had arrived already."
    if captured.returning:
        return f"Saved as {captured.uid}. A returning customer: the last lead was {captured.returning}."
    return f"Saved as {captured.uid}."


def forecast(found: Captured) -> str:
    """What saving would do."""
    card = found.card
    if card is None:
        if found.returning:
            return f"A returning customer: the last lead was {found.returning}. Saving makes a new one."
        return "A new customer: saving makes a lead."
    if found.outcome == Outcome.REPEAT:
        said = f"{_count(card, coming=1)}, now from {found.pair}."
        return f"{said} Saving adds it to {card.uid} and tells {_people(card)}."
    return message(found)


def _known(captured: Captured, card: Card) -> str:
    if card.final_status != "Pending":
        return f"This enquiry was saved as {card.uid} within the last day, and closed: {card.lead_status}."
    if captured.own:
        return f"This is your open lead {card.uid}: record this call on it."
    return f"{card.uid} is open for this customer, with {_people(card)}: tell them that the customer called."


def _count(card: Card, coming: int = 0) -> str:
    recent = card.recent + coming
    return f"{ordinal(recent)} enquiry in 7 days" if recent > 1 else "Another enquiry of this customer"


def _people(card: Card) -> str:
    return " and ".join(filter(None, [card.owner, card.ps])) or "the branch head"
