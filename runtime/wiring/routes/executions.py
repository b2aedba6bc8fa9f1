"""Composes the routes of workflow executions on the parts of this deployment."""

from fastapi import APIRouter

from api.graphflow import diagram_routes as workflow_diagrams
from api.graphflow import execution_routes as workflow_executions
from api.graphflow.execution_service import ExecutionService
from runtime.wiring.parts import Parts, now


def execution_routers(parts: Parts, executions: ExecutionService) -> tuple[APIRouter, ...]:
    """Return the routers of executions and of their diagrams."""
    return (
        workflow_diagrams.router(parts.workflows, executions),
        workflow_executions.router(
            workflow_executions.ExecutionRouteServices(executions, parts.runs, parts.content, now)
        ),
    )
