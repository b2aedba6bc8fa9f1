"""The routes of runs of workflows, on the parts of this deployment."""

from datetime import timedelta

from fastapi import APIRouter
from temporalio.client import Client

from activities.graphflow.asked import Request, RunAsked, RunBegun
from activities.graphflow.parts import graph_parts
from activities.graphflow.plans import Plans
from activities.graphflow.running import RunActivities
from api import workflow_diagrams, workflow_executions
from api.dependencies import Positions
from api.executions import Executions, Recording
from api.graph_runs import GraphRuns
from api.handover import Handover
from domain.graphflow.commands import WorkflowCommands
from runtime.bootstrap import Parts, now
from runtime.settings import Settings
from workflows.queues import FLOW, model_queue


def execution_routers(
    settings: Settings, parts: Parts, client: Client, live: Positions, handover: Handover
) -> tuple[APIRouter, ...]:
    """Runs, and drawings of them."""
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
        graphs = graph_parts(parts.ledger, parts.content, now, plans=plans)  # of runs nothing is kept: workers write on
        return RunActivities(parts.swarms, parts.toolbox, now, parts=graphs, model_queue=queue)

    async def begun(asked: RunAsked) -> RunBegun:
        return await runs().begin_run(asked)

    def reopened(asked: RunAsked, request: Request) -> RunBegun:
        return runs().reopen_run(asked, request)

    return Recording(begun, reopened, lambda workflow_id, number: plans.plan(workflow_id, number).definition)
