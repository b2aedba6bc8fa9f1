"""Composes the routes of workflow executions on the parts of this deployment."""

from fastapi import APIRouter
from temporalio.client import Client

from activities.graphflow.context import graph_parts
from activities.graphflow.execution_activities import RunActivities
from activities.graphflow.messages import RunControlRequest, RunRequest, RunStart
from activities.graphflow.plans import WorkflowPlans
from api.graphflow import diagram_routes as workflow_diagrams
from api.graphflow import execution_routes as workflow_executions
from api.graphflow.execution_service import ExecutionRecorder, ExecutionService
from api.runs.context import RunContext
from domain.graphflow.catalogue.commands import WorkflowCommands
from runtime.settings import Settings
from runtime.wiring.parts import Parts, now
from workflows.graphflow.client import ExecutionClient
from workflows.task_queues import WORKFLOW_QUEUE, model_queue


def execution_routers(settings: Settings, parts: Parts, client: Client, context: RunContext) -> tuple[APIRouter, ...]:
    """Return the routers of executions and of their diagrams."""
    executions = ExecutionService(
        ExecutionClient(client),
        parts.runs,
        WorkflowCommands(parts.ledger),
        _make_recording(settings, parts),
        context,
    )
    return (
        workflow_diagrams.router(parts.workflows, executions),
        workflow_executions.router(
            workflow_executions.ExecutionRouteServices(executions, parts.runs, parts.content, now)
        ),
    )


def _make_recording(settings: Settings, parts: Parts) -> ExecutionRecorder:
    queue, plans = (
        WORKFLOW_QUEUE if settings.model_queue == "shared" else model_queue(parts.provider.name),
        WorkflowPlans(parts.ledger),
    )

    def runs() -> RunActivities:
        # a fresh cache of runs for each call: workers keep appending to them
        graphs = graph_parts(parts.ledger, parts.content, now, plans=plans, signer=parts.signatures.signer)
        return RunActivities(parts.directory, parts.toolbox, now, parts=graphs, model_queue=queue)

    async def begin(asked: RunRequest) -> RunStart:
        return await runs().begin_run(asked)

    def reopen(asked: RunRequest, request: RunControlRequest) -> RunStart:
        return runs().reopen_run(asked, request)

    return ExecutionRecorder(begin, reopen, lambda *place: plans.plan(*place).definition)
