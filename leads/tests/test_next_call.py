"""Next call: who is called first, who is left in peace, and that nobody is called by two."""

from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any

import pytest
from django.db import connection
from django.db.models import Q
from django.test import Client
from django.utils import timezone

from accounts.models import User
from conftest import Cast
from leads.models import LeadChange, LeadMaster
from leads.next_call import HOLD, REST, _tiers, claim, in_hand, next_promise
from leads.tests.factories import make_lead
from leads.tests.typed import signed_in

pytestmark = pytest.mark.django_db
HOUR, MINUTE = timedelta(hours=1), timedelta(minutes=1)


def ago(time: timedelta) -> datetime:
    return timezone.now() - time


def lead(cre: User | None, **fields: Any) -> LeadMaster:
    return make_lead(cre, priority=10, **fields)


def promised(cre: User, at: datetime) -> LeadMaster:
    return lead(cre, lead_status="Call me Back", follow_up_at=at, last_attempt_at=ago(5 * HOUR))


def spoken_to(cre: User, **fields: Any) -> LeadMaster:
    return lead(
        cre, **{"lead_status": "Delayed", "first_call_at": ago(9 * HOUR), "last_attempt_at": ago(9 * HOUR), **fields}
    )


def claims(actor: User) -> list[str]:
    """The uids of all that `actor` is given, one after the other."""
    found: list[str] = []
    while (claimed := claim(actor)) and len(found) < 100:
        found.append(claimed.uid)
    return found


def test_the_order_is_promises_new_unowned_overdue_tried_and_pending(cast: Cast) -> None:
    pending = [spoken_to(cast.asha, lead_category="Cold"), spoken_to(cast.asha, lead_category="Hot")]
    LeadMaster.objects.filter(pk=pending[1].pk).update(priority=30)
    tried = [
        lead(cast.asha, lead_status="RNR", last_attempt_at=ago(2 * HOUR)),
        lead(cast.asha, lead_status="RNR", last_attempt_at=ago(3 * HOUR)),
    ]
    overdue = [spoken_to(cast.asha, follow_up_at=ago(HOUR)), spoken_to(cast.asha, follow_up_at=ago(2 * HOUR))]
    unowned = [lead(None, created_at=ago(2 * HOUR)), lead(None, created_at=ago(HOUR))]
    new = [lead(cast.asha, created_at=ago(2 * HOUR)), lead(cast.asha, created_at=ago(HOUR))]
    promises = [promised(cast.asha, ago(HOUR)), promised(cast.asha, ago(2 * HOUR))]
    # Nobody of these is due: later, just tried, closed, another's.
    promised(cast.asha, timezone.now() + HOUR)
    spoken_to(cast.asha, follow_up_at=timezone.now() + MINUTE)
    lead(cast.asha, lead_status="RNR", last_attempt_at=ago(MINUTE))
    lead(cast.asha, lead_status="Dropped", final_status="Lost", lost_reason="Dropped", lost_at=timezone.now())
    promised(cast.ravi, ago(3 * HOUR))
    order = [group[number] for group in [promises, new, unowned, overdue, tried, pending] for number in (1, 0)]
    assert claims(cast.asha) == [row.uid for row in order]


def test_who_was_not_reached_is_left_in_peace_for_a_while(cast: Cast) -> None:
    tried = lead(cast.asha, lead_status="RNR", last_attempt_at=ago(REST - MINUTE))
    overdue = spoken_to(cast.asha, follow_up_at=ago(HOUR), lead_status="RNR", last_attempt_at=ago(REST - MINUTE))
    assert claim(cast.asha) is None
    LeadMaster.objects.filter(pk__in=[tried.pk, overdue.pk]).update(last_attempt_at=ago(REST + MINUTE))
    assert claims(cast.asha) == [overdue.uid, tried.uid]


def test_a_time_agreed_in_the_last_call_is_kept_though_it_is_near(cast: Cast) -> None:
    call_back = promised(cast.asha, ago(MINUTE))
    LeadMaster.objects.filter(pk=call_back.pk).update(last_attempt_at=ago(20 * MINUTE))
    assert claims(cast.asha) == [call_back.uid]


def test_a_promise_that_was_tried_in_vain_is_not_dialled_again_at_once(cast: Cast) -> None:
    call_back = promised(cast.asha, ago(HOUR))
    LeadMaster.objects.filter(pk=call_back.pk).update(last_attempt_at=ago(MINUTE), lead_status="RNR")
    assert claim(cast.asha) is None


def test_what_is_claimed_is_passed_over_and_comes_back_after_the_hold(cast: Cast) -> None:
    first, second = lead(cast.asha, created_at=ago(HOUR)), lead(cast.asha, created_at=ago(2 * HOUR))
    assert [claim(cast.asha), claim(cast.asha), claim(cast.asha)] == [first, second, None]
    assert set(in_hand(cast.asha)) == {first, second}
    LeadMaster.objects.filter(pk=first.pk).update(next_call_until=timezone.now())
    assert claims(cast.asha) == [first.uid]
    held = LeadMaster.objects.get(pk=first.pk)
    assert held.next_call_by == cast.asha
    assert held.next_call_until is not None
    assert HOLD - MINUTE < held.next_call_until - timezone.now() <= HOLD


def test_a_claim_of_ones_own_lead_changes_nothing_that_a_form_was_opened_against(cast: Cast) -> None:
    own = lead(cast.asha)
    claim(cast.asha)
    now = LeadMaster.objects.get(pk=own.pk)
    assert (now.version, now.updated_at, now.cre_assigned_at) == (own.version, own.updated_at, own.cre_assigned_at)
    assert not LeadChange.objects.exists()


def test_who_claims_a_lead_that_nobody_owns_owns_it(cast: Cast) -> None:
    unowned = lead(None)
    claimed = claim(cast.ravi)
    assert claimed == unowned
    now = LeadMaster.objects.get(pk=unowned.pk)
    assert (now.cre, now.next_call_by, now.version) == (cast.ravi, cast.ravi, unowned.version + 1)
    assert now.cre_assigned_at is not None
    (change,) = LeadChange.objects.all()
    assert (change.field, change.before, change.after, change.by) == ("cre", "", "Ravi", cast.ravi)
    assert claim(cast.asha) is None
    LeadMaster.objects.update(next_call_until=timezone.now() - MINUTE)
    assert claim(cast.asha) is None


def test_an_unowned_lead_that_was_called_long_ago_is_anybodys_next_call(cast: Cast) -> None:
    lead(None, lead_status="RNR", last_attempt_at=ago(HOUR / 2))
    rested = lead(None, lead_status="RNR", last_attempt_at=ago(5 * HOUR))
    assert claim(cast.asha) == rested
    assert claim(cast.ravi) is None


def test_only_the_next_promise_of_ones_own_is_told(cast: Cast) -> None:
    assert next_promise(cast.asha) is None
    promised(cast.ravi, timezone.now() + MINUTE)
    later, sooner = promised(cast.asha, timezone.now() + 2 * HOUR), promised(cast.asha, timezone.now() + HOUR)
    assert next_promise(cast.asha) == sooner
    assert later != sooner


# --- By page ----------------------------------------------------------------------------------------------------


def test_the_button_claims_and_opens_the_form(cast: Cast) -> None:
    new = lead(cast.asha, customer_name="Kavya Reddy")
    response = signed_in(cast.asha).post("/next_call", follow=True)
    assert response.redirect_chain == [(f"/update_lead/{new.uid}?call=1", 302)]
    assert "Kavya Reddy" in response.content.decode()
    assert LeadMaster.objects.get(pk=new.pk).next_call_by == cast.asha


def test_nothing_to_call_is_said_with_the_next_promise(cast: Cast) -> None:
    asha = signed_in(cast.asha)
    page = asha.post("/next_call", follow=True).content.decode()
    assert "Nothing needs a call right now." in page
    at = timezone.localtime() + timedelta(days=1)
    lead(
        cast.asha,
        customer_name="Kavya Reddy",
        lead_status="Call me Back",
        follow_up_at=at.replace(hour=16, minute=15),
    )
    page = asha.post("/next_call", follow=True).content.decode()
    assert "The next one is Kavya Reddy, tomorrow at 16:15." in page


@pytest.mark.parametrize("person", ["kiran", "head", "reception", "meera"])
def test_only_a_cre_is_given_calls(cast: Cast, person: str) -> None:
    lead(None)
    assert signed_in(getattr(cast, person)).post("/next_call").status_code == 403
    assert LeadMaster.objects.filter(cre=None).exists()


def test_a_page_that_is_only_read_claims_nothing(cast: Cast, client: Client) -> None:
    lead(None)
    client.force_login(cast.asha)
    assert client.get("/next_call").status_code == 302
    assert LeadMaster.objects.filter(cre=None).exists()


def test_a_colleague_sees_who_has_the_customer_in_hand(cast: Cast) -> None:
    new = lead(cast.asha)
    claim(cast.asha)
    assert "Asha has this customer in hand" in signed_in(cast.meera).get(f"/update_lead/{new.uid}").content.decode()
    assert "in hand" not in signed_in(cast.asha).get(f"/update_lead/{new.uid}").content.decode()


# --- Cost -------------------------------------------------------------------------------------------------------


def test_a_claim_costs_a_query_a_tier_at_most_however_many_leads(
    cast: Cast, django_assert_max_num_queries: Callable[[int], Any]
) -> None:
    """Six tiers, the update, and the two ends of a transaction within the test's."""
    for _ in range(2):
        spoken_to(cast.asha)
    with django_assert_max_num_queries(9):
        assert claim(cast.asha)
    for _ in range(60):
        spoken_to(cast.asha)
    with django_assert_max_num_queries(9):
        assert claim(cast.asha)


def test_every_tier_starts_from_an_index(cast: Cast) -> None:
    now = timezone.now()
    rows = []
    for number in range(4000):
        tried = number % 5
        owned = tried or number % 50
        cre = cast.asha if number % 4 == 0 else cast.ravi
        row = LeadMaster(
            uid=f"N-{number:05d}-0000000",
            customer_name="Ramesh Kumar",
            customer_mobile_number=f"+9196{number:08d}",
            source="META",
            sub_source="Meta Know",
            cre=cre if owned else None,
            cre_assigned_at=now if owned else None,
            created_at=now - number * MINUTE,
        )
        if tried == 1:
            row.lead_status, row.last_attempt_at = "RNR", now - number * MINUTE
        elif tried == 2:
            row.lead_status, row.last_attempt_at = "Call me Back", now - 5 * HOUR
            row.follow_up_at = now + (number - 2000) * MINUTE
        elif tried == 3:
            row.lead_status, row.last_attempt_at, row.first_call_at = "Delayed", now - 5 * HOUR, now - 5 * HOUR
            row.priority = number % 90
        elif tried == 4:
            row.lead_status, row.final_status, row.last_attempt_at = "Booked", "Won", now
            row.won_at = row.first_call_at = now
        rows.append(row)
    LeadMaster.objects.bulk_create(rows)
    with connection.cursor() as cursor:
        cursor.execute("ANALYZE lead_master")
    used = []
    for tier in _tiers(cast.asha, now):
        free = tier.filter(Q(next_call_until__isnull=True) | Q(next_call_until__lte=now))
        plan = free.select_for_update(no_key=True, skip_locked=True)[:1].explain()
        assert "Seq Scan" not in plan, plan
        assert "Sort" not in plan, plan
        used.append(plan.split(" using ")[1].split(" on ")[0])
    assert used == [
        "idx_lead_cre_due",
        "idx_lead_cre_fresh",
        "idx_lead_unowned",
        "idx_lead_cre_due",
        "idx_lead_cre_called",
        "idx_lead_cre_pending",
    ]
