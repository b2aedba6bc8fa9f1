"""The registry of all events by their stored names."""

from domain import revocations
from domain.agents import events as agents
from domain.approvals import events as approvals
from domain.approvals import policy_record as risk_policy
from domain.chat import events as chat
from domain.components import events as components
from domain.costs import events as costs
from domain.events import EventRegistry
from domain.graphflow.catalogue import events as graphflow
from domain.schedules import events as schedules
from domain.swarm import events as swarm
from domain.tools import events as tools


def event_registry() -> EventRegistry:
    """Return the registry of the events of all concepts."""
    concepts = (
        agents,
        approvals,
        chat,
        components,
        costs,
        graphflow,
        revocations,
        risk_policy,
        schedules,
        swarm,
        tools,
    )
    return EventRegistry(event for concept in concepts for event in concept.EVENTS)
