"""Random workflows, the same for the same seed: branches, joins, loops, agents, maps, known by what they compute."""

import random
from typing import Any

JOINS = ("all", "any")
MOST_NODES = 8
ROUNDS = 3


def random_definition(seed: int) -> dict[str, Any]:
    """A workflow of transforms, here and there an agent or a map of them; its conditions look at the input's size."""
    chance = random.Random(seed)  # noqa: S311  (chance, not secrecy)
    names = [f"n{number}" for number in range(chance.randint(3, MOST_NODES))]
    nodes: list[dict[str, Any]] = [_node(chance, name, place) for place, name in enumerate(names)]
    edges: list[dict[str, Any]] = []
    for place, name in enumerate(names[1:], start=1):
        sources = sorted(chance.sample(range(place), k=min(place, chance.choice((1, 1, 2)))))
        edges += [_edge(chance, names[source], name, nodes[source]) for source in sources]
        if len(sources) > 1:
            nodes[place]["join"] = chance.choice(JOINS)
    if chance.random() < 0.3:
        nodes, edges = _with_loop(nodes, edges)
    return {"name": f"Random graph {seed}", "nodes": nodes, "edges": _complete(edges)}


def _node(chance: random.Random, name: str, place: int) -> dict[str, Any]:
    if place and chance.random() < 0.2:
        return {"id": name, "type": "agent", "agent": "amy_cfo", "prompt": "Say it: {{ input.request }}"}
    if place and chance.random() < 0.1:
        asking = {"type": "agent", "agent": "ava_analytics_virtuoso", "prompt": "Say {{ item }}"}
        return {"id": name, "type": "map", "over": '["one", "two", "three"]', "parallel": 2, "node": asking}
    return {
        "id": name,
        "type": "transform",
        "set": {"n": f"size(input.request) + {chance.randint(0, 9)}", "at": f'"{name}"'},
    }


def _edge(chance: random.Random, source: str, target: str, node: dict[str, Any]) -> dict[str, Any]:
    edge: dict[str, Any] = {"from": source, "to": target}
    if node["type"] == "transform" and chance.random() < 0.5:
        edge["when"] = f"nodes.{source}.output.n % {chance.choice((2, 3))} == 0"
    return edge


def _complete(edges: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Where all ways on have a condition, the last one is taken otherwise: so that every run finds an end."""
    for source in {edge["from"] for edge in edges}:
        own = [edge for edge in edges if edge["from"] == source]
        if all("when" in edge for edge in own):
            del own[-1]["when"]
            if len(own) > 1:
                own[-1]["otherwise"] = True
    return edges


def _with_loop(nodes: list[dict[str, Any]], edges: list[dict[str, Any]]) -> tuple[list[Any], list[Any]]:
    """In front of it all: a loop that is left in its third round."""
    first = nodes[0]["id"]
    loop = {"id": "again", "type": "transform", "max_visits": ROUNDS, "set": {"n": "visit"}}
    back = {"from": "again", "to": "again", "when": f"nodes.again.output.n < {ROUNDS}"}
    return [loop, *nodes], [back, {"from": "again", "to": first, "otherwise": True}, *edges]
