"""The registry of all events by their stored names."""

from domain import revocations
from domain.agents import events as agents
from domain.approvals import events as approvals
from domain.approvals import policy_record as risk_policy
from domain.chat import events as chat
from domain.clients import events as clients
from domain.components import events as components
from domain.costs import events as costs
from domain.costs.alerts import events as cost_alerts
from domain.costs.limits import events as limits
from domain.costs.reconciliation import events as reconciliation
from domain.erasures import events as erasures
from domain.events import EventRegistry
from domain.governance import events as governance
from domain.graphflow.catalogue import events as graphflow
from domain.keys import events as keys
from domain.knowledge import events as knowledge
from domain.projects import events as projects
from domain.providers import events as providers
from domain.retention import events as retention
from domain.runbooks import events as runbooks
from domain.schedules import events as schedules
from domain.signatures import events as signatures
from domain.swarm import events as swarm
from domain.talents import events as talents
from domain.tenants import events as tenants
from domain.tools import events as tools


def event_registry() -> EventRegistry:
    """Return the registry of the events of all concepts."""
    concepts = (
        agents,
        approvals,
        chat,
        clients,
        components,
        cost_alerts,
        costs,
        erasures,
        governance,
        graphflow,
        keys,
        knowledge,
        limits,
        projects,
        providers,
        reconciliation,
        retention,
        revocations,
        risk_policy,
        runbooks,
        schedules,
        signatures,
        swarm,
        talents,
        tenants,
        tools,
    )
    return EventRegistry(event for concept in concepts for event in concept.EVENTS)
