"""Reference of the swarm benchmark: a thin FastAPI route that starts a workflow with the same number of model calls.

Concurrent calls, then one that integrates them: with the prompts, model client, event loop and Temporal server of the
system. `python -m bench.swarm_reference api|worker [quick]`, configured by the environment like the system; with
`quick` its workflows run in the system's own sandbox, and start activities eagerly like the system.
"""

import asyncio
import sys

import uvicorn
import uvloop
from fastapi import FastAPI
from pydantic import BaseModel
from temporalio import activity
from temporalio.client import Client
from temporalio.worker import Worker
from temporalio.worker.workflow_sandbox import SandboxedWorkflowRunner

from adapters.openai.model import OpenAIModel
from bench.swarm_bare import Ask, BareSwarm, Work
from domain.chat.model_port import Message, ModelRequest
from runtime.processes.worker import EAGER, STICKY, THROTTLE
from runtime.sandbox import QuickSandbox
from runtime.settings import Settings
from runtime.wiring.parts import agent_files

QUEUE = "swarm-reference"


class Reference:
    """The activity. It has the agents' instructions."""

    def __init__(self, model: OpenAIModel) -> None:
        self._model = model
        self._instructions = {agent.id: agent.instructions for agent in agent_files()}

    @activity.defn
    async def call(self, ask: Ask) -> str:
        """Call the model."""
        request = ModelRequest(
            request_id=ask.request_id,
            model=self._model.default,
            messages=(Message("system", self._instructions[ask.agent_id]), Message("user", ask.message)),
            max_tokens=1024,
        )
        return (await self._model.complete(request, lambda _: None)).text


class Body(BaseModel):
    """The body of the route."""

    task_id: str
    task: str
    members: list[str]
    coordinator: str


def make_app(client: Client) -> FastAPI:
    """Build the application with its route."""
    app = FastAPI()

    @app.post("/swarm")
    async def swarm(body: Body) -> dict[str, str]:
        work = Work(body.task, body.members, body.coordinator)
        await client.start_workflow(BareSwarm.run, work, id=body.task_id, task_queue=QUEUE)
        return {"task_id": body.task_id}

    return app


async def _api(settings: Settings, client: Client) -> None:
    config = uvicorn.Config(make_app(client), port=settings.port, http="httptools", log_config=None, access_log=False)
    await uvicorn.Server(config).serve()


async def _worker(settings: Settings, client: Client, *, quick: bool) -> None:
    model = OpenAIModel(settings.openai_base_url or "", None, settings.model or "", 60)
    worker = Worker(
        client,
        task_queue=QUEUE,
        workflows=[BareSwarm],
        activities=[Reference(model).call],
        max_concurrent_activities=settings.model_concurrency,
        workflow_runner=QuickSandbox() if quick else SandboxedWorkflowRunner(),
        max_eager_activity_reservations_per_workflow_task=EAGER if quick else 3,
        sticky_queue_schedule_to_start_timeout=STICKY,
        max_heartbeat_throttle_interval=THROTTLE,
        default_heartbeat_throttle_interval=THROTTLE,
    )
    await worker.run()


async def _main(part: str, *options: str) -> None:
    settings = Settings()
    client = await Client.connect(settings.temporal_address or "")
    if part == "api":
        await _api(settings, client)
    else:
        await _worker(settings, client, quick="quick" in options)


if __name__ == "__main__":
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(_main(*sys.argv[1:]))
