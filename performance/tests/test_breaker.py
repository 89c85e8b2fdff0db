"""Redis refuses, hangs or talks nonsense: the cache knows nothing then, at once, and pages come all the same."""

import socket
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from itertools import count
from pathlib import Path
from typing import Any

import pytest
from django.conf import settings as django_settings
from django.core.cache import cache, caches
from django.test import Client
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st
from redis import Redis

from accounts.models import User, kept_key
from conftest import PASSWORD, SHIPPED_PATIENCE, Cast
from leads.models import LeadMaster
from leads.tests.typed import fields
from performance import counted_cache, timings
from performance.cache_names import MOST_SECONDS
from performance.counted_cache import MARK, PAUSE_SECONDS, Away, Breaker, CountedRedisCache, PatientRedis
from performance.tests.conftest import Impostor

NOWHERE = "unix:///nowhere/valkey.sock"
AGREES = b"+OK\r\n"
NONSENSE = [
    b"HTTP/1.1 400 Bad Request\r\n\r\n",
    b"$-7\r\n" * 9,
    b"",
    b"$3\r\nabc\r\n",
    b"*1\r\n:1\r\n",
]
# Every call that the desk may make; each has to be survived, and what it answers must be what a miss answers.
MISSES: dict[str, Any] = {
    "get": (lambda: cache.get("signed-in:1", "none"), "none"),
    "get_many": (lambda: cache.get_many(["signed-in:1", "board:1"]), {}),
    "has_key": (lambda: "signed-in:1" in cache, False),
    "set": (lambda: cache.set("signed-in:1", [1]) or False, False),  # type: ignore[func-returns-value]
    "set_many": (lambda: cache.set_many({"board:1": [1]}), ["board:1"]),
    "set_many of marks": (lambda: cache.set_many({"wrote:1": 1.5}, None), ["wrote:1"]),
    "add": (lambda: cache.add("signed-in:1", [1]), False),
    "delete": (lambda: cache.delete("signed-in:1"), False),
    "delete_many": (lambda: cache.delete_many(["signed-in:1"]), 0),
    "incr": (lambda: cache.incr("number"), None),
    "decr": (lambda: cache.decr("number"), None),
    "touch": (lambda: cache.touch("signed-in:1"), False),
    "get_or_set": (lambda: cache.get_or_set("signed-in:1", [2]), [2]),
    "ttl": (lambda: cache.ttl("signed-in:1"), None),  # type: ignore[attr-defined]
    "delete_pattern": (lambda: cache.delete_pattern("board:*"), None),  # type: ignore[attr-defined]
    "clear": (lambda: cache.clear() or False, False),  # type: ignore[func-returns-value]
}
# Who says OK to these cannot be told from a Redis that has done as it was told.
BELIEVED = {"set", "set_many of marks", "add", "touch"}


@pytest.fixture(autouse=True)
def _the_pause_is_over_when_the_test_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(counted_cache, "PAUSE_SECONDS", 3600.0)


class Parrot(Impostor):
    """Answers every command with the same words, and hangs up where that is asked for."""

    hangs_up = False

    def _serve(self) -> None:
        with suppress(OSError):
            while True:
                caller, _ = self._listening.accept()
                self.visits += 1
                self._open.append(caller)
                caller.settimeout(5)
                with suppress(OSError):
                    while caller.recv(65536):
                        caller.sendall(self._words or b"")
                        if self.hangs_up:
                            caller.shutdown(socket.SHUT_RDWR)

    def say(self, words: bytes) -> None:
        self._words = words


def breaker() -> Breaker:
    found: Breaker = caches["default"].client.breaker  # type: ignore[attr-defined]
    return found


def use(settings: Any, location: str, **patience: float) -> None:
    """Another Redis for the cache, by default with the patience that the desk has in production."""
    counted_cache._breakers.pop(location, None)
    known = django_settings.CACHES["default"]
    options = {**known["OPTIONS"], **SHIPPED_PATIENCE, **patience}
    settings.CACHES = {"default": {**known, "LOCATION": location, "OPTIONS": options}}


@pytest.fixture
def stand(tmp_path: Path, settings: Any) -> Iterator[Callable[..., Impostor]]:
    """Puts an impostor in the place of the cache's Redis."""
    standing: list[Impostor] = []

    def put(words: bytes | None, kind: type[Impostor] = Impostor) -> Impostor:
        standing.append(kind(tmp_path / f"{len(standing)}.sock", words))
        use(settings, standing[-1].url)
        return standing[-1]

    yield put
    caches.close_all()
    for one in standing:
        one.close()


def test_the_bounds_are_those_that_the_documentation_states() -> None:
    """Whoever changes one of them changes ARCHITECTURE.md, "Caches", too."""
    assert SHIPPED_PATIENCE == {"SOCKET_TIMEOUT": 0.1, "SOCKET_CONNECT_TIMEOUT": 0.1}
    assert (PAUSE_SECONDS, timings.PATIENCE_SECONDS, timings.PAUSE_SECONDS) == (5, 0.25, 5)
    assert MOST_SECONDS == 600


# --- Every call ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", MISSES)
@pytest.mark.parametrize("words", [None, *NONSENSE])
def test_every_call_is_a_miss_and_waits_for_nothing_a_second_time(
    stand: Callable[..., Impostor], name: str, words: bytes | None
) -> None:
    impostor = stand(words)
    call, miss = MISSES[name]
    cache.get("x")  # the one that finds out, where this nonsense is noticed at all
    before = impostor.visits
    answer = call()
    assert answer == miss
    if words is None:
        assert impostor.visits == before


@pytest.mark.parametrize("name", MISSES)
def test_who_says_ok_to_everything_is_believed_where_ok_is_the_answer(
    stand: Callable[..., Impostor], name: str
) -> None:
    stand(AGREES, Parrot)
    call, miss = MISSES[name]
    assert (call() == miss) != (name in BELIEVED)


@pytest.mark.parametrize("name", MISSES)
def test_every_call_is_a_miss_where_redis_refuses(settings: Any, name: str) -> None:
    use(settings, NOWHERE)
    call, miss = MISSES[name]
    assert call() == miss
    assert breaker().until


def test_after_a_failure_nothing_is_asked_for_some_seconds_and_then_one_call_tries(
    stand: Callable[..., Impostor],
) -> None:
    impostor = stand(None)
    for _ in range(10):
        for call, miss in MISSES.values():
            assert call() == miss
    assert impostor.visits == 1
    breaker().until = time.monotonic() - 0.001
    for _ in range(10):
        for call, miss in MISSES.values():
            assert call() == miss
    assert impostor.visits == 2
    assert 0 < breaker().until - time.monotonic() <= counted_cache.PAUSE_SECONDS


def test_while_one_call_tries_no_other_does() -> None:
    breaker, redis = Breaker(patience=10), PatientRedis()
    breaker.until = time.monotonic() - 0.001
    tried: list[str] = []

    def another() -> str:
        with pytest.raises(Away):
            breaker.ask(redis, lambda: tried.append("another"))
        return "answer"

    assert breaker.ask(redis, another) == "answer"
    assert tried == []
    assert not breaker.until
    redis.close()


def test_the_threads_of_a_process_have_one_breaker(stand: Callable[..., Impostor]) -> None:
    from threading import Thread

    impostor = stand(None)
    assert cache.get("x") is None
    found: list[Any] = []
    threads = [Thread(target=lambda: found.append(cache.get("x", "none"))) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(10)
    assert (found, impostor.visits) == (["none"] * 8, 1)


def test_answers_that_drag_on_are_a_failure_once_there_are_three_in_a_row() -> None:
    breaker = Breaker(patience=-1)  # so that each answer was too slow

    def asked(times: int) -> bool:
        for _ in range(times):
            breaker._answer(lambda: None)
        return bool(breaker.until)

    assert [asked(2), asked(1)] == [False, True]
    breaker.patience = 10
    assert not asked(1)
    breaker.patience = -1
    assert [asked(2), asked(1)] == [False, True]


def test_what_many_threads_wait_out_together_is_one_late_answer() -> None:
    breaker = Breaker(patience=-1)

    def within_another(depth: int) -> None:
        if depth:
            breaker._answer(lambda: within_another(depth - 1))

    within_another(20)
    assert not breaker.until


def test_a_redis_that_has_come_back_is_used_again(settings: Any, empty_cache: None) -> None:
    cache.set("signed-in:1", [1])
    breaker()._fail(OSError())
    assert cache.get("signed-in:1") is None
    breaker().until = time.monotonic() - 0.001
    assert cache.get("signed-in:1") == [1]
    assert not breaker().until


# --- Nonsense --------------------------------------------------------------------------------------------------------
FRAGMENTS = st.sampled_from(
    [
        *(bytes([one]) for one in b"$*:+-%~>_(=01\n"),
        *(b"\r\n", b"#t", b",nan", b"|1", b"-1", b"99999999999", b"OK", b"ERR no", b"MOVED 1 x:1"),
        *(b"null", b"[]", b'{"a": 1}', b"\xff\xfe", MARK, b"[" * 999),
    ]
)
_numbers = count()


@hypothesis_settings(deadline=None, max_examples=150)
@given(
    words=st.lists(FRAGMENTS, max_size=12).map(b"".join),
    operation=st.sampled_from(["get", "many", "set", "incr", "ttl"]),
)
def test_whatever_redis_says_is_no_error_and_no_value(
    words: bytes, operation: str, tmp_path_factory: pytest.TempPathFactory
) -> None:
    parrot = Parrot(tmp_path_factory.mktemp("p") / f"{next(_numbers)}", words)
    parrot.hangs_up = True
    params = django_settings.CACHES["default"]
    own = CountedRedisCache(parrot.url, {**params, "OPTIONS": {**params["OPTIONS"], "SOCKET_TIMEOUT": 0.2}})
    try:
        if operation == "get":
            own.get("signed-in:1")
        elif operation == "many":
            assert set(own.get_many(["board:1", "wrote:1"])) <= {"board:1", "wrote:1"}
        elif operation == "set":
            own.set("signed-in:1", [1])
        elif operation == "ttl":
            own.ttl("x")
        else:
            with suppress(ValueError):  # Django's word for a number that is not there
                own.incr("x")
    finally:
        own.client.do_close_clients()
        parrot.close()
        counted_cache._breakers.pop(parrot.url)


@pytest.mark.parametrize(
    "planted", [b"garbage", b"\xff\xfe", b"5", b"null", b"[]", b"[1]", b'{"a": 1}', b"", MARK, MARK + b"{"]
)
def test_a_value_that_we_have_not_written_is_a_miss_and_is_written_over(planted: bytes, empty_cache: None) -> None:
    Redis.from_url(django_settings.REDIS_URL).set("desk:1:signed-in:1", planted)
    assert cache.get("signed-in:1", "none") == "none"
    assert cache.get_many(["signed-in:1", "board:1"]) == {}
    assert not breaker().until
    cache.set("signed-in:1", [1])
    assert cache.get("signed-in:1") == [1]


def test_a_key_of_another_kind_is_a_miss_and_no_reason_to_give_redis_up(empty_cache: None) -> None:
    with Redis.from_url(django_settings.REDIS_URL) as redis:
        redis.hset("desk:1:signed-in:1", "a", "b")
    assert cache.get("signed-in:1", "none") == "none"
    cache.set("signed-in:1", [1])
    assert cache.get("signed-in:1") == [1]


def test_what_the_desk_keeps_comes_back_as_it_was(empty_cache: None) -> None:
    for value in ([1, "asha", None, True], {"a": [1.5]}, 7, 1.5, "words", True):
        cache.set("signed-in:1", value)
        assert cache.get("signed-in:1") == value
        assert cache.get_many(["signed-in:1"]) == {"signed-in:1": value}
    cache.set("number", 7, 60)
    assert (cache.incr("number"), cache.get("number")) == (8, 8)
    with pytest.raises(ValueError, match="not found"):
        cache.incr("no such number")


# --- Pages -----------------------------------------------------------------------------------------------------------


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("words", ["refusing", None, *NONSENSE, AGREES, b"$2\r\n{}\r\n", b"$1\r\n5\r\n"])
def test_pages_come_and_leads_are_saved_whatever_redis_does(
    cast: Cast, stand: Callable[..., Impostor], settings: Any, words: Any
) -> None:
    impostor = None
    if words == "refusing":
        use(settings, NOWHERE)
    else:
        impostor = stand(words, Impostor if words is None else Parrot)
    waited = []

    def asked(send: Callable[[], Any]) -> int:
        """The pause has just ended before each request: the worst moment for it."""
        if breaker().until:
            breaker().until = time.monotonic() - 0.001
        before = impostor.visits if impostor else 0
        status: int = send().status_code
        waited.append((impostor.visits if impostor else 0) - before)
        return status

    nobody, asha, kiran = Client(), Client(), Client()
    assert asked(lambda: nobody.get("/login")) == 200
    assert asked(lambda: asha.post("/login", {"username": "asha", "password": PASSWORD})) == 302
    assert asked(lambda: kiran.post("/login", {"username": "kiran", "password": PASSWORD})) == 302
    assert asked(lambda: asha.get("/add_lead")) == 200
    assert asked(lambda: asha.post("/add_lead_optimized", fields())) == 201
    assert asked(lambda: asha.post("/add_lead", fields())) == 201
    assert asked(lambda: asha.get("/cre_dashboard")) == 200
    assert asked(lambda: asha.get("/cre_analytics")) == 200
    assert asked(lambda: kiran.get("/ps_dashboard")) == 200
    assert asked(lambda: asha.get("/my_speed")) == 200
    assert asked(lambda: asha.get("/readyz")) == 200
    assert LeadMaster.objects.count() == 2
    if words is None:
        assert max(waited) == 1, waited


@pytest.mark.django_db(transaction=True)
def test_when_redis_is_back_everything_is_as_before(cast: Cast, settings: Any, empty_cache: None) -> None:
    here = django_settings.REDIS_URL
    client = Client()
    assert client.post("/login", {"username": "asha", "password": PASSWORD}).status_code == 302
    use(settings, NOWHERE)
    assert client.get("/cre_dashboard").status_code == 200
    assert client.post("/add_lead_optimized", fields()).status_code == 201
    use(settings, here, SOCKET_TIMEOUT=10, SOCKET_CONNECT_TIMEOUT=10)
    assert client.get("/cre_dashboard").status_code == 200
    client.post("/add_lead_optimized", fields())
    assert 'cache;desc="2 of 2 found"' in client.post("/add_lead_optimized", fields())["Server-Timing"]


# --- What could not be dropped ----------------------------------------------------------------------


def raw() -> "Redis":
    return Redis.from_url(django_settings.REDIS_URL, decode_responses=True)


def fails() -> None:
    breaker()._fail(OSError())


def comes_back() -> None:
    breaker().until = time.monotonic() - 0.001


def test_what_could_not_be_dropped_is_dropped_before_anything_else_is_asked(empty_cache: None) -> None:
    cache.set_many({"signed-in:1": ["old"], "signed-in:2": ["old"], "signed-in:3": ["old"], "board:4:x": ["old"]})
    fails()
    cache.delete("signed-in:1")
    cache.delete_many(["signed-in:2"])
    cache.set("signed-in:3", ["new"])
    comes_back()
    assert cache.get_many(["signed-in:1", "signed-in:2", "signed-in:3", "board:4:x"]) == {"board:4:x": ["old"]}
    assert breaker().owed == {}


def test_a_mark_that_could_not_be_written_leaves_the_older_one_in_its_place(empty_cache: None) -> None:
    cache.set("wrote:1", 10.5)
    fails()
    cache.set_many({"wrote:1": 20.5})
    comes_back()
    assert cache.get("wrote:1") == 10.5


def test_a_redis_that_drops_nothing_is_not_believed(empty_cache: None, monkeypatch: pytest.MonkeyPatch) -> None:
    cache.set("signed-in:1", ["old"])
    fails()
    cache.delete("signed-in:1")
    comes_back()
    original = Redis.execute_command

    def read_only(self: Any, *args: Any, **options: Any) -> Any:
        if args[0] == "DEL":
            from redis.exceptions import ReadOnlyError

            raise ReadOnlyError("READONLY You can't write against a read only replica.")
        return original(self, *args, **options)  # type: ignore[no-untyped-call]

    monkeypatch.setattr(Redis, "execute_command", read_only)
    for _ in range(3):
        assert cache.get("signed-in:1", "none") == "none"
    monkeypatch.undo()
    assert cache.get("signed-in:1", "none") == "none"
    comes_back()
    assert cache.get("signed-in:1", "none") == "none"
    assert raw().exists("desk:1:signed-in:1") == 0


def test_what_is_owed_is_bounded(empty_cache: None, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(counted_cache, "MOST_OWED", 3)
    fails()
    for number in range(10):
        cache.delete(f"signed-in:{number}")
    assert list(breaker().owed) == [f"desk:1:signed-in:{number}" for number in (7, 8, 9)]
    comes_back()
    cache.get("x")


@pytest.mark.parametrize("timeout", [None, 24 * 3600, MOST_SECONDS + 1])
def test_no_copy_is_kept_longer_than_ten_minutes_whatever_it_was_given(empty_cache: None, timeout: int | None) -> None:
    cache.set("signed-in:1", [1], timeout)
    cache.add("signed-in:2", [1], timeout)
    cache.set_many({"signed-in:3": [1], "wrote:1": 1.5}, timeout)
    cache.set("signed-in:4", [1], 5)
    cache.touch("signed-in:4", timeout)
    for number in range(1, 5):
        assert 0 < raw().ttl(f"desk:1:signed-in:{number}") <= MOST_SECONDS


def test_marks_without_an_end_are_written_with_one_command(empty_cache: None, monkeypatch: pytest.MonkeyPatch) -> None:
    said: list[str] = []
    original = Redis.execute_command

    def heard(self: Any, *args: Any, **options: Any) -> Any:
        said.append(args[0])
        return original(self, *args, **options)  # type: ignore[no-untyped-call]

    monkeypatch.setattr(Redis, "execute_command", heard)
    marks = {"wrote:1": 1.5, "wrote:2": 2.5}
    assert cache.set_many(marks, None) == []
    assert said == ["MSET"]
    monkeypatch.undo()
    assert cache.get_many(marks) == marks
    assert [raw().ttl(f"desk:1:{key}") for key in marks] == [-1, -1]


def test_marks_are_not_written_if_redis_says_anything_but_ok(stand: Callable[..., Impostor]) -> None:
    stand(b":1\r\n", Parrot)
    assert cache.set_many({"wrote:1": 1.5}, None) == ["wrote:1"]


@pytest.mark.django_db
def test_who_has_signed_out_while_redis_was_away_is_out_when_it_is_back(cast: Cast, empty_cache: None) -> None:
    client, thief = Client(), Client()
    client.force_login(cast.asha)
    thief.cookies["sessionid"] = client.cookies["sessionid"].value
    assert thief.get("/add_lead").status_code == 200
    fails()
    assert client.post("/logout").status_code == 302
    comes_back()
    assert thief.get("/add_lead").status_code == 302


@pytest.mark.django_db
def test_who_was_switched_off_while_redis_was_away_is_out_when_it_is_back(cast: Cast, empty_cache: None) -> None:
    client = Client()
    client.force_login(cast.asha)
    assert client.get("/add_lead").status_code == 200
    assert raw().exists(f"desk:1:{kept_key(cast.asha.pk)}")
    fails()
    User.objects.filter(pk=cast.asha.pk).update(is_active=False)
    comes_back()
    assert client.get("/add_lead").status_code == 302


def test_to_clear_the_cache_takes_nothing_else_of_redis_along(empty_cache: None) -> None:
    redis = raw()
    redis.set("desk:timings:test", "1", 60)
    redis.rpush("desk-test-queue", "message")
    cache.set("signed-in:1", [1])
    try:
        cache.clear()
        assert cache.get("signed-in:1") is None
        assert redis.exists("desk:timings:test", "desk-test-queue") == 2
    finally:
        redis.delete("desk:timings:test", "desk-test-queue")
