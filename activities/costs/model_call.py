"""One model call as a small transaction: reserve, call, settle, and each way to fail in between."""

import asyncio
from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import datetime, timedelta
from functools import partial
from itertools import chain
from types import MappingProxyType

import structlog
from temporalio import activity

from activities.costs import model_errors as failures
from activities.costs.attempt_recorder import AttemptRecorder
from activities.costs.bookkeeping import CostLedger
from activities.costs.call_request import CallRequest, clean_reply, refused_part, without_part
from activities.costs.model_choice import ModelChoice
from activities.costs.refusals import Refusals
from activities.costs.reservation import Reservation
from activities.durable_write import write_durably
from activities.providers.admission import NO_ADMISSION, AdmittedCall, CallAdmission, CallEntry
from activities.providers.circuits import CircuitIsOpen
from domain.chat import policy
from domain.chat.model_port import Message, Model, ModelFailure, ModelReply
from domain.costs.aggregate import Call, SettledReply
from domain.costs.limits.breach import LimitReached
from domain.errors import TooLarge
from domain.live.ports import NO_PUBLISHER, NO_WRITER, LivePublisher
from domain.providers.table import ANY_PROVIDER, ProviderTable

NO_TIMEOUTS: Mapping[str, timedelta] = MappingProxyType({})
_MARGIN_S = 5.0
"""The time that a model's adapter may take beyond an answer's timeout to raise its own error."""


class ModelCalls:
    """Calls the model and keeps the cost ledger. A reply that was settled before is returned without another call.

    One step fails at the provider at most `policy.MOST_FAILURES` times, and makes at most `policy.MOST_ATTEMPTS`
    attempts in all: those whose worker died and those that omit a refused part included.
    """

    def __init__(
        self,
        books: CostLedger,
        model: Model,
        now: Callable[[], datetime],
        *,
        timeout: timedelta,
        timeouts: Mapping[str, timedelta] = NO_TIMEOUTS,
        admission: CallAdmission = NO_ADMISSION,
        table: ProviderTable = ANY_PROVIDER,
        live: LivePublisher = NO_PUBLISHER,
    ) -> None:
        """`timeout` bounds a whole answer; `timeouts` those of models that have a bound of their own."""
        self._books = books
        self._model = model
        self._now = now
        self._timeout = timeout
        self._timeouts = timeouts
        self._admission = admission
        self.choice = ModelChoice(books, table)
        self._live = live
        self._refusals = Refusals()
        self._log = structlog.get_logger("calls")
        self._recorder = AttemptRecorder(books, self._log)

    def takes_tools(self, model: str) -> bool:
        """Return True if tools can be offered to this model: not for a while after it refused them."""
        takes_tools = self._model.takes_tools and self.choice.takes_tools(model)
        return takes_tools and not self._refusals.has_refused(model, "tools")

    async def complete(self, prepare: Callable[[], CallRequest], entry: CallEntry) -> SettledReply:
        """Call the model until a reply is settled.

        A prompt that is too long is followed by the next shorter one; a part that the model does not take is left out.
        `prepare` reads the material of the prompts; it runs in the thread that makes the first reservation.

        Raises:
            ModelUnusable: another model can be called in place of this one.
            TooLarge: no prompt fits the model's window.
            UpstreamFailed: the limit of attempts is reached.
        """
        try:
            async with self._admission.enter(entry) as passage:
                return await self._complete(prepare, passage)
        except CircuitIsOpen as refusal:
            call = await asyncio.to_thread(self._books.read, entry.call_id)
            if call.reply is not None:  # it was settled before
                return call.reply
            final = activity.info().attempt >= policy.MOST_FAILURES
            raise failures.circuit_error(refusal, final=final) from None

    async def _complete(self, prepare: Callable[[], CallRequest], passage: AdmittedCall) -> SettledReply:
        # a first activity attempt cannot have streams yet, unless the workflow was reset: then a conflict tells
        untried = activity.info().attempt == 1
        ask, messages, reserved = await asyncio.to_thread(self._begin, prepare, untried=untried)
        while reserved is not None:
            if isinstance(reserved, SettledReply):
                return reserved
            try:
                return await self._call_and_settle(reserved, ask, messages, passage)
            except ModelFailure as failure:
                failure.refuses = refused_part(failure, ask)
                call = await self._recorder.record_failure(reserved, failure, ask.ref.because)
                is_answered = isinstance(failure, failures.UnusableReply)
                await passage.note(None if is_answered else failure.kind, failure.usage)
                ask = self._next_request(ask, messages, failure, call)
            messages, reserved = await asyncio.to_thread(self._reserve_next, ask)
        raise TooLarge("the message does not fit the model's window")

    async def _call_and_settle(
        self, reserved: Reservation, ask: CallRequest, messages: tuple[Message, ...], passage: AdmittedCall
    ) -> SettledReply:
        """Call the model once and settle its reply.

        Raises:
            ModelFailure: there is no usable reply, whatever the reason.
        """
        reply = await self._call_model(reserved, ask, messages)
        try:
            answered = ask.answered(reply, self._books.price_of(reserved.intent, reply.usage))
            settle = partial(self._books.settle, reserved, reply, answered, ask.ref.because, ask.beside)
            settled = await write_durably(settle, self._log)
        except Exception as fault:  # a reply was paid for: whatever keeps it from the ledger is a failure of this call
            self._log.exception("a reply cannot be recorded", call_id=ask.call_id, attempt=reserved.attempt)
            raise failures.unusable_reply(reply.usage, reply.provider_call_id) from fault
        await passage.note(None, reply.usage)  # only now: a cancellation meanwhile must not lose what was paid for
        return settled

    def _next_request(
        self, ask: CallRequest, messages: tuple[Message, ...], failure: ModelFailure, call: Call
    ) -> CallRequest:
        """Return the request to make after this failure, within the same activity attempt.

        Raises:
            ApplicationError: no other request can help.
        """
        if failure.kind == "too_long":
            return ask
        if failure.kind == "unsupported" and (less := self._without_refused_part(ask, failure)):
            return replace(less, prompts=chain([messages], ask.prompts))
        final = failure.permanent or call.failures_of(ask.request.model) >= policy.MOST_FAILURES
        self._log.warning("call failed", call_id=ask.call_id, kind=failure.kind, final=final, said=str(failure))
        raise failures.model_failure_error(failure, final=final) from None  # the provider's words may quote the prompt

    def _without_refused_part(self, ask: CallRequest, failure: ModelFailure) -> CallRequest | None:
        """Return the request without the part that the model does not take; None if it does not contain it."""
        self._log.warning(
            "refused", call_id=ask.call_id, model=ask.request.model, what=failure.refuses, said=str(failure)
        )
        if failure.refuses == "parameter":  # the model's adapter knows by now
            return ask
        if failure.refuses is None:
            return None
        self._refusals.note(ask.request.model, failure.refuses)
        return without_part(ask, failure.refuses)

    def _begin(
        self, prepare: Callable[[], CallRequest], *, untried: bool
    ) -> tuple[CallRequest, tuple[Message, ...], Reservation | SettledReply | None]:
        ask = self._without_known_refusals(prepare())
        messages = next(ask.prompts, None)
        if messages is None:
            return ask, (), None
        untried = untried and ask.is_first
        return ask, messages, self._reserve_attempt(ask, messages, untried=untried, most_failures=policy.MOST_FAILURES)

    def _without_known_refusals(self, ask: CallRequest) -> CallRequest:
        """Return the request without the parts that its model is known to refuse."""
        for refused in self._refusals.of(ask.request.model):
            if refused != "schema_with_tools" or ask.request.tools:
                ask = without_part(ask, refused) or ask
        return ask

    def _reserve_next(self, ask: CallRequest) -> tuple[tuple[Message, ...], Reservation | SettledReply | None]:
        """Return the next prompt and its reservation; None when there is no shorter prompt left."""
        messages = next(ask.prompts, None)
        return (messages, self._reserve_attempt(ask, messages)) if messages is not None else ((), None)

    def _reserve_attempt(
        self,
        ask: CallRequest,
        messages: tuple[Message, ...],
        *,
        untried: bool = False,
        most_failures: int = policy.MOST_ATTEMPTS,
    ) -> Reservation | SettledReply:
        at, because = self._now(), ask.ref.because
        deadline = at + self._longest(ask.request.model) + timedelta(seconds=_MARGIN_S)
        intent = ask.intent(messages, price=partial(self._books.worst_price, at=at), at=at, deadline=deadline)
        try:
            return self._books.reserve(
                intent, ask.begun, because, untried=untried, beside=ask.beside, most_failures=most_failures
            )
        except LimitReached as refusal:
            if refusal.breach.is_askable:  # the turn waits for a person, so it has to be there
                self._books.begin_without_call(intent, ask.begun)
            raise

    async def _call_model(self, reserved: Reservation, ask: CallRequest, messages: tuple[Message, ...]) -> ModelReply:
        longest = self._longest(ask.request.model).total_seconds()
        arrived: list[ModelFailure] = []
        request = replace(
            ask.request,
            request_id=reserved.request_id,
            messages=messages,
            longest_s=longest,
            on_broken_off=arrived.append,
        )
        writer = self._live.writer(ask.live, reserved.attempt) if ask.live is not None else NO_WRITER
        try:
            async with asyncio.timeout(longest + _MARGIN_S):
                reply = await self._model.complete(request, writer.write)
                await writer.finish()  # before the answer is settled: what comes behind its end is refused
                return clean_reply(reply, ask)
        except TimeoutError:
            raise ModelFailure("timeout", "no end within the time", charge="possible", permanent=False) from None
        except asyncio.CancelledError:
            # the provider may charge for a cancelled call: record it before the cancellation propagates
            await self._recorder.record_cancelled(reserved, next(iter(arrived), None), ask.ref.because)
            raise
        except ModelFailure:
            raise
        except Exception as fault:  # called and perhaps charged: any other error is a failure of this call
            self._log.exception("a call failed unexpectedly", call_id=ask.call_id, attempt=reserved.attempt)
            raise failures.unusable_reply(None, None) from fault
        finally:
            writer.abandon()

    def _longest(self, model: str) -> timedelta:
        return self._timeouts.get(model, self._timeout)

    async def window(self, model: str) -> int:
        """Return the model's context window: the tokens that prompt and answer may take together."""
        try:
            return await self._model.window(model)
        except ModelFailure as failure:
            raise failures.model_failure_error(failure, final=False) from None
