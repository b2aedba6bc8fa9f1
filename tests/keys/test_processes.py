"""Two API processes, as an operator starts them, and one key."""

import asyncio
import os
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from time import monotonic
from uuid import uuid4

import httpx
import pytest

from tests.servers import ROOT
from tests.system import ADMIN_KEY, SIGNING_KEY, System, until

pytestmark = pytest.mark.asyncio(loop_scope="module")

AS_ADMIN = {"x-api-key": ADMIN_KEY}
LISTED = "/api/v1/swarm"


@asynccontextmanager
async def api_process(system: System, port: int, log: Path) -> AsyncIterator[httpx.AsyncClient]:
    """`convergio api` on the servers of the system."""
    environment = {
        **os.environ,
        "DATABASE_URL": system.settings.database_url or "",
        "TEMPORAL_ADDRESS": system.settings.temporal_address or "",
        "TEMPORAL_NAMESPACE": system.settings.temporal_namespace,
        "REDIS_URL": system.settings.redis_url or "",
        "OPENAI_BASE_URL": system.settings.openai_base_url or "",
        "CONVERGIO_PORT": str(port),
        "CONVERGIO_AUTH": "keys",
        "CONVERGIO_ADMIN_KEY": ADMIN_KEY,
        "CONVERGIO_RATE_LIMIT": "off",
        "CONVERGIO_SIGNING_KEY": SIGNING_KEY,
        "CONVERGIO_LOG_LEVEL": "debug",
    }
    with log.open("wb") as output:
        process = await asyncio.create_subprocess_exec(
            sys.executable, "-m", "runtime.cli", "api", cwd=ROOT, env=environment, stdout=output, stderr=output
        )
    try:
        async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}") as http:
            await until(lambda: answers(http), bool, seconds=60)
            yield http
    finally:
        process.terminate()
        await process.wait()


async def answers(http: httpx.AsyncClient) -> bool:
    try:
        return (await http.get("/health/live")).status_code == 200
    except httpx.TransportError:
        return False


async def status(http: httpx.AsyncClient, key: str) -> int:
    return (await http.get(LISTED, headers={"x-api-key": key})).status_code


async def test_a_revoked_key_is_refused_by_two_processes_within_a_second_and_never_logged(
    guarded: System, tmp_path: Path, free_ports: tuple[int, int]
) -> None:
    logs = [tmp_path / "one.log", tmp_path / "two.log"]
    async with (
        api_process(guarded, free_ports[0], logs[0]) as one,
        api_process(guarded, free_ports[1], logs[1]) as two,
    ):
        body = {"name": "n", "scopes": ["read"]}
        headers = AS_ADMIN | {"idempotency-key": uuid4().hex}
        made = (await one.post("/api/v1/keys", json=body, headers=headers)).json()
        for http in (one, two):
            assert [await status(http, made["key"]) for _ in range(3)] == [200] * 3
        rotated = await two.post(f"/api/v1/keys/{made['id']}/rotate", json={"overlap_s": 60}, headers=AS_ADMIN)
        texts = (made["key"], rotated.json()["key"])
        for http in (one, two):
            assert [await status(http, text) for text in texts] == [200, 200]
        assert (await one.delete(f"/api/v1/keys/{made['id']}", headers=AS_ADMIN)).status_code == 200
        began = monotonic()
        for http in (one, two):
            for text in texts:
                await until(lambda http=http, text=text: status(http, text), lambda code: code == 401)
        assert monotonic() - began < 1
    for log in logs:
        written = log.read_text()
        assert made["id"] in written, "requests are logged with the id of their key"
        assert not any(text.split("_", 2)[2][:16] in written for text in texts)
        assert ADMIN_KEY not in written
