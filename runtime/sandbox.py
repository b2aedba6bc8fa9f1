"""The sandbox of workflow code, without context-dependent codecs and without interrupted activations."""

from collections.abc import Callable

from temporalio.worker import WorkflowInstance, WorkflowInstanceDetails
from temporalio.worker.workflow_sandbox import SandboxedWorkflowRunner, SandboxRestrictions

PASSED_THROUGH = ("activities", "domain", "workflows", "eventsourcing", "orjson", "structlog", "typing_extensions")


class QuickSandbox(SandboxedWorkflowRunner):
    """A sandbox whose workflows are not asked for the serialization context of payloads.

    The SDK asks several times for each payload, each time by running a statement inside the sandbox: a fifth of a
    worker's CPU time. Only converters, codecs and external stores that depend on the context need the answer; those in
    use do not.

    Nor are their activations interrupted. One that has not yielded within two seconds of wall time fails its task,
    which Temporal retries. The SDK also raises an error in its thread, wherever that stands: in the middle of the event
    loop, the run can never be evicted, and its worker does not stop. On a busy machine two seconds pass without any
    fault of the workflow's; left alone, the activation ends and the run is evicted. Workflow code has no unbounded
    loop.
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
        instance.get_thread_id = _no_thread  # type: ignore[method-assign]
        return instance


def _no_context(_command_info: object) -> None:
    """Return None: the same converter serves every payload."""


def _no_thread() -> None:
    """Return None: there is no thread to interrupt."""
