"""Reference of the chat benchmark: a thin FastAPI route, an update, and one activity that calls the model.

It uses the same model client, event loop and tuned Temporal server as the system; its whole state is the turn's number.
`python -m bench.reference api|worker`, configured by the environment like the system.
"""

import asyncio
import sys
from dataclasses import dataclass
from datetime import timedelta

from temporalio import activity, workflow
from temporalio.client import Client, WithStartWorkflowOperation
from temporalio.common import WorkflowIDConflictPolicy
from temporalio.worker import Worker

with workflow.unsafe.imports_passed_through():
    import uvicorn
    import uvloop
    from fastapi import FastAPI
    from pydantic import BaseModel

    from adapters.openai.model import OpenAIModel
    from domain.chat.model_port import Message, ModelRequest
    from runtime.settings import Settings

QUEUE = "reference"


@dataclass
class Turn:
    """One message."""

    session_id: str
    number: int
    message: str


class Reference:
    """The activity."""

    def __init__(self, model: OpenAIModel) -> None:
        self._model = model

    @activity.defn
    async def answer(self, turn: Turn) -> str:
        """Call the model."""
        request = ModelRequest(
            request_id=f"{turn.session_id}.{turn.number}",
            model=self._model.default,
            messages=(Message("system", "You are helpful."), Message("user", turn.message)),
            max_tokens=1024,
        )
        return (await self._model.complete(request, lambda _: None)).text


@workflow.defn
class BareChat:
    """Answers one message after the other."""

    def __init__(self) -> None:
        self._turns = 0
        self._ended = False

    @workflow.run
    async def run(self, session_id: str) -> None:
        """Wait for the end of the benchmark."""
        self._session_id = session_id
        await workflow.wait_condition(lambda: self._ended)

    @workflow.update
    async def say(self, message: str) -> str:
        """Run one turn."""
        self._turns += 1
        return await workflow.execute_activity_method(
            Reference.answer,
            Turn(workflow.info().workflow_id, self._turns, message),
            start_to_close_timeout=timedelta(seconds=60),
            heartbeat_timeout=timedelta(seconds=10),
        )


class Chat(BaseModel):
    """The body of the route."""

    session_id: str
    message: str


def make_app(client: Client) -> FastAPI:
    """Build the application with its route."""
    app = FastAPI()

    @app.post("/chat")
    async def chat(body: Chat) -> dict[str, str]:
        opening = WithStartWorkflowOperation(
            BareChat.run,
            body.session_id,
            id=f"bare-{body.session_id}",
            task_queue=QUEUE,
            id_conflict_policy=WorkflowIDConflictPolicy.USE_EXISTING,
        )
        response = await client.execute_update_with_start_workflow(
            BareChat.say, body.message, start_workflow_operation=opening
        )
        return {"response": response}

    return app


async def _api(settings: Settings, client: Client) -> None:
    config = uvicorn.Config(make_app(client), port=settings.port, http="httptools", log_config=None, access_log=False)
    await uvicorn.Server(config).serve()


async def _worker(settings: Settings, client: Client) -> None:
    model = OpenAIModel(settings.openai_base_url or "", None, settings.model or "", 60)
    worker = Worker(client, task_queue=QUEUE, workflows=[BareChat], activities=[Reference(model).answer])
    await worker.run()


async def _main(part: str) -> None:
    settings = Settings()
    client = await Client.connect(settings.temporal_address or "")
    await {"api": _api, "worker": _worker}[part](settings, client)


if __name__ == "__main__":
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(_main(sys.argv[1]))
