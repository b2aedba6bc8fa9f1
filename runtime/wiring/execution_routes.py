"""Composes the routes of workflow executions on the parts of this deployment."""

from datetime import timedelta

from fastapi import APIRouter
from temporalio.client import Client

from activities.graphflow.context import graph_parts
from activities.graphflow.execution_activities import RunActivities
from activities.graphflow.messages import Request, RunAsked, RunBegun
from activities.graphflow.plans import Plans
from api.graphflow import diagram_routes as workflow_diagrams
from api.graphflow import execution_routes as workflow_executions
from api.graphflow.execution_service import Executions, Recording
from api.http.dependencies import Positions
from api.http.handover import Handover
from domain.graphflow.catalogue.commands import WorkflowCommands
from runtime.settings import Settings
from runtime.wiring.parts import Parts, now
from workflows.graphflow.client import GraphRuns
from workflows.task_queues import FLOW, model_queue


def execution_routers(
    settings: Settings, parts: Parts, client: Client, live: Positions, handover: Handover
) -> tuple[APIRouter, ...]:
    """Return the routers of executions and of their diagrams."""
    executions = Executions(
        GraphRuns(client),
        parts.runs,
        WorkflowCommands(parts.ledger),
        _recording(settings, parts),
        ledger=parts.ledger,
        content=parts.content,
        positions=live,
        handover=handover,
        now=now,
        call_timeout=settings.longest_answer,
        pause=timedelta(seconds=settings.model_pause_s),
    )
    return (
        workflow_diagrams.router(parts.workflows, executions),
        workflow_executions.router(workflow_executions.RunDesk(executions, parts.runs, parts.content, now)),
    )


def _recording(settings: Settings, parts: Parts) -> Recording:
    queue, plans = FLOW if settings.model_queue == "shared" else model_queue(parts.provider.name), Plans(parts.ledger)

    def runs() -> RunActivities:
        # a fresh cache of runs for each call: workers keep appending to them
        graphs = graph_parts(parts.ledger, parts.content, now, plans=plans)
        return RunActivities(parts.swarms, parts.toolbox, now, parts=graphs, model_queue=queue)

    async def begun(asked: RunAsked) -> RunBegun:
        return await runs().begin_run(asked)

    def reopened(asked: RunAsked, request: Request) -> RunBegun:
        return runs().reopen_run(asked, request)

    return Recording(begun, reopened, lambda *place: plans.plan(*place).definition)
