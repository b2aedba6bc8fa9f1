"""`convergio key create`: a key without a key to create it with."""

from collections.abc import Sequence

from adapters.postgres.ledger.content import PostgresContent
from adapters.postgres.ledger.pool import Database
from adapters.postgres.ledger.recorder import LedgerRecorder
from domain.errors import Invalid
from domain.events import Cause
from domain.ids import random_id
from domain.keys.commands import KeyCommands, WantedKey
from domain.keys.policy import SCOPES
from domain.ledger import Ledger
from domain.registry import event_registry
from domain.tenants.commands import TenantCommands
from runtime.settings import Settings
from runtime.wiring.parts import now

OPERATOR = "operator"
"""Who the events of keys are `by` that were created on the command line."""
_MAX_NAME = 200


def create_key(settings: Settings, name: str, scopes: Sequence[str], tenant_id: str) -> str:
    """Create a key and return its text.

    Raises:
        Invalid: a scope or the name cannot be, or there is no such tenant.
        domain.errors.Unavailable: the database cannot be reached.
    """
    if unknown := sorted(set(scopes) - set(SCOPES)):
        raise Invalid(f"there is no scope {', '.join(unknown)}: there are {', '.join(SCOPES)}")
    if not 0 < len(name.strip()) <= _MAX_NAME:
        raise Invalid(f"a name has 1 to {_MAX_NAME} characters")
    database = Database(settings.database_url or "", size=1)
    database.open()
    try:
        ledger = Ledger(LedgerRecorder(database), event_registry())
        commands = KeyCommands(ledger, PostgresContent(database), TenantCommands(ledger))
        cause = Cause(by=OPERATOR, because=random_id("command"), at=now(), tenant_id=tenant_id)
        return commands.create(WantedKey(name.strip(), scopes), SCOPES, cause, key=None).text or ""
    finally:
        database.close()
