"""Starts, reopens and ends workflow executions."""

from asyncio import to_thread
from collections.abc import Callable
from datetime import datetime
from typing import Any, cast

from temporalio import activity

from activities.graphflow.context import GraphParts
from activities.graphflow.execution_start import RunStartDecider
from activities.graphflow.execution_stream import RunChanges
from activities.graphflow.expression_data import expression_scope
from activities.graphflow.final_state import has_output, nodes_to_compensate, state_of
from activities.graphflow.messages import EndRunRequest, RunControlRequest, RunEnd, RunRequest, RunStart
from activities.graphflow.plans import WorkflowPlan
from activities.graphflow.stored_texts import json_text
from domain.agents.tools import canonical
from domain.content import Content
from domain.errors import Conflict, Invalid, NotFound
from domain.events import Cause
from domain.graphflow.execution import aggregate as runs
from domain.graphflow.execution.aggregate import WorkflowRun
from domain.graphflow.execution.events import EndStatus, RunEnded, RunPaused, RunReopened, RunResumed
from domain.graphflow.expressions.templates import fill
from domain.graphflow.validation.context import names_in
from domain.revocations import Revoked
from domain.swarm.ports import AgentDirectory
from domain.tenant_ids import tenant_of
from domain.tools.ports import Toolbox

START_KEY = "start"
"""The idempotency key, within a run, of the append that starts it."""


def reopen_key(request: RunControlRequest) -> str:
    """Return the idempotency key, within a run, of the append that reopens it."""
    return f"reopen:{request.because}"


class RunActivities:
    """Ledger commands of runs. All are idempotent: a repeat changes nothing and returns the current state."""

    def __init__(
        self,
        agents: AgentDirectory,
        toolbox: Toolbox,
        now: Callable[[], datetime],
        *,
        parts: GraphParts,
        model_queue: str,
    ) -> None:
        self._values = parts.values
        self._undoing = parts.undoing
        self._starts = RunStartDecider(agents, parts.plans, parts.values, now)
        self._toolbox = toolbox
        self._now = now
        self._journal = parts.journal
        self._plans = parts.plans
        self._model_queue = model_queue

    def all(self) -> list[Callable[..., object]]:
        return [self.begin_run, self.reopen_run, self.begin_undo, self.record_request, self.end_run]

    @activity.defn(name="begin_run")
    async def begin_run(self, asked: RunRequest) -> RunStart:
        """Record the start of a run, with the versions that it pins. A run that cannot start is ended as failed.

        Raises:
            NotFound: there is no such version of the workflow.
            Revoked: the run was revoked before it started.
        """
        plan = await to_thread(self._plan, asked)
        tools = names_in(plan.definition).tools
        there = {spec.name for spec in await self._toolbox.offered_specs(sorted(tools))} if tools else set()
        missing = [name for name in sorted(tools) if there.isdisjoint(canonical([name]))]
        return await to_thread(self._begin, asked, plan, missing)

    @activity.defn(name="reopen_run", no_thread_cancel_exception=True)
    def reopen_run(self, asked: RunRequest, request: RunControlRequest) -> RunStart:
        """Reopen a run that failed, was rejected or was cancelled.

        Raises:
            NotFound: there is no such run.
            Conflict: the run has nothing to resume.
            Revoked: the request to reopen it was revoked.
        """
        plan = self._plan(asked)

        def decide(run: WorkflowRun) -> RunChanges:
            stood = (run.ended.state if run.ended else None) or run.stood or {}
            if run.ended and run.ended.status != "completed" and not stood:
                raise Conflict("the run has not started its work: start a new one")
            ready = plan.schedule.reopen(state_of(stood)).ready if run.ended and stood else ()
            cause = Cause(request.by, request.because, self._now(), tenant_of(asked.execution_id))
            nodes = tuple(visit.node for visit in ready)
            event = RunReopened(execution_id=asked.execution_id, nodes=nodes, **cause.fields())
            return runs.reopen(run, event), []

        run = self._journal.write(asked.execution_id, decide, key=reopen_key(request))
        if run.reopened is None or run.reopened.because != request.because:
            raise Revoked
        stood = dict(run.stood or {})
        again = plan.schedule.reopen(state_of(stood)).ready
        return RunStart(
            plan.packed,
            self._model_queue,
            attempts={visit.node: run.node(visit.node).attempt for visit in again},
            completed=nodes_to_compensate(plan, run),
            state=stood,
            kept=[visit.node for visit in again if has_output(run, visit)],
        )

    @activity.defn(name="begin_undo", no_thread_cancel_exception=True)
    def begin_undo(self, asked: RunRequest) -> RunStart:
        """Return the nodes to compensate of a run that has completed.

        Raises:
            NotFound: there is no such run.
        """
        plan = self._plan(asked)
        left = [(visit.node, visit.visit) for visit in self._undoing.iterations_to_undo(asked.execution_id)]
        ended = self._journal.read_latest(asked.execution_id).ended
        stood = dict(ended.state or {}) if ended else {}
        return RunStart(plan.packed, self._model_queue, completed=left, state=stood)

    @activity.defn(name="record_request", no_thread_cancel_exception=True)
    def record_request(self, asked: RunRequest, request: RunControlRequest) -> None:
        """Record that a run is paused or resumed.

        Raises:
            NotFound: it has not started.
        """
        kind = RunPaused if request.verb == "pause" else RunResumed
        cause = Cause(request.by, request.because, self._now(), tenant_of(asked.execution_id))
        event = kind(execution_id=asked.execution_id, **cause.fields())

        def decide(run: WorkflowRun) -> RunChanges:
            if run.started is None:
                raise NotFound("there is no such execution")
            same = run.paused == (request.verb == "pause")
            return [] if same or run.ended else [event], []

        self._journal.write(asked.execution_id, decide, key=f"{request.verb}:{request.because}")

    @activity.defn(name="end_run", no_thread_cancel_exception=True)
    def end_run(self, ending: EndRunRequest) -> RunEnd:
        """Store the run's output, and record its end."""
        asked = ending.asked
        plan = self._plan(asked)

        def decide(run: WorkflowRun) -> RunChanges:
            ended, texts = self._end_event(plan, run, ending)
            return runs.end(run, ended), texts

        # a reopened run ends once more: its end needs a key of its own
        again = self._journal.read(asked.execution_id).reopened
        key = f"end:{again.because if again else ''}"
        ended = self._journal.write(asked.execution_id, decide, key=key).ended
        if ended is None:
            raise LookupError("a run was ended and has no end")
        return RunEnd(ended.status, ended.output_hash, ended.node, ended.code, ended.reason)

    def _plan(self, asked: RunRequest) -> WorkflowPlan:
        return self._plans.plan(tenant_of(asked.execution_id), asked.workflow_id, asked.version)

    def _begin(self, asked: RunRequest, plan: WorkflowPlan, no_tools: list[str]) -> RunStart:
        def decide(run: WorkflowRun) -> RunChanges:
            return [] if run.started else self._starts.events(asked, plan, no_tools), []

        run = self._journal.write(asked.execution_id, decide, key=START_KEY)
        if run.started is None:
            raise Revoked
        ended = run.ended
        return RunStart(
            plan.packed,
            self._model_queue,
            code=ended.code or "ENDED" if ended else None,
            reason=ended.reason if ended else None,
        )

    def _end_event(self, plan: WorkflowPlan, run: WorkflowRun, ending: EndRunRequest) -> tuple[RunEnded, list[Content]]:
        asked = ending.asked
        status, code, reason, text = ending.status, ending.code, ending.reason, None
        if status == "completed":
            try:
                text = Content(asked.execution_id, json_text(self._output(plan, run, ending)))
            except (Invalid, NotFound) as error:
                status, code, reason = "failed", "EXPRESSION_FAILED", f"the output: {error.message}"
        cause = Cause(asked.key_id, asked.because, self._now(), tenant_of(asked.execution_id))
        event = RunEnded(
            execution_id=asked.execution_id,
            status=cast("EndStatus", status),
            output_hash=text.hash if text else None,
            node=ending.node,
            code=code,
            reason=reason,
            skipped=tuple(ending.skipped),
            state=ending.state,
            **cause.fields(),
        )
        return event, [text] if text else []

    def _output(self, plan: WorkflowPlan, run: WorkflowRun, ending: EndRunRequest) -> Any:
        """Evaluate the definition's output, or else collect the outputs of the end nodes that were reached."""
        run = runs.skip(run, ending.skipped)
        if plan.definition.output is not None:
            return fill(plan.definition.output, expression_scope(self._values, plan, run, plan.output_reads()))
        nodes = expression_scope(self._values, plan, run, ending.ends)["nodes"]
        return {name: nodes[name].get("output") for name in ending.ends}
