"""What agents are offered, and what our own tools answer."""

import asyncio
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, date, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from activities.tools.toolbox.costs import MOST_ROWS, QueryCosts
from activities.tools.toolbox.knowledge import SearchKnowledge
from activities.tools.toolbox.registry import MOST_OFFERED, JoinedToolbox
from activities.tools.toolbox.workflow_tools import DELEGATE, REQUEST_APPROVAL
from adapters.postgres.projections.positions import head_and_position
from adapters.postgres.projections.runner import ProjectionRunner
from domain.costs.ports import CallFilter, CallPage, GroupBy, UsageGroup
from domain.costs.projection import CallRow, CostsProjection
from domain.errors import Invalid, Unavailable
from domain.ledger import Change
from domain.registry import event_registry
from domain.tools.ports import Passage, SearchResult, Tool, ToolContext, ToolFailed
from domain.tools.spec import ToolSpec
from runtime.settings import Settings
from runtime.wiring.toolbox import make_toolbox
from tests.costs.test_projection import reserved, settled
from tests.tools.calls import CONTEXT, Scripted, spec
from tests.tools.conftest import Store
from tests.tools.no_knowledge import NoKnowledge

AT = datetime(2026, 11, 20, 9, 30, tzinfo=UTC)


class Source:
    """Tools that live elsewhere."""

    def __init__(self, *names: str) -> None:
        self.tools = {name: Scripted(spec(name)) for name in names}
        self.asked = 0
        self.closed = False

    async def specs(self) -> Sequence[ToolSpec]:
        self.asked += 1
        return [tool.spec for tool in self.tools.values()]

    async def tool(self, name: str) -> Tool:
        if name not in self.tools:
            raise ToolFailed(f"{name} is not there.")
        return self.tools[name]

    async def aclose(self) -> None:
        self.closed = True


def names(specs: Sequence[ToolSpec]) -> list[str]:
    return [spec.name for spec in specs]


async def test_agents_are_offered_what_they_name_and_what_is_there_in_their_order() -> None:
    box = JoinedToolbox([Scripted(spec("look")), Scripted(spec("listen"))], [DELEGATE])
    assert names(await box.offered_specs(["delegate", "listen", "web_search", "listen"])) == ["delegate", "listen"]
    assert await box.offered_specs([]) == ()


async def test_aliases_are_offered_as_the_tools_they_stand_for() -> None:
    box = JoinedToolbox([], [DELEGATE, REQUEST_APPROVAL])
    assert names(await box.offered_specs(["Task", "Write", "delegate"])) == ["delegate", "request_approval"]


async def test_our_own_tools_are_offered_without_waiting_for_anything() -> None:
    source = Source("files__read")
    box = JoinedToolbox([Scripted(spec("look"))], [DELEGATE], {"files": source})
    offer = box.offered_specs(["look", "delegate"])
    with pytest.raises(StopIteration):
        offer.send(None)  # it did not wait even once
    assert source.asked == 0


async def test_a_star_stands_for_all_tools_of_a_source() -> None:
    sources = {"files": Source("files__read", "files__write"), "crm": Source("crm__find")}
    box = JoinedToolbox([Scripted(spec("look"))], sources=sources)
    assert names(await box.offered_specs(["files__*", "look"])) == ["files__read", "files__write", "look"]
    assert names(await box.offered_specs(["crm__find", "files__write", "files__gone", "mail__send"])) == [
        "crm__find",
        "files__write",
    ]
    assert box.servers == ("files", "crm")


async def test_the_same_tools_are_the_same_objects() -> None:
    box = JoinedToolbox([Scripted(spec("look"))], [DELEGATE], {"files": Source("files__read")})
    first, second = [await box.offered_specs(["look", "delegate", "files__*"]) for _ in range(2)]
    assert [id(one) for one in first] == [id(one) for one in second]


async def test_no_more_tools_are_offered_than_providers_take() -> None:
    box = JoinedToolbox([], sources={"files": Source(*(f"files__{n}" for n in range(200)))})
    assert len(await box.offered_specs(["files__*"])) == MOST_OFFERED


async def test_a_tool_is_found_where_it_lives() -> None:
    source, look = Source("files__read"), Scripted(spec("look"))
    box = JoinedToolbox([look], [DELEGATE], {"files": source})
    assert await box.tool("look") is look
    assert await box.tool("files__read") is source.tools["files__read"]
    for name in ("delegate", "mail__send", "files__gone", "nothing"):
        with pytest.raises(ToolFailed, match=r"[Tt]here"):
            await box.tool(name)
    await box.aclose()
    assert source.closed


class Library:
    """A knowledge store that gives what it is told to."""

    def __init__(self, found: SearchResult | Exception) -> None:
        self.found = found
        self.asked: list[tuple[str, int, Mapping[str, Any]]] = []

    async def search(self, query: str, *, limit: int, filters: Mapping[str, Any], context: ToolContext) -> SearchResult:
        self.asked.append((query, limit, filters))
        if isinstance(self.found, Exception):
            raise self.found
        return self.found


async def test_an_empty_store_says_that_it_is_empty() -> None:
    result = await SearchKnowledge(NoKnowledge()).call({"query": "moons"}, CONTEXT)
    assert result.text == "No documents are indexed, so there is nothing to find."
    assert result.sources == ("knowledge",)


async def test_passages_are_told_with_the_documents_they_are_from() -> None:
    passages = (
        Passage("d1", "Moons", "Two.", 0.91),
        Passage("d1", "Moons", "Small.", 0.5),
        Passage("d2", "Suns", "One.", 0.4),
    )
    library = Library(SearchResult(passages, 7))
    arguments = {"query": "moons", "limit": 3, "filters": {"year": [2025, 2026]}}
    result = await SearchKnowledge(library).call(arguments, CONTEXT)
    assert library.asked == [("moons", 3, {"year": [2025, 2026]})]
    assert result.text.startswith("[1] Moons (document d1, score 0.91)\nTwo.\n\n[2] Moons")
    assert result.sources == ("knowledge", "document:d1", "document:d2")


async def test_nothing_found_is_not_nothing_there() -> None:
    result = await SearchKnowledge(Library(SearchResult((), 7))).call({"query": "moons"}, CONTEXT)
    assert result.text == "None of the 7 indexed documents has a passage that fits."


async def test_a_store_that_is_away_is_told_and_not_waited_for() -> None:
    with pytest.raises(ToolFailed, match="cannot be reached now"):
        await SearchKnowledge(Library(Unavailable("away"))).call({"query": "moons"}, CONTEXT)


class Books:
    """Usage as it is told to be."""

    def __init__(self, *groups: UsageGroup) -> None:
        self.groups = list(groups)
        self.asked: list[tuple[date, date, GroupBy]] = []
        self.tenants: list[str] = []

    def usage(self, tenant_id: str, first: date, last: date, group_by: GroupBy) -> list[UsageGroup]:
        self.asked.append((first, last, group_by))
        self.tenants.append(tenant_id)
        return self.groups

    def calls(self, wanted: CallFilter, *, skip: int, limit: int) -> CallPage:
        raise NotImplementedError

    def overdue_calls(self, before: datetime, limit: int) -> list[CallRow]:
        raise NotImplementedError


def group(name: str, cost: str, tokens: int = 10) -> UsageGroup:
    return UsageGroup(name, Decimal(cost), tokens, 2, 0, 1, 0, Decimal("0.50"))


def asking(books: Books) -> Callable[..., Any]:
    async def ask(period: str = "7d", group_by: str = "agent") -> Any:
        tool = QueryCosts(books, lambda: (42, 40), lambda: AT)
        result = await tool.call({"period": period, "group_by": group_by}, CONTEXT)
        assert result.sources == ("projection:costs",)
        return json.loads(result.text)

    return ask


@pytest.mark.parametrize(
    ("period", "first"),
    [
        ("today", date(2026, 11, 20)),
        ("7d", date(2026, 11, 14)),
        ("30d", date(2026, 10, 22)),
        ("month", date(2026, 11, 1)),
    ],
)
async def test_a_period_is_days_up_to_today(period: str, first: date) -> None:
    books = Books()
    told = await asking(books)(period, "model")
    assert books.asked == [(first, AT.date(), "model")]
    assert (told["from"], told["to"]) == (first.isoformat(), "2026-11-20")


async def test_costs_are_a_table_with_totals_the_dearest_first() -> None:
    told = await asking(Books(group("ada", "0.10"), group("amy", "2.123456789"), group("bob", "0")))()
    assert told["columns"] == ["agent", "cost_usd", "tokens", "requests", "failed", "open_cost_usd"]
    assert told["rows"] == [
        ["amy", "2.123456789", 10, 2, 1, "0.5"],
        ["ada", "0.1", 10, 2, 1, "0.5"],
        ["bob", "0", 10, 2, 1, "0.5"],
    ]
    assert told["totals"] == {
        "cost_usd": "2.223456789",
        "tokens": 30,
        "requests": 6,
        "failed": 3,
        "open_cost_usd": "1.5",
    }
    assert (told["as_of"], told["position"], told["events_not_counted_yet"]) == ("2026-11-20T09:30:00Z", 40, 2)


async def test_days_are_in_order_and_what_does_not_fit_is_counted() -> None:
    days = [group(f"day {n:03}", str(n)) for n in range(MOST_ROWS + 3)]
    told = await asking(Books(*days))(group_by="day")
    assert [row[0] for row in told["rows"]] == [day.name for day in days[3:]]
    assert told["rows_left_out"] == 3
    assert told["totals"]["tokens"] == 10 * len(days)


@pytest.mark.parametrize(
    ("session_id", "tenant_id"), [("s1", "default"), ("acme~s1", "acme"), ("task_acme~1/a", "acme")]
)
async def test_costs_are_those_of_the_tenant_whose_agent_asks(session_id: str, tenant_id: str) -> None:
    books = Books()
    tool = QueryCosts(books, lambda: (42, 40), lambda: AT)
    await tool.call({"period": "7d", "group_by": "agent"}, replace(CONTEXT, session_id=session_id))
    assert books.tenants == [tenant_id]


async def test_an_empty_table_has_totals_of_nothing() -> None:
    told = await asking(Books())()
    assert told["rows"] == []
    assert told["totals"]["cost_usd"] == "0"


async def test_costs_are_those_of_the_books(store: Store) -> None:
    at = datetime.now(UTC)
    store.ledger.append(Change("call:c1", 0, [reserved(at=at), settled()]), key="costs")
    ProjectionRunner(store.url, event_registry(), [CostsProjection()]).catch_up()
    box = make_toolbox(Settings(database_url=store.url), store.database, lambda: at, NoKnowledge())
    tool = await box.tool("query_costs")
    told = json.loads((await tool.call({"period": "today", "group_by": "agent"}, CONTEXT)).text)
    assert told["rows"] == [["ada", "0.001", 47, 1, 0, "0"]]
    assert told["position"] == await asyncio.to_thread(store.ledger.head)
    assert head_and_position(store.database, "nothing") == (told["position"], 0)


async def test_what_is_not_configured_is_not_offered(store: Store) -> None:
    everything = ["search_knowledge", "find_talents", "query_projects", "query_costs", "query_analytics", "delegate"]
    everything += ["run_workflow", "request_approval", "web_fetch", "web_search", "files__*"]
    box = make_toolbox(Settings(), store.database, lambda: AT, NoKnowledge())
    own = ["search_knowledge", "find_talents", "query_projects", "query_costs", "query_analytics"]
    own += ["delegate", "request_approval"]
    assert names(await box.offered_specs(everything)) == own
    fetching = make_toolbox(Settings(web_fetch="on"), store.database, lambda: AT, NoKnowledge())
    assert names(await fetching.offered_specs(everything)) == [*own, "web_fetch"]


def test_a_file_of_servers_that_cannot_be_used_is_refused_at_start(store: Store, tmp_path: Path) -> None:
    path = tmp_path / "servers.json"
    path.write_text('{"servers": {"files": {}}}')
    with pytest.raises(Invalid, match="give it either a command or a url"):
        make_toolbox(Settings(mcp_servers=path), store.database, lambda: AT, NoKnowledge())
