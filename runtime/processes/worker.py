"""The worker process: workflows, their activities, and the calls to the model provider."""

import asyncio
from collections.abc import Callable, Sequence
from datetime import timedelta
from typing import Any

import structlog
from temporalio.client import Client
from temporalio.common import VersioningBehavior, WorkerDeploymentVersion
from temporalio.worker import Worker, WorkerDeploymentConfig

from activities.costs.model_slots import ModelSlots
from activities.interceptor import RefusalInterceptor
from adapters.postgres.operations.worker_drains import PostgresWorkerDrains
from domain.approvals import policy_record
from domain.errors import Invalid
from runtime import temporal
from runtime.backup.recovery import refuse_unreconciled
from runtime.event_loop import freeze_garbage_collector, stop_on_signals, uvloop_runner
from runtime.memory import EvictionCollector, cached_runs
from runtime.processes.worker_drain import DrainWatch
from runtime.settings import Settings
from runtime.supervisor.readiness import announce_ready
from runtime.wiring.parts import Parts, make_parts
from runtime.wiring.worker_activities import worker_options
from workflows.message_guard import WellFormedMessages
from workflows.task_queues import model_queue

THREADS = 16
GRACE = timedelta(seconds=60)
"""The time a stopping worker gives running activities."""
STICKY = timedelta(seconds=2)
THROTTLE = timedelta(seconds=1)
EAGER = 10
"""Limit on activities that a workflow task may start eagerly in its own process, without a server round trip."""


def make_workers(
    settings: Settings,
    client: Client,
    parts: Parts,
    queues: Sequence[str] | None,
    run_made: Callable[[], None] = lambda: None,
) -> list[Worker]:
    """Return a worker for each of these task queues; for all with None. `run_made` is called for each cached run.

    Raises:
        Invalid: there is no such queue.
    """
    offered = worker_options(settings, client, parts, run_made, queues)
    wanted = queues or tuple(offered)
    waiting = model_queue(parts.provider.name)
    slots = ModelSlots(settings.model_concurrency, waiting if waiting in wanted else None)
    if unknown := sorted(set(wanted) - set(offered)):
        raise Invalid(f"no such queue: {', '.join(unknown)}; there are {', '.join(offered)}")
    return [_worker(settings, client, queue, slots, offered[queue]) for queue in wanted]


def _worker(settings: Settings, client: Client, queue: str, slots: ModelSlots, offer: dict[str, Any]) -> Worker:
    return Worker(
        client,
        task_queue=queue,
        max_eager_activity_reservations_per_workflow_task=EAGER,
        interceptors=[RefusalInterceptor(), WellFormedMessages(), slots],
        graceful_shutdown_timeout=GRACE,
        sticky_queue_schedule_to_start_timeout=STICKY,
        max_heartbeat_throttle_interval=THROTTLE,
        default_heartbeat_throttle_interval=THROTTLE,
        deployment_config=_deployment(settings),
        **offer,
    )


def _deployment(settings: Settings) -> WorkerDeploymentConfig | None:
    """Return the options of worker versioning if the operator named a version.

    With versioning and no current version set in Temporal, no worker gets a task.
    """
    if settings.deployment_version is None:
        return None
    return WorkerDeploymentConfig(
        version=WorkerDeploymentVersion("convergio", settings.deployment_version),
        use_worker_versioning=True,
        default_versioning_behavior=VersioningBehavior.AUTO_UPGRADE,
    )


async def run_until_stopped(all_workers: Sequence[Worker], stop: asyncio.Event) -> None:
    """Run the workers until `stop` is set, then let running work finish."""
    running = [asyncio.create_task(worker.run()) for worker in all_workers]
    stopped = asyncio.create_task(stop.wait())
    await asyncio.wait([*running, stopped], return_when=asyncio.FIRST_COMPLETED)
    stopped.cancel()
    await asyncio.gather(*(worker.shutdown() for worker in all_workers))
    await asyncio.gather(*running)


async def run_until_drained(all_workers: Sequence[Worker], stop: asyncio.Event, watch: DrainWatch) -> None:
    """Run the workers until `stop` is set. One that is told to drain finishes its work, and then only waits for it."""
    ending = asyncio.Event()
    stopped = asyncio.create_task(stop.wait())
    told = asyncio.create_task(watch.wait_until_requested())
    stopped.add_done_callback(lambda _: ending.set())
    told.add_done_callback(lambda task: ending.set() if _has_succeeded(task) else None)
    try:
        await run_until_stopped(all_workers, ending)
        if not stop.is_set():
            await watch.report_drained()
            await stop.wait()
    finally:
        for task in (stopped, told):
            task.cancel()


def _has_succeeded(task: "asyncio.Task[None]") -> bool:
    """Return whether the task has ended by itself: a watch that fails must not stop the worker."""
    if task.cancelled():
        return False
    if (error := task.exception()) is not None:
        structlog.get_logger("worker").error("this worker cannot be drained", exc_info=error)
        return False
    return True


def run_worker(settings: Settings, queues: Sequence[str] | None) -> None:
    """Run the process `convergio worker`."""
    with uvloop_runner() as runner:
        runner.run(_run(settings, queues))


async def _run(settings: Settings, queues: Sequence[str] | None) -> None:
    stop = stop_on_signals()
    parts = make_parts(settings, connections=THREADS)
    parts.database.open()
    try:
        await asyncio.to_thread(refuse_unreconciled, parts.database)
        await asyncio.to_thread(policy_record.refuse_other, parts.ledger, parts.risks)
        await asyncio.to_thread(parts.signatures.prepare)
        client = await temporal.connect(settings)
        collector = EvictionCollector(cached_runs(settings.run_cache_mb))
        running = make_workers(settings, client, parts, queues, collector.count_run)
        freeze_garbage_collector()
        collecting = asyncio.create_task(collector.keep_collecting())
        # only now: the supervisor takes the worker for ready on this
        announce_ready(settings.ready_file)
        structlog.get_logger("worker").info("working", queues=[worker.task_queue for worker in running])
        await run_until_drained(running, stop, DrainWatch(PostgresWorkerDrains(parts.database), client.identity))
        collecting.cancel()
    finally:
        await parts.toolbox.aclose()
        await parts.model.aclose()
        await parts.live.aclose()
        await parts.knowledge.models.aclose()
        parts.database.close()
