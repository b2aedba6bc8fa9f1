"""What workflows did once, the code of today does again: else runs that are under way would break."""

import re
from asyncio import to_thread
from base64 import b64decode
from pathlib import Path

import pytest
from temporalio.client import WorkflowHistory
from temporalio.contrib.pydantic import pydantic_data_converter
from temporalio.worker import Replayer
from temporalio.workflow import NondeterminismError

from runtime.sandbox import QuickSandbox
from tests.histories.record import SCENES
from workflows.approvals.workflow import ApprovalWorkflow
from workflows.chat.workflow import ChatWorkflow
from workflows.erasures.retention import RetentionWorkflow
from workflows.erasures.workflow import ErasureWorkflow
from workflows.graphflow.map_node import GraphItemsWorkflow
from workflows.graphflow.workflow import GraphWorkflow
from workflows.knowledge.workflow import IngestWorkflow
from workflows.reconcile.workflow import ReconcileWorkflow
from workflows.runbooks.workflow import RunbookWorkflow
from workflows.schedules.workflow import ScheduleFiringWorkflow
from workflows.swarm.workflow import SwarmWorkflow

HISTORIES = sorted(Path(__file__).parent.glob("*.json"))
MOST_BYTES = 256 * 1024


async def replay(text: str) -> None:
    replayer = Replayer(
        workflows=[
            ChatWorkflow,
            ApprovalWorkflow,
            ErasureWorkflow,
            GraphItemsWorkflow,
            GraphWorkflow,
            IngestWorkflow,
            ReconcileWorkflow,
            RetentionWorkflow,
            RunbookWorkflow,
            ScheduleFiringWorkflow,
            SwarmWorkflow,
        ],
        workflow_runner=QuickSandbox(),
        data_converter=pydantic_data_converter,
    )
    await replayer.replay_workflow(WorkflowHistory.from_json("replayed", text))


@pytest.mark.parametrize("path", HISTORIES, ids=lambda path: path.stem)
async def test_a_recorded_history_replays(path: Path) -> None:
    await replay(await to_thread(path.read_text))


def test_every_scene_is_recorded() -> None:
    assert {path.stem for path in HISTORIES} == set(SCENES)


def test_recorded_histories_are_small_and_hold_no_words() -> None:
    for path in HISTORIES:
        text = path.read_text()
        payloads = [b64decode(data).decode() for data in re.findall(r'"data":\s*"([^"]*)"', text)]
        assert len(text) < MOST_BYTES
        assert payloads
        for words in ("Hello.", "Good bye", "word word", "I have seen", "customer", "As I see it"):
            assert words not in "".join([text, *payloads])


async def test_a_history_of_another_workflow_is_noticed() -> None:
    text = await to_thread((Path(__file__).parent / "plain.json").read_text)
    with pytest.raises(NondeterminismError):
        await replay(text.replace('"name": "think"', '"name": "ponder"').replace('"name":"think"', '"name":"ponder"'))
