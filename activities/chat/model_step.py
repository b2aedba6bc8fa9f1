"""One step of a turn: one model call, whose reply is an answer or leads to another step."""

import asyncio
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import datetime
from decimal import Decimal

from temporalio import activity

from activities.chat.history import ChatHistory
from activities.chat.messages import StepRequest, StepResult
from activities.chat.prompt import PromptBuilder
from activities.chat.reply import extract_json, parse_reply
from activities.chat.reply_store import ReplyTextStore
from activities.chat.step_context import StepContext
from activities.chat.tool_offers import ToolOffers
from activities.chat.turn_events import reply_events, turn_started_event
from activities.chat.turn_signature import TurnSigner
from activities.costs.bookkeeping import CostLedger
from activities.costs.call_request import CallRequest, ModelPlace
from activities.costs.joint_append import NO_JOINT_APPEND, Companion, JointAppend
from activities.costs.model_call import ModelCalls
from activities.failures import permanent_failure
from activities.heartbeat import send_heartbeats
from activities.providers.admission import CallEntry
from activities.turn_ref import TurnRef
from domain.agents.definition import AgentDefinition
from domain.chat import policy, turns
from domain.chat.finish import empty_answer_reason
from domain.chat.model_port import Message, ModelReply, ModelRequest
from domain.chat.policy import PromptMaterial
from domain.content import Content, ContentStore, content_hash
from domain.costs.aggregate import SettledReply
from domain.costs.ports import Price
from domain.errors import NotFound
from domain.events import Cause
from domain.ids import call_id, root_of
from domain.live.ports import LiveCall
from domain.revocations import attempt_intent
from domain.signatures.ports import NO_SIGNER, Signer
from domain.tenant_ids import tenant_of


class ModelStepActivities:
    """The activity that calls a model. A reply that was settled before is returned without another call."""

    def __init__(
        self,
        memory: ChatHistory,
        content: ContentStore,
        books: CostLedger,
        calls: ModelCalls,
        *,
        offers: ToolOffers,
        now: Callable[[], datetime],
        default_model: str,
        max_answer_tokens: int,
        answer_share: int = 4,
        signer: Signer = NO_SIGNER,
    ) -> None:
        self._memory = memory
        self._prompts = PromptBuilder(memory)
        self._content = content
        self._books = books
        self._calls = calls
        self._offers = offers
        self._now = now
        self._default_model = default_model
        self._max_answer_tokens = max_answer_tokens
        self._answer_share = answer_share
        self._signer = TurnSigner(signer, memory.previous_answer)

    def all(self) -> list[Callable[..., object]]:
        return [self.think]

    @activity.defn(name="think")
    async def think(self, thought: StepRequest) -> StepResult:
        """Take one step of a turn."""
        with send_heartbeats():
            return await self.step(thought)

    async def step(self, thought: StepRequest, beside: JointAppend = NO_JOINT_APPEND) -> StepResult:
        """Take the step inside another activity, which heartbeats; the events of `beside` are appended with it."""
        ref = thought.turn
        definition = await self._definition(ref)
        step_call = call_id(attempt_intent(ref.message_id, thought.visit), thought.step)
        models = (definition.model or self._default_model, *definition.fallback_models)

        async def take(place: ModelPlace) -> StepResult:
            return await self._call(await self._prepare_step(thought, definition, step_call, place), beside)

        return await self._calls.choice.try_each(step_call, models, take)

    async def _call(self, asking: StepContext, beside: JointAppend) -> StepResult:
        thought = asking.thought
        recalled: list[PromptMaterial] = []

        def prepare() -> CallRequest:
            recall = self._prompts.recall(
                thought, asking.definition, asking.wanted, window=asking.window, max_answer=asking.max_answer
            )
            recalled.append(recall)
            fitting = policy.fit_to_window(recall, window=asking.window, max_answer=asking.max_answer)
            return replace(self._build_call(asking, recall.message, _ever_shorter(fitting)), beside=beside)

        tenant_id = tenant_of(thought.turn.session_id)
        entry = CallEntry(asking.call_id, asking.model, tenant_id, may_move=thought.may_move)
        settled = await self._calls.complete(prepare, entry)
        if settled.reply_hash == _EMPTY_HASH:
            raise permanent_failure("UPSTREAM_ERROR", empty_answer_reason(settled.finish))
        return await self._answer(asking, settled, recalled[0])

    async def _prepare_step(
        self, thought: StepRequest, definition: AgentDefinition, step_call: str, place: ModelPlace
    ) -> StepContext:
        model = place.model
        window = await self._calls.window(model)
        bound, share = self._calls.choice.answer_limits(model) or (self._max_answer_tokens, self._answer_share)
        return StepContext(
            thought=thought,
            call_id=step_call,
            model=model,
            place=place,
            definition=definition,
            wanted=await self._offers.reply_constraints(
                thought, definition, takes_tools=self._calls.takes_tools(model)
            ),
            window=window,
            max_answer=policy.answer_bound(bound, window, share),
        )

    async def _definition(self, ref: TurnRef) -> AgentDefinition:
        place = tenant_of(ref.session_id), ref.agent_id, ref.agent_version
        known = self._memory.cached_definition(*place)
        return known if known is not None else await asyncio.to_thread(self._memory.definition, *place)

    def _build_call(self, asking: StepContext, message: str, prompts: Iterator[tuple[Message, ...]]) -> CallRequest:
        thought, wanted = asking.thought, asking.wanted
        said = Content(root_of(thought.turn.session_id), message) if thought.parts else None
        ref = replace(thought.turn, message_hash=said.hash) if said else thought.turn
        stream = turns.turn_stream(ref.session_id, ref.turn)
        begin = turn_started_event(ref, model=asking.model, cause=self._cause(ref))

        def answer_events(reply: ModelReply, price: Price) -> Companion:
            return Companion(
                stream,
                lambda known: reply_events(asking, reply, known, price.cost, self._cause(ref), signer=self._signer),
            )

        return CallRequest(
            call_id=asking.call_id,
            ref=ref,
            workflow_id=thought.workflow_id,
            project_id=thought.project_id,
            request=ModelRequest(
                request_id=asking.call_id,
                model=asking.model,
                max_tokens=asking.max_answer,
                temperature=asking.definition.temperature,
                tools=wanted.offers,
                reply_schema=wanted.reply_schema,
                calls_no_tools=wanted.calls_no_tools,
            ),
            prompts=prompts,
            begun=Companion(
                stream,
                lambda known: turns.start(turns.load_turn(known), begin),
                (said,) if said else (),
            ),
            answered=answer_events,
            cleaned=lambda text: extract_json(text, wanted),
            is_first=thought.step == 1,
            budget_usd=Decimal(thought.budget_usd) if thought.budget_usd is not None else None,
            enclosing_runs=tuple(thought.enclosing_runs),
            place=asking.place,
            live=_live_call(asking),
        )

    async def _answer(self, asking: StepContext, settled: SettledReply, recall: PromptMaterial) -> StepResult:
        thought, ref = asking.thought, asking.thought.turn
        room = policy.remaining_room(
            recall, answered=settled.completion_tokens, window=asking.window, max_answer=asking.max_answer
        )
        answer = StepResult(
            reply_hash=settled.reply_hash,
            finish=settled.finish,
            model=settled.model,
            prompt_tokens=settled.prompt_tokens,
            completion_tokens=settled.completion_tokens,
            cost=str(settled.cost),
            window=asking.window,
            room=room,
            has_no_tools=bool(asking.definition.tools) and not self._calls.takes_tools(asking.model),
        )
        if asking.wanted.shape is not None or settled.finish == "tool_calls":
            return await asyncio.to_thread(self._parse_reply, asking, answer)
        if not thought.parts and not thought.is_held:
            self._memory.remember_answer(ref.session_id, ref.turn, ref.message_hash, settled.reply_hash)
        return answer

    def _parse_reply(self, asking: StepContext, answer: StepResult) -> StepResult:
        """Parse the recorded reply, which an earlier attempt may have settled."""
        readings = ReplyTextStore(self._content, root_of(asking.thought.turn.session_id))
        text = self._content.get(readings.owner, [answer.reply_hash]).get(answer.reply_hash)
        if text is None:
            raise NotFound("the reply was erased")
        meant = parse_reply(text, answer.finish, asking.wanted, asking.call_id)
        return replace(
            answer,
            schema=readings.schema(asking.edit_schema()),
            tool_calls=readings.tool_calls(meant),
            problem=readings.problem(meant),
            named=list(meant.named),
        )

    def _cause(self, ref: TurnRef) -> Cause:
        return Cause(ref.key_id, ref.because, self._now(), tenant_of(ref.session_id))


def _ever_shorter(recall: PromptMaterial) -> Iterator[tuple[Message, ...]]:
    remembered: PromptMaterial | None = recall
    while remembered is not None:
        yield policy.build_prompt(remembered)
        remembered = policy.with_fewer_turns(remembered)


def _live_call(asking: StepContext) -> LiveCall | None:
    """Return the call if clients may see its answer while it arrives.

    One that a person has to approve is not seen before; a shaped one is stored in another form than it arrives in.
    Turns within a run are side by side, so its frames have no place for pieces of their answers.
    """
    thought, ref = asking.thought, asking.thought.turn
    is_nested = root_of(ref.session_id) != ref.session_id
    if thought.is_held or asking.wanted.shape is not None or is_nested:
        return None
    return LiveCall(ref.session_id, asking.call_id, ref.turn, thought.step)


_EMPTY_HASH = content_hash("")
