"""Record the facts of a swarm: requested, held, ended."""

from collections.abc import Callable, Sequence
from datetime import datetime

from temporalio import activity

from activities.swarm.messages import (
    EndSwarmRequest,
    HeldSwarmResult,
    SwarmResultParts,
    SwarmRunRequest,
    SwarmSettings,
)
from activities.swarm.request import record_request
from domain.content import Content, ContentStore
from domain.errors import NotFound, VersionConflict
from domain.events import Cause, Event
from domain.ledger import Change, Ledger, retry_on_conflict
from domain.message_parts import MessagePart, compose, hashes
from domain.signatures.ports import NO_SIGNER, Signer
from domain.signatures.statements import SwarmResult
from domain.swarm import aggregate
from domain.swarm.events import SwarmEnded, SwarmHeld
from domain.swarm.ports import SwarmView
from domain.swarm.views import contributions
from domain.tenant_ids import tenant_of

MOST_RESULT = 400_000
"""Limit, in characters, on a result composed of several texts."""


class SwarmActivities:
    """Ledger commands of swarms. All are idempotent: a repeat changes nothing and returns the current state."""

    def __init__(
        self,
        ledger: Ledger,
        content: ContentStore,
        now: Callable[[], datetime],
        *,
        model_queue: str,
        signer: Signer = NO_SIGNER,
    ) -> None:
        self._ledger = ledger
        self._content = content
        self._now = now
        self._model_queue = model_queue
        self._signer = signer

    def all(self) -> list[Callable[..., object]]:
        return [self.begin_swarm, self.write_result, self.hold_swarm, self.end_swarm]

    @activity.defn(name="begin_swarm", no_thread_cancel_exception=True)
    def begin_swarm(self, asked: SwarmRunRequest) -> SwarmSettings:
        """Record the request, unless the caller has recorded it."""
        record_request(self._ledger, asked, self._now())
        return SwarmSettings(self._model_queue)

    @activity.defn(name="write_result", no_thread_cancel_exception=True)
    def write_result(self, whole: SwarmResultParts) -> str:
        """Store the result for its approval. Returns the text's hash.

        Raises:
            NotFound: the text of a part was erased.
        """
        result_hash, texts = self._text(whole.task_id, whole.result)
        for text in texts:
            self._content.put(text)
        return result_hash

    @activity.defn(name="hold_swarm", no_thread_cancel_exception=True)
    def hold_swarm(self, held: HeldSwarmResult) -> None:
        """Record that the result waits for an approval."""
        task_id = held.asked.task_id
        event = SwarmHeld(
            task_id=task_id,
            approval_id=held.approval_id,
            result_hash=held.result_hash,
            **self._cause(held.asked).fields(),
        )
        key = f"hold:{event.approval_id}"
        self._record(task_id, lambda swarm: aggregate.hold(swarm, event), key, [], seen=held.seen)

    @activity.defn(name="end_swarm", no_thread_cancel_exception=True)
    def end_swarm(self, ending: EndSwarmRequest) -> str | None:
        """Store the result and record the end. Returns the text's hash."""
        asked = ending.asked
        if not ending.seen:
            record_request(self._ledger, asked, self._now())
        result_hash, texts = self._storable_result(asked.task_id, ending.result)
        event = SwarmEnded(
            task_id=asked.task_id,
            status=ending.status,
            result_hash=result_hash,
            partial=ending.partial and result_hash is not None,
            code=ending.code,
            reason=ending.reason,
            **self._cause(asked).fields(),
        )
        seen = max(ending.seen, 1)
        self._record_end(event, texts, seen=seen)
        return result_hash

    def lose(
        self,
        seen: SwarmView,
        *,
        code: str = "INTERNAL_ERROR",
        reason: str = "the run that worked on it was lost",
    ) -> None:
        """Record a swarm whose workflow is lost. The members' contributions are kept unless they need an approval."""
        row = seen.row
        cause = Cause("platform", "reconcile", self._now(), row.tenant_id)
        stands = () if row.require_approval else contributions(row, seen.seats)
        result_hash, texts = self._storable_result(row.task_id, stands)
        event = SwarmEnded(
            task_id=row.task_id,
            status="failed",
            result_hash=result_hash,
            partial=result_hash is not None,
            code=code,
            reason=reason,
            **cause.fields(),
        )
        self._record_end(event, texts, seen=1)

    def _record_end(self, event: SwarmEnded, texts: Sequence[Content], *, seen: int) -> None:
        """Sign the end and record it, unless another one was recorded."""
        result = SwarmResult(event.tenant_id, event.task_id, event.status, event.result_hash, event.at)
        signed = event.model_copy(update={"signature": self._signer.sign(result.statement())})
        self._record(
            event.task_id, lambda swarm: aggregate.end(swarm, signed), f"end:{event.task_id}", texts, seen=seen
        )

    def _storable_result(self, task_id: str, result: Sequence[MessagePart]) -> tuple[str | None, list[Content]]:
        """Return the result to store; nothing if a text was erased meanwhile, which is no reason not to end."""
        if not result:
            return None, []
        try:
            return self._text(task_id, result)
        except NotFound:
            return None, []

    def _text(self, task_id: str, parts: Sequence[MessagePart]) -> tuple[str, list[Content]]:
        """Return the hash of the text that these parts compose, and the texts to store for it."""
        only = parts[0]
        if len(parts) == 1 and only.hash and not only.at:
            return only.hash, []
        texts = self._content.get(task_id, hashes(parts))
        content = Content(task_id, compose(parts, texts, most=MOST_RESULT))
        return content.hash, [content]

    def _record(
        self,
        task_id: str,
        decide: Callable[[aggregate.Swarm], list[Event]],
        key: str,
        content: Sequence[Content],
        *,
        seen: int,
    ) -> None:
        """Decide and append at the expected version; on a version conflict read the stream and decide again."""
        stream = aggregate.stream(task_id)

        def write(swarm: aggregate.Swarm) -> None:
            if events := decide(swarm):
                self._ledger.append(Change(stream, swarm.version, events), key=key, content=content)

        try:
            # optimistic: the workflow knows the version; the ledger refuses a wrong one
            write(aggregate.Swarm(version=seen))
        except VersionConflict:
            retry_on_conflict(lambda: write(aggregate.load(self._ledger.read(stream))))

    def _cause(self, asked: SwarmRunRequest) -> Cause:
        return Cause(asked.key_id, asked.because, self._now(), tenant_of(asked.task_id))
