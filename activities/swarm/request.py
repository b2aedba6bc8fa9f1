"""Records the request for a swarm, by whoever comes first: the service that accepts it, or its workflow."""

from datetime import datetime
from decimal import Decimal

from activities.swarm.messages import SwarmMember, SwarmRunRequest
from domain.events import Cause
from domain.ledger import Change, Ledger
from domain.revocations import Revoked
from domain.swarm import aggregate
from domain.swarm.events import PinnedSwarmAgent, SwarmRequested
from domain.tenant_ids import tenant_of


def record_request(ledger: Ledger, asked: SwarmRunRequest, at: datetime) -> None:
    """Record the request for a swarm once, whoever comes first.

    Raises:
        Revoked: the request was revoked.
    """
    stream = aggregate.stream(asked.task_id)
    change = Change(stream, 0, [request_event(asked, at)])
    if ledger.append(change, key=aggregate.request_key(asked.task_id)) is None and not ledger.read(stream):
        raise Revoked


def request_event(asked: SwarmRunRequest, at: datetime) -> SwarmRequested:
    """Build the event of the request."""
    return SwarmRequested(
        task_id=asked.task_id,
        mode=asked.mode,
        members=tuple(_agent(member) for member in asked.members),
        coordinator=_agent(asked.coordinator),
        key_id=asked.key_id,
        task_hash=asked.task_hash,
        rounds=asked.rounds,
        require_approval=asked.require_approval,
        context_hash=asked.context_hash,
        deadline=datetime.fromisoformat(asked.deadline) if asked.deadline else None,
        budget_usd=Decimal(asked.budget_usd) if asked.budget_usd else None,
        project_id=asked.project_id,
        **Cause(asked.key_id, asked.because, at, tenant_of(asked.task_id)).fields(),
    )


def _agent(seated: SwarmMember) -> PinnedSwarmAgent:
    values = {"agent_id": seated.agent_id, "agent_version": seated.agent_version, "hold": seated.hold}
    return PinnedSwarmAgent.model_validate(values)
