"""The sandbox of workflow code, without the SDK's support for context-dependent codecs."""

from collections.abc import Callable

from temporalio.worker import WorkflowInstance, WorkflowInstanceDetails
from temporalio.worker.workflow_sandbox import SandboxedWorkflowRunner, SandboxRestrictions

PASSED_THROUGH = ("activities", "domain", "workflows", "eventsourcing", "orjson", "structlog", "typing_extensions")


class QuickSandbox(SandboxedWorkflowRunner):
    """A sandbox whose workflows are not asked for the serialization context of payloads.

    The SDK asks several times for each payload, each time by running a statement inside the sandbox: a fifth of a
    worker's CPU time. Only converters, codecs and external stores that depend on the context need the answer; those in
    use do not.
    """

    _run_made: Callable[[], None]

    def __init__(self, run_made: Callable[[], None] = lambda: None) -> None:
        """Set `run_made`, which is called for each execution put into the worker's cache."""
        super().__init__(restrictions=SandboxRestrictions.default.with_passthrough_modules(*PASSED_THROUGH))
        object.__setattr__(self, "_run_made", run_made)

    def create_instance(self, det: WorkflowInstanceDetails) -> WorkflowInstance:
        instance = super().create_instance(det)
        self._run_made()
        instance.get_serialization_context = _no_context  # type: ignore[method-assign, assignment]
        instance.get_external_store_context = _no_context  # type: ignore[method-assign, assignment]
        return instance


def _no_context(_command_info: object) -> None:
    """Return None: the same converter serves every payload."""
