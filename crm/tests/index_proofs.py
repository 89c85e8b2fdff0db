"""Every index of our tables with a query that the product runs and this index serves, or with what it guards.

A proof does what a person or a worker does, and is shown the plans of the statements that this took.
"""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import uuid4

from django.contrib.auth import authenticate
from django.core.cache import cache
from django.db.models import Model
from django.test import Client, RequestFactory

from accounts.models import Branch, User
from accounts.supervision import change_address, list_address
from followups import catalogue, delivery, mail, recorder
from followups.models import CallAttempt, EmailState, Outbox, PSFollowup
from leads.capture import capture, check
from leads.find import find
from leads.models import DuplicateLead, LeadMaster, Source
from leads.next_call import in_hand
from leads.records import Enquiry
from performance import live_test_panels
from performance.models import LiveTest, Optimization, SpeedReport


@dataclass(frozen=True)
class Sample:
    """Somebody and something of each kind in the big tables; `asked_again` has repeats."""

    cre: User
    ps: User
    head: User
    supervisor: User
    branch: Branch
    lead: LeadMaster
    asked_again: LeadMaster
    assigned: PSFollowup
    now: datetime

    def page(self, reader: User, address: str, **query: str | int) -> None:
        """`reader` opens a page of the desk."""
        client = Client()
        client.force_login(reader)
        response = client.get(address, query)
        assert response.status_code == 200, f"{address}: {response.status_code}"

    def admin_list(self, model: type[Model], **query: str | int) -> None:
        self.page(self.supervisor, list_address(model), **query)

    def enquiry(self, **fields: Any) -> Enquiry:
        typed = {"customer_name": "Ramesh", "phone": "+919000000001", "letter": "M", "request_id": uuid4()}
        pair = {"source": "META", "sub_source": "Meta Know"}
        return Enquiry(**{**typed, **pair, "call": catalogue.BY_CODE["RNR"], **fields})


@dataclass(frozen=True)
class Proof:
    """`asked` says in words who asks what of the index; `ask` does it."""

    index: str
    asked: str
    ask: Callable[[Sample], object]


@dataclass(frozen=True)
class Guard:
    """A unique index that nobody reads: PostgreSQL looks into it at every insert."""

    index: str
    guards: str


def _cre_desk(tab: str, **query: str) -> Callable[[Sample], object]:
    """The first page of a tab of the CRE's desk, with all counts."""
    return lambda s: s.page(s.cre, "/cre_dashboard", tab=tab, **query)


def _ps_desk(tab: str, **query: str) -> Callable[[Sample], object]:
    return lambda s: s.page(s.ps, "/ps_dashboard", tab=tab, **query)


def _figures(reader: Callable[[Sample], User], address: str) -> Callable[[Sample], object]:
    """The page of a person's figures for this month, with the colleagues' that a cache may hold."""

    def ask(s: Sample) -> None:
        cache.clear()
        s.page(reader(s), address, period="month")

    return ask


PEOPLE = [
    Proof(
        "accounts_branch_pkey",
        "A lead's branch, by its key",
        lambda s: s.page(s.supervisor, change_address(s.branch)),
    ),
    Proof(
        "accounts_branch_name_once",
        "The admin: is there a branch of this name already?",
        lambda s: Branch(name="Nowhere").full_clean(),
    ),
    Proof("accounts_user_pkey", "Each request: who is signed in?", lambda s: User.objects.get(pk=s.cre.pk)),
    Proof(
        "accounts_user_username_once",
        "Sign-in, by username",
        lambda s: authenticate(RequestFactory().post("/login"), username=s.cre.username, password="wrong"),
    ),
    Proof(
        "idx_accounts_user_branch_role",
        "The mail to a PS: who heads the branch and gets a copy?",
        lambda s: mail.branch_heads(s.branch.pk),
    ),
]
LEADS = [
    Proof(
        "lead_master_pkey",
        "The admin's list of calls: the lead of each",
        lambda s: s.admin_list(CallAttempt),
    ),
    Proof("lead_master_uid_once", "A lead's page, by uid", lambda s: s.page(s.cre, f"/lead/{s.lead.uid}")),
    Proof(
        "lead_master_one_open_per_phone",
        "Capture, the duplicate check that decides: is a lead open for this phone at the moment of the insert?",
        lambda s: capture(s.enquiry(), s.cre),
    ),
    Proof(
        "idx_lead_master_customer_mobile_number",
        "Capture and duplicate check: the latest closed lead of this phone",
        lambda s: check(s.lead.customer_mobile_number, ("META", "Meta Know"), s.cre),
    ),
    Proof(
        "idx_lead_alternate_number",
        "The search box: the leads with this alternate number",
        lambda s: find("98000 00001", s.supervisor),
    ),
    Proof(
        "idx_lead_master_cre_name",
        "The CRE's figures: what became of the leads that came in this month",
        _figures(lambda s: s.cre, "/cre_analytics"),
    ),
    Proof(
        "idx_lead_master_ps_name",
        "The admin's list of the leads that one PS has",
        lambda s: s.admin_list(LeadMaster, ps__id__exact=s.ps.pk),
    ),
    Proof("idx_lead_name", "A supervisor's search by the beginning of a name", lambda s: find("laks", s.supervisor)),
    Proof(
        "idx_lead_cre_customer_name",
        "The CRE's search by the beginning of a name",
        lambda s: find("la", s.cre),
    ),
    Proof("idx_lead_cre_fresh", "The CRE's Untouched, newest first", _cre_desk("untouched")),
    Proof("idx_lead_cre_called", "The CRE's Called, who was tried longest ago on top", _cre_desk("called")),
    Proof(
        "idx_lead_cre_due",
        "The CRE's Today, most urgent first; Overdue, Call back and the next call likewise",
        _cre_desk("today"),
    ),
    Proof("idx_lead_cre_pending", "The CRE's Pending, what matters most on top", _cre_desk("pending")),
    Proof(
        "idx_lead_cre_with_ps",
        "The CRE's leads that a PS works on, the latest assignment first",
        _cre_desk("with_ps"),
    ),
    Proof("idx_lead_cre_won", "The CRE's Won, the latest first", _cre_desk("won")),
    Proof("idx_lead_cre_lost", "The CRE's Lost, the latest first", _cre_desk("lost")),
    Proof(
        "idx_lead_won",
        "The CRE's figures: who of the team has won most this month",
        _figures(lambda s: s.cre, "/cre_analytics"),
    ),
    Proof("idx_lead_ps_due", "The PS's Today, most urgent first; Overdue likewise", _ps_desk("today")),
    Proof("idx_lead_ps_pending", "The PS's Pending, what matters most on top", _ps_desk("pending")),
    Proof("idx_lead_ps_won", "The PS's Won, the latest first", _ps_desk("closed", show="won")),
    Proof("idx_lead_ps_lost", "The PS's Lost, the latest first", _ps_desk("closed", show="lost")),
    Proof("idx_lead_ps_test_drive", "The PS's test drives, the latest first", _ps_desk("drives")),
    Proof(
        "idx_lead_next_call",
        "Which leads a CRE has in hand for the next call",
        lambda s: list(in_hand(s.cre)),
    ),
    Proof(
        "idx_lead_branch_created",
        "The branch head's and the reception's desk, any page",
        lambda s: s.page(s.head, "/branch_head_dashboard"),
    ),
    Proof("idx_lead_created", "The admin's list of leads, newest first", lambda s: s.admin_list(LeadMaster)),
    Proof(
        "idx_lead_source_created",
        "The admin's list of the leads of one pair of source and sub-source",
        lambda s: s.admin_list(LeadMaster, pair=Source.objects.get(sub_source="Tele").pk),
    ),
    Proof(
        "idx_lead_status_created",
        "The admin's list of the leads of one status",
        lambda s: s.admin_list(LeadMaster, lead_status__exact="Booked with another number"),
    ),
    Proof(
        "idx_lead_unowned",
        "The admin's list of open leads that nobody owns",
        lambda s: s.admin_list(LeadMaster, standing="unowned"),
    ),
]
REPEATS = [
    Proof(
        "duplicate_leads_pkey",
        "The repeat that an alert tells of, by its key",
        lambda s: s.page(s.supervisor, change_address(s.asked_again.repeats.all()[0])),
    ),
    Proof(
        "duplicate_leads_enquiry_once",
        "Capture of a repeat: has this pair asked on this lead before, at the moment of the insert?",
        lambda s: capture(s.enquiry(phone=s.asked_again.customer_mobile_number, sub_source="Meta"), s.cre),
    ),
    Proof(
        "idx_duplicate_leads_customer_mobile_number",
        "The admin: every repeat enquiry of a phone, newest first",
        lambda s: s.admin_list(DuplicateLead, q=s.asked_again.customer_mobile_number),
    ),
    Proof(
        "idx_duplicate_lead_created",
        "A lead's page: the repeats of this lead, newest first",
        lambda s: s.page(s.asked_again.cre or s.supervisor, f"/lead/{s.asked_again.uid}"),
    ),
    Proof(
        "idx_duplicate_created",
        "The admin's list of repeats, newest first",
        lambda s: s.admin_list(DuplicateLead),
    ),
    Proof(
        "idx_duplicate_source_created",
        "The admin's list of repeats from one source",
        lambda s: s.admin_list(DuplicateLead, pair=Source.objects.get(sub_source="Google Know").pk),
    ),
]
CHANGES = [
    Proof(
        "idx_lead_change_lead",
        "A lead's page: its corrections and reopenings, newest first",
        lambda s: s.page(s.cre, f"/lead/{s.lead.uid}"),
    ),
]
FOLLOWUPS = [
    Proof(
        "ps_followup_pkey",
        "A mail: the assignment that it tells of, by its key",
        lambda s: PSFollowup.objects.select_related("lead", "ps").get(pk=s.assigned.pk),
    ),
    Proof(
        "ps_followup_one_open_per_lead",
        "An alert: with whom is this lead now?",
        lambda s: PSFollowup.objects.open().filter(lead=s.lead).select_related("ps").first(),
    ),
    Proof(
        "idx_ps_followup_lead_uid",
        "A lead's page: its assignments, in order",
        lambda s: s.page(s.cre, f"/lead/{s.lead.uid}"),
    ),
    Proof(
        "idx_ps_followup_ps_open",
        "The PS's desk, any tab: the latest assignment, and whose customers asked again",
        _ps_desk("drives"),
    ),
    Proof("idx_ps_followup_ps_fresh", "The PS's Fresh, the latest assignment first", _ps_desk("fresh")),
    Proof(
        "idx_ps_followup_unaccepted",
        "The branch head's desk: what no PS has accepted in time, the longest first",
        lambda s: s.page(s.head, "/branch_head_dashboard"),
    ),
    Proof(
        "idx_ps_followup_ps_assigned",
        "The PS's figures: what became of the leads that were given to them this month",
        _figures(lambda s: s.ps, "/ps_analytics"),
    ),
    Proof(
        "idx_ps_followup_ps_lead",
        "What a PS may see: is this lead among those that were ever theirs?",
        lambda s: s.page(s.ps, f"/lead/{s.assigned.lead_id}"),
    ),
    Proof(
        "idx_ps_followup_branch",
        "The admin's list of one branch's assignments, newest first",
        lambda s: s.admin_list(PSFollowup, branch__id__exact=s.branch.pk),
    ),
    Proof(
        "idx_ps_followup_assigned",
        "The admin's list of assignments, newest first",
        lambda s: s.admin_list(PSFollowup),
    ),
    Proof(
        "idx_ps_followup_mail_failed",
        "The admin's list of mails that did not go out",
        lambda s: s.admin_list(PSFollowup, email_state__exact=EmailState.FAILED),
    ),
]
CALLS = [
    Proof(
        "call_attempt_pkey",
        "The admin: one call, by its key",
        lambda s: s.page(s.supervisor, change_address(s.lead.call_attempts.all()[0])),
    ),
    Proof(
        "call_attempt_numbered_once",
        "The recorder: each role's latest number on the leads at hand",
        lambda s: recorder._record_batch(),
    ),
    Proof(
        "idx_call_attempt_lead_called",
        "A lead's page: its calls, newest first",
        lambda s: s.page(s.cre, f"/lead/{s.lead.uid}"),
    ),
    Proof(
        "idx_call_attempt_by_called",
        "The admin's list of one person's calls, newest first",
        lambda s: s.admin_list(CallAttempt, by__id__exact=s.cre.pk),
    ),
    Proof(
        "idx_call_attempt_called",
        "The admin's list of calls, newest first",
        lambda s: s.admin_list(CallAttempt),
    ),
]
OUTBOX = [
    Proof(
        "outbox_pkey",
        "A worker: its claimed row, by its key",
        lambda s: s.page(s.supervisor, change_address(Outbox.objects.all()[0])),
    ),
    Proof(
        "idx_outbox_waiting",
        "The workers' claim of mails and alerts, oldest first, however many calls wait besides",
        lambda s: delivery._claim(),
    ),
    Proof(
        "idx_outbox_claimed",
        "The workers: rows whose worker died, given back",
        lambda s: delivery._release_expired(),
    ),
    Proof(
        "idx_outbox_dead",
        "The admin's list of what was given up",
        lambda s: s.admin_list(Outbox, state__exact="dead"),
    ),
    Proof(
        "idx_outbox_lead",
        "A lead's page: what still waits for it",
        lambda s: s.page(s.cre, f"/lead/{s.lead.uid}"),
    ),
]
SOURCES = [
    Proof(
        "lead_source_pkey",
        "The admin: one pair, by its key",
        lambda s: s.page(s.supervisor, change_address(Source.objects.all()[0])),
    ),
    Proof(
        "lead_source_pair_once",
        "The admin: is this pair in the list already?",
        lambda s: Source(source="META", sub_source="Nowhere", letter="M").full_clean(),
    ),
]
PERFORMANCE = [
    Proof(
        "performance_optimization_pkey",
        "How far a request to put the database in order is, by its key",
        lambda s: Optimization.objects.filter(pk=uuid4()).first(),
    ),
    Proof(
        "idx_live_test_name_at",
        "The performance page: the last runs of each live test, newest first",
        lambda s: live_test_panels.overview(),
    ),
    Proof(
        "performance_live_test_pkey",
        "A live test: runs before the last fifty, forgotten by their keys",
        lambda s: LiveTest.objects.filter(pk__in=[1, 2]).delete(),
    ),
    Proof(
        "performance_speed_report_pkey",
        "The performance page: what colleagues have reported last",
        lambda s: list(SpeedReport.objects.order_by("-id")[:10]),
    ),
]
PROOFS = [*PEOPLE, *SOURCES, *LEADS, *CHANGES, *REPEATS, *FOLLOWUPS, *CALLS, *OUTBOX, *PERFORMANCE]
GUARDS = [
    Guard("performance_optimization_one_at_a_time", "The database is put in order once at a time, whoever asks."),
    Guard("call_attempt_recorded_once", "No row of the outbox is recorded twice, whatever happens to workers."),
    Guard("lead_change_pkey", "No two changes of leads have one key."),
]
# Tables of some dozens of rows, which PostgreSQL rather reads whole: the plan is what it does once they have grown.
SMALL = {
    "accounts_branch",
    "accounts_user",
    "lead_source",
    "performance_live_test",
    "performance_optimization",
    "performance_speed_report",
}
