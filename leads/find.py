"""Finds leads by what a person types into the search box: a phone number in any format, a uid, how a name begins."""

from dataclasses import dataclass, field

from django.db.models import Q, Value
from django.db.models.functions import Concat, Upper

from accounts.models import Role, User
from followups.models import PSFollowup
from followups.uid import is_begun, search_key
from leads import phone
from leads.models import NAME_KEY, LeadMaster, LeadQuerySet

MOST = 50
SHORTEST_NAME = 2
WAYS = "by a whole phone number, by a uid such as M-67890-7K3QX2A, or by how the customer’s name begins"
# No character of a name comes after this one.
LAST_CHARACTER = "\U0010ffff"


@dataclass(frozen=True, slots=True)
class Found:
    """What a search gave, and whether there is `more` than that.

    `phone` is the number in E.164 that was looked for, if it was one; `name` what a name was to begin with.
    """

    leads: list[LeadMaster] = field(default_factory=list)
    phone: str = ""
    name: str = ""
    more: bool = False
    problem: str = ""


def find(typed: str, user: User) -> Found:
    """The leads that `user` may see with this uid or number (the alternate number too), newest first; or those of
    customers whose name begins like this, by name."""
    typed = " ".join(typed.replace("\x00", " ").split())
    if not typed:
        return Found(problem="Type a phone number, a uid, or how a name begins.")
    seen = for_list(LeadMaster.objects.visible_to(user))
    if key := search_key(typed):
        return Found(list(seen.filter(uid=key)), problem=f"There is no lead {key}{_among(user)}.")
    number = phone.normalise(typed)
    if not number.problem:
        having = Q(customer_mobile_number=number.e164) | Q(alternate_number=number.e164) & ~Q(alternate_number="")
        words = f"There is no lead with the number {phone.pretty(number.e164)}{_among(user)}."
        return _found(seen.filter(having), words, phone=number.e164)
    if is_begun(typed):
        return Found(problem="A uid has to be whole, such as M-67890-7K3QX2A.")
    if not typed[0].isalpha() or len(typed) < SHORTEST_NAME:
        return Found(problem=f"Search {WAYS}: {SHORTEST_NAME} letters or more.")
    words = f"There is no lead with a name that begins with “{typed}”{_among(user)}."
    return _found(_by_name(typed, user), words, name=typed)


def _among(user: User) -> str:
    """A supervisor searches them all."""
    return "" if user.role == Role.SUPERVISOR else " among yours"


def _by_name(begins: str, user: User) -> LeadQuerySet:
    """In any case: a range of the name as the indexes keep it, which PostgreSQL also makes of `begins`."""
    if user.role == Role.PS:
        # The same leads, but told by the assignments alone: a range of names would be joined with all leads again.
        theirs = PSFollowup.objects.visible_to(user).order_by()
        seen = LeadMaster.objects.filter(uid__in=theirs.values("lead"))
    else:
        seen = LeadMaster.objects.visible_to(user)
    first = Upper(Value(begins))
    named = for_list(seen).alias(name_key=NAME_KEY)
    named = named.filter(name_key__gte=first, name_key__lt=Concat(first, Value(LAST_CHARACTER)))
    return named.order_by("name_key", "id")


def _found(leads: LeadQuerySet, problem: str, *, phone: str = "", name: str = "") -> Found:
    found = list(leads[: MOST + 1])
    return Found(found[:MOST], phone, name, len(found) > MOST, problem)


def for_list(leads: LeadQuerySet) -> LeadQuerySet:
    """With what a row of a list shows, newest first."""
    return leads.select_related("branch", "cre", "ps").newest_first()
