"""Erasure service: checks the subject, records the request, and starts the workflow."""

import asyncio
import re
from contextlib import suppress

from api.http.dependencies import Positions
from domain.chat.sessions import session_stream
from domain.erasures import aggregate, users
from domain.erasures.aggregate import Erasure
from domain.erasures.commands import ErasureCommands
from domain.erasures.events import RequestedKind
from domain.erasures.ports import ErasureFilter, ErasurePage, ErasureReads, OwnerSearch
from domain.erasures.projection import ErasureRow, ErasuresProjection
from domain.errors import Conflict, Invalid, NotFound, Unavailable
from domain.events import Cause
from domain.ids import is_reserved
from domain.ledger import Ledger
from domain.records.integer_ids import TenantSecrets
from domain.talents.aggregate import stream as talent_stream
from domain.tenant_ids import DEFAULT, qualified
from domain.tenants.aggregate import stream as tenant_stream
from workflows.erasures.client import ErasureClient

_SESSION_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,127}")
_TALENT_ID = re.compile(r"[1-9][0-9]{0,17}")


class ErasureService:
    """The erasures of this deployment."""

    def __init__(
        self,
        commands: ErasureCommands,
        client: ErasureClient,
        reads: ErasureReads,
        ledger: Ledger,
        *,
        search: OwnerSearch,
        secrets: TenantSecrets,
        positions: Positions,
    ) -> None:
        self._commands = commands
        self._client = client
        self._reads = reads
        self._ledger = ledger
        self._search = search
        self._secrets = secrets
        self._positions = positions

    async def request(self, kind: RequestedKind, subject_id: str, cause: Cause, *, key: str | None) -> Erasure:
        """Record the request and start its workflow; one that cannot be started now is started within a minute.

        Raises:
            NotFound: there is no such subject; nobody knows all users, so a user always is one.
            Conflict: it is the tenant `default`.
            Unavailable: the ledger cannot be reached; nothing was accepted.
        """
        subject = await asyncio.to_thread(self._subject, kind, subject_id, cause.tenant_id)
        erasure_id = aggregate.erasure_id_of(cause.tenant_id, key)
        erasure = await asyncio.to_thread(self._commands.request, erasure_id, kind, subject, cause)
        if erasure.completed is None:
            with suppress(Unavailable):  # the request is recorded, and reconciled each minute
                await self._client.start(erasure_id)
        await self._positions.wait(ErasuresProjection.name)
        return erasure

    def page(self, wanted: ErasureFilter, *, skip: int, limit: int) -> ErasurePage:
        return self._reads.page(wanted, skip=skip, limit=limit)

    def get(self, tenant_id: str, erasure_id: str) -> ErasureRow:
        """Return an erasure of a tenant.

        Raises:
            NotFound: there is none.
        """
        found = self._reads.get(tenant_id, erasure_id)
        if found is None:
            raise NotFound("there is no such erasure")
        return found

    def _subject(self, kind: RequestedKind, subject_id: str, tenant_id: str) -> str:
        """Return the id by which the ledger knows the subject.

        Raises:
            NotFound: there is none.
            Conflict: it is the tenant `default`.
        """
        match kind:
            case "session":
                return self._session(subject_id, tenant_id)
            case "user":
                return users.pseudonym(self._secrets.secret(tenant_id, users.PURPOSE), subject_id)
            case "talent":
                if not _TALENT_ID.fullmatch(subject_id):
                    raise Invalid("id: is no id of a talent", field="id", reason="is no id of a talent")
                self._require(talent_stream(tenant_id, int(subject_id)), kind)
                return subject_id
            case "tenant":
                if subject_id == DEFAULT:
                    raise Conflict("the tenant default cannot be erased")
                self._require(tenant_stream(subject_id), kind)
                return subject_id

    def _session(self, name: str, tenant_id: str) -> str:
        session_id = qualified(tenant_id, name)
        if not _SESSION_ID.fullmatch(name) or is_reserved(name):
            raise NotFound("there is no such session")
        if not self._search.has_texts(session_id):  # a message that no worker has seen yet is a text only
            self._require(session_stream(session_id), "session")
        return session_id

    def _require(self, stream: str, kind: RequestedKind) -> None:
        if self._ledger.read_latest(stream)[0] == 0:
            raise NotFound(f"there is no such {kind}")
