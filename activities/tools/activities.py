"""Calls a tool: its start is recorded, it runs once, its end is recorded."""

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import partial, reduce
from typing import Any, cast
from uuid import uuid4

import structlog
from temporalio import activity

from activities.durable_write import write_durably
from activities.heartbeat import send_heartbeats
from activities.tools.messages import CloseToolRequest, ToolCallResult, ToolRun
from domain.chat.steps import decode_tool_reply
from domain.content import Content, ContentStore, content_hash
from domain.errors import NotFound, Unavailable, VersionConflict
from domain.events import Cause
from domain.ids import root_of
from domain.ledger import Change, Ledger, retry_on_conflict
from domain.tenant_ids import tenant_of
from domain.tools import aggregate, policy
from domain.tools.aggregate import ToolCall
from domain.tools.arguments import argument_problem, parse_arguments
from domain.tools.events import Outcome, ToolEnded, ToolEvent, ToolStarted
from domain.tools.ports import Tool, Toolbox, ToolContext, ToolFailed
from domain.tools.spec import ToolSpec

_LONGEST_NAME = 64


@dataclass(frozen=True, slots=True)
class _CallEnd:
    """The end of a call before it is recorded. The result is `result_hash`, a stored text, or else `text`."""

    outcome: Outcome
    text: str
    sources: tuple[str, ...] = ()
    result_hash: str | None = None


class ToolActivities:
    """Tool calls. Every method is idempotent: an ended call keeps its end, and a write runs at most once."""

    def __init__(self, ledger: Ledger, content: ContentStore, toolbox: Toolbox, now: Callable[[], datetime]) -> None:
        self._ledger = ledger
        self._content = content
        self._toolbox = toolbox
        self._now = now
        self._log = structlog.get_logger("tools")

    def all(self) -> list[Callable[..., object]]:
        return [self.call_tool, self.close_tool]

    @activity.defn(name="call_tool")
    async def call_tool(self, run: ToolRun) -> ToolCallResult:
        """Call a tool. An error of the tool is an end of the call, not a failure of this activity.

        Raises:
            NotFound: the arguments were erased.
            Unavailable: the ledger, or a server that a read needs, is unavailable.
        """
        with send_heartbeats():
            arguments, call = await asyncio.to_thread(self._load_call, run, untried=activity.info().attempt == 1)
            if call.outcome is not None:
                return _result_of(call)
            try:
                tool = await self._toolbox.tool(run.name)
            except ToolFailed as failure:
                return await self._record_end(run, arguments, call, _CallEnd("error", str(failure)))
            if problem := argument_problem(tool.spec, arguments):
                return await self._record_end(run, arguments, call, _CallEnd("error", problem))
            return await self._run_once(run, tool, arguments, call)

    @activity.defn(name="close_tool", no_thread_cancel_exception=True)
    def close_tool(self, closing: CloseToolRequest) -> ToolCallResult:
        """Record the end of a call that the workflow itself carried out, or that was not approved.

        Raises:
            NotFound: the arguments were erased.
            Unavailable: the ledger is unavailable.
        """
        known = self._content.get(root_of(closing.run.turn.session_id), closing.added) if closing.added else {}
        text = "\n\n".join([closing.text, *(known[added] for added in closing.added if added in known)]).strip()
        end = _CallEnd(cast("Outcome", closing.outcome), text, tuple(closing.sources), closing.result_hash)
        return self._end(closing.run, self._arguments(closing.run), ToolCall(), end)

    async def _run_once(self, run: ToolRun, tool: Tool, arguments: str, call: ToolCall) -> ToolCallResult:
        # not derived: each attempt must be told apart from the one whose write may be in doubt
        attempt, called = uuid4().hex, False
        try:
            call = await write_durably(partial(self._begin, run, tool.spec, arguments, call, attempt), self._log)
            called = call.may_run(attempt)
            end = await self._run_tool(run, tool, arguments, call) if called else _in_doubt(run)
        except asyncio.CancelledError:
            # a cancelled write needs an end that says it may have had its effect
            if stopped := _cancelled_end(run, tool.spec, called=called):
                await self._record_end(run, arguments, call, stopped, attempt)
            raise
        return await self._record_end(run, arguments, call, end, attempt)

    async def _run_tool(self, run: ToolRun, tool: Tool, arguments: str, call: ToolCall) -> _CallEnd:
        in_doubt = call.effect == "write"
        limit = asyncio.timeout(tool.spec.timeout_s)
        try:
            async with limit:
                result = await tool.call(parse_arguments(arguments), _context(run))
        except ToolFailed as failure:
            doubtful = in_doubt and failure.unknown
            return _in_doubt(run, str(failure)) if doubtful else _CallEnd("error", str(failure))
        except Exception as error:  # whatever a tool does, the turn goes on
            if limit.expired():
                slow = policy.timeout_text(run.name, tool.spec.timeout_s)
                return _in_doubt(run, slow) if in_doubt else _CallEnd("error", slow)
            if isinstance(error, Unavailable) and not in_doubt:
                raise
            self._log.exception("a tool failed unexpectedly", tool=run.name, tool_call_id=run.tool_call_id)
            broken = policy.fault_text(run.name)
            return _in_doubt(run, broken) if in_doubt else _CallEnd("error", broken)
        return _CallEnd("ok", result.text, result.sources)

    def _load_call(self, run: ToolRun, *, untried: bool) -> tuple[str, ToolCall]:
        """Return the arguments and the state of the call; an untried call is assumed to be new."""
        known = [] if untried else self._ledger.read(aggregate.stream(run.tool_call_id))
        return self._arguments(run), aggregate.load(known)

    def _arguments(self, run: ToolRun) -> str:
        text = self._texts(run, [run.arguments_hash or run.reply_hash])[0]
        return policy.storable(text if run.arguments_hash else decode_tool_reply(text)[1][run.index].arguments)

    def _texts(self, run: ToolRun, hashes: Sequence[str]) -> list[str]:
        texts = self._content.get(root_of(run.turn.session_id), hashes) if hashes else {}
        if not texts.keys() >= set(hashes):
            raise NotFound("a text of this tool call was erased")
        return [texts[each] for each in hashes]

    def _begin(self, run: ToolRun, spec: ToolSpec, arguments: str, call: ToolCall, attempt: str) -> ToolCall:
        started = ToolStarted(effect=spec.effect, attempt=attempt, **self._about(run, arguments))
        return self._append(run, call, lambda now: aggregate.start(now, started), [arguments])

    async def _record_end(
        self, run: ToolRun, arguments: str, call: ToolCall, end: _CallEnd, attempt: str = ""
    ) -> ToolCallResult:
        return await write_durably(partial(self._end, run, arguments, call, end, attempt), self._log)

    def _end(self, run: ToolRun, arguments: str, call: ToolCall, end: _CallEnd, attempt: str = "") -> ToolCallResult:
        """Record the end, and return the recorded one. `attempt` identifies the attempt that ran the tool."""
        about, texts = (
            self._about(run, arguments),
            {policy.result_text(end.text), policy.result_text(policy.in_doubt_text(run.name))},
        )
        wanted, doubtful = (_event(about, each) for each in (end, _in_doubt(run)))
        call = self._append(run, call, lambda now: aggregate.end(now, wanted, doubtful, attempt), [arguments, *texts])
        return _result_of(call)

    def _append(
        self, run: ToolRun, call: ToolCall, decide: Callable[[ToolCall], list[ToolEvent]], texts: Sequence[str]
    ) -> ToolCall:
        """Decide on the call as last read and append, with the named texts; on a version conflict decide again."""
        stream, owner = aggregate.stream(run.tool_call_id), root_of(run.turn.session_id)

        def write(known: ToolCall) -> ToolCall:
            events = decide(known)
            named = {h for event in events for h in (event.arguments_hash, getattr(event, "result_hash", None))}
            content = [Content(owner, text) for text in texts if content_hash(text) in named]
            change = Change(stream, known.version, events)
            if events and self._ledger.append(change, key=f"{stream}:{known.version}", content=content) is None:
                raise VersionConflict(f"{stream}: changed meanwhile")
            return reduce(aggregate.evolve, events, known)

        try:
            return write(call)
        except VersionConflict:
            return retry_on_conflict(lambda: write(aggregate.load(self._ledger.read(stream))))

    def _about(self, run: ToolRun, arguments: str) -> dict[str, Any]:
        return {
            "tool_call_id": run.tool_call_id,
            "session_id": run.turn.session_id,
            "turn": run.turn.turn,
            "step": run.step,
            "name": policy.storable(run.name)[:_LONGEST_NAME],
            "agent_id": run.turn.agent_id,
            "workflow_id": run.workflow_id,
            "arguments_hash": content_hash(arguments),
            "project_id": run.project_id,
            **Cause(run.turn.key_id, run.turn.because, self._now(), tenant_of(run.turn.session_id)).fields(),
        }


def _event(about: dict[str, Any], end: _CallEnd) -> ToolEnded:
    result = end.result_hash or content_hash(policy.result_text(end.text))
    return ToolEnded(outcome=end.outcome, result_hash=result, sources=policy.bounded_sources(end.sources), **about)


def _in_doubt(run: ToolRun, why: str = "") -> _CallEnd:
    return _CallEnd("unknown", f"{why} {policy.in_doubt_text(run.name)}".strip())


def _cancelled_end(run: ToolRun, spec: ToolSpec, *, called: bool) -> _CallEnd | None:
    """Return the end of a cancelled call; None for a read that will be retried elsewhere."""
    if spec.effect == "write":
        return _in_doubt(run) if called else _CallEnd("error", policy.cancelled_text(run.name))
    details = activity.cancellation_details()
    return _CallEnd("error", policy.cancelled_text(run.name)) if details and details.cancel_requested else None


def _context(run: ToolRun) -> ToolContext:
    turn = run.turn
    return ToolContext(run.tool_call_id, turn.agent_id, turn.key_id, turn.session_id, run.workflow_id, run.project_id)


def _result_of(call: ToolCall) -> ToolCallResult:
    if call.outcome is None or call.result_hash is None:
        raise LookupError("a tool call was ended and has no end")
    return ToolCallResult(call.outcome, call.result_hash)
