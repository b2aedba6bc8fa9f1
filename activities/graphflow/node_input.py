"""Builds the input of a node's work: rendered templates, texts to store, ids of the work."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Any

from activities.approvals.messages import ApprovalRequest
from activities.failures import permanent_failure
from activities.graphflow.messages import AttemptStart, NodeAttempt
from activities.graphflow.plans import WorkflowPlan, shape_name
from activities.graphflow.stored_texts import json_text
from activities.graphflow.work_ids import child_id, session_of, swarm_id, work_intent
from activities.swarm.messages import SwarmMember, SwarmRunRequest
from activities.tools.messages import ToolRun
from activities.turn_ref import TurnRef
from domain.agents.names import ALI
from domain.content import Content
from domain.graphflow.definition.node_types import (
    AgentWork,
    ApprovalWork,
    MapWork,
    SwarmWork,
    ToolWork,
    WaitWork,
    WorkflowWork,
)
from domain.graphflow.execution.events import PinnedAgent, RunStarted
from domain.graphflow.expressions.cel import evaluate
from domain.graphflow.expressions.templates import Placeholder, fill, render, split_template
from domain.ids import derived_hex, derived_id
from domain.tenant_ids import tenant_of
from domain.tools.spec import ToolSpec

ROUNDS = 2  # of a swarm, if the node names none
TOOL_CALLER = "workflow"
"""The agent id that calls of tool nodes are recorded under."""


@dataclass(frozen=True, slots=True)
class NodeInput:
    """The input of a node: for its workflow, for the content store, and for the event that starts it."""

    begun: AttemptStart
    texts: tuple[Content, ...] = ()
    items: int | None = None
    items_hash: str | None = None
    child_id: str | None = None


@dataclass(frozen=True, slots=True)
class NodeInputBuilder:
    """An attempt, its plan, its run's start, and the variables of its expressions. `spec` is the tool's, if any."""

    spot: NodeAttempt
    plan: WorkflowPlan
    started: RunStarted
    data: Mapping[str, Any]
    spec: ToolSpec | None = None

    def build(self, work: Any) -> NodeInput:  # noqa: PLR0911  (one return for each kind of work)
        """Build the input of this work.

        Raises:
            domain.graphflow.expressions.cel.BadExpression: a template cannot be rendered.
            ApplicationError: it cannot be done.
        """
        match work:
            case AgentWork():
                return self._agent(work)
            case ToolWork():
                return self._tool(work)
            case ApprovalWork():
                return self._approval(work)
            case WaitWork():
                return self._wait(work)
            case MapWork():
                return self._map(work)
            case SwarmWork():
                return self._swarm(work)
            case WorkflowWork():
                return self._workflow(work)
        raise permanent_failure(
            "UNSUPPORTED_NODE", f"{self.spot.node} is of a kind that cannot be run: {type(work).__name__}"
        )

    def _agent(self, work: AgentWork) -> NodeInput:
        pin = self._pin(work.agent)
        text = self._text(render(work.prompt, self.data))
        turn = self._turn(text.hash, pin)
        spot, asked = self.spot, self.spot.asked
        shape = None
        if work.output is not None:
            place = tenant_of(asked.execution_id), asked.workflow_id, asked.version, spot.node
            shape = shape_name(*place, item=spot.item is not None, undo=spot.undo)
        tools = None if work.tools is None else list(work.tools)
        begun = AttemptStart("agent", turn=turn, shape=shape, tools=tools, hold=work.approval or pin.hold)
        return NodeInput(begun, (text,))

    def _tool(self, work: ToolWork) -> NodeInput:
        spec = self.spec
        if spec is None:
            raise permanent_failure("TOOL_UNKNOWN", f"there is no tool {work.tool} here")
        if spec.runs != "activity":
            raise permanent_failure("TOOL_UNKNOWN", f"{work.tool} is for agents only")
        text = self._json(fill(work.arguments, self.data))
        turn = self._turn(text.hash, None)
        tool = ToolRun(
            turn=turn,
            workflow_id=self.spot.asked.root,
            tool_call_id=derived_id("graph-tool", turn.message_id, self.spot.attempt),
            name=spec.name,
            step=1,
            reply_hash=text.hash,
            index=0,
            project_id=self.spot.asked.project_id,
            arguments_hash=text.hash,
        )
        if spec.policy != "approval":
            return NodeInput(AttemptStart("tool", tool=tool, timeout_s=spec.timeout_s), (text,))
        schema = self._json(dict(spec.parameters))
        begun = AttemptStart("tool", tool=tool, timeout_s=spec.timeout_s, risk=spec.risk, schema_hash=schema.hash)
        return NodeInput(begun, (text, schema))

    def _approval(self, work: ApprovalWork) -> NodeInput:
        spot, asked = self.spot, self.spot.asked
        content = self._text(render(work.content, self.data))
        about = {"title": render(work.title, self.data), "workflow": self.plan.definition.name, "node": spot.node}
        payload = self._json(about)
        ask = ApprovalRequest(
            approval_id=f"approval_{derived_hex(*work_intent(spot, 'approval', spot.attempt))}",
            kind="request",
            risk=work.risk,
            title=_title_without_values(work.title),
            agent_id=asked.workflow_id,
            owner=asked.execution_id,
            content_hash=content.hash,
            payload_hash=payload.hash,
            workflow_id=asked.execution_id,
            root_id=asked.root,
            key_id=asked.key_id,
            because=asked.because,
            project_id=asked.project_id,
        )
        return NodeInput(AttemptStart("approval", approval=ask), (content, payload))

    def _wait(self, work: WaitWork) -> NodeInput:
        now = self.spot.now or datetime.now(UTC)
        seconds = work.seconds or work.timeout_s
        until = now + timedelta(seconds=seconds) if seconds else None
        if work.until is not None:
            until = _moment(render(work.until, self.data))
        return NodeInput(AttemptStart("wait", until=until, event=work.event))

    def _map(self, work: MapWork) -> NodeInput:
        items = evaluate(work.over, self.data)
        if not isinstance(items, list):
            raise permanent_failure("NOT_A_LIST", "what the map goes over is no list")
        if len(items) > work.max_items:
            raise permanent_failure("TOO_MANY_ITEMS", f"there are {len(items)} items, and {work.max_items} at most")
        text = self._json(items)
        return NodeInput(
            AttemptStart("map", items=len(items), goes_on=work.on_item_error == "continue"),
            (text,),
            items=len(items),
            items_hash=text.hash,
        )

    def _swarm(self, work: SwarmWork) -> NodeInput:
        asked = self.spot.asked
        task_id = swarm_id(self.spot)
        text = Content(task_id, render(work.task, self.data))
        pins = {pin.name: pin for pin in self.started.agents}
        coordinator = pins.get(work.coordinator or ALI, pins[work.agents[0]])
        swarm = SwarmRunRequest(
            task_id=task_id,
            mode=work.mode,  # type: ignore[arg-type]  # the run has looked whether there is such a mode
            members=[_swarm_member(pins[name]) for name in work.agents],
            coordinator=_swarm_member(coordinator),
            key_id=asked.key_id,
            because=asked.because,
            task_hash=text.hash,
            rounds=work.rounds or ROUNDS,
            budget_usd=asked.budget_usd,
            project_id=asked.project_id,
            enclosing_runs=[asked.root],
        )
        return NodeInput(AttemptStart("swarm", swarm=swarm), (text,), child_id=task_id)

    def _workflow(self, work: WorkflowWork) -> NodeInput:
        asked = self.spot.asked
        spot = self.spot
        execution_id = child_id(asked.execution_id, spot.node, spot.visit, spot.item, spot.attempt)
        pins = {pin.workflow_id: pin.version for pin in self.started.workflows}
        text = Content(execution_id, json_text(fill(work.input, self.data)))
        context = Content(execution_id, json_text(self.data["context"]))
        child = replace(
            asked,
            execution_id=execution_id,
            workflow_id=work.workflow,
            version=work.version or pins[work.workflow],
            input_hash=text.hash,
            context_hash=context.hash if asked.context_hash else None,
            root_id=asked.root,
            parent_id=asked.execution_id,
            depth=asked.depth + 1,
        )
        return NodeInput(AttemptStart("workflow", run=child), (text, context), child_id=execution_id)

    def _turn(self, message_hash: str, pin: PinnedAgent | None) -> TurnRef:
        spot, asked = self.spot, self.spot.asked
        return TurnRef(
            session_id=session_of(spot),
            turn=spot.visit if spot.item is None and not spot.undo else 1,
            message_id=derived_id(*work_intent(spot, "graph")),
            message_hash=message_hash,
            agent_id=pin.agent_id if pin else TOOL_CALLER,
            agent_version=pin.version if pin else 1,
            key_id=asked.key_id,
            because=asked.because,
        )

    def _pin(self, name: str) -> PinnedAgent:
        return next(pin for pin in self.started.agents if pin.name == name)

    def _text(self, text: str) -> Content:
        return Content(self.spot.asked.execution_id, text)

    def _json(self, value: Any) -> Content:
        return self._text(json_text(value))


def _swarm_member(pin: PinnedAgent) -> SwarmMember:
    return SwarmMember(pin.agent_id, pin.version, pin.hold)


def _title_without_values(template: str) -> str:
    """Return a title without its values: titles are shown to operators, who may not read people's texts."""
    return (
        "".join("…" if isinstance(piece, Placeholder) else piece for piece in split_template(template)).strip()[:200]
        or "…"
    )


def _moment(text: str) -> datetime:
    try:
        moment = datetime.fromisoformat(text.strip())
        return moment.astimezone(UTC) if moment.tzinfo else moment.replace(tzinfo=UTC)
    except (ValueError, OverflowError):
        raise permanent_failure("NOT_A_TIME", "until is no time as in 2030-01-31T09:00:00Z") from None
