"""GraphFlow teams of AutoGen: carried over, or refused by name."""

import copy
import json
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from domain.errors import Invalid
from domain.graphflow.autogen.importer import import_team
from domain.graphflow.definition.model import AgentNode, Definition
from domain.graphflow.definition.to_graph import graph_of
from domain.graphflow.execution.scheduler import Schedule
from domain.graphflow.expressions.cel import is_true
from domain.graphflow.expressions.templates import render
from domain.graphflow.validation.context import ValidationContext
from domain.graphflow.validation.validate import validate

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
        import_team(component, agents=AGENTS, stand_in="ali")
    found: list[str] = refused.value.details["lost"]
    return found


def test_a_team_becomes_a_definition_without_errors() -> None:
    done = import_team(TEAM, agents=AGENTS, stand_in="ali")
    found = validate(done.definition, ValidationContext(dict.fromkeys(AGENTS, Decimal(0))))
    assert found.errors == ()
    assert done.definition.name == "Essay team"
    assert [node.id for node in done.definition.nodes] == ["writer", "style", "facts", "editor", "publisher", "ended"]


def test_joins_cycles_and_conditions_mean_the_same() -> None:
    definition = import_team(TEAM, agents=AGENTS, stand_in="ali").definition
    assert definition.node("editor").join == 2  # both edges have to be taken, as in AutoGen
    assert definition.node("writer").max_visits == 20
    conditions = {(edge.source, edge.target): edge.when for edge in definition.edges if edge.when}
    count = "nodes.editor.visit + nodes.writer.visit + nodes.style.visit + nodes.facts.visit < 19"
    assert conditions["editor", "writer"] == f'nodes.editor.output.contains("REVISE") && {count}'
    assert conditions["editor", "publisher"] == f'nodes.editor.output.contains("APPROVE \\"it\\"") && {count}'
    assert conditions["facts", "editor"].endswith(" < 19")


def test_registered_agents_take_their_part_and_a_stand_in_the_others() -> None:
    done = import_team(TEAM, agents=AGENTS, stand_in="ali")
    agents = {node.id: node.agent for node in done.definition.nodes if isinstance(node, AgentNode)}
    assert agents == {"writer": "ali", "style": "ali", "facts": "ali", "editor": "ali", "publisher": "publisher"}
    assert "ali takes the part of Writer" in done.notes
    assert any("gpt-4.1-nano" in note for note in done.notes)


def test_a_prompt_has_the_system_message_the_task_and_what_was_said_before() -> None:
    definition = import_team(TEAM, agents=AGENTS, stand_in="ali").definition
    nodes = {
        "writer": {"output": "An essay."},
        "style": {},
        "facts": {},
        "editor": {"output": "REVISE"},
        "publisher": {},
    }
    data = {"input": {"request": "On tea"}, "nodes": nodes, "context": {}, "visit": 2}
    text = render(getattr(definition.node("writer"), "prompt"), data)  # noqa: B009  (of one kind of node only)
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
    ("the termination condition TokenUsageTermination", "termination_condition",
     {"provider": "autogen_agentchat.conditions.TokenUsageTermination", "config": {"max_total_token": 9}}),
    ("the termination condition AndTerminationCondition", "termination_condition",
     {"provider": "autogen_agentchat.base.AndTerminationCondition", "config": {"conditions": []}}),
    ("tool look of style", "participants/1/config/workbench",
     [{"provider": "autogen_core.tools.StaticStreamWorkbench", "config": {"tools": [{"config": {"name": "look"}}]}}]),
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
    done = import_team(team, agents=AGENTS, stand_in="ali")
    assert done.definition.node("editor").join == "any"
    assert "editor runs once for the first of its activation groups, not once for each" in done.notes


def test_a_person_is_waited_for() -> None:
    team = changed("participants/3/provider", "autogen_agentchat.agents.UserProxyAgent")
    done = import_team(team, agents=AGENTS, stand_in="ali")
    node = done.definition.node("editor")
    assert (node.type, getattr(node, "event", None)) == ("wait", "editor")
    conditions = {(edge.source, edge.target): edge.when or "" for edge in done.definition.edges}
    assert conditions["editor", "writer"].startswith('string(nodes.editor.output.payload).contains("REVISE")')
    assert validate(done.definition, ValidationContext(dict.fromkeys(AGENTS, Decimal(0)))).valid


@pytest.mark.parametrize("component", [None, [], {}, {"provider": "autogen_agentchat.teams.Swarm", "config": {}},
    {"provider": "autogen_agentchat.teams.GraphFlow", "config": {}},
    {"provider": "autogen_agentchat.teams.GraphFlow", "config": {"graph": {"nodes": {"a": {}}}}},
    {"provider": "autogen_agentchat.teams.GraphFlow", "config": {"graph": {"nodes": {"a": 3}}, "participants": [3]}},
])  # fmt: skip
def test_what_is_no_team_is_refused(component: Any) -> None:
    with pytest.raises(Invalid):
        import_team(component, agents=AGENTS, stand_in="ali")


def node_of(team: dict[str, Any], at: int) -> dict[str, Any]:
    config: dict[str, Any] = team["config"]["participants"][at]["config"]
    return config


def plain(name: str, system_message: str = "Speak.") -> dict[str, Any]:
    """An assistant as autogen-agentchat 0.7.5 writes it down."""
    bench = {"provider": "autogen_core.tools.StaticStreamWorkbench", "component_type": "workbench", "version": 1,
             "component_version": 1, "config": {"tools": [], "tool_overrides": {}}}  # fmt: skip
    client = {"provider": "autogen_ext.models.openai.OpenAIChatCompletionClient", "config": {"model": "gpt-4.1"}}
    config = {"name": name, "model_client": client, "workbench": [bench], "system_message": system_message,
              "model_client_stream": False, "max_tool_iterations": 1, "metadata": {}}  # fmt: skip
    return {"provider": "autogen_agentchat.agents.AssistantAgent", "component_type": "agent", "config": config}


def team(*edges: tuple[str, str, str | None], participants: list[Any] | None = None, **config: Any) -> dict[str, Any]:
    names = list(dict.fromkeys(name for source, target, _ in edges for name in (source, target)))
    nodes = {
        name: {"name": name, "activation": "any", "edges": [edge(t, c, t) for s, t, c in edges if s == name]}
        for name in names
    }
    graph = {"nodes": nodes, "default_start_node": names[0]}
    who = participants or [plain(name) for name in names]
    return {"provider": "autogen_agentchat.teams.GraphFlow", "label": "GraphFlow",
            "config": {"name": "GraphFlow", "participants": who, "graph": graph, **config}}  # fmt: skip


def ends_with(kind: str, **config: Any) -> dict[str, Any]:
    return {"provider": f"autogen_agentchat.conditions.{kind}", "config": config}


def played(definition: Definition, says: Any) -> tuple[list[str], Any]:
    """Who spoke, in their order, and how it ended; `says` is what a node says at a visit."""
    assert validate(definition, ValidationContext(dict.fromkeys(AGENTS, Decimal(0)))).errors == ()
    schedule, nodes, spoken = Schedule(graph_of(definition)), definition.by_id(), list[str]()
    seen: dict[str, Any] = {name: {"status": "pending", "visit": 0} for name in nodes}
    step = schedule.start()
    ready = [*step.ready]
    while ready and step.over is None:
        visit = ready.pop(0)
        spoken += [visit.node] if nodes[visit.node].type != "transform" else []
        said = says(visit.node, visit.visit)
        seen[visit.node] = {"status": "completed", "visit": visit.visit, "output": said}
        data = {"input": {}, "context": {}, "visit": visit.visit, "nodes": seen}
        edges = enumerate(definition.edges)
        taken = [at for at, e in edges if e.source == visit.node and e.when and is_true(e.when, data)]
        step = schedule.finish(step.state, visit, schedule.edges_to_take(visit.node, taken))
        ready += step.ready
    return spoken, step.over


LOOP = (("writer", "reviewer", None), ("reviewer", "writer", "AGAIN"), ("reviewer", "printer", "PRINT"))


def test_a_team_of_todays_assistants_is_taken() -> None:
    done = import_team(team(*LOOP), agents=AGENTS, stand_in="ali")
    assert validate(done.definition, ValidationContext(dict.fromkeys(AGENTS, Decimal(0)))).errors == ()


@pytest.mark.parametrize("most", [2, 3, 6, 9])
def test_it_ends_after_as_many_messages(most: int) -> None:
    """The task is the first message."""
    config = {"termination_condition": ends_with("MaxMessageTermination", max_messages=most)}
    definition = import_team(team(*LOOP, **config), agents=AGENTS, stand_in="ali").definition
    spoken, over = played(definition, lambda _name, _visit: "AGAIN")
    assert (len(spoken), over.status, over.ends) == (most - 1, "completed", ("ended",))


def test_it_ends_after_as_many_turns() -> None:
    definition = import_team(team(*LOOP, max_turns=5), agents=AGENTS, stand_in="ali").definition
    spoken, over = played(definition, lambda _name, _visit: "AGAIN")
    assert (len(spoken), over.status) == (5, "completed")


@pytest.mark.parametrize(("sources", "count"), [(None, 3), (["writer"], 3), (["printer"], 6)])
def test_a_text_that_is_mentioned_ends_it(sources: list[str] | None, count: int) -> None:
    either = [ends_with("TextMentionTermination", text="DONE", sources=sources),
              ends_with("MaxMessageTermination", max_messages=7)]  # fmt: skip
    condition = {"provider": "autogen_agentchat.base.OrTerminationCondition", "config": {"conditions": either}}
    definition = import_team(team(*LOOP, termination_condition=condition), agents=AGENTS, stand_in="ali").definition
    spoken, over = played(definition, lambda name, visit: f"AGAIN {'DONE' if (name, visit) == ('writer', 2) else ''}")
    assert (len(spoken), over.status) == (count, "completed")


def test_where_no_condition_holds_it_ends_well() -> None:
    done = import_team(team(*LOOP), agents=AGENTS, stand_in="ali")
    spoken, over = played(done.definition, lambda _name, _visit: "Nothing.")
    assert (spoken, over.status, over.ends) == (["writer", "reviewer"], "completed", ("ended",))
    assert "where nothing leads on the run ends at ended, and has completed" in done.notes


def test_an_agent_with_a_filter_is_given_what_its_filter_lets_through() -> None:
    kept = [{"source": "user", "position": "first", "count": 1}, {"source": "writer", "position": "last", "count": 1}]
    wrapped = {"name": "printer", "wrapped_agent": plain("inner", "Print."), "filter": {"per_source": kept}}
    filtered = {"provider": "autogen_agentchat.agents.MessageFilterAgent", "config": wrapped}
    who = [plain("writer"), plain("reviewer"), filtered]
    nodes = {"writer": {"output": "An essay."}, "reviewer": {"output": "PRINT"}, "printer": {}}
    data = {"input": {"request": "On tea"}, "nodes": nodes, "context": {}, "visit": 1}
    texts = {}
    for name, per_source in (("both", kept), ("no task", kept[1:]), ("nothing", [])):
        wrapped["filter"] = {"per_source": per_source}
        node = import_team(team(*LOOP, participants=who), agents=AGENTS, stand_in="ali").definition.node("printer")
        assert isinstance(node, AgentNode)
        texts[name] = render(node.prompt, data)
    assert texts == {
        "both": "Print.\n\nOn tea\n\nwriter: An essay.",
        "no task": "Print.\n\nwriter: An essay.",
        "nothing": "Print.",
    }


@pytest.mark.parametrize("provider", ["OpenAIChatCompletionClient", "openai_chat_completion_client",
                                      "AzureOpenAIChatCompletionClient",
                                      "azure_openai_chat_completion_client", "OllamaChatCompletionClient",
                                      "autogen_ext.models.anthropic.Anything"])  # fmt: skip
def test_model_clients_that_autogen_knows_by_these_names_are_taken(provider: str) -> None:
    component = team(*LOOP)
    node_of(component, 0)["model_client"]["provider"] = provider
    assert import_team(component, agents=AGENTS, stand_in="ali").definition.nodes


def test_what_a_filter_is_around_is_looked_at() -> None:
    inner = {"provider": "autogen_agentchat.agents.SocietyOfMindAgent", "config": {}}
    wrapped = {"name": "printer", "wrapped_agent": inner, "filter": {"per_source": []}}
    who = [plain("writer"), plain("reviewer"), {"provider": "x.MessageFilterAgent", "config": wrapped}]
    assert lost(team(*LOOP, participants=who)) == ["the participant printer, a SocietyOfMindAgent"]


def test_a_team_is_given_the_name_that_one_asks_for() -> None:
    found = [
        import_team(team(*LOOP), agents=AGENTS, stand_in="ali", name=name).definition.name for name in (None, "Mine")
    ]
    assert found == ["GraphFlow", "Mine"]


def test_a_node_that_is_called_as_the_end_is_has_its_own_id() -> None:
    done = import_team(team(("ended", "b", "x"), ("b", "ended", "y")), agents=AGENTS, stand_in="ali")
    assert [node.id for node in done.definition.nodes] == ["ended", "b", "ended_2"]


ODD: list[tuple[str, Any, str]] = [
    ("participants/0/config/tools", 5, "tool nameless thing of Writer"),
    ("participants/0/config/memory", {"provider": "x.ListMemory"}, "memory ListMemory of Writer"),
    ("participants/0/config/handoffs", True, "handoff nameless thing of Writer"),
    ("participants/0/config/workbench", [{"provider": "x.StaticWorkbench", "config": {"tools": 5}}],
     "tool nameless thing of Writer"),
    ("participants/0/config/system_message", {"a": 1}, "the system message of Writer, which is not a text"),
    ("graph/nodes/Writer/activation", "most", "the activation most of Writer"),
    ("graph/nodes/Writer/activation", ["all"], "the activation ['all'] of Writer"),
    ("termination_condition", 5, "the termination condition nameless thing"),
    ("termination_condition", "MaxMessageTermination", "the termination condition nameless thing"),
]  # fmt: skip


@pytest.mark.parametrize(("path", "value", "said"), ODD)
def test_what_has_an_odd_shape_is_refused_by_name(path: str, value: Any, said: str) -> None:
    assert said in lost(changed(path, value))


@pytest.mark.parametrize("edges", [5, "b", {"target": "b"}, [5]])
def test_edges_of_an_odd_shape_are_refused(edges: Any) -> None:
    with pytest.raises(Invalid):
        import_team(changed("graph/nodes/Writer/edges", edges), agents=AGENTS, stand_in="ali")


def test_participants_of_one_name_are_refused_as_autogen_does() -> None:
    team = copy.deepcopy(TEAM)
    team["config"]["participants"].append(team["config"]["participants"][0])
    assert "the participant Writer, of which there are 2" in lost(team)


@pytest.mark.parametrize(
    "kind", ["RoundRobinGroupChat", "SelectorGroupChat", "Swarm", "MagenticOneGroupChat", "SocietyOfMindAgent"]
)
def test_a_team_of_another_kind_is_refused_by_its_name(kind: str) -> None:
    team = {**TEAM, "provider": f"autogen_agentchat.teams.{kind}"}
    with pytest.raises(Invalid, match=f"no GraphFlow component, but a {kind}"):
        import_team(team, agents=AGENTS, stand_in="ali")


def test_a_chosen_part_of_the_conversation_is_told() -> None:
    context = {"provider": "autogen_core.model_context.BufferedChatCompletionContext", "config": {"buffer_size": 3}}
    done = import_team(changed("participants/0/config/model_context", context), agents=AGENTS, stand_in="ali")
    assert any("BufferedChatCompletionContext" in note for note in done.notes)
