"""The scripts that write and seal the live frames of a call.

A call has a stream of frames, whose ids end in their index from 1, and a hash with its state: the `generation` of the
list, the `attempt` that writes it, the `last` index, how many frames of this attempt are `sent`, and `sealed`.
"""

PREFIX = "convergio:live:"
KEPT_S = 900
"""Seconds for which frames are kept after the last one."""

# The frames of a batch are numbered within their attempt, so that a repeat whose first answer was lost adds nothing.
# A list that is gone although this attempt has written to it is not begun again: its frames would get used indexes.
APPEND = """
local state = redis.call('HMGET', KEYS[2], 'sealed', 'generation', 'attempt', 'last', 'sent')
if state[1] then return -1 end
local generation, attempt = state[2], tonumber(state[3] or 0)
local last, sent = tonumber(state[4] or 0), tonumber(state[5] or 0)
local mine, known = tonumber(ARGV[2]), tonumber(ARGV[3])
if generation and mine < attempt then return -1 end
if not generation or mine > attempt then sent = 0 end
if known > sent then return -1 end
local frames = {}
if generation and mine > attempt and last > 0 then frames[1] = ARGV[8] end
for i = 9 + sent - known, #ARGV do frames[#frames + 1] = ARGV[i] end
if last + #frames > tonumber(ARGV[5]) then return -1 end
generation = generation or ARGV[1]
for i, frame in ipairs(frames) do
  redis.call('XADD', KEYS[1], '0-' .. (last + i), 'f', frame)
end
redis.call('HSET', KEYS[2], 'generation', generation, 'attempt', mine, 'last', last + #frames,
  'sent', math.max(sent, known + #ARGV - 8))
redis.call('EXPIRE', KEYS[1], ARGV[4])
redis.call('EXPIRE', KEYS[2], ARGV[4])
if #frames > 0 then
  redis.call('PUBLISH', ARGV[6],
    cjson.encode({call = ARGV[7], generation = generation, first = last + 1, frames = frames}))
end
return last + #frames
"""

SEAL = """
local state = redis.call('HMGET', KEYS[1], 'generation', 'last')
redis.call('HSET', KEYS[1], 'sealed', 1)
redis.call('EXPIRE', KEYS[1], ARGV[1])
return {state[1] or '', tonumber(state[2] or 0)}
"""


def frames_key(stream: str, call_id: str) -> str:
    """Return the key of a call's frames; the braces keep all keys of a stream in one slot of a cluster."""
    return f"{PREFIX}{{{stream}}}:{call_id}:frames"


def state_key(stream: str, call_id: str) -> str:
    return f"{PREFIX}{{{stream}}}:{call_id}:state"


def stream_of(key: str) -> str:
    """Return the stream that a key belongs to."""
    return key.removeprefix(PREFIX).partition("}")[0].removeprefix("{")


def channel(stream: str) -> str:
    """Return the channel on which frames of a conversation are published."""
    return f"{PREFIX}{stream}"
