"""Each figure's definition as SQL, once: whoever shows a figure takes it from here."""

CALL_FIGURES = """
    coalesce(sum(cost), 0) AS cost, coalesce(sum(total_tokens), 0)::bigint AS tokens,
    count(*) FILTER (WHERE state IN ('settled', 'cut')) AS requests,
    count(*) FILTER (WHERE state = 'reserved') AS reserved, count(*) FILTER (WHERE state = 'failed') AS failed,
    count(*) FILTER (WHERE state = 'unknown') AS unknown,
    coalesce(sum(worst_case) FILTER (WHERE state IN ('reserved', 'unknown')), 0) AS open_cost
"""
"""Over `cost_calls`, in the order of the fields of a `UsageGroup` after its name."""
OWN_TURN = "origin_session_id IS NULL"
"""Turns that a fork has copied count where they happened."""
OF_CONVERSATION = "strpos(session_id, '/') = 0"
"""Sessions of conversations, and not those inside of runs and of other sessions."""
COMPLETED = "status = 'completed'"
FAILED = "(status = 'failed' AND code IS DISTINCT FROM 'CANCELLED')"
"""Turns that a person stopped or rejected have not failed."""
IS_TIMED = f"({COMPLETED} AND approval_id IS NULL)"
"""Turns that waited for a person are not timed, as their time of work is not known."""
SECONDS = "extract(epoch FROM ended_at - at)::double precision"
"""The response time of a turn: from its (last) start to its answer."""
TURN_OUTCOMES = f"count(*) FILTER (WHERE {COMPLETED}) AS completed, count(*) FILTER (WHERE {FAILED}) AS failed"
"""Over `chat_turns`."""


def day_start(day: str) -> str:
    """Return the moment at which a day (a date) begins in the time zone of a `UsagePeriod`.

    Where clocks go back over midnight there are two midnights, and the database takes the second one: an hour of the
    day would be lost.
    """
    midnight = f"({day})::timestamp"
    hour = "interval '1 hour'"
    return f"least({midnight} AT TIME ZONE %(time_zone)s, ({midnight} - {hour}) AT TIME ZONE %(time_zone)s + {hour})"


def within(at: str) -> str:
    """Return the condition that a moment is in a `UsagePeriod`. The bounds are moments, so that an index serves them.

    Its parameters are `first`, `last`, `time_zone` and `since`.
    """
    return f"""
        {at} >= coalesce(%(since)s::timestamptz, {day_start("%(first)s::date")})
        AND {at} < {day_start("%(last)s::date + 1")}
    """
