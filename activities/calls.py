"""One model call as a small transaction: reserve, call, settle; and every way it can end in between."""

import asyncio
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from decimal import Decimal
from functools import partial
from itertools import chain
from typing import TypeVar

import structlog
from temporalio import activity

from activities import failures
from activities.beside import ALONE, Beside, Companion
from activities.books import Books, Reservation
from activities.chat import TurnRef
from activities.surely import surely
from domain.chat import policy
from domain.chat.ports import (
    Message,
    Model,
    ModelFailure,
    ModelReply,
    ModelRequest,
    ReplySchema,
    ToolOffer,
    ToolRequest,
)
from domain.chat.steps import stored
from domain.costs.aggregate import Call, Intent, Settled
from domain.errors import TooLarge

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Ask:
    """What a call is for, its prompts (each shorter than the one before), and what else is recorded with its books.

    `cleaned` is what is kept of an answer's text.
    """

    call_id: str
    ref: TurnRef
    workflow_id: str
    project_id: str | None
    model: str
    max_tokens: int
    temperature: float | None
    prompts: Iterator[tuple[Message, ...]]
    begun: Companion
    answered: Callable[[ModelReply], Companion]
    tools: tuple[ToolOffer, ...] = ()
    reply_schema: ReplySchema | None = None
    cleaned: Callable[[str], str] = str
    is_first: bool = True
    budget_usd: Decimal | None = None
    beside: Beside = ALONE


class Calls:
    """Calls the model and keeps the books. A reply that was settled before is returned without another call."""

    def __init__(self, books: Books, model: Model, now: Callable[[], datetime], *, timeout: timedelta) -> None:
        self._books = books
        self._model = model
        self._now = now
        self._timeout = timeout
        self._plain: set[str] = set()
        self._log = structlog.get_logger("calls")

    def takes_tools(self, model: str) -> bool:
        """Whether tools can be offered to it, as far as is known: a model that has refused them is not asked again."""
        return self._model.takes_tools and model not in self._plain

    async def settled(self, prepare: Callable[[], Ask]) -> Settled:
        """Call the model until a reply is settled.

        A prompt that is too long is followed by the next one; a model that takes no tools, or no schema, gets none.
        `prepare` reads what the prompts are made of; it runs in the thread that makes the first reservation.
        """
        untried = activity.info().attempt == 1
        ask, messages, reserved = await asyncio.to_thread(self._begin, prepare, untried=untried)
        because = ask.ref.because
        while reserved is not None:
            if isinstance(reserved, Settled):
                return reserved
            try:
                reply = await self._called(reserved, ask, messages)
            except ModelFailure as failure:
                call = await surely(partial(self._books.fail, reserved, failure, because), self._log)
                ask = self._asked_differently(ask, messages, failure, call)
                messages, reserved = await asyncio.to_thread(self._reserve, ask, untried=False)
            else:
                answered = ask.answered(reply)
                settle = partial(self._books.settle, reserved, reply, answered, because, ask.beside)
                return await surely(settle, self._log)
        raise TooLarge("the message does not fit the model's window")

    def _asked_differently(self, ask: Ask, messages: tuple[Message, ...], failure: ModelFailure, call: Call) -> Ask:
        """How to ask after this failure, within the same attempt.

        Raises:
            ApplicationError: there is nothing to be done differently.
        """
        if failure.kind == "too_long":
            return ask
        if failure.kind == "unsupported" and (ask.tools or ask.reply_schema):
            self._plain.add(ask.model)
            return replace(ask, tools=(), reply_schema=None, prompts=chain([messages], ask.prompts))
        final = failure.permanent or call.failures >= policy.MOST_FAILURES
        self._log.warning("call failed", call_id=ask.call_id, kind=failure.kind, final=final)
        raise failures.failed(failure, final=final) from failure

    def _begin(
        self, prepare: Callable[[], Ask], *, untried: bool
    ) -> tuple[Ask, tuple[Message, ...], Reservation | Settled | None]:
        ask = prepare()
        return ask, *self._reserve(ask, untried=untried and ask.is_first)

    def _reserve(self, ask: Ask, *, untried: bool) -> tuple[tuple[Message, ...], Reservation | Settled | None]:
        """The next prompt and its reservation; None when there is no shorter prompt left."""
        messages = next(ask.prompts, None)
        if messages is None:
            return (), None
        intent, because = self._intent(ask, messages), ask.ref.because
        return messages, self._books.reserve(intent, ask.begun, because, untried=untried, beside=ask.beside)

    async def _called(self, reserved: Reservation, ask: Ask, messages: tuple[Message, ...]) -> ModelReply:
        request = ModelRequest(
            reserved.request_id, ask.model, messages, ask.max_tokens, ask.temperature, ask.tools, ask.reply_schema
        )
        try:
            async with asyncio.timeout(self._timeout.total_seconds()):
                reply = await self._model.complete(request, _unheard)
        except TimeoutError:
            raise ModelFailure("timeout", "no end within the time", charge="possible", permanent=False) from None
        except asyncio.CancelledError:
            await surely(partial(self._books.lose, reserved, "cancelled", ask.ref.because), self._log)
            raise
        if reply.tool_calls:
            return replace(reply, text=stored(_storable(reply.text), [_storable_call(c) for c in reply.tool_calls]))
        text = ask.cleaned(_storable(reply.text))
        return replace(reply, text=text if text.strip() else "")

    def _intent(self, ask: Ask, messages: tuple[Message, ...]) -> Intent:
        bound = policy.prompt_bound(messages, ask.tools, ask.reply_schema)
        worst = self._books.price(ask.model, bound, ask.max_tokens)
        return Intent(
            call_id=ask.call_id,
            kind="chat",
            model=ask.model,
            worst_case=worst.cost,
            price_version=worst.price_version,
            prompt_tokens_bound=bound,
            max_tokens=ask.max_tokens,
            deadline=self._now() + self._timeout,
            agent_id=ask.ref.agent_id,
            session_id=ask.ref.session_id,
            workflow_id=ask.workflow_id,
            key_id=ask.ref.key_id,
            project_id=ask.project_id,
            root_id=ask.workflow_id if ask.budget_usd is not None else None,
            budget_usd=ask.budget_usd,
        )

    async def window(self, model: str) -> int:
        """The tokens that prompt and answer may take together."""
        try:
            return await self._model.window(model)
        except ModelFailure as failure:
            raise failures.failed(failure, final=False) from failure


def _storable(text: str) -> str:
    """Without what the database's text cannot hold: U+0000, and halves of surrogate pairs."""
    text = text.replace("\x00", "")
    return text if text.isascii() else text.encode(errors="replace").decode()


def _storable_call(call: ToolRequest) -> ToolRequest:
    return ToolRequest(_storable(call.id), _storable(call.name), _storable(call.arguments))


def _unheard(_: str) -> None:
    """Nobody listens to the pieces of an answer."""
