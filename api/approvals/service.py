"""Service of approval decisions: checks, stores and executes them."""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import datetime

from activities.approvals.messages import InstructionRef, start_of
from api.http.caller import Caller
from api.http.handover import WorkHandover
from domain.approvals import aggregate, policy
from domain.approvals.aggregate import AlreadyDecided, Approval
from domain.approvals.commands import command_key
from domain.approvals.edits import edit_schema
from domain.approvals.instructions import Instruction, Verb
from domain.approvals.ports import ApprovalView, InstructionStore
from domain.approvals.projection import fold_event
from domain.content import Content, ContentStore
from domain.errors import NotFound, Unavailable
from domain.events import Cause, Event
from domain.ids import derived_id, random_id
from domain.ledger import Ledger
from domain.revocations import RevocableWork
from workflows.approvals.update_client import ApprovalClient

_ATTEMPTS = 3


@dataclass(frozen=True, slots=True)
class ApprovalAction:
    """An action on an approval that a caller requests. `key` is the scoped idempotency key, if any."""

    approval_id: str
    verb: Verb
    caller: Caller
    request_id: str
    key: str | None = None
    comment: str | None = None
    edited_content: str | None = None
    to: str | None = None

    def command_id(self) -> str:
        """Return the id of the command: the same for the same key."""
        return derived_id("decision", self.approval_id, self.key) if self.key else random_id("decision")


@dataclass(frozen=True, slots=True)
class ActionResult:
    """The approval after the action. `is_done`: it is recorded; else a worker will execute it."""

    read: ApprovalView
    is_done: bool = True


class DecisionService:
    """Refuses at once if the ledger allows it; else the approval's workflow records the action."""

    def __init__(
        self,
        runs: ApprovalClient,
        ledger: Ledger,
        content: ContentStore,
        instructions: InstructionStore,
        now: Callable[[], datetime],
        *,
        handover: WorkHandover,
    ) -> None:
        self._runs = runs
        self._instructions = instructions
        self._ledger = ledger
        self._content = content
        self._now = now
        self._handover = handover

    async def execute(self, wish: ApprovalAction) -> ActionResult:
        """Execute an action and return the approval after it.

        Raises:
            NotFound: there is no such approval.
            AlreadyDecided: there is another decision, which `details` describe.
            TooLate: the approval has expired.
            Forbidden, Invalid, Conflict: the action is not allowed.
            Unavailable: Temporal or the database cannot be reached; nothing was accepted, and nothing will be done.
        """
        command_id = replace(wish, key=await self._handover.usable_key(wish.key)).command_id()
        work = RevocableWork(command_key(wish.approval_id, command_id), wish.key)
        for _ in range(_ATTEMPTS):
            approval = await asyncio.to_thread(self._load, wish)
            if command_id in approval.commands:  # a repeat, or an earlier attempt whose answer was lost
                return ActionResult(await asyncio.to_thread(self._read, wish.approval_id))
            try:
                order = await asyncio.to_thread(self._prepare, approval, wish, command_id)
            except policy.TooLate:  # its workflow may be lost: restart it to record the expiry
                await self._runs.start(start_of(approval, notices=self._runs.notices))
                raise
            telling = self._runs.submit(wish.approval_id, wish.verb, order)
            told = await self._handover.confirm(
                telling, work, by=wish.caller.id, because=wish.request_id, tenant_id=wish.caller.tenant_id
            )
            if told in {"done", "handed_over"}:
                return ActionResult(await asyncio.to_thread(self._read, wish.approval_id), is_done=told == "done")
            approval = await asyncio.to_thread(self._load, wish)
            if told == "gone" and approval.standing is None:
                await self._runs.start(start_of(approval, notices=self._runs.notices))
        raise Unavailable("the approval's workflow could not be reached", retry_after=1)

    def _prepare(self, approval: Approval, wish: ApprovalAction, command_id: str) -> InstructionRef:
        """Check the action, store its texts and its instruction, and return the reference to the latter."""
        owner = approval.request.owner
        comment, edited = (Content(owner, text) if text else None for text in (wish.comment, wish.edited_content))
        instruction = Instruction(
            approval_id=wish.approval_id,
            tenant_id=wish.caller.tenant_id,
            command_id=command_id,
            verb=wish.verb,
            by=wish.caller.id,
            identity="open" if wish.caller.key_id is None else "proven",
            because=wish.request_id,
            to=wish.to,
            comment_hash=comment.hash if comment else None,
            content_hash=edited.hash if edited else None,
        )
        try:
            cause = Cause(wish.caller.id, wish.request_id, self._now(), wish.caller.tenant_id)
            instruction.carry_out(approval, cause)
        except AlreadyDecided as refused:
            raise self._with_decision(refused, owner) from refused
        policy.refuse_expired(approval, self._now())
        policy.refuse_edit(approval, wish.edited_content, edit_schema(self._content, approval))
        for text in (comment, edited):
            if text is not None:
                self._content.put(text)
        return InstructionRef(command_id, self._instructions.put(instruction))

    def _with_decision(self, refused: AlreadyDecided, owner: str) -> AlreadyDecided:
        """Add the comment and the time of the existing decision to the refusal."""
        comment_hash = refused.standing.comment_hash
        refused.details["at"] = refused.standing.at.isoformat().replace("+00:00", "Z")
        refused.details["comment"] = (
            self._content.get(owner, [comment_hash]).get(comment_hash) if comment_hash else None
        )
        return refused

    def _load(self, wish: ApprovalAction) -> Approval:
        """The approval as it stands.

        Raises:
            NotFound: there is none in the caller's tenant.
        """
        approval = aggregate.load(self._events(wish.approval_id))
        if approval.request.tenant_id != wish.caller.tenant_id:
            raise NotFound("there is no such approval")
        return approval

    def _events(self, approval_id: str) -> list[Event]:
        return self._ledger.read(aggregate.stream(approval_id))

    def _read(self, approval_id: str) -> ApprovalView:
        """Read the approval from the ledger, as its view may be behind."""
        row = None
        for event in self._events(approval_id):
            row = fold_event(row, event)
        if row is None:
            raise LookupError(f"approval {approval_id} has disappeared from the ledger")
        hashes = (row.content_hash, row.payload_hash, row.comment_hash, row.edited_hash)
        texts = self._content.get(row.owner, {text_hash for text_hash in hashes if text_hash})
        return ApprovalView(row, *(texts.get(text_hash or "") for text_hash in hashes))
