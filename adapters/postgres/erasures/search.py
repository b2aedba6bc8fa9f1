"""What belongs to a subject, by the views, the texts, and the links of users."""

from collections.abc import Iterable, Sequence

import orjson

from adapters.postgres.ledger.pool import Database, connect, translate_database_errors
from domain.erasures import users
from domain.erasures.ports import Expiry, Owner, OwnerKind
from domain.records.integer_ids import TenantSecrets
from domain.tenant_ids import tenant_of

_RUNS = ("exec_", "task_")
_RECORDS = ("approval_", "component_", "document_", "embedding_", "key_", "tenant_")
_STREAMS = ("client", "project", "talent")
"""Owners that are named by their stream."""
_HAS_TEXTS = "SELECT EXISTS (SELECT FROM content WHERE owner = %s)"
_FORKS = """
    WITH RECURSIVE found (id) AS (
        SELECT unnest(%s::text[]) COLLATE "C"
        UNION SELECT s.session_id FROM chat_sessions AS s JOIN found AS f ON s.origin_session_id = f.id
    ) SELECT id FROM found
"""
_LINKED = "SELECT owner FROM user_links WHERE tenant_id = %s AND pseudonym = %s"
# of sessions from before there were links
_NAMED = "SELECT DISTINCT user_id FROM chat_sessions WHERE tenant_id = %s AND user_id IS NOT NULL"
_OF_NAMED = "SELECT session_id FROM chat_sessions WHERE tenant_id = %s AND user_id = ANY(%s)"
_SCHEDULED = """
    SELECT s.schedule_id, c.body FROM schedules AS s JOIN content AS c ON c.owner = s.schedule_id
    WHERE s.tenant_id = %s AND c.body LIKE '{%%'
"""
_INSIDE = """
    WITH RECURSIVE found (id) AS (
        SELECT unnest(%s::text[]) COLLATE "C"
        UNION SELECT started.id FROM found AS f, LATERAL (
            SELECT execution_id AS id FROM executions WHERE root_id = f.id
            UNION ALL
            SELECT child_id FROM execution_nodes WHERE execution_id = f.id AND child_id IS NOT NULL
        ) AS started
    ) SELECT id FROM found
"""
_APPROVALS = "SELECT id FROM approvals WHERE owner = ANY(%s)"
_OF_TENANT = """
    SELECT DISTINCT owner FROM content WHERE owner LIKE %(ids)s OR owner LIKE %(records)s
    UNION SELECT session_id FROM chat_sessions WHERE tenant_id = %(tenant_id)s
    UNION SELECT task_id FROM swarms WHERE tenant_id = %(tenant_id)s
    UNION SELECT execution_id FROM executions WHERE tenant_id = %(tenant_id)s
    UNION SELECT schedule_id FROM schedules WHERE tenant_id = %(tenant_id)s
"""
# A fork reads the texts of its origin, which are kept for as long as the fork is.
_PAST = {
    "session": """
        SELECT s.session_id AS owner, s.last_at AS at FROM chat_sessions AS s
        WHERE s.tenant_id = %(tenant_id)s AND s.last_at < %(before)s AND s.status IN ('idle', 'ended') AND NOT EXISTS (
            WITH RECURSIVE forks AS (
                SELECT f.session_id, f.last_at, f.status FROM chat_sessions AS f
                WHERE f.origin_session_id = s.session_id
                UNION SELECT f.session_id, f.last_at, f.status
                FROM chat_sessions AS f JOIN forks ON f.origin_session_id = forks.session_id
            ) SELECT FROM forks WHERE last_at >= %(before)s OR status NOT IN ('idle', 'ended'))
    """,
    "swarm": """
        SELECT task_id AS owner, ended_at AS at FROM swarms WHERE tenant_id = %(tenant_id)s AND ended_at < %(before)s
    """,
    "execution": """
        SELECT execution_id AS owner, ended_at AS at FROM executions
        WHERE tenant_id = %(tenant_id)s AND parent_id IS NULL AND ended_at < %(before)s
    """,
}
_EXPIRED = """
    SELECT past.owner FROM ({past}) AS past
    WHERE NOT EXISTS (SELECT FROM erased_owners AS e WHERE e.owner = past.owner)
      AND NOT EXISTS (SELECT FROM erased_owners AS e WHERE e.erasure_id = %(erasure_id)s)
    ORDER BY past.at, past.owner LIMIT 5000
"""


class PostgresOwnerSearch:
    """`domain.erasures.ports.OwnerSearch` on PostgreSQL."""

    def __init__(self, database: Database, secrets: TenantSecrets) -> None:
        self._database = database
        self._secrets = secrets

    def has_texts(self, owner: str) -> bool:
        return bool(self._column(_HAS_TEXTS, owner)[0])

    def of_session(self, session_id: str) -> list[Owner]:
        return [Owner(found, "session") for found in self._column(_FORKS, [session_id])]

    def of_user(self, tenant_id: str, pseudonym: str) -> list[Owner]:
        secret = self._secrets.secret(tenant_id, users.PURPOSE)

        def is_subject(user_id: object) -> bool:
            return isinstance(user_id, str) and users.pseudonym(secret, user_id) == pseudonym

        named = [user_id for user_id in self._column(_NAMED, tenant_id) if is_subject(user_id)]
        found = [*self._column(_LINKED, tenant_id, pseudonym), *self._column(_OF_NAMED, tenant_id, named)]
        sessions = [owner for owner in found if kind_of(owner) == "session"]
        scheduled = {
            schedule_id for schedule_id, body in self._rows(_SCHEDULED, tenant_id) if is_subject(_user_of(body))
        }
        return _owners([*found, *self._column(_FORKS, sessions), *scheduled])

    def of_tenant(self, tenant_id: str) -> list[Owner]:
        values = {"tenant_id": tenant_id, "ids": f"%{tenant_id}~%", "records": f"%~{tenant_id}:%"}
        with translate_database_errors(), connect(self._database.dsn) as connection:
            found = [row[0] for row in connection.execute(_OF_TENANT, values)]
        return _owners(owner for owner in found if _is_of(owner, tenant_id))

    def of_expired(self, tenant_id: str, expiry: Expiry, erasure_id: str) -> list[Owner]:
        statement = _EXPIRED.format(past=_PAST[expiry.kind])
        values = {"tenant_id": tenant_id, "before": expiry.before, "erasure_id": erasure_id}
        with translate_database_errors(), connect(self._database.dsn) as connection:
            return _owners(row[0] for row in connection.execute(statement.encode(), values))

    def inside(self, run_ids: Sequence[str]) -> list[Owner]:
        return [Owner(found, "run") for found in self._column(_INSIDE, list(run_ids))]

    def approvals(self, owners: Sequence[str]) -> list[str]:
        return self._column(_APPROVALS, list(owners))

    def _column(self, statement: str, *values: object) -> list[str]:
        return [row[0] for row in self._rows(statement, *values)]

    def _rows(self, statement: str, *values: object) -> list[tuple[str, ...]]:
        with self._database.connection() as connection:
            return connection.execute(statement.encode(), values).fetchall()


def kind_of(owner: str) -> OwnerKind:
    """Return the kind of an owner of texts, by its id."""
    if owner.startswith(_RUNS):
        return "run"
    if owner.startswith("schedule_"):
        return "schedule"
    return "record" if ":" in owner or owner.startswith(_RECORDS) else "session"


def _owners(ids: Iterable[str]) -> list[Owner]:
    return [Owner(owner, kind_of(owner)) for owner in dict.fromkeys(ids)]


def _is_of(owner: str, tenant_id: str) -> bool:
    """Return whether an owner is the tenant's: `acme~s1`, `exec_acme~0f` or `talent~acme:17`."""
    kind, _, named = owner.partition(":")[0].partition("~")
    return named == tenant_id if ":" in owner and kind in _STREAMS else tenant_of(owner) == tenant_id


def _user_of(body: str) -> object:
    """Return the user that the target of a schedule names, if it does."""
    try:
        target = orjson.loads(body)
    except orjson.JSONDecodeError:  # the name of a schedule that begins with a brace
        return None
    context = target.get("context") if isinstance(target, dict) else None
    return context.get("user_id") if isinstance(context, dict) else None
