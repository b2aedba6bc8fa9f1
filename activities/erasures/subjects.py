"""The owners of a subject's texts, closed so that nothing is added to them."""

from asyncio import to_thread
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass

from activities.erasures.runs import RunEraser
from activities.schedules.settlement import ScheduleSettlement
from domain.chat import commands as chats
from domain.erasures.events import ErasureRequested
from domain.erasures.ports import Expiry, Owner, OwnerSearch
from domain.errors import NotFound
from domain.events import Cause
from domain.knowledge.aggregate import OWNER_PREFIX, document_of
from domain.knowledge.commands import DocumentCommands
from domain.ledger import Ledger
from domain.schedules.commands import ScheduleCommands
from domain.talents import aggregate as talent_aggregate
from domain.talents.commands import TalentCommands
from domain.tenant_ids import tenant_of
from domain.tenants.commands import TenantCommands

_VIEWS = ("chat", "swarm", "executions", "approvals", "schedules", "knowledge")


@dataclass(frozen=True, slots=True)
class SubjectCommands:
    """The commands of other concepts that close what belongs to a subject."""

    ledger: Ledger
    schedules: ScheduleCommands
    settlement: ScheduleSettlement
    talents: TalentCommands
    tenants: TenantCommands
    documents: DocumentCommands


class SubjectCloser:
    """Finds the owners of a subject's texts and closes them. `fresh` waits for a view."""

    def __init__(
        self,
        search: OwnerSearch,
        runs: RunEraser,
        commands: SubjectCommands,
        *,
        fresh: Callable[[str], Awaitable[bool]],
    ) -> None:
        self._search = search
        self._runs = runs
        self._commands = commands
        self._fresh = fresh

    async def close(self, request: ErasureRequested, cause: Cause) -> list[Owner]:
        """End the subject's sessions, delete its schedules, and return all owners of its texts. Idempotent.

        Of a tenant, its keys are no longer valid; of a talent, the record is erased.
        """
        if request.kind == "tenant":
            in_tenant = Cause(cause.by, cause.because, cause.at, request.subject)
            await to_thread(self._commands.tenants.delete, request.subject, in_tenant, check=lambda _: None)
        for view in _VIEWS:
            await self._fresh(view)
        owners = await self._find(request, cause)
        for owner in owners:
            await self._close(owner, Cause(cause.by, cause.because, cause.at, tenant_of(owner.id)))
        return owners

    async def _find(self, request: ErasureRequested, cause: Cause) -> list[Owner]:
        match request.kind:
            case "session":
                return await to_thread(self._search.of_session, request.subject)
            case "user":
                found = await to_thread(self._search.of_user, request.tenant_id, request.subject)
                return await self._with_inside(found)
            case "talent":
                talent_id = int(request.subject)
                erased = f"erasure:{request.erasure_id}"
                await to_thread(self._commands.talents.erase, talent_id, cause, key=erased)
                return [Owner(talent_aggregate.stream(request.tenant_id, talent_id), "record")]
            case "tenant":
                return await self._with_inside(await to_thread(self._search.of_tenant, request.subject))
            case "expired":
                expiry = Expiry.parse(request.subject)
                found = await to_thread(self._search.of_expired, request.tenant_id, expiry, request.erasure_id)
                return await self._with_inside(found)

    async def _with_inside(self, owners: Sequence[Owner]) -> list[Owner]:
        """Add the runs that the owners' runs have started."""
        runs = [owner.id for owner in owners if owner.kind == "run"]
        inside = await self._runs.inside(runs)
        started = await to_thread(self._search.inside, [*runs, *inside]) if runs else []
        return list(dict.fromkeys([*owners, *started]))

    async def _close(self, owner: Owner, cause: Cause) -> None:
        if owner.kind == "session":
            await to_thread(chats.erase, self._commands.ledger, owner.id, cause)
        elif owner.kind == "schedule":
            with suppress(NotFound):  # it is deleted
                await to_thread(self._commands.schedules.delete, owner.id, cause, check=lambda _: None)
            await self._commands.settlement.settle(owner.id)
        elif owner.id.startswith(OWNER_PREFIX):
            with suppress(NotFound):  # it is deleted
                _, document_id = document_of(owner.id)
                await to_thread(self._commands.documents.delete, document_id, cause)
