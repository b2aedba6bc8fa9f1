"""Two scripted servers as two providers, and the whole system on them."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
import pytest_asyncio

from tests.chaos.books import assert_books_agree
from tests.scripted_model import ScriptedModel, start_scripted_model
from tests.system import ADMIN_KEY, System, new_namespace, running, settings_of, until

pytestmark = pytest.mark.asyncio(loop_scope="module")

FILE = """
default_model: main
providers:
- {{name: one, base_url: {one}, models: [scripted, fragile], aliases: {{main: scripted}}, concurrency: 3}}
- {{name: two, base_url: {two}, models: [other, "any-*"], tools: "off"}}
"""
PRICES = '{"scripted": {"input_per_million": "1", "output_per_million": "2"}}'


@dataclass
class Two:
    """A system on two providers."""

    system: System
    one: ScriptedModel
    two: ScriptedModel

    async def agent(self, model: str | None, *fallback: str) -> str:
        """Create and deploy an agent with these models; return its id."""
        body = {"name": f"Agent {uuid4().hex[:8]}", "description": "Answers.", "system_prompt": "Answer."}
        models = {"model": model, "fallback_models": list(fallback)}
        made = await self.system.http.post("/api/v1/agent-management/create", json={**body, **models})
        assert made.status_code == 201, made.text
        agent_id = str(made.json()["id"])
        deployed = await self.system.http.post(f"/api/v1/agent-management/{agent_id}/deploy", json={})
        assert deployed.status_code == 200, deployed.text
        return agent_id

    async def ledger(self, agent_id: str) -> list[tuple[Any, ...]]:
        """The attempts of an agent's calls, oldest first."""
        calls = reversed(await self.system.calls(agent_id=agent_id))
        names = ("state", "provider", "model", "fallback_from", "fallback_reason")
        return [tuple(call[name] for name in names) for call in calls]

    async def health(self) -> dict[str, Any]:
        return dict((await self.system.http.get("/health")).json())


@pytest.fixture(scope="module")
def providers() -> Iterator[tuple[ScriptedModel, ScriptedModel]]:
    with start_scripted_model() as one, start_scripted_model(models=("other", "any-1")) as two:
        yield one, two


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def running_two(
    module_database_url: str,
    temporal_address: str,
    valkey_server: str,
    providers: tuple[ScriptedModel, ScriptedModel],
    tmp_path_factory: pytest.TempPathFactory,
) -> AsyncIterator[Two]:
    one, two = providers
    directory: Path = tmp_path_factory.mktemp("providers")
    (directory / "providers.yaml").write_text(FILE.format(one=one.url, two=two.url))
    (directory / "prices.json").write_text(PRICES)
    settings = settings_of(
        database_url=module_database_url,
        temporal_address=temporal_address,
        redis_url=valkey_server,
        model_url="",
        namespace=await new_namespace(temporal_address),
        admin_key=ADMIN_KEY,
        openai_base_url=None,
        model=None,
        providers=directory / "providers.yaml",
        prices=directory / "prices.json",
        circuit="50%/4/60",
        circuit_open_s=2.0,
    )
    async with running(settings) as system:
        yield Two(system, one, two)


@pytest.fixture
def duo(running_two: Two) -> Two:
    running_two.one.reset()
    running_two.two.reset()
    return running_two


async def test_each_call_goes_to_the_provider_that_its_model_means(duo: Two) -> None:
    agents = [await duo.agent(model) for model in (None, "one/scripted", "two/other", "any-1")]
    for agent_id in agents:
        assert (await duo.system.say("Hello.", agent_id=agent_id)).status_code == 200
    assert [entry["model"] for entry in duo.one.bill()] == ["scripted", "scripted"]
    assert [entry["model"] for entry in duo.two.bill()] == ["other", "any-1"]
    found = [(await duo.ledger(agent_id))[0][1:3] for agent_id in agents]
    assert found == [("one", "scripted"), ("one", "scripted"), ("two", "other"), ("two", "any-1")]


async def test_an_agent_with_a_model_of_no_provider_is_refused(duo: Two) -> None:
    body = {"name": f"Agent {uuid4().hex[:8]}", "description": "Answers.", "system_prompt": "Answer."}
    for field, models in (("model", "nobodys"), ("fallback_models", ["scripted", "two/nobodys"])):
        answer = await duo.system.http.post("/api/v1/agent-management/create", json={**body, field: models})
        assert (answer.status_code, answer.json()["error"]["details"]["field"]) == (422, field)
    many = {"fallback_models": [f"any-{number}" for number in range(6)]}
    assert (await duo.system.http.post("/api/v1/agent-management/create", json={**body, **many})).status_code == 422


async def test_a_refusal_that_will_not_pass_goes_on_to_the_next_model(duo: Two) -> None:
    duo.one.script({"status": 401, "times": None})
    agent_id = await duo.agent("scripted", "two/other")
    said = await duo.system.say("Hello.", agent_id=agent_id)
    assert (said.status_code, said.json()["model"]) == (200, "other"), said.text
    assert await duo.ledger(agent_id) == [
        ("failed", "one", "scripted", None, None),
        ("settled", "two", "other", "scripted", "refused_key"),
    ]
    assert_books_agree(await duo.system.calls(agent_id=agent_id), [*duo.one.bill(), *duo.two.bill()])


async def test_tries_that_are_used_up_go_on_to_the_next_model(duo: Two) -> None:
    duo.one.script({"contains": "Try", "status": 429, "times": None})
    agent_id = await duo.agent("scripted", "other")
    said = await duo.system.say("Try.", agent_id=agent_id)
    assert (said.status_code, said.json()["model"]) == (200, "other"), said.text
    found = await duo.ledger(agent_id)
    assert [state for state, *_ in found] == ["failed"] * 5 + ["settled"]
    assert found[-1][3:] == ("scripted", "rate_limited")


async def test_a_refused_content_is_not_offered_to_another_model(duo: Two) -> None:
    error = {"message": "The prompt was filtered.", "code": "content_filter", "param": "prompt", "type": None}
    duo.one.script({"status": 400, "error": error, "times": None})
    agent_id = await duo.agent("scripted", "other")
    assert (await duo.system.say("Hello.", agent_id=agent_id)).status_code == 502
    assert [state for state, *_ in await duo.ledger(agent_id)] == ["failed"]
    assert duo.two.bill() == []


async def test_no_more_calls_are_sent_at_once_than_a_provider_takes(duo: Two) -> None:
    duo.one.script({"delay_s": 0.3, "times": None})
    seen: list[int] = []

    async def watch() -> None:
        while True:
            seen.append(sum(entry["state"] == "started" for entry in duo.one.bill()))
            await asyncio.sleep(0.02)

    watching = asyncio.create_task(watch())
    said = await asyncio.gather(*(duo.system.say(f"Number {number}.") for number in range(12)))
    watching.cancel()
    assert {response.status_code for response in said} == {200}
    assert max(seen) == 3


async def test_an_open_circuit_refuses_without_a_bill_and_is_seen_everywhere(duo: Two) -> None:
    duo.one.script({"contains": "Break", "status": 503, "times": None})
    http, agent_id = duo.system.http, await duo.agent("fragile", "two/other")
    said = await duo.system.say("Break.", agent_id=agent_id)
    assert (said.status_code, said.json()["model"]) == (200, "other"), said.text
    assert await duo.ledger(agent_id) == [
        *[("failed", "one", "fragile", None, None)] * 4,
        ("settled", "two", "other", "fragile", "circuit_open"),
    ]
    bill = len(duo.one.bill())
    health = await duo.health()
    assert (health["status"], health["open_circuits"][0]["model"]) == ("degraded", "fragile")
    assert health["providers"] == [{"name": name, "status": "connected"} for name in ("one", "two")]
    assert (await duo.system.say("Hello again.", agent_id=agent_id)).json()["model"] == "other"
    assert len(duo.one.bill()) == bill, "nothing is sent while it is open"
    assert_books_agree(await duo.system.calls(agent_id=agent_id), [*duo.one.bill(), *duo.two.bill()])
    listed = (await http.get("/api/v1/governance/providers")).json()
    assert [each["name"] for each in listed["providers"]] == ["one", "two"]
    (circuit,) = listed["providers"][0]["circuits"]
    assert (circuit["model"], circuit["error"]) == ("fragile", "unavailable")
    assert listed["providers"][0]["limits"]["concurrency"] == 3
    metrics = (await http.get("/metrics")).text
    assert 'convergio_provider_up{provider="two"} 1.0' in metrics
    agent = (await http.get(f"/ecosystem/agents/{agent_id}/health")).json()
    assert (agent["status"], agent["reasons"][-1]["code"]) == ("degraded", "CIRCUIT_OPEN")


async def test_a_probe_closes_the_circuit_once_the_provider_answers(duo: Two) -> None:
    """Without another model the step waits for the probe."""
    agent_id = await duo.agent("fragile")
    said = await asyncio.gather(*(duo.system.say("Hello.", agent_id=agent_id, timeout_s=30) for _ in range(2)))
    assert [(each.status_code, each.json()["model"]) for each in said] == [(200, "fragile")] * 2, said[0].text
    moves = [event.NAME for event in duo.system.parts.ledger.read("circuit:one/fragile")]
    assert moves == [f"provider.circuit_{move}" for move in ("opened", "half_opened", "closed")]
    await until(duo.health, lambda found: found["open_circuits"] == [])
