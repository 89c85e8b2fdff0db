"""Supervisors read assignments, calls and the outbox, and send again what was given up."""

from datetime import timedelta

import pytest
from django.db import connection
from django.db.models import Model
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import reverse
from django.utils import timezone

from accounts.models import User
from accounts.supervision import change_address, list_address
from conftest import Cast
from followups.models import CallAttempt, EmailState, Kind, Outbox, PSFollowup, State
from leads.models import LeadMaster
from leads.tests.factories import make_lead

OUTBOX = reverse("admin:followups_outbox_changelist")


@pytest.fixture
def meera(client: Client, cast: Cast) -> Client:
    client.force_login(cast.meera)
    return client


def make_followup(cast: Cast, lead: LeadMaster, **fields: object) -> PSFollowup:
    return PSFollowup.objects.create(
        **{"lead": lead, "ps": cast.kiran, "branch": cast.attapur, "assigned_by": cast.asha, **fields}
    )


def make_attempt(lead: LeadMaster, by: User, number: int = 1) -> CallAttempt:
    return CallAttempt.objects.create(
        lead=lead,
        role="cre",
        by=by,
        call_no=1,
        attempt=number,
        lead_status="RNR",
        contacted=False,
        final_status_before="Pending",
        final_status_after="Pending",
        called_at=timezone.now(),
        outbox_id=lead.pk * 1000 + number,
    )


def dead_mail(cast: Cast, **fields: object) -> Outbox:
    lead = make_lead(cast.asha)
    followup = make_followup(cast, lead, email_state=EmailState.FAILED, email_error="550 no such user")
    return Outbox.objects.create(
        **{
            "kind": Kind.MAIL,
            "lead": lead,
            "ps_followup": followup,
            "state": State.DEAD,
            "tries": 30,
            "last_error": "550 no such user",
            **fields,
        }
    )


def send_again(client: Client, *rows: Outbox) -> str:
    posted = {"action": "send_again", "_selected_action": [row.pk for row in rows]}
    return client.post(OUTBOX, posted, follow=True).text


def test_dead_rows_are_listed_with_their_last_error(meera: Client, cast: Cast) -> None:
    dead = dead_mail(cast)
    dead_mail(cast, state=State.WAITING)
    page = meera.get(OUTBOX, {"state__exact": "dead"})
    assert [row.pk for row in page.context["cl"].result_list] == [dead.pk]
    assert "550 no such user" in page.text


def test_a_dead_mail_that_is_sent_again_is_as_new(meera: Client, cast: Cast) -> None:
    dead = dead_mail(cast, not_before=timezone.now() + timedelta(days=1))
    assert "1 waiting to be tried again." in send_again(meera, dead)
    dead.refresh_from_db()
    assert (dead.state, dead.tries, dead.claimed_until) == (State.WAITING, 0, None)
    assert dead.not_before <= timezone.now()
    followup = PSFollowup.objects.get()
    assert (followup.email_state, followup.email_error) == (EmailState.WAITING, "")


def test_rows_that_were_not_given_up_are_left_alone(meera: Client, cast: Cast) -> None:
    waiting = dead_mail(cast, state=State.WAITING, tries=3)
    claimed = dead_mail(cast, state=State.CLAIMED, tries=4, claimed_until=timezone.now())
    before = list(Outbox.objects.order_by("pk").values())
    assert "Only rows that were given up" in send_again(meera, waiting, claimed)
    assert list(Outbox.objects.order_by("pk").values()) == before
    assert set(PSFollowup.objects.values_list("email_state", flat=True)) == {EmailState.FAILED}


def test_a_mail_that_was_sent_all_the_same_stays_sent(meera: Client, cast: Cast) -> None:
    dead = dead_mail(cast)
    PSFollowup.objects.update(email_state=EmailState.SENT, email_sent_at=timezone.now())
    send_again(meera, dead)
    assert PSFollowup.objects.get().email_state == EmailState.SENT


def test_a_dead_attempt_is_recorded_again_without_touching_mails(meera: Client, cast: Cast) -> None:
    mail = dead_mail(cast)
    attempt = Outbox.objects.create(kind=Kind.ATTEMPT, lead=mail.lead, ps_followup=mail.ps_followup, state=State.DEAD)
    send_again(meera, attempt)
    assert Outbox.objects.get(pk=attempt.pk).state == State.WAITING
    assert Outbox.objects.get(pk=mail.pk).state == State.DEAD
    assert PSFollowup.objects.get().email_state == EmailState.FAILED


@pytest.mark.parametrize("username", ["asha", "head"])
def test_only_a_supervisor_sends_again(client: Client, cast: Cast, username: str) -> None:
    client.force_login(getattr(cast, username))
    dead = dead_mail(cast)
    send_again(client, dead)
    assert Outbox.objects.get().state == State.DEAD


def test_nothing_here_is_added_changed_or_deleted(meera: Client, cast: Cast) -> None:
    row = dead_mail(cast)
    attempt = make_attempt(row.lead, cast.asha)
    waiting = Outbox.objects.create(kind=Kind.ATTEMPT, lead=row.lead, payload={}, state=State.DEAD)
    assert row.ps_followup
    for kept in (waiting, attempt, row.ps_followup):
        name = f"admin:followups_{kept._meta.model_name}"
        assert meera.get(change_address(kept)).status_code == 200
        assert meera.get(reverse(f"{name}_add")).status_code == 403
        assert meera.post(change_address(kept), {"last_error": "x", "remark": "x"}).status_code == 403
        assert meera.post(reverse(f"{name}_delete", args=[kept.pk]), {"post": "yes"}).status_code == 403
        meera.post(list_address(type(kept)), {"action": "delete_selected", "_selected_action": [kept.pk]})
        assert type(kept)._default_manager.filter(pk=kept.pk).exists()


def test_a_mail_that_was_given_up_may_go_and_one_that_waits_may_not(meera: Client, cast: Cast) -> None:
    row = dead_mail(cast)
    address = reverse("admin:followups_outbox_delete", args=[row.pk])
    Outbox.objects.update(state=State.WAITING)
    assert meera.post(address, {"post": "yes"}).status_code == 403
    Outbox.objects.update(state=State.DEAD)
    assert meera.post(address, {"post": "yes"}).status_code == 302
    assert not Outbox.objects.exists()
    assert PSFollowup.objects.get().email_state == EmailState.FAILED


@pytest.mark.parametrize("model", [PSFollowup, CallAttempt, Outbox])
def test_a_row_is_found_by_its_leads_uid(meera: Client, cast: Cast, model: type[Model]) -> None:
    row = dead_mail(cast)
    make_attempt(row.lead, cast.asha)
    dead_mail(cast)
    page = meera.get(list_address(model), {"q": f" {row.lead.uid.lower()} "})
    assert [found.lead for found in page.context["cl"].result_list] == [row.lead]
    assert not meera.get(list_address(model), {"q": "nobody"}).context["cl"].result_list


def test_assignments_are_filtered_by_ps_branch_and_mail(meera: Client, cast: Cast) -> None:
    kirans = make_followup(cast, make_lead(cast.asha))
    sunils = make_followup(
        cast, make_lead(cast.asha), ps=cast.sunil, branch=cast.malakpet, email_state=EmailState.FAILED
    )

    def found(**query: str) -> list[int]:
        return [row.pk for row in meera.get(list_address(PSFollowup), query).context["cl"].result_list]

    assert found(ps__id__exact=str(cast.kiran.pk)) == [kirans.pk]
    assert found(branch__id__exact=str(cast.malakpet.pk)) == [sunils.pk]
    assert found(email_state__exact="failed") == [sunils.pk]
    assert found(closed_at__isempty="1") == [sunils.pk, kirans.pk]


@pytest.mark.parametrize("model", [PSFollowup, CallAttempt, Outbox])
def test_a_list_costs_the_same_for_few_and_for_many(meera: Client, cast: Cast, model: type[Model]) -> None:
    def add(number: int) -> None:
        for _ in range(number):
            make_attempt(dead_mail(cast).lead, cast.asha)

    add(2)
    few = _statements(meera, list_address(model))
    add(20)
    assert _statements(meera, list_address(model)) == few


def _statements(client: Client, address: str) -> int:
    with CaptureQueriesContext(connection) as queries:
        assert client.get(address).status_code == 200
    return len(queries)
