"""Which servers there are, and what their tools are called here."""

import json
from pathlib import Path
from typing import Any

import pytest
from mcp_types import Tool as Offered
from mcp_types import ToolAnnotations

from adapters.mcp.config import McpServer, read_mcp_servers
from adapters.mcp.tools import McpTools
from domain.errors import Invalid


def offered(name: str, **fields: Any) -> Offered:
    return Offered(**{"name": name, "input_schema": {"type": "object"}, **fields})


def test_names_are_those_that_models_take() -> None:
    source = McpTools("small", McpServer(command="server"))
    long = "x" * 100
    tools = source._build_tools([offered("a b"), offered("a.b"), offered(long), offered(f"{long}y")])  # noqa: SLF001  (no server offers such)
    assert [len(name) <= 64 for name in tools] == [True] * 3
    assert next(iter(tools)) == "small__a_b"
    assert len(tools) == 3, "the second one has the name of the first"


def test_a_tool_whose_schema_cannot_be_used_is_not_offered() -> None:
    source = McpTools("small", McpServer(command="server"))
    wrong = offered("wrong", input_schema={"type": "object", "properties": {"a": {"$ref": "https://example.org/a"}}})
    writes = offered("right", annotations=ToolAnnotations(read_only_hint=False))
    assert list(source._build_tools([wrong, writes])) == ["small__right"]  # noqa: SLF001  (no server offers such)


def file(tmp_path: Path, servers: Any) -> Path:
    path = tmp_path / "servers.json"
    path.write_text(json.dumps({"servers": servers}))
    return path


def test_a_file_names_servers_of_both_kinds(tmp_path: Path) -> None:
    servers = read_mcp_servers(
        file(
            tmp_path,
            {"files": {"command": "files"}, "my_crm": {"url": "https://crm.example/mcp", "headers": {"A": "b"}}},
        )
    )
    assert set(servers) == {"files", "my_crm"}
    assert "b" not in repr(servers["my_crm"].headers)


@pytest.mark.parametrize(
    ("server", "told"),
    [
        ({}, "servers.s: give it either a command or a url"),
        ({"command": "a", "url": "http://b/"}, "servers.s: give it either a command or a url"),
        ({"url": "ftp://b"}, "servers.s.url: "),
        ({"url": "http://b/", "args": ["a"]}, "servers.s: args and env belong to a command"),
        ({"command": "a", "headers": {"A": "b"}}, "servers.s: headers belong to a url"),
        ({"command": "a", "policy": "maybe"}, "servers.s.policy: "),
        ({"command": "a", "timeout_s": 0}, "servers.s.timeout_s: "),
        ({"command": "a", "color": "red"}, "servers.s.color: "),
    ],
)
def test_a_file_that_cannot_be_is_refused_with_the_place(tmp_path: Path, server: Any, told: str) -> None:
    with pytest.raises(Invalid) as refused:
        read_mcp_servers(file(tmp_path, {"s": server}))
    assert refused.value.message.startswith("CONVERGIO_MCP_SERVERS: ")
    assert told in refused.value.message


def test_secrets_are_not_told_with_a_fault(tmp_path: Path) -> None:
    with pytest.raises(Invalid) as refused:
        read_mcp_servers(file(tmp_path, {"s": {"url": "http://b/", "headers": {"Authorization": ["a secret"]}}}))
    assert "a secret" not in refused.value.message
    assert refused.value.__cause__ is None


@pytest.mark.parametrize("name", ["a__b", "a b", "", "x" * 25, "_a", "a_"])
def test_names_of_servers_are_those_that_tools_can_be_told_apart_by(tmp_path: Path, name: str) -> None:
    with pytest.raises(Invalid):
        read_mcp_servers(file(tmp_path, {name: {"command": "a"}}))


def test_a_file_that_is_not_there_or_no_json_is_refused(tmp_path: Path) -> None:
    with pytest.raises(Invalid, match="cannot be read: No such file"):
        read_mcp_servers(tmp_path / "nothing.json")
    (tmp_path / "broken.json").write_text("{")
    with pytest.raises(Invalid, match="cannot be used"):
        read_mcp_servers(tmp_path / "broken.json")


async def test_a_server_that_answers_with_nonsense_offers_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    source = McpTools("small", McpServer(command="server"))

    async def use(*_: object, **__: object) -> None:
        raise RuntimeError("nonsense")

    monkeypatch.setattr(source._connection, "use", use)  # noqa: SLF001  (no server does that on demand)
    assert await source.specs() == ()
    await source.aclose()
