"""A definition as a Mermaid flowchart, optionally with the state of a run."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from domain.graphflow.definition.model import Definition, Edge, MapNode, Node, SwarmNode, WaitNode
from domain.graphflow.definition.to_graph import error_edges

_SHAPES: Mapping[str, tuple[str, str]] = {
    "agent": ("(", ")"),
    "swarm": ("([", "])"),
    "tool": ("[", "]"),
    "approval": ("{{", "}}"),
    "transform": ("[/", "/]"),
    "map": ("[[", "]]"),
    "wait": ("((", "))"),
    "workflow": (">", "]"),
}
COLOURS: Mapping[str, str] = {
    "pending": "fill:#f5f5f5,stroke:#9e9e9e,color:#212121",
    "running": "fill:#bbdefb,stroke:#1565c0,color:#0d2c54",
    "awaiting_approval": "fill:#ffe0b2,stroke:#ef6c00,color:#4e2600",
    "completed": "fill:#c8e6c9,stroke:#2e7d32,color:#10361a",
    "failed": "fill:#ffcdd2,stroke:#c62828,color:#4a0d0d",
    "rejected": "fill:#ffcdd2,stroke:#c62828,color:#4a0d0d",
    "cancelled": "fill:#e0e0e0,stroke:#616161,color:#212121",
    "skipped": "fill:#ffffff,stroke:#bdbdbd,color:#9e9e9e,stroke-dasharray:4 3",
}
"""The colours of each status of a node."""

_LONGEST_LABEL = 60


@dataclass(frozen=True, slots=True)
class NodeState:
    """The status of a node, and the number of its iterations."""

    status: str
    visits: int = 0


def mermaid(definition: Definition, states: Mapping[str, NodeState] | None = None) -> str:
    """Return the flowchart. `states` are those of a run, by node; statuses without a colour are drawn without one."""
    states = states or {}
    # ids such as `end` are keywords of Mermaid
    names = {node.id: f"n{at}" for at, node in enumerate(definition.nodes)}
    lines = [f"    {names[node.id]}{_box(node, states.get(node.id))}" for node in definition.nodes]
    lines += [f"    {names[edge.source]} -->{_edge_label(edge)} {names[edge.target]}" for edge in definition.edges]
    lines += [f'    {names[source]} -.->|"on error"| {names[target]}' for source, target in error_edges(definition)]
    return "\n".join(["flowchart TD", *lines, *_classes(names, states)]) + "\n"


def _box(node: Node, state: NodeState | None) -> str:
    opening, closing = _SHAPES[node.type]
    times = f", {state.visits} times" if state and state.visits > 1 else ""
    label = f"{_label(node.title or node.id)}{times}<br/>{_label(_summary(node))}"
    return f'{opening}"{label}"{closing}'


def _summary(node: Node) -> str:
    match node:
        case SwarmNode():
            return f"{node.mode} of {len(node.agents)}"
        case MapNode():
            return f"each {node.item}: {node.node.type}"
        case WaitNode():
            return f"for {node.event}" if node.event else "a time"
    return next((str(getattr(node, name)) for name in ("agent", "tool", "workflow") if hasattr(node, name)), node.type)


def _edge_label(edge: Edge) -> str:
    label = "otherwise" if edge.otherwise else edge.when
    return f'|"{_label(label)}"|' if label else ""


def _label(text: str) -> str:
    """Escape a label: Mermaid interprets quotes, brackets, `#` and Markdown, so they are written as numbers."""
    words = " ".join(text.split())
    words = words if len(words) <= _LONGEST_LABEL else words[: _LONGEST_LABEL - 1] + "…"
    return "".join(each if each.isalnum() or each in " .,_-…?!" else f"#{ord(each)};" for each in words)


def _classes(names: Mapping[str, str], states: Mapping[str, NodeState]) -> Iterator[str]:
    for status, colours in COLOURS.items():
        nodes = [name for node, name in names.items() if node in states and states[node].status == status]
        if nodes:
            yield f"    classDef {status} {colours}"
            yield f"    class {','.join(nodes)} {status}"
