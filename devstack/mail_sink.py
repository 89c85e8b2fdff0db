"""A mail server for a machine that has none: takes every mail and lays it into a directory as one .eml file.

Run as `python -m devstack.mail_sink DESCRIPTOR DIRECTORY`; the launcher has bound the port already."""

import asyncio
import itertools
import signal
import socket
import sys
from datetime import UTC, datetime
from pathlib import Path

from aiosmtpd.smtp import SMTP, Envelope, Session


class Sink:
    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self._numbers = itertools.count(1)

    async def handle_DATA(self, server: SMTP, session: Session, envelope: Envelope) -> str:  # noqa: N802 - the library's name for it
        """The name sorts by time; the file appears under it when it is whole."""
        name = f"{datetime.now(UTC):%Y%m%dT%H%M%S.%f}-{next(self._numbers):04}.eml"
        partial = self._directory / f".{name}.partial"
        # Who really gets it, Bcc included, is not in a mail's own headers.
        receivers = "".join(f"X-RcptTo: {receiver}\r\n" for receiver in envelope.rcpt_tos)
        partial.write_bytes(receivers.encode() + _as_bytes(envelope.content))
        partial.rename(self._directory / name)
        return f"250 OK, {name}"


def _as_bytes(content: bytes | str | None) -> bytes:
    return content.encode() if isinstance(content, str) else content or b""


async def serve(descriptor: int, directory: Path) -> None:
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    loop.add_signal_handler(signal.SIGTERM, stop.set)
    sink = Sink(directory)
    listener = socket.socket(fileno=descriptor)
    server = await loop.create_server(lambda: SMTP(sink, enable_SMTPUTF8=True, hostname="localhost"), sock=listener)
    async with server:
        await stop.wait()


if __name__ == "__main__":
    asyncio.run(serve(int(sys.argv[1]), Path(sys.argv[2])))
