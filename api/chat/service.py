"""Chat service: admits messages, sends them to the session's workflow, and returns their results."""

import asyncio
from dataclasses import dataclass, replace
from functools import partial
from typing import get_args

from activities.chat.messages import EndSessionRequest
from api.runs.context import RunContext
from domain.agents.definition import ApprovalRisk
from domain.chat.forks import ENDED_STATUSES
from domain.chat.ports import Admission, AdmittedSession, ChatReads
from domain.chat.views import TurnRow
from domain.content import Content
from domain.errors import NotFound, Unavailable
from domain.ids import derived_id, message_id, random_id
from domain.message_parts import MessagePart
from domain.revocations import RevocableWork, first_attempt_key
from domain.tenant_ids import qualified
from workflows.chat.client import ChatClient, workflow_id
from workflows.chat.messages import ChatMessage, ChatResult, ChatStart
from workflows.chat.session_state import SessionState

REQUESTED_RISK: ApprovalRisk = "medium"
"""Risk of an answer that needs approval because the request says so."""


@dataclass(frozen=True, slots=True)
class Utterance:
    """A message to an agent, in a tenant. `key` is the scoped idempotency key, if there is one.

    With `require_approval` a person has to let the answer go, whatever the agent. `shape` (with the `options` to choose
    from) is what the answer has to be like, `tools` are offered instead of the agent's own, and with `parts` these are
    the message: texts that the session has.
    """

    agent_id: str
    message: str
    key_id: str
    tenant_id: str
    request_id: str
    key: str | None = None
    session_id: str | None = None
    user_id: str | None = None
    project_id: str | None = None
    require_approval: bool = False
    shape: str | None = None
    options: tuple[str, ...] = ()
    tools: tuple[str, ...] | None = None
    parts: tuple[MessagePart, ...] = ()


@dataclass(frozen=True, slots=True)
class ChatOutcome:
    """The session of a message, among all tenants' sessions, and its turn result; None while it is processed."""

    session_id: str
    agent_id: str
    workflow_id: str
    said: ChatResult | None


class ChatService:
    """The chats of this deployment. Refusals and failures to reach Temporal are raised as `Refused`."""

    def __init__(
        self,
        runs: ChatClient,
        admission: Admission,
        reads: ChatReads,
        context: RunContext,
    ) -> None:
        self._runs = runs
        self._admission = admission
        self._reads = reads
        self._context = context

    async def send(self, utterance: Utterance, *, timeout_s: float) -> ChatOutcome:
        """Send a message and wait `timeout_s` seconds at most for its result; 0 waits only until it is stored.

        Raises:
            NotFound: there is no such agent or session.
            Conflict: the session is with another agent, or has ended.
            Unavailable: Temporal or the database cannot be reached; nothing was accepted, and nothing will be done.
        """
        session_id = qualified(utterance.tenant_id, utterance.session_id or new_session_id(utterance.key))
        message = Content(session_id, utterance.message)
        door = await self._admit(utterance, message)
        await self._context.link_user(utterance.tenant_id, utterance.user_id, session_id)
        key = await self._context.handover.usable_key(utterance.key)
        say = await self._build_message(replace(utterance, key=key), session_id, message.hash, door)
        told = partial(self._send, utterance, session_id, timeout_s=timeout_s, is_known=door.session.version > 0)
        said = await self._current_result(session_id, say, await told(say))
        while said is not None and said.status == "failed" and said.because != say.because:
            # it failed before this request, but the view lags behind, maybe by several attempts
            said = await told(replace(say, visit=said.visit + 1, again=said.turn))
        return ChatOutcome(session_id, door.agent_id, workflow_id(session_id), said)

    async def end_session(self, session_id: str, *, key_id: str, request_id: str) -> bool:
        """End a session. False: it will be ended as soon as there is a worker.

        Raises:
            NotFound: there is no such session.
        """
        ending = EndSessionRequest(session_id, key_id, request_id)
        session = await asyncio.to_thread(self._reads.session, session_id)
        if session is None and (await self.read_state(session_id)).is_open:
            return await self._runs.end_session(ending, None)
        if session is None:
            raise NotFound("there is no such session")
        if session.ended_at is not None:
            return True
        return await self._runs.end_session(ending, ChatStart(session_id, session.agent_id, key_id, request_id))

    async def cancel_session(self, session_id: str) -> None:
        """Cancel the open turns of a session that no request can continue."""
        await self._runs.cancel_session(session_id)

    async def read_state(self, session_id: str) -> SessionState:
        """Return whether a session is open and how many messages are pending."""
        return await self._runs.read_state(session_id)

    async def _admit(self, utterance: Utterance, message: Content) -> AdmittedSession:
        """Admit the message; retry once the view of agents has caught up, as the agent may just have been deployed."""
        admitted = partial(
            self._admission.open,
            session_id=message.owner,
            agent_id=utterance.agent_id,
            tenant_id=utterance.tenant_id,
            message=message,
        )
        try:
            return await asyncio.to_thread(admitted)
        except NotFound:
            await self._context.positions.wait("agents")
            return await asyncio.to_thread(admitted)

    async def _build_message(
        self, utterance: Utterance, session_id: str, message_hash: str, door: AdmittedSession
    ) -> ChatMessage:
        """Return the message by its ids. A repeat keeps its turn if that has begun; a failed one is retried."""
        said = message_id(session_id, utterance.key)
        is_repeat = utterance.key is not None and door.session.version > 0
        before = await asyncio.to_thread(self._reads.turn_of, session_id, said) if is_repeat else None
        return ChatMessage(
            message_id=said,
            message_hash=message_hash,
            agent_id=door.agent_id,
            agent_version=door.agent_version,
            key_id=utterance.key_id,
            because=utterance.request_id,
            visit=before.visits + (before.status == "failed") if before else 1,
            again=before.turn if before else None,
            hold=_required_risk(door.hold, is_asked=utterance.require_approval),
            shape=utterance.shape,
            options=list(utterance.options),
            tools=None if utterance.tools is None else list(utterance.tools),
            parts=list(utterance.parts),
        )

    async def _current_result(self, session_id: str, say: ChatMessage, said: ChatResult | None) -> ChatResult | None:
        """Return the current result from the view, if the workflow only knows an older one.

        The workflow repeats that an answer awaits approval after it was decided, and does not answer repeats that do
        not wait.
        """
        if said is None and say.again is None:
            return None
        if said is not None and said.status != "awaiting_approval":
            return said
        try:
            await self._context.positions.wait("chat")
            row = await asyncio.to_thread(self._reads.turn_of, session_id, say.message_id)
        except Unavailable:
            return said
        is_told = row is not None and row.status in ENDED_STATUSES and (said is not None or row.status != "failed")
        return _to_chat_result(row) if row is not None and is_told else said

    async def _send(
        self, utterance: Utterance, session_id: str, say: ChatMessage, timeout_s: float, *, is_known: bool
    ) -> ChatResult | None:
        start = ChatStart(
            session_id=session_id,
            agent_id=say.agent_id,
            key_id=say.key_id,
            because=say.because,
            project_id=utterance.project_id,
            call_timeout_s=self._context.call_timeout_s,
            pause_s=self._context.pause_s,
        )
        work = RevocableWork(first_attempt_key(say.message_id, say.visit), utterance.key)
        saying = self._runs.send_message(start, say, timeout_s=timeout_s, is_known=is_known)
        return await self._context.handover.confirm(
            saying, work, by=say.key_id, because=say.because, tenant_id=utterance.tenant_id
        )


def _to_chat_result(row: TurnRow) -> ChatResult:
    return ChatResult(
        turn=row.turn,
        status=row.status,
        reply_hash=row.reply_hash,
        model=row.model,
        prompt_tokens=row.prompt_tokens,
        completion_tokens=row.completion_tokens,
        cost=str(row.cost),
        code=row.code,
        error=row.error,
        visit=row.visits,
        approval_id=row.approval_id,
        tools_used=list(dict.fromkeys(row.tools)),
        finish=row.finish or "stop",
    )


def _required_risk(of_agent: str | None, *, is_asked: bool) -> str | None:
    """Return the risk at which the answer needs approval, the higher of the agent's and the request's, or None."""
    wanted = [of_agent or "none", REQUESTED_RISK if is_asked else "none"]
    highest = max(wanted, key=get_args(ApprovalRisk).index)
    return None if highest == "none" else highest


def new_session_id(key: str | None) -> str:
    """Return a session id: the same for the same idempotency key."""
    return f"session_{derived_id('session', key)}" if key else random_id("session")
