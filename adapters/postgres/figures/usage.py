"""Statements that sum the usage of a scope, in all and by day."""

from adapters.postgres.figures.definitions import CALL_FIGURES, OF_CONVERSATION, OWN_TURN, day_start, within

_FROM = {
    "calls": ("cost_calls", "{of}", CALL_FIGURES, "cost_calls.at"),
    "chats": ("chat_sessions", f"{{of}} AND {OF_CONVERSATION}", "count(*) AS chats", "chat_sessions.opened_at"),
    "turns": (
        "chat_turns",
        f"chat_turns.tenant_id = %(tenant_id)s AND chat_turns.{OWN_TURN} AND {OF_CONVERSATION}",
        "count(*) AS turns",
        "chat_turns.at",
    ),
    "runs": ("executions", "{of} AND parent_id IS NULL", "count(*) AS runs", "executions.started_at"),
    "tasks": ("swarms", "{of}", "count(*) AS tasks", "swarms.requested_at"),
}
"""Of each table: its rows, its figures, and when a row happened."""
_DAYS = "generate_series(%(first)s::date::timestamp, %(last)s::date::timestamp, interval '1 day')"


def _scope(table: str, *, of_project: bool) -> str:
    own = f"{table}.tenant_id = %(tenant_id)s"
    return f"{own} AND {table}.project_id = %(project_id)s" if of_project else own


def _rows(name: str, *, of_project: bool) -> str:
    """Return a table with the conditions on its rows."""
    table, condition, _, _ = _FROM[name]
    if name == "turns" and of_project:  # turns are linked by their session
        table, condition = f"{table} JOIN chat_sessions USING (session_id)", f"{{of}} AND {condition}"
    of = _scope("chat_sessions" if name == "turns" else table, of_project=of_project)
    return f"{table} WHERE {condition.format(of=of)}"


def _count(name: str, *, of_project: bool) -> str:
    return f"(SELECT count(*) FROM {_rows(name, of_project=of_project)})"  # noqa: S608  (the constants above)


def _by_day(name: str, *, of_project: bool) -> str:
    """Return a query of figures by the number of the day. A search among days is faster than a time zone's rules."""
    _, _, figures, at = _FROM[name]
    return f"""
        SELECT width_bucket({at}, (SELECT starts FROM days)) AS day, {figures}
        FROM {_rows(name, of_project=of_project)} AND {within(at)} GROUP BY 1
    """  # noqa: S608  (the constants above)


def total_statement(*, of_project: bool) -> str:
    """Return the query of all usage since the beginning, in the order of the fields of `UsageFigures`."""
    counts = ", ".join(_count(name, of_project=of_project) for name in ("chats", "turns", "runs", "tasks"))
    calls = f"SELECT {CALL_FIGURES} FROM {_rows('calls', of_project=of_project)}"  # noqa: S608  (the constants above)
    return f"SELECT calls.*, {counts} FROM ({calls}) AS calls"  # noqa: S608  (the same)


def daily_statement(*, of_project: bool) -> str:
    """Return the query of a period's days without gaps: the day, and the fields of `UsageFigures`."""
    parts = ",\n".join(f"{name} AS ({_by_day(name, of_project=of_project)})" for name in _FROM)
    joins = " ".join(f"LEFT JOIN {name} ON {name}.day = number" for name in _FROM)
    return f"""
        WITH days AS (SELECT array_agg({day_start("day")} ORDER BY day) AS starts FROM {_DAYS} AS day), {parts}
        SELECT each::date, coalesce(cost, 0), coalesce(tokens, 0), coalesce(requests, 0), coalesce(reserved, 0),
            coalesce(failed, 0), coalesce(unknown, 0), coalesce(open_cost, 0),
            coalesce(chats, 0), coalesce(turns, 0), coalesce(runs, 0), coalesce(tasks, 0)
        FROM {_DAYS} WITH ORDINALITY AS all_days (each, number) {joins}
        ORDER BY 1
    """  # noqa: S608  (the constants above)
