"""Runs of workflows on a whole system: defined in the ledger, started with Temporal's own client."""

from asyncio import to_thread
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any
from uuid import uuid4

import orjson
from temporalio.client import WorkflowHandle

from activities.graphflow.messages import RunControlRequest, RunEnd, RunRequest
from domain.content import Content
from domain.events import Event
from domain.graphflow.catalogue.events import WorkflowDefined
from domain.graphflow.definition.documents import definition_from, document_of, fingerprint
from domain.graphflow.execution.aggregate import stream
from domain.graphflow.execution.events import NodeEnded, NodeEvent
from domain.graphflow.execution.ports import ExecutionView
from domain.ledger import Change
from runtime.wiring.parts import Parts
from tests.system import System, until
from workflows.graphflow.messages import GraphStart
from workflows.graphflow.workflow import GraphWorkflow
from workflows.task_queues import WORKFLOW_QUEUE

KEY = "key_1"
WAYS = ("when", "otherwise")
REQUEST = {"request": "Find a way."}
ANTONIO, AVA, AMY = "antonio_strategy_expert", "ava_analytics_virtuoso", "amy_cfo"


@dataclass
class Run:
    """A run that was started."""

    parts: Parts
    asked: RunRequest
    handle: WorkflowHandle[GraphWorkflow, RunEnd]

    @property
    def id(self) -> str:
        return self.asked.execution_id

    async def over(self) -> RunEnd:
        """How it ended."""
        return await self.handle.result()

    async def output(self) -> Any:
        """What it has put out, once it has completed."""
        over = await self.over()
        assert over.status == "completed", over
        return await to_thread(self.value, over.output_hash)

    def value(self, text_hash: str | None) -> Any:
        return orjson.loads(self.parts.content.get(self.id, [text_hash or ""])[text_hash or ""])

    def events(self) -> list[Event]:
        return self.parts.ledger.read(stream(self.id))

    def ends(self, node: str | None = None) -> list[NodeEnded]:
        """The ends of nodes, in their order."""
        return [e for e in self.events() if isinstance(e, NodeEnded) and node in {None, e.node}]

    def story(self) -> list[str]:
        """What happened to nodes: `what node visit.attempt`."""
        return [f"{type(e).__name__} {e.node} {e.visit}.{e.attempt}" for e in self.events() if isinstance(e, NodeEvent)]

    async def seen(self, status: str, *, seconds: float = 20) -> ExecutionView:
        """How the views show it, as soon as they show it in this status."""
        found = await until(lambda: to_thread(self.parts.runs.run, self.id), _is(status), seconds=seconds)
        assert found is not None
        return found

    async def asking(self, update: str, **more: Any) -> None:
        """Send an update that is a request."""
        request = RunControlRequest(update, KEY, more.get("because", f"req_{uuid4().hex}"))
        await self.handle.execute_update(update, request)


def _is(status: str) -> Any:
    return lambda seen: seen is not None and seen.row.status == status


def workflow(*nodes: dict[str, Any], edges: list[Any] | None = None, **more: Any) -> dict[str, Any]:
    """A definition. An edge is `(from, to)` or `(from, to, condition)`, where `otherwise` is no condition."""
    drawn = []
    for source, target, *condition in edges or []:
        way = {"otherwise": True} if condition == ["otherwise"] else {"when": condition[0]} if condition else {}
        drawn.append({"from": source, "to": target, **way})
    return {"name": "A workflow", "nodes": list(nodes), "edges": drawn, **more}


def transform(node: str, **expressions: str) -> dict[str, Any]:
    return {"id": node, "type": "transform", "set": expressions}


def chain(count: int) -> dict[str, Any]:
    """Transforms that each add one."""
    first = transform("n0", value="1")
    rest = [transform(f"n{at}", value=f"nodes.n{at - 1}.output.value + 1") for at in range(1, count)]
    return workflow(first, *rest, edges=[(f"n{at - 1}", f"n{at}") for at in range(1, count)])


def define(parts: Parts, document: dict[str, Any], workflow_id: str | None = None, version: int = 1) -> str:
    """Write a version of a workflow down."""
    workflow_id = workflow_id or f"workflow_{uuid4().hex}"
    definition = definition_from(document)
    defined = WorkflowDefined(
        workflow_id=workflow_id,
        version=version,
        definition=document_of(definition),
        fingerprint=fingerprint(definition),
        by=KEY,
        because="req_1",
        at=datetime.now(UTC),
    )
    change = Change(f"workflow:{workflow_id}", version - 1, [defined])
    parts.ledger.append(change, key=f"define:{workflow_id}:{version}")
    return workflow_id


async def run(system: System, document: dict[str, Any] | str, given: Any = None, **more: Any) -> Run:
    """Start a run of a definition, or of the workflow of that id."""
    parts = system.parts
    workflow_id = document if isinstance(document, str) else await to_thread(define, parts, document)
    execution_id = f"exec_{uuid4().hex}"
    text = orjson.dumps(REQUEST if given is None else given).decode()
    context = orjson.dumps(more.pop("context", {})).decode()
    asked = RunRequest(
        execution_id=execution_id,
        workflow_id=workflow_id,
        version=more.pop("version", 1),
        key_id=KEY,
        because="req_1",
        input_hash=await to_thread(parts.content.put, Content(execution_id, text)),
        context_hash=await to_thread(parts.content.put, Content(execution_id, context)),
    )
    start = replace(GraphStart(asked, pause_s=0.02), **more)
    handle = await system.temporal.start_workflow(GraphWorkflow.run, start, id=execution_id, task_queue=WORKFLOW_QUEUE)
    return Run(parts, asked, handle)


async def again(system: System, before: Run, because: str = "req_again") -> Run:
    """Go on with a run that is over."""
    start = GraphStart(before.asked, pause_s=0.02, reopen=RunControlRequest("reopen", KEY, because))
    handle = await system.temporal.start_workflow(GraphWorkflow.run, start, id=before.id, task_queue=WORKFLOW_QUEUE)
    return Run(before.parts, before.asked, handle)
