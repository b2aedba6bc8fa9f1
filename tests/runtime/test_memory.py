"""What evicted runs leave behind is collected, and the cache is as large as its budget allows."""

import gc
import weakref

import pytest
from temporalio.client import Client
from temporalio.contrib.pydantic import pydantic_data_converter
from temporalio.worker import Worker

from runtime.memory import RUN_KIB, EvictionCollector, cached_runs
from runtime.sandbox import QuickSandbox
from runtime.settings import Settings
from runtime.wiring.worker_activities import worker_options
from tests.chat.stage import Stage, chat, saying
from tests.system import System, new_namespace
from workflows.chat.workflow import ChatWorkflow
from workflows.task_queues import WORKFLOW_QUEUE


class Clock:
    """A clock that goes when it is told to."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


class Cycle:
    """Something that only the collector frees."""

    def __init__(self) -> None:
        self.me = self


def old_garbage() -> "weakref.ref[Cycle]":
    """Garbage in the oldest generation, as an evicted run is."""
    cycle = Cycle()
    gc.collect()
    return weakref.ref(cycle)


def made(collector: EvictionCollector, runs: int) -> bool:
    for _ in range(runs):
        collector.count_run()
    return collector.collect_if_due()


@pytest.mark.parametrize(
    ("budget_mb", "runs"), [(100, 100 * 1024 // RUN_KIB), (1, 50), (1_000, 1_000 * 1024 // RUN_KIB)]
)
def test_the_cache_has_as_many_runs_as_its_budget_pays_for(budget_mb: int, runs: int) -> None:
    assert cached_runs(budget_mb) == runs


def test_garbage_is_collected_once_a_quarter_of_the_cache_was_replaced() -> None:
    collector, left = EvictionCollector(100, Clock()), old_garbage()
    assert not made(collector, 24)
    assert left() is not None
    assert made(collector, 1)
    assert left() is None
    assert not made(collector, 24)
    assert made(collector, 1)


def test_a_quiet_worker_collects_a_minute_after_its_last_run_and_not_again() -> None:
    clock = Clock()
    collector, left = EvictionCollector(1_000, clock), old_garbage()
    assert not made(collector, 1)
    clock.now = 59.9
    assert not collector.collect_if_due()
    clock.now = 60.0
    assert collector.collect_if_due()
    assert left() is None
    clock.now = 1_000.0
    assert not collector.collect_if_due()


def test_a_worker_that_caches_one_run_collects_for_each() -> None:
    assert made(EvictionCollector(1, Clock()), 1)


def test_the_settings_bound_the_cache_of_the_workflows_worker(system: System) -> None:
    settings: Settings = system.settings.model_copy(update={"run_cache_mb": 10})
    assert worker_options(settings, system.temporal, system.parts)[WORKFLOW_QUEUE][
        "max_cached_workflows"
    ] == cached_runs(10)


async def test_runs_that_the_cache_evicts_are_freed(temporal_address: str) -> None:
    """With one place in the cache each session throws out the one before."""
    client = await Client.connect(
        temporal_address, namespace=await new_namespace(temporal_address), data_converter=pydantic_data_converter
    )
    collector, stage = EvictionCollector(8), Stage()
    async with Worker(
        client,
        task_queue=stage.queue,
        workflows=[ChatWorkflow],
        activities=stage.all(),
        workflow_runner=QuickSandbox(collector.count_run),
        max_cached_workflows=1,
    ):
        gc.collect()
        gc.disable()
        try:
            before = living()
            for _ in range(12):
                handle = await chat(client, stage)
                await handle.execute_update(ChatWorkflow.say, saying("a"))
            assert living() - before > 2
            assert collector.collect_if_due()
            assert living() - before <= 2
        finally:
            gc.enable()


def living() -> int:
    """Runs of chats in this process, evicted or not."""
    return sum(type(each) is ChatWorkflow for each in gc.get_objects())
