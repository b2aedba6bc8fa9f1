"""The registry as it is read, on a real ledger and real tables."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from adapters.files.agents import load_agent_files
from adapters.postgres.agents import PostgresAgents
from adapters.postgres.ledger.pool import Database
from adapters.postgres.ledger.recorder import LedgerRecorder
from adapters.postgres.projections.rebuild import Rebuild
from adapters.postgres.projections.runner import ProjectionRunner
from domain.agents.aggregate import RegisteredAgent, define, deploy, evolve_all, retire, stream
from domain.agents.commands import AgentCommands, seed
from domain.agents.definition import AgentDefinition, fingerprint
from domain.agents.events import EVENTS, AgentDeployed
from domain.agents.ports import AgentFilter
from domain.agents.projection import AgentsProjection
from domain.errors import Conflict, Forbidden, NotFound
from domain.events import Cause, Event, EventRegistry
from domain.ids import derived_id
from domain.ledger import Change, Ledger

DIRECTORY = Path(__file__).parents[2] / "agents"
AT = datetime(2026, 11, 1, 12, tzinfo=UTC)
LATER = AT + timedelta(hours=1)
ALL = AgentFilter("default")
ADA = AgentDefinition(
    id="ada",
    name="Ada - Tester",
    description="Tests 100 % of it.",
    capabilities=("Testing", "Load_tests"),
    tools=("delegate",),
    color="#123456",
    aliases=("countess",),
    model="some/model",
    temperature=0.7,
    instructions="You are Ada.",
)
BOB = AgentDefinition(id="bob", name="Bob - Builder", description="Builds.", color="#000000", instructions="Build.")
REGISTRY = EventRegistry(EVENTS)


class Platform:
    """A ledger and the views of the agents."""

    def __init__(self, dsn: str) -> None:
        self.dsn = dsn
        self.database = Database(dsn)
        self.database.open()
        self.ledger = Ledger(LedgerRecorder(self.database), REGISTRY)
        self.agents = PostgresAgents(self.database)

    def project(self) -> None:
        ProjectionRunner(self.dsn, REGISTRY, [AgentsProjection()]).catch_up()

    def seed(self, *definitions: AgentDefinition, at: datetime = AT) -> list[str]:
        changed = seed(self.ledger, definitions, at)
        self.project()
        return changed

    def agent(self, agent_id: str) -> tuple[RegisteredAgent, int]:
        past = self.ledger.read(stream("default", agent_id))
        return evolve_all(RegisteredAgent(), past), len(past)

    def append(self, agent_id: str, *events: Event) -> None:
        _, stands = self.agent(agent_id)
        self.ledger.append(Change(stream("default", agent_id), stands, events), key=derived_id(agent_id, stands))
        self.project()


@pytest.fixture
def platform(database_url: str) -> Iterator[Platform]:
    platform = Platform(database_url)
    yield platform
    platform.database.close()


def somebody(at: datetime = LATER) -> Cause:
    return Cause(by="key_1", because="req_1", at=at, tenant_id="default")


def test_all_files_become_active_agents(platform: Platform) -> None:
    definitions = load_agent_files(DIRECTORY)
    assert platform.seed(*definitions) == [definition.id for definition in definitions]
    page = platform.agents.page(AgentFilter("default", status="active"), skip=0, limit=100)
    assert page.total == len(page.agents) == 48
    assert [agent.fingerprint for agent in page.agents] == [fingerprint(d) for d in definitions]


def test_seeding_again_writes_nothing(platform: Platform) -> None:
    platform.seed(ADA, BOB)
    head = platform.ledger.head()
    assert platform.seed(ADA, BOB, at=LATER) == []
    assert platform.ledger.head() == head


def test_many_who_seed_at_once_write_each_agent_once(platform: Platform) -> None:
    with ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(lambda _: seed(platform.ledger, [ADA, BOB], AT), range(16)))
    assert sorted(agent_id for answer in answers for agent_id in answer) == ["ada", "bob"]
    assert platform.ledger.head() == 4


def test_a_row_says_what_the_deployed_version_says(platform: Platform) -> None:
    platform.seed(ADA)
    row = platform.agents.get("default", "ada")
    assert (row.name, row.description, row.color) == (ADA.name, ADA.description, ADA.color)
    assert (row.capabilities, row.tools, row.aliases) == (["Testing", "Load_tests"], ["delegate"], ["countess"])
    assert (row.model, row.temperature, row.fingerprint) == ("some/model", 0.7, fingerprint(ADA))
    assert (row.status, row.version, row.deployed_version) == ("active", 2, 1)
    assert (row.created_at, row.updated_at) == (AT, AT)


def test_a_changed_file_is_served_and_the_earlier_version_kept(platform: Platform) -> None:
    changed = ADA.model_copy(update={"instructions": "You are Ada, and you measure.", "description": "Measures."})
    platform.seed(ADA)
    assert platform.seed(changed, at=LATER) == ["ada"]
    row = platform.agents.get("default", "ada")
    assert (row.description, row.version, row.deployed_version) == ("Measures.", 4, 2)
    assert (row.created_at, row.updated_at) == (AT, LATER)
    assert platform.agents.definition("default", "ada", 1) == ADA
    assert platform.agents.definition("default", "ada", 2) == changed


def test_a_file_that_goes_back_to_an_earlier_text_is_seeded_again(platform: Platform) -> None:
    platform.seed(ADA)
    platform.seed(ADA.model_copy(update={"description": "Measures."}))
    assert platform.seed(ADA, at=LATER) == ["ada"]
    assert platform.agents.get("default", "ada").description == ADA.description


def test_a_version_that_is_not_deployed_is_kept_but_not_served(platform: Platform) -> None:
    platform.seed(ADA)
    draft = ADA.model_copy(update={"description": "A draft."})
    platform.append("ada", *define(platform.agent("ada")[0], draft, somebody()))
    row = platform.agents.get("default", "ada")
    assert (row.description, row.deployed_version, row.version) == (ADA.description, 1, 3)
    assert platform.agents.definition("default", "ada", 2) == draft


def test_an_agent_that_was_never_deployed_is_inactive_and_shows_its_newest_version(platform: Platform) -> None:
    platform.append("ada", *define(RegisteredAgent(), ADA, somebody(AT)))
    newer = ADA.model_copy(update={"description": "Newer."})
    platform.append("ada", *define(platform.agent("ada")[0], newer, somebody()))
    row = platform.agents.get("default", "ada")
    assert (row.status, row.description, row.deployed_version) == ("inactive", "Newer.", None)


def test_deploying_an_older_version_serves_it_again(platform: Platform) -> None:
    platform.seed(ADA)
    platform.seed(ADA.model_copy(update={"description": "Measures."}))
    platform.append("ada", *deploy(platform.agent("ada")[0], 1, somebody()))
    row = platform.agents.get("default", "ada")
    assert (row.description, row.deployed_version, row.version) == (ADA.description, 1, 5)


def test_a_retired_agent_is_inactive_and_its_versions_can_still_be_read(platform: Platform) -> None:
    platform.seed(ADA, BOB)
    platform.append("ada", *retire(platform.agent("ada")[0], somebody()))
    assert platform.agents.get("default", "ada").status == "inactive"
    assert platform.agents.get("default", "ada").deployed_version is None
    assert platform.agents.definition("default", "ada", 1) == ADA
    assert [a.id for a in platform.agents.page(AgentFilter("default", status="active"), skip=0, limit=10).agents] == [
        "bob"
    ]
    assert platform.seed(ADA.model_copy(update={"description": "Back?"})) == []


def test_an_agent_is_found_by_its_alias_but_an_id_goes_first(platform: Platform) -> None:
    platform.seed(ADA)
    assert platform.agents.get("default", "countess").id == "ada"
    platform.seed(BOB.model_copy(update={"id": "countess"}))
    assert platform.agents.get("default", "countess").id == "countess"


def test_what_is_not_there_is_not_found(platform: Platform) -> None:
    platform.seed(ADA)
    with pytest.raises(NotFound):
        platform.agents.get("default", "nobody")
    with pytest.raises(NotFound):
        platform.agents.definition("default", "ada", 2)


@pytest.mark.parametrize(
    ("wanted", "found"),
    [
        (ALL, ["ada", "bob"]),
        (AgentFilter("default", capability="testing"), ["ada"]),
        (AgentFilter("default", capability="test"), []),
        (AgentFilter("default", q="BUILD"), ["bob"]),
        (AgentFilter("default", q="load_t"), ["ada"]),
        (AgentFilter("default", q="100 %"), ["ada"]),
        (AgentFilter("default", q="%"), ["ada"]),
        (AgentFilter("default", q="o_d"), []),
        (AgentFilter("default", status="active", q="a"), ["ada"]),
        (AgentFilter("default", status="inactive"), []),
    ],
)
def test_filters_let_through_what_they_say(platform: Platform, wanted: AgentFilter, found: list[str]) -> None:
    platform.seed(BOB, ADA)
    page = platform.agents.page(wanted, skip=0, limit=10)
    assert [agent.id for agent in page.agents] == found
    assert page.total == len(found)


def test_a_page_counts_what_it_does_not_show(platform: Platform) -> None:
    platform.seed(ADA, BOB)
    assert [a.id for a in platform.agents.page(ALL, skip=1, limit=1).agents] == ["bob"]
    assert platform.agents.page(ALL, skip=5, limit=1).total == 2
    assert platform.agents.page(ALL, skip=5, limit=1).agents == []


def test_rebuilt_views_are_byte_equal(platform: Platform) -> None:
    platform.seed(ADA, BOB)
    platform.seed(ADA.model_copy(update={"description": "Measures.", "temperature": None}))
    platform.append("bob", *retire(platform.agent("bob")[0], somebody()))
    before = platform.agents.page(ALL, skip=0, limit=10)
    rebuilt = Rebuild(platform.dsn, REGISTRY, AgentsProjection()).run()
    assert all(comparison.equal for comparison in rebuilt.comparisons)
    assert [comparison.live[0] for comparison in rebuilt.comparisons] == [2, 3]
    assert platform.agents.page(ALL, skip=0, limit=10) == before


def test_agents_of_one_id_in_two_tenants_are_two_and_the_built_in_ones_are_everybodys(platform: Platform) -> None:
    platform.seed(ADA)
    for tenant_id in ("default", "acme"):
        mine = replace(somebody(), tenant_id=tenant_id)
        definition = BOB.model_copy(update={"description": f"Of {tenant_id}.", "aliases": ()})
        change = Change(stream(tenant_id, "bob"), 0, define(RegisteredAgent(), definition, mine))
        platform.ledger.append(change, key=tenant_id)
    platform.project()
    for tenant_id, ids in (("default", ["ada", "bob"]), ("acme", ["ada", "bob"]), ("zeta", ["ada"])):
        page = platform.agents.page(AgentFilter(tenant_id), skip=0, limit=10)
        assert ([agent.id for agent in page.agents], page.total) == (ids, len(ids))
        assert [known.agent_id for known in platform.agents.names(tenant_id)] == ids
        assert platform.agents.get(tenant_id, "ada").tenant_id == "*"
        assert platform.agents.definition(tenant_id, "ada", 1) == ADA
    assert platform.agents.get("acme", "bob").description == "Of acme."
    assert platform.agents.definition("default", "bob", 1).description == "Of default."
    with pytest.raises(NotFound):
        platform.agents.get("zeta", "bob")
    with pytest.raises(NotFound):
        platform.agents.definition("zeta", "bob", 1)
    rebuilt = Rebuild(platform.dsn, REGISTRY, AgentsProjection()).run(swap=False)
    assert all(comparison.equal for comparison in rebuilt.comparisons)


def test_a_built_in_agent_is_changed_by_nobody(platform: Platform) -> None:
    platform.seed(ADA)
    commands = AgentCommands(platform.ledger, platform.agents)
    for tenant_id in ("default", "acme"):
        mine = replace(somebody(), tenant_id=tenant_id)
        assert commands.load(tenant_id, "ada").built_in
        with pytest.raises(Forbidden):
            commands.update("ada", {"description": "Mine."}, mine, check=lambda _: None)
        with pytest.raises(Forbidden):
            commands.deploy("ada", 1, None, mine, key=tenant_id)
        with pytest.raises(Forbidden):
            commands.retire("ada", mine, check=lambda _: None)
        for taken in (ADA, BOB.model_copy(update={"name": ADA.name}), BOB.model_copy(update={"aliases": ("ada",)})):
            with pytest.raises(Conflict):
                commands.create(taken, mine, key=f"{taken.id} of {tenant_id}")
    assert platform.ledger.read(stream("acme", "ada")) == []


def test_deploying_what_was_never_written_is_set_aside_and_the_rest_goes_on(platform: Platform) -> None:
    platform.append("ada", AgentDeployed(agent_version=1, **somebody().fields()))
    platform.seed(BOB)
    assert [agent.id for agent in platform.agents.page(ALL, skip=0, limit=10).agents] == ["bob"]
    with pytest.raises(NotFound):
        platform.agents.get("default", "ada")
