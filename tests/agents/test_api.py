"""The registry over HTTP."""

from collections.abc import AsyncIterator, Iterator
from datetime import UTC, datetime
from pathlib import Path

import httpx
import pytest

from activities.tools.toolbox.knowledge import SearchKnowledge
from activities.tools.toolbox.registry import JoinedToolbox
from adapters.files.agents import load_agent_files
from adapters.memory.idempotency import MemoryAnswers
from adapters.memory.keys import MemoryKeys
from adapters.postgres.agents import PostgresAgents
from adapters.postgres.costs import PostgresCosts
from adapters.postgres.ledger.pool import Database
from adapters.postgres.ledger.recorder import LedgerRecorder
from adapters.postgres.projections.runner import ProjectionRunner
from api.agents import routes as agents
from api.agents.model_status import AgentModels
from api.app import ApiParts, ApiSettings, create_app
from domain.agents.commands import seed
from domain.agents.events import EVENTS
from domain.agents.projection import AgentsProjection
from domain.events import EventRegistry
from domain.ledger import Ledger
from tests.tools.no_knowledge import NoKnowledge

DIRECTORY = Path(__file__).parents[2] / "agents"
REFERENCE_KEYS = {"id", "name", "description", "status", "capabilities", "tools", "color"}


@pytest.fixture(scope="module")
def database(module_database_url: str) -> Iterator[Database]:
    """A database with the 48 agents."""
    database, registry = Database(module_database_url), EventRegistry(EVENTS)
    database.open()
    seed(Ledger(LedgerRecorder(database), registry), load_agent_files(DIRECTORY), datetime(2026, 11, 1, tzinfo=UTC))
    ProjectionRunner(module_database_url, registry, [AgentsProjection()]).catch_up()
    yield database
    database.close()


@pytest.fixture
async def client(database: Database) -> AsyncIterator[httpx.AsyncClient]:
    models = AgentModels(PostgresCosts(database), "scripted", lambda: datetime.now(UTC), takes_tools=True)
    toolbox = JoinedToolbox([SearchKnowledge(NoKnowledge())])
    routers = (agents.router(PostgresAgents(database), toolbox, models),)
    parts = ApiParts(ApiSettings(version="test"), MemoryAnswers(), MemoryKeys({}), routers=routers)
    transport = httpx.ASGITransport(create_app(parts), raise_app_exceptions=False)
    async with httpx.AsyncClient(transport=transport, base_url="http://localhost") as client:
        yield client


async def test_the_list_has_the_48_agents_and_the_keys_of_the_reference(client: httpx.AsyncClient) -> None:
    body = (await client.get("/api/v1/agents")).json()
    assert (body["total"], body["skip"], body["limit"]) == (48, 0, 100)
    assert body["pagination"] == {"total": 48, "skip": 0, "limit": 100, "has_next": False, "has_prev": False}
    assert all(agent.keys() >= REFERENCE_KEYS | {"version"} for agent in body["agents"])
    assert {agent["status"] for agent in body["agents"]} == {"active"}


async def test_instructions_are_not_shown(client: httpx.AsyncClient) -> None:
    answer = await client.get("/api/v1/agents")
    assert all("instructions" not in agent for agent in answer.json()["agents"])
    assert "You are" not in answer.text


async def test_ali_looks_as_in_the_reference(client: httpx.AsyncClient) -> None:
    body = (await client.get("/api/v1/agents/ali_chief_of_staff")).json()
    assert (body["name"], body["status"], body["color"]) == ("Ali - Chief of Staff", "active", "#4A90E2")
    assert (body["version"], body["deployed_version"], body["created_at"]) == (2, 1, "2026-11-01T00:00:00Z")


async def test_one_agent_carries_its_version_as_entity_tag(client: httpx.AsyncClient) -> None:
    assert (await client.get("/api/v1/agents/amy_cfo")).headers["etag"] == '"2"'


async def test_an_alias_leads_to_the_agent(client: httpx.AsyncClient) -> None:
    answer = await client.get("/api/v1/agents/ava_analytics_insights_virtuoso")
    assert answer.json()["id"] == "ava_analytics_virtuoso"


async def test_pages_follow_each_other(client: httpx.AsyncClient) -> None:
    pages = [(await client.get(f"/api/v1/agents?skip={skip}&limit=20")).json() for skip in (0, 20, 40)]
    ids = [agent["id"] for page in pages for agent in page["agents"]]
    assert ids == sorted(set(ids))
    assert len(ids) == 48
    assert [(p["pagination"]["has_prev"], p["pagination"]["has_next"]) for p in pages] == [
        (False, True),
        (True, True),
        (True, False),
    ]


@pytest.mark.parametrize(
    ("query", "found"),
    [
        ("capability=naming", ["jony_creative_director"]),
        ("q=start-up&capability=market%20sizing", ["wiz_investor_venture_capital"]),
        ("status=inactive", []),
    ],
)
async def test_the_list_can_be_filtered(client: httpx.AsyncClient, query: str, found: list[str]) -> None:
    body = (await client.get(f"/api/v1/agents?{query}")).json()
    assert [agent["id"] for agent in body["agents"]] == found
    assert body["total"] == len(found)


@pytest.mark.parametrize("agent_id", ["nobody", "Ali", "%C3%A9", "a%27--"])
async def test_an_unknown_agent_is_not_found(client: httpx.AsyncClient, agent_id: str) -> None:
    answer = await client.get(f"/api/v1/agents/{agent_id}")
    assert (answer.status_code, answer.json()["error"]["code"]) == (404, "NOT_FOUND")


@pytest.mark.parametrize("path", ["?status=asleep", "?q=", "?q=%00", "?capability=%00", "?limit=0", "/%00"])
async def test_what_cannot_be_asked_is_refused(client: httpx.AsyncClient, path: str) -> None:
    answer = await client.get(f"/api/v1/agents{path}")
    assert (answer.status_code, answer.json()["error"]["code"]) == (422, "VALIDATION_ERROR")


async def test_the_state_of_each_tool_of_an_agent_is_told(client: httpx.AsyncClient) -> None:
    body = (await client.get("/api/v1/agents/ali_chief_of_staff/tools")).json()
    states = {tool["name"]: tool["state"] for tool in body["tools"]}
    assert states["search_knowledge"] == "offered"
    assert states["query_costs"] == "not_configured"
    assert (await client.get("/api/v1/agents/nobody/tools")).status_code == 404
