"""An activation that stalls on a busy machine is tried again, and the worker stops all the same."""

import asyncio
from pathlib import Path
from uuid import uuid4

from temporalio.client import Client
from temporalio.worker import Worker

from runtime.sandbox import QuickSandbox
from tests.runtime.stalled import Stalled
from tests.system import new_namespace

STALL_S = 2.6
"""Longer than the SDK lets an activation run."""


async def test_a_stalled_activation_is_not_interrupted(temporal_address: str, tmp_path: Path) -> None:
    client = await Client.connect(temporal_address, namespace=await new_namespace(temporal_address))
    outcome = tmp_path / "outcome"
    worker = Worker(client, task_queue="stalls", workflows=[Stalled], workflow_runner=QuickSandbox())
    async with asyncio.timeout(60), worker:
        options = {"id": f"stalled-{uuid4()}", "task_queue": "stalls"}
        assert await client.execute_workflow(Stalled.run, args=[str(outcome), STALL_S], **options) == "done"
    assert outcome.read_text() == "finished"
