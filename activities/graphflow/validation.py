"""Validates a definition against the deployment: agents and their models' prices, tools, modes, other workflows."""

import asyncio
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from decimal import Decimal
from functools import partial

from domain.agents.ports import AgentFilter, AgentReads
from domain.agents.projection import AgentRow
from domain.agents.tools import TOOLS, canonical
from domain.chat.model_port import Model
from domain.chat.steps import MOST_CORRECTIONS, MOST_STEPS
from domain.costs.ports import Prices, worst_price
from domain.errors import Invalid
from domain.graphflow.catalogue.ports import WorkflowReads
from domain.graphflow.definition.documents import definition_from
from domain.graphflow.definition.model import Definition
from domain.graphflow.definition.node_types import WorkflowWork
from domain.graphflow.validation.context import MOST_NESTED, KnownWorkflow, ValidationContext, names_in, works_of
from domain.graphflow.validation.problems import Problem, Validation
from domain.graphflow.validation.validate import validate
from domain.swarm.plans import PLANS
from domain.swarm.task import MODES, ROUNDS, Mode, SwarmTask
from domain.tools.ports import Toolbox
from domain.tools.spec import ToolSpec

_ALL_AGENTS = 100_000

Ref = tuple[str, int | None]


@dataclass(frozen=True, slots=True)
class CallBounds:
    """The bounds of a model call: the longest answer in tokens, and whether tools are offered to models."""

    max_answer_tokens: int
    takes_tools: bool

    @property
    def per_turn(self) -> int:
        return MOST_STEPS if self.takes_tools else 1 + MOST_CORRECTIONS


class DefinitionValidator:
    """Validates definitions. An unreachable server is `domain.errors.Unavailable`."""

    def __init__(
        self,
        agents: AgentReads,
        workflows: WorkflowReads,
        toolbox: Toolbox,
        *,
        model: Model,
        prices: Prices,
        calls: CallBounds,
        now: Callable[[], datetime],
    ) -> None:
        self._agents = agents
        self._workflows = workflows
        self._toolbox = toolbox
        self._model = model
        self._prices = prices
        self._calls = calls
        self._now = now

    async def validate(self, tenant_id: str, definition: Definition, *, itself: str | None = None) -> Validation:
        """What is wrong with a tenant's definition, and the most that a run can take.

        `itself` is the id it is kept under.
        """
        seen = _Observer(tenant_id, await self._max_call_costs(tenant_id))
        return await self._validate(definition, seen, itself, MOST_NESTED)

    async def _validate(self, definition: Definition, seen: "_Observer", itself: str | None, depth: int) -> Validation:
        named = names_in(definition)
        inner = await self._called_workflows(named.workflows, seen, depth)
        tools = await self._tools(named.tools)
        known = ValidationContext(
            seen.agents,
            {name: spec.parameters for name, spec in tools.items()},
            {mode: _turn_bound(mode) for mode in MODES},
            {ref: found for ref, (found, _) in inner.items()},
            self._calls.per_turn,
            itself,
            frozenset(name for name, spec in tools.items() if spec.runs != "activity"),
        )
        proven = await asyncio.to_thread(validate, definition, known)
        flawed = {ref: flaw for ref, (_, flaw) in inner.items() if flaw}
        told = (*_child_problems(definition, flawed), *proven.errors)
        return replace(proven, errors=told, worst_case=None if told else proven.worst_case)

    async def _called_workflows(
        self, named: Iterable[Ref], seen: "_Observer", depth: int
    ) -> dict[Ref, tuple[KnownWorkflow, Problem | None]]:
        """Return the workflows that a definition calls, each with its first problem, if any."""
        rows = await asyncio.to_thread(self._workflows.versions_by_ref, seen.tenant_id, named)
        found: dict[Ref, tuple[KnownWorkflow, Problem | None]] = {}
        for ref, row in rows.items():
            definition = definition_from(row.definition)
            if depth == 0:
                found[ref] = KnownWorkflow(definition.input), _too_deep(ref)
                continue
            proven = await self._validate(definition, seen, ref[0], depth - 1)
            found[ref] = await self._known_workflow(seen.tenant_id, definition, proven), next(iter(proven.errors), None)
        return found

    async def _known_workflow(self, tenant_id: str, definition: Definition, proven: Validation) -> KnownWorkflow:
        worst = proven.worst_case
        return KnownWorkflow(
            definition.input,
            await asyncio.to_thread(self._included_ids, tenant_id, definition, MOST_NESTED),
            worst.model_calls if worst else 0,
            worst.cost_usd if worst else Decimal(0),
        )

    def _included_ids(self, tenant_id: str, definition: Definition, depth: int) -> frozenset[str]:
        named = names_in(definition).workflows
        below = self._workflows.versions_by_ref(tenant_id, named).values() if depth else ()
        deeper = (self._included_ids(tenant_id, definition_from(row.definition), depth - 1) for row in below)
        return frozenset({workflow_id for workflow_id, _ in named}).union(*deeper)

    async def _max_call_costs(self, tenant_id: str) -> dict[str, Decimal]:
        """Return the highest cost of a model call of each agent, by its id and its aliases."""
        wanted = AgentFilter(tenant_id, status="active")
        found = await asyncio.to_thread(self._agents.page, wanted, skip=0, limit=_ALL_AGENTS)
        models = {agent.id: (agent.model or self._model.default, *agent.fallback_models) for agent in found.agents}
        costs = {
            model: await self._max_call_cost(model) for model in {each for named in models.values() for each in named}
        }
        return {
            name: max(costs[model] for model in models[agent.id]) for agent in found.agents for name in _names(agent)
        }

    async def _max_call_cost(self, model: str) -> Decimal:
        window = await self._model.window(model)
        answer = min(self._calls.max_answer_tokens, window)
        worst = partial(worst_price, self._prices, model, prompt_tokens=window - answer, completion_tokens=answer)
        return (await asyncio.to_thread(worst, at=self._now())).cost  # it may read the ledger

    async def _tools(self, named: Iterable[str]) -> dict[str, ToolSpec]:
        """Return all platform tools and the named ones, by the names used in the definition."""
        names = [*TOOLS, *named]
        there = {spec.name: spec for spec in await self._toolbox.offered_specs(names)}
        proper = dict(zip(names, (canonical([name])[0] for name in names), strict=True))
        return {name: there[proper[name]] for name in names if proper[name] in there}


@dataclass(frozen=True, slots=True)
class _Observer:
    """Whose definition is proven, and the most that a call of each agent that the tenant sees costs, by its names."""

    tenant_id: str
    agents: Mapping[str, Decimal]


def refuse_invalid(validation: Validation) -> None:
    """Return if the definition is valid.

    Raises:
        Invalid: it is not; `errors` lists up to 100 problems as {field, reason, code, where, fix}.
    """
    if validation.valid:
        return
    errors = [problem_details(problem) for problem in validation.errors]
    raise Invalid(str(validation.errors[0]), field=errors[0]["field"], reason=errors[0]["reason"], errors=errors)


def problem_details(problem: Problem) -> dict[str, str]:
    """Return a problem as one of the errors of a refusal."""
    field = f"{problem.where}: {problem.field}" if problem.field else problem.where
    reason = f"{problem.message}. {problem.fix}."
    return {"field": field, "reason": reason, "code": problem.code, "where": problem.where, "fix": problem.fix}


def _names(agent: AgentRow) -> Iterable[str]:
    return (agent.id, *agent.aliases)


def _turn_bound(mode: Mode) -> Callable[[int, int | None], int]:
    def turns(members: int, rounds: int | None) -> int:
        seats = tuple(f"member_{place}" for place in range(members))
        return PLANS[mode].planned_turns(SwarmTask(mode, seats, "coordinator", "", rounds=rounds or ROUNDS))

    return turns


def _child_problems(definition: Definition, flawed: Mapping[Ref, Problem]) -> Iterable[Problem]:
    for node in definition.nodes:
        for field, work in works_of(node):
            if isinstance(work, WorkflowWork) and (flaw := flawed.get((work.workflow, work.version))):
                message = f"the workflow {work.workflow} cannot run itself ({flaw.where}: {flaw.message})"
                fix = "Put that workflow right first, or name another version of it"
                yield Problem("flawed_workflow", f"node {node.id}", f"{field}workflow", message, fix)


def _too_deep(ref: Ref) -> Problem:
    message = f"workflows are inside each other more than {MOST_NESTED} deep"
    return Problem("too_deep", f"workflow {ref[0]}", "", message, "Draw some of them as one")
