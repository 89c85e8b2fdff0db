"""A load generator: some clients on kept connections, each asking again as soon as it is answered.

One thread with a selector and ready-made bytes, for it shares the processors with what it measures.
"""

import selectors
import socket
import time
from collections.abc import Callable
from dataclasses import dataclass, field

PATIENCE = 60.0
MOST_TOLD = 5


@dataclass(slots=True)
class Answer:
    status: int
    head: bytes
    body: bytes


@dataclass(slots=True)
class Sample:
    """The times of one go in milliseconds, how long it took in all, and the answers that were not the right ones."""

    milliseconds: list[float] = field(default_factory=list)
    seconds: float = 0.0
    wrong: int = 0
    wrong_words: list[str] = field(default_factory=list)

    def refuse(self, words: str) -> None:
        self.wrong += 1
        if len(self.wrong_words) < MOST_TOLD:
            self.wrong_words.append(words)


class _Client:
    def __init__(self, port: int) -> None:
        self._port = port
        self._received = bytearray()
        self.waits = False
        self.asked_at = 0.0
        self.connect()

    def connect(self) -> None:
        self.socket = socket.create_connection(("127.0.0.1", self._port), PATIENCE)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    def ask(self, request: bytes) -> None:
        self._received.clear()
        self.waits = True
        self.asked_at = time.perf_counter()
        self.socket.sendall(request)

    def hear(self) -> Answer | None:
        """The answer, once it is whole. Raises ConnectionError where the server hung up instead."""
        piece = self.socket.recv(1 << 18)
        if not piece:
            raise ConnectionResetError
        self._received += piece
        return parsed(self._received)


def parsed(received: bytearray) -> Answer | None:
    """The answer in these bytes, or None as long as some of it is missing."""
    end = received.find(b"\r\n\r\n")
    if end < 0:
        return None
    head, body = bytes(received[:end]).lower(), received[end + 4 :]
    at = head.find(b"\r\ncontent-length:")
    if at >= 0:
        whole = len(body) >= int(head[at + 17 :].split(b"\r\n", 1)[0])
    elif b"\r\ntransfer-encoding: chunked" in head:
        whole = body.endswith(b"0\r\n\r\n")
    else:
        whole = True
    return Answer(int(head[9:12]), bytes(received[:end]), bytes(body)) if whole else None


def press(
    port: int,
    ask: Callable[[], bytes],
    right: Callable[[Answer], bool],
    *,
    clients: int,
    seconds: float,
    most: int,
) -> Sample:
    """Asks for so many `seconds`, and at `most` so often; each client at least once if `most` allows."""
    with _Crowd(port, ask, right, most) as crowd:
        crowd.gather(min(clients, most))
        return crowd.press(seconds)


class _Crowd:
    """The clients of one go."""

    def __init__(self, port: int, ask: Callable[[], bytes], right: Callable[[Answer], bool], most: int) -> None:
        self._port, self._ask, self._right, self._left = port, ask, right, most
        self._sample = Sample()
        self._selector = selectors.DefaultSelector()
        self._waiting = 0

    def __enter__(self) -> "_Crowd":
        return self

    def __exit__(self, *raised: object) -> None:
        for client in self._clients():
            client.socket.close()
        self._selector.close()

    def _clients(self) -> list[_Client]:
        return [key.data for key in self._selector.get_map().values()]

    def gather(self, clients: int) -> None:
        """Connections are there before the clock runs."""
        for _ in range(clients):
            self._listen_to(_Client(self._port))

    def press(self, seconds: float) -> Sample:
        began = time.perf_counter()
        for client in self._clients():
            self._send(client)
        while self._waiting:
            ready = self._selector.select(PATIENCE)
            if not ready:
                self._sample.refuse(f"no answer within {PATIENCE:.0f} s")
                break
            for key, _ in ready:
                if self._heard(key.data) and time.perf_counter() - began < seconds:
                    self._send(key.data)
        self._sample.seconds = time.perf_counter() - began
        return self._sample

    def _send(self, client: _Client) -> None:
        if self._left:
            client.ask(self._ask())
            self._left -= 1
            self._waiting += 1

    def _heard(self, client: _Client) -> bool:
        """Whether the client has its answer, or none to wait for any more."""
        try:
            answer = client.hear()
        except ConnectionError:
            self._selector.unregister(client.socket)
            client.socket.close()
            if not client.waits:
                # It has asked its last, and the server does not keep idle connections for long.
                return False
            self._sample.refuse("the server hung up")
            client.connect()
            self._listen_to(client)
        else:
            if answer is None:
                return False
            self._sample.milliseconds.append(round((time.perf_counter() - client.asked_at) * 1000, 3))
            if not self._right(answer):
                self._sample.refuse(f"{answer.status}: {answer.body[:200]!r}")
        client.waits = False
        self._waiting -= 1
        return True

    def _listen_to(self, client: _Client) -> None:
        self._selector.register(client.socket, selectors.EVENT_READ, client)
