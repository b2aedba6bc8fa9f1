"""Outcomes of model calls in Redis or Valkey, counted in tenths of a window by the server's clock."""

from typing import Any

from adapters.redis.scripts import SharedScript
from domain.providers.circuit import Outcomes

_PREFIX = "convergio:outcomes:"
_SLICES = 10
_ADD = """
local clock = redis.call('TIME')
local now = clock[1] * 1000 + math.floor(clock[2] / 1000)
local size, slices = tonumber(ARGV[1]) / tonumber(ARGV[2]), tonumber(ARGV[2])
local newest = math.floor(now / size)
if tonumber(ARGV[3]) > 0 then redis.call('HINCRBY', KEYS[1], newest .. ':s', ARGV[3]) end
if tonumber(ARGV[4]) > 0 then redis.call('HINCRBY', KEYS[1], newest .. ':f', ARGV[4]) end
redis.call('PEXPIRE', KEYS[1], 2 * tonumber(ARGV[1]))
local counted = {s = 0, f = 0}
local fields = redis.call('HGETALL', KEYS[1])
for i = 1, #fields, 2 do
  local slice, outcome = string.match(fields[i], '^(%d+):(.)$')
  if tonumber(slice) > newest - slices then
    counted[outcome] = counted[outcome] + tonumber(fields[i + 1])
  else
    redis.call('HDEL', KEYS[1], fields[i])
  end
end
return {counted.s, counted.f}
"""
_CLEAR = "return redis.call('DEL', KEYS[1])"


class RedisOutcomeCounts:
    """Implements `domain.providers.ports.OutcomeCounts`; all processes share the counts.

    It is asked about once a second, so that each time has a connection of its own.
    """

    def __init__(self, url: str, window_s: float, *, prefix: str = _PREFIX) -> None:
        self._url = url
        self._window_ms = int(window_s * 1000)
        self._prefix = prefix

    async def add(self, circuit: str, *, succeeded: int, failed: int) -> Outcomes:
        """Add outcomes; see the port."""
        good, bad = await self._run(_ADD, circuit, self._window_ms, _SLICES, succeeded, failed)
        return Outcomes(int(good) + int(bad), int(bad))

    async def clear(self, circuit: str) -> None:
        """Forget the outcomes of a circuit; see the port."""
        await self._run(_CLEAR, circuit)

    async def _run(self, source: str, circuit: str, *args: int) -> Any:
        # not the same connection for calls that overlap: the answers would come to the wrong one
        script = SharedScript(self._url, source)
        try:
            return await script.run([self._prefix + circuit], args)
        finally:
            await script.close()
