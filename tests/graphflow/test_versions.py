"""What may be done to a workflow, whose a name is, and what the ready-made files may change."""

from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from adapters.files.workflows import load_workflow_files
from adapters.postgres.ledger.pool import Database
from adapters.postgres.ledger.recorder import LedgerRecorder
from adapters.postgres.projections.rebuild import Rebuild
from adapters.postgres.projections.runner import ProjectionRunner
from adapters.postgres.workflows import PostgresWorkflows
from domain.errors import Conflict, Forbidden, Invalid, NotFound, TooLarge, VersionConflict
from domain.events import Cause, EventRegistry
from domain.graphflow.catalogue.commands import SEED, WorkflowCommands, read_workflow, seed
from domain.graphflow.catalogue.events import DEFINITION_EVENTS
from domain.graphflow.catalogue.names import id_of, name_stream
from domain.graphflow.catalogue.ports import WorkflowFilter
from domain.graphflow.catalogue.projection import WorkflowsProjection
from domain.graphflow.definition.documents import definition_from, document_of
from domain.graphflow.definition.model import Definition
from domain.ledger import Ledger

AT = datetime(2026, 11, 23, 8, tzinfo=UTC)
LATER = AT + timedelta(hours=1)
REGISTRY = EventRegistry(DEFINITION_EVENTS)
ANY = WorkflowFilter("default")


def a_workflow(name: str = "First look", *, says: str = "input.request", **more: Any) -> Definition:
    return definition_from(
        {"name": name, "nodes": [{"id": "look", "type": "transform", "set": {"said": says}}], **more}
    )


def cause(by: str = "key_1", at: datetime = AT, tenant_id: str = "default") -> Cause:
    return Cause(by=by, because="req_1", at=at, tenant_id=tenant_id)


def anything(_: int) -> None:
    """Any version will do."""


class Platform:
    """A ledger, what is done to workflows, and their catalogue."""

    def __init__(self, dsn: str) -> None:
        self.dsn = dsn
        self.database = Database(dsn)
        self.database.open()
        self.ledger = Ledger(LedgerRecorder(self.database), REGISTRY)
        self.commands = WorkflowCommands(self.ledger)
        self.reads = PostgresWorkflows(self.database)

    def create(self, definition: Definition, key: str = "a") -> str:
        return self.commands.create(definition, cause(), key=key).workflow_id

    def redefine(self, workflow_id: str, definition: Definition, by: str = "key_1") -> int:
        standing = self.commands.load("default", workflow_id)
        return len(self.commands.redefine(standing, definition, cause(by)).workflow.versions)

    def retire(self, workflow_id: str) -> None:
        self.commands.retire(workflow_id, cause(), check=anything)

    def seed(self, definitions: Mapping[str, Definition], at: datetime = AT) -> list[str]:
        return seed(self.ledger, definitions, at)

    def project(self) -> PostgresWorkflows:
        ProjectionRunner(self.dsn, REGISTRY, [WorkflowsProjection()]).catch_up()
        return self.reads


@pytest.fixture
def platform(database_url: str) -> Iterator[Platform]:
    platform = Platform(database_url)
    yield platform
    platform.database.close()


@pytest.mark.parametrize(
    ("name", "workflow_id"),
    [
        ("Market Entry", "workflow_market_entry"),
        ("  Zoë's 2nd -- try ", "workflow_zoe_s_2nd_try"),
        ("n" * 100, f"workflow_{'n' * 64}"),
    ],
)
def test_an_id_is_made_of_the_names_letters_and_digits(name: str, workflow_id: str) -> None:
    assert id_of(name) == workflow_id


@given(st.text(min_size=1, max_size=120))
def test_a_name_makes_an_id_and_a_stream_whatever_it_is(name: str) -> None:
    assert id_of(name).removeprefix("workflow_").replace("_", "").isalnum()
    assert len(name_stream("default", name).encode()) < 600


def test_a_workflow_begins_with_version_one(platform: Platform) -> None:
    standing = platform.commands.create(a_workflow(), cause(), key="a", note="A start.")
    assert standing.workflow_id == "workflow_first_look"
    assert (standing.workflow.changes, standing.workflow.newest.note) == (1, "A start.")
    assert standing.workflow.version(1).definition == a_workflow()
    with pytest.raises(NotFound):
        standing.workflow.version(2)


def test_a_repeat_under_the_same_key_makes_nothing(platform: Platform) -> None:
    platform.create(a_workflow())
    head = platform.ledger.head()
    assert platform.create(a_workflow()) == "workflow_first_look"
    assert platform.ledger.head() == head


def test_a_name_is_given_once(platform: Platform) -> None:
    platform.create(a_workflow())
    for name in ("First look", "  FIRST   Look "):
        with pytest.raises(Conflict) as refusal:
            platform.create(a_workflow(name, says="1"), key="b")
        assert refusal.value.details["workflow_id"] == "workflow_first_look"


def test_of_many_who_want_a_name_at_once_one_gets_it(platform: Platform) -> None:
    def create(key: int) -> str | None:
        try:
            return platform.create(a_workflow(says=str(key)), key=str(key))
        except Conflict:
            return None

    with ThreadPoolExecutor(8) as pool:
        answers = [answer for answer in pool.map(create, range(16)) if answer]
    assert answers == ["workflow_first_look"]


def test_a_name_is_free_again_once_its_workflow_is_retired_and_the_id_is_not(platform: Platform) -> None:
    platform.create(a_workflow())
    platform.retire("workflow_first_look")
    again = platform.create(a_workflow(), key="b")
    assert again.startswith("workflow_first_look_")
    assert platform.create(a_workflow(), key="b") == again
    with pytest.raises(Conflict):
        platform.create(a_workflow(), key="c")


def test_names_that_differ_may_make_the_same_letters(platform: Platform) -> None:
    assert platform.create(a_workflow("A-B"), key="1") == "workflow_a_b"
    other = platform.create(a_workflow("A B"), key="2")
    assert other.startswith("workflow_a_b_")
    assert platform.create(a_workflow("A-B"), key="1") == "workflow_a_b"


def test_a_version_is_written_only_when_it_says_something_new(platform: Platform) -> None:
    platform.create(a_workflow())
    assert platform.redefine("workflow_first_look", a_workflow(says="1")) == 2
    assert platform.redefine("workflow_first_look", a_workflow(says="1", description="")) == 2
    assert platform.redefine("workflow_first_look", a_workflow()) == 3


def test_a_new_name_frees_the_old_one(platform: Platform) -> None:
    platform.create(a_workflow())
    platform.redefine("workflow_first_look", a_workflow("Second look"))
    assert platform.create(a_workflow(), key="b") != "workflow_first_look"
    with pytest.raises(Conflict):
        platform.redefine("workflow_first_look", a_workflow("first look"))


def test_a_change_of_what_no_longer_stands_is_refused(platform: Platform) -> None:
    platform.create(a_workflow())
    standing = platform.commands.load("default", "workflow_first_look")
    platform.redefine("workflow_first_look", a_workflow(says="1"))
    with pytest.raises(VersionConflict):
        platform.commands.redefine(standing, a_workflow(says="2"), cause())


def test_a_retired_workflow_is_not_changed_any_more(platform: Platform) -> None:
    platform.create(a_workflow())
    platform.retire("workflow_first_look")
    platform.retire("workflow_first_look")
    with pytest.raises(Conflict, match="retired"):
        platform.redefine("workflow_first_look", a_workflow(says="1"))
    with pytest.raises(NotFound):
        platform.retire("workflow_no_such")


def test_a_definition_has_256_kib_at_most(platform: Platform) -> None:
    nodes = [{"id": f"n{n}", "type": "agent", "agent": "ada", "prompt": "x" * 19_000} for n in range(14)]
    with pytest.raises(TooLarge):
        platform.create(definition_from({"name": "Large", "nodes": nodes}))


def test_the_files_are_the_seed_and_seeding_again_writes_nothing(platform: Platform) -> None:
    files = {"workflow_a": a_workflow("A"), "workflow_b": a_workflow("B")}
    assert platform.seed(files) == ["workflow_a", "workflow_b"]
    head = platform.ledger.head()
    assert platform.seed(files, at=LATER) == []
    assert platform.ledger.head() == head
    assert platform.seed({**files, "workflow_a": a_workflow("A", says="1")}, at=LATER) == ["workflow_a"]
    assert platform.seed(files, at=LATER) == ["workflow_a"]


def test_many_who_seed_at_once_write_each_workflow_once(platform: Platform) -> None:
    files = {"workflow_a": a_workflow("A"), "workflow_b": a_workflow("B")}
    with ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(lambda _: platform.seed(files), range(16)))
    assert sorted(workflow_id for answer in answers for workflow_id in answer) == ["workflow_a", "workflow_b"]


def test_what_somebody_changed_retired_or_named_is_left_alone(platform: Platform) -> None:
    platform.create(a_workflow("A"), key="a")
    platform.retire(platform.create(a_workflow("B"), key="b"))
    platform.create(a_workflow("C"), key="c")
    newer = {"workflow_a": a_workflow("A", says="2"), "workflow_b": a_workflow("B", says="2")}
    assert platform.seed({**newer, "workflow_c2": a_workflow("C")}, at=LATER) == []


def test_a_ready_made_workflow_is_changed_by_nobody(platform: Platform) -> None:
    platform.seed({"workflow_a": a_workflow("A")})
    for tenant_id in ("default", "acme"):
        standing, mine = platform.commands.load(tenant_id, "workflow_a"), cause(tenant_id=tenant_id)
        with pytest.raises(Forbidden):
            platform.commands.redefine(standing, a_workflow("A", says="1"), mine)
        with pytest.raises(Forbidden):
            platform.commands.retire("workflow_a", mine, check=anything)
        with pytest.raises(Conflict):
            platform.commands.create(a_workflow("A"), mine, key=tenant_id)
        own = platform.commands.create(a_workflow(f"Of {tenant_id}"), mine, key=f"own of {tenant_id}")
        with pytest.raises(Conflict):
            platform.commands.redefine(own, a_workflow("A"), mine)


def test_two_tenants_may_have_workflows_of_one_name_and_see_their_own(platform: Platform) -> None:
    platform.seed({"workflow_a": a_workflow("A")})
    for tenant_id, says in (("default", "1"), ("acme", "2")):
        mine = cause(tenant_id=tenant_id)
        made = platform.commands.create(a_workflow("B", says=says), mine, key=f"b of {tenant_id}")
        assert made.workflow_id == "workflow_b"
    reads = platform.project()
    for tenant_id, says in (("default", "1"), ("acme", "2")):
        page = reads.page(WorkflowFilter(tenant_id), skip=0, limit=10)
        assert ([seen.row.id for seen in page.workflows], page.total) == (["workflow_a", "workflow_b"], 2)
        assert reads.version(tenant_id, "workflow_b", 1).definition == document_of(a_workflow("B", says=says))
        assert read_workflow(platform.ledger, tenant_id, "workflow_a")
    assert reads.page(WorkflowFilter("other"), skip=0, limit=10).total == 1
    with pytest.raises(NotFound):
        reads.get("other", "workflow_b")
    with pytest.raises(NotFound):
        platform.commands.load("other", "workflow_b")
    assert read_workflow(platform.ledger, "other", "workflow_b") == []


def test_the_catalogue_tells_what_stands(platform: Platform) -> None:
    platform.seed({"workflow_a": a_workflow("A", description="Begins 100 % of it.")})
    platform.create(a_workflow("B"))
    platform.seed({"workflow_a": a_workflow("A", says="1", description="Begins.")})
    platform.retire("workflow_b")
    reads = platform.project()
    page = reads.page(ANY, skip=0, limit=10)
    assert [(seen.row.id, seen.row.version, seen.row.steps) for seen in page.workflows] == [("workflow_a", 2, 1)]
    assert page.total == 1
    assert page.workflows[0].row.ready_made
    retired = reads.page(WorkflowFilter("default", status="retired"), skip=0, limit=10).workflows[0]
    assert (retired.row.id, retired.row.status, retired.row.changes) == ("workflow_b", "retired", 2)
    assert retired.runs.success_rate is None
    assert reads.page(WorkflowFilter("default", q="begin"), skip=0, limit=10).total == 1
    assert reads.page(WorkflowFilter("default", q="100 %"), skip=0, limit=10).total == 0
    versions = reads.versions("default", "workflow_a", skip=0, limit=10)
    assert [(row.version, row.made_by) for row in versions.versions] == [(2, SEED), (1, SEED)]
    assert versions.versions[0].definition == document_of(a_workflow("A", says="1", description="Begins."))
    for ask in (lambda: reads.get("default", "workflow_no"), lambda: reads.version("default", "workflow_a", 3)):
        with pytest.raises(NotFound):
            ask()


def test_figures_are_of_the_runs_that_there_were(platform: Platform) -> None:
    platform.create(a_workflow("A"))
    platform.create(a_workflow("B"), key="b")
    ends = [("completed", 1), ("completed", 3), ("rejected", 9), ("failed", 9), ("cancelled", 9), ("running", None)]
    with platform.database.connection() as connection:
        for number, (status, seconds) in enumerate(ends):
            connection.execute(
                """
                INSERT INTO executions (execution_id, tenant_id, workflow_id, version, name, status, key_id, root_id,
                    input_hash, nodes, held, paused, started_at, ended_at)
                VALUES (%s, 'default', 'workflow_a', 1, 'A', %s, 'key_1', 'exec_1', '', '{}', 0, false, %s, %s)
                """,
                (f"exec_{number}", status, AT, AT + timedelta(seconds=seconds) if seconds else None),
            )
    with_runs, without = platform.project().page(ANY, skip=0, limit=10).workflows
    assert (with_runs.runs.total, with_runs.runs.success_rate) == (6, 0.5)
    assert (with_runs.runs.p50_s, with_runs.runs.p95_s) == (2.0, pytest.approx(2.9))
    assert (without.runs.total, without.runs.success_rate, without.runs.p50_s) == (0, None, None)
    assert platform.reads.get("default", "workflow_a") == with_runs


def test_versions_are_found_by_name_and_number_unless_retired(platform: Platform) -> None:
    platform.seed({"workflow_a": a_workflow("A")})
    platform.seed({"workflow_a": a_workflow("A", says="1")})
    platform.retire(platform.create(a_workflow("B")))
    wanted = [("workflow_a", None), ("workflow_a", 1), ("workflow_a", 3), ("workflow_b", None), ("workflow_c", None)]
    found = platform.project().versions_by_ref("default", wanted)
    assert {key: row.version for key, row in found.items()} == {("workflow_a", None): 2, ("workflow_a", 1): 1}
    assert platform.reads.versions_by_ref("default", []) == {}


def test_a_rebuilt_catalogue_is_the_same(platform: Platform) -> None:
    platform.seed({"workflow_a": a_workflow("A")})
    platform.seed({"workflow_a": a_workflow("A", says="1")})
    platform.redefine(platform.create(a_workflow("B"), key="b"), a_workflow("D"))
    platform.retire(platform.create(a_workflow("C"), key="c"))
    platform.commands.create(a_workflow("B"), cause(tenant_id="acme"), key="b of acme")
    platform.project()
    rebuilt = Rebuild(platform.dsn, REGISTRY, WorkflowsProjection()).run(swap=False)
    assert all(comparison.equal for comparison in rebuilt.comparisons)


def test_a_file_that_holds_no_workflow_is_refused_by_file_and_place(tmp_path: Path) -> None:
    (tmp_path / "first.yaml").write_text("name: First\nnodes: [{id: look, type: gaze}]\n")
    with pytest.raises(Invalid, match=r"^first\.yaml: node look") as refusal:
        load_workflow_files(tmp_path)
    assert refusal.value.details["file"] == "first.yaml"
    (tmp_path / "first.yaml").write_text("name: [")
    with pytest.raises(Invalid, match=r"^first\.yaml: line 1"):
        load_workflow_files(tmp_path)
