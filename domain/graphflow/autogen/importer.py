"""Imports GraphFlow teams of AutoGen from their component JSON.

A registered agent of a participant's name takes its part; for all others a stand-in does, with the participant's system
message in its prompt. Unsupported parts are refused by name, all at once: tools, memory, handoffs, structured messages,
unknown kinds of participants and termination conditions, joins that have no counterpart.
"""

import json
import re
from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from domain.errors import Invalid
from domain.graphflow.autogen.components import config_of as inside
from domain.graphflow.autogen.components import kind, unsupported_parts
from domain.graphflow.autogen.graph import TeamGraph, team_graph
from domain.graphflow.autogen.terminations import terminations_of
from domain.graphflow.definition.documents import definition_from
from domain.graphflow.definition.model import MOST_VISITS, Definition
from domain.graphflow.definition.node_types import LONGEST_EXPRESSION

_ROUNDS = 10
"""Rounds of a cycle whose team states no limit."""
_MOST_READ = 30
_TASK = "user"
"""The author of the task's message."""
_END = "ended"


@dataclass(frozen=True, slots=True)
class ImportedTeam:
    """An unvalidated definition, and the notes on changed behaviour."""

    definition: Definition
    notes: tuple[str, ...]


def import_team(component: Any, *, agents: Collection[str], stand_in: str, name: str | None = None) -> ImportedTeam:
    """Convert a GraphFlow component to a workflow. `agents` are the registered ids; `stand_in` is one of them.

    Without a `name` it has the team's.

    Raises:
        Invalid: it is no GraphFlow component; or `lost` lists the unsupported parts by name.
    """
    config = _config(component)
    reader = _TeamConverter(config, agents, stand_in)
    document = reader.document(name or _name(component, config), str(component.get("description") or ""))
    if reader.lost:
        lost = list(dict.fromkeys(reader.lost))
        message = "these are not supported: " + "; ".join(lost)
        raise Invalid(message, field="component", reason=message, lost=lost)
    return ImportedTeam(definition_from(document), tuple(dict.fromkeys(reader.notes)))


def _config(component: Any) -> Mapping[str, Any]:
    provider = component.get("provider") if isinstance(component, Mapping) else None
    config = component.get("config") if isinstance(component, Mapping) else None
    if not isinstance(provider, str) or not provider.endswith(".GraphFlow") or not isinstance(config, Mapping):
        reason = f"this is no GraphFlow component, but a {kind(component)[:100]}"
        raise Invalid(reason, field="provider", reason=reason)
    graph, participants = config.get("graph"), config.get("participants")
    if not isinstance(graph, Mapping) or not isinstance(graph.get("nodes"), Mapping) or not graph["nodes"]:
        raise Invalid("config.graph.nodes is missing", field="config.graph.nodes", reason="missing")
    if not isinstance(participants, list) or not all(isinstance(each, Mapping) for each in participants):
        raise Invalid("config.participants is missing", field="config.participants", reason="missing")
    return config


def _name(component: Mapping[str, Any], config: Mapping[str, Any]) -> str:
    return str(config.get("name") or component.get("label") or "Imported from AutoGen")[:120]


class _TeamConverter:
    def __init__(self, config: Mapping[str, Any], agents: Collection[str], stand_in: str) -> None:
        self._config, self._agents, self._stand_in = config, agents, stand_in
        self.lost: list[str] = []
        self.notes: list[str] = []
        self._participants = self._participants_by_name(config["participants"])
        self._drawing: TeamGraph = team_graph(config["graph"], self.lost, self.notes)
        self._ids = _ids(self._drawing.names)
        self._ended = _free(_END, self._ids.values())
        longest = None if self._drawing.entries else len(self._drawing.names)
        self._endings = terminations_of(config, kind, longest, self.lost, self.notes)

    def _participants_by_name(self, participants: Sequence[Any]) -> dict[str, Any]:
        named = [(str(inside(each).get("name")), each) for each in participants]
        counts = Counter(name for name, _ in named)
        self.lost.extend(
            f"the participant {name}, of which there are {many}" for name, many in counts.items() if many > 1
        )
        return dict(named)

    def document(self, name: str, description: str) -> dict[str, Any]:
        rounds = self._rounds()
        nodes = [self._node(each, rounds) for each in self._drawing.names]
        edges = [self._edge(*each) for each in self._drawing.edges]
        if open_ends := [name for name in self._drawing.names if _may_stop(self._ids[name], edges)]:
            nodes.append(self._end(open_ends))
            edges += [{"from": self._ids[name], "to": self._ended, "otherwise": True} for name in open_ends]
            self.notes.append(f"where nothing leads on the run ends at {self._ended}, and has completed")
        return {"name": name, "description": description[:4_000], "nodes": nodes, "edges": edges}

    def _rounds(self) -> int:
        most = self._endings.most
        if self._drawing.entries and most is None:
            self.notes.append(f"cycles end after {_ROUNDS} rounds, because the team does not say when")
        return max(2, min(most + 1, MOST_VISITS)) if most is not None else _ROUNDS

    def _end(self, open_ends: Sequence[str]) -> dict[str, Any]:
        spoken = dict.fromkeys(each for name in open_ends for each in (name, *self._drawing.possible_speakers(name)))
        count = " + ".join(f"nodes.{self._ids[name]}.visit" for name in spoken)
        messages = count if len(count) < LONGEST_EXPRESSION else "0"
        return {"id": self._ended, "type": "transform", "join": "any", "set": {"messages": messages}}

    def _node(self, name: str, rounds: int) -> dict[str, Any]:
        node: dict[str, Any] = {"id": self._ids[name], "title": name[:200], "join": self._drawing.joins[name]}
        if name in self._drawing.entries:
            node["max_visits"] = rounds
        participant = self._participants.get(name)
        if participant is None:
            self.lost.append(f"the node {name}, which no participant has the name of")
            return node
        inner, sources = self._unwrap_filter(name, participant)
        if kind(inner) == "AssistantAgent":
            node |= self._assistant(name, inside(inner), sources)
        elif kind(inner) == "UserProxyAgent":
            self.notes.append(f"{name} waits for the event {self._ids[name]}, whose payload is what the person says")
            node |= {"type": "wait", "event": self._ids[name]}
        else:
            self.lost.append(f"the participant {name}, a {kind(inner)}")
        return node

    def _unwrap_filter(self, name: str, participant: Any) -> tuple[Any, tuple[str, ...] | None]:
        """Return the agent inside a `MessageFilterAgent`, and the sources of its messages; None for all."""
        if kind(participant) != "MessageFilterAgent":
            return participant, None
        config = inside(participant)
        kept = _inner_filters(config.get("filter"))
        if any(
            each.get("count") != 1 or each.get("position") != "last" for each in kept if each.get("source") != "user"
        ):
            self.notes.append(f"{name} is given the newest message of each of its sources, and no older ones")
        return config.get("wrapped_agent"), tuple(str(each.get("source")) for each in kept)

    def _assistant(self, name: str, config: Mapping[str, Any], sources: Sequence[str] | None) -> dict[str, Any]:
        self.lost.extend(unsupported_parts(name, config))
        context = kind(config.get("model_context"))
        if config.get("model_context") and context != "UnboundedChatCompletionContext":
            self.notes.append(
                f"{name} is given the newest messages of the others, and not what its {context} would choose"
            )
        model = inside(config.get("model_client")).get("model")
        if model:
            self.notes.append(f"{name} does not use {model}, but the model of the agent that takes its part")
        agent = self._ids[name] if self._ids[name] in self._agents else self._stand_in
        if agent == self._stand_in:
            self.notes.append(f"{agent} takes the part of {name}")
        words = str(config.get("system_message") or "").replace("{{", "{{ '{{' }}")
        heard = ["{{ input.request }}"] if sources is None or _TASK in sources else []
        heard += [self._quote(each) for each in self._message_sources(name, sources)[:_MOST_READ]]
        return {"type": "agent", "agent": agent, "prompt": "\n\n".join([words, *heard]).strip() or "…"}

    def _message_sources(self, name: str, sources: Sequence[str] | None) -> Sequence[str]:
        """Return the sources of an agent's messages: those that can have spoken before, in the order of its filter."""
        before = self._drawing.possible_speakers(name)
        return before if sources is None else [each for each in dict.fromkeys(sources) if each in before]

    def _quote(self, name: str) -> str:
        path = f"nodes.{self._ids[name]}.output"
        return f"{{{{ has({path}) ? {json.dumps(name + ': ')} + {self._text(name)} : '' }}}}"

    def _edge(self, source: str, target: str, condition: str | None) -> dict[str, Any]:
        edge: dict[str, Any] = {"from": self._ids[source], "to": self._ids[target]}
        counted = [
            f"nodes.{self._ids[each]}.visit"
            for each in dict.fromkeys((source, *self._drawing.possible_speakers(source)))
        ]
        holds = self._endings.continue_conditions(source, self._text(source), counted)
        if condition is not None:
            holds.insert(0, f"{self._text(source)}.contains({json.dumps(condition, ensure_ascii=False)})")
        if holds:
            edge["when"] = " && ".join(holds)
        return edge

    def _text(self, name: str) -> str:
        """Return the expression of a participant's message."""
        path = f"nodes.{self._ids[name]}.output"
        inner, _ = self._unwrap_filter(name, self._participants.get(name))
        return f"string({path}.payload)" if kind(inner) == "UserProxyAgent" else path


def _inner_filters(filter_: Any) -> list[Mapping[str, Any]]:
    each = filter_.get("per_source") if isinstance(filter_, Mapping) else None
    return [one for one in each if isinstance(one, Mapping)] if isinstance(each, list) else []


def _may_stop(node: str, edges: Sequence[Mapping[str, Any]]) -> bool:
    """Return True if it is possible that none of a node's edges is taken."""
    own = [edge for edge in edges if edge["from"] == node]
    return bool(own) and all("when" in edge for edge in own)


def _ids(names: Sequence[str]) -> dict[str, str]:
    ids: dict[str, str] = {}
    for name in names:
        plain = re.sub(r"[^a-z0-9]+", "_", name.lower()).strip("_")[:56] or "node"
        plain = plain if plain[0].isalpha() and plain not in {"in", "true", "false", "null"} else f"n_{plain}"
        ids[name] = _free(plain, ids.values())
    return ids


def _free(name: str, taken: Collection[str]) -> str:
    return next(each for each in (name, *(f"{name}_{more}" for more in range(2, 10_000))) if each not in taken)
