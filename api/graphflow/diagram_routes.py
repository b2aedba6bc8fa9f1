"""Route of workflow diagrams, with the state of an execution on request."""

import asyncio
from typing import Annotated

from fastapi import APIRouter, Query

from api.graphflow.execution_service import ExecutionLocator, ExecutionService
from api.graphflow.paths import PREFIX, RUN_ID, WorkflowId
from api.http.dependencies import CurrentTenant, fresh, requires
from api.http.schemas import MAX_INT, View
from domain.graphflow.catalogue.ports import WorkflowReads
from domain.graphflow.definition.diagram import NodeState, mermaid
from domain.graphflow.definition.documents import definition_from

_Version = Annotated[int | None, Query(ge=1, le=MAX_INT, description="The execution's, or the newest, by default.")]
_RunId = Annotated[str | None, Query(max_length=128, pattern=RUN_ID, description="An execution whose state is drawn.")]


class Diagram(View):
    """A flowchart in Mermaid's language."""

    workflow_id: str
    version: int
    execution_id: str | None
    mermaid: str


def router(workflows: WorkflowReads, executions: ExecutionService) -> APIRouter:
    """Build the route `/api/v1/workflows/{workflow_id}/diagram`."""
    routes = APIRouter(prefix=f"{PREFIX}/{{workflow_id}}", tags=["Workflows"])
    reading = [requires("read"), fresh("workflows"), fresh("executions")]

    @routes.get("/diagram", dependencies=reading)
    async def get_diagram(
        workflow_id: WorkflowId, tenant_id: CurrentTenant, version: _Version = None, execution_id: _RunId = None
    ) -> Diagram:
        """Returns a version as a Mermaid flowchart, with the state of an execution if one is given."""
        states = None
        if execution_id is not None:
            seen = await executions.read(ExecutionLocator(workflow_id, execution_id, tenant_id))
            version = version or seen.row.version
            states = {node.node: NodeState(node.status, node.visits) for node in seen.nodes}
        number = version or (await asyncio.to_thread(workflows.get, tenant_id, workflow_id)).row.version
        row = await asyncio.to_thread(workflows.version, tenant_id, workflow_id, number)
        drawn = mermaid(definition_from(row.definition), states)
        return Diagram(workflow_id=workflow_id, version=number, execution_id=execution_id, mermaid=drawn)

    return routes
