"""The mails of the desk, and the only place that speaks SMTP."""

import smtplib
from collections.abc import Sequence
from email.utils import formataddr, parseaddr
from types import TracebackType
from typing import Any, Self

from django.conf import settings
from django.core.mail import EmailMultiAlternatives, get_connection
from django.core.mail.backends.smtp import EmailBackend
from django.template.loader import render_to_string

from accounts.models import Role, User
from followups.models import Outbox, PSFollowup

# In the payload of an outbox row: the addresses that have this mail, where others were refused.
TAKEN = "taken"


class MailTrouble(Exception):
    """A mail that did not go out, or not to all. `permanent`: trying again will not help; `away`: nor will the next
    mail; `taken`: the addresses for which the server took it all the same."""

    def __init__(self, reason: str, *, permanent: bool = False, away: bool = False, taken: Sequence[str] = ()) -> None:
        super().__init__(reason)
        self.permanent = permanent
        self.away = away
        self.taken = taken


class _Telling:
    """smtplib returns the addresses that a server refused while it took others; Django drops that answer."""

    refused: dict[str, tuple[int, bytes]]

    def sendmail(self, *args: Any, **kwargs: Any) -> dict[str, tuple[int, bytes]]:
        self.refused = super().sendmail(*args, **kwargs)  # type: ignore[misc]
        return self.refused


class _TellingSMTP(_Telling, smtplib.SMTP): ...


class _TellingSMTPS(_Telling, smtplib.SMTP_SSL): ...


class TellingBackend(EmailBackend):
    """Django's SMTP backend, with a connection that remembers who was refused."""

    @property
    def connection_class(self) -> type[smtplib.SMTP]:
        return _TellingSMTPS if self.use_ssl else _TellingSMTP


class Line:
    """A connection to the mail server for some mails; opened by the first, opened again after a failure."""

    def __init__(self) -> None:
        self._connection = get_connection()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._hang_up()

    def send(self, message: EmailMultiAlternatives) -> None:
        """Returns when the server has taken the mail; raises MailTrouble when it has not."""
        try:
            self._connection.open()
        except (smtplib.SMTPException, OSError) as error:
            # A wrong password or a server that is down concerns every mail alike, and ends when somebody mends it.
            raise MailTrouble(f"The mail server cannot be reached: {error}", away=True) from error
        message.connection = self._connection
        try:
            message.send()
        except BaseException as error:
            # In the middle of a conversation: its next answer would be taken for that to the next mail.
            self._hang_up()
            if isinstance(error, (smtplib.SMTPException, OSError)):
                raise _trouble(error) from error
            raise
        refused = getattr(getattr(self._connection, "connection", None), "refused", {})
        missed = {address: answer for address, answer in refused.items() if _is_among(address, message.to)}
        if missed:
            trouble = _trouble(smtplib.SMTPRecipientsRefused(missed))
            everybody = {parseaddr(person)[1] for person in message.recipients()}
            trouble.taken = sorted(everybody - {parseaddr(address)[1] for address in refused})
            raise trouble

    def _hang_up(self) -> None:
        try:
            self._connection.close()
        except (smtplib.SMTPException, OSError):
            # Nothing is lost: what the server took it has answered for.
            self._connection = get_connection()


def _trouble(error: smtplib.SMTPException | OSError) -> MailTrouble:
    match error:
        case smtplib.SMTPRecipientsRefused():
            codes = [code for code, _ in error.recipients.values()]
            words = "; ".join(f"{to}: {code} {_text(said)}" for to, (code, said) in error.recipients.items())
            return MailTrouble(f"The address was refused: {words}", permanent=min(codes) >= 500)
        case smtplib.SMTPResponseException():
            said = f"{error.smtp_code} {_text(error.smtp_error)}"
            return MailTrouble(f"The mail server refused: {said}", permanent=error.smtp_code >= 500)
    return MailTrouble(f"The mail server did not answer: {error!r}")


def _is_among(address: str, people: Sequence[str]) -> bool:
    return parseaddr(address)[1] in {parseaddr(person)[1] for person in people}


def _text(said: bytes | str) -> str:
    return said.decode(errors="replace") if isinstance(said, bytes) else said


def assigned(row: Outbox, followup: PSFollowup) -> EmailMultiAlternatives:
    """Tells a PS of a lead, with a copy to the branch head. Raises MailTrouble if the PS has no address."""
    ps = followup.ps
    if not ps.email:
        raise MailTrouble(f"{ps.name} has no e-mail address.", permanent=True)
    return _letter(
        row,
        "assigned",
        f"New lead assigned – {followup.lead.customer_name}",
        to=[ps],
        cc=[head for head in branch_heads(followup.branch_id) if head.email != ps.email],
        context={
            "followup": followup,
            "lead": followup.lead,
            "ps": ps,
            "remark": row.payload.get("remark", ""),
            "accept_link": f"{settings.SITE_URL}/accept/{followup.lead_id}",
        },
    )


def asked_again(row: Outbox, repeat: Any, to: list[User]) -> EmailMultiAlternatives:
    """Tells a lead's people that the customer has enquired again; `repeat` is the row of the ledger."""
    return _letter(
        row,
        "asked_again",
        f"{repeat.customer_name} has asked again – {row.lead.uid}",
        to=to,
        context={"repeat": repeat, "lead": row.lead},
    )


def taken_over(row: Outbox, former: PSFollowup, present: PSFollowup) -> EmailMultiAlternatives:
    """Tells a PS that a lead of theirs is a colleague's now."""
    return _letter(
        row,
        "taken_over",
        f"No longer yours: {row.lead.customer_name}",
        to=[former.ps],
        context={"lead": row.lead, "ps": former.ps, "present": present},
    )


def branch_heads(branch_id: int | None) -> list[User]:
    """The active heads of a branch who can be written to."""
    heads = User.objects.filter(role=Role.BRANCH_HEAD, branch_id=branch_id, is_active=True)
    return list(heads.exclude(email=""))


def _address(person: User) -> str:
    return formataddr((" ".join(person.name.split()), person.email))


def _letter(
    row: Outbox,
    template: str,
    subject: str,
    *,
    to: list[User],
    context: dict[str, Any],
    cc: list[User] | None = None,
) -> EmailMultiAlternatives:
    context["link"] = f"{settings.SITE_URL}/lead/{row.lead.uid}"
    has_it = row.payload.get(TAKEN, [])
    message = EmailMultiAlternatives(
        subject=" ".join(subject.split()),
        body=render_to_string(f"mail/{template}.txt", context),
        to=[_address(person) for person in to if person.email not in has_it],
        cc=[_address(person) for person in cc or [] if person.email not in has_it],
        # The same however often it is tried, so that a mail sent twice is known for one.
        headers={"Message-ID": f"<outbox-{row.pk}@{settings.SITE_HOST}>"},
    )
    message.attach_alternative(render_to_string(f"mail/{template}.html", context), "text/html")
    return message
