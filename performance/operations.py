"""What is timed: the desk's operations by name, the addresses and tasks that belong to each, and their budgets."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Operation:
    """`budget` is in milliseconds, at the server; a person waits for the network and the browser besides.

    Nobody waits for what a worker does, nor for what an open page asks by itself (`polled`).
    """

    name: str
    words: str
    budget: float
    by_worker: bool = False
    polled: bool = False

    @property
    def waited_for(self) -> bool:
        return not (self.by_worker or self.polled)


OPERATIONS = {
    operation.name: operation
    for operation in (
        Operation("capture", "Saving a lead", 50),
        Operation("duplicate_check", "Duplicate check", 25),
        Operation("update", "Saving an update", 60),
        Operation("next_call", "Next call", 60),
        Operation("cre_dashboard", "CRE’s dashboard", 150),
        Operation("ps_dashboard", "PS’s dashboard", 150),
        Operation("figures", "Figures", 150),
        Operation("search", "Search", 150),
        Operation("lead_page", "A lead’s page", 100),
        Operation("branch_lists", "Branch and walk-in lists", 200),
        Operation("form", "Forms: add a lead, update one", 100),
        Operation("sign_in", "Signing in and out", 1000),
        Operation("admin", "Supervision", 1000),
        Operation("performance_page", "Performance page", 1000),
        Operation("other", "Other pages", 300),
        # Most answers say "nothing new"; one that finds something brings a list along.
        Operation("news", "Open pages look for news", 100, polled=True),
        Operation("record", "Worker: call attempts recorded", 500, by_worker=True),
        Operation("mail", "Worker: a round of mail", 5000, by_worker=True),
        Operation("optimize", "Worker: the database put in order", 3_600_000, by_worker=True),
        Operation("other_task", "Worker: other tasks", 300_000, by_worker=True),
        # How long work has waited rather than how long it takes: from the save's commit to its end.
        Operation("record_delay", "Call attempt: from save to recorded", 5000, by_worker=True),
        Operation("mail_delay", "Mail: from save to the mail server", 10_000, by_worker=True),
    )
}
OTHER = OPERATIONS["other"]

READ, SAVE = "GET", "POST"
# By the address's name and what is done with it.
_ADDRESSES = {
    ("add_lead", READ): "form",
    ("add_lead", SAVE): "capture",
    ("add_lead_optimized", SAVE): "capture",
    ("check_duplicate_lead", SAVE): "duplicate_check",
    ("known", READ): "duplicate_check",
    ("known", SAVE): "duplicate_check",
    ("tell", SAVE): "update",
    ("update_lead", READ): "form",
    ("update_lead", SAVE): "update",
    ("update_ps_lead", READ): "form",
    ("update_ps_lead", SAVE): "update",
    ("carry", READ): "form",
    ("carry", SAVE): "form",
    ("accept", READ): "form",
    ("accept", SAVE): "update",
    ("reopen", READ): "form",
    ("reopen", SAVE): "update",
    ("next_call", SAVE): "next_call",
    ("cre_dashboard", READ): "cre_dashboard",
    ("board_news", READ): "news",
    ("ps_dashboard", READ): "ps_dashboard",
    ("cre_analytics", READ): "figures",
    ("ps_analytics", READ): "figures",
    ("search", READ): "search",
    ("lead", READ): "lead_page",
    ("branch_head_dashboard", READ): "branch_lists",
    ("rec_dashboard", READ): "branch_lists",
    ("login", READ): "sign_in",
    ("login", SAVE): "sign_in",
    ("logout", SAVE): "sign_in",
    ("password", SAVE): "sign_in",
    ("performance_metrics", READ): "performance_page",
    ("apply_database_optimizations", SAVE): "performance_page",
}
# These pages ask at their own address, every few seconds, whether there is news: with `seen`, what they show.
POLLING = {"ps_dashboard", "lead"}
# Asked by programs all day long, or by a page that refreshes itself: their times would hide what people wait for.
# A live test takes as long as it is asked to, and clearing a cache as long as there is something in it.
UNTIMED = {"healthz", "readyz", "metrics", "performance_part", "optimization", "live_test", "clear_cache"}
_TASKS = {
    "followups.tasks.record_waiting": "record",
    "followups.tasks.mail_waiting": "mail",
    "performance.tasks.optimize": "optimize",
}


def of_address(name: str, namespace: str, method: str, *, polls: bool = False) -> Operation | None:
    """The operation of an address; None for what is not timed. `polls` is whether a page has asked by itself."""
    if namespace == "admin":
        return OPERATIONS["admin"]
    if name in UNTIMED:
        return None
    if polls:
        return OPERATIONS["news"]
    kind = READ if method == "HEAD" else method
    return OPERATIONS[_ADDRESSES.get((name, kind), "other")]


def of_task(name: str) -> Operation:
    return OPERATIONS[_TASKS.get(name, "other_task")]
