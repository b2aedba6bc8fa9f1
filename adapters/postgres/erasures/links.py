"""Links of users to what they started."""

from adapters.postgres.ledger.pool import Database
from domain.erasures import users
from domain.records.integer_ids import TenantSecrets

_LINK = "INSERT INTO user_links (tenant_id, pseudonym, owner) VALUES (%s, %s, %s) ON CONFLICT DO NOTHING"


class PostgresUserLinks:
    """`domain.erasures.ports.UserLinks` on PostgreSQL."""

    def __init__(self, database: Database, secrets: TenantSecrets) -> None:
        self._database = database
        self._secrets = secrets

    def link(self, tenant_id: str, user_id: str, owner: str) -> None:
        pseudonym = users.pseudonym(self._secrets.secret(tenant_id, users.PURPOSE), user_id)
        with self._database.connection() as connection:
            connection.execute(_LINK, (tenant_id, pseudonym, owner), prepare=True)
