"""The desk's speed in one sentence: whether it is fast right now, and if not, what is wrong and what to do about it."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from zlib import crc32

from followups.models import Kind
from performance.health import WORKER_SILENT_SECONDS
from performance.operations import OPERATIONS, Operation
from performance.optimize_plan import ToBuild
from performance.queue import Pile, Queue
from performance.timings import Figures

# One answer in twenty may be late, one in fifty may fail, before the desk is called slow or in trouble.
LATE_SHARE, FAILED_SHARE = 0.05, 0.02
# At night a single one is more than that: so few say nothing about the desk.
FEWEST_LATE, FEWEST_FAILED = 3, 2
# Of fewer calls than this, one slow one says nothing about an operation.
ENOUGH = 20

FAST, WARN, BAD, UNKNOWN = "fast", "warn", "bad", "unknown"


@dataclass(frozen=True)
class Verdict:
    """What to say of the last five minutes; `kind` chooses the colour. `quiet` is: too little happened to judge by."""

    kind: str
    words: str
    detail: str
    quiet: bool = False

    @property
    def key(self) -> str:
        """Tells whether a page has said this already."""
        return f"{crc32(self.words.encode()):x}"


AWAY = Verdict(
    UNKNOWN,
    "The desk cannot say at the moment.",
    "The timings are kept in Redis, which does not answer. Leads are saved without it.",
)
BOTH_AWAY = Verdict(
    BAD,
    "The desk is in trouble.",
    "The database could not be read, and Redis, which keeps the timings, does not answer.",
)


@dataclass(frozen=True)
class Trouble:
    """What is wrong beside slow answers, and what to do; `anchor` is the part of the page that shows more."""

    words: str
    todo: str
    anchor: str
    bad: bool = True


UNREAD = Trouble(
    "The database could not be read.",
    "While PostgreSQL is away no lead can be saved: look on the server whether it runs. The log of the web server "
    "names the reason, under “error”.",
    "database",
)


def judged(found: Mapping[str, Figures]) -> Verdict:
    """Of all that people waited for: neither the workers' rounds nor what open pages ask by themselves."""
    asked = [figures for name, figures in found.items() if name in OPERATIONS and OPERATIONS[name].waited_for]
    count, failed = sum(one.count for one in asked), sum(one.failed for one in asked)
    late = sum(one.over for one in asked)
    if not count:
        return Verdict(
            FAST, "The desk is quiet.", "Nobody has asked it for anything in the last five minutes.", quiet=True
        )
    detail = (
        f"{count - late:,} of {count:,} answers in the last five minutes came within the agreed time; "
        f"{failed:,} failed."
    )
    too_many_failed, too_many_late = failed > FAILED_SHARE * count, late > LATE_SHARE * count
    if too_many_failed and failed >= FEWEST_FAILED:
        return Verdict(BAD, "The desk is in trouble.", detail)
    if too_many_late and late >= FEWEST_LATE:
        return Verdict(BAD, "The desk is slow right now.", detail)
    if too_many_failed or too_many_late:
        return Verdict(
            FAST, "The desk is quiet.", f"{detail} Too few were late or failed to judge by that.", quiet=True
        )
    return Verdict(FAST, "The desk is fast right now.", detail)


def slower_than_agreed(found: Mapping[str, Figures]) -> list[Operation]:
    """What people wait for longer than was agreed, too often to be chance."""
    return [
        operation
        for operation in OPERATIONS.values()
        if operation.waited_for
        and (figures := found.get(operation.name)) is not None
        and figures.count >= ENOUGH
        and (figures.p95 or 0) > operation.budget
    ]


def troubles(found: Mapping[str, Figures] | None, queue: Queue | None, indexes: ToBuild | None) -> list[Trouble]:
    """All that a supervisor should know, the worst first. None is what could not be read."""
    unread = [UNREAD] if queue is None or indexes is None else []
    every = [*unread, *_of_redis(found), *_of_queue(queue), *_of_indexes(indexes), *_of_answers(found or {})]
    return sorted(every, key=lambda trouble: not trouble.bad)


def overall(found: Mapping[str, Figures] | None, wrong: list[Trouble]) -> Verdict:
    """The sentence at the top of the page: what people wait for decides, then what waits behind their backs."""
    if found is None:
        return BOTH_AWAY if UNREAD in wrong else AWAY
    verdict = judged(found)
    if verdict.kind != FAST or not wrong:
        return verdict
    begins = "The desk is quiet" if verdict.quiet else "The desk is fast right now"
    told = wrong[0].words[0].lower() + wrong[0].words[1:]
    return Verdict(BAD if wrong[0].bad else WARN, f"{begins}, but {told}", verdict.detail)


def _of_redis(found: Mapping[str, Figures] | None) -> Iterator[Trouble]:
    if found is None:
        yield Trouble(
            "Redis does not answer.",
            "Look whether it runs. Until then nothing is timed, mails and call counts wait, and pages take a little "
            "longer. Leads are saved without it, and nothing is lost.",
            "live",
        )


def _of_answers(found: Mapping[str, Figures]) -> Iterator[Trouble]:
    failing = [
        OPERATIONS[name].words
        for name, figures in found.items()
        if name in OPERATIONS and figures.failed and figures.count
    ]
    if failing:
        yield Trouble(
            f"Some answers failed: {', '.join(failing)}.",
            "The log of the web server or of the worker names the reason, under “error”.",
            "live",
            bad=False,
        )
    if slow := slower_than_agreed(found):
        begins = "One thing is" if len(slow) == 1 else "Some things are"
        yield Trouble(
            f"{begins} slower than agreed: {', '.join(operation.words for operation in slow)}.",
            "Look below whether an index is missing or statistics are stale. The log has the slow answers, each with "
            "its statements, under “slow”.",
            "live",
            bad=False,
        )


def _of_indexes(indexes: ToBuild | None) -> Iterator[Trouble]:
    if indexes and indexes.number:
        number = indexes.number
        yield Trouble(
            "An index is missing or broken." if number == 1 else f"{number} indexes are missing or broken.",
            f"Some pages and saves read whole tables meanwhile. {_todo_of_indexes(indexes)}",
            "database" if indexes.migrations else "optimize",
            bad=False,
        )


def _todo_of_indexes(indexes: ToBuild) -> str:
    if indexes.migrations:
        return "Migrations wait that may make what is missing: on the server, run “manage.py migrate”."
    if indexes.job:
        return "A request to put the database in order is under way: let it end."
    return "Apply the optimizations, beside the running desk."


def _of_queue(queue: Queue | None) -> Iterator[Trouble]:
    if queue is None:
        return
    silent = queue.workers is not None and not queue.workers.alive
    if silent:
        yield Trouble(
            # Without the present number of seconds, which would be news each time the page looks.
            f"No worker has shown itself for more than {WORKER_SILENT_SECONDS} seconds.",
            "Mails and call counts wait, nothing is lost. Start the worker and the beat again: on the server, "
            "“systemctl restart lead-desk-worker lead-desk-beat”. If a worker is putting the database in order, see "
            "“Optimize”, let it end first: a restart would break it off.",
            "queue",
        )
    # Without a worker, or without what nudges them, all waits.
    for pile in [] if silent or queue.workers is None else queue.late:
        yield Trouble(
            f"Work has been waiting for too long: {pile.words}.",
            _todo_of(pile),
            "queue",
        )
    if not silent and not queue.late:
        # Else what still waits says it.
        for delay in queue.delays or []:
            if delay.late:
                yield Trouble(
                    f"Slower than agreed in the last hour: {delay.words}.",
                    "If it goes on, the workers have more to do than they can: start more of them.",
                    "queue",
                    bad=False,
                )
    if queue.dead.value:
        pieces = "one piece of work was" if queue.dead.value == 1 else f"{queue.dead} pieces of work were"
        yield Trouble(
            f"{pieces} given up by the workers.".capitalize(),
            "Look at the reason, put it right, and send again.",
            "queue",
            bad=False,
        )


def _todo_of(pile: Pile) -> str:
    if not pile.tries:
        return (
            "Nobody has tried it yet. If the number does not go down in a few minutes, look on the server whether the "
            "beat and the worker run: “systemctl status lead-desk-beat lead-desk-worker”."
        )
    if pile.kind == Kind.ATTEMPT:
        return "It has been tried and did not work: its row in the outbox names the last error."
    return "It has been tried and did not work: look whether the mail server takes mail."
