"""Summarises older turns, so that prompts need no longer contain them word for word."""

import asyncio
from collections.abc import Callable
from datetime import datetime
from functools import partial

from temporalio import activity

from activities.chat.history import ChatHistory
from activities.chat.messages import Summary, SummaryRequest
from activities.costs.call_request import CallRequest, ModelPlace
from activities.costs.joint_append import Companion
from activities.costs.model_call import ModelCalls
from activities.failures import permanent_failure
from activities.heartbeat import send_heartbeats
from activities.providers.admission import CallEntry
from domain.chat import policy, sessions
from domain.chat.model_port import Message, ModelReply, ModelRequest
from domain.content import content_hash
from domain.costs.ports import Price
from domain.events import Cause
from domain.ids import call_id, derived_id
from domain.tenant_ids import tenant_of


class SummaryActivities:
    """The activity that has turns summarised. A summary that was settled before is returned without another call."""

    def __init__(
        self, memory: ChatHistory, calls: ModelCalls, now: Callable[[], datetime], *, default_model: str
    ) -> None:
        self._memory = memory
        self._calls = calls
        self._now = now
        self._default_model = default_model

    def all(self) -> list[Callable[..., object]]:
        return [self.summarise]

    @activity.defn(name="summarise")
    async def summarise(self, wanted: SummaryRequest) -> Summary:
        """Add turns to the summary."""
        ref = wanted.turn
        with send_heartbeats():
            place = tenant_of(ref.session_id), ref.agent_id, ref.agent_version
            definition = await asyncio.to_thread(self._memory.definition, *place)
            models = (definition.model or self._default_model, *definition.fallback_models)
            return await self._calls.choice.try_each(_call_of(wanted), models, partial(self._summarise, wanted))

    async def _summarise(self, wanted: SummaryRequest, place: ModelPlace) -> Summary:
        ref = wanted.turn
        window = await self._calls.window(place.model)

        def prepare() -> CallRequest:
            words = self._memory.read_texts(
                ref.session_id, wanted.first, wanted.upto, wanted.summary_hash, lineage=wanted.lineage
            )
            earlier = words.texts.get(wanted.summary_hash or "")
            prompt = policy.summary_prompt(earlier, words.turns, window=window)
            return self._build_call(wanted, place, window, prompt)

        entry = CallEntry(_call_of(wanted), place.model, tenant_of(ref.session_id), may_move=wanted.may_move)
        settled = await self._calls.complete(prepare, entry)
        if settled.reply_hash == content_hash(""):
            raise permanent_failure("UPSTREAM_ERROR", "the model gave an empty summary")
        return Summary(wanted.upto, settled.reply_hash)

    def _build_call(
        self, wanted: SummaryRequest, place: ModelPlace, window: int, prompt: tuple[Message, ...]
    ) -> CallRequest:
        ref = wanted.turn
        stream = sessions.summary_stream(ref.session_id, wanted.upto)

        def summary_events(reply: ModelReply, _: Price) -> Companion:
            cause = Cause(ref.key_id, ref.because, self._now(), tenant_of(ref.session_id))
            events = sessions.summarise(ref.session_id, wanted.upto, content_hash(reply.text), cause)
            return Companion(stream, lambda known: [] if known or not reply.text else events)

        summary_call = _call_of(wanted)
        max_tokens = min(policy.SUMMARY_TOKENS, window // 4)
        return CallRequest(
            call_id=summary_call,
            ref=ref,
            workflow_id=wanted.workflow_id,
            project_id=wanted.project_id,
            request=ModelRequest(summary_call, place.model, max_tokens=max_tokens, temperature=0.0),
            prompts=iter([prompt]),
            begun=Companion(stream, lambda _: []),
            answered=summary_events,
            enclosing_runs=tuple(wanted.enclosing_runs),
            place=place,
        )


def _call_of(wanted: SummaryRequest) -> str:
    """Return the id of the call that makes a summary."""
    return call_id(derived_id("summary", wanted.turn.session_id, wanted.upto), 1)
