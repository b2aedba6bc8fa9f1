"""The sandbox of workflow code, without what it does for codecs that we do not have."""

from temporalio.worker import WorkflowInstance, WorkflowInstanceDetails
from temporalio.worker.workflow_sandbox import SandboxedWorkflowRunner, SandboxRestrictions

PASSED_THROUGH = ("activities", "domain", "workflows", "eventsourcing", "orjson", "structlog", "typing_extensions")


class QuickSandbox(SandboxedWorkflowRunner):
    """Asks no workflow for the context that a payload is converted or stored in.

    The SDK asks several times for each payload, each time by running a statement inside the sandbox: a fifth of a
    worker's CPU time. Only converters, codecs and external stores that depend on the context need the answer; ours do
    not.
    """

    def __init__(self) -> None:
        super().__init__(restrictions=SandboxRestrictions.default.with_passthrough_modules(*PASSED_THROUGH))

    def create_instance(self, det: WorkflowInstanceDetails) -> WorkflowInstance:
        instance = super().create_instance(det)
        instance.get_serialization_context = _no_context  # type: ignore[method-assign, assignment]
        instance.get_external_store_context = _no_context  # type: ignore[method-assign, assignment]
        return instance


def _no_context(_command_info: object) -> None:
    """The same converter for every payload."""
