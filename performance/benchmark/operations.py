"""What is measured: for each operation how to ask, what a right answer is, and with how many clients."""

import contextlib
import itertools
import json
import random
from collections import deque
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from urllib.parse import urlencode

from django.urls import Resolver404, resolve

from performance.benchmark.former import INDEXED, PLAIN
from performance.benchmark.load import Answer
from performance.benchmark.prepare import Facts

TOKEN = "b" * 32
NO_LIMIT = 10**9
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


def _has_page() -> bool:
    """Whether this desk has the performance page."""
    with contextlib.suppress(Resolver404):
        return bool(resolve(PERFORMANCE_PAGE))
    return False


def _status(*wanted: int) -> Callable[[Answer], bool]:
    return lambda answer: answer.status in wanted


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
        """All of them, in the order of a round."""
        facts, desk = self._facts, self._facts.desks[0]
        typical = facts.desks[-1]
        json_only = "application/json"
        lost = f"/cre_dashboard?tab=lost&page={facts.deep}"

        def page(server: str, path: str, who: str, kind: int = OURS) -> tuple[str, Callable[[], bytes]]:
            asked = request("GET", path, facts.sessions[who][kind])
            return server, lambda: asked

        def empty(server: str, kind: int) -> tuple[str, Callable[[], bytes]]:
            asked = request("POST", "/empty", facts.sessions[desk][kind], {"a": "1"}, json_only)
            return server, lambda: asked

        ok, created = _status(200), _status(201)
        return [
            Operation("empty_post", *empty(STOCK, THEIRS), ok),
            Operation("our_empty_post", *empty(BARE, OURS), ok),
            Operation("capture", DESK, self.capture, created),
            Operation("duplicate_check", DESK, self.check, ok),
            Operation("update", DESK, self.update, self.updated),
            Operation("former_indexed", STOCK, lambda: self.former(INDEXED), created),
            Operation("former", STOCK, lambda: self.former(PLAIN), created),
            Operation("empty_post_8", *empty(STOCK, THEIRS), ok, clients=8),
            Operation("capture_8", DESK, self.capture, created, clients=8),
            Operation("empty_post_32", *empty(STOCK, THEIRS), ok, clients=32),
            Operation("capture_32", DESK, self.capture, created, clients=32),
            Operation("empty_page", *page(STOCK, "/empty_page", desk, THEIRS), ok),
            Operation("our_empty_page", *page(BARE, "/empty_page", desk), ok),
            Operation("dashboard", *page(DESK, DASHBOARD, desk), ok),
            Operation("dashboard_cold", DESK, self.dashboard_cold, ok),
            Operation("dashboard_typical", *page(DESK, DASHBOARD, typical), ok),
            Operation("dashboard_deep", *page(DESK, lost, desk), ok),
            Operation("phone_search", DESK, self.search, _status(200, 302)),
            Operation("ps_dashboard", *page(DESK, "/ps_dashboard?tab=pending", facts.ps), ok),
            *(
                [Operation("performance_page", *page(DESK, PERFORMANCE_PAGE, facts.supervisor), ok)]
                if _has_page()
                else []
            ),
            Operation("next_call", DESK, self.next_call, self.claimed, most=max(1, len(facts.callers))),
            Operation("former_dashboard_indexed", *page(STOCK, f"/former/{INDEXED}/dashboard", desk, THEIRS), ok),
            Operation("former_dashboard", *page(STOCK, f"/former/{PLAIN}/dashboard", desk, THEIRS), ok),
            *(
                Operation(name, server, self.capture, created, clients=MANY_CLIENTS)
                for server, name in CAPTURE_BY.items()
            ),
        ]

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
