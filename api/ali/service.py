"""Ali's service: questions as turns of a chat, and their answers."""

import asyncio
from collections.abc import Mapping
from typing import Any

import orjson

from api.ali.answers import AliAnswer, from_chat_result, from_recorded_turn
from api.ali.candidates import CandidateFinder
from api.chat.errors import failure_of_turn
from api.chat.service import ChatService, Utterance
from api.chat.structured_answers import Requester
from domain.agents.names import ALI
from domain.ali.shapes import ALI_ANSWER
from domain.chat.ports import ChatReads
from domain.content import ContentStore
from domain.errors import NotFound, Unavailable

READING_TOOLS = ("query_costs", "search_knowledge", "find_talents", "query_projects", "query_analytics")
"""The tools Ali may use to answer a question: all of them only read."""


class AliService:
    """Asks Ali questions and reads the answers. Refusals and unreachable services are raised as `Refused`."""

    def __init__(
        self, conversations: ChatService, candidates: CandidateFinder, chats: ChatReads, content: ContentStore
    ) -> None:
        self._conversations = conversations
        self._candidates = candidates
        self._chats = chats
        self._content = content

    async def ask(
        self, query: str, context: Mapping[str, Any], asker: Requester, *, session_id: str | None, timeout_s: float
    ) -> AliAnswer:
        """Ask a question, in a new session or in the given one, and return its state after `timeout_s` seconds at most.

        Raises:
            NotFound: there is no such session, or Ali is not deployed.
            UpstreamFailed, TooLarge, OverBudget: the turn failed for this reason.
            Conflict: the session is with another agent, or has ended.
            Unavailable: Temporal or the database cannot be reached; nothing was accepted.
        """
        candidates, _ = await self._candidates.find(asker.tenant_id)
        utterance = Utterance(
            agent_id=ALI,
            message=f"{query}\n\nContext: {orjson.dumps(context).decode()}" if context else query,
            key_id=asker.key_id,
            tenant_id=asker.tenant_id,
            request_id=asker.request_id,
            key=asker.key,
            session_id=session_id,
            user_id=asker.user_id,
            project_id=asker.project_id,
            shape=ALI_ANSWER.name,
            options=tuple(one.id for one in candidates),
            tools=READING_TOOLS,
        )
        outcome = await self._conversations.send(utterance, timeout_s=timeout_s)
        said = outcome.said
        if said is None:
            return AliAnswer(outcome.session_id)
        if said.status == "failed":
            raise failure_of_turn(outcome, said)
        wanted = [said.reply_hash] if said.status == "completed" and said.reply_hash else []
        texts = await asyncio.to_thread(self._content.get, outcome.session_id, wanted) if wanted else {}
        return from_chat_result(outcome, said, texts.get(said.reply_hash or ""))

    async def read(self, session_id: str, turn: int | None) -> AliAnswer:
        """Return the state of a turn; without a number that of the newest, which may not have begun yet.

        Raises:
            NotFound: there is no such session with Ali, or no such turn in it.
            Unavailable: it cannot be determined now.
        """
        session = await asyncio.to_thread(self._chats.session, session_id)
        if session is not None and session.agent_id != ALI:
            raise NotFound("there is no such session with Ali")
        standing = await self._conversations.read_state(session_id)
        if session is None and standing.is_open is None:
            raise Unavailable("it cannot be determined now whether the session exists")
        number = turn or (session.turns if session else 0)
        spoken = await asyncio.to_thread(self._chats.turns, session_id, skip=number - 1, limit=1) if number else []
        newest = from_recorded_turn(spoken[0]) if session and spoken else None
        if turn is None and standing.pending and (newest is None or newest.status != "awaiting_approval"):
            return AliAnswer(session_id, newest.turn if newest and newest.status == "running" else None)
        if newest is None:
            raise NotFound("there is no such session with Ali, or no such turn in it")
        return newest
