"""Queries of swarms."""

from collections.abc import Iterable, Mapping
from dataclasses import fields
from datetime import datetime
from decimal import Decimal
from typing import Any

from adapters.postgres.ledger.pool import Database
from domain.swarm.members import seat_of_session
from domain.swarm.ports import MemberUsage, SwarmFilter, SwarmPage, SwarmView
from domain.swarm.views import SeatRow, SwarmRow

_SWARM_COLUMNS = ", ".join(field.name for field in fields(SwarmRow))
_SEAT_COLUMNS = ", ".join(field.name for field in fields(SeatRow))
_SWARM = f"SELECT {_SWARM_COLUMNS} FROM swarms WHERE task_id = %s"  # noqa: S608  (column names)
_SEATS = f"SELECT {_SEAT_COLUMNS} FROM swarm_members WHERE task_id = ANY(%s) ORDER BY task_id, place"  # noqa: S608  (the same)
_SPENT = """
    SELECT session_id, sum(total_tokens)::bigint, sum(cost) FROM cost_calls WHERE workflow_id = ANY(%s) GROUP BY 1
"""
_CONDITIONS = {
    "tenant_id": "tenant_id = %(tenant_id)s",
    "status": "status = %(status)s",
    "mode": "mode = %(mode)s",
    "agent_id": "(coordinator = %(agent_id)s OR %(agent_id)s = ANY(members))",
}
_UNENDED = f"""
    SELECT {_SWARM_COLUMNS} FROM swarms WHERE ended_at IS NULL AND requested_at < %s ORDER BY requested_at LIMIT %s
"""  # noqa: S608  (the same)


class PostgresSwarms:
    """`domain.swarm.ports.SwarmReads` on the views; costs are read from the cost ledger's view."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def swarm(self, task_id: str) -> SwarmView | None:
        seen = self._load_swarms([SwarmRow(*row) for row in self._rows(_SWARM, task_id)])
        return seen[0] if seen else None

    def page(self, wanted: SwarmFilter, *, skip: int, limit: int) -> SwarmPage:
        values = {f.name: value for f in fields(wanted) if (value := getattr(wanted, f.name)) is not None}
        passing = " AND ".join(_CONDITIONS[name] for name in values)
        page = f"""
            SELECT {_SWARM_COLUMNS} FROM swarms WHERE {passing}
            ORDER BY requested_at DESC, task_id DESC OFFSET %(skip)s LIMIT %(limit)s
        """  # noqa: S608  (column names and the conditions above)
        count = f"SELECT count(*) FROM swarms WHERE {passing}"  # noqa: S608  (the same)
        with self._database.connection() as connection:
            rows = connection.execute(page.encode(), {**values, "skip": skip, "limit": limit}, binary=True).fetchall()
            total = connection.execute(count.encode(), values).fetchone()
        return SwarmPage(self._load_swarms([SwarmRow(*row) for row in rows]), total[0] if total else 0)

    def open_swarms(self, before: datetime, limit: int) -> list[SwarmRow]:
        return [SwarmRow(*row) for row in self._rows(_UNENDED, before, limit)]

    def _load_swarms(self, rows: list[SwarmRow]) -> list[SwarmView]:
        """Return the swarms with their members and costs."""
        wanted = [row.task_id for row in rows]
        seats: dict[str, list[SeatRow]] = {task_id: [] for task_id in wanted}
        for row in self._rows(_SEATS, wanted) if wanted else ():
            seat = SeatRow(*row)
            seats[seat.task_id].append(seat)
        spent = _costs_by_member(self._rows(_SPENT, wanted)) if wanted else {}
        return [_add_costs(row, tuple(seats[row.task_id]), spent.get(row.task_id, {})) for row in rows]

    def _rows(self, statement: str, *values: object) -> list[tuple[Any, ...]]:
        with self._database.connection() as connection:
            return connection.execute(statement.encode(), values, prepare=True, binary=True).fetchall()


def _costs_by_member(rows: Iterable[tuple[str, int, Decimal]]) -> dict[str, dict[str, MemberUsage]]:
    """Return the costs of each swarm's members; sessions within a member's session count as its own."""
    spent: dict[str, dict[str, MemberUsage]] = {}
    for session_id, tokens, cost in rows:
        if place := seat_of_session(session_id):
            task_id, seat = place
            before = spent.setdefault(task_id, {}).get(seat, MemberUsage())
            spent[task_id][seat] = MemberUsage(before.tokens + tokens, before.cost + cost)
    return spent


def _add_costs(row: SwarmRow, seats: tuple[SeatRow, ...], spent: Mapping[str, MemberUsage]) -> SwarmView:
    total = MemberUsage(
        sum(each.tokens for each in spent.values()), sum((each.cost for each in spent.values()), Decimal(0))
    )
    return SwarmView(row, seats, spent, total)
