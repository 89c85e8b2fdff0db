"""What is measured: for each operation how to ask, what a right answer is, and with how many clients."""

import gzip
import itertools
import json
import random
from collections import deque
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from urllib.parse import urlencode

from performance.benchmark.former import INDEXED, PLAIN
from performance.benchmark.load import Answer
from performance.benchmark.prepare import Facts
from performance.page_views import AWAY, NOT_READ

TOKEN = "b" * 32
NO_LIMIT = 10**9
CROWDS = (8, 32)
MANY_CLIENTS = 16
DASHBOARD = "/cre_dashboard?tab=pending"
PERFORMANCE_PAGE = "/performance_metrics"
# Who is asked: the desk as deployed, stock Django, the desk's middleware over empty views, and the desk with a number
# of web processes.
DESK, STOCK, BARE = "desk", "stock", "bare"
BY_PROCESSES = {"desk-1": 1, "desk-2": 2, "desk-4": 4}
OURS, THEIRS = 0, 1


@dataclass(frozen=True, slots=True)
class Operation:
    """`server` is who is asked; `most` how often at the most in one go."""

    name: str
    server: str
    ask: Callable[[], bytes]
    right: Callable[[Answer], bool]
    clients: int = 1
    most: int = NO_LIMIT


# Whose answers are kept until somebody writes: who wrote just now is not shown what was kept before.
KEPT = ("dashboard", "dashboard_typical", "ps_dashboard")
# The desk's own, whose growth is told.
DESKS = (
    "capture",
    "capture_8",
    "capture_32",
    "duplicate_check",
    "update",
    "next_call",
    "dashboard",
    "dashboard_cold",
    "dashboard_typical",
    "dashboard_deep",
    "phone_search",
    "ps_dashboard",
    "performance_page",
)
RAW = "raw_insert"
ONE_WEB = "capture_1_web"
CAPTURE_BY = {server: f"capture_{number}_web" for server, number in BY_PROCESSES.items()}
DRAINED = RECORDED, RECORDED_BY_TWO, MAILED = "recorded", "recorded_by_two", "mailed"
DELAYS = RECORD_DELAY, MAIL_DELAY = "record_delay", "mail_delay"


def request(
    method: str,
    path: str,
    session: str,
    form: Mapping[str, str] | None = None,
    accept: str = "text/html,application/xhtml+xml",
) -> bytes:
    """As a browser sends it: compressed pages are welcome, the CSRF token is in cookie and header."""
    body = urlencode(form or {}).encode()
    head = [
        f"{method} {path} HTTP/1.1",
        "Host: 127.0.0.1",
        f"Accept: {accept}",
        "Accept-Encoding: gzip",
        f"Cookie: sessionid={session}; csrftoken={TOKEN}",
    ]
    if method == "POST":
        head += [
            f"X-CSRFToken: {TOKEN}",
            "Content-Type: application/x-www-form-urlencoded",
            f"Content-Length: {len(body)}",
        ]
    return "\r\n".join(head).encode() + b"\r\n\r\n" + body


def _status(*wanted: int) -> Callable[[Answer], bool]:
    return lambda answer: answer.status in wanted


_ok, _created, _found = _status(200), _status(201), _status(200, 302)


def _whole(answer: Answer) -> bool:
    """The performance page is there even where its parts could not be read; it does not count then."""
    body = gzip.decompress(answer.body) if b"content-encoding: gzip" in answer.head.lower() else answer.body
    return _ok(answer) and not any(words.encode() in body for words in (NOT_READ, AWAY))


class Asker:
    """Requests about one size's database."""

    def __init__(
        self, facts: Facts, chance: random.Random, phones: Iterator[str], forget_desk: Callable[[], None]
    ) -> None:
        """`forget_desk` drops what is kept of the first desk."""
        self._facts = facts
        self._chance = chance
        self._phones = phones
        self._forget_desk = forget_desk
        self._capturers = itertools.cycle(facts.capturers)
        self._callers = itertools.cycle(facts.callers or facts.desks)
        self._updates = deque(facts.updates)
        self._updated = self._updates[0] if self._updates else ("", 0, "")

    def operations(self) -> list[Operation]:
        """All of them, in the order of a round: what is compared stands together."""
        return [*self._posts(), *self._crowds(), *self._pages(), *self._by_processes()]

    def _posts(self) -> Iterator[Operation]:
        yield Operation("empty_post", *self._empty_post(STOCK, THEIRS), _ok)
        yield Operation("our_empty_post", *self._empty_post(BARE, OURS), _ok)
        yield Operation("capture", DESK, self.capture, _created)
        yield Operation("duplicate_check", DESK, self.check, _ok)
        yield Operation("update", DESK, self.update, self.updated)
        yield Operation("former_indexed", STOCK, lambda: self.former(INDEXED), _created)
        yield Operation("former", STOCK, lambda: self.former(PLAIN), _created)

    def _crowds(self) -> Iterator[Operation]:
        for clients in CROWDS:
            yield Operation(f"empty_post_{clients}", *self._empty_post(STOCK, THEIRS), _ok, clients)
            yield Operation(f"capture_{clients}", DESK, self.capture, _created, clients)

    def _pages(self) -> Iterator[Operation]:
        facts, busiest, typical = self._facts, self._facts.desks[0], self._facts.desks[-1]
        lost = f"/cre_dashboard?tab=lost&page={facts.deep}"
        yield Operation("empty_page", *self._page(STOCK, "/empty_page", busiest, THEIRS), _ok)
        yield Operation("our_empty_page", *self._page(BARE, "/empty_page", busiest), _ok)
        yield Operation("dashboard", *self._page(DESK, DASHBOARD, busiest), _ok)
        yield Operation("dashboard_cold", DESK, self.dashboard_cold, _ok)
        yield Operation("dashboard_typical", *self._page(DESK, DASHBOARD, typical), _ok)
        yield Operation("dashboard_deep", *self._page(DESK, lost, busiest), _ok)
        yield Operation("phone_search", DESK, self.search, _found)
        yield Operation("ps_dashboard", *self._page(DESK, "/ps_dashboard?tab=pending", facts.ps), _ok)
        yield Operation("performance_page", *self._page(DESK, PERFORMANCE_PAGE, facts.supervisor), _whole)
        yield Operation("next_call", DESK, self.next_call, self.claimed, most=max(1, len(facts.callers)))
        for name, schema in (("former_dashboard_indexed", INDEXED), ("former_dashboard", PLAIN)):
            yield Operation(name, *self._page(STOCK, f"/former/{schema}/dashboard", busiest, THEIRS), _ok)

    def _by_processes(self) -> Iterator[Operation]:
        for server, name in CAPTURE_BY.items():
            yield Operation(name, server, self.capture, _created, MANY_CLIENTS)

    def _page(self, server: str, path: str, who: str, kind: int = OURS) -> tuple[str, Callable[[], bytes]]:
        asked = request("GET", path, self._facts.sessions[who][kind])
        return server, lambda: asked

    def _empty_post(self, server: str, kind: int) -> tuple[str, Callable[[], bytes]]:
        session = self._facts.sessions[self._facts.desks[0]][kind]
        asked = request("POST", "/empty", session, {"a": "1"}, "application/json")
        return server, lambda: asked

    # --- What is typed ------------------------------------------------------------------------------------------

    def _lead(self, seller: str, branch: str) -> dict[str, str]:
        # The day after tomorrow, as the form sends it.
        follow_up = datetime.now() + timedelta(days=2)  # noqa: DTZ005 - the form's times have no zone either
        return {
            "customer_name": "Anil Rao",
            "customer_mobile_number": next(self._phones),
            "source": "META",
            "subsource": "Meta Know",
            "lead_status": "Interested",
            "lead_category": "Hot",
            "model_interested": "450 Apex STD",
            "branch": branch,
            "ps_name": seller,
            "final_status": "Pending",
            "follow_up_date": f"{follow_up:%Y-%m-%dT%H:%M}",
            "remark": "Asked for a test ride",
        }

    def capture(self) -> bytes:
        """A phone that nobody knows, with a PS: lead, follow-up, call attempt and mail."""
        username, _, branch = self._chance.choice(self._facts.sellers)
        session = self._facts.sessions[next(self._capturers)][OURS]
        return request("POST", "/add_lead_optimized", session, self._lead(username, branch), "application/json")

    def former(self, schema: str) -> bytes:
        _, name, branch = self._chance.choice(self._facts.sellers)
        session = self._facts.sessions[next(self._capturers)][THEIRS]
        return request("POST", f"/former/{schema}/add_lead", session, self._lead(name, branch), "application/json")

    def check(self) -> bytes:
        """As often a phone that is known as one that is not."""
        known = self._chance.random() < 0.5
        phone = self._chance.choice(self._facts.known_phones) if known else next(self._phones)
        form = {"phone_number": phone, "source": "META", "subsource": "Meta Know"}
        session = self._facts.sessions[next(self._capturers)][OURS]
        return request("POST", "/check_duplicate_lead", session, form, "application/json")

    def update(self) -> bytes:
        """A call that did not reach the customer; each lead in turn, with the version that it was last given."""
        self._updated = uid, version, who = self._updates.popleft()
        form = {"lead_status": "RNR", "version": str(version), "remark": "Rang out"}
        return request("POST", f"/update_lead/{uid}", self._facts.sessions[who][OURS], form, "application/json")

    def updated(self, answer: Answer) -> bool:
        uid, version, who = self._updated
        saved = answer.status == 200
        if saved:
            version = int(json.loads(answer.body)["version"])
        self._updates.append((uid, version, who))
        return saved

    def search(self) -> bytes:
        path = "/search?" + urlencode({"q": self._chance.choice(self._facts.own_phones)})
        return request("GET", path, self._facts.sessions[self._facts.desks[0]][OURS])

    def dashboard_cold(self) -> bytes:
        """What is kept is dropped before the clock runs."""
        self._forget_desk()
        return request("GET", DASHBOARD, self._facts.sessions[self._facts.desks[0]][OURS])

    def next_call(self) -> bytes:
        return request("POST", "/next_call", self._facts.sessions[next(self._callers)][OURS])

    def claimed(self, answer: Answer) -> bool:
        return answer.status == 302 and b"/update_lead/" in answer.head
