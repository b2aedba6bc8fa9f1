"""Service that chooses the team for a task: by Ali's model, or by a rule."""

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import orjson

from api.ali.candidates import CandidateFinder
from api.chat.service import ChatService
from api.chat.structured_answers import (
    AnswerLabels,
    Requester,
    StructuredAnswer,
    StructuredAnswers,
    StructuredQuestion,
    is_unusable,
)
from api.http.dependencies import Positions
from domain.agents.names import ALI
from domain.ali.ranking import choose_by_rule, rank
from domain.ali.shapes import team_shape
from domain.ali.team import LEAST_MEMBERS, Candidate, Mode, Team, catalogue, parse_team, team_prompt
from domain.chat.ports import ChatReads
from domain.content import Content, ContentStore
from domain.errors import Conflict, Unavailable

CHOICE_TIMEOUT_S = 120.0
"""Seconds to wait for the choice of a team."""

_LABELS = AnswerLabels("team", "the choice", "the team is still being chosen", pause_s=5)
_TOO_LONG = "the task and the agents do not fit its window"


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


class TeamChooser:
    """Chooses teams. Refusals and unreachable services are raised as `Refused`."""

    def __init__(
        self,
        conversations: ChatService,
        candidates: CandidateFinder,
        chats: ChatReads,
        content: ContentStore,
        positions: Positions,
        *,
        timeout_s: float = CHOICE_TIMEOUT_S,
    ) -> None:
        self._answers = StructuredAnswers(conversations, chats, content, _LABELS, timeout_s=timeout_s)
        self._candidates = candidates
        self._positions = positions

    async def choose(self, wish: TeamRequest, asker: Requester) -> TeamChoice:
        """Choose a team: by the model, or by a rule if the model's answers stay invalid. Idempotent by the key.

        Raises:
            UpstreamFailed: the model provider failed.
            Conflict: there are fewer than two agents, or a person has rejected the choice.
            StillWorking: the choice takes too long or awaits approval; the same key continues it.
            Unavailable: the same without a key; the choice was cancelled.
        """
        candidates, is_fresh = await self._candidates.find(asker.tenant_id)
        if len(candidates) < LEAST_MEMBERS:
            if not is_fresh:
                raise Unavailable("the view of the agents is not up to date yet", retry_after=1)
            raise Conflict("there are not two agents to choose from")
        session_id = self._answers.session_of(asker)
        because = await self._find_earlier_failure(session_id, asker)
        if because is None:
            question = await asyncio.to_thread(_question, wish, candidates, session_id)
            answer = await self._answers.ask(question, session_id, asker)
            because = _unusable_reason(answer.said.code, answer.said.error)
            if because is None:
                return TeamChoice(await self._read_team(answer, wish), session_id)
        team = choose_by_rule(wish.task, candidates, most=wish.most, coordinator=ALI, mode=wish.mode, because=because)
        return TeamChoice(team, session_id)

    async def _find_earlier_failure(self, session_id: str, asker: Requester) -> str | None:
        """Return the reason for which the rule chose for this key before, so that the model is not asked again."""
        if asker.key is None or not await self._positions.wait("chat"):
            return None
        turn = await asyncio.to_thread(self._answers.find_turn, session_id, asker)
        return _unusable_reason(turn.code, turn.error) if turn else None

    async def _read_team(self, answer: StructuredAnswer, wish: TeamRequest) -> Team:
        reply = answer.said.reply_hash
        if reply is None:
            raise LookupError("the choice was made and has no text")
        text = await self._answers.read_text(answer.outcome.session_id, reply)
        return parse_team(text, coordinator=ALI, mode=wish.mode)


def _question(wish: TeamRequest, candidates: list[Candidate], session_id: str) -> StructuredQuestion:
    """Return the question that chooses. The best matches come first: a small window cuts the rest."""
    listed = [match.candidate for match in rank(wish.task, candidates)]
    task = Content(session_id, wish.task)
    agents = Content(session_id, catalogue(listed))
    known = Content(session_id, orjson.dumps(wish.context).decode()) if wish.context else None
    parts = team_prompt(
        catalogue_hash=agents.hash,
        task_hash=task.hash,
        context_hash=known.hash if known else None,
        most=wish.most,
        mode=wish.mode,
    )
    return StructuredQuestion(
        agent_id=ALI,
        message=wish.task,
        shape=team_shape(wish.most),
        options=tuple(one.id for one in candidates),
        parts=tuple(parts),
        texts=(agents, known) if known else (agents,),
    )


def _unusable_reason(code: str | None, error: str | None) -> str | None:
    """Return the reason of a failed turn if it is the model's own failure to choose, else None."""
    if not is_unusable(code):
        return None
    return _TOO_LONG if code == "PAYLOAD_TOO_LARGE" else error
