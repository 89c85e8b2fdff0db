"""What updates cost, counted at the server."""

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from django.test import Client
from django.utils import timezone

from accounts.directory import directory
from conftest import Cast
from followups.catalogue import Moment
from followups.services import update_ps_lead
from followups.update_form import UpdateForm
from leads.models import LeadMaster
from leads.tests.test_statements import TRANSACTION, besides_transaction, statements
from leads.tests.typed import JSON, captured, fresh, given, qualified, soon
from leads.update_form import UpdateLeadForm
from leads.updates import reopen_lead, update_lead

__all__ = ["statements"]
pytestmark = pytest.mark.django_db(transaction=True)
Since = Callable[[], list[str]]


def by_cre(cast: Cast, lead: LeadMaster, **typed: str) -> None:
    fields = {"version": str(lead.version), **typed}
    update_lead(
        lead.uid,
        cast.asha,
        lambda row: UpdateLeadForm(row, cast.asha, fields).told(actor_id=cast.asha.pk, cause="test"),
    )


def by_ps(cast: Cast, lead: LeadMaster, **typed: str) -> None:
    fields = {"version": str(lead.version), **typed}
    update_ps_lead(
        lead.uid,
        cast.kiran,
        lambda held: UpdateForm(held.lead, Moment.PS, fields).told(actor_id=cast.kiran.pk, cause="test"),
    )


def cost(statements: Since, job: Callable[[], object]) -> list[str]:
    """The statements of `job` besides BEGIN and COMMIT, each of which is there once."""
    directory()
    statements()
    job()
    executed = statements()
    assert sorted(query for query in executed if query in TRANSACTION) == ["BEGIN", "COMMIT"]
    assert not any("SAVEPOINT" in query for query in executed)
    return [" ".join(query.split())[:60] for query in besides_transaction(executed)]


@pytest.mark.parametrize("status", ["RNR", "Call me Back"])
def test_an_ordinary_save_of_the_cre_takes_three(cast: Cast, statements: Since, status: str) -> None:
    lead = captured(cast)
    executed = cost(statements, lambda: by_cre(cast, lead, lead_status=status, follow_up_date=soon(), remark="Later"))
    assert len(executed) == 3, executed


def test_a_save_of_a_lead_that_a_ps_has_takes_three_too(cast: Cast, statements: Since) -> None:
    lead = qualified(cast)
    executed = cost(statements, lambda: by_cre(cast, lead, lead_status="Test Drive", follow_up_date=soon()))
    assert len(executed) == 3, executed


def test_closing_a_lead_that_nobody_else_has_takes_three(cast: Cast, statements: Since) -> None:
    lead = captured(cast)
    assert len(cost(statements, lambda: by_cre(cast, lead, lead_status="Wrong Number"))) == 3


def test_closing_a_lead_that_a_ps_has_takes_five(cast: Cast, statements: Since) -> None:
    lead = qualified(cast)
    executed = cost(statements, lambda: by_cre(cast, lead, lead_status="Booked"))
    assert len(executed) == 5, executed


def test_giving_a_lead_to_its_first_ps_takes_five(cast: Cast, statements: Since) -> None:
    lead = captured(cast)
    executed = cost(statements, lambda: by_cre(cast, lead, **given()))
    assert len(executed) == 5, executed


def test_handing_a_lead_over_takes_seven(cast: Cast, statements: Since) -> None:
    lead = qualified(cast)
    executed = cost(statements, lambda: by_cre(cast, lead, lead_status="RNR", ps_name="latha"))
    assert len(executed) == 7, executed


def test_a_correction_of_the_name_takes_three(cast: Cast, statements: Since) -> None:
    lead = qualified(cast)
    executed = cost(statements, lambda: by_cre(cast, lead, customer_name="Right Name"))
    assert len(executed) == 3, executed


def test_a_correction_of_the_number_takes_six(cast: Cast, statements: Since) -> None:
    lead = captured(cast)
    executed = cost(statements, lambda: by_cre(cast, lead, customer_mobile_number="98480 22338"))
    assert len(executed) == 6, executed


def test_a_save_of_the_ps_takes_three_and_four_at_the_first_call(cast: Cast, statements: Since) -> None:
    lead = qualified(cast)
    executed = cost(statements, lambda: by_ps(cast, lead, lead_status="Interested", follow_up_date=soon()))
    assert len(executed) == 4, executed
    lead = fresh(lead)
    executed = cost(statements, lambda: by_ps(cast, lead, lead_status="Delayed", follow_up_date=soon()))
    assert len(executed) == 3, executed
    lead = fresh(lead)
    executed = cost(statements, lambda: by_ps(cast, lead, lead_status="RNR"))
    assert len(executed) == 3, executed
    lead = fresh(lead)
    executed = cost(statements, lambda: by_ps(cast, lead, lead_status="Booked"))
    assert len(executed) == 4, executed


def test_a_refused_or_stale_save_reads_once_and_writes_nothing(cast: Cast, client: Client, statements: Since) -> None:
    lead = captured(cast)
    client.force_login(cast.asha)
    address = f"/update_lead/{lead.uid}"
    client.get(address)
    for typed in [{"version": "1"}, {"version": "9", "lead_status": "RNR"}, {"version": "1", "lead_status": "x"}]:
        statements()
        client.post(address, typed, headers=JSON)
        executed = statements()
        assert "COMMIT" not in executed
        assert len([query for query in executed if query.startswith("SELECT")]) <= 2, executed
        assert not any(query.startswith(("UPDATE", "INSERT")) for query in executed), executed


@pytest.mark.parametrize("desk", ["cre", "ps"])
def test_the_whole_signed_in_post_takes_five_at_most(cast: Cast, client: Client, statements: Since, desk: str) -> None:
    lead = qualified(cast)
    client.force_login(cast.asha if desk == "cre" else cast.kiran)
    address = f"/update_lead/{lead.uid}" if desk == "cre" else f"/update_ps_lead/{lead.uid}"
    for version in range(1, 4):
        statements()
        response = client.post(address, {"version": version, "lead_status": "RNR"}, headers=JSON)
        assert response.status_code == 200
        executed = besides_transaction(statements())
    assert len(executed) <= 5, executed


def test_a_reopening_takes_six_at_most(cast: Cast, statements: Since) -> None:
    lead = qualified(cast)
    by_cre(cast, lead, lead_status="Booked")
    closed = fresh(lead)
    executed = cost(
        statements, lambda: reopen_lead(lead.uid, cast.meera, reason="Cancelled the booking", version=closed.version)
    )
    assert len(executed) <= 6, executed


@pytest.mark.parametrize("page", ["cre", "ps"])
def test_the_form_costs_the_same_however_much_has_happened(
    cast: Cast, client: Client, page: str, django_assert_num_queries: Any
) -> None:
    from django.db import connection
    from django.test.utils import CaptureQueriesContext

    lead = qualified(cast)
    client.force_login(cast.asha if page == "cre" else cast.kiran)
    address = f"/update_lead/{lead.uid}" if page == "cre" else f"/update_ps_lead/{lead.uid}"
    by_cre(cast, lead, lead_status="RNR")
    client.get(address)

    def queries() -> int:
        with CaptureQueriesContext(connection) as found:
            assert client.get(address).status_code == 200
        return len(found)

    few = queries()
    for _ in range(12):
        by_cre(cast, fresh(lead), lead_status="RNR", remark="Again", follow_up_date=soon())
        by_ps(cast, fresh(lead), lead_status="RNR", remark="Again")
    LeadMaster.objects.filter(pk=lead.pk).update(follow_up_at=timezone.now() + timedelta(days=1))
    assert queries() == few
