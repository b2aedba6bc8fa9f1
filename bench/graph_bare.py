"""Workflows of the graph benchmark's reference, in a module of their own, as the sandbox imports it for every run."""

import asyncio
from dataclasses import dataclass
from datetime import timedelta

from temporalio import workflow

AGENTS = 10
STEPS = 10


@dataclass
class Ask:
    """One model call: the agent and the message."""

    request_id: str
    agent_id: str
    message: str


@dataclass
class Work:
    """A prompt and the agent that gets it."""

    request: str
    agents: list[str]


@workflow.defn
class BareChain:
    """Small computations one after the other, each an activity."""

    @workflow.run
    async def run(self, work: Work) -> int:
        """Run the steps."""
        number = len(work.request)
        for _ in range(STEPS):
            number = await workflow.execute_activity(
                "step", number, start_to_close_timeout=timedelta(seconds=10), result_type=int
            )
        return number


@workflow.defn
class BareFan:
    """Concurrent model calls."""

    @workflow.run
    async def run(self, work: Work) -> int:
        """Make the calls."""
        answers = await asyncio.gather(*(self._call(agent, work.request) for agent in work.agents))
        return len(answers)

    async def _call(self, agent_id: str, message: str) -> str:
        answer: str = await workflow.execute_activity(
            "call",
            Ask(f"{workflow.info().workflow_id}.{agent_id}", agent_id, message),
            start_to_close_timeout=timedelta(seconds=60),
            heartbeat_timeout=timedelta(seconds=10),
            result_type=str,
        )
        return answer
