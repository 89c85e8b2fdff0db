"""Finds leads by what a person types into the search box: a phone number in any format, or a uid."""

from dataclasses import dataclass, field

from django.db.models import Q

from accounts.models import User
from leads import phone, uid
from leads.models import LeadMaster, LeadQuerySet

MOST = 50


@dataclass(frozen=True, slots=True)
class Found:
    """What a search gave. `phone` is the number in E.164 that was looked for, if it was one."""

    leads: list[LeadMaster] = field(default_factory=list)
    phone: str = ""
    problem: str = ""


def find(typed: str, user: User) -> Found:
    """The leads that `user` may see with this uid or number (the alternate number too), newest first."""
    if not typed.strip():
        return Found(problem="Type a phone number or a uid to search for.")
    seen = for_list(LeadMaster.objects.visible_to(user))
    if key := uid.search_key(typed):
        return Found(list(seen.filter(uid=key)), problem=f"There is no lead {key} among yours.")
    number = phone.normalise(typed)
    if number.problem:
        return Found(problem="Search by a whole phone number, or by a uid such as M-67890-7K3QX2A.")
    having = Q(customer_mobile_number=number.e164) | Q(alternate_number=number.e164) & ~Q(alternate_number="")
    return Found(
        list(seen.filter(having)[:MOST]),
        phone=number.e164,
        problem=f"You have no lead with the number {phone.pretty(number.e164)}.",
    )


def for_list(leads: LeadQuerySet) -> LeadQuerySet:
    """With what a row of a list shows, newest first."""
    return leads.select_related("branch", "cre", "ps").newest_first()
