"""Assembles the prompt of a turn."""

import orjson

from activities.chat.history import ChatHistory, SessionTexts
from activities.chat.messages import StepRef, StepRequest
from activities.chat.reply import ReplyConstraints
from domain.agents.definition import AgentDefinition
from domain.chat import policy, steps
from domain.chat.policy import PromptMaterial
from domain.errors import NotFound
from domain.message_parts import compose, hashes


class PromptBuilder:
    """Reads texts, and composes the messages of runs."""

    def __init__(self, memory: ChatHistory) -> None:
        self._memory = memory

    def recall(
        self,
        thought: StepRequest,
        definition: AgentDefinition,
        wanted: ReplyConstraints,
        *,
        window: int,
        max_answer: int,
    ) -> PromptMaterial:
        """Collect the earlier turns, the message and its steps so far; `window` and `max_answer` in tokens.

        Raises:
            NotFound: a required text was erased.
        """
        words = self._words(thought)
        room = policy.text_room(window=window, max_answer=max_answer)
        return PromptMaterial(
            message=self._message(thought, words, room),
            turns=words.turns,
            summary=words.texts.get(thought.summary_hash or ""),
            instructions=_instructions(definition, wanted),
            steps=steps.messages([_step(step, words) for step in thought.steps], most=room),
        )

    def _words(self, thought: StepRequest) -> SessionTexts:
        ref = thought.turn
        of_steps = {h for step in thought.steps for h in (step.reply_hash, *step.results)}
        wanted = hashes(thought.parts) or {ref.message_hash}
        return self._memory.read_texts(
            ref.session_id,
            thought.first,
            ref.turn - 1,
            thought.summary_hash,
            *wanted,
            *of_steps,
            lineage=thought.lineage,
        )

    def _message(self, thought: StepRequest, words: SessionTexts, room: int) -> str:
        if not thought.parts:
            return self._memory.message(words, thought.turn.message_hash)
        return compose(thought.parts, words.texts, most=room)


def _step(step: StepRef, words: SessionTexts) -> steps.TurnStep:
    missing = {step.reply_hash, *step.results} - words.texts.keys()
    if missing:
        raise NotFound("a step of this turn was erased")
    return steps.TurnStep(
        words.texts[step.reply_hash], tuple(words.texts[result] for result in step.results), step.asks
    )


def _instructions(definition: AgentDefinition, wanted: ReplyConstraints) -> str:
    schema = wanted.reply_schema
    if schema is None:
        return definition.instructions
    told = orjson.dumps(schema.schema).decode()
    return f"{definition.instructions}\n\nAnswer with one JSON object of this JSON Schema, and nothing else:\n{told}"
