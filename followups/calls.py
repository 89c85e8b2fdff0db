"""How call attempts are numbered. Pure.

A call is numbered by how often its role has reached the customer, an attempt within it: RNR, RNR, Interested are
1/1, 1/2, 1/3, and what comes next is 2/1. There is no last call.
"""

from typing import NamedTuple


class CallNumber(NamedTuple):
    call_no: int
    attempt: int

    def __str__(self) -> str:
        return f"{self.call_no}/{self.attempt}"


FIRST = CallNumber(1, 1)


def following(last: CallNumber | None, *, contacted: bool) -> CallNumber:
    """The number after `last`, the role's latest attempt on the lead, in which the customer was reached or not."""
    if last is None:
        return FIRST
    if contacted:
        return CallNumber(last.call_no + 1, 1)
    return CallNumber(last.call_no, last.attempt + 1)
