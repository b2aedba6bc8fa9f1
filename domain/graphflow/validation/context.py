"""What a definition may name, as far as a validation has to know it."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any

from domain.graphflow.definition.model import Definition, MapNode, Node
from domain.graphflow.definition.node_types import AgentWork, SwarmWork, ToolWork, WorkflowWork

MOST_NESTED = 5
"""How deep workflows may stand inside each other: so many around one."""


@dataclass(frozen=True, slots=True)
class KnownWorkflow:
    """A version of a workflow. `includes` are the ids of all workflows inside it, at any depth.

    `model_calls` and `cost_usd` are its worst case; `output` is a JSON Schema, if it is known.
    """

    input: Mapping[str, Any]
    includes: frozenset[str] = frozenset()
    model_calls: int = 0
    cost_usd: Decimal = Decimal(0)
    output: Mapping[str, Any] | None = None


@dataclass(frozen=True, slots=True)
class Known:
    """`agents`: the most that one model call of each may cost, in USD. `tools`: the JSON Schema of their arguments.

    `for_agents` are those of the tools that only agents can call: a turn's workflow does them.
    `modes`: how many turns a swarm takes at most, given its members and rounds. `workflows` go by id and version; under
    the version None is the newest one. `calls_per_turn`: the most model calls of one turn. `itself`: the id under which
    the definition is kept, if it is.
    """

    agents: Mapping[str, Decimal]
    tools: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    modes: Mapping[str, Callable[[int, int | None], int]] = field(default_factory=dict)
    workflows: Mapping[tuple[str, int | None], KnownWorkflow] = field(default_factory=dict)
    calls_per_turn: int = 1
    itself: str | None = None
    for_agents: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class Named:
    """The names that a definition uses."""

    agents: frozenset[str]
    tools: frozenset[str]
    modes: frozenset[str]
    workflows: frozenset[tuple[str, int | None]]


Work = Node | AgentWork | ToolWork | WorkflowWork
"""A node, or what is done inside one."""


def works(node: Node) -> tuple[tuple[str, Any], ...]:
    """What is done at a node, with the name of the field it stands in: itself, what a map repeats, what undoes it."""
    inner = (("node.", node.node),) if isinstance(node, MapNode) else ()
    undo = (("compensate.", node.compensate),) if node.compensate else ()
    return (("", node), *inner, *undo)


def names_in(definition: Definition) -> Named:
    """The names that are to be looked up for a validation."""
    done = [work for node in definition.nodes for _, work in works(node)]
    agents = {work.agent for work in done if isinstance(work, AgentWork)}
    swarms = [work for work in done if isinstance(work, SwarmWork)]
    agents |= {each for work in swarms for each in (*work.agents, *([work.coordinator] if work.coordinator else []))}
    tools = {work.tool for work in done if isinstance(work, ToolWork)}
    tools |= {tool for work in done if isinstance(work, AgentWork) for tool in work.tools or ()}
    workflows = {(work.workflow, work.version) for work in done if isinstance(work, WorkflowWork)}
    return Named(frozenset(agents), frozenset(tools), frozenset(work.mode for work in swarms), frozenset(workflows))
