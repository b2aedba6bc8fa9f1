"""An execution that a caller submits: checked, stored, and as it is shown before anything else is known of it."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal
from functools import partial
from typing import Any

import orjson

from activities.graphflow.messages import RunRequest
from api.graphflow.execution_input import require_valid_input
from domain.content import Content, ContentStore
from domain.errors import Conflict
from domain.graphflow.catalogue.commands import WorkflowCommands
from domain.graphflow.definition.model import Definition
from domain.graphflow.execution.ports import ExecutionView
from domain.graphflow.execution.views import ExecutionRow
from domain.ids import derived_hex
from domain.tenant_ids import run_id, tenant_of


@dataclass(frozen=True, slots=True)
class ExecutionSubmission:
    """An execution that a caller requests. `key` is the scoped idempotency key, if any."""

    workflow_id: str
    input: Mapping[str, Any]
    key_id: str
    tenant_id: str
    request_id: str
    context: Mapping[str, Any] = field(default_factory=dict)
    project_id: str | None = None
    version: int | None = None
    budget_usd: Decimal | None = None
    key: str | None = None


class SubmissionStore:
    """Checks submissions against their workflows and stores their texts.

    `definition` is that of a version of a workflow that a tenant sees.
    """

    def __init__(
        self, commands: WorkflowCommands, definition: Callable[[str, str, int], Definition], content: ContentStore
    ) -> None:
        self._commands = commands
        self._definition = definition
        self._content = content

    def store(self, order: ExecutionSubmission) -> tuple[RunRequest, str]:
        """Store the texts of a submission; return the request by its ids, and the workflow's name.

        Raises:
            NotFound: there is no such workflow, or no such version of it.
            Conflict: the workflow is retired.
            Invalid: the input does not follow the workflow's schema.
        """
        workflow = self._commands.load(order.tenant_id, order.workflow_id).workflow
        if workflow.retired:
            raise Conflict("the workflow is retired", workflow_id=order.workflow_id)
        workflow.version(order.version)  # raises if there is no such version
        version = order.version or len(workflow.versions)
        definition = self._definition(order.tenant_id, order.workflow_id, version)
        require_valid_input(definition.input, order.input)
        execution_id = execution_id_of(order.tenant_id, order.key)
        put = partial(store_json, self._content, execution_id)
        asked = RunRequest(
            execution_id=execution_id,
            workflow_id=order.workflow_id,
            version=version,
            key_id=order.key_id,
            because=order.request_id,
            input_hash=put(order.input),
            context_hash=put(order.context) if order.context else None,
            project_id=order.project_id,
            budget_usd=str(order.budget_usd) if order.budget_usd is not None else None,
        )
        return asked, definition.name


def execution_id_of(tenant_id: str, key: str | None) -> str:
    """Return the id of the execution that is started under a key, or a new one without a key."""
    return run_id("exec", tenant_id, derived_hex("execution", key) if key else None)


def initial_view(asked: RunRequest, at: datetime) -> ExecutionView:
    """Return the view of an execution of which only the request is known: it has no nodes yet."""
    row = ExecutionRow(
        execution_id=asked.execution_id,
        tenant_id=tenant_of(asked.execution_id),
        workflow_id=asked.workflow_id,
        version=asked.version,
        name="",
        status="running",
        key_id=asked.key_id,
        project_id=asked.project_id,
        root_id=asked.root,
        parent_id=asked.parent_id,
        input_hash=asked.input_hash,
        context_hash=asked.context_hash,
        output_hash=None,
        budget_usd=Decimal(asked.budget_usd) if asked.budget_usd else None,
        node=None,
        code=None,
        reason=None,
        nodes=[],
        held=0,
        paused=False,
        started_at=at,
        ended_at=None,
    )
    return ExecutionView(row, ())


def store_json(content: ContentStore, execution_id: str, value: Any) -> str:
    """Store a value as a text of an execution and return the text's hash."""
    return content.put(Content(execution_id, orjson.dumps(value).decode()))
