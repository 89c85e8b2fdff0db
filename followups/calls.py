"""Calls as they are told to the recorder, and how attempts are numbered. Pure.

A call is numbered by how often its role has reached the customer, an attempt within it: RNR, RNR, Interested are
1/1, 1/2, 1/3, and what comes next is 2/1. There is no last call.
"""

from dataclasses import dataclass
from datetime import datetime
from typing import Any, NamedTuple

from followups.catalogue import BY_CODE


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


@dataclass(frozen=True, slots=True, kw_only=True)
class Call:
    """What a save says about a call. It travels in the outbox, so that the recorder asks neither clock nor lead.

    `role` is cre or ps, `by` the caller's id, `cause` the id of the request that saved it, for the log.
    """

    role: str
    by: int
    lead_status: str
    remark: str
    follow_up_at: datetime | None
    final_status_before: str
    final_status_after: str
    called_at: datetime
    cause: str = ""

    @property
    def contacted(self) -> bool:
        return BY_CODE[self.lead_status].contacted

    def payload(self) -> dict[str, Any]:
        """As JSON for an outbox row; `from_payload` reads it back."""
        return {
            "role": self.role,
            "by": self.by,
            "lead_status": self.lead_status,
            "remark": self.remark,
            "follow_up_at": self.follow_up_at and self.follow_up_at.isoformat(),
            "final_status_before": self.final_status_before,
            "final_status_after": self.final_status_after,
            "called_at": self.called_at.isoformat(),
            "cause": self.cause,
        }

    @classmethod
    def from_payload(cls, payload: dict[str, Any]) -> "Call":
        """Raises KeyError, TypeError or ValueError for a payload that `payload` did not write."""
        follow_up_at = payload["follow_up_at"]
        return cls(
            **{
                **payload,
                "called_at": datetime.fromisoformat(payload["called_at"]),
                "follow_up_at": follow_up_at and datetime.fromisoformat(follow_up_at),
            }
        )
