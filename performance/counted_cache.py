"""The desk's cache: Redis while it answers quickly and sensibly, and otherwise nothing.

After a failure this process does not ask Redis for some seconds: each call is a miss at once. Then one call tries. So a
Redis that refuses, hangs or talks nonsense costs a request one time-out (SOCKET_TIMEOUT, a tenth of a second). Two
others are not noticed: one that takes just under half of that for every answer, or more for most but not for three in a
row, which a page pays for with each of its half a dozen calls; and one that sends its answer bit by bit, for the
time-out is of each bit.

What was to be dropped meanwhile is dropped before anything else is asked, and no copy lives longer than MOST_SECONDS: a
process that ends before it could drop something does no more harm than that. A mark is no copy, and may have no end.
Each look is told to whatever is being timed.
"""

import time
from collections.abc import Callable, Iterable
from functools import partial, wraps
from typing import Any

from django.core.cache.backends.base import DEFAULT_TIMEOUT
from django_redis.cache import RedisCache
from django_redis.client import DefaultClient
from django_redis.exceptions import ConnectionInterrupted
from redis import Redis
from redis.exceptions import ConnectionError as NoConnection
from redis.exceptions import RedisError, ResponseError
from structlog.stdlib import get_logger

from performance.cache_names import MOST_SECONDS, kept_of
from performance.measuring import cache_was_read

log = get_logger(__name__)

PAUSE_SECONDS = 5.0
MOST_OWED = 10_000
MOST_SLOW = 3
# What redis-py lets out where an answer cannot be read. A task's time limit is none of these.
NO_ANSWER = (
    RedisError,
    OSError,
    ValueError,
    TypeError,
    LookupError,
    ArithmeticError,  # a length that no machine can count
    AttributeError,
    RecursionError,  # lists in lists in lists
)
# Before each value that we have written; what comes without it is not ours.
MARK = b"desk1:"
NONSENSE = object()


class Away(NoConnection):
    """Redis did not answer in time or sensibly, or was not asked because it had just failed."""


class Breaker:
    """Of this process, for one Redis; all its threads ask it.

    MOST_SLOW answers in a row that took longer than `patience` (seconds) are a failure too; fewer may be the machine's
    hiccup, and what several threads wait out together is one. Two threads that find the pause over at the same moment
    may both try: each waits its own time-out at worst, so no lock is held for that.
    """

    __slots__ = ("owed", "patience", "slow", "slow_until", "until")

    def __init__(self, patience: float) -> None:
        self.patience = patience
        self.slow = 0
        self.slow_until = 0.0  # when the last slow one had its answer
        self.until = 0.0  # 0 is: Redis answers
        self.owed: dict[str, None] = {}  # keys to drop, oldest first

    def ask(self, redis: "PatientRedis", call: Callable[..., Any], *args: Any, **options: Any) -> Any:
        if self.until or self.owed:
            self._begin(redis)
        return self._answer(call, *args, **options)

    def _begin(self, redis: "PatientRedis") -> None:
        """Away, unless it is this call's turn to try; and what is owed comes first."""
        if self.until:
            now = time.monotonic()
            if now < self.until:
                raise Away("Redis has just failed")
            self.until = now + PAUSE_SECONDS
        while self.owed:
            keys = list(self.owed)[:1000]
            for key in keys:
                self.owed.pop(key, None)
            try:
                self._answer(super(PatientRedis, redis).execute_command, "DEL", *keys)
            except RedisError as error:
                self.owed.update(dict.fromkeys(keys))
                # A Redis that answers and drops nothing would go on to give what it should not have any more.
                self._fail(error)
                raise Away from error

    def _answer(self, call: Callable[..., Any], *args: Any, **options: Any) -> Any:
        started = time.monotonic()
        try:
            answer = call(*args, **options)
        except NoConnection as error:
            self._fail(error)
            raise Away from error
        except ResponseError:
            # It has answered: that it does not do this.
            self._answered_in_time()
            raise
        except NO_ANSWER as error:
            self._fail(error)
            raise Away from error
        ended = time.monotonic()
        if ended - started > self.patience:
            self._answered_late(started, ended)
        elif self.slow or self.until:
            self._answered_in_time()
        return answer

    def _answered_late(self, started: float, ended: float) -> None:
        if started >= self.slow_until:
            self.slow, self.slow_until = self.slow + 1, ended
        if self.slow >= MOST_SLOW:
            self._fail(TimeoutError())

    def _answered_in_time(self) -> None:
        self.slow = 0
        if self.until:
            log.info("cache: Redis is back")
        self.until = 0.0

    def _fail(self, error: Exception) -> None:
        if not self.until:
            log.warning("cache: Redis is away", reason=type(error).__name__)
        self.until = time.monotonic() + PAUSE_SECONDS

    def owe(self, keys: Iterable[str]) -> None:
        """These will be dropped before Redis is asked anything again."""
        self.owed.update(dict.fromkeys(keys))
        if len(self.owed) > MOST_OWED:
            # The oldest have come to their natural end, or will soon.
            for key in list(self.owed)[:-MOST_OWED]:
                self.owed.pop(key, None)


_breakers: dict[str, Breaker] = {}


class PatientRedis(Redis):
    breaker: Breaker

    def execute_command(self, *args: Any, **options: Any) -> Any:
        return self.breaker.ask(self, super().execute_command, *args, **options)

    def pipeline(self, transaction: bool = True, shard_hint: str | None = None) -> Any:
        pipeline = super().pipeline(transaction, shard_hint)
        pipeline.execute = partial(self.breaker.ask, self, pipeline.execute)  # type: ignore[method-assign]
        return pipeline


class PatientClient(DefaultClient):  # type: ignore[misc]
    """Writes values with MARK, and believes only those."""

    def __init__(self, *args: Any) -> None:
        super().__init__(*args)
        patience = self._options.get("SOCKET_TIMEOUT", 0.1) / 2
        self.breaker = _breakers.setdefault(self._server[0], Breaker(patience))

    def connect(self, index: int = 0) -> PatientRedis:
        redis: PatientRedis = super().connect(index)
        redis.breaker = self.breaker
        return redis

    def encode(self, value: Any, *, allow_int: bool = True) -> bytes:
        encoded: bytes = MARK + self._serializer.dumps(value)
        return encoded

    def decode(self, value: Any) -> Any:
        if isinstance(value, bytes) and value.startswith(MARK):
            try:
                return self._serializer.loads(value[len(MARK) :])
            except (ValueError, RecursionError):
                pass
        return NONSENSE


def _forgiving(name: str, kind: type, otherwise: Any = None) -> Any:
    """The method of django-redis, some of which let errors out that its others ignore, or believe any answer.

    A ValueError is what Django has for a number that is not there.
    """
    method = getattr(RedisCache, name)

    @wraps(method)
    def forgiving(self: RedisCache, *args: Any, **kwargs: Any) -> Any:
        try:
            answer = method(self, *args, **kwargs)
        except (RedisError, TypeError, LookupError, AttributeError):
            return otherwise
        return answer if isinstance(answer, kind) else otherwise

    return forgiving


class CountedRedisCache(RedisCache):  # type: ignore[misc]
    def get(self, key: Any, default: Any = None, version: Any = None, client: Any = None) -> Any:
        try:
            found = self.client.get(key, NONSENSE, version, client)
        except ConnectionInterrupted:
            found = NONSENSE
        hit = found is not NONSENSE
        cache_was_read(key, hit=hit)
        return found if hit else default

    def get_many(self, keys: Iterable[str], version: Any = None, client: Any = None) -> dict[str, Any]:
        keys = list(keys)
        try:
            answers = self.client.get_many(keys, version, client)
        except (ConnectionInterrupted, TypeError, ValueError):
            # The latter two: an answer that is no list, or has not as many values as were asked for.
            answers = {}
        found = {key: value for key, value in answers.items() if value is not NONSENSE}
        for key in keys:
            cache_was_read(key, hit=key in found)
        return found

    def set(self, key: str, value: Any, timeout: Any = DEFAULT_TIMEOUT, *args: Any, **kwargs: Any) -> Any:
        done = super().set(key, value, _at_most(timeout), *args, **kwargs)
        if not done:
            # What it was to replace shall not come back.
            self._owe([key])
        return done

    def set_many(
        self, data: dict[str, Any], timeout: Any = DEFAULT_TIMEOUT, version: Any = None, client: Any = None
    ) -> list[str]:
        """Returns the keys that were not set, as Django’s contract has it."""
        try:
            if timeout is None and not any(map(kept_of, data)):
                return [] if self._mark(data, version) else list(data)
            self.client.set_many(data, _at_most(timeout), version, client)
        except (ConnectionInterrupted, RedisError):
            self._owe(data)
            return list(data)
        return []

    def _mark(self, marks: dict[str, Any], version: Any) -> bool:
        """Marks without an end: one MSET, where each with an end of its own would be a command."""
        client = self.client
        written = {client.make_key(key, version): client.encode(value) for key, value in marks.items()}
        return client.get_client(write=True).mset(written) is True

    def add(self, key: str, value: Any, timeout: Any = DEFAULT_TIMEOUT, *args: Any, **kwargs: Any) -> bool:
        return bool(super().add(key, value, _at_most(timeout), *args, **kwargs))

    def touch(self, key: str, timeout: Any = DEFAULT_TIMEOUT, *args: Any, **kwargs: Any) -> bool:
        try:
            return bool(super().touch(key, _at_most(timeout), *args, **kwargs))
        except RedisError:
            return False

    def delete(self, key: str, *args: Any, **kwargs: Any) -> bool:
        return self.delete_many([key], *args, **kwargs) > 0

    def delete_many(self, keys: Iterable[str], *args: Any, **kwargs: Any) -> int:
        keys = list(keys)
        done = super().delete_many(keys, *args, **kwargs)
        if isinstance(done, int):
            return done
        self._owe(keys)
        return 0

    def clear(self) -> bool:
        """Of the whole database of Redis only what is the cache's: queues and timings live there too."""
        return self.delete_pattern("*", itersize=1000) is not None

    has_key = _forgiving("has_key", bool, otherwise=False)
    incr = _forgiving("incr", int)
    decr = _forgiving("decr", int)
    ttl = _forgiving("ttl", int)
    pttl = _forgiving("pttl", int)
    expire = _forgiving("expire", bool, otherwise=False)
    pexpire = _forgiving("pexpire", bool, otherwise=False)
    delete_pattern = _forgiving("delete_pattern", int)

    def _owe(self, keys: Iterable[str]) -> None:
        """Copies are dropped as soon as Redis answers; a mark is no copy, and an older one is better than none."""
        client = self.client
        client.breaker.owe(client.make_key(key) for key in keys if kept_of(key) is not None)


def _at_most(timeout: Any) -> Any:
    if timeout is DEFAULT_TIMEOUT:
        return timeout
    return MOST_SECONDS if timeout is None else min(timeout, MOST_SECONDS)
