"""The graph of a definition as schedules need it: nodes and edges without texts. Standard library only."""

import json
import zlib
from base64 import b85decode, b85encode
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields
from typing import Any, Literal

Join = Literal["all", "any"] | int
EdgeKind = Literal["always", "when", "otherwise", "error"]
"""`error` edges come from `on_error: {goto: …}` and are taken when their node has failed."""

_KINDS: Mapping[EdgeKind, str] = {"always": "a", "when": "w", "otherwise": "o", "error": "e"}
_COMPRESS_FROM = 8_192
"""Characters."""


@dataclass(frozen=True, slots=True)
class GraphNode:
    """A node. Times are in seconds; `attempts` counts the first one.

    `more` holds the fields of some types only: `event` and `seconds` of a wait, `parallel` and `max_items` of a map,
    `decides` of an approval (an edge has a condition, so that a rejection is a result and does not end the run).
    """

    id: str
    type: str
    join: Join = "all"
    max_visits: int = 1
    on_error: Literal["fail", "continue", "goto"] = "fail"
    attempts: int = 1
    pause_s: float = 1
    backoff: float = 2
    timeout_s: float | None = None
    compensate: bool = False
    more: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class GraphEdge:
    """An edge between two nodes, by their indices."""

    source: int
    target: int
    kind: EdgeKind = "always"


@dataclass(frozen=True, slots=True)
class Graph:
    """`edges` are those of the definition, under the same indices, then the error edges."""

    nodes: tuple[GraphNode, ...]
    edges: tuple[GraphEdge, ...]


def pack(graph: Graph) -> str:
    """Encode the graph compactly for workflow inputs: JSON without default values; compressed if it is long."""
    nodes = [_without_defaults(node) for node in graph.nodes]
    edges = [[edge.source, edge.target] for edge in graph.edges]
    kinds = "".join(_KINDS[edge.kind] for edge in graph.edges)
    text = json.dumps({"nodes": nodes, "edges": edges, "kinds": kinds}, separators=(",", ":"))
    return text if len(text) <= _COMPRESS_FROM else b85encode(zlib.compress(text.encode(), 9)).decode()


def unpack(text: str) -> Graph:
    """Decode a packed graph."""
    whole = json.loads(text if text.startswith('{"') else zlib.decompress(b85decode(text)))
    kinds: dict[str, EdgeKind] = {letter: kind for kind, letter in _KINDS.items()}
    nodes = tuple(GraphNode(node_id, kind, **rest) for node_id, kind, rest in whole["nodes"])
    pairs = zip(whole["edges"], whole["kinds"], strict=True)
    return Graph(nodes, tuple(GraphEdge(source, target, kinds[letter]) for (source, target), letter in pairs))


_BLANK = asdict(GraphNode("", ""))


def _without_defaults(node: GraphNode) -> list[Any]:
    rest = {one.name: getattr(node, one.name) for one in fields(node)[2:]}
    return [node.id, node.type, {name: value for name, value in rest.items() if value != _BLANK[name]}]
