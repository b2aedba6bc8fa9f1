"""Seeding of the ledger: the agents, workflows and risk policy of this release and this operator."""

from dataclasses import dataclass

from domain.agents.commands import seed as seed_agents
from domain.approvals import policy_record
from domain.graphflow.catalogue.commands import seed as seed_workflows
from runtime.settings import Settings
from runtime.wiring.parts import Parts, agent_files, now, workflow_files


@dataclass(frozen=True, slots=True)
class SeedResult:
    """The changes: ids of agents and workflows, and the version of the risk policy if it is new."""

    agents: list[str]
    workflows: list[str]
    risk_policy: int | None


def seed_ledger(settings: Settings, parts: Parts) -> SeedResult:
    """Bring the ledger to the state of the files. Safe to repeat.

    Raises:
        Conflict: the operator's own risk policy would be replaced.
        domain.errors.Unavailable: the ledger cannot be reached.
    """
    source: policy_record.Source = "packaged" if settings.risk_policy is None else "own"
    policy = policy_record.put_in_force(parts.ledger, parts.risks, source, now())
    return SeedResult(
        agents=seed_agents(parts.ledger, agent_files(), now()),
        workflows=seed_workflows(parts.ledger, workflow_files(), now()),
        risk_policy=policy,
    )
