"""Marks of erased owners, and the removal of what is theirs."""

from collections.abc import Iterable, Sequence

from adapters.postgres.ledger.pool import Database, connect, translate_database_errors
from adapters.postgres.telemetry.upkeep import LOCK_MERGES
from domain.erasures.aggregate import ErasureCounts
from domain.erasures.ports import Owner

_MARK = """
    INSERT INTO erased_owners (owner, erasure_id, kind)
    SELECT owner, %s, kind FROM unnest(%s::text[], %s::text[]) AS marked (owner, kind) ON CONFLICT DO NOTHING
"""
_MARKED = "SELECT owner, kind FROM erased_owners WHERE erasure_id = %s ORDER BY owner"
# A transaction that stored a text without seeing the mark holds the table's lock until its end. Others wait meanwhile:
# rather than let one that hangs stop them all, this gives up, and the activity is retried.
_AWAIT_WRITERS = (
    "SET LOCAL lock_timeout = '2s'",
    """LOCK TABLE content, knowledge_documents, knowledge_chunks, knowledge_indexing, knowledge_staged_chunks
       IN SHARE MODE""",
)
_REMOVE_TEXTS = """
    WITH removed AS (
        DELETE FROM content WHERE owner IN (SELECT owner FROM erased_owners WHERE erasure_id = %(id)s) RETURNING owner
    ), counted AS (SELECT owner, count(*) AS texts FROM removed GROUP BY owner)
    UPDATE erased_owners AS e SET texts = e.texts + c.texts FROM counted AS c WHERE e.owner = c.owner
"""
_REMOVE_INSTRUCTIONS = """
    DELETE FROM approval_instructions WHERE approval_id IN (
        SELECT a.id FROM approvals AS a JOIN erased_owners AS e ON e.owner = a.owner WHERE e.erasure_id = %(id)s)
"""
_REMOVE_KNOWLEDGE = tuple(
    f"DELETE FROM {table} WHERE owner IN (SELECT owner FROM erased_owners WHERE erasure_id = %(id)s)"  # noqa: S608  (constants)
    for table in ("knowledge_documents", "knowledge_indexing", "knowledge_staged_chunks", "knowledge_chunks")
)
_REMOVE_ANSWERS = """
    WITH removed AS (DELETE FROM http_idempotency WHERE tenant_id = ANY(%s) OR tenant_id IS NULL RETURNING 1)
    INSERT INTO erased_answers AS e (erasure_id, answers) SELECT %s, count(*) FROM removed
    ON CONFLICT (erasure_id) DO UPDATE SET answers = e.answers + excluded.answers
"""
_REMOVE_LINKS = "DELETE FROM user_links WHERE owner IN (SELECT owner FROM erased_owners WHERE erasure_id = %s)"
_REMOVE_TENANT = (
    "DELETE FROM tenant_secrets WHERE tenant_id = %s",
    "DELETE FROM user_links WHERE tenant_id = %s",
    "DELETE FROM browser_sessions WHERE tenant_id = %s",
    "DELETE FROM approval_instructions WHERE tenant_id = %s",
    "DELETE FROM reconciliation_findings WHERE tenant_id = %s",
)
_AWAIT_TELEMETRY = (
    "SET LOCAL lock_timeout = '2s'",
    "LOCK TABLE telemetry_events, telemetry_rollups IN SHARE MODE",
)
_REMOVE_TELEMETRY = (
    "DELETE FROM telemetry_events WHERE tenant_id = %s",
    "DELETE FROM telemetry_rollups WHERE tenant_id = %s",
)
_COUNT = "UPDATE erased_owners SET histories = histories + %s WHERE erasure_id = %s AND owner = %s"
_COUNTS = """
    SELECT count(*), coalesce(sum(texts), 0)::bigint,
           coalesce((SELECT answers FROM erased_answers WHERE erasure_id = %(id)s), 0),
           coalesce(sum(histories), 0)::bigint
    FROM erased_owners WHERE erasure_id = %(id)s
"""


class PostgresErasedOwners:
    """`domain.erasures.ports.ErasedOwners` on PostgreSQL."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def mark(self, erasure_id: str, owners: Iterable[Owner]) -> int:
        kinds = {owner.id: owner.kind for owner in owners}
        with self._database.connection() as connection:
            return connection.execute(_MARK, (erasure_id, list(kinds), list(kinds.values()))).rowcount

    def read_marked(self, erasure_id: str) -> list[Owner]:
        with self._database.connection() as connection:
            return [Owner(*row) for row in connection.execute(_MARKED, (erasure_id,))]

    def remove_texts(self, erasure_id: str) -> None:
        with translate_database_errors(), connect(self._database.dsn) as connection:
            with connection.transaction():
                for statement in _AWAIT_WRITERS:
                    connection.execute(statement)
            with connection.transaction():
                connection.execute(_REMOVE_TEXTS, {"id": erasure_id})
                connection.execute(_REMOVE_INSTRUCTIONS, {"id": erasure_id})
                for statement in _REMOVE_KNOWLEDGE:
                    connection.execute(statement.encode(), {"id": erasure_id})

    def remove_answers(self, erasure_id: str, tenant_ids: Sequence[str]) -> None:
        with self._database.connection() as connection:
            connection.execute(_REMOVE_ANSWERS, (list(tenant_ids), erasure_id))

    def remove_links(self, erasure_id: str) -> None:
        with self._database.connection() as connection:
            connection.execute(_REMOVE_LINKS, (erasure_id,))

    def remove_tenant(self, tenant_id: str) -> None:
        with self._database.connection() as connection, connection.transaction():
            for statement in _REMOVE_TENANT:
                connection.execute(statement, (tenant_id,))

    def remove_telemetry(self, tenant_id: str) -> None:
        with translate_database_errors(), connect(self._database.dsn) as connection:
            with connection.transaction():
                for statement in _AWAIT_TELEMETRY:
                    connection.execute(statement)
            with connection.transaction():
                connection.execute(LOCK_MERGES)
                for statement in _REMOVE_TELEMETRY:
                    connection.execute(statement, (tenant_id,))

    def count_histories(self, erasure_id: str, owner: str, number: int) -> None:
        with self._database.connection() as connection:
            connection.execute(_COUNT, (number, erasure_id, owner))

    def counts(self, erasure_id: str) -> ErasureCounts:
        with self._database.connection() as connection:
            row = connection.execute(_COUNTS, {"id": erasure_id}).fetchone()
        return ErasureCounts(*row) if row else ErasureCounts(0, 0, 0, 0)
