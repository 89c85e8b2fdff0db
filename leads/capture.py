"""Capture: one SQL statement that knows the customer or makes the lead, and plans what the workers do next.

Whether a phone has an open lead is decided by the partial unique index of lead_master, not by a look before the leap.
`capture` is the only way in which leads come to be; `check` tells beforehand what it would do.
"""

import json
import time
from dataclasses import dataclass, replace
from datetime import timedelta
from enum import StrEnum
from typing import Any
from uuid import UUID

from django.db import IntegrityError, connection, models, transaction
from django.utils import timezone

from accounts.models import Branch, Role, User
from followups import kept
from followups import outcome as outcomes
from followups.models import Outbox, PSFollowup
from followups.priority import REPEAT_POINTS
from leads.card import Card, card
from leads.models import DuplicateLead, LeadMaster
from leads.records import Enquiry, Records

UID_CLASH = "lead_master_uid_once"
TRIES = 5
ROUNDS = 10


class Outcome(StrEnum):
    NEW = "new"  # check's word for what capture would make
    CREATED = "created"
    DUPLICATE = "duplicate"
    REPEAT = "repeat"
    INVALID = "invalid"


class NotAllowed(Exception):
    """Only an active CRE or supervisor captures leads."""


@dataclass(frozen=True, slots=True)
class Captured:
    """What became of an enquiry.

    `card` shows the known lead of a duplicate or repeat, `own` says that it is the asker's, `pair` is the source as
    people say it, `returning` the uid of the customer's latest closed lead, `replayed` that this very form had been
    saved before; `milliseconds` and `statements` are what it cost.
    """

    outcome: Outcome
    uid: str = ""
    card: Card | None = None
    pair: str = ""
    own: bool = False
    returning: str = ""
    replayed: bool = False
    errors: dict[str, str] | None = None
    milliseconds: float = 0.0
    statements: int = 1

    @property
    def is_new_lead(self) -> bool:
        """For the figures of the desk's speed: a form that arrives again has made no lead."""
        return self.outcome == Outcome.CREATED and not self.replayed


def _table(model: type[models.Model]) -> str:
    return model._meta.db_table


def _columns(model: type[models.Model], prefix: str = "", **instead: str) -> str:
    """The model's columns but its key, in order, each from the record `prefix` unless `instead` names another."""
    names = [str(field.column) for field in model._meta.concrete_fields if not field.primary_key]
    return ", ".join(instead.get(name, f"{prefix}{name}") for name in names)


LEAD, REPEAT, FOLLOWUP, OUTBOX = map(_table, (LeadMaster, DuplicateLead, PSFollowup, Outbox))
PERSON, BRANCH = map(_table, (User, Branch))
WORK = {name: f"work.{name}" for name in ("kind", "lead_id", "ps_followup_id", "payload")}

# What is known of the phone. `typed` is the lead as it would be; each of these has one row, so that what follows needs
# no look of its own: the plan's size is half of what the statement costs.
KNOWN = f"""
typed AS (
    SELECT * FROM jsonb_populate_record(NULL::{LEAD}, %(lead)s::jsonb)
),
leads AS (
    SELECT max(lead.id) FILTER (WHERE lead.final_status = 'Pending') AS open_id,
           bool_or(lead.final_status = 'Pending' AND lead.source = typed.source AND lead.sub_source = typed.sub_source
                   AND typed.external_ref IN ('', lead.external_ref)) AS opened_by_pair,
           -- closed by its own capture within a day, such as a wrong number: typed again, it is the same one
           max(lead.id) FILTER (
               WHERE lead.final_status <> 'Pending' AND coalesce(lead.won_at, lead.lost_at) = lead.created_at
                 AND lead.source = typed.source AND lead.sub_source = typed.sub_source
                 AND lead.created_at > typed.created_at - interval '24 hours'
           ) AS just_closed_id,
           -- the latest closed lead of a returning customer
           (array_agg(lead.id ORDER BY lead.created_at DESC, lead.id DESC)
               FILTER (WHERE lead.final_status <> 'Pending'))[1] AS earlier_id,
           (array_agg(lead.uid ORDER BY lead.created_at DESC, lead.id DESC)
               FILTER (WHERE lead.final_status <> 'Pending'))[1] AS earlier_uid,
           -- this very form, saved before
           max(lead.id) FILTER (
               WHERE lead.request_id = typed.request_id AND lead.created_by_id = typed.created_by_id
                 AND lead.created_at > typed.created_at - interval '24 hours'
           ) AS replayed_id,
           count(*) FILTER (WHERE lead.created_at > typed.created_at - interval '7 days') AS recent
      FROM {LEAD} AS lead JOIN typed USING (customer_mobile_number)
),
repeats AS (
    SELECT coalesce(bool_or(again.lead_id = leads.open_id AND again.source = typed.source
                            AND again.sub_source = typed.sub_source
                            AND typed.external_ref IN ('', again.external_ref)), false) AS asked_again_by_pair,
           max(again.lead_id) FILTER (
               WHERE again.request_id = typed.request_id AND again.created_by_id = typed.created_by_id
                 AND again.created_at > typed.created_at - interval '24 hours'
           ) AS replayed_id,
           count(*) FILTER (WHERE again.created_at > typed.created_at - interval '7 days') AS recent
      FROM typed CROSS JOIN leads JOIN {REPEAT} AS again
        ON again.lead_id = leads.open_id OR again.customer_mobile_number = typed.customer_mobile_number
)"""

# The columns that leads.card.card() reads, of the lead `shown`.
CARD = """
       shown.uid, shown.customer_name, shown.customer_mobile_number, shown.source, shown.sub_source,
       shown.lead_status, shown.final_status, shown.created_at, shown.last_contact_at,
       CASE WHEN owner.is_active THEN owner.name END AS owner, branch.name AS branch,
       CASE WHEN seller.is_active THEN seller.name END AS ps"""
CARD_JOINS = f"""
  LEFT JOIN {BRANCH} AS branch ON branch.id = shown.branch_id
  LEFT JOIN {PERSON} AS seller ON seller.id = shown.ps_id"""

CHECK = f"""
WITH {KNOWN}
SELECT leads.open_id, leads.opened_by_pair OR repeats.asked_again_by_pair AS asked_before,
       leads.earlier_uid AS returning, shown.cre_id, shown.enquiries, leads.recent + repeats.recent AS recent, {CARD}
  FROM leads CROSS JOIN repeats
  LEFT JOIN {LEAD} AS shown ON shown.id = coalesce(leads.open_id, leads.just_closed_id)
  LEFT JOIN {PERSON} AS owner ON owner.id = shown.cre_id {CARD_JOINS}
"""

# Of the row that is updated, not of a copy of it: somebody may have claimed the lead a moment ago.
UNOWNED = f"NOT EXISTS (SELECT FROM {PERSON} WHERE id = lead.cre_id AND is_active)"

CAPTURE = f"""
WITH {KNOWN},
people AS (  -- asked for here, so that no cache can be wrong about them
    SELECT bool_or(person.id = typed.created_by_id AND person.is_active
                   AND person.role IN ('cre', 'supervisor')) IS TRUE AS may_capture,
           bool_or(person.id = typed.created_by_id AND person.role = 'cre') AS is_cre,
           bool_or(person.id = typed.ps_id AND person.role = 'ps' AND person.is_active AND person.available
                   AND person.branch_id = typed.branch_id) IS TRUE AS ps_takes_leads
      FROM typed LEFT JOIN {PERSON} AS person ON person.id = ANY (ARRAY[typed.created_by_id, typed.ps_id])
),
facts AS (
    SELECT leads.open_id, leads.just_closed_id, leads.earlier_id, leads.earlier_uid,
           leads.opened_by_pair OR repeats.asked_again_by_pair AS asked_before,
           coalesce(leads.replayed_id, repeats.replayed_id) AS replayed_id,
           CASE WHEN leads.replayed_id IS NOT NULL THEN 'created'
                WHEN repeats.replayed_id IS NOT NULL THEN 'repeat' END AS replayed,
           leads.recent + repeats.recent AS recent,
           people.may_capture, people.is_cre, typed.ps_id IS NULL OR people.ps_takes_leads AS ps_takes_leads,
           typed.branch_id IS NULL
               OR EXISTS (SELECT FROM {BRANCH} WHERE id = typed.branch_id AND is_active) AS branch_is_open
      FROM typed CROSS JOIN leads CROSS JOIN repeats CROSS JOIN people
),
captured AS (  -- a rival who commits the same phone first is locked and shows itself: its row is not fresh
    INSERT INTO {LEAD} ({_columns(LeadMaster)})
    SELECT {_columns(LeadMaster, "typed.", previous_id="facts.earlier_id")}
      FROM typed CROSS JOIN facts
     WHERE facts.may_capture AND facts.ps_takes_leads AND facts.branch_is_open
       AND facts.replayed_id IS NULL AND facts.open_id IS NULL AND facts.just_closed_id IS NULL
    ON CONFLICT (customer_mobile_number) WHERE final_status = 'Pending'
    DO UPDATE SET enquiries = {LEAD}.enquiries
    RETURNING id, uid, (xmax = 0) AS fresh
),
locked AS (  -- the lead first, then its repeats: in any other order two rivals would wait for each other
    SELECT lead.id
      FROM {LEAD} AS lead JOIN facts ON lead.id = facts.open_id CROSS JOIN typed
     WHERE facts.may_capture AND NOT facts.asked_before AND facts.replayed_id IS NULL
       -- asked again of the row as it is once its lock is had: it may have been closed, or got another number
       AND lead.final_status = 'Pending' AND lead.customer_mobile_number = typed.customer_mobile_number
       FOR NO KEY UPDATE OF lead
),
repeated AS (
    INSERT INTO {REPEAT} ({_columns(DuplicateLead)})
    SELECT {_columns(DuplicateLead, "again.", lead_id="locked.id")}
      FROM locked CROSS JOIN jsonb_populate_record(NULL::{REPEAT}, %(repeat)s::jsonb) AS again
    ON CONFLICT (lead_id, source, sub_source, external_ref) DO NOTHING
    RETURNING id, lead_id
),
asked_again AS (  -- the lead moves up, and finds an owner if it has none who works here
    UPDATE {LEAD} AS lead
       SET enquiries = lead.enquiries + 1,
           priority = lead.priority + {REPEAT_POINTS},
           first_call_at = least(lead.first_call_at, typed.first_call_at),
           last_contact_at = greatest(lead.last_contact_at, typed.last_contact_at),
           last_attempt_at = greatest(lead.last_attempt_at, typed.last_attempt_at),
           cre_id = CASE WHEN facts.is_cre AND {UNOWNED} THEN typed.created_by_id ELSE lead.cre_id END,
           cre_assigned_at = CASE WHEN facts.is_cre AND {UNOWNED} THEN typed.created_at
                                  ELSE lead.cre_assigned_at END,
           updated_at = typed.created_at
      FROM repeated
     CROSS JOIN typed
     CROSS JOIN facts
     WHERE lead.id = repeated.lead_id
    RETURNING lead.id, lead.cre_id, lead.enquiries
),
assigned AS (
    INSERT INTO {FOLLOWUP} ({_columns(PSFollowup)})
    SELECT {_columns(PSFollowup, "planned.", lead_uid="captured.uid")}
      FROM captured CROSS JOIN jsonb_populate_record(NULL::{FOLLOWUP}, %(followup)s::jsonb) AS planned
     WHERE captured.fresh AND planned.ps_id IS NOT NULL
    RETURNING id, email_state
),
work AS (
    SELECT 'attempt' AS kind, captured.id AS lead_id, assigned.id AS ps_followup_id, %(call)s::jsonb AS payload
      FROM captured LEFT JOIN assigned ON true WHERE captured.fresh AND %(call)s::jsonb IS NOT NULL
    UNION ALL
    SELECT 'mail', captured.id, assigned.id, %(mail)s::jsonb
      FROM captured CROSS JOIN assigned WHERE assigned.email_state = 'waiting'
    UNION ALL  -- the call was made on the open lead, and does not change its status
    SELECT 'attempt', asked_again.id, NULL, %(call)s::jsonb || '{{"final_status_after": "Pending"}}'
      FROM asked_again WHERE %(call)s::jsonb IS NOT NULL
    UNION ALL
    SELECT 'alert', repeated.lead_id, NULL, %(alert)s::jsonb || jsonb_build_object('repeat', repeated.id)
      FROM repeated
),
queued AS (
    INSERT INTO {OUTBOX} ({_columns(Outbox)})
    SELECT {_columns(Outbox, "blank.", **WORK)}
      FROM work CROSS JOIN jsonb_populate_record(NULL::{OUTBOX}, %(outbox)s::jsonb) AS blank
    RETURNING id
)
SELECT facts.may_capture, facts.branch_is_open, facts.replayed,
       facts.open_id, facts.asked_before, facts.earlier_uid AS returning,
       captured.id AS captured_id, captured.fresh, repeated.id AS repeated_id,
       coalesce(asked_again.cre_id, shown.cre_id) AS cre_id, shown.ps_id,
       coalesce(asked_again.enquiries, shown.enquiries) AS enquiries,
       facts.recent + (repeated.id IS NOT NULL)::int AS recent, {CARD}
  FROM facts
  LEFT JOIN captured ON true
  LEFT JOIN repeated ON true
  LEFT JOIN asked_again ON true
  LEFT JOIN {LEAD} AS shown ON shown.id = coalesce(facts.replayed_id, facts.open_id, facts.just_closed_id)
  LEFT JOIN {PERSON} AS owner ON owner.id = coalesce(asked_again.cre_id, shown.cre_id) {CARD_JOINS}
"""


def capture(enquiry: Enquiry, actor: User) -> Captured:
    """Makes the lead of `enquiry`, or finds the one that is open for its phone, in one transaction.

    Raises NotAllowed where `actor` is not an active CRE or supervisor. Nothing is written unless the outcome is
    created or repeat.
    """
    started = time.perf_counter()
    for attempt in range(1, TRIES + 1):
        try:
            with transaction.atomic():
                captured = _capture(enquiry, actor)
        except IntegrityError as error:
            # Two leads of one phone met in 35 bits: another moment gives another uid.
            if attempt == TRIES or broken_constraint(error) != UID_CLASH:
                raise
            continue
        return replace(
            captured,
            pair=f"{enquiry.source} {enquiry.sub_source}",
            milliseconds=(time.perf_counter() - started) * 1000,
        )
    raise AssertionError("unreachable")


def check(phone: str, pair: tuple[str, str] | None, reader: User) -> Captured:
    """What `capture` would say to an enquiry from `phone` (E.164) and `pair`, with the card as `reader` may see it.

    Without a pair a known phone is a duplicate. Reads only.
    """
    started = time.perf_counter()
    source, sub_source = pair or ("", "")
    typed = {
        "customer_mobile_number": phone,
        "source": source,
        "sub_source": sub_source,
        "external_ref": "",
        "created_at": str(timezone.now()),
    }
    row = _fetch(CHECK, {"lead": json.dumps(typed)})
    if row["uid"] is None:
        outcome = Outcome.NEW
    elif row["open_id"] and pair and not row["asked_before"]:
        outcome = Outcome.REPEAT
    else:
        outcome = Outcome.DUPLICATE
    found = _known(outcome, row, reader)
    return replace(found, pair=" ".join(pair or ()), milliseconds=(time.perf_counter() - started) * 1000)


def saved_before(request_id: UUID | None, phone: str, actor: User) -> Captured | None:
    """What became of this form when `actor` sent it for `phone` (E.164) within a day, if anything did.

    `capture` looks by itself; this is for a form that has become invalid since, as times pass and people leave.
    """
    if request_id is None or not phone:
        return None
    since = timezone.now() - timedelta(hours=24)
    same = {"request_id": request_id, "customer_mobile_number": phone, "created_by": actor, "created_at__gt": since}
    if lead := LeadMaster.objects.filter(**same).first():
        return Captured(Outcome.CREATED, lead.uid, replayed=True)
    if repeat := DuplicateLead.objects.filter(**same).select_related("lead").first():
        known = check(phone, (repeat.source, repeat.sub_source), actor)
        if known.card:
            return replace(known, outcome=Outcome.REPEAT, replayed=True)
    return None


def _capture(enquiry: Enquiry, actor: User) -> Captured:
    records = Records(enquiry, actor)
    parameters = records.as_json()
    if enquiry.call.closes:
        _one_at_a_time(enquiry.phone)
    for statements in range(1, ROUNDS + 1):  # noqa: B007 - how many it took is told
        row = _fetch(CAPTURE, parameters)
        if not _rival_was_first(row):
            break
        # Asked again, the statement sees the rival's row. It ends soon: the rival whose new lead was met is locked by
        # now; only a lead that was closed meanwhile may be followed by another rival's new one.
    else:
        raise RuntimeError("A rival was first, again and again.")
    if row["fresh"]:
        if enquiry.call.closes:
            _close(records.lead, row["captured_id"], enquiry)
            statements += 2  # this one, and the lock
        kept.touched(records.lead.cre_id, records.lead.ps_id)
        returning = row["returning"] or ""
        return Captured(Outcome.CREATED, records.lead.uid, own=True, returning=returning, statements=statements)
    return replace(_answer(row, actor), statements=statements)


def _answer(row: dict[str, Any], actor: User) -> Captured:
    """What the statement's row says where it made no lead."""
    if not row["may_capture"]:
        raise NotAllowed
    if row["replayed"]:
        # Whoever sends a form again has not seen its answer, nor the browser that something was saved.
        kept.touched(row["cre_id"], row["ps_id"])
        return replace(_known(Outcome(row["replayed"]), row, actor), replayed=True)
    if row["repeated_id"]:
        kept.touched(row["cre_id"], row["ps_id"])
        return _known(Outcome.REPEAT, row, actor)
    if row["uid"]:
        return _known(Outcome.DUPLICATE, row, actor)
    if not row["branch_is_open"]:
        return Captured(Outcome.INVALID, errors={"branch": "This branch is closed: choose another."})
    return Captured(Outcome.INVALID, errors={"ps_name": "This PS takes no new leads at this branch: choose another."})


def _rival_was_first(row: dict[str, Any]) -> bool:
    lost_the_lead = row["captured_id"] is not None and not row["fresh"]
    lost_the_repeat = (
        row["may_capture"]
        and not row["replayed"]
        and row["open_id"] is not None
        and not row["asked_before"]
        and row["repeated_id"] is None
    )
    return lost_the_lead or lost_the_repeat


def _known(outcome: Outcome, row: dict[str, Any], reader: User) -> Captured:
    own = row["cre_id"] == reader.pk
    shown = card(row, full=own or reader.role == Role.SUPERVISOR) if row["uid"] else None
    return Captured(outcome, row["uid"] or "", shown, own=own, returning=row["returning"] or "")


def _one_at_a_time(phone: str) -> None:
    """A lead that is closed at once leaves no open row for rivals to meet: they wait here, and then see it."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_advisory_xact_lock(hashtextextended(%s, 0))", [phone])


def _close(lead: LeadMaster, pk: int, enquiry: Enquiry) -> None:
    lead.pk = pk
    lead._state.adding = False
    outcomes.apply(lead, None, enquiry.call, at=lead.created_at)
    lead.save(update_fields=outcomes.LEAD_FIELDS)


# The names of a statement's columns, which psycopg works out anew for every result.
_names: dict[str, list[str]] = {}


def _fetch(statement: str, parameters: dict[str, str | None]) -> dict[str, Any]:
    with connection.cursor() as cursor:
        cursor.execute(statement, parameters)
        if statement not in _names:
            _names[statement] = [column.name for column in cursor.description]
        return dict(zip(_names[statement], cursor.fetchone(), strict=True))


def broken_constraint(error: IntegrityError) -> str | None:
    """The name of the constraint that a row broke."""
    return getattr(getattr(error.__cause__, "diag", None), "constraint_name", None)
