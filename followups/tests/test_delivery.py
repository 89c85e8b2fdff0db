"""The mails: who gets them, what stands in them, and what happens when the mail server will not have them."""

import smtplib
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta
from email.message import EmailMessage
from typing import Any
from typing import cast as cast_to
from unittest.mock import patch

import pytest
from aiosmtpd.controller import Controller
from celery.exceptions import SoftTimeLimitExceeded
from django.core import mail as outbox_of_django
from django.core.cache import cache
from django.core.mail import EmailMultiAlternatives
from django.utils import timezone

from accounts.models import User
from conftest import Cast
from followups import delivery, mail
from followups.delivery import LAST_RETRY, LEASE, MOST_TRIES, mail_waiting, retry_after
from followups.models import EmailState, Kind, Outbox, PSFollowup, State
from leads.capture import capture
from leads.models import LeadMaster
from leads.services import tell_owner
from leads.tests.factories import enquiry, make_lead
from leads.tests.rivals import all_at_once

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def _mail_server_is_there() -> Iterator[None]:
    cache.delete(delivery.AWAY)
    yield
    cache.delete(delivery.AWAY)


def sent() -> list[EmailMultiAlternatives]:
    return cast_to(list[EmailMultiAlternatives], outbox_of_django.outbox)


def assigned(cast: Cast, **fields: Any) -> LeadMaster:
    """A captured lead with Kiran at Attapur; only its mail waits."""
    fields = {"ps_id": cast.kiran.pk, "branch_id": cast.attapur.pk, **fields}
    captured = capture(enquiry(**fields), cast.asha)
    Outbox.objects.filter(kind=Kind.ATTEMPT).delete()
    return LeadMaster.objects.get(uid=captured.uid)


class MailServer:
    """Stands where SMTP is spoken, and answers as told."""

    def __init__(self, *answers: Exception | None) -> None:
        self.answers = list(answers)
        self.taken: list[EmailMessage] = []

    def __call__(self, message: EmailMultiAlternatives, fail_silently: bool = False) -> int:
        answer = self.answers.pop(0) if self.answers else None
        if answer:
            raise answer
        self.taken.append(message.message())
        return 1


def test_the_ps_is_told_everything_needed_to_call(cast: Cast) -> None:
    follow_up_at = datetime(2031, 1, 3, 17, 30, tzinfo=timezone.get_default_timezone())
    lead = assigned(
        cast,
        status="Interested",
        category="Hot",
        model="450 Apex STD",
        remark="Asks for <b>red</b> & black",
        follow_up_at=follow_up_at,
        customer_name="Ramesh O'Kumar",
    )
    assert mail_waiting() == 1
    (message,) = sent()
    assert message.subject == "New lead assigned – Ramesh O'Kumar"
    assert message.to == ["Kiran <kiran@example.com>"]
    assert message.cc == ["Head <head@example.com>"]
    (html, kind) = message.alternatives[0]
    assert kind == "text/html"
    for body in (str(message.body), str(html)):
        for fact in ["META / Meta Know", "Hot", "450 Apex STD", "ATTAPUR", "Asha", "Fri 3 Jan 2031, 5:30 PM"]:
            assert fact in body
        assert lead.pretty_phone in body
        assert f"http://127.0.0.1:8000/lead/{lead.uid}" in body
    assert "Asks for <b>red</b> & black" in message.body
    assert f'href="tel:{lead.customer_mobile_number}"' in str(html)
    assert "Asks for &lt;b&gt;red&lt;/b&gt; &amp; black" in str(html)
    followup = PSFollowup.objects.get()
    assert (followup.email_state, followup.email_error) == (EmailState.SENT, "")
    assert followup.email_sent_at is not None
    assert not Outbox.objects.exists()


def test_the_message_id_stays_the_same_however_often_it_is_tried(cast: Cast) -> None:
    assigned(cast)
    server = MailServer(smtplib.SMTPServerDisconnected("gone"))
    row = Outbox.objects.get()
    with patch.object(EmailMultiAlternatives, "send", autospec=False, new=lambda self: server(self)):
        mail_waiting()
        Outbox.objects.update(not_before=timezone.now())
        mail_waiting()
    (message,) = server.taken
    assert message["Message-ID"] == f"<outbox-{row.pk}@127.0.0.1>"


@pytest.mark.parametrize("change", ["closed", "other PS", "PS left", "closed follow-up"])
def test_a_mail_that_is_no_longer_true_is_not_sent(cast: Cast, change: str) -> None:
    lead = assigned(cast)
    if change == "closed":
        LeadMaster.objects.update(
            lead_status="Dropped", final_status="Lost", lost_reason="Dropped", lost_at=timezone.now()
        )
    elif change == "other PS":
        LeadMaster.objects.update(ps=cast.latha)
    elif change == "PS left":
        User.objects.filter(pk=cast.kiran.pk).update(is_active=False)
    else:
        PSFollowup.objects.update(closed_at=timezone.now())
    assert mail_waiting() == 0
    assert sent() == []
    assert PSFollowup.objects.get(lead=lead).email_state == EmailState.NOT_NEEDED
    assert not Outbox.objects.exists()


def test_a_temporary_refusal_is_tried_again_later_and_later(cast: Cast) -> None:
    assigned(cast)
    busy = smtplib.SMTPResponseException(451, b"try later")
    server = MailServer(busy, busy)
    with patch.object(EmailMultiAlternatives, "send", new=lambda self: server(self)):
        mail_waiting()
        row = Outbox.objects.get()
        assert (row.state, row.tries) == (State.WAITING, 1)
        assert "451 try later" in row.last_error
        assert timedelta(seconds=25) < row.not_before - timezone.now() <= retry_after(1)
        assert mail_waiting() == 0, "it waits until its time has come"
        Outbox.objects.update(not_before=timezone.now())
        mail_waiting()
        row.refresh_from_db()
        assert row.not_before - timezone.now() > timedelta(seconds=55)
        Outbox.objects.update(not_before=timezone.now())
        assert mail_waiting() == 1
    followup = PSFollowup.objects.get()
    assert (followup.email_state, followup.email_error) == (EmailState.SENT, "")


def test_the_wait_between_tries_is_capped() -> None:
    waits = [retry_after(tries) for tries in range(1, MOST_TRIES)]
    assert waits == sorted(waits)
    assert waits[-1] == LAST_RETRY
    assert sum(waits, timedelta()) > timedelta(hours=12), "a mail server that is down for a night loses nothing"


@pytest.mark.parametrize(
    "answer",
    [
        smtplib.SMTPResponseException(550, b"no such user"),
        smtplib.SMTPRecipientsRefused({"kiran@example.com": (550, b"no such user")}),
    ],
)
def test_a_permanent_refusal_is_given_up_where_a_supervisor_sees_it(cast: Cast, answer: Exception) -> None:
    assigned(cast)
    server = MailServer(answer)
    with patch.object(EmailMultiAlternatives, "send", new=lambda self: server(self)):
        mail_waiting()
    row, followup = Outbox.objects.get(), PSFollowup.objects.get()
    assert row.state == State.DEAD
    assert followup.email_state == EmailState.FAILED
    assert "no such user" in followup.email_error


def test_too_many_tries_end_in_the_dead_state(cast: Cast) -> None:
    assigned(cast)
    Outbox.objects.update(tries=MOST_TRIES - 1)
    server = MailServer(smtplib.SMTPResponseException(421, b"busy"))
    with patch.object(EmailMultiAlternatives, "send", new=lambda self: server(self)):
        mail_waiting()
    assert Outbox.objects.get().state == State.DEAD
    assert PSFollowup.objects.get().email_state == EmailState.FAILED


def test_a_ps_without_an_address_is_a_failure_with_a_reason(cast: Cast) -> None:
    User.objects.filter(pk=cast.kiran.pk).update(email="")
    assigned(cast)
    mail_waiting()
    assert PSFollowup.objects.get().email_error == "Kiran has no e-mail address."


def test_a_mail_server_that_is_away_fails_a_batch_without_asking_for_each(cast: Cast) -> None:
    for _ in range(5):
        assigned(cast)
    opened = []

    def open_line(self: object) -> None:
        opened.append(1)
        raise ConnectionRefusedError("refused")

    with patch("django.core.mail.backends.locmem.EmailBackend.open", new=open_line):
        mail_waiting()
        mail_waiting()
    assert len(opened) == 1
    assert set(Outbox.objects.values_list("state", "tries")) == {(State.WAITING, 1)}
    cache.delete(delivery.AWAY)
    Outbox.objects.update(not_before=timezone.now())
    assert mail_waiting() == 5


def test_what_a_dead_worker_had_claimed_is_sent_when_its_lease_ends(cast: Cast) -> None:
    assigned(cast)
    (row,) = delivery._claim()
    assert delivery._claim() == []
    assert mail_waiting() == 0
    Outbox.objects.filter(pk=row.pk).update(claimed_until=timezone.now() - LEASE)
    assert mail_waiting() == 1


def test_a_worker_that_lost_its_lease_does_not_overrule_the_next(cast: Cast) -> None:
    assigned(cast)
    (late,) = delivery._claim()
    Outbox.objects.filter(pk=late.pk).update(claimed_until=timezone.now() - LEASE)
    delivery._release_expired()
    (row,) = delivery._claim()
    assert not delivery._ours(late).exists()
    assert delivery._ours(row).exists()


@pytest.mark.django_db(transaction=True)
def test_eight_workers_send_each_mail_once(cast: Cast) -> None:
    for _ in range(40):
        assigned(cast)
    assert sum(all_at_once([mail_waiting] * 8)) + mail_waiting() == 40
    assert len({message.extra_headers["Message-ID"] for message in sent()}) == len(sent()) == 40


def test_an_alert_reaches_the_owner_and_the_open_ps(cast: Cast) -> None:
    lead = assigned(cast)
    again = enquiry(phone=lead.customer_mobile_number, source="OEM", sub_source="Web", remark="Wants it on Friday")
    capture(again, cast.ravi)
    mail_waiting()
    told = next(message for message in sent() if "asked again" in message.subject)
    assert told.to == ["Asha <asha@example.com>", "Kiran <kiran@example.com>"]
    for body in (str(told.body), str(told.alternatives[0][0])):
        for fact in ["OEM / Web", "Wants it on Friday", "Ravi", "nquiry number 2", lead.uid]:
            assert fact in body


def test_the_branch_head_is_told_if_the_lead_has_neither_cre_nor_ps(cast: Cast) -> None:
    lead = make_lead(branch=cast.attapur)
    capture(enquiry(phone=lead.customer_mobile_number, source="OEM", sub_source="Web"), cast.meera)
    mail_waiting()
    (told,) = sent()
    assert told.to == ["Head <head@example.com>"]


def test_a_supervisor_is_told_before_nobody_is(cast: Cast) -> None:
    lead = make_lead()
    capture(enquiry(phone=lead.customer_mobile_number, source="OEM", sub_source="Web"), cast.meera)
    mail_waiting()
    (told,) = sent()
    assert told.to == ["Meera <meera@example.com>"]


def test_a_colleague_who_tells_the_owner_causes_an_alert_and_a_repeat(cast: Cast) -> None:
    lead = make_lead(cast.asha)
    phone = lead.customer_mobile_number
    assert tell_owner(uid=lead.uid, phone=phone, remark="Call her at six", actor=cast.ravi) == lead
    mail_waiting()
    (told,) = sent()
    assert told.to == ["Asha <asha@example.com>"]
    assert "Call her at six" in str(told.body)
    lead.refresh_from_db()
    assert (lead.enquiries, lead.repeats.count()) == (2, 1)
    assert tell_owner(uid=lead.uid, phone="+919999999999", remark="", actor=cast.ravi) is None
    assert lead.repeats.count() == 1


def test_a_mail_that_cannot_be_written_holds_no_other_back(cast: Cast) -> None:
    poison, *sound = [assigned(cast) for _ in range(3)]
    write = mail.assigned

    def fail_for_poison(row: Outbox, followup: PSFollowup) -> EmailMultiAlternatives:
        if followup.lead == poison:
            raise ValueError("no such template")
        return write(row, followup)

    with patch("followups.delivery.mail.assigned", new=fail_for_poison):
        assert mail_waiting() == 2
    (row,) = Outbox.objects.all()
    assert (row.lead, row.state) == (poison, State.DEAD)
    assert "no such template" in PSFollowup.objects.get(lead=poison).email_error
    assert {PSFollowup.objects.get(lead=lead).email_state for lead in sound} == {EmailState.SENT}


def test_a_name_of_several_lines_cannot_break_into_the_headers(cast: Cast) -> None:
    User.objects.filter(pk=cast.kiran.pk).update(name="Kiran\nBcc: everybody@example.com")
    assigned(cast)
    assert mail_waiting() == 1
    assert sent()[0].to == ['"Kiran Bcc: everybody@example.com" <kiran@example.com>']


class PickyServer:
    """Refuses one address at RCPT, and takes the mail for the others."""

    def __init__(self, refuses: str, answer: str = "550 no such user") -> None:
        self.refuses = refuses
        self.answer = answer
        self.taken: list[list[str]] = []

    async def handle_RCPT(self, server: Any, session: Any, envelope: Any, address: str, options: Any) -> str:  # noqa: N802
        if address == self.refuses:
            return self.answer
        envelope.rcpt_tos.append(address)
        return "250 ok"

    async def handle_DATA(self, server: Any, session: Any, envelope: Any) -> str:  # noqa: N802
        self.taken.append(list(envelope.rcpt_tos))
        return "250 taken"


@contextmanager
def listening(server: PickyServer, settings: Any) -> Iterator[None]:
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    settings.EMAIL_BACKEND, settings.EMAIL_PORT = "followups.mail.TellingBackend", port
    controller = Controller(server, hostname="127.0.0.1", port=port)
    controller.start()
    try:
        yield
    finally:
        controller.stop()


@pytest.mark.parametrize(
    ("refuses", "state"), [("kiran@example.com", EmailState.FAILED), ("head@example.com", EmailState.SENT)]
)
def test_a_ps_whom_the_server_refused_has_not_been_told(
    cast: Cast, settings: Any, refuses: str, state: EmailState
) -> None:
    assigned(cast)
    server = PickyServer(refuses)
    with listening(server, settings):
        mail_waiting()
    followup = PSFollowup.objects.get()
    assert followup.email_state == state
    assert len(server.taken) == 1
    assert ("550 no such user" in followup.email_error) is (state == EmailState.FAILED)


def test_whoever_has_a_mail_does_not_get_it_again_because_another_was_refused(cast: Cast, settings: Any) -> None:
    lead = assigned(cast)
    Outbox.objects.all().delete()
    assert tell_owner(uid=lead.uid, phone=lead.customer_mobile_number, remark="Rang", actor=cast.ravi)
    server = PickyServer("kiran@example.com", "451 later")
    with listening(server, settings):
        for _ in range(3):
            Outbox.objects.update(not_before=timezone.now())
            assert mail_waiting() == 0
        server.refuses = ""
        Outbox.objects.update(not_before=timezone.now())
        assert mail_waiting() == 1
    assert server.taken == [["asha@example.com"], ["kiran@example.com"]]
    assert not Outbox.objects.exists()


class SlowServer:
    """Takes each mail in so many seconds of a clock that only it moves; `breaks` is what ends the one that it names."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, seconds: float, breaks: Exception | None = None) -> None:
        self.now, self.taken = 0.0, 0
        self.seconds, self.breaks = seconds, breaks
        monkeypatch.setattr("followups.delivery.time.monotonic", lambda: self.now)
        monkeypatch.setattr(EmailMultiAlternatives, "send", lambda message: self.take())

    def take(self) -> int:
        self.now += self.seconds
        if self.breaks:
            raise self.breaks
        self.taken += 1
        return 1


def test_a_round_begins_no_mail_that_its_lease_may_not_see_the_end_of(
    cast: Cast, monkeypatch: pytest.MonkeyPatch
) -> None:
    for _ in range(5):
        assigned(cast)
    server = SlowServer(monkeypatch, delivery.ROUND_SECONDS / 2)
    assert mail_waiting() == server.taken == 2
    assert set(Outbox.objects.values_list("state", "tries", "claimed_until")) == {(State.WAITING, 0, None)}
    assert [mail_waiting() for _ in range(3)] == [2, 1, 0]
    assert not Outbox.objects.exists()


def test_a_mail_that_is_cut_short_is_tried_again(cast: Cast, monkeypatch: pytest.MonkeyPatch) -> None:
    assigned(cast)
    SlowServer(monkeypatch, delivery.ROUND_SECONDS + 1, breaks=SoftTimeLimitExceeded())
    assert mail_waiting() == 0
    assert (Outbox.objects.get().state, PSFollowup.objects.get().email_state) == (State.WAITING, EmailState.WAITING)


def test_after_whatever_breaks_a_mail_the_next_gets_a_line_of_its_own(
    cast: Cast, monkeypatch: pytest.MonkeyPatch
) -> None:
    assigned(cast)
    hung_up: list[int] = []
    monkeypatch.setattr("django.core.mail.backends.locmem.EmailBackend.close", lambda line: hung_up.append(1))
    SlowServer(monkeypatch, 0, breaks=SoftTimeLimitExceeded())
    mail_waiting()
    assert len(hung_up) == 2, "after the mail, and at the end"


def test_a_mail_server_may_say_anything(cast: Cast) -> None:
    assigned(cast)
    server = MailServer(smtplib.SMTPResponseException(550, b"no such\0user"))
    with patch.object(EmailMultiAlternatives, "send", new=lambda self: server(self)):
        mail_waiting()
    assert Outbox.objects.get().last_error.endswith("550 no suchuser")


def test_a_second_click_tells_the_owner_once(cast: Cast) -> None:
    lead = make_lead(cast.asha)
    told: dict[str, Any] = {"uid": lead.uid, "phone": lead.customer_mobile_number, "actor": cast.ravi}
    for _ in range(3):
        assert tell_owner(remark="Call her at six", **told) == lead
    assert (lead.repeats.count(), Outbox.objects.count()) == (1, 1)
    tell_owner(remark="She called again, at seven", **told)
    assert lead.repeats.count() == 2
