"""Slots for calls to providers in Redis or Valkey: one script, the server's clock, one set of keys a provider."""

from collections.abc import Collection, Iterator, Sequence

from adapters.redis.scripts import SharedScript
from domain.providers.ports import SlotEnd, SlotRequest
from domain.providers.table import ProviderLimits

_PREFIX = "convergio:slots:"
LEASE_MS = 15_000
"""The time after which a slot is free whose process does not keep it any more, such as one that was killed."""
WAITING_MS = 2_000
"""The same for a place in the queue."""

# Weighted fair queueing: a call's tag is the time at which its tenant would be served if each tenant were served at the
# rate of its weight; the lowest tag is served first. `clock` is the tag that was served last, so that a tenant that was
# idle has no credit. Slots are leases. Requests and tokens are counted by the second, over the last sixty.
_POLL = """
local slots, waiting, alive, tags, rates = KEYS[1], KEYS[2], KEYS[3], KEYS[4], KEYS[5]
local time = redis.call('TIME')
local second, now = tonumber(time[1]), time[1] * 1000 + math.floor(time[2] / 1000)
local most, requests, tokens = tonumber(ARGV[1]), tonumber(ARGV[2]), tonumber(ARGV[3])
local lease, patience = tonumber(ARGV[4]), tonumber(ARGV[5])
local at = 9
local function take() at = at + 1; return ARGV[at - 1] end

for _ = 1, tonumber(ARGV[8]) do
  local id, used = take(), tonumber(take())
  redis.call('ZREM', slots, id)
  if tokens > 0 and used ~= 0 then redis.call('HINCRBY', rates, 't' .. second, used) end
end
for _ = 1, tonumber(ARGV[7]) do redis.call('ZADD', slots, now + lease, take()) end
redis.call('ZREMRANGEBYSCORE', slots, '-inf', now)
for _, id in ipairs(redis.call('ZRANGEBYSCORE', alive, '-inf', now)) do
  redis.call('ZREM', waiting, id)
  redis.call('ZREM', alive, id)
end

local clock = tonumber(redis.call('HGET', tags, '') or 0)
local mine = {}
for _ = 1, tonumber(ARGV[6]) do
  local id, tenant, weight, size = take(), take(), tonumber(take()), tonumber(take())
  mine[id] = size
  if not redis.call('ZSCORE', waiting, id) then
    local tag = math.max(clock, tonumber(redis.call('HGET', tags, tenant) or 0)) + 1 / weight
    redis.call('HSET', tags, tenant, string.format('%.17g', tag))
    redis.call('ZADD', waiting, string.format('%.17g', tag), id)
  end
  redis.call('ZADD', alive, now + patience, id)
end

local sum = {r = 0, t = 0}
if requests > 0 or tokens > 0 then
  local fields = redis.call('HGETALL', rates)
  for i = 1, #fields, 2 do
    local kind, when = string.match(fields[i], '^(.)(%d+)$')
    if tonumber(when) > second - 60 then
      sum[kind] = sum[kind] + tonumber(fields[i + 1])
    else
      redis.call('HDEL', rates, fields[i])
    end
  end
end

local free = 1000
if most > 0 then free = math.min(free, most - redis.call('ZCARD', slots)) end
local granted = {}
local first = {}
if free > 0 then first = redis.call('ZRANGE', waiting, 0, free - 1, 'WITHSCORES') end
for i = 1, #first, 2 do
  local id = first[i]
  if mine[id] then
    local size = mine[id]
    if requests > 0 and sum.r >= requests then break end
    if tokens > 0 and sum.t > 0 and sum.t + size > tokens then break end
    redis.call('ZREM', waiting, id)
    redis.call('ZREM', alive, id)
    if most > 0 then redis.call('ZADD', slots, now + lease, id) end
    clock = math.max(clock, tonumber(first[i + 1]))
    sum.r = sum.r + 1
    sum.t = sum.t + size
    if requests > 0 then redis.call('HINCRBY', rates, 'r' .. second, 1) end
    if tokens > 0 then redis.call('HINCRBY', rates, 't' .. second, size) end
    granted[#granted + 1] = id
  end
end
redis.call('HSET', tags, '', string.format('%.17g', clock))
for i = 1, 5 do redis.call('PEXPIRE', KEYS[i], 3600000) end
return granted
"""


class RedisProviderSlots:
    """Implements `domain.providers.ports.ProviderSlots`; all processes share the slots."""

    def __init__(self, url: str, *, prefix: str = _PREFIX) -> None:
        self._script = SharedScript(url, _POLL)
        self._prefix = prefix

    async def poll(
        self,
        provider: str,
        limits: ProviderLimits,
        waiting: Sequence[SlotRequest],
        held: Collection[str],
        ended: Sequence[SlotEnd],
    ) -> frozenset[str]:
        """Return the ids of the waiting calls that have a slot now; see the port."""
        kept = held if limits.concurrency else ()
        counts = [len(waiting), len(kept), len(ended)]
        args = [*_numbers(limits), LEASE_MS, WAITING_MS, *counts, *_entries(waiting, kept, ended)]
        granted: list[bytes | str] = await self._script.run(self._keys(provider), args)
        return frozenset(each.decode() if isinstance(each, bytes) else each for each in granted)

    async def close(self) -> None:
        """Close the connection; see the port."""
        await self._script.close()

    def _keys(self, provider: str) -> list[str]:
        # one hash slot of a cluster: the part in braces is hashed
        return [f"{self._prefix}{{{provider}}}:{part}" for part in ("held", "waiting", "alive", "tags", "rates")]


def _numbers(limits: ProviderLimits) -> list[int]:
    return [limits.concurrency or 0, limits.requests_per_minute or 0, limits.tokens_per_minute or 0]


def _entries(
    waiting: Sequence[SlotRequest], held: Collection[str], ended: Sequence[SlotEnd]
) -> Iterator[str | int | float]:
    """Yield the variable part of the arguments, in the order in which the script takes them."""
    for end in ended:
        yield from (end.id, end.tokens)
    yield from held
    for each in waiting:
        yield from (each.id, each.tenant_id, each.weight, each.tokens)
