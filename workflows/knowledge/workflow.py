"""The indexing of one document, generation by generation, until its newest one is indexed or has failed."""

from datetime import timedelta

from temporalio import workflow
from temporalio.common import RetryPolicy
from temporalio.exceptions import ActivityError, ApplicationError, is_cancelled_exception

with workflow.unsafe.imports_passed_through():
    from activities.knowledge.activities import IngestActivities
    from activities.knowledge.messages import DocumentRef, GenerationRef, IngestFailure, IngestPlan
    from workflows.knowledge.messages import IngestStart
    from workflows.task_queues import IO_QUEUE
    from workflows.timeouts import HEARTBEAT_TIMEOUT, LEDGER_RETRY, LEDGER_TIMEOUT

SUBMITTED_SIGNAL = "document_submitted"
_READ_TIMEOUT = timedelta(minutes=30)
_EMBED_TIMEOUT = timedelta(minutes=30)
_GIVE_UP = timedelta(hours=24)
_MOST_ACTIVITIES = 500
"""Activities of one run of the workflow; a longer one continues as new."""
_RETRY = RetryPolicy(
    initial_interval=timedelta(seconds=1), backoff_coefficient=2, maximum_interval=timedelta(seconds=60)
)


@workflow.defn(name="Ingest")
class IngestWorkflow:
    """One document. A step whose worker dies is begun again by another one, at the batch that it was at."""

    @workflow.init
    def __init__(self, start: IngestStart) -> None:
        self._owner = start.owner
        self._is_submitted = True
        self._activities = 0

    @workflow.signal(name=SUBMITTED_SIGNAL)
    def document_submitted(self) -> None:
        """Report that a generation was submitted, or that the document was deleted."""
        self._is_submitted = True

    @workflow.run
    async def run(self, start: IngestStart) -> None:
        """Index the newest generation, and then those that were submitted meanwhile."""
        while self._is_submitted:
            self._is_submitted = False
            plan = await self._prepare()
            if plan.generation:
                await self._index(plan)
                self._is_submitted = True
            if plan.failed:
                self._is_submitted = True
            if self._activities > _MOST_ACTIVITIES:
                workflow.continue_as_new(start)

    async def _index(self, plan: IngestPlan) -> None:
        generation = GenerationRef(self._owner, plan.generation)
        try:
            if await self._embed(generation):
                await self._activate(generation)
        except ActivityError as error:
            if is_cancelled_exception(error):
                raise
            await self._fail(generation, error)

    async def _prepare(self) -> IngestPlan:
        self._activities += 1
        return await workflow.execute_activity_method(
            IngestActivities.prepare_document,
            DocumentRef(self._owner),
            task_queue=IO_QUEUE,
            start_to_close_timeout=_READ_TIMEOUT,
            schedule_to_close_timeout=_GIVE_UP,
            heartbeat_timeout=HEARTBEAT_TIMEOUT,
            retry_policy=_RETRY,
            summary="read and split the document",
        )

    async def _embed(self, generation: GenerationRef) -> bool:
        """Embed all chunks. False if the generation is not wanted any more."""
        while True:
            self._activities += 1
            progress = await workflow.execute_activity_method(
                IngestActivities.embed_chunks,
                generation,
                task_queue=IO_QUEUE,
                start_to_close_timeout=_EMBED_TIMEOUT,
                schedule_to_close_timeout=_GIVE_UP,
                heartbeat_timeout=HEARTBEAT_TIMEOUT,
                retry_policy=_RETRY,
                summary="embed chunks",
            )
            workflow.set_current_details(f"{progress.done} of {progress.total} chunks are embedded")
            if progress.is_complete or not progress.is_wanted:
                return progress.is_wanted

    async def _activate(self, generation: GenerationRef) -> None:
        self._activities += 1
        await workflow.execute_activity_method(
            IngestActivities.activate_document,
            generation,
            task_queue=IO_QUEUE,
            start_to_close_timeout=_READ_TIMEOUT,
            heartbeat_timeout=HEARTBEAT_TIMEOUT,
            retry_policy=LEDGER_RETRY,
            summary="let it be found",
        )

    async def _fail(self, generation: GenerationRef, error: ActivityError) -> None:
        code, reason = "TIMEOUT", "a step did not end in time"
        if isinstance(error.cause, ApplicationError):
            code, reason = error.cause.type or "INTERNAL_ERROR", error.cause.message
        self._activities += 1
        await workflow.execute_activity_method(
            IngestActivities.fail_document,
            IngestFailure(generation.owner, generation.generation, code, reason),
            task_queue=IO_QUEUE,
            start_to_close_timeout=LEDGER_TIMEOUT,
            retry_policy=LEDGER_RETRY,
            summary="record the failure",
        )
