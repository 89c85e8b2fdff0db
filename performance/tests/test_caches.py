"""What the desk keeps at hand is shown, and can be thrown away without any harm."""

import json
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from django.conf import settings as django_settings
from django.core.cache import cache
from django.core.cache import caches as django_caches
from django.db import OperationalError
from django.test import Client
from django.urls import reverse
from redis import Redis
from redis.client import Pipeline

from accounts import directory
from accounts.models import kept_key
from conftest import Cast
from crm import environment
from followups.delivery import AWAY
from followups.tasks import WORKER_SEEN, record_waiting
from leads import sources
from leads.models import Source
from leads.tests.factories import make_lead
from leads.tests.typed import fields
from performance import cache_views, caches, timings
from performance.cache_names import KEPT, MARKS, kept_of
from performance.caches import CacheState
from performance.tests.conftest import Impostor
from performance.tests.test_timings import timing

CLEAR = "/api/clear_cache"


@pytest.fixture
def redis(quiet: None, empty_cache: None) -> Iterator["Redis"]:
    with Redis.from_url(django_settings.REDIS_URL, decode_responses=True) as found:
        yield found


def state(name: str) -> CacheState:
    return next(one for one in caches.overview() if one.name == name)


def supervisor(cast: Cast) -> Client:
    client = Client()
    client.force_login(cast.meera)
    return client


# --- One list ---------------------------------------------------------------------------------------------------------


@pytest.mark.django_db(transaction=True)
def test_every_key_that_the_desk_writes_is_in_the_list(cast: Cast, redis: "Redis", client: Client) -> None:
    lead = make_lead(cast.asha)
    for person in (cast.asha, cast.kiran, cast.head, cast.reception, cast.meera):
        client.force_login(person)
        for name in (
            "cre_dashboard",
            "board_news",
            "ps_dashboard",
            "cre_analytics",
            "ps_analytics",
            "branch_head_dashboard",
            "rec_dashboard",
            "search",
            "add_lead",
            "my_speed",
        ):
            client.get(reverse(name))
        client.get(f"/lead/{lead.uid}")
        client.post("/add_lead_optimized", fields())
    cache.set(WORKER_SEEN, time.time())
    cache.set(AWAY, True)
    written = {key.removeprefix("desk:1:") for key in redis.scan_iter("desk:1:*")}
    found = {kept.name for key in written if (kept := kept_of(key)) is not None}
    assert found == {kept.name for kept in KEPT}
    assert [key for key in written if kept_of(key) is None and not key.startswith(MARKS)] == []


def test_no_beginning_of_a_key_is_also_another_ones() -> None:
    prefixes = [prefix for kept in KEPT for prefix in kept.prefixes] + list(MARKS)
    assert [(a, b) for a in prefixes for b in prefixes if a != b and a.startswith(b)] == []


# --- What there is ----------------------------------------------------------------------------------------------------


def test_each_cache_says_how_much_it_holds_and_how_old(redis: "Redis", monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(caches, "SAMPLE", 30)  # all of them: the one that is older is among them
    for number in range(30):
        cache.set(f"signed-in:{number}", [number, "asha"], 60)
    redis.expire("desk:1:signed-in:7", 20)
    cache.set("board:1:x", ["long" * 500], 300)
    cache.set("wrote:1", 1.5, 300)
    people, dashboards, sessions = state("people"), state("dashboards"), state("sessions")
    assert (people.entries, people.more, dashboards.entries, sessions.entries) == (30, False, 1, 0)
    assert people.bytes is not None
    assert 30 * 50 < people.bytes < 30 * 500
    assert dashboards.bytes is not None
    assert dashboards.bytes > 2000
    assert (people.youngest, people.oldest) == (0, 40)
    assert (sessions.oldest, sessions.bytes) == (None, 0)


def test_a_look_at_redis_is_bounded_and_says_so(redis: "Redis", monkeypatch: pytest.MonkeyPatch) -> None:
    cache.set_many({f"signed-in:{number}": [number] for number in range(200)})
    monkeypatch.setattr(caches, "AT_ONCE", 10)
    monkeypatch.setattr(caches, "MOST_SECONDS_LOOKING", 60)
    monkeypatch.setattr(caches, "MOST_KEYS", 50)
    people = state("people")
    assert people.more
    assert people.entries is not None
    assert 50 <= people.entries < 200
    monkeypatch.setattr(caches, "MOST_KEYS", 10_000)
    assert not state("people").more
    monkeypatch.setattr(caches, "MOST_SECONDS_LOOKING", -1)
    assert state("people").more


@pytest.mark.django_db
def test_what_a_process_keeps_is_shown_with_its_age(cast: Cast, redis: "Redis") -> None:
    assert (state("directory").entries, state("directory").oldest) == (0, None)
    directory.directory()
    sources.sources()
    assert state("directory").entries == 2 + 3  # branches and PS
    assert state("sources").entries == Source.objects.filter(is_active=True).count() > 0
    assert state("sources").oldest == 0
    assert state("sources").hour is None
    sources.forget()
    assert (state("sources").entries, state("sources").oldest) == (0, None)


@pytest.mark.django_db
def test_looks_are_counted_by_cache(cast: Cast, client: Client, redis: "Redis") -> None:
    client.force_login(cast.asha)
    for _ in range(4):
        client.get("/add_lead")
    timings.flush()
    for window in timings.WINDOWS:
        found = timings.reads(window)
        assert {name: (of.hits, of.misses) for name, of in found.items()} == {
            "sessions": (4, 0),
            "people": (3, 1),
        }
    hour = state("people").hour
    assert hour is not None
    assert (hour.asked, hour.percent) == (4, 75)
    assert timings.totals_of(timings.CACHES)["people"].hits == 3


def test_the_overview_can_be_told_in_json(redis: "Redis") -> None:
    told = json.loads(json.dumps([one.as_json() for one in caches.overview()]))
    assert [one["name"] for one in told] == list(caches.WORDS)
    assert {"entries", "bytes", "rates", "stale"} <= told[0].keys()


# --- Throwing it away -------------------------------------------------------------------------------------------------


def plant(redis: "Redis") -> None:
    cache.set_many({f"signed-in:{number}": [number] for number in range(2500)})
    cache.set_many({"board:1:x": [1], "board:2:x": [1], "most-won:branch-1:x": []})
    cache.set_many({"wrote:1": 1.5, WORKER_SEEN: time.time(), AWAY: True})


@pytest.mark.django_db
def test_one_cache_is_cleared_by_itself(redis: "Redis") -> None:
    plant(redis)
    assert caches.clear("people") == {"people": 2500}
    assert cache.get_many(["signed-in:1", "board:1:x"]) == {"board:1:x": [1]}
    assert caches.clear("people") == {"people": 0}
    assert caches.clear("dashboards") == {"dashboards": 2}


@pytest.mark.django_db
def test_to_clear_all_touches_no_queue_no_timing_and_no_mark(cast: Cast, redis: "Redis") -> None:
    plant(redis)
    directory.directory()
    timings.record(timing())
    timings.flush()
    redis.delete("desk")
    with record_waiting.app.connection_for_write(environment.broker_url(django_settings.REDIS_URL)) as broker:
        record_waiting.apply_async(connection=broker)  # type: ignore[call-arg]
    message, bindings = redis.lrange("desk", 0, -1), redis.smembers("_kombu.binding.desk")
    assert (len(message), len(bindings)) == (1, 1)
    try:
        cleared = caches.clear("all")
        assert cleared == {"sessions": 0, "people": 2500, "dashboards": 2, "top_five": 1, "directory": 5, "sources": 0}
        assert directory.age() is None
        assert redis.lrange("desk", 0, -1) == message
        assert redis.smembers("_kombu.binding.desk") == bindings
        assert timings.figures("minutes")["capture"].count == 1
        assert cache.get("wrote:1") == 1.5
        assert cache.get(WORKER_SEEN) is not None
        assert cache.get(AWAY) is True
    finally:
        redis.delete("desk", "_kombu.binding.desk")


@pytest.mark.django_db
def test_to_clear_all_signs_nobody_out(cast: Cast, client: Client, redis: "Redis") -> None:
    client.force_login(cast.asha)
    assert client.get("/add_lead").status_code == 200
    answer = supervisor(cast).post(CLEAR, {"cache": "all"})
    assert answer.json()["cleared"]["sessions"] >= 1
    assert not redis.exists(f"desk:1:{kept_key(cast.asha.pk)}")
    assert client.get("/add_lead").status_code == 200
    assert client.post("/add_lead_optimized", fields()).status_code == 201


# --- The address ------------------------------------------------------------------------------------------------------


def lines(caplog: pytest.LogCaptureFixture, event: str) -> list[dict[str, Any]]:
    return [record.msg for record in caplog.records if isinstance(record.msg, dict) and record.msg["event"] == event]


@pytest.mark.django_db
def test_a_program_is_told_what_was_cleared_and_the_log_who_did_it(
    cast: Cast, redis: "Redis", caplog: pytest.LogCaptureFixture
) -> None:
    cache.set("board:1:x", [1])
    answer = supervisor(cast).post(CLEAR, {"cache": "dashboards"})
    assert answer.status_code == 200
    told = answer.json()
    assert (told["success"], told["cleared"]) == (True, {"dashboards": 1})
    assert "Nobody was signed out." in told["message"]
    assert told["execution_time"].endswith("s")
    (line,) = lines(caplog, "cache cleared")
    assert (line["by"], line["cache"], line["cleared"]) == (cast.meera.pk, "dashboards", {"dashboards": 1})


@pytest.mark.django_db
@pytest.mark.parametrize("name", ["", "everything", "ALL", "desk:1:*"])
def test_a_name_that_is_none_is_refused_in_words(cast: Cast, redis: "Redis", name: str) -> None:
    cache.set("board:1:x", [1])
    answer = supervisor(cast).post(CLEAR, {"cache": name})
    assert answer.status_code == 422
    assert answer.json()["message"] == "There is no such cache: choose one of the list, or all of them."
    assert cache.get("board:1:x") == [1]


@pytest.mark.django_db
def test_only_supervisors_clear_and_only_by_a_post_with_a_token(cast: Cast, redis: "Redis") -> None:
    cache.set("board:1:x", [1])
    assert Client().post(CLEAR, {"cache": "all"}).status_code == 401
    for person in (cast.asha, cast.kiran, cast.head, cast.reception):
        client = Client()
        client.force_login(person)
        answer = client.post(CLEAR, {"cache": "all"})
        assert (answer.status_code, answer.json()["success"]) == (403, False)
    for method in ("get", "put", "delete"):
        answer = getattr(supervisor(cast), method)(CLEAR)
        assert (answer.status_code, answer["Allow"], answer.json()["success"]) == (405, "POST", False)
    strict = Client(enforce_csrf_checks=True)
    strict.force_login(cast.meera)
    answer = strict.post(CLEAR, {"cache": "all"})
    assert (answer.status_code, answer["Content-Type"]) == (403, "application/json")
    assert cache.get("board:1:x") == [1]


@pytest.mark.django_db
def test_a_form_without_a_script_comes_back_to_the_page_and_says_what_was_done(cast: Cast, redis: "Redis") -> None:
    client = supervisor(cast)
    answer = client.post(CLEAR, {"cache": "all"}, headers={"accept": "text/html"})
    assert (answer.status_code, answer["Location"]) == (303, "/performance_metrics#caches")
    assert "Cleared all caches" in client.get("/performance_metrics").content.decode()


@pytest.mark.django_db
def test_a_part_of_the_page_is_answered_with_that_part(cast: Cast, redis: "Redis") -> None:
    answer = supervisor(cast).post(CLEAR, {"cache": "people"}, headers={"hx-request": "true"})
    page = answer.content.decode()
    assert answer.status_code == 200
    assert 'id="caches-shown"' in page
    assert "Cleared “Signed-in people”" in page
    for one in caches.WORDS:
        assert f'name="cache" value="{one}"' in " ".join(page.split())
    assert page.count("csrfmiddlewaretoken") == len(caches.WORDS) + 1
    wrong = supervisor(cast).post(CLEAR, {"cache": "x"}, headers={"hx-request": "true"})
    assert wrong.status_code == 422
    assert "There is no such cache" in wrong.content.decode()


@pytest.mark.django_db
@pytest.mark.parametrize("name", ["all", "people"])
def test_without_redis_nothing_is_pretended(
    cast: Cast, impostor: Callable[[bytes | None], Impostor], caplog: pytest.LogCaptureFixture, name: str
) -> None:
    client = supervisor(cast)
    directory.directory()
    impostor(None)
    answer = client.post(CLEAR, {"cache": name})
    assert (answer.status_code, answer.json()["success"]) == (503, False)
    assert "was not cleared" in answer.json()["message"]
    assert directory.age() is not None
    assert lines(caplog, "cache not cleared: Redis is away")
    part = client.post(CLEAR, {"cache": name}, headers={"hx-request": "true"})
    assert part.status_code == 503
    assert "data-trouble" in part.content.decode()
    assert client.post(CLEAR, {"cache": "directory"}).json()["cleared"] == {"directory": 5}


@pytest.mark.django_db
@pytest.mark.parametrize(
    ("name", "words"), [("directory", "Cleared “Branches and PS”: 5 entries."), ("x", "There is no such cache")]
)
def test_a_part_of_the_page_says_what_was_done_where_redis_cannot_tell_the_rest(
    cast: Cast, impostor: Callable[[bytes | None], Impostor], name: str, words: str
) -> None:
    client = supervisor(cast)
    directory.directory()
    impostor(None)
    part = client.post(CLEAR, {"cache": name}, headers={"hx-request": "true"})
    assert part.status_code == 503
    assert words in part.content.decode()
    assert cache_views.NOT_SHOWN in part.content.decode()
    assert (directory.age() is None) == (name == "directory")


@pytest.mark.django_db
@pytest.mark.parametrize("name", ["all", "sessions"])
def test_without_the_database_what_people_still_have_is_not_thrown_away(
    cast: Cast, redis: "Redis", monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    class Gone:
        def cursor(self) -> None:
            raise OperationalError("connection refused")

    client = supervisor(cast)
    client.get("/my_speed")
    kept = set(redis.scan_iter("desk:1:*"))
    assert kept
    monkeypatch.setattr(caches, "connection", Gone())
    assert client.post(CLEAR, {"cache": name}).status_code == 503
    assert set(redis.scan_iter("desk:1:*")) == kept


def test_a_redis_that_may_not_say_sizes_is_shown_without_them(redis: "Redis", monkeypatch: pytest.MonkeyPatch) -> None:
    cache.set("board:1:x", [1], 300)

    def refused(self: Any, *args: Any, **options: Any) -> Any:
        return self.execute_command("MEMORY", "NONSENSE")

    monkeypatch.setattr(Pipeline, "memory_usage", refused)
    found = state("dashboards")
    assert (found.entries, found.bytes, found.oldest) == (1, None, 0)


def test_djangos_own_word_for_it_clears_no_more_than_the_cache(redis: "Redis") -> None:
    redis.set("desk:timings:test", 1, 60)
    cache.set("board:1:x", [1])
    django_caches["default"].clear()
    assert (cache.get("board:1:x"), redis.exists("desk:timings:test")) == (None, 1)
    redis.delete("desk:timings:test")
