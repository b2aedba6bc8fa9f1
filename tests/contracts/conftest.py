"""A whole system behind a real port."""

import asyncio
from collections.abc import Iterator
from concurrent.futures import Future
from threading import Event, Thread
from typing import Any

import pytest
import schemathesis
import uvicorn
from schemathesis.config import SchemathesisConfig

from api.http.server import BoundedHttpProtocol
from runtime.settings import Settings
from tests.scripted_model import ScriptedModel
from tests.system import new_namespace, running, settings_of, until

_PATIENCE_S = 60.0
"""Time to wait for a response: the machine may be busy."""


@pytest.fixture(scope="module")
def served(
    module_database_url: str, temporal_address: str, valkey_server: str, model_process: ScriptedModel
) -> Iterator[str]:
    """The API's address. A thread of its own serves it."""
    settings = settings_of(
        database_url=module_database_url,
        temporal_address=temporal_address,
        redis_url=valkey_server,
        model_url=model_process.url,
        namespace=asyncio.run(new_namespace(temporal_address)),
    )
    model_process.reset()
    address: Future[str] = Future()
    stop = Event()
    thread = Thread(target=lambda: asyncio.run(_serve(settings, address, stop)))
    thread.start()
    try:
        yield address.result(30)
    finally:
        stop.set()
        thread.join()


async def _serve(settings: Settings, address: "Future[str]", stop: Event) -> None:
    try:
        async with running(settings) as system:
            config = uvicorn.Config(
                system.app, port=0, http=BoundedHttpProtocol, lifespan="off", log_config=None, access_log=False
            )
            server = uvicorn.Server(config)
            serving = asyncio.create_task(server.serve())
            await until(lambda: asyncio.sleep(0), lambda _: server.started)
            address.set_result(f"http://127.0.0.1:{server.servers[0].sockets[0].getsockname()[1]}")
            await asyncio.to_thread(stop.wait)
            server.should_exit = True
            await serving
    except BaseException as error:
        if not address.done():
            address.set_exception(error)
        raise


@pytest.fixture(scope="module")
def described(served: str) -> Any:
    """The description that the served API gives of itself."""
    config = SchemathesisConfig()
    config.projects.default.request_timeout = _PATIENCE_S
    return schemathesis.openapi.from_url(f"{served}/openapi.json", config=config)
