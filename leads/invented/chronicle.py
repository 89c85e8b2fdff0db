"""Invents the leads of some weeks or years: who called, who came back, who was forgotten. Chance decides."""

import random
import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta

from followups.catalogue import BY_CODE, UNTOUCHED, FollowUp, Outcome
from followups.models import CallRole, PSFollowup
from followups.priority import priority
from leads import uid
from leads.invented import material
from leads.invented.lead_rows import PENDING, Blank, Call, History
from leads.invented.material import Deck
from leads.invented.office_hours import in_hours, moments, promised
from leads.models import DuplicateLead, LeadMaster

# A customer whose lead was closed comes back after a fortnight at the soonest.
COMES_BACK_AFTER = timedelta(days=14)
REMEMBERED = 5_000
# So many closed leads are opened again.
REOPENED = 0.015
# On these the customer talks of what to buy.
TALKED = {"Interested", "Customer Visited Experience Centre", "Booked", "Retailed"}
# When these are told, the customer has ridden the scooter, as a rule or often.
RIDDEN = {"Test Drive": 0.8, "Booked": 0.5, "Retailed": 0.5, "Booked with another number": 0.3}

AT_CAPTURE, ON_REPEAT = Deck(material.AT_CAPTURE), Deck(material.ON_REPEAT)
CRE_FIRST, CRE_LATER, BY_PS = Deck(material.CRE_FIRST), Deck(material.CRE_LATER), Deck(material.BY_PS)
CATEGORY, MODEL = Deck(material.CATEGORIES), Deck(material.MODEL_WEIGHTS)

LEAD, FOLLOWUP, REPEAT = Blank(LeadMaster), Blank(PSFollowup), Blank(DuplicateLead)


@dataclass(frozen=True, slots=True)
class Staff:
    """Who works on the leads, by id: the CREs' names, each branch's PS; and the letter of each pair of sources."""

    cres: dict[int, str]
    sellers: dict[int, list[int]]
    supervisor: int
    letters: dict[tuple[str, str], str]


@dataclass(frozen=True, slots=True)
class Numbers:
    """Where new rows get their ids, new customers their phones, and uids their key."""

    leads: Iterator[int]
    followups: Iterator[int]
    outbox: Iterator[int]
    phones: Iterator[str]
    key: bytes


class Chronicle:
    """The leads of `staff`. `forgotten` is the chance, after each call, that nobody ever calls again."""

    def __init__(self, staff: Staff, numbers: Numbers, chance: random.Random, forgotten: float) -> None:
        self.staff, self.numbers, self.chance, self.forgotten = staff, numbers, chance, forgotten
        self.cres = material.unequal(list(staff.cres), chance)
        self.branches = material.unequal(list(staff.sellers), chance)
        self.sellers = {branch: material.unequal(people, chance) for branch, people in staff.sellers.items()}
        self.pairs = Deck({pair: material.PAIRS.get(pair, 1) for pair in staff.letters})
        self.closed: list[LeadMaster] = []

    def histories(self, count: int, since: datetime, until: datetime) -> Iterator[History]:
        """`count` leads captured between the two moments, oldest first; after `until` nothing happens."""
        for at in moments(count, since, until, self.chance):
            history = self._captured(at)
            self._work_on(history, until)
            if history.lead.final_status != PENDING:
                self._remember(history.lead)
            yield history

    # --- Customers --------------------------------------------------------------------------------------

    def _returning(self, at: datetime) -> LeadMaster | None:
        """Now and then the customer of a lead that is long closed; each comes back from it once at most."""
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
        if len(self.closed) < REMEMBERED:
            self.closed.append(lead)
        else:
            self.closed[self.chance.randrange(REMEMBERED)] = lead

    # --- Capture ----------------------------------------------------------------------------------------

    def _captured(self, at: datetime) -> History:
        """A CRE on the telephone types a lead in; a supervisor's waits untouched for a CRE to be named."""
        chance = self.chance
        if chance.random() < 0.1:
            return History(self._lead(at, self.staff.supervisor), self.numbers.outbox)
        cre, outcome = self.cres.draw(chance), BY_CODE[AT_CAPTURE.draw(chance)]
        history = History(self._lead(at, cre), self.numbers.outbox)
        lead = history.lead
        lead.cre_id, lead.cre_assigned_at = cre, at
        call = self._told(outcome, cre, at)
        lead.first_remark = call.remark
        if outcome.code in TALKED:
            self._qualify(lead)
            if chance.random() < 0.75:
                history.assign(self._assignment(lead, cre, at), closing=outcome)
        history.captured(call)
        return history

    def _lead(self, at: datetime, actor: int) -> LeadMaster:
        chance, numbers = self.chance, self.numbers
        earlier, pair = self._returning(at), self.pairs.draw(chance)
        phone = earlier.customer_mobile_number if earlier else next(numbers.phones)
        name = earlier.customer_name if earlier else material.full_name(chance)
        return LEAD.filled(
            id=next(numbers.leads),
            uid=self._uid(phone, pair, at),
            customer_name=name,
            customer_mobile_number=phone,
            phone_as_typed=material.typed(phone, chance),
            alternate_number=material.mobile_number(chance) if chance.random() < 0.05 else "",
            email=f"{name.lower().replace(' ', '.')}@example.com" if chance.random() < 0.2 else "",
            source=pair[0],
            sub_source=pair[1],
            campaign=chance.choice(material.CAMPAIGNS) if pair == ("META", "Meta") else "",
            lead_status=UNTOUCHED,
            priority=priority(category="", enquiries=1, promised=False),
            previous_id=earlier and earlier.pk,
            request_id=uuid.UUID(int=chance.getrandbits(128), version=4),
            created_by_id=actor,
            created_at=at,
            updated_at=at,
        )

    def _uid(self, phone: str, pair: tuple[str, str], at: datetime) -> str:
        nanoseconds = int(at.timestamp() * 1_000_000) * 1000
        letter = self.staff.letters[pair]
        return uid.make(letter=letter, phone=phone, pair=pair, nanoseconds=nanoseconds, key=self.numbers.key)

    # --- Afterwards -------------------------------------------------------------------------------------

    def _work_on(self, history: History, until: datetime) -> None:
        """Until the lead is closed or forgotten, or `until`; hardly any is opened again."""
        lead, chance = history.lead, self.chance
        last = lead.created_at
        if lead.cre_id is None:
            last = in_hours(last + timedelta(minutes=chance.expovariate(1 / 90) + 2), chance)
            if last > until:
                return
            cre = self.cres.draw(chance)
            history.owned(cre, self.staff.cres[cre], last, by=self.staff.supervisor)
        closed_at = self._until_closed(history, last, until)
        while closed_at and chance.random() < REOPENED:
            reopened_at = in_hours(closed_at + timedelta(days=chance.expovariate(1 / 3)), chance)
            if reopened_at > until:
                return
            self._reopen(history, reopened_at)
            closed_at = self._until_closed(history, reopened_at, until)

    def _until_closed(self, history: History, last: datetime, until: datetime) -> datetime | None:
        """Calls and now and then a second enquiry, from `last` on; returns when one of them closed the lead."""
        lead, chance = history.lead, self.chance
        while lead.final_status == PENDING:
            if chance.random() < self.forgotten:
                self._got_it(history, last, until)
                return None
            at = self._next_call(lead, last)
            if chance.random() < 0.05:
                again = last + (at - last) * chance.random()
                if again < until:
                    self._asks_again(history, again)
            self._got_it(history, last, min(at, until))
            if at > until:
                return None
            self._next(history, at)
            last = at
        return last

    def _got_it(self, history: History, last: datetime, before: datetime) -> None:
        """A PS who was given the lead at `last` says so: mostly soon, sometimes late, or never."""
        followup, chance = history.assigned, self.chance
        if followup is None or followup.assigned_at != last or chance.random() < 0.06:
            return
        minutes = chance.expovariate(1 / 200 if chance.random() < 0.15 else 1 / 9)
        at = in_hours(last + timedelta(minutes=minutes), chance)
        if at < before:
            followup.accepted_at = at

    def _reopen(self, history: History, at: datetime) -> None:
        """A supervisor knows better than the last call; a PS who takes no leads just then loses it by that."""
        lead, chance, supervisor = history.lead, self.chance, self.staff.supervisor
        reason = chance.choice(material.REOPENED[lead.final_status])
        followup = None
        if lead.ps_id is not None and chance.random() < 0.9:
            followup = self._assignment(lead, supervisor, at, ps=lead.ps_id)
        history.reopened(followup, by=supervisor, at=at, reason=reason)

    def _next_call(self, lead: LeadMaster, last: datetime) -> datetime:
        """Some hours after what was promised, or else within a day or so."""
        if lead.follow_up_at and lead.follow_up_at > last:
            due, hours = lead.follow_up_at, self.chance.expovariate(1 / 9)
        else:
            due, hours = last, 1 + self.chance.expovariate(1 / 22)
        return in_hours(due + timedelta(hours=hours), self.chance)

    def _next(self, history: History, at: datetime) -> None:
        """The CRE or the PS calls, or another PS takes over."""
        lead, chance, followup = history.lead, self.chance, history.assigned
        cre = lead.cre_id or self.staff.supervisor
        if followup and chance.random() < 0.03 and (other := self._colleague(followup)):
            history.reassign(self._assignment(lead, cre, at, ps=other))
            return
        if chance.random() < 0.01:
            name = f"{lead.customer_name.split()[0]} {material.surname(chance)}"
            history.corrected("customer_name", name, by=cre, at=at)
            return
        if followup and chance.random() < 0.7:
            call = self._told(BY_CODE[BY_PS.draw(chance)], followup.ps_id, at, CallRole.PS)
        else:
            deck = CRE_LATER if lead.first_call_at else CRE_FIRST
            call = self._told(BY_CODE[deck.draw(chance)], cre, at)
        if call.outcome.contacted and not call.outcome.closes and followup is None:
            self._qualify(lead)
            history.assign(self._assignment(lead, cre, at))
        history.called(call)
        if lead.test_drive_at is None and chance.random() < RIDDEN.get(call.outcome.code, 0):
            history.ridden(self._just_before(at, lead.created_at), by=call.by, at=at)

    def _asks_again(self, history: History, at: datetime) -> None:
        lead, chance = history.lead, self.chance
        pair, by = self.pairs.draw(chance), self.cres.draw(chance)
        if pair in history.pairs:
            return
        call = self._told(BY_CODE[ON_REPEAT.draw(chance)], by, at)
        phone_as_typed = material.typed(lead.customer_mobile_number, chance)
        repeat = REPEAT.filled(
            lead_id=lead.pk,
            customer_mobile_number=lead.customer_mobile_number,
            customer_name=lead.customer_name,
            source=pair[0],
            sub_source=pair[1],
            remark=call.remark,
            payload=_typed_again(phone_as_typed, call),
            request_id=uuid.UUID(int=chance.getrandbits(128), version=4),
            created_by_id=by,
            created_at=at,
        )
        history.asked_again(repeat, call)

    # --- Details ----------------------------------------------------------------------------------------

    def _just_before(self, at: datetime, earliest: datetime) -> datetime:
        """Within the two hours before, on five minutes."""
        told = at.replace(minute=at.minute // 5 * 5, second=0, microsecond=0)
        return max(told - timedelta(minutes=5 * self.chance.randint(2, 24)), earliest)

    def _told(self, outcome: Outcome, by: int, at: datetime, role: CallRole = CallRole.CRE) -> Call:
        remark = material.remark(outcome.code, self.chance)
        follow_up_at = self._follow_up(outcome, at)
        return Call(outcome=outcome, by=by, at=at, role=role, remark=remark, follow_up_at=follow_up_at)

    def _follow_up(self, outcome: Outcome, at: datetime) -> datetime | None:
        if outcome.follow_up == FollowUp.NONE:
            return None
        if outcome.follow_up == FollowUp.OPTIONAL and self.chance.random() < 0.6:
            return None
        days = 1 if outcome.suggest_days is None else outcome.suggest_days
        return promised(at, days + self.chance.choice((0, 0, 0, 1, 2)), self.chance)

    def _qualify(self, lead: LeadMaster) -> None:
        """What a CRE learns when the customer talks."""
        lead.lead_category = lead.lead_category or CATEGORY.draw(self.chance)
        lead.model_interested = lead.model_interested or MODEL.draw(self.chance)
        lead.branch_id = lead.branch_id or self.branches.draw(self.chance)

    def _colleague(self, followup: PSFollowup) -> int | None:
        """Another PS of the branch, if there is one."""
        others = [ps for ps in self.staff.sellers[followup.branch_id] if ps != followup.ps_id]
        return self.chance.choice(others) if others else None

    def _assignment(self, lead: LeadMaster, by: int, at: datetime, ps: int | None = None) -> PSFollowup:
        """To `ps` or else some PS of the branch, which `lead` has by now."""
        assert lead.branch_id is not None
        return FOLLOWUP.filled(
            id=next(self.numbers.followups),
            lead_id=lead.uid,
            ps_id=ps or self.sellers[lead.branch_id].draw(self.chance),
            branch_id=lead.branch_id,
            assigned_by_id=by,
            assigned_at=at,
        )


def _typed_again(phone_as_typed: str, call: Call) -> dict[str, object]:
    """All that was typed, as the ledger keeps it."""
    return {
        "phone_as_typed": phone_as_typed,
        "alternate_number": "",
        "email": "",
        "lead_status": call.outcome.code,
        "lead_category": "",
        "model_interested": "",
        "branch": None,
        "ps": None,
        "follow_up_at": call.follow_up_at and call.follow_up_at.isoformat(),
    }
