"""Composes the check of keys, and the routes of keys and tenants."""

from dataclasses import dataclass

from fastapi import APIRouter

from adapters.memory.keys import JoinedKeys
from adapters.postgres.keys.changes import AccessChanges
from adapters.postgres.keys.store import PostgresKeys
from adapters.postgres.keys.uses import KeyUses
from adapters.postgres.keys.views import PostgresKeyViews
from adapters.postgres.tenants import PostgresTenants
from api.http.dependencies import Positions
from api.keys import routes as keys
from api.tenants import routes as tenants
from domain.keys.commands import KeyCommands, KeyLookup
from domain.keys.ports import KeyStore
from domain.tenants.commands import TenantCommands
from runtime.wiring.parts import Parts, now


@dataclass(frozen=True, slots=True)
class Access:
    """The check of the keys of a process. Start it once the database is open, and close it before."""

    keys: KeyStore
    changes: AccessChanges
    uses: KeyUses

    def start(self) -> None:
        self.changes.start()

    async def close(self) -> None:
        self.changes.close()
        await self.uses.finish()


def make_access(parts: Parts, named: KeyStore) -> Access:
    """Return the check of the keys that the settings name, and of those that were created."""
    changes, uses = AccessChanges(parts.database.dsn), KeyUses(parts.database)
    lookup = KeyLookup(parts.ledger, TenantCommands(parts.ledger))
    return Access(JoinedKeys(named, PostgresKeys(lookup, changes, uses, now)), changes, uses)


def access_routers(parts: Parts, live: Positions) -> tuple[APIRouter, ...]:
    """Return the routers of keys and tenants."""
    known = TenantCommands(parts.ledger)
    commands = KeyCommands(parts.ledger, parts.content, known)
    return (
        keys.router(keys.KeyManagement(commands, PostgresKeyViews(parts.database), live, now)),
        tenants.router(tenants.TenantManagement(known, PostgresTenants(parts.database), live, now)),
    )
