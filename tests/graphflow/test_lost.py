"""What a crash leaves open of runs is put right; what is worked on is left alone."""

import asyncio
from datetime import timedelta

import pytest

from activities.graphflow.execution_stream import RunStreams
from activities.reconcile.activities import LOST_AFTER
from activities.reconcile.executions import RunReconciler
from runtime.wiring.parts import now
from tests.graphflow.runs import run, workflow
from tests.system import System

pytestmark = pytest.mark.asyncio(loop_scope="module")

WAIT = {"id": "paid", "type": "wait", "event": "payment"}


async def test_a_run_that_temporal_has_lost_has_failed_and_others_go_on(shared: System) -> None:
    parts = shared.parts
    lost, working = await run(shared, workflow(WAIT)), await run(shared, workflow(WAIT))
    for started in (lost, working):
        await started.seen("running")
    await lost.handle.terminate()
    later = now() + LOST_AFTER + timedelta(minutes=1)
    reconciling = RunReconciler(RunStreams(parts.ledger), parts.runs, shared.temporal, lambda: later)
    assert await reconciling.reconcile_runs() == 1
    seen = await lost.seen("failed")
    assert (seen.row.code, seen.nodes[0].status) == ("INTERNAL_ERROR", "cancelled")
    await working.asking("cancel")
    assert (await working.over()).status == "cancelled"
    assert len(await asyncio.to_thread(lost.events)) == 3
