"""Each mail becomes one whole .eml file that also says who gets it."""

import smtplib
import socket
from email.message import EmailMessage
from pathlib import Path

import pytest

from devstack import ROOT, variables
from devstack.service import Program, Starter, python
from devstack.tests.conftest import Patient


@pytest.mark.devstack
def test_a_mail_lands_in_the_directory(tmp_path: Path) -> None:
    message = EmailMessage()
    message["Subject"], message["From"], message["To"] = (
        "New lead assigned – Rani",
        "desk@example.com",
        "ps@example.com",
    )
    message.set_content("नमस्ते")
    starter = Starter(ROOT, variables.inherited())
    with socket.create_server(("127.0.0.1", 0)) as listener:
        command = python("devstack.mail_sink", str(listener.fileno()), str(tmp_path))
        sink = starter.start(Program("sink", command, tmp_path / "log", pass_fds=[listener.fileno()]))
        port = listener.getsockname()[1]
    try:
        with smtplib.SMTP("127.0.0.1", port, timeout=20) as client:
            client.send_message(message, to_addrs=["ps@example.com", "bcc@example.com"])
    finally:
        sink.stop(Patient())
    (mail,) = tmp_path.glob("*.eml")
    text = mail.read_text()
    assert text.startswith("X-RcptTo: ps@example.com\nX-RcptTo: bcc@example.com\n")
    assert "Subject: New lead assigned =?utf-8?" in text
    assert not list(tmp_path.glob(".*"))
