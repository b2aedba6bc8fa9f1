"""Reference of the graph benchmark: a thin FastAPI route that starts a hand-written workflow, one activity per node.

`python -m bench.graph_reference api|worker [quick]`, configured by the environment like the system; with `quick` its
workflows run in the system's own sandbox, and start activities eagerly like the system.
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
from bench.graph_bare import BareChain, BareFan, Work
from bench.swarm_reference import Reference
from runtime.processes.worker import EAGER, STICKY, THROTTLE
from runtime.sandbox import QuickSandbox
from runtime.settings import Settings

QUEUE = "graph-reference"
WORKFLOWS = {"chain": BareChain, "fan": BareFan}


@activity.defn
async def step(number: int) -> int:
    """Run the computation of a node."""
    return number + 1


class Body(BaseModel):
    """The body of the route."""

    run_id: str
    request: str
    agents: list[str]


def make_app(client: Client) -> FastAPI:
    """Build the application with its route."""
    app = FastAPI()

    @app.post("/{name}")
    async def execute(name: str, body: Body) -> dict[str, str]:
        work = Work(body.request, body.agents)
        await client.start_workflow(WORKFLOWS[name].run, work, id=body.run_id, task_queue=QUEUE)
        return {"execution_id": body.run_id}

    return app


async def _api(settings: Settings, client: Client) -> None:
    config = uvicorn.Config(make_app(client), port=settings.port, http="httptools", log_config=None, access_log=False)
    await uvicorn.Server(config).serve()


async def _worker(settings: Settings, client: Client, *, quick: bool) -> None:
    model = OpenAIModel(settings.openai_base_url or "", None, settings.model or "", 60)
    worker = Worker(
        client,
        task_queue=QUEUE,
        workflows=list(WORKFLOWS.values()),
        activities=[Reference(model).call, step],
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
