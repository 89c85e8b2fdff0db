"""The desk's cache, which tells whatever is being timed whether it knew the answer."""

from typing import Any

from django_redis.cache import RedisCache

from performance.measuring import cache_was_read


class CountedRedisCache(RedisCache):  # type: ignore[misc]
    def get(self, key: Any, default: Any = None, version: Any = None, client: Any = None) -> Any:
        found = super().get(key, default, version, client)
        cache_was_read(hit=found is not default)
        return found
