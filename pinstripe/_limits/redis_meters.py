"""The meters of a shared budget, in Redis: one script reserves times on all meters of a request.

A meter has a theoretical arrival time, as in the generic cell rate algorithm: the time at which it
is back to rest. A request moves it on by 1 / rate. It may go as soon as that time is no more than a
tolerance ahead. So a meter is one number, and a *slot* is a time that the script has handed out.

Slots are handed out in order and by the clock of Redis, each on all meters of its request or on
none, at most `LEAD` seconds ahead. Processes that find no slot so near get a ticket: a time to come
again, in order, at which they go first.

A slot may be used up to `LATE` seconds after its time. The tolerance of a meter is so much less
than the burst, so that even then no second has more requests than the rate and its burst allow.
(A rate so low that its burst holds a single request can have two that much closer together.)

Nobody knows what was handed out if Redis lost its keys, is another server than before, or was
silent for so long that processes may use their share of the limits in its place (see `shared`).
The script then hands out nothing but one slot before everybody has noticed: after `HOLD` seconds.

The keys of a budget, all with its name as their hash tag:

    state     last: when a slot was last handed out; run: the server; start, calm: the latest hold
    members   each process, by when it last asked
    returned  slots that a queue gave back, as a list for each queue
    meters    tat: the arrival time; low, fell: the lowered rate and when; start: the hold that it
              has seen; ticket: the time of the next ticket
"""

from __future__ import annotations

import uuid
from collections.abc import Sequence
from contextlib import suppress
from importlib import import_module
from typing import TYPE_CHECKING, Any, Final, cast

from pinstripe._concurrency.daemon_thread import in_daemon_thread
from pinstripe._concurrency.deadlines import deadline_in
from pinstripe._core.errors import BudgetUnavailable
from pinstripe._core.forks import no_fork
from pinstripe._limits.buckets import FALL, FALL_INTERVAL, FLOOR_SHARE, RECOVERY
from pinstripe._limits.budget import SharedBudget
from pinstripe._limits.shared import BATCH, HOLD, LATE, LEAD, MEMORY, TIMEOUT, Answer, Ask

if TYPE_CHECKING:
    from redis.asyncio import Redis

_EXPIRY: Final = 3600
"""Seconds after which the keys of a budget that nobody uses expire."""

_ACTIVE: Final = 2.0
"""Seconds after its last question in which a process counts for the size of a batch."""

SCRIPT: Final = f"""
local function text(number) return string.format('%.6f', number) end
local time = redis.call('TIME')
local now = time[1] + time[2] / 1000000
local id, run, wanted, within = ARGV[1], ARGV[2], tonumber(ARGV[3]), tonumber(ARGV[4])
local ticketed, burst = ARGV[5] == '1', tonumber(ARGV[6])
local state = redis.call('HMGET', KEYS[1], 'last', 'run', 'start', 'calm')
local last, start, calm = tonumber(state[1]), tonumber(state[3]) or 0, state[4] == '1'

-- Who shares. Seconds in which nobody got a slot do not count: an outage makes nobody forgotten.
redis.call('ZREMRANGEBYSCORE', KEYS[2], '-inf', text((last or now) - {MEMORY}))
local new = redis.call('ZADD', KEYS[2], text(now), id)
local members = redis.call('ZCARD', KEYS[2])
local active = redis.call('ZCOUNT', KEYS[2], text(now - {_ACTIVE}), '+inf')

-- A hold begins if slots may be in use that this server has not handed out, as described above.
-- It is calm if so much time has passed that no slot can be left.
local spare = false
local silent = last and math.abs(now - math.max(last, start)) > {HOLD}
if not last or run ~= state[2] or (silent and members > 1) then
    calm = last and run == state[2]
    spare = calm or not last
    start, last = now + {HOLD}, now
end

-- The meters as they are now: lowered by refusals, and without savings from before a hold.
local meters, batch = {{}}, math.huge
for m = 4, #KEYS do
    local ceiling, refused = tonumber(ARGV[2 * m - 1]), tonumber(ARGV[2 * m])
    local kept = redis.call('HMGET', KEYS[m], 'tat', 'start', 'low', 'fell', 'ticket')
    local tat, low, fell = tonumber(kept[1]) or 0, tonumber(kept[3]), tonumber(kept[4]) or 0
    local rate = ceiling
    if low then
        rate = math.min(ceiling, low + ceiling * (math.max(0, now - fell) / {RECOVERY}) ^ 3)
    end
    local falls = refused >= 0 and now - refused >= fell and now >= fell + {FALL_INTERVAL}
    if falls then
        rate = math.max(ceiling * {FLOOR_SHARE}, rate * {FALL})
        low, fell = rate, now
    end
    local tolerance = math.max(0, burst - {LATE} - 2 / rate)
    if kept[2] ~= text(start) then tat = start + tolerance end
    if falls then tat = math.max(tat, now + tolerance + 1 / rate) end
    -- No slot is further ahead; but it looks so if the clock was set back.
    tat = math.min(tat, math.max(now, start) + {LEAD} + tolerance + 1 / rate)
    meters[m] = {{rate = rate, tolerance = tolerance, tat = tat, low = low or rate, fell = fell,
                 ticket = tonumber(kept[5]) or 0}}
    batch = math.min(batch, math.max(1, math.floor({BATCH} * rate / active)))
end

local slots, earliest, again = {{}}, -1, -1
while #slots < math.min(wanted, batch) do
    local back
    repeat
        back = redis.call('LPOP', KEYS[3])
    until not back or tonumber(back) > now - {LATE} / 2
    if back or spare then
        slots[#slots + 1] = back or text(now)
        spare = spare and back
    else
        local at, turn, slowest = math.max(now, start), 0, 4
        for m, meter in pairs(meters) do
            if meter.tat - meter.tolerance > at then
                at, slowest = meter.tat - meter.tolerance, m
            end
            if not ticketed then turn = math.max(turn, meter.ticket) end
        end
        if at > now + within then
            earliest, again = at - now, at - now
            break
        elseif math.max(at, turn) > now + {LEAD} then
            local meter = meters[slowest]
            local ticket = math.max(at, meter.ticket)
            earliest, again = at - now, math.max(0, ticket - now - {LEAD})
            meter.ticket = ticket + 1 / meter.rate
            break
        end
        for _, meter in pairs(meters) do meter.tat = math.max(meter.tat, at) + 1 / meter.rate end
        slots[#slots + 1] = text(at)
    end
end

for m, meter in pairs(meters) do
    redis.call('HSET', KEYS[m], 'tat', text(meter.tat), 'start', text(start),
        'low', text(meter.low), 'fell', text(meter.fell), 'ticket', text(meter.ticket))
    redis.call('EXPIRE', KEYS[m], {_EXPIRY})
end
if #slots > 0 then last = now end
redis.call('HSET', KEYS[1], 'last', text(last), 'run', run, 'start', text(start),
    'calm', calm and '1' or '0')
redis.call('EXPIRE', KEYS[1], {_EXPIRY})
redis.call('EXPIRE', KEYS[2], {_EXPIRY})
return {{new, members, batch, calm and 1 or 0, text(math.max(0, start - now)), text(earliest),
        text(again), text(now), unpack(slots)}}
"""


def arguments(ask: Ask, prefix: str, member: str, run: str) -> tuple[list[str], list[str]]:
    """Return the keys and the further arguments of the script.

    Args:
        ask: The question.
        prefix: The start of the names of all keys of the budget.
        member: What identifies this process among those that share.
        run: What identifies the run of the server; empty if it does not say.
    """
    keys = [f"{prefix}state", f"{prefix}members", _returned_key(prefix, ask.queue)]
    values = [member, run, str(ask.wanted), f"{ask.within:.6f}", str(int(ask.ticketed))]
    values.append(repr(ask.burst))
    for (name, rate), refused in zip(ask.meters, ask.refused, strict=True):
        keys.append(f"{prefix}meter:{name}")
        values += [repr(float(rate)), f"{refused:.6f}"]
    return keys, values


def parse_answer(found: Sequence[Any]) -> Answer:
    """Return the answer of the script as a value.

    Args:
        found: What the script returned.
    """
    new, members, batch, calm = map(int, found[:4])
    hold, earliest, again, now = map(float, found[4:8])
    return Answer(
        is_new=bool(new),
        members=members,
        batch=batch,
        calm=bool(calm),
        hold=hold,
        earliest=earliest if earliest >= 0 else None,
        again=max(0.0, again),
        slots=tuple((_text(slot), float(slot) - now) for slot in found[8:]),
    )


def _returned_key(prefix: str, queue: str) -> str:
    return f"{prefix}returned:{queue}"


def import_redis() -> None:
    """Import redis-py, which is an extra and slow to import."""
    with no_fork():
        import_module("redis.asyncio")


def _text(value: bytes | str) -> str:
    return value.decode() if isinstance(value, bytes) else value


def prefix_of(budget: SharedBudget) -> str:
    """Return the start of the names of a budget's keys, with the hash tag that keeps them together.

    Args:
        budget: The budget.
    """
    return f"pinstripe:{{{budget.name}}}:"


class RedisMeters:
    """The connection of one event loop to the meters of a budget.

    It asks which server it is connected to before it uses a new connection, and after each failure
    again. Thus a server that is too slow is found out by a question that reserves nothing.

    Args:
        budget: The budget.
    """

    def __init__(self, budget: SharedBudget) -> None:
        self._budget = budget
        self._prefix = prefix_of(budget)
        self._member = uuid.uuid4().hex
        self._client: Redis | None = None
        self._run: str | None = None
        self._is_prepared = False

    async def prepare(self) -> None:
        """Import redis-py, in a thread, since that takes longer than Redis may take to answer."""
        if not self._is_prepared:
            await in_daemon_thread(import_redis)
            self._is_prepared = True

    async def ask(self, asks: Sequence[Ask]) -> list[Answer]:
        """Reserve slots, all in one round trip.

        Args:
            asks: What is asked for, by queue.

        Raises:
            BudgetUnavailable: Redis did not answer in time, or with an error.
        """
        try:
            async with deadline_in(TIMEOUT):
                return await self._ask(asks)
        except Exception as error:  # noqa: BLE001 -- whatever it is, the budget cannot be used
            problem = self._unavailable(error)
        await self.disconnect()
        raise problem

    async def give_back(self, returned: Sequence[tuple[str, Sequence[str]]]) -> None:
        """Give back slots that were not used.

        Args:
            returned: Queues, each with its slots.

        Raises:
            BudgetUnavailable: Redis did not answer in time, or with an error.
        """
        if self._run is None or not returned:
            return  # the server that handed them out may be gone
        pipe = self._open().pipeline(transaction=False)
        for queue, slots in returned:
            key = _returned_key(self._prefix, queue)
            pipe.rpush(key, *slots)
            pipe.expire(key, 1)
        try:
            async with deadline_in(TIMEOUT):
                await pipe.execute()
        except Exception as error:  # noqa: BLE001 -- as above
            problem = self._unavailable(error)
        else:
            return
        await self.disconnect()
        raise problem

    async def leave(self) -> None:
        """Stop to be a member, so that nobody leaves a share for this process, and disconnect."""
        if self._run is not None:
            with suppress(Exception):  # it is forgotten in half a minute otherwise
                async with deadline_in(TIMEOUT):
                    await self._open().zrem(f"{self._prefix}members", self._member)
        await self.disconnect()

    async def disconnect(self) -> None:
        """Close the connection; the next question opens another one."""
        client, self._client, self._run = self._client, None, None
        if client is not None:
            await client.aclose()

    async def _ask(self, asks: Sequence[Ask]) -> list[Answer]:
        if self._run is not None:
            # An idle connection may have been closed meanwhile; a new one has to work.
            with suppress(import_module("redis.exceptions").ConnectionError):
                return await self._run_scripts(asks, self._run)
            await self.disconnect()
        client = self._open()
        self._run = str((await client.info("server")).get("run_id", ""))
        return await self._run_scripts(asks, self._run)

    async def _run_scripts(self, asks: Sequence[Ask], run: str) -> list[Answer]:
        client = self._open()
        pipe = client.pipeline(transaction=False)
        for ask in asks:
            keys, values = arguments(ask, self._prefix, self._member, run)
            pipe.eval(SCRIPT, len(keys), *keys, *values)
        return [parse_answer(found) for found in await pipe.execute()]

    def _open(self) -> Any:
        if self._client is None:
            # Imported by `prepare`, with the package.
            from redis.asyncio import Redis  # noqa: PLC0415
            from redis.asyncio.retry import Retry  # noqa: PLC0415
            from redis.backoff import NoBackoff  # noqa: PLC0415

            self._client = cast("Any", Redis).from_url(
                self._budget.url, retry=Retry(NoBackoff(), 0), max_connections=1
            )
        return self._client

    def _unavailable(self, error: Exception) -> BudgetUnavailable:
        why = type(error).__name__
        # The text of another error could quote the address, which can have a password.
        if isinstance(error, import_module("redis.exceptions").RedisError) and str(error):
            why += f": {error}"
        problem = f"the shared budget {self._budget.name!r} cannot be used, and nothing was sent"
        return BudgetUnavailable(f"{problem}; Redis: {why}")
