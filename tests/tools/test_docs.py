"""The page on tools agrees with the code."""

import re
from pathlib import Path

from activities.tools.toolbox.analytics import QueryAnalytics
from activities.tools.toolbox.costs import QueryCosts
from activities.tools.toolbox.knowledge import SearchKnowledge
from activities.tools.toolbox.projects import QueryProjects
from activities.tools.toolbox.talents import FindTalents
from activities.tools.toolbox.workflow_tools import DELEGATE, REQUEST_APPROVAL
from adapters.mcp import connection as mcp_connection
from adapters.mcp import tools as mcp_tools
from adapters.mcp.config import McpServer, read_mcp_servers
from adapters.web import address_guard as web_addresses
from adapters.web import fetch as web_fetch
from adapters.web import guarded_session
from domain.agents.tools import ALIASES, TOOLS
from domain.tools import policy
from tests.servers import ROOT
from workflows.task_queues import IO_QUEUE

TEXT = (ROOT / "docs/tools.md").read_text()
PAGE = " ".join(TEXT.split())
BUILT = (
    SearchKnowledge.spec,
    FindTalents.spec,
    QueryProjects.spec,
    QueryCosts.spec,
    QueryAnalytics.spec,
    DELEGATE,
    REQUEST_APPROVAL,
    web_fetch.WebFetch.spec,
)


def test_every_tool_is_described_and_those_that_nothing_stands_behind_are_named() -> None:
    described = set(re.findall(r"^\| `([a-z_]+)` \| .+ \| .+ \|$", TEXT, re.MULTILINE)) & set(TOOLS)
    assert described == {spec.name for spec in BUILT}
    rest = PAGE.partition(" are known names")[0].rpartition("says")[2]
    assert set(re.findall(r"`([a-z_]+)`", rest)) == set(TOOLS) - described


def test_aliases_are_named_in_the_order_of_what_they_mean() -> None:
    aliases, meant = PAGE.partition("`Task`")[2].partition(" are understood as ")[::2]
    assert ["Task", *re.findall(r"`(\w+)`", aliases)] == list(ALIASES)
    assert re.findall(r"`(\w+)`", meant)[: len(ALIASES)] == list(ALIASES.values())


def test_bounds_are_as_in_the_code() -> None:
    assert f"{policy.MOST_CHARACTERS:,} characters" in PAGE
    assert f"{web_fetch.FETCH_TIMEOUT_S:.0f} s for everything, {web_fetch.MAX_BYTES // 2**20} MiB of a body" in PAGE
    assert guarded_session.MAX_REDIRECTS == 5
    assert "five at most" in PAGE
    assert sorted(web_addresses.PORTS) == [80, 443]
    assert "on ports 80 and 443" in PAGE
    assert f"cached for {mcp_tools.LISTING_TTL_S:.0f} s" in PAGE
    pauses = mcp_connection.FIRST_PAUSE_S, mcp_connection.MAX_PAUSE_S
    assert "a pause of {:.0f} s, doubled up to {:.0f} s".format(*pauses) in PAGE
    assert f"{McpServer(command='a').timeout_s:.0f} if left out" in PAGE
    assert f"`{IO_QUEUE}`" in PAGE


def test_the_file_that_is_shown_can_be_used(tmp_path: Path) -> None:
    shown = re.search(r"```json\n(.+?)```", TEXT, re.DOTALL)
    assert shown
    (tmp_path / "servers.json").write_text(shown[1])
    servers = read_mcp_servers(tmp_path / "servers.json")
    assert [server.command is None for server in servers.values()] == [False, True]
    told = set(
        re.findall(r"`(\w+)`", "".join(re.findall(r"^\| (`.+?) \|", TEXT.partition("| Key |")[2], re.MULTILINE)))
    )
    assert told == set(McpServer.model_fields)
