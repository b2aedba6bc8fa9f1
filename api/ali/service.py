"""Ali's service: questions as turns of a chat, and teams chosen in one."""

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import orjson

from api.chat.accepted_work import make_retry_error
from api.chat.errors import failure_of_turn
from api.chat.service import ChatOutcome, ChatService, Utterance
from api.http.dependencies import Positions
from domain.agents.names import ALI
from domain.agents.ports import AgentFilter, AgentReads
from domain.ali.ranking import choose_by_rule, rank
from domain.ali.shapes import ALI_ANSWER, team_shape
from domain.ali.team import LEAST_MEMBERS, Candidate, Mode, Team, catalogue, parse_team, team_prompt
from domain.chat.ports import ChatReads
from domain.content import Content, ContentStore
from domain.errors import Conflict, Unavailable
from domain.ids import derived_id, message_id, random_id
from domain.tenant_ids import qualified

READING_TOOLS = ("query_costs", "search_knowledge", "find_talents", "query_projects", "query_analytics")
"""The tools Ali may use to answer a question: all of them only read."""
CHOICE_TIMEOUT_S = 120.0
"""Seconds to wait for the choice of a team."""

_MAX_AGENTS = 1_000
_TOO_LONG = "the task and the agents do not fit its window"


@dataclass(frozen=True, slots=True)
class Requester:
    """The caller and its tenant. `key` is the scoped idempotency key, if there is one."""

    key_id: str
    tenant_id: str
    request_id: str
    key: str | None = None
    user_id: str | None = None
    project_id: str | None = None


@dataclass(frozen=True, slots=True)
class TeamChoice:
    """A team, and the session in which it was chosen."""

    team: Team
    session_id: str


@dataclass(frozen=True, slots=True)
class TeamRequest:
    """A task that needs a team of `most` members at most; a given `mode` is kept."""

    task: str
    most: int
    mode: Mode | None = None
    context: Mapping[str, Any] = field(default_factory=dict)


class AliService:
    """Answers questions and chooses teams. Refusals and unreachable services are raised as `Refused`."""

    def __init__(
        self,
        conversations: ChatService,
        agents: AgentReads,
        chats: ChatReads,
        content: ContentStore,
        positions: Positions,
        *,
        choosing_s: float = CHOICE_TIMEOUT_S,
    ) -> None:
        self._conversations = conversations
        self._agents = agents
        self._chats = chats
        self._content = content
        self._positions = positions
        self._choosing_s = choosing_s

    async def ask(
        self, query: str, context: Mapping[str, Any], asker: Requester, *, session_id: str | None, timeout_s: float
    ) -> ChatOutcome:
        """Ask a question, in a new session or in the given one, and wait `timeout_s` seconds at most.

        Raises:
            NotFound: there is no such session, or Ali is not deployed.
            Conflict: the session is with another agent, or has ended.
            Unavailable: Temporal or the database cannot be reached; nothing was accepted.
        """
        candidates, _ = await self._list_candidates(asker.tenant_id)
        utterance = Utterance(
            agent_id=ALI,
            message=f"{query}\n\nContext: {_json(context)}" if context else query,
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
        return await self._conversations.send(utterance, timeout_s=timeout_s)

    async def choose(self, wish: TeamRequest, asker: Requester) -> TeamChoice:
        """Choose a team: by the model, or by a rule if the model's answers stay invalid. Idempotent by the key.

        Raises:
            UpstreamFailed: the model provider failed.
            Conflict: there are fewer than two agents, or a person has rejected the choice.
            StillWorking: the choice takes too long or awaits approval; the same key continues it.
            Unavailable: the same without a key; the choice was cancelled.
        """
        candidates, is_fresh = await self._list_candidates(asker.tenant_id)
        if len(candidates) < LEAST_MEMBERS:
            if not is_fresh:
                raise Unavailable("the view of the agents is not up to date yet", retry_after=1)
            raise Conflict("there are not two agents to choose from")
        name = f"session_{derived_id('team', asker.key)}" if asker.key else random_id("session")
        session_id = qualified(asker.tenant_id, name)
        because = await self._find_earlier_failure(session_id, asker)
        if because is None:
            outcome = await self._ask_for_team(wish, candidates, session_id, asker)
            await self._refuse_unfinished(outcome, asker)
            because = _reason_for_rule(outcome)
            if because is None:
                return TeamChoice(await self._read_team(outcome, wish), session_id)
        team = choose_by_rule(wish.task, candidates, most=wish.most, coordinator=ALI, mode=wish.mode, because=because)
        return TeamChoice(team, session_id)

    async def _refuse_unfinished(self, outcome: ChatOutcome, asker: Requester) -> None:
        again = partial(make_retry_error, self._conversations, outcome, key=asker.key)
        if outcome.said is None:
            raise await again(message="the team is still being chosen", retry_after=5)
        if outcome.said.status == "awaiting_approval":
            raise await again(message="the choice awaits approval", retry_after=30)

    async def _find_earlier_failure(self, session_id: str, asker: Requester) -> str | None:
        """Return the reason for which the rule chose for this key before, so that the model is not asked again."""
        if asker.key is None or not await self._positions.wait("chat"):
            return None
        turn = await asyncio.to_thread(self._chats.turn_of, session_id, message_id(session_id, asker.key))
        return _unusable_reason(turn.code, turn.error) if turn else None

    async def _ask_for_team(
        self, wish: TeamRequest, candidates: list[Candidate], session_id: str, asker: Requester
    ) -> ChatOutcome:
        utterance = await asyncio.to_thread(self._question, wish, candidates, session_id, asker)
        return await self._conversations.send(utterance, timeout_s=self._choosing_s)

    def _question(self, wish: TeamRequest, candidates: list[Candidate], session_id: str, asker: Requester) -> Utterance:
        """Return the turn that chooses, its texts stored. The best matches come first: a small window cuts the rest."""
        listed = [match.candidate for match in rank(wish.task, candidates)]
        task = Content(session_id, wish.task)
        agents = Content(session_id, catalogue(listed))
        known = Content(session_id, _json(wish.context)) if wish.context else None
        for text in (agents, known):
            if text is not None:
                self._content.put(text)
        return Utterance(
            agent_id=ALI,
            message=wish.task,
            key_id=asker.key_id,
            tenant_id=asker.tenant_id,
            request_id=asker.request_id,
            key=asker.key,
            session_id=session_id,
            user_id=asker.user_id,
            project_id=asker.project_id,
            shape=team_shape(wish.most),
            options=tuple(one.id for one in candidates),
            tools=(),
            parts=tuple(
                team_prompt(
                    catalogue_hash=agents.hash,
                    task_hash=task.hash,
                    context_hash=known.hash if known else None,
                    most=wish.most,
                    mode=wish.mode,
                )
            ),
        )

    async def _read_team(self, outcome: ChatOutcome, wish: TeamRequest) -> Team:
        said = outcome.said
        if said is None or said.reply_hash is None:
            raise Unavailable("the team is not chosen yet", retry_after=5)
        texts = await asyncio.to_thread(self._content.get, outcome.session_id, [said.reply_hash])
        if said.reply_hash not in texts:
            raise Conflict("the text of the choice was erased")
        return parse_team(texts[said.reply_hash], coordinator=ALI, mode=wish.mode)

    async def _list_candidates(self, tenant_id: str) -> tuple[list[Candidate], bool]:
        """Return the deployed agents without Ali, in the order of their ids; False while their view is behind."""
        is_fresh = await self._positions.wait("agents")
        return await asyncio.to_thread(self._read_candidates, tenant_id), is_fresh

    def _read_candidates(self, tenant_id: str) -> list[Candidate]:
        rows = self._agents.page(AgentFilter(tenant_id, status="active"), skip=0, limit=_MAX_AGENTS).agents
        return [
            Candidate(row.id, row.name, row.description, tuple(row.capabilities))
            for row in rows
            if row.deployed_version is not None and row.id != ALI
        ]


def _reason_for_rule(outcome: ChatOutcome) -> str | None:
    """Return the reason for which the model's choice is unusable, so that the rule chooses; None if it is usable.

    Raises:
        Refused: there is no choice, and none by the rule either.
    """
    said = outcome.said
    if said is None:
        raise ValueError("the turn is not over yet")
    match said.status:
        case "completed":
            return None
        case "rejected":
            raise Conflict("a person has rejected the choice", approval_id=said.approval_id)
    if because := _unusable_reason(said.code, said.error):
        return because
    raise failure_of_turn(outcome, said)


def _unusable_reason(code: str | None, error: str | None) -> str | None:
    """Return the reason of a failed turn if it is the model's own failure to choose, else None."""
    if code == "PAYLOAD_TOO_LARGE":
        return _TOO_LONG
    return error if code == "UNUSABLE_REPLY" else None


def _json(context: Mapping[str, Any]) -> str:
    return orjson.dumps(context).decode()
