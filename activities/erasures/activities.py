"""The steps of an erasure. All are idempotent: after a crash another worker begins the step again."""

import asyncio
from asyncio import to_thread
from collections.abc import Callable, Sequence
from contextlib import suppress
from datetime import datetime

from temporalio import activity

from activities.erasures.messages import ErasureRef
from activities.erasures.runs import RunEraser, workflow_id_of
from activities.erasures.subjects import SubjectCloser
from activities.heartbeat import send_heartbeats
from domain.approvals import commands as approvals
from domain.approvals import escalation
from domain.approvals.aggregate import Approval
from domain.erasures.commands import ErasureCommands
from domain.erasures.events import ErasureRequested
from domain.erasures.ports import ErasedOwners, Owner, OwnerSearch
from domain.errors import Unavailable
from domain.events import Cause, Event
from domain.ledger import Ledger
from domain.live.ports import NO_PUBLISHER, LivePublisher


class ErasureActivities:
    """Finds, stops and removes what belongs to the subject of an erasure."""

    def __init__(
        self,
        ledger: Ledger,
        subjects: SubjectCloser,
        search: OwnerSearch,
        owners: ErasedOwners,
        runs: RunEraser,
        *,
        now: Callable[[], datetime],
        live: LivePublisher = NO_PUBLISHER,
    ) -> None:
        self._ledger = ledger
        self._commands = ErasureCommands(ledger)
        self._subjects = subjects
        self._search = search
        self._owners = owners
        self._runs = runs
        self._now = now
        self._live = live

    def all(self) -> list[Callable[..., object]]:
        return [self.mark_subject, self.stop_runs, self.remove_texts, self.complete_erasure]

    @activity.defn(name="mark_subject")
    async def mark_subject(self, ref: ErasureRef) -> int:
        """Close what belongs to the subject and mark it as erased. Returns the number of owners that were new.

        Raises:
            NotFound: nobody has requested this erasure.
        """
        with send_heartbeats():
            request = await self._request(ref)
            cause = self._cause(request, request.tenant_id)
            found = await self._subjects.close(request, cause)
            return await to_thread(self._owners.mark, ref.erasure_id, found)

    @activity.defn(name="stop_runs")
    async def stop_runs(self, ref: ErasureRef) -> None:
        """Stop the runs of the marked owners, withdraw their approvals, and delete their histories."""
        with send_heartbeats():
            request = await self._request(ref)
            owners = await to_thread(self._owners.read_marked, ref.erasure_id)
            await self._runs.stop(owners)
            await asyncio.gather(*(self._delete_histories(ref.erasure_id, owner) for owner in owners))
            for approval_id in await to_thread(self._search.approvals, [owner.id for owner in owners]):
                await to_thread(self._withdraw, approval_id, request)
                await self._runs.delete(approval_id)

    @activity.defn(name="remove_texts")
    async def remove_texts(self, ref: ErasureRef) -> None:
        """Remove the texts of the marked owners, stored responses, links of users, and a tenant's secrets."""
        with send_heartbeats():
            request = await self._request(ref)
            await to_thread(self._remove, ref.erasure_id, request)
            owners = await to_thread(self._owners.read_marked, ref.erasure_id)
            with suppress(Unavailable):  # pieces of answers expire within minutes, and nobody is shown them before
                await self._live.erase([owner.id for owner in owners])

    @activity.defn(name="complete_erasure", no_thread_cancel_exception=True)
    def complete_erasure(self, ref: ErasureRef) -> None:
        """Record that nothing is left."""
        request = self._commands.load(ref.erasure_id).asked
        counts = self._owners.counts(ref.erasure_id)
        self._commands.complete(ref.erasure_id, counts, self._cause(request, request.tenant_id))

    async def _request(self, ref: ErasureRef) -> ErasureRequested:
        return (await to_thread(self._commands.load, ref.erasure_id)).asked

    async def _delete_histories(self, erasure_id: str, owner: Owner) -> None:
        workflow_id = workflow_id_of(owner)
        if workflow_id is not None and (deleted := await self._runs.delete(workflow_id)):
            await to_thread(self._owners.count_histories, erasure_id, owner.id, deleted)

    def _remove(self, erasure_id: str, request: ErasureRequested) -> None:
        self._owners.remove_texts(erasure_id)
        tenant_ids = [request.tenant_id]
        if request.kind == "tenant":
            tenant_ids.append(request.subject)
            self._owners.remove_tenant(request.subject)
            self._owners.remove_telemetry(request.subject)
        if request.kind != "expired":  # periods are a day at least, and stored responses are gone by then
            self._owners.remove_answers(erasure_id, tenant_ids)
        self._owners.remove_links(erasure_id)

    def _withdraw(self, approval_id: str, request: ErasureRequested) -> None:
        def decide(approval: Approval) -> Sequence[Event]:
            return escalation.withdraw(approval, None, self._cause(request, approval.request.tenant_id))

        key = approvals.command_key(approval_id, "withdraw")
        approvals.change(self._ledger, approval_id, approvals.ApprovalCommand(key, lambda each: list(decide(each))))

    def _cause(self, request: ErasureRequested, tenant_id: str) -> Cause:
        return Cause(request.by, request.because, self._now(), tenant_id)
