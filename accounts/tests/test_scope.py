"""Who sees what: for every role, every kind of row, that what is theirs is there and nothing else leaks."""

from typing import Any

import pytest
from django.contrib.auth.models import AnonymousUser
from django.db.models import Model
from django.utils import timezone
from django.utils.functional import SimpleLazyObject

from accounts.models import Branch, User
from accounts.scope import WALK_IN
from conftest import Cast
from followups.catalogue import Pipeline
from followups.models import CallAttempt, PSFollowup
from leads.models import DuplicateLead, LeadMaster
from leads.tests.factories import make_lead

NOBODYS, ASHAS, RAVIS, WALK_INS, MALAKPETS, PASSED_ON = (
    "nobody's",
    "Asha's, with Kiran",
    "Ravi's, with Latha",
    "a walk-in at Attapur",
    "Ravi's, with Sunil at Malakpet",
    "Asha's, once with Kiran, now with Latha",
)
# By role, the leads that are seen; everything not named here must not be.
LEADS_SEEN = {
    "asha": {ASHAS, PASSED_ON},
    "ravi": {RAVIS, MALAKPETS},
    "kiran": {ASHAS, PASSED_ON},
    "latha": {RAVIS, PASSED_ON},
    "sunil": {MALAKPETS},
    "head": {ASHAS, RAVIS, WALK_INS, PASSED_ON},
    "reception": {WALK_INS},
    "meera": {NOBODYS, ASHAS, RAVIS, WALK_INS, MALAKPETS, PASSED_ON},
}
# A PS sees their own assignments of a lead, not those of the colleagues before and after them.
ASSIGNMENTS_SEEN = {
    **LEADS_SEEN,
    "kiran": {ASHAS, f"{PASSED_ON} (before)"},
    "asha": {ASHAS, PASSED_ON, f"{PASSED_ON} (before)"},
    "head": {ASHAS, RAVIS, PASSED_ON, f"{PASSED_ON} (before)"},
    "reception": set(),
    "meera": {ASHAS, RAVIS, MALAKPETS, PASSED_ON, f"{PASSED_ON} (before)"},
}


def assign(lead: LeadMaster, ps: User, by: User, **fields: Any) -> PSFollowup:
    assert ps.branch
    return PSFollowup.objects.create(lead=lead, ps=ps, branch=ps.branch, assigned_by=by, **fields)


def add(name: str, cre: User | None, ps: User | None = None, branch: Branch | None = None, **fields: Any) -> LeadMaster:
    lead = make_lead(
        cre,
        customer_name=name,
        ps=ps,
        branch=ps.branch if ps else branch,
        ps_assigned_at=timezone.now() if ps else None,
        **fields,
    )
    if ps:
        assert cre
        assign(lead, ps, cre)
    return lead


@pytest.fixture
def rows(cast: Cast) -> None:
    """One lead of each kind, each with a call and a repeat enquiry."""
    passed_on = add(PASSED_ON, cast.asha, cast.latha)
    assign(passed_on, cast.kiran, cast.asha, closed_at=timezone.now())
    leads = [
        add(NOBODYS, None),
        add(ASHAS, cast.asha, cast.kiran),
        add(RAVIS, cast.ravi, cast.latha),
        add(WALK_INS, None, branch=cast.attapur, pipeline=Pipeline.WALK_IN.value),
        add(MALAKPETS, cast.ravi, cast.sunil),
        passed_on,
    ]
    for lead in leads:
        hang_on(lead, cast.meera)


def hang_on(lead: LeadMaster, by: User) -> None:
    DuplicateLead.objects.create(
        lead=lead,
        customer_mobile_number=lead.customer_mobile_number,
        customer_name=lead.customer_name,
        source="OEM",
        sub_source="Web",
    )
    CallAttempt.objects.create(
        lead=lead,
        role="cre",
        by=by,
        call_no=1,
        attempt=1,
        lead_status="RNR",
        contacted=False,
        final_status_before="Pending",
        final_status_after="Pending",
        called_at=timezone.now(),
        outbox_id=lead.pk,
    )


def name_of(row: Model) -> str:
    if isinstance(row, LeadMaster):
        return row.customer_name
    lead = row.lead  # type: ignore[attr-defined]
    past = isinstance(row, PSFollowup) and row.closed_at
    return f"{lead.customer_name} (before)" if past else str(lead.customer_name)


def seen(model: Any, user: Any) -> list[str]:
    return sorted(name_of(row) for row in model.objects.visible_to(user))


@pytest.mark.parametrize("who", LEADS_SEEN)
@pytest.mark.parametrize("model", [LeadMaster, DuplicateLead, CallAttempt])
def test_a_person_sees_their_rows_each_once_and_no_others(rows: None, cast: Cast, who: str, model: Any) -> None:
    assert seen(model, getattr(cast, who)) == sorted(LEADS_SEEN[who])


@pytest.mark.parametrize("who", ASSIGNMENTS_SEEN)
def test_a_person_sees_their_assignments_and_no_others(rows: None, cast: Cast, who: str) -> None:
    assert seen(PSFollowup, getattr(cast, who)) == sorted(ASSIGNMENTS_SEEN[who])


@pytest.mark.parametrize("model", [LeadMaster, DuplicateLead, CallAttempt, PSFollowup])
def test_strangers_and_people_who_may_not_sign_in_see_nothing(rows: None, cast: Cast, model: Any) -> None:
    assert seen(model, AnonymousUser()) == []
    assert seen(model, None) == []
    for who in LEADS_SEEN:
        person = getattr(cast, who)
        person.is_active = False
        assert seen(model, person) == []
        assert seen(model, User(pk=person.pk, role="unheard of")) == []


def test_a_lead_that_came_back_to_the_same_ps_is_seen_once(rows: None, cast: Cast) -> None:
    lead = LeadMaster.objects.get(customer_name=PASSED_ON)
    assign(lead, cast.latha, cast.asha, closed_at=timezone.now())
    assert seen(LeadMaster, cast.latha).count(PASSED_ON) == 1
    assert seen(CallAttempt, cast.latha).count(PASSED_ON) == 1


def test_a_lead_that_changes_its_cre_or_branch_changes_its_readers(rows: None, cast: Cast) -> None:
    LeadMaster.objects.filter(customer_name=ASHAS).update(cre=cast.ravi, branch=cast.malakpet)
    assert ASHAS not in seen(LeadMaster, cast.asha)
    assert ASHAS in seen(LeadMaster, cast.ravi)
    assert ASHAS not in seen(LeadMaster, cast.head)


def test_the_user_of_a_request_is_known_behind_its_lazy_wrapper(rows: None, cast: Cast) -> None:
    lazy = SimpleLazyObject(lambda: cast.asha)
    assert seen(LeadMaster, lazy) == sorted(LEADS_SEEN["asha"])


def test_the_word_for_walk_ins_is_the_catalogues() -> None:
    assert Pipeline.WALK_IN.value == WALK_IN
