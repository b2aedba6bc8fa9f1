"""Checks of names: agents, tools, modes and workflows exist; no workflow includes itself."""

from collections.abc import Iterable, Iterator
from difflib import get_close_matches

from domain.graphflow.definition.model import Definition
from domain.graphflow.definition.node_types import AgentWork, SwarmWork, ToolWork, WorkflowWork
from domain.graphflow.validation.context import ValidationContext, works_of
from domain.graphflow.validation.problems import Problem


def problems(definition: Definition, known: ValidationContext) -> Iterator[Problem]:
    for node in definition.nodes:
        for field, work in works_of(node):
            yield from _of_work(f"node {node.id}", field, work, known)


def _of_work(where: str, field: str, work: object, known: ValidationContext) -> Iterator[Problem]:
    match work:
        case AgentWork():
            yield from _unknown("agent", where, f"{field}agent", [work.agent], known.agents)
            yield from _unknown("tool", where, f"{field}tools", work.tools or (), known.tools)
        case SwarmWork():
            coordinator = [work.coordinator] if work.coordinator else []
            yield from _unknown("agent", where, f"{field}agents", work.agents, known.agents)
            yield from _unknown("agent", where, f"{field}coordinator", coordinator, known.agents)
            yield from _unknown("mode", where, f"{field}mode", [work.mode], known.modes)
            yield from _duplicate_members(where, f"{field}agents", work.agents)
        case ToolWork():
            yield from _unknown("tool", where, f"{field}tool", [work.tool], known.tools)
            if work.tool in known.for_agents:
                fix = f"Have an agent do it, with {work.tool} among its tools"
                yield Problem("tool_for_agents", where, f"{field}tool", f"{work.tool} is for agents only", fix)
        case WorkflowWork():
            yield from _workflow(where, f"{field}workflow", work, known)


def _workflow(where: str, field: str, work: WorkflowWork, known: ValidationContext) -> Iterator[Problem]:
    found = known.workflows.get((work.workflow, work.version))
    if found is None:
        version = "" if work.version is None else f" in version {work.version}"
        message = f"there is no workflow {work.workflow}{version}"
        yield Problem("unknown_workflow", where, field, message, "Name one that exists, or leave its version out")
    elif known.itself is not None and known.itself in {work.workflow, *found.includes}:
        message = f"the workflow {work.workflow} includes this one, so that it would never end"
        yield Problem("includes_itself", where, field, message, "Draw a cycle with max_visits instead")


def _unknown(kind: str, where: str, field: str, names: Iterable[str], known: Iterable[str]) -> Iterator[Problem]:
    there = set(known)
    for name in names:
        if name not in there:
            near = get_close_matches(name, there, n=3)
            fix = f"Did you mean {' or '.join(near)}?" if near else f"Name one that exists: there is no such {kind}"
            yield Problem(f"unknown_{kind}", where, field, f"there is no {kind} {name}", fix.rstrip("?"))


def _duplicate_members(where: str, field: str, names: tuple[str, ...]) -> Iterator[Problem]:
    """Yield members that are named more than once."""
    for name in dict.fromkeys(each for each in names if names.count(each) > 1):
        yield Problem("agent_twice", where, field, f"{name} is named more than once", "Name each member once")
