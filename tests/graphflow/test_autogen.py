"""GraphFlow teams of AutoGen: carried over, or refused by name."""

import copy
import json
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from domain.errors import Invalid
from domain.graphflow.autogen import imported
from domain.graphflow.known import Known
from domain.graphflow.templates import rendered
from domain.graphflow.validation import validate

TEAM = json.loads((Path(__file__).parent / "team.json").read_text())
AGENTS = ("ali", "publisher")


def changed(path: str, value: Any) -> dict[str, Any]:
    team = copy.deepcopy(TEAM)
    *way, last = path.split("/")
    place = team["config"]
    for step in way:
        place = place[int(step) if step.isdigit() else step]
    place[last] = value
    return team


def edge(target: str, condition: str | None = None, group: str = "", wanted: str = "all") -> dict[str, Any]:
    return {"target": target, "condition": condition, "activation_group": group, "activation_condition": wanted}


def lost(component: Any) -> list[str]:
    with pytest.raises(Invalid) as refused:
        imported(component, agents=AGENTS, stand_in="ali")
    found: list[str] = refused.value.details["lost"]
    return found


def test_a_team_becomes_a_definition_without_errors() -> None:
    done = imported(TEAM, agents=AGENTS, stand_in="ali")
    found = validate(done.definition, Known(dict.fromkeys(AGENTS, Decimal(0))))
    assert found.errors == ()
    assert done.definition.name == "Essay team"
    assert [node.id for node in done.definition.nodes] == ["writer", "style", "facts", "editor", "publisher"]


def test_joins_cycles_and_conditions_mean_the_same() -> None:
    definition = imported(TEAM, agents=AGENTS, stand_in="ali").definition
    assert definition.node("editor").join == 2  # both edges have to be taken, as in AutoGen
    assert definition.node("writer").max_visits == 20
    conditions = {(edge.source, edge.target): edge.when for edge in definition.edges if edge.when}
    assert conditions == {
        ("editor", "writer"): 'nodes.editor.output.contains("REVISE")',
        ("editor", "publisher"): 'nodes.editor.output.contains("APPROVE \\"it\\"")',
    }


def test_registered_agents_take_their_part_and_a_stand_in_the_others() -> None:
    done = imported(TEAM, agents=AGENTS, stand_in="ali")
    agents = {node.id: getattr(node, "agent", None) for node in done.definition.nodes}
    assert agents == {"writer": "ali", "style": "ali", "facts": "ali", "editor": "ali", "publisher": "publisher"}
    assert "ali takes the part of Writer" in done.notes
    assert any("gpt-4.1-nano" in note for note in done.notes)


def test_a_prompt_has_the_system_message_the_task_and_what_was_said_before() -> None:
    definition = imported(TEAM, agents=AGENTS, stand_in="ali").definition
    nodes = {
        "writer": {"output": "An essay."},
        "style": {},
        "facts": {},
        "editor": {"output": "REVISE"},
        "publisher": {},
    }
    data = {"input": {"request": "On tea"}, "nodes": nodes, "context": {}, "visit": 2}
    text = rendered(getattr(definition.node("writer"), "prompt"), data)  # noqa: B009  (of one kind of node only)
    assert text.startswith("Write the essay. Use {{name}} for the reader.\n\nOn tea")
    assert "Writer: An essay." in text
    assert "editor: REVISE" in text
    assert "style" not in text


LOST: list[tuple[str, str, Any]] = [
    ("tool get_weather of style", "participants/1/config/tools",
     [{"provider": "autogen_core.tools.FunctionTool", "config": {"name": "get_weather", "source_code": "…"}}]),
    ("tool look of style", "participants/1/config/workbench",
     [{"provider": "autogen_core.tools.StaticWorkbench", "config": {"tools": [{"config": {"name": "look"}}]}}]),
    ("workbench McpWorkbench of style", "participants/1/config/workbench",
     {"provider": "autogen_ext.tools.mcp.McpWorkbench", "config": {}}),
    ("memory ListMemory of style", "participants/1/config/memory",
     [{"provider": "autogen_core.memory.ListMemory", "config": {}}]),
    ("handoff bob of style", "participants/1/config/handoffs", ["bob"]),
    ("structured messages of style", "participants/1/config/structured_message_factory", {"provider": "x.Y"}),
    ("model client Mine of style", "participants/1/config/model_client", {"provider": "my.Mine", "config": {}}),
    ("the participant style, a CodeExecutorAgent", "participants/1/provider",
     "autogen_agentchat.agents.CodeExecutorAgent"),
    ("the node style, which no participant has the name of", "participants/1/config/name", "stylist"),
    ("the termination condition TextMentionTermination", "termination_condition",
     {"provider": "autogen_agentchat.conditions.TextMentionTermination", "config": {"text": "DONE"}}),
    ("the edge style -> nobody, which leads to no node", "graph/nodes/style/edges", [edge("nobody")]),
    ("the start node nobody, which is no node", "graph/default_start_node", "nobody"),
    ("the condition of the cycle through Writer, style, facts, editor, which must have been a function",
     "graph/nodes/editor/edges", [edge("Writer", None, "again"), edge("publisher")]),
    ("the function that is the condition of facts -> editor", "graph/nodes/facts/edges",
     [{**edge("editor"), "condition_function": "lambda message: True"}]),
    ("the activation group style of style, which waits for an edge that closes a cycle",
     "graph/nodes/style/edges", [edge("editor"), edge("style", "AGAIN")]),
]  # fmt: skip


@pytest.mark.parametrize(("name", "path", "value"), LOST, ids=[name for name, *_ in LOST])
def test_what_cannot_be_carried_over_is_refused_by_name(name: str, path: str, value: Any) -> None:
    assert name in lost(changed(path, value))


def test_a_node_that_autogen_would_never_start_is_named() -> None:
    team = changed("graph/nodes/lonely", {"name": "lonely", "edges": [edge("publisher")]})
    team["config"]["participants"].append(
        {"provider": "autogen_agentchat.agents.AssistantAgent", "config": {"name": "lonely"}}
    )
    assert "the node lonely, which nothing leads to and which is not the start" in lost(team)


def test_all_that_is_lost_is_told_at_once() -> None:
    team = changed("participants/1/config/handoffs", ["bob", {"config": {"name": "cid"}}])
    team["config"]["participants"][2]["provider"] = "my.Agent"
    assert len(lost(team)) == 3


def test_groups_of_which_any_will_do_become_any() -> None:
    team = changed("graph/nodes/facts/edges", [edge("editor", None, "other")])
    done = imported(team, agents=AGENTS, stand_in="ali")
    assert done.definition.node("editor").join == "any"
    assert "editor runs once for the first of its activation groups, not once for each" in done.notes


def test_a_person_is_waited_for() -> None:
    team = changed("participants/3/provider", "autogen_agentchat.agents.UserProxyAgent")
    done = imported(team, agents=AGENTS, stand_in="ali")
    node = done.definition.node("editor")
    assert (node.type, getattr(node, "event", None)) == ("wait", "editor")
    assert done.definition.edges[-2].when == 'string(nodes.editor.output.payload).contains("REVISE")'
    assert validate(done.definition, Known(dict.fromkeys(AGENTS, Decimal(0)))).valid


@pytest.mark.parametrize("component", [None, [], {}, {"provider": "autogen_agentchat.teams.Swarm", "config": {}},
    {"provider": "autogen_agentchat.teams.GraphFlow", "config": {}},
    {"provider": "autogen_agentchat.teams.GraphFlow", "config": {"graph": {"nodes": {"a": {}}}}},
    {"provider": "autogen_agentchat.teams.GraphFlow", "config": {"graph": {"nodes": {"a": 3}}, "participants": [3]}},
])  # fmt: skip
def test_what_is_no_team_is_refused(component: Any) -> None:
    with pytest.raises(Invalid):
        imported(component, agents=AGENTS, stand_in="ali")
