"""Composes the check of keys, and the routes of keys and tenants."""

from dataclasses import dataclass

from fastapi import APIRouter

from adapters.files.oidc_issuers import load_issuers
from adapters.memory.keys import JoinedKeys
from adapters.oidc.login import OidcLogins
from adapters.oidc.tokens import OidcTokens
from adapters.postgres.keys.changes import AccessChanges
from adapters.postgres.keys.sessions import PostgresSessions
from adapters.postgres.keys.store import PostgresKeys
from adapters.postgres.keys.tenants import LiveTenants
from adapters.postgres.keys.uses import KeyUses
from adapters.postgres.keys.views import PostgresKeyViews
from adapters.postgres.tenants import PostgresTenants
from api.http.dependencies import Positions
from api.keys import routes as keys
from api.sessions import login_routes as logins
from api.sessions import routes as sessions
from api.sessions.service import SessionService
from api.tenants import routes as tenants
from domain.keys.commands import KeyCommands, KeyLookup
from domain.keys.ports import KeyStore, NoLogins, NoTokens
from domain.tenants.commands import TenantCommands
from runtime.settings import Settings
from runtime.wiring.parts import Parts, now


@dataclass(frozen=True, slots=True)
class Access:
    """The check of the keys of a process. Start it once the database is open, and close it before."""

    keys: KeyStore
    tokens: OidcTokens | NoTokens
    sessions: PostgresSessions
    changes: AccessChanges
    uses: KeyUses

    def start(self) -> None:
        self.changes.start()

    async def close(self) -> None:
        self.changes.close()
        if isinstance(self.tokens, OidcTokens):
            await self.tokens.aclose()
        await self.uses.finish()


def make_access(settings: Settings, parts: Parts, named: KeyStore) -> Access:
    """Return the check of the keys that the settings name, of those that were created, of tokens and of cookies."""
    changes, uses = AccessChanges(parts.database.dsn), KeyUses(parts.database)
    tenants_there = TenantCommands(parts.ledger)
    there = LiveTenants(tenants_there, changes)
    created = PostgresKeys(KeyLookup(parts.ledger, tenants_there), changes, uses, now)
    return Access(
        keys=JoinedKeys(named, created),
        tokens=_tokens(settings, there),
        sessions=PostgresSessions(parts.database, changes, there.is_active, now),
        changes=changes,
        uses=uses,
    )


def _tokens(settings: Settings, there: LiveTenants) -> OidcTokens | NoTokens:
    given = settings.oidc_issuers
    issuers = load_issuers(given.get_secret_value() if given else None)
    return OidcTokens(issuers, there.is_active, now) if issuers else NoTokens()


def access_routers(parts: Parts, live: Positions, access: Access) -> tuple[APIRouter, ...]:
    """Return the routers of keys, tenants and sessions."""
    known = TenantCommands(parts.ledger)
    begun = SessionService(access.keys, access.sessions, now)
    commands = KeyCommands(parts.ledger, parts.content, known)
    return (
        keys.router(keys.KeyManagement(commands, PostgresKeyViews(parts.database), live, now)),
        tenants.router(tenants.TenantManagement(known, PostgresTenants(parts.database), live, now)),
        sessions.router(begun),
        logins.router(begun, OidcLogins(access.tokens) if isinstance(access.tokens, OidcTokens) else NoLogins()),
    )
