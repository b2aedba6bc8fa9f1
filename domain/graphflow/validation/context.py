"""The context of a validation: the names that a definition may use."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any

from domain.graphflow.definition.model import Definition, MapNode, Node
from domain.graphflow.definition.node_types import AgentWork, SwarmWork, ToolWork, WorkflowWork

MOST_NESTED = 5
"""Limit on the nesting of workflows: the number of enclosing ones."""


@dataclass(frozen=True, slots=True)
class KnownWorkflow:
    """A version of a workflow. `includes` are the ids of all workflows nested in it, at any depth.

    `model_calls` and `cost_usd` are its worst case; `output` is a JSON Schema, if it is known.
    """

    input: Mapping[str, Any]
    includes: frozenset[str] = frozenset()
    model_calls: int = 0
    cost_usd: Decimal = Decimal(0)
    output: Mapping[str, Any] | None = None


@dataclass(frozen=True, slots=True)
class ValidationContext:
    """The names that a definition may use, with their properties.

    `agents`: the highest cost of one model call of each, in US dollars. `tools`: the JSON Schema of their arguments.
    `for_agents` are the tools that only agents can call: a turn's workflow carries them out. `modes`: the most turns of
    a swarm, given its members and rounds. `workflows` go by id and version; under the version None is the newest one.
    `calls_per_turn`: the most model calls of one turn. `itself`: the id of the definition, if it is stored.
    """

    agents: Mapping[str, Decimal]
    tools: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    modes: Mapping[str, Callable[[int, int | None], int]] = field(default_factory=dict)
    workflows: Mapping[tuple[str, int | None], KnownWorkflow] = field(default_factory=dict)
    calls_per_turn: int = 1
    itself: str | None = None
    for_agents: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class ReferencedNames:
    """The names that a definition uses."""

    agents: frozenset[str]
    tools: frozenset[str]
    modes: frozenset[str]
    workflows: frozenset[tuple[str, int | None]]


Work = Node | AgentWork | ToolWork | WorkflowWork
"""A node, or the work inside one."""


def works_of(node: Node) -> tuple[tuple[str, Any], ...]:
    """Return the work of a node, with its field prefix: its own, a map's inner one, its compensation."""
    inner = (("node.", node.node),) if isinstance(node, MapNode) else ()
    undo = (("compensate.", node.compensate),) if node.compensate else ()
    return (("", node), *inner, *undo)


def names_in(definition: Definition) -> ReferencedNames:
    """Return the names that a validation has to look up."""
    done = [work for node in definition.nodes for _, work in works_of(node)]
    agents = {work.agent for work in done if isinstance(work, AgentWork)}
    swarms = [work for work in done if isinstance(work, SwarmWork)]
    agents |= {each for work in swarms for each in (*work.agents, *([work.coordinator] if work.coordinator else []))}
    tools = {work.tool for work in done if isinstance(work, ToolWork)}
    tools |= {tool for work in done if isinstance(work, AgentWork) for tool in work.tools or ()}
    workflows = {(work.workflow, work.version) for work in done if isinstance(work, WorkflowWork)}
    return ReferencedNames(
        frozenset(agents), frozenset(tools), frozenset(work.mode for work in swarms), frozenset(workflows)
    )
