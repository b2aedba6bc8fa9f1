"""The parts as Compose starts them, as real processes: its commands, its variables, its health checks.

Only addresses are those of the tests' servers, and the API's port is a free one.
"""

import asyncio
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

import httpx
import pytest

from runtime.embedded import Ports
from tests.deployment.compose import PARTS, SHELL, environment, services
from tests.runtime.upping import until
from tests.scripted_model import start_scripted_model
from tests.servers import ROOT
from tests.system import new_namespace

KEY = {"Authorization": f"Bearer {SHELL['CONVERGIO_ADMIN_KEY']}"}


@dataclass
class Deployment:
    """Running parts. `http` asks as Prometheus and the health check do: at the API's own port."""

    http: httpx.Client
    variables: dict[str, dict[str, str]]
    running: dict[str, subprocess.Popen[bytes]]

    def healthy(self, part: str) -> bool:
        """What Docker would find, running the health check in the part's container."""
        kind, *command = services()[part]["healthcheck"]["test"]
        port = self.variables["api"]["CONVERGIO_PORT"]
        argv = (
            ["/bin/sh", "-c", command[0]] if kind == "CMD-SHELL" else [word.replace("8000", port) for word in command]
        )
        beside = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
        variables = {**self.variables[part], "PATH": beside}
        return subprocess.run(argv, env=variables, capture_output=True, check=False, timeout=30).returncode == 0


def start(part: str, variables: dict[str, str]) -> subprocess.Popen[bytes]:
    command = [sys.executable, "-m", "runtime.cli", *services()[part]["command"]]
    return subprocess.Popen(command, cwd=ROOT, env={"PATH": os.environ["PATH"], **variables})


@pytest.fixture(scope="module")
def deployment(
    tmp_path_factory: pytest.TempPathFactory, module_database_url: str, temporal_address: str, valkey_server: str
) -> Iterator[Deployment]:
    directory = tmp_path_factory.mktemp("ready")
    with ExitStack() as stack:
        model = stack.enter_context(start_scripted_model())
        here = {
            "DATABASE_URL": module_database_url,
            "TEMPORAL_ADDRESS": temporal_address,
            "TEMPORAL_NAMESPACE": asyncio.run(new_namespace(temporal_address)),
            "REDIS_URL": valkey_server,
            "OPENAI_BASE_URL": model.url,
            "CONVERGIO_MODEL": "scripted",
        }
        variables = {part: {**environment(part), **here} for part in PARTS}
        for part in ("worker", "projections"):
            variables[part]["CONVERGIO_READY_FILE"] = str(directory / part)
        variables["api"]["CONVERGIO_PORT"] = str(Ports().pick())
        assert start("migrate", variables["migrate"]).wait(60) == 0
        running = {part: start(part, variables[part]) for part in PARTS if part != "migrate"}
        for process in running.values():
            stack.callback(process.wait, 60)
            stack.callback(process.terminate)
        url = f"http://127.0.0.1:{variables['api']['CONVERGIO_PORT']}"
        yield Deployment(stack.enter_context(httpx.Client(base_url=url, timeout=60)), variables, running)


@pytest.mark.parametrize("part", [part for part in PARTS if part != "migrate"])
def test_each_part_becomes_healthy(deployment: Deployment, part: str) -> None:
    until(lambda: deployment.healthy(part), 60)
    assert deployment.running[part].poll() is None


def test_who_has_the_key_is_answered(deployment: Deployment) -> None:
    until(lambda: deployment.healthy("api"), 60)
    body = {"agent_id": "ali_chief_of_staff", "message": "Are you many machines?"}
    answer = deployment.http.post("/api/v1/agents/chat", json=body, headers=KEY)
    assert (answer.status_code, answer.json()["status"]) == (200, "completed")
    assert deployment.http.post("/api/v1/agents/chat", json=body).status_code == 401


def test_prometheus_gets_its_figures_and_strangers_nothing(deployment: Deployment) -> None:
    until(lambda: deployment.healthy("api"), 60)
    figures = deployment.http.get("/metrics", headers={**KEY, "Host": "api:8000"})
    assert "convergio_http_requests_total" in figures.text
    assert deployment.http.get("/metrics", headers={"Host": "api:8000"}).status_code == 401
    assert deployment.http.get("/health", headers={"Host": "another.example"}).status_code == 400
