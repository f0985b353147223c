"""A store in Redis: for the processes of many machines.

Every step that decides something is one Lua script on one key, and Redis runs a script with no
other command in between. So nothing can come between the two halves of a claim, "is it free?" and
"it is mine". The key of an event is in one of three states:

    missing           free: it was not claimed, or the lease or the memory has ended
    "<token>"         claimed by that token; Redis deletes the key when the lease ends
    "done:<token>"    done; Redis deletes the key when the event need not be remembered any more

The token in the value makes each step safe to repeat: if the answer to a claim or a commit was
lost on the way, the same step with the same token has the same result.

The clock of Redis is the only one: it counts a lease from the moment in which it runs the script,
whatever the clocks of the processes say and however late its answer comes. So let the machine of
Redis slew its clock and not step it, as `chronyd` and `systemd-timesyncd` do while it runs.
"""

from __future__ import annotations

import asyncio
import math
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any, Final, cast
from weakref import WeakKeyDictionary

from pinstripe._core.errors import ConfigurationError
from pinstripe._core.tracebacks import hide_every_frame
from pinstripe.webhooks._stores import REMEMBER_SECONDS, Claimed

if TYPE_CHECKING:
    from redis.asyncio import Redis

# Redis itself expires a key with PX milliseconds, so no step needs a clock. The answers of a claim
# are positions in `_CLAIM_RESULTS`.
_CLAIM: Final = """
local held = redis.call('GET', KEYS[1])
if held and held ~= ARGV[1] then
    return string.sub(held, 1, 5) == 'done:' and 2 or 1
end
redis.call('SET', KEYS[1], ARGV[1], 'PX', ARGV[2])
return 0
"""
_COMMIT: Final = """
local held = redis.call('GET', KEYS[1])
if held == ARGV[1] then
    redis.call('SET', KEYS[1], 'done:' .. ARGV[1], 'PX', ARGV[2])
end
return (held == ARGV[1] or held == 'done:' .. ARGV[1]) and 1 or 0
"""
_RELEASE: Final = """
return redis.call('GET', KEYS[1]) == ARGV[1] and redis.call('DEL', KEYS[1]) or 0
"""
# An older event than recorded changes nothing but how long the newest is remembered.
_RECORD: Final = """
local newest = redis.call('GET', KEYS[1])
if newest and tonumber(newest) > tonumber(ARGV[1]) then
    return redis.call('PEXPIRE', KEYS[1], ARGV[2])
end
redis.call('SET', KEYS[1], ARGV[1], 'PX', ARGV[2])
"""
_CLAIM_RESULTS: Final[tuple[Claimed, ...]] = ("claimed", "busy", "done")
_REMEMBER_MILLISECONDS: Final = int(REMEMBER_SECONDS * 1000)

# If Redis does not answer, a step fails after this time: sooner than the router would give up. Only
# a connection that was closed while it was idle is opened again, once.
_SOCKET_SECONDS: Final = 3.0


class RedisStore:
    """A store in Redis, which any number of processes may share; it needs `pinstripe[redis]`.

    Redis must not evict keys: use the policy `noeviction`. Events whose keys are evicted are
    handled again.

    Args:
        url: The address of Redis: `redis://`, `rediss://` (TLS) or `unix://`.
        prefix: The start of the names of all keys.

    Raises:
        ConfigurationError: An argument is wrong, or the `redis` package is missing.
    """

    @hide_every_frame
    def __init__(self, url: str, *, prefix: str = "pinstripe:") -> None:
        if not isinstance(url, str) or not url.startswith(("redis://", "rediss://", "unix://")):
            raise ConfigurationError("url", "must start with redis://, rediss:// or unix://")
        if not isinstance(prefix, str):
            raise ConfigurationError("prefix", "must be text")
        if find_spec("redis") is None:
            raise ConfigurationError("url", 'Redis needs: python -m pip install "pinstripe[redis]"')
        self._url = url
        self._prefix = prefix
        # A client of redis-py belongs to one event loop, so each loop has its own.
        self._clients = WeakKeyDictionary[asyncio.AbstractEventLoop, "Redis"]()

    def __repr__(self) -> str:
        return f"{type(self).__name__}(prefix={self._prefix!r})"

    def __eq__(self, other: object) -> bool:
        return isinstance(other, RedisStore) and other._place == self._place

    def __hash__(self) -> int:
        return hash(self._place)

    @property
    def _place(self) -> tuple[str, str]:
        return self._url, self._prefix

    async def claim(self, id: str, token: str, lease: float) -> Claimed:
        """Claim an event; see `Store`."""
        # Rounded up: the claim must not end before the handlers do.
        milliseconds = math.ceil(lease * 1000)
        return _CLAIM_RESULTS[await self._run(_CLAIM, f"event:{id}", token, milliseconds)]

    async def commit(self, id: str, token: str) -> bool:
        """Remember that an event was handled; see `Store`."""
        return bool(await self._run(_COMMIT, f"event:{id}", token, _REMEMBER_MILLISECONDS))

    async def release(self, id: str, token: str) -> None:
        """End a claim; see `Store`."""
        await self._run(_RELEASE, f"event:{id}", token)

    async def last_handled(self, subject: str) -> float | None:
        """Return when the newest handled event of an object happened; see `Store`."""
        found = await self._client().get(f"{self._prefix}newest:{subject}")
        return None if found is None else float(found)

    async def record_handled(self, subject: str, at: float) -> None:
        """Record that an event of an object was handled; see `Store`."""
        await self._run(_RECORD, f"newest:{subject}", repr(at), _REMEMBER_MILLISECONDS)

    async def close_for_loop(self) -> None:
        """Close the connections of this event loop; see `Store`."""
        client = self._clients.pop(asyncio.get_running_loop(), None)
        if client is not None:
            await client.aclose()

    async def _run(self, script: str, key: str, *arguments: str | int) -> int:
        client: Any = self._client()
        answer: int = await client.eval(script, 1, self._prefix + key, *arguments)
        return answer

    def _client(self) -> Redis:
        loop = asyncio.get_running_loop()
        client = self._clients.get(loop)
        if client is None:
            # An extra, and slow to import.
            from redis.asyncio import Redis  # noqa: PLC0415
            from redis.asyncio.retry import Retry  # noqa: PLC0415
            from redis.backoff import NoBackoff  # noqa: PLC0415
            from redis.exceptions import ConnectionError as ClosedError  # noqa: PLC0415

            client = self._clients[loop] = cast("Any", Redis).from_url(
                self._url,
                socket_timeout=_SOCKET_SECONDS,
                socket_connect_timeout=_SOCKET_SECONDS,
                retry=Retry(NoBackoff(), 1, supported_errors=(ClosedError,)),
                retry_on_error=[ClosedError],
            )
        return client
