"""Queries of exports: answered turns and decisions, with their texts."""

from typing import Any

from adapters.postgres.ledger.pool import Database
from domain.signatures.export import ExportedFact, TurnPlace, previous_in
from domain.signatures.statements import AnsweredTurn, ApprovalResult

_TURNS = """
    SELECT t.session_id, t.turn, t.tenant_id, coalesce(t.origin_session_id, t.session_id), t.agent_id, t.agent_version,
        t.model, t.message_hash, t.reply_hash, t.ended_at, t.signature, m.body, r.body
    FROM chat_turns AS t
    LEFT JOIN content AS m
        ON m.owner = split_part(coalesce(t.origin_session_id, t.session_id), '/', 1) AND m.hash = t.message_hash
    LEFT JOIN content AS r
        ON r.owner = split_part(coalesce(t.origin_session_id, t.session_id), '/', 1) AND r.hash = t.reply_hash
    WHERE t.session_id >= %s AND t.session_id < %s AND (t.session_id, t.turn) > (%s, %s)
        AND t.status = 'completed' AND t.reply_hash IS NOT NULL
    ORDER BY t.session_id, t.turn LIMIT %s
"""
_DECISIONS = """
    SELECT a.tenant_id, a.id, a.workflow_id, a.agent_id, a.status, a.decided_by,
        coalesce(a.edited_hash, a.content_hash), a.comment_hash, a.decided_at, a.signature, c.body, m.body
    FROM approvals AS a
    LEFT JOIN content AS c ON c.owner = a.owner AND c.hash = coalesce(a.edited_hash, a.content_hash)
    LEFT JOIN content AS m ON m.owner = a.owner AND m.hash = a.comment_hash
    WHERE a.tenant_id = %s AND a.workflow_id = %s AND a.id > %s AND a.status IN ('approved', 'rejected')
    ORDER BY a.id LIMIT %s
"""


class PostgresExports:
    """`domain.signatures.export.ExportReads` on the views."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def turns(self, root_id: str, after: TurnPlace | None, limit: int) -> list[tuple[TurnPlace, ExportedFact]]:
        start = after or TurnPlace(root_id, 0)
        found: list[tuple[Any, ...]] = []
        # two ranges: names of other sessions that begin with this one's lie between its own turns and the nested ones
        for low, high in ((root_id, f"{root_id}\x01"), (f"{root_id}/", f"{root_id}0")):
            if start.session_id < high and len(found) < limit:
                values = (low, high, start.session_id, start.turn, limit - len(found))
                found += self._rows(_TURNS, *values)
        return [_to_turn(row) for row in found]

    def decisions(self, tenant_id: str, workflow_id: str, after: str, limit: int) -> list[ExportedFact]:
        return [_to_decision(row) for row in self._rows(_DECISIONS, tenant_id, workflow_id, after, limit)]

    def _rows(self, statement: str, *values: object) -> list[tuple[Any, ...]]:
        with self._database.connection() as connection:
            return connection.execute(statement.encode(), values, prepare=True, binary=True).fetchall()


def _to_turn(row: tuple[Any, ...]) -> tuple[TurnPlace, ExportedFact]:
    place, turn, tenant_id, session_id, agent_id, version, model, said, reply, at, signature, message, response = row
    fact = AnsweredTurn(
        tenant_id=tenant_id,
        session_id=session_id,
        turn=turn,
        agent_id=agent_id,
        agent_version=version,
        model=model,
        message_hash=said,
        content_hash=reply,
        at=at,
        previous=previous_in(signature),
    )
    return TurnPlace(place, turn), ExportedFact(fact, {"message": message, "response": response}, signature)


def _to_decision(row: tuple[Any, ...]) -> ExportedFact:
    *fields, signature, content, comment = row
    return ExportedFact(ApprovalResult(*fields), {"content": content, "comment": comment}, signature)
