"""Chat service: admits messages, sends them to the session's workflow, and returns their results."""

import asyncio
from dataclasses import dataclass, replace
from datetime import timedelta
from functools import partial
from typing import get_args

from activities.chat.activities import Ending
from api.http.dependencies import Positions
from api.http.handover import Handover
from domain.agents.definition import ApprovalRisk
from domain.chat.forks import OVER
from domain.chat.ports import Admission, ChatReads, Door
from domain.chat.views import TurnRow
from domain.content import Content
from domain.errors import NotFound, Unavailable
from domain.ids import derived, message_id, random_id
from domain.message_parts import Part
from domain.revocations import Work, first_attempt_key
from domain.tenant_ids import qualified
from workflows.chat.client import ChatRuns, workflow_id
from workflows.chat.messages import ChatStart, Said, Say
from workflows.chat.session_state import Standing

ASKED_RISK: ApprovalRisk = "medium"
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
    parts: tuple[Part, ...] = ()


@dataclass(frozen=True, slots=True)
class Outcome:
    """The session of a message, among all tenants' sessions, and its turn result; None while it is processed."""

    session_id: str
    agent_id: str
    workflow_id: str
    said: Said | None


class Conversations:
    """The chats of this deployment. Refusals and failures to reach Temporal are raised as `Refused`."""

    def __init__(
        self,
        runs: ChatRuns,
        admission: Admission,
        reads: ChatReads,
        positions: Positions,
        *,
        handover: Handover,
        call_timeout: timedelta,
        pause: timedelta,
    ) -> None:
        self._runs = runs
        self._admission = admission
        self._reads = reads
        self._positions = positions
        self._handover = handover
        self._call_timeout_s = call_timeout.total_seconds()
        self._pause_s = pause.total_seconds()

    async def say(self, utterance: Utterance, *, timeout_s: float) -> Outcome:
        """Send a message and wait `timeout_s` seconds at most for its result; 0 waits only until it is stored.

        Raises:
            NotFound: there is no such agent or session.
            Conflict: the session is with another agent, or has ended.
            Unavailable: Temporal or the database cannot be reached; nothing was accepted, and nothing will be done.
        """
        session_id = qualified(utterance.tenant_id, utterance.session_id or _new_session(utterance.key))
        message = Content(session_id, utterance.message)
        door = await self._door(utterance, message)
        key = await self._handover.key(utterance.key)
        say = await self._say(replace(utterance, key=key), session_id, message.hash, door)
        told = partial(self._told, utterance, session_id, timeout_s=timeout_s, is_known=door.session.version > 0)
        said = await self._by_now(session_id, say, await told(say))
        while said is not None and said.status == "failed" and said.because != say.because:
            # it failed before this request, but the view lags behind, maybe by several attempts
            said = await told(replace(say, visit=said.visit + 1, again=said.turn))
        return Outcome(session_id, door.agent_id, workflow_id(session_id), said)

    async def end(self, session_id: str, *, key_id: str, request_id: str) -> bool:
        """End a session. False: it will be ended as soon as there is a worker.

        Raises:
            NotFound: there is no such session.
        """
        ending = Ending(session_id, key_id, request_id)
        session = await asyncio.to_thread(self._reads.session, session_id)
        if session is None and (await self.standing(session_id)).is_open:
            return await self._runs.end(ending, None)
        if session is None:
            raise NotFound("there is no such session")
        if session.ended_at is not None:
            return True
        return await self._runs.end(ending, ChatStart(session_id, session.agent_id, key_id, request_id))

    async def stop(self, session_id: str) -> None:
        """Cancel the open turns of a session that no request can continue."""
        await self._runs.stop(session_id)

    async def standing(self, session_id: str) -> Standing:
        """Return whether a session is open and how many messages are pending."""
        return await self._runs.standing(session_id)

    async def _door(self, utterance: Utterance, message: Content) -> Door:
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
            await self._positions.wait("agents")
            return await asyncio.to_thread(admitted)

    async def _say(self, utterance: Utterance, session_id: str, message_hash: str, door: Door) -> Say:
        """Return the message by its ids. A repeat keeps its turn if that has begun; a failed one is retried."""
        said = message_id(session_id, utterance.key)
        is_repeat = utterance.key is not None and door.session.version > 0
        before = await asyncio.to_thread(self._reads.turn_of, session_id, said) if is_repeat else None
        return Say(
            message_id=said,
            message_hash=message_hash,
            agent_id=door.agent_id,
            agent_version=door.agent_version,
            key_id=utterance.key_id,
            because=utterance.request_id,
            visit=before.visits + (before.status == "failed") if before else 1,
            again=before.turn if before else None,
            hold=_hold(door.hold, is_asked=utterance.require_approval),
            shape=utterance.shape,
            options=list(utterance.options),
            tools=None if utterance.tools is None else list(utterance.tools),
            parts=list(utterance.parts),
        )

    async def _by_now(self, session_id: str, say: Say, said: Said | None) -> Said | None:
        """Return the current result from the view, if the workflow only knows an older one.

        The workflow repeats that an answer awaits approval after it was decided, and does not answer repeats that do
        not wait.
        """
        if said is None and say.again is None:
            return None
        if said is not None and said.status != "awaiting_approval":
            return said
        try:
            await self._positions.wait("chat")
            row = await asyncio.to_thread(self._reads.turn_of, session_id, say.message_id)
        except Unavailable:
            return said
        is_told = row is not None and row.status in OVER and (said is not None or row.status != "failed")
        return _said(row) if row is not None and is_told else said

    async def _told(
        self, utterance: Utterance, session_id: str, say: Say, timeout_s: float, *, is_known: bool
    ) -> Said | None:
        start = ChatStart(
            session_id=session_id,
            agent_id=say.agent_id,
            key_id=say.key_id,
            because=say.because,
            user_id=utterance.user_id,
            project_id=utterance.project_id,
            call_timeout_s=self._call_timeout_s,
            pause_s=self._pause_s,
        )
        work = Work(first_attempt_key(say.message_id, say.visit), utterance.key)
        saying = self._runs.say(start, say, timeout_s=timeout_s, is_known=is_known)
        return await self._handover.confirmed(
            saying, work, by=say.key_id, because=say.because, tenant_id=utterance.tenant_id
        )


def _said(row: TurnRow) -> Said:
    return Said(
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


def _hold(of_agent: str | None, *, is_asked: bool) -> str | None:
    """Return the risk at which the answer needs approval, the higher of the agent's and the request's, or None."""
    wanted = [of_agent or "none", ASKED_RISK if is_asked else "none"]
    highest = max(wanted, key=get_args(ApprovalRisk).index)
    return None if highest == "none" else highest


def _new_session(key: str | None) -> str:
    """Return a session id: the same for the same idempotency key."""
    return f"session_{derived('session', key)}" if key else random_id("session")
