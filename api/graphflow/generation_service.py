"""Service that generates workflows: one turn of a chat, corrected in it until the definition can run."""

import asyncio
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from activities.graphflow.validation import problem_details
from api.chat.errors import failure_of_turn
from api.chat.service import ChatOutcome, ChatService
from api.chat.structured_answers import (
    AnswerLabels,
    Requester,
    StructuredAnswer,
    StructuredAnswers,
    StructuredQuestion,
)
from api.graphflow.definition_service import DefinitionService
from api.graphflow.generation_context import AllowedNames, NameCatalogue
from domain.chat.events import TurnAnswered, TurnFailed, TurnProposed, TurnStepped
from domain.chat.ports import ChatReads
from domain.chat.steps import UNUSABLE
from domain.chat.turns import turn_stream
from domain.content import Content, ContentStore
from domain.display_names import fold_name
from domain.errors import Invalid
from domain.events import Event
from domain.graphflow.catalogue.names import name_conflict
from domain.graphflow.catalogue.ports import WorkflowFilter
from domain.graphflow.definition.model import Definition
from domain.graphflow.generation.answer import DESIGN, RequirementTrace, parse_answer
from domain.graphflow.generation.prompt import generation_prompt, number_requirements
from domain.graphflow.validation.problems import Problem, Validation
from domain.ledger import Ledger
from domain.tenant_ids import unqualified
from workflows.chat.messages import ChatResult

DESIGNER = "wanda_workflow_orchestrator"
"""The agent that generates workflows: she is specialised in workflows of agents with human approvals."""
GENERATION_TIMEOUT_S = 240.0
"""Seconds to wait for a generated workflow, all attempts together."""

_LABELS = AnswerLabels("design", "the generated workflow", "the workflow is still being generated", pause_s=10)
_MAX_MATCHES = 1_000


@dataclass(frozen=True, slots=True)
class DesignRequest:
    """The description of a workflow; without a `name` the model chooses one."""

    description: str
    requirements: tuple[str, ...] = ()
    name: str | None = None


@dataclass(frozen=True, slots=True)
class Design:
    """A generated workflow that can run. `attempts` is the number of the model's answers."""

    definition: Definition
    validation: Validation
    requirements: tuple[RequirementTrace, ...]
    attempts: int
    said: ChatResult
    session_id: str


class WorkflowDesigner:
    """Generates workflows. Refusals and unreachable services are raised as `Refused`."""

    def __init__(
        self,
        conversations: ChatService,
        service: DefinitionService,
        chats: ChatReads,
        *,
        content: ContentStore,
        ledger: Ledger,
        naming: NameCatalogue,
        timeout_s: float = GENERATION_TIMEOUT_S,
    ) -> None:
        self._answers = StructuredAnswers(conversations, chats, content, _LABELS, timeout_s=timeout_s)
        self._desk = service
        self._ledger = ledger
        self._naming = naming

    async def design(self, wish: DesignRequest, asker: Requester) -> Design:
        """Generate a workflow. Idempotent by the key.

        Raises:
            Invalid: the last attempt could not run either; `errors` are its problems, `attempts` their number.
            UpstreamFailed: the model provider failed.
            TooLarge: the description does not fit the model's window.
            Conflict: another workflow has the name, or a person has rejected the workflow.
            StillWorking: it takes too long or awaits approval; the same key continues it.
            Unavailable: the same without a key; it was cancelled.
        """
        session_id = self._answers.session_of(asker)
        await asyncio.to_thread(self._refuse_taken, wish, session_id, asker)
        names = await self._naming.find_names(
            asker.tenant_id, f"{wish.description} {' '.join(wish.requirements)}", len(wish.requirements)
        )
        answer = await self._answers.ask(_question(wish, names, session_id), session_id, asker)
        outcome, said = answer.outcome, answer.said
        attempts = await self._read_attempts(answer)
        reply = said.reply_hash if said.status == "completed" else None
        text = await self._answers.read_text(session_id, reply or attempts[-1])
        found = parse_answer(text, names.options)
        if found.definition is None or found.problems or said.status == "failed":
            raise _rejection(found.problems, outcome, len(attempts))
        definition = found.definition.model_copy(update={"name": wish.name} if wish.name else {})
        validation = await self._desk.proving.validate(asker.tenant_id, definition)
        if not validation.valid:
            raise _rejection(validation.errors, outcome, len(attempts))
        return Design(definition, validation, found.requirements, len(attempts), said, session_id)

    def _refuse_taken(self, wish: DesignRequest, session_id: str, asker: Requester) -> None:
        """Refuse a name that another workflow has before a model is paid; a repeat may find its own workflow."""
        if wish.name is None or self._answers.find_turn(session_id, asker):
            return
        found = self._desk.reads.page(WorkflowFilter(asker.tenant_id, "active", wish.name), skip=0, limit=_MAX_MATCHES)
        for seen in found.workflows:
            if fold_name(seen.row.name) == fold_name(wish.name):
                raise name_conflict(wish.name, seen.row.id)

    async def _read_attempts(self, answer: StructuredAnswer) -> list[str]:
        """Return the hashes of the model's answers in the turn.

        Raises:
            UpstreamFailed, TooLarge: there is none.
        """
        outcome, said = answer.outcome, answer.said
        events = await asyncio.to_thread(self._ledger.read, turn_stream(outcome.session_id, said.turn))
        attempts = _attempts(events)
        if said.status == "failed" and not attempts:
            raise failure_of_turn(outcome, said)
        return attempts


def _question(wish: DesignRequest, names: AllowedNames, session_id: str) -> StructuredQuestion:
    called = f"\n\nIts name is to be: {wish.name}" if wish.name else ""
    wanted = Content(session_id, f"{wish.description}{called}")
    there = Content(session_id, names.text)
    asked = Content(session_id, number_requirements(wish.requirements)) if wish.requirements else None
    parts = generation_prompt(
        names_hash=there.hash,
        description_hash=wanted.hash,
        requirements_hash=asked.hash if asked else None,
    )
    return StructuredQuestion(
        agent_id=DESIGNER,
        message=wish.description,
        shape=DESIGN.name,
        options=names.options,
        parts=tuple(parts),
        texts=(wanted, there, asked) if asked else (wanted, there),
    )


def _attempts(events: Iterable[Event]) -> list[str]:
    """Return the hashes of the model's answers in the newest attempt at a turn, from the ledger."""
    hashes: list[str] = []
    is_over = False
    for event in events:
        match event:
            case TurnStepped(reply_hash=reply) | TurnProposed(reply_hash=reply):
                hashes = [reply] if is_over else [*hashes, reply]
                is_over = False
            case TurnAnswered(reply_hash=reply, approval_id=None):
                hashes = [reply] if is_over else [*hashes, reply]
            case TurnFailed():
                is_over = True
    return hashes


def _rejection(problems: Sequence[Problem], outcome: ChatOutcome, attempts: int) -> Invalid:
    errors = [problem_details(problem) for problem in problems]
    first = errors[0] if errors else {"field": "definition", "reason": UNUSABLE}
    return Invalid(
        f"no workflow that can run was generated; the last answer of {attempts}: {first['field']}: {first['reason']}",
        field=first["field"],
        reason=first["reason"],
        errors=errors or [first],
        attempts=attempts,
        session_id=unqualified(outcome.session_id),
    )
