"""The README's commands work as pasted, and its first answer has the form of the real one."""

import asyncio
import json
import re
import subprocess
from collections.abc import Iterator
from typing import Any

import httpx
import pytest

from adapters.local_model import MODEL_NAME
from tests.runtime.upping import Up, start_up
from tests.scripted_model import ScriptedModel, start_scripted_model
from tests.servers import ROOT
from tests.system import SIGNING_KEY, new_namespace

README = (ROOT / "README.md").read_text()
COMMANDS = [line for block in re.findall(r"```sh\n(.+?)```", README, re.DOTALL) for line in block.splitlines()]
CURLS = [command for command in COMMANDS if command.startswith("curl ")]
SHOWN: dict[str, Any] = json.loads(re.findall(r"```json\n(.+?)```", README, re.DOTALL)[0])
ADDRESS = "http://127.0.0.1:8000"


@pytest.fixture(scope="module")
def model() -> Iterator[ScriptedModel]:
    with start_scripted_model() as model:
        yield model


@pytest.fixture(scope="module")
def up(
    tmp_path_factory: pytest.TempPathFactory,
    module_database_url: str,
    temporal_address: str,
    valkey_server: str,
    model: ScriptedModel,
) -> Iterator[Up]:
    """The processes that `make run` starts, on the servers of the tests and on a port of their own."""
    with start_up(
        tmp_path_factory.mktemp("readme") / "data",
        DATABASE_URL=module_database_url,
        TEMPORAL_ADDRESS=temporal_address,
        TEMPORAL_NAMESPACE=asyncio.run(new_namespace(temporal_address)),
        REDIS_URL=valkey_server,
        CONVERGIO_SIGNING_KEY=SIGNING_KEY,
        OPENAI_BASE_URL=model.url,
        CONVERGIO_MODEL="scripted",
    ) as up:
        up.wait_until_ready()
        yield up


def pasted(command: str, up: Up) -> Any:
    """The output of the command in a shell, as JSON."""
    done = subprocess.run(
        ["/bin/sh", "-c", command.replace(ADDRESS, up.run().url)],
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
    )
    return json.loads(done.stdout)


def test_make_knows_the_targets_that_are_named() -> None:
    listed = subprocess.run(["make", "help"], cwd=ROOT, capture_output=True, text=True, check=True).stdout
    named = set(re.findall(r"\bmake ([a-z]+)\b", README))
    assert {"run", "test", "demo", "prove"} <= named
    assert {target for target in named if f"make {target} " not in listed} == set()


def test_every_command_is_one_that_is_tried_here() -> None:
    assert all(re.match(r"(curl|make|OPENAI_API_KEY=\S+ make) ", command) for command in COMMANDS)
    assert all(f" {ADDRESS}/" in command.replace("'", " ") for command in CURLS)


def test_the_first_curl_is_answered_as_it_is_shown(up: Up) -> None:
    answer = pasted(CURLS[0], up)
    assert answer.keys() == SHOWN.keys()
    assert answer["usage"].keys() == SHOWN["usage"].keys()
    same = ("turn", "agent_id", "status", "tools_used")
    assert [answer[name] for name in same] == [SHOWN[name] for name in same]
    assert answer["response"]
    assert answer["signature"].startswith(SHOWN["signature"].removesuffix("…"))
    assert answer["workflow_id"] == f"chat-{answer['session_id']}"
    assert SHOWN["model"] == MODEL_NAME
    assert SHOWN["usage"]["total_tokens"] == SHOWN["usage"]["prompt_tokens"] + SHOWN["usage"]["completion_tokens"]


def test_it_is_the_curl_that_a_start_prints(up: Up) -> None:
    assert CURLS[0].replace(ADDRESS, up.run().url) in up.output


def test_the_other_curls_answer_too(up: Up, model: ScriptedModel) -> None:
    first, second, session, usage, ledger, agents, health = (pasted(command, up) for command in CURLS[1:8])
    assert (first["turn"], second["turn"]) == (1, 2)
    assert [turn["message"] for turn in session["turns"]] == ["My name is Ada.", "What is my name?"]
    told = [message["content"] for message in model.requests()[-1]["messages"] if message["role"] == "user"]
    assert told == ["My name is Ada.", "What is my name?"]
    assert "ada" in {group["name"] for group in usage["groups"]}
    assert [call["state"] for call in ledger["data"]] == ["settled", "settled"]
    assert agents["agents"]
    assert health["status"] == "healthy"
    again = pasted(CURLS[1], up)
    assert again["turn"] == 1
    assert len(pasted(CURLS[3], up)["turns"]) == 2


def test_the_curls_of_teams_and_people_answer_too(up: Up) -> None:
    swarm, swarms, held, pending = (pasted(command, up) for command in CURLS[8:])
    assert (swarm["mode"], len(swarm["agents"])) == ("debate", 3)
    assert swarm["task_id"] in {each["task_id"] for each in swarms["data"]}
    assert (held["status"], held["response"]) == ("awaiting_approval", None)
    assert held["approval_id"] in {approval["id"] for approval in pending["pending_approvals"]}


def test_the_interactive_pages_are_there(up: Up) -> None:
    for page in ("/docs", "/redoc"):
        assert httpx.get(f"{up.run().url}{page}").status_code == 200


def test_as_many_agents_are_there_as_it_says(up: Up) -> None:
    total = httpx.get(f"{up.run().url}/api/v1/agents").json()["total"]
    assert f"the {total} built-in agents" in README
