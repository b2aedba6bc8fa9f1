"""What the model is asked: one step of a turn, or the summary of earlier ones."""

import asyncio
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import TypeVar

from temporalio import activity
from temporalio.exceptions import ApplicationError

from activities.books import Books, Companion
from activities.calls import Ask, Calls
from activities.chat import TurnRef, started
from activities.heartbeat import beating
from activities.memory import Memory
from domain.agents.definition import AgentDefinition
from domain.chat import aggregate, policy
from domain.chat.events import TurnAnswered
from domain.chat.ports import Message, ModelReply, Recall
from domain.content import content_hash
from domain.events import Cause, Event
from domain.ids import call_id, derived

T = TypeVar("T")


@dataclass(frozen=True)
class Thought:
    """What is asked of `think`: a turn and what its prompt remembers, by ids only. `visit` counts from 1."""

    turn: TurnRef
    workflow_id: str
    step: int = 1
    visit: int = 1
    first: int = 1
    summary_hash: str | None = None
    project_id: str | None = None


@dataclass(frozen=True)
class ToolCall:
    """A tool the model wants called."""

    id: str
    name: str


@dataclass(frozen=True)
class Answer:
    """What came of it: the reply by its hash; tokens; US dollars as exact text; the model's window in tokens.

    `room` is what the window has left for the next message if its prompt holds all that is remembered.
    """

    reply_hash: str
    finish: str
    model: str
    prompt_tokens: int
    completion_tokens: int
    cost: str
    window: int
    tool_calls: list[ToolCall] = field(default_factory=list)
    room: int | None = None


@dataclass(frozen=True)
class ToSummarise:
    """Turns `first` to `upto` are to be carried into the summary."""

    turn: TurnRef
    workflow_id: str
    first: int
    upto: int
    summary_hash: str | None = None
    project_id: str | None = None


@dataclass(frozen=True)
class Summary:
    """What stands for the turns up to `upto` from now on."""

    upto: int
    summary_hash: str


class Thinking:
    """The activities that call a model. A reply that was settled before is returned without another call."""

    def __init__(
        self,
        memory: Memory,
        books: Books,
        calls: Calls,
        now: Callable[[], datetime],
        *,
        default_model: str,
        max_answer_tokens: int,
    ) -> None:
        self._memory = memory
        self._books = books
        self._calls = calls
        self._now = now
        self._default_model = default_model
        self._max_answer_tokens = max_answer_tokens

    def all(self) -> list[Callable[..., object]]:
        return [self.think, self.summarise]

    @activity.defn(name="think")
    async def think(self, thought: Thought) -> Answer:
        """Answer a message."""
        ref = thought.turn
        with beating():
            definition = await self._definition(ref)
            model = definition.model or self._default_model
            window = await self._calls.window(model)
            max_answer = policy.answer_bound(self._max_answer_tokens, window)
            recalled: list[Recall] = []

            def prepare() -> Ask:
                recall = self._recall(thought, definition.instructions)
                recalled.append(recall)
                fitting = policy.fit(recall, window=window, max_answer=max_answer)
                return self._turn_ask(thought, model, definition.temperature, max_answer, _ever_shorter(fitting))

            settled = await self._calls.settled(prepare)
        if settled.reply_hash == _NOTHING:
            raise ApplicationError("the model gave an empty answer", type="UPSTREAM_ERROR", non_retryable=True)
        self._memory.keep(ref.session_id, ref.turn, ref.message_hash, settled.reply_hash)
        return Answer(
            reply_hash=settled.reply_hash,
            finish=settled.finish,
            model=settled.model,
            prompt_tokens=settled.prompt_tokens,
            completion_tokens=settled.completion_tokens,
            cost=str(settled.cost),
            window=window,
            room=policy.room(recalled[0], answered=settled.completion_tokens, window=window, max_answer=max_answer),
        )

    @activity.defn(name="summarise")
    async def summarise(self, wanted: ToSummarise) -> Summary:
        """Carry turns into the summary, so that prompts need no longer hold them word for word."""
        ref = wanted.turn
        with beating():
            definition = await self._definition(ref)
            model = definition.model or self._default_model
            window = await self._calls.window(model)

            def prepare() -> Ask:
                words = self._memory.words(ref.session_id, wanted.first, wanted.upto, wanted.summary_hash)
                earlier = words.texts.get(wanted.summary_hash or "")
                return self._summary_ask(
                    wanted, model, window, policy.summary_prompt(earlier, words.turns, window=window)
                )

            settled = await self._calls.settled(prepare)
        if settled.reply_hash == _NOTHING:
            raise ApplicationError("the model gave an empty summary", type="UPSTREAM_ERROR", non_retryable=True)
        return Summary(wanted.upto, settled.reply_hash)

    async def _definition(self, ref: TurnRef) -> AgentDefinition:
        known = self._memory.known(ref.agent_id, ref.agent_version)
        if known is not None:
            return known
        return await asyncio.to_thread(self._memory.definition, ref.agent_id, ref.agent_version)

    def _recall(self, thought: Thought, instructions: str) -> Recall:
        ref = thought.turn
        words = self._memory.words(ref.session_id, thought.first, ref.turn - 1, ref.message_hash, thought.summary_hash)
        return Recall(
            message=self._memory.message(words, ref.message_hash),
            turns=words.turns,
            summary=words.texts.get(thought.summary_hash or ""),
            instructions=instructions,
        )

    def _turn_ask(
        self,
        thought: Thought,
        model: str,
        temperature: float | None,
        max_answer: int,
        prompts: Iterator[tuple[Message, ...]],
    ) -> Ask:
        ref = thought.turn
        stream = aggregate.turn_stream(ref.session_id, ref.turn)
        begin = started(ref, model=model, cause=self._cause(ref))

        def answered(reply: ModelReply) -> Companion:
            return Companion(stream, lambda known: self._answers(ref, reply, model, known))

        return Ask(
            call_id=call_id(visited(ref.message_id, thought.visit), thought.step),
            ref=ref,
            workflow_id=thought.workflow_id,
            project_id=thought.project_id,
            model=model,
            max_tokens=max_answer,
            temperature=temperature,
            prompts=prompts,
            begun=Companion(stream, lambda known: aggregate.start(aggregate.load_turn(known), begin)),
            answered=answered,
        )

    def _summary_ask(self, wanted: ToSummarise, model: str, window: int, prompt: tuple[Message, ...]) -> Ask:
        ref = wanted.turn
        stream = aggregate.summary_stream(ref.session_id, wanted.upto)

        def summarised(reply: ModelReply) -> Companion:
            summary_hash = content_hash(reply.text)
            events = aggregate.summarised(ref.session_id, wanted.upto, summary_hash, self._cause(ref))
            return Companion(stream, lambda known: [] if known or not reply.text else events)

        return Ask(
            call_id=call_id(derived("summary", ref.session_id, wanted.upto), 1),
            ref=ref,
            workflow_id=wanted.workflow_id,
            project_id=wanted.project_id,
            model=model,
            max_tokens=min(policy.SUMMARY_TOKENS, window // 4),
            temperature=0.0,
            prompts=iter([prompt]),
            begun=Companion(stream, lambda _: []),
            answered=summarised,
        )

    def _answers(self, ref: TurnRef, reply: ModelReply, model: str, known: Sequence[Event]) -> list[Event]:
        """The turn's end; an empty reply is none."""
        if not reply.text:
            return []
        usage = reply.usage
        priced = self._books.price(model, usage.prompt_tokens, usage.completion_tokens, usage.cached_prompt_tokens)
        answered = TurnAnswered(
            session_id=ref.session_id,
            turn=ref.turn,
            message_id=ref.message_id,
            reply_hash=content_hash(reply.text),
            finish=reply.finish,
            model=reply.model or model,
            prompt_tokens=usage.prompt_tokens,
            completion_tokens=usage.completion_tokens,
            cost=priced.cost,
            **self._cause(ref).fields(),
        )
        return aggregate.answer(aggregate.load_turn(known), answered)

    def _cause(self, ref: TurnRef) -> Cause:
        return Cause(ref.key_id, ref.because, self._now())


def visited(message_id: str, visit: int) -> str:
    """The intent of a message's `visit`-th try as a whole: the first is the message itself."""
    return message_id if visit == 1 else derived(message_id, visit)


def _ever_shorter(recall: Recall) -> Iterator[tuple[Message, ...]]:
    remembered: Recall | None = recall
    while remembered is not None:
        yield policy.prompt(remembered)
        remembered = policy.shorter(remembered)


_NOTHING = content_hash("")
