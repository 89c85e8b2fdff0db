"""Whole lives of invented leads, from the first call until they are won, lost or left lying: unsaved rows.

They are what capture, the update of a lead and the recorder would have written, by the same rules: the catalogue,
`followups.outcome.apply`, `followups.calls.following`, `leads.uid.make`. Nothing here asks the database.
"""

import random
import uuid
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from followups import outcome as outcomes
from followups.calls import CallNumber, following
from followups.catalogue import BY_CODE, CALL_BACK, UNTOUCHED, FinalStatus, FollowUp, Outcome
from followups.models import CallAttempt, CallRole, EmailState, PSFollowup
from followups.priority import priority
from leads import invented, uid
from leads.invented import Deck
from leads.models import DuplicateLead, LeadMaster
from leads.office_hours import in_hours, moments, promised

AFTER_A_MOMENT = timedelta(seconds=1)
# A customer whose lead was closed comes back after a fortnight at the soonest.
COMES_BACK_AFTER = timedelta(days=14)
REMEMBERED = 5_000


@dataclass(frozen=True, slots=True)
class Staff:
    """Who works on the leads: ids of people, and which branch each PS sells at."""

    cres: list[int]
    sellers: dict[int, list[int]]
    supervisor: int
    letters: dict[tuple[str, str], str]


@dataclass(frozen=True, slots=True)
class Numbers:
    """Where new rows get their ids and new customers their phones."""

    leads: Iterator[int]
    followups: Iterator[int]
    outbox: Iterator[int]
    phones: Iterator[str]


@dataclass(slots=True)
class History:
    """One lead with all that belongs to it. `last` is the number of each role's latest call, and if it was answered."""

    lead: LeadMaster
    followups: list[PSFollowup] = field(default_factory=list)
    attempts: list[CallAttempt] = field(default_factory=list)
    repeats: list[DuplicateLead] = field(default_factory=list)
    last: dict[str, tuple[CallNumber, bool]] = field(default_factory=dict)

    @property
    def assigned(self) -> PSFollowup | None:
        """The open assignment: the latest one, until it is closed."""
        latest = self.followups[-1] if self.followups else None
        return latest if latest and latest.closed_at is None else None


class Chronicle:
    """Makes the leads of `staff` between two moments, oldest first, in time with `chance` alone.

    `forgotten` is the chance after each call that nobody ever calls again.
    """

    def __init__(
        self, staff: Staff, numbers: Numbers, chance: random.Random, *, key: bytes, forgotten: float = 0.06
    ) -> None:
        self.staff, self.numbers, self.chance, self.key = staff, numbers, chance, key
        self.forgotten = forgotten
        self.cres = invented.unequal(staff.cres, chance)
        self.branches = invented.unequal(list(staff.sellers), chance)
        self.sellers = {branch: invented.unequal(people, chance) for branch, people in staff.sellers.items()}
        self.pairs = Deck({pair: invented.PAIRS.get(pair, 1) for pair in staff.letters})
        self.closed: list[LeadMaster] = []

    def histories(self, count: int, since: datetime, until: datetime) -> Iterable[History]:
        """`count` leads captured between the two moments; what is due after `until` has not happened yet."""
        for at in moments(count, since, until, self.chance):
            history = self._captured(at)
            self._work_on(history, until)
            self._remember(history.lead)
            yield history

    # --- Customers ---------------------------------------------------------------------------------------------

    def _returning(self, at: datetime) -> LeadMaster | None:
        """Now and then the customer of a lead that is long closed, who is then no longer waited for."""
        if not self.closed or self.chance.random() > 0.07:
            return None
        place = self.chance.randrange(len(self.closed))
        earlier = self.closed[place]
        if (earlier.won_at or earlier.lost_at or at) + COMES_BACK_AFTER > at:
            return None
        self.closed[place] = self.closed[-1]
        self.closed.pop()
        return earlier

    def _remember(self, lead: LeadMaster) -> None:
        if lead.final_status == FinalStatus.PENDING.value:
            return
        if len(self.closed) < REMEMBERED:
            self.closed.append(lead)
        else:
            self.closed[self.chance.randrange(REMEMBERED)] = lead

    # --- Capture -----------------------------------------------------------------------------------------------

    def _captured(self, at: datetime) -> History:
        chance = self.chance
        by_supervisor = chance.random() < 0.06
        call = BY_CODE[UNTOUCHED] if by_supervisor else BY_CODE[draw(AT_CAPTURE, chance)]
        actor = self.staff.supervisor if by_supervisor else self.cres.draw(chance)
        history = History(self._lead(at, call, None if by_supervisor else actor, actor))
        lead = history.lead
        if call.code == UNTOUCHED:
            return history
        follow_up_at = self._follow_up(call, at)
        if call.code in {"Interested", "Customer Visited Experience Centre", "Booked", "Retailed"}:
            self._qualify(lead)
            if chance.random() < 0.75:
                self._assign(history, actor, at, closing=call)
        outcomes.apply(lead, None, call, at=at, follow_up_at=follow_up_at)
        self._attempt(history, call, actor, at, remark=lead.first_remark, followup=_latest(history))
        return history

    def _lead(self, at: datetime, call: Outcome, cre: int | None, actor: int) -> LeadMaster:
        chance = self.chance
        earlier = self._returning(at)
        phone = earlier.customer_mobile_number if earlier else next(self.numbers.phones)
        name = earlier.customer_name if earlier else invented.full_name(chance)
        pair = self.pairs.draw(chance)
        return LeadMaster(
            id=next(self.numbers.leads),
            uid=uid.make(
                letter=self.staff.letters[pair],
                phone=phone,
                pair=pair,
                nanoseconds=int(at.timestamp() * 1_000_000) * 1000,
                key=self.key,
            ),
            customer_name=name,
            customer_mobile_number=phone,
            phone_as_typed=invented.typed(phone, chance),
            alternate_number=f"+919{chance.randrange(invented.NUMBERS):09d}" if chance.random() < 0.05 else "",
            email=f"{name.lower().replace(' ', '.')}@example.com" if chance.random() < 0.2 else "",
            source=pair[0],
            sub_source=pair[1],
            campaign=chance.choice(invented.CAMPAIGNS) if pair == ("META", "Meta") else "",
            cre_id=cre,
            cre_assigned_at=cre and at,
            first_remark="" if call.code == UNTOUCHED else invented.remark(call.code, chance),
            priority=priority(category="", enquiries=1, promised=False),
            previous_id=earlier.pk if earlier else None,
            request_id=uuid.UUID(int=chance.getrandbits(128), version=4),
            created_by_id=actor,
            created_at=at,
            updated_at=at,
        )

    # --- What happens afterwards -------------------------------------------------------------------------------

    def _work_on(self, history: History, until: datetime) -> None:
        """Calls, promises, a second enquiry now and then, until the lead is closed, forgotten, or `until` comes."""
        lead, chance = history.lead, self.chance
        last = lead.created_at
        if lead.cre_id is None:
            last = self._owned(history, until)
        while lead.final_status == FinalStatus.PENDING.value and chance.random() >= self.forgotten:
            at = self._next_call(lead, last)
            asked_again = in_hours(last + (at - last) * chance.random(), chance)
            if chance.random() < 0.05 and last < asked_again < min(at, until):
                self._repeat(history, asked_again)
                last = asked_again
            if at > until:
                return
            self._call(history, at)
            last = at

    def _owned(self, history: History, until: datetime) -> datetime:
        """A supervisor gives the lead to a CRE within the day."""
        lead = history.lead
        at = in_hours(lead.created_at + timedelta(minutes=self.chance.expovariate(1 / 90) + 2), self.chance)
        if at > until:
            return until
        lead.cre_id, lead.cre_assigned_at, lead.updated_at = self.cres.draw(self.chance), at, at
        lead.version += 1
        return at

    def _next_call(self, lead: LeadMaster, last: datetime) -> datetime:
        """Soon after what was promised, or within a day or two; sometimes late."""
        if lead.follow_up_at and lead.follow_up_at > last:
            due, late = lead.follow_up_at, self.chance.expovariate(1 / 9)
        else:
            due, late = last, 1 + self.chance.expovariate(1 / 22)
        return in_hours(due + timedelta(hours=late), self.chance)

    def _call(self, history: History, at: datetime) -> None:
        lead, chance = history.lead, self.chance
        followup = history.assigned
        by_ps = followup is not None and chance.random() < 0.7
        if followup and chance.random() < 0.03:
            self._reassign(history, followup, at)
            return
        if by_ps and followup:
            role, by, deck = CallRole.PS, followup.ps_id, BY_PS
        else:
            role, by = CallRole.CRE, lead.cre_id or self.staff.supervisor
            deck = CRE_LATER if lead.first_call_at else CRE_FIRST
        call = BY_CODE[draw(deck, chance)]
        if not call.closes and call.contacted and followup is None:
            self._qualify(lead)
            if call.code == "Interested" or chance.random() < 0.6:
                self._assign(history, by, at)
        follow_up_at = self._follow_up(call, at)
        if call.code == "Test Drive":
            lead.test_drive_at = follow_up_at
        outcomes.apply(lead, history.assigned, call, at=at, follow_up_at=follow_up_at)
        lead.version += 1
        said = invented.remark(call.code, chance)
        self._attempt(history, call, by, at, role=role, remark=said, followup=_latest(history))

    def _follow_up(self, call: Outcome, at: datetime) -> datetime | None:
        if call.follow_up == FollowUp.NONE or call.follow_up == FollowUp.OPTIONAL and self.chance.random() < 0.6:
            return None
        days = call.suggest_days if call.suggest_days is not None else 1
        return promised(at, days + self.chance.choice((0, 0, 0, 1, 2)), self.chance)

    def _qualify(self, lead: LeadMaster) -> None:
        """What a CRE learns when the customer talks."""
        lead.lead_category = lead.lead_category or CATEGORY.draw(self.chance)
        lead.model_interested = lead.model_interested or MODEL.draw(self.chance)
        if lead.branch_id is None:
            lead.branch_id = self.branches.draw(self.chance)

    def _assign(self, history: History, by: int, at: datetime, closing: Outcome | None = None) -> None:
        """A PS of the lead's branch gets it, with a mail; none goes out for a lead that is closed at once."""
        lead = history.lead
        assert lead.branch_id is not None
        seller = self.sellers[lead.branch_id].draw(self.chance)
        lead.ps_id, lead.ps_assigned_at = seller, at
        followup = PSFollowup(
            id=next(self.numbers.followups),
            lead_id=lead.uid,
            ps_id=seller,
            branch_id=lead.branch_id,
            assigned_by_id=by,
            assigned_at=at,
        )
        if closing and closing.closes:
            outcomes.close(followup, closing.implies, at=at)
        elif self.chance.random() < 0.997:
            followup.email_state, followup.email_sent_at = EmailState.SENT, at + AFTER_A_MOMENT
        else:
            followup.email_state = EmailState.FAILED
            followup.email_error = "550 5.1.1 No such mailbox."
        history.followups.append(followup)

    def _reassign(self, history: History, followup: PSFollowup, at: datetime) -> None:
        lead = history.lead
        outcomes.close(followup, FinalStatus.PENDING, at=at)
        self._assign(history, lead.cre_id or self.staff.supervisor, at)
        lead.updated_at = at
        lead.version += 1

    def _repeat(self, history: History, at: datetime) -> None:
        """The customer asks again from another pair: the ledger, the call, and up the lead goes."""
        lead, chance = history.lead, self.chance
        pair = self.pairs.draw(chance)
        known = {(lead.source, lead.sub_source), *((row.source, row.sub_source) for row in history.repeats)}
        if pair in known:
            return
        call = BY_CODE[draw(ON_REPEAT, chance)]
        by = self.cres.draw(chance)
        said = invented.remark(call.code, chance)
        follow_up_at = self._follow_up(call, at)
        history.repeats.append(self._ledger(lead, pair, call, by, at, said, follow_up_at))
        lead.enquiries += 1
        lead.priority = priority(
            category=lead.lead_category, enquiries=lead.enquiries, promised=lead.lead_status == CALL_BACK
        )
        if call.contacted:
            lead.first_call_at = lead.first_call_at or at
            lead.last_contact_at = at
        lead.updated_at = at
        self._attempt(history, call, by, at, remark=said, follow_up_at=follow_up_at)
