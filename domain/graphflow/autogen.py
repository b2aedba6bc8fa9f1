"""GraphFlow teams of AutoGen, read from their component JSON.

Agents that are registered here under a participant's name take its part; for all others a stand-in does, with the
participant's system message in its prompt. What cannot be carried over is refused by name, all of it at once: tools,
memory, handoffs, structured messages, unknown kinds of participants and endings, joins that have no equal here.
"""

import json
import re
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from domain.errors import Invalid
from domain.graphflow.autogen_graph import Drawing, drawing
from domain.graphflow.definition import MOST_VISITS, Definition
from domain.graphflow.documents import of_document

_ROUNDS = 10
"""Of a cycle whose team says nothing about its length."""
_MOST_READ = 30
_ABSENT = ("tools", "handoffs", "memory")


@dataclass(frozen=True, slots=True)
class Imported:
    """A definition that is not validated yet, and what is different now, in sentences."""

    definition: Definition
    notes: tuple[str, ...]


def imported(component: Any, *, agents: Collection[str], stand_in: str) -> Imported:
    """The workflow that a GraphFlow component is. `agents` are the ids registered here; `stand_in` is one of them.

    Raises:
        Invalid: it is no GraphFlow component; or `lost` lists, by name, what cannot be carried over.
    """
    config = _config(component)
    reader = _Reader(config, agents, stand_in)
    document = reader.document(_name(component, config), str(component.get("description") or ""))
    if reader.lost:
        lost = list(dict.fromkeys(reader.lost))
        message = "these cannot be carried over: " + "; ".join(lost)
        raise Invalid(message, field="component", reason=message, lost=lost)
    return Imported(of_document(document), tuple(dict.fromkeys(reader.notes)))


def _config(component: Any) -> Mapping[str, Any]:
    provider = component.get("provider") if isinstance(component, Mapping) else None
    config = component.get("config") if isinstance(component, Mapping) else None
    if not isinstance(provider, str) or not provider.endswith(".GraphFlow") or not isinstance(config, Mapping):
        raise Invalid("this is no GraphFlow component", field="provider", reason="no GraphFlow component")
    graph, participants = config.get("graph"), config.get("participants")
    if not isinstance(graph, Mapping) or not isinstance(graph.get("nodes"), Mapping) or not graph["nodes"]:
        raise Invalid("config.graph.nodes is missing", field="config.graph.nodes", reason="missing")
    if not isinstance(participants, list) or not all(isinstance(each, Mapping) for each in participants):
        raise Invalid("config.participants is missing", field="config.participants", reason="missing")
    return config


def _name(component: Mapping[str, Any], config: Mapping[str, Any]) -> str:
    return str(config.get("name") or component.get("label") or "Imported from AutoGen")[:120]


class _Reader:
    def __init__(self, config: Mapping[str, Any], agents: Collection[str], stand_in: str) -> None:
        self._config, self._agents, self._stand_in = config, agents, stand_in
        self.lost: list[str] = []
        self.notes: list[str] = []
        self._participants = {str(_inner(each).get("name")): each for each in config["participants"]}
        self._drawing: Drawing = drawing(config["graph"], self.lost, self.notes)
        self._ids = _ids(self._drawing.names)

    def document(self, name: str, description: str) -> dict[str, Any]:
        rounds = self._rounds()
        nodes = [self._node(each, rounds) for each in self._drawing.names]
        edges = [self._edge(*each) for each in self._drawing.edges]
        return {"name": name, "description": description[:4_000], "nodes": nodes, "edges": edges}

    def _rounds(self) -> int:
        found = [*self._limits(self._config.get("termination_condition"))]
        if isinstance(turns := self._config.get("max_turns"), int):
            found.append(turns)
        if self._drawing.entries and not found:
            self.notes.append(f"cycles end after {_ROUNDS} rounds, because the team does not say when")
        return max(2, min([*found, MOST_VISITS])) if found else _ROUNDS

    def _limits(self, condition: Any) -> Iterator[int]:
        if not isinstance(condition, Mapping):
            return
        kind, config = _kind(condition), _inner(condition)
        if kind == "MaxMessageTermination":
            self.notes.append("the most messages of the team bound each cycle now")
            yield int(config.get("max_messages", _ROUNDS))
        elif kind == "OrTerminationCondition":
            for each in config.get("conditions", []):
                yield from self._limits(each)
        elif kind != "StopMessageTermination":
            self.lost.append(f"the termination condition {kind}")

    def _node(self, name: str, rounds: int) -> dict[str, Any]:
        node: dict[str, Any] = {"id": self._ids[name], "title": name[:200], "join": self._drawing.joins[name]}
        if name in self._drawing.entries:
            node["max_visits"] = rounds
        participant = self._participants.get(name)
        if participant is None:
            self.lost.append(f"the node {name}, which no participant has the name of")
        elif _kind(participant) == "AssistantAgent":
            node |= self._assistant(name, _inner(participant))
        elif _kind(participant) == "UserProxyAgent":
            self.notes.append(f"{name} waits for the event {self._ids[name]}, whose payload is what the person says")
            node |= {"type": "wait", "event": self._ids[name]}
        else:
            self.lost.append(f"the participant {name}, a {_kind(participant)}")
        return node

    def _assistant(self, name: str, config: Mapping[str, Any]) -> dict[str, Any]:
        self.lost.extend(_lost_of(name, config))
        model = _inner(config.get("model_client")).get("model")
        if model:
            self.notes.append(f"{name} does not use {model}, but the model of the agent that takes its part")
        agent = self._ids[name] if self._ids[name] in self._agents else self._stand_in
        if agent == self._stand_in:
            self.notes.append(f"{agent} takes the part of {name}")
        words = str(config.get("system_message") or "").replace("{{", "{{ '{{' }}")
        said = [self._said(each) for each in self._drawing.before(name)[:_MOST_READ]]
        return {"type": "agent", "agent": agent, "prompt": "\n\n".join([words, "{{ input.request }}", *said]).strip()}

    def _said(self, name: str) -> str:
        path = f"nodes.{self._ids[name]}.output"
        return f"{{{{ has({path}) ? {json.dumps(name + ': ')} + {self._text(name)} : '' }}}}"

    def _edge(self, source: str, target: str, condition: str | None) -> dict[str, Any]:
        edge: dict[str, Any] = {"from": self._ids[source], "to": self._ids[target]}
        if condition is not None:
            edge["when"] = f"{self._text(source)}.contains({json.dumps(condition, ensure_ascii=False)})"
        return edge

    def _text(self, name: str) -> str:
        """What a participant has said, as an expression."""
        path = f"nodes.{self._ids[name]}.output"
        participant = self._participants.get(name)
        return f"string({path}.payload)" if participant and _kind(participant) == "UserProxyAgent" else path


def _lost_of(name: str, config: Mapping[str, Any]) -> Iterator[str]:
    for field in _ABSENT:
        for each in config.get(field) or ():
            what = each if isinstance(each, str) else _inner(each).get("name") or _kind(each)
            yield f"{field.removesuffix('s')} {what} of {name}"
    benches = config.get("workbench") or []
    for bench in benches if isinstance(benches, list) else [benches]:
        tools = _inner(bench).get("tools") or ()
        for tool in tools:
            yield f"tool {_inner(tool).get('name') or _kind(tool)} of {name}"
        if not tools and _kind(bench) != "StaticWorkbench":
            yield f"workbench {_kind(bench)} of {name}"
    if config.get("structured_message_factory"):
        yield f"structured messages of {name}"
    client = config.get("model_client")
    if isinstance(client, Mapping) and not str(client.get("provider", "")).startswith("autogen_ext.models."):
        yield f"model client {_kind(client)} of {name}"


def _kind(component: Any) -> str:
    provider = component.get("provider") if isinstance(component, Mapping) else None
    return str(provider).rpartition(".")[2] if provider else "nameless thing"


def _inner(component: Any) -> Mapping[str, Any]:
    config = component.get("config") if isinstance(component, Mapping) else None
    return config if isinstance(config, Mapping) else {}


def _ids(names: Sequence[str]) -> dict[str, str]:
    ids: dict[str, str] = {}
    for name in names:
        plain = re.sub(r"[^a-z0-9]+", "_", name.lower()).strip("_")[:56] or "node"
        plain = plain if plain[0].isalpha() and plain not in {"in", "true", "false", "null"} else f"n_{plain}"
        taken = set(ids.values())
        free = (each for each in (plain, *(f"{plain}_{more}" for more in range(2, 10_000))) if each not in taken)
        ids[name] = next(free)
    return ids
