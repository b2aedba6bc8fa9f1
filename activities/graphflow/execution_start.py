"""Decides the start of a run: the versions that it pins, and the reason it cannot run, if there is one."""

from collections.abc import Callable, Collection, Iterator
from datetime import datetime
from decimal import Decimal

from activities.graphflow.expression_data import Values, with_defaults
from activities.graphflow.messages import RunRequest
from activities.graphflow.outputs import schema_problem
from activities.graphflow.plans import WorkflowPlan, WorkflowPlans
from domain.agents.names import ALI
from domain.events import Cause, Event
from domain.graphflow.execution.events import PinnedAgent, PinnedWorkflow, PlannedNode, RunEnded, RunStarted
from domain.graphflow.validation.context import MOST_NESTED, names_in
from domain.swarm.plans import PLANS
from domain.swarm.ports import AgentDirectory
from domain.tenant_ids import tenant_of


class RunStartDecider:
    """Decides the starts of runs. It records nothing."""

    def __init__(
        self, agents: AgentDirectory, plans: WorkflowPlans, values: Values, now: Callable[[], datetime]
    ) -> None:
        self._agents = agents
        self._plans = plans
        self._values = values
        self._now = now

    def events(self, asked: RunRequest, plan: WorkflowPlan, missing_tools: Collection[str]) -> list[Event]:
        """Return the event that starts a run; one that cannot run is ended at once, as failed."""
        cause = Cause(asked.key_id, asked.because, self._now(), tenant_of(asked.execution_id))
        named = names_in(plan.definition)
        wanted = {*named.agents, *([ALI] if named.modes else [])}
        tenant_id = tenant_of(asked.execution_id)
        agents = self._agents.find_deployed(tenant_id, sorted(wanted)) if wanted else {}
        newest = {name: self._plans.newest(tenant_id, name) for name, version in named.workflows if version is None}
        started = RunStarted(
            execution_id=asked.execution_id,
            workflow_id=asked.workflow_id,
            version=asked.version,
            name=plan.definition.name,
            key_id=asked.key_id,
            input_hash=asked.input_hash,
            root_id=asked.root,
            nodes=tuple(PlannedNode(id=node.id, type=node.type) for node in plan.definition.nodes),
            agents=tuple(
                PinnedAgent(name=name, agent_id=agent.agent_id, version=agent.agent_version, hold=agent.hold)
                for name, agent in sorted(agents.items())
            ),
            workflows=tuple(
                PinnedWorkflow(workflow_id=name, version=version) for name, version in sorted(newest.items()) if version
            ),
            context_hash=asked.context_hash,
            project_id=asked.project_id,
            parent_id=asked.parent_id,
            budget_usd=Decimal(asked.budget_usd) if asked.budget_usd else None,
            **cause.fields(),
        )
        problems = [*self._problems(asked, plan, named.agents - agents.keys())]
        problems += [("TOOL_UNKNOWN", f"there is no tool {name} here") for name in missing_tools]
        if not problems:
            return [started]
        code, reason = problems[0]
        ended = RunEnded(execution_id=asked.execution_id, status="failed", code=code, reason=reason, **cause.fields())
        return [started, ended]

    def _problems(self, asked: RunRequest, plan: WorkflowPlan, no_agents: Collection[str]) -> Iterator[tuple[str, str]]:
        given = with_defaults(plan.definition.input, self._values.get_one(asked.execution_id, asked.input_hash))
        if problem := schema_problem(plan.definition.input, given):
            yield "INPUT_INVALID", f"the input: {problem}"
        if asked.depth > MOST_NESTED:
            yield "TOO_DEEP", f"workflows stand inside each other more than {MOST_NESTED} deep"
        for name in sorted(no_agents):
            yield "AGENT_UNKNOWN", f"there is no agent {name}, or it is not deployed"
        for name in sorted({name for name, _ in names_in(plan.definition).workflows}):
            if (why := self._plans.start_problem(tenant_of(asked.execution_id), name)) is not None:
                yield "WORKFLOW_UNKNOWN", why
        for mode in sorted(names_in(plan.definition).modes - PLANS.keys()):
            yield "MODE_UNKNOWN", f"there is no swarm mode {mode}"
