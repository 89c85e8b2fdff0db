"""What must be true of leads, calls, follow-ups and repeats together, beyond what a constraint can say.

Each invariant is a query for the uids of the leads that break it. They hold for what capture, the update of
a lead and the recorder write, and for what `load_leads` and `seed_demo` invent. A lead whose calls still wait
for the recorder is left out where its calls are counted.
"""
# ruff: noqa: S608 - what is put into the queries comes from the catalogue, not from people

from dataclasses import dataclass

from django.db import connection

from followups.catalogue import CALL_BACK, LOST, OUTCOMES, UNTOUCHED, WON
from followups.priority import CATEGORY_POINTS, PROMISE_POINTS, REPEAT_POINTS


@dataclass(frozen=True, slots=True)
class Invariant:
    """`says` reads as a sentence in front of the number of leads that break it."""

    name: str
    says: str
    query: str


def _codes(*codes: str) -> str:
    return "ARRAY[{}]".format(", ".join(f"'{code}'" for code in codes))


CONTACTED = _codes(*(outcome.code for outcome in OUTCOMES if outcome.contacted))
WINNING = _codes(*(outcome.code for outcome in OUTCOMES if outcome.implies == WON))
LOSING = _codes(*(outcome.code for outcome in OUTCOMES if outcome.implies == LOST))
POINTS = " ".join(f"WHEN '{category}' THEN {points}" for category, points in CATEGORY_POINTS.items())

# When a lead was reopened last: its status and its closing are those of what was told of it since.
REOPENED = """
reopened AS MATERIALIZED (
    SELECT lead_id, max(at) AS at FROM lead_change WHERE field = 'final_status' GROUP BY lead_id
)"""
# A call in which the customer asked again is told to the lead, but its outcome does not become the lead's.
CALLS = """
calls AS (
    SELECT call.*, call.lead_status AS status, again.lead_id IS NOT NULL AS on_repeat
      FROM call_attempt AS call
      LEFT JOIN (SELECT DISTINCT lead_id, created_at FROM duplicate_leads) AS again
        ON again.lead_id = call.lead_id AND again.created_at = call.called_at
)"""
TOLD = f"""
WITH {CALLS}, {REOPENED},
told AS MATERIALIZED (
    SELECT lead_id, count(*) AS attempts, min(called_at) AS first_attempt_at,
           min(called_at) FILTER (WHERE contacted) AS first_call_at,
           max(called_at) FILTER (WHERE contacted) AS last_contact_at,
           (array_agg(status ORDER BY called_at DESC, id DESC) FILTER (WHERE NOT on_repeat))[1] AS status,
           max(called_at) FILTER (WHERE NOT on_repeat) AS saved_at, max(called_at) AS tried_at
      FROM calls
     GROUP BY lead_id
)
SELECT lead.uid FROM lead_master AS lead
  LEFT JOIN told ON told.lead_id = lead.id LEFT JOIN reopened ON reopened.lead_id = lead.id
 WHERE NOT EXISTS (SELECT FROM outbox WHERE outbox.lead_id = lead.id AND outbox.kind = 'attempt')
   AND """
# What each PS made of an assignment, where none of its calls waits for the recorder.
FOLLOWED = """
WITH called AS MATERIALIZED (
    SELECT ps_followup_id, min(called_at) AS first_at, min(called_at) FILTER (WHERE contacted) AS reached_at
      FROM call_attempt WHERE role = 'ps' GROUP BY ps_followup_id
)
SELECT DISTINCT followup.lead_uid
  FROM ps_followup AS followup LEFT JOIN called ON called.ps_followup_id = followup.id
 WHERE NOT EXISTS (
    SELECT FROM outbox WHERE outbox.ps_followup_id = followup.id AND outbox.kind = 'attempt'
 ) AND """
# The assignments of a lead, the latest first.
LATEST = """
WITH latest AS MATERIALIZED (
    SELECT DISTINCT ON (lead_uid) lead_uid, ps_id, branch_id, assigned_at, closed_at, final_status
      FROM ps_followup ORDER BY lead_uid, assigned_at DESC, id DESC
)
SELECT lead.uid FROM lead_master AS lead LEFT JOIN latest ON latest.lead_uid = lead.uid WHERE """

INVARIANTS = (
    Invariant(
        "attempts counted",
        "have another number of attempts than calls",
        TOLD + "lead.attempts <> coalesce(told.attempts, 0)",
    ),
    Invariant(
        "first response",
        "do not show their first call as first response",
        TOLD + "lead.first_attempt_at IS DISTINCT FROM told.first_attempt_at",
    ),
    Invariant(
        "qualifying call",
        "do not show the first call that reached the customer as qualifying call",
        TOLD + "lead.first_call_at IS DISTINCT FROM told.first_call_at",
    ),
    Invariant(
        "last contact",
        "do not show the last call that reached the customer as last contact",
        TOLD + "lead.last_contact_at IS DISTINCT FROM told.last_contact_at",
    ),
    Invariant(
        "last attempt",
        "do not show their last call, reached or not, as last attempt",
        TOLD + "lead.last_attempt_at IS DISTINCT FROM told.tried_at",
    ),
    Invariant(
        "status of the last call",
        "have another status than their last call, or than a lead that was reopened since",
        TOLD
        + f"""lead.lead_status <> CASE WHEN told.saved_at > coalesce(reopened.at, '-infinity')
                                       THEN told.status ELSE '{UNTOUCHED}' END""",
    ),
    Invariant(
        "closed by the last call",
        "were closed at another time than their last call, or before they were reopened",
        TOLD
        + """(coalesce(lead.won_at, lead.lost_at) <> coalesce(told.saved_at, '-infinity')
             OR coalesce(lead.won_at, lead.lost_at) < reopened.at)""",
    ),
    Invariant(
        "calls as in the catalogue",
        "have a call whose contact or final status is not what the catalogue says",
        f"""WITH {CALLS}
        SELECT DISTINCT lead.uid FROM calls JOIN lead_master AS lead ON lead.id = calls.lead_id
         WHERE contacted <> (status = ANY({CONTACTED}))
            OR final_status_after <> CASE WHEN on_repeat THEN 'Pending'
                                          WHEN status = ANY({WINNING}) THEN 'Won'
                                          WHEN status = ANY({LOSING}) THEN 'Lost' ELSE 'Pending' END""",
    ),
    Invariant(
        "calls numbered",
        "have calls that are misnumbered",
        """WITH called AS (
            SELECT *, 1 + count(*) FILTER (WHERE contacted) OVER earlier AS right_call FROM call_attempt
            WINDOW earlier AS (
                PARTITION BY lead_id, role ORDER BY id ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING
            )
        ), numbered AS (
            SELECT *, row_number() OVER (PARTITION BY lead_id, role, right_call ORDER BY id) AS right_attempt
              FROM called
        )
        SELECT DISTINCT lead.uid FROM numbered JOIN lead_master AS lead ON lead.id = numbered.lead_id
         WHERE (numbered.call_no, numbered.attempt) <> (right_call, right_attempt)""",
    ),
    Invariant(
        "calls within their follow-up",
        "have a PS's call without a follow-up, or a call with another lead's",
        """SELECT DISTINCT lead.uid
          FROM call_attempt AS call JOIN lead_master AS lead ON lead.id = call.lead_id
          LEFT JOIN ps_followup AS followup ON followup.id = call.ps_followup_id
         WHERE call.role = 'ps' AND followup.id IS NULL OR followup.lead_uid <> lead.uid""",
    ),
    Invariant(
        "first call of the PS",
        "have a follow-up that does not show when its PS first reached the customer",
        FOLLOWED + "followup.first_call_at IS DISTINCT FROM called.reached_at",
    ),
    Invariant(
        "accepted by calling",
        "have a follow-up that was accepted before it was given, or not by the time of its PS's first call",
        FOLLOWED
        + "(followup.accepted_at < followup.assigned_at OR coalesce(accepted_at, 'infinity') > called.first_at)",
    ),
    Invariant(
        "reopened after a closing call",
        "were reopened though no call had closed them as it says there",
        """SELECT DISTINCT lead.uid
          FROM lead_change AS change JOIN lead_master AS lead ON lead.id = change.lead_id
          LEFT JOIN LATERAL (
            SELECT final_status_after FROM call_attempt AS call
             WHERE call.lead_id = change.lead_id AND call.called_at <= change.at
               -- a save that waited for the reopening has its time from before it
               AND call.final_status_after <> 'Pending'
             ORDER BY call.called_at DESC, call.id DESC LIMIT 1
          ) AS closing ON true
         WHERE change.field = 'final_status'
           AND (change.before, change.after) IS DISTINCT FROM (closing.final_status_after, 'Pending')
           AND NOT EXISTS (SELECT FROM outbox WHERE outbox.lead_id = lead.id AND outbox.kind = 'attempt')""",
    ),
    Invariant(
        "enquiries counted",
        "have another number of enquiries than repeats and one",
        """SELECT lead.uid FROM lead_master AS lead
          LEFT JOIN (SELECT lead_id, count(*) AS repeats FROM duplicate_leads GROUP BY lead_id) AS again
            ON again.lead_id = lead.id
         WHERE lead.enquiries <> 1 + coalesce(again.repeats, 0)""",
    ),
    Invariant(
        "repeats of the customer",
        "have a repeat of another phone, or one that asks just as the lead did",
        """SELECT DISTINCT lead.uid
          FROM duplicate_leads AS again JOIN lead_master AS lead ON lead.id = again.lead_id
         WHERE again.customer_mobile_number <> lead.customer_mobile_number
            OR (again.source, again.sub_source) = (lead.source, lead.sub_source)
               AND again.external_ref IN ('', lead.external_ref)""",
    ),
    Invariant(
        "priority",
        "have another priority than category, repeats and promises give",
        f"""SELECT lead.uid FROM lead_master AS lead
         WHERE lead.priority <> CASE lead.lead_category {POINTS} END + {REPEAT_POINTS} * (lead.enquiries - 1)
               + CASE lead.lead_status WHEN '{CALL_BACK}' THEN {PROMISE_POINTS} ELSE 0 END""",
    ),
    Invariant(
        "open follow-up",
        "are open and not in the hands of the PS that they name, or closed and still in somebody's",
        """SELECT lead.uid FROM lead_master AS lead
          LEFT JOIN ps_followup AS held ON held.lead_uid = lead.uid AND held.closed_at IS NULL
         WHERE held.ps_id IS DISTINCT FROM CASE lead.final_status WHEN 'Pending' THEN lead.ps_id END
            OR (held.branch_id, held.assigned_at) <> (lead.branch_id, lead.ps_assigned_at)""",
    ),
    Invariant(
        "latest follow-up",
        "do not name the PS of their latest follow-up, unless it was taken away, or were closed otherwise than it",
        LATEST
        + """CASE WHEN lead.ps_id IS NULL
                  THEN latest.lead_uid IS NOT NULL
                       AND coalesce(latest.closed_at, 'infinity') >= coalesce(lead.won_at, lead.lost_at, 'infinity')
                  ELSE (lead.ps_id, lead.ps_assigned_at) IS DISTINCT FROM (latest.ps_id, latest.assigned_at)
                       OR lead.final_status <> 'Pending'
                          AND (lead.final_status, coalesce(lead.won_at, lead.lost_at))
                              IS DISTINCT FROM (latest.final_status, latest.closed_at) END""",
    ),
    Invariant(
        "mail on its way",
        "have a follow-up whose mail waits, and nothing that would send it",
        """SELECT followup.lead_uid FROM ps_followup AS followup
         WHERE followup.email_state IN ('waiting', 'sending')
           AND NOT EXISTS (
            SELECT FROM outbox WHERE outbox.ps_followup_id = followup.id AND outbox.kind = 'mail'
           )""",
    ),
    Invariant(
        "returning customers",
        "do not point at the latest lead that was closed when their customer came back",
        # Whose number was corrected has come back to us only since then. What was reopened since had been closed.
        # A save has its time before it waits (lock_timeout is 5 s), and sees what was closed meanwhile.
        """WITH corrected AS MATERIALIZED (SELECT lead_id FROM lead_change WHERE field = 'customer_mobile_number'),
        several AS (
            SELECT customer_mobile_number FROM lead_master GROUP BY customer_mobile_number HAVING count(*) > 1
            EXCEPT SELECT customer_mobile_number FROM lead_master WHERE id IN (SELECT lead_id FROM corrected)
        )
        SELECT lead.uid FROM lead_master AS lead JOIN several USING (customer_mobile_number)
          LEFT JOIN LATERAL (
            SELECT earlier.id FROM lead_master AS earlier
             WHERE earlier.customer_mobile_number = lead.customer_mobile_number
               AND (earlier.created_at, earlier.id) < (lead.created_at, lead.id)
               AND (coalesce(earlier.won_at, earlier.lost_at) <= lead.created_at + interval '5 seconds'
                    OR EXISTS (
                        SELECT FROM lead_change AS change
                         WHERE change.lead_id = earlier.id AND change.field = 'final_status'
                           AND change.at > lead.created_at
                    ))
             ORDER BY earlier.created_at DESC, earlier.id DESC LIMIT 1
          ) AS earlier ON true
         WHERE lead.previous_id IS DISTINCT FROM earlier.id
        UNION ALL
        SELECT lead.uid FROM lead_master AS lead JOIN lead_master AS before ON before.id = lead.previous_id
         WHERE before.customer_mobile_number <> lead.customer_mobile_number
           AND NOT EXISTS (SELECT FROM corrected WHERE lead_id IN (lead.id, before.id))""",
    ),
)


def offending(invariant: Invariant, limit: int = 20) -> list[str]:
    """The uids of leads that break `invariant`, up to `limit` of them."""
    with connection.cursor() as cursor:
        # Materialised, the query is planned for all its rows: for the sake of the first few, which hardly ever
        # exist, PostgreSQL would look up the calls of a million leads one by one.
        query = f"WITH found (uid) AS MATERIALIZED ({invariant.query}) SELECT uid FROM found LIMIT %s"
        cursor.execute(query, [limit])
        return [row[0] for row in cursor.fetchall()]
