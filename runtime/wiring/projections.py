"""All projections of this release."""

from domain.agents.projection import AgentsProjection
from domain.analytics.projection import RatingsProjection
from domain.approvals.projection import ApprovalsProjection
from domain.audit.projection import AuditProjection
from domain.chat.projection import ChatProjection
from domain.clients.projection import ClientsProjection
from domain.components.projection import ComponentsProjection
from domain.costs.alerts.projection import CostAlertsProjection
from domain.costs.limits.projection import LimitsProjection
from domain.costs.projection import CostsProjection
from domain.erasures.projection import ErasuresProjection
from domain.governance.projection import GovernanceProjection
from domain.graphflow.catalogue.projection import WorkflowsProjection
from domain.graphflow.execution.projection import ExecutionsProjection
from domain.keys.projection import KeysProjection
from domain.knowledge.projection import KnowledgeProjection
from domain.projection import Projection
from domain.projects.projection import ProjectsProjection
from domain.providers.projection import ProvidersProjection
from domain.runbooks.projection import RunbooksProjection
from domain.schedules.projection import SchedulesProjection
from domain.swarm.projection import SwarmProjection
from domain.talents.projection import TalentsProjection
from domain.tenants.projection import TenantsProjection
from domain.tools.projection import ToolsProjection


def inline_projections() -> tuple[Projection, ...]:
    """Return new folds of the views that appends keep up to date themselves: they are only rebuilt."""
    return (LimitsProjection(),)


def projections() -> tuple[Projection, ...]:
    """Return all projections."""
    return (
        AgentsProjection(),
        ApprovalsProjection(),
        AuditProjection(),
        ChatProjection(),
        ClientsProjection(),
        ComponentsProjection(),
        CostAlertsProjection(),
        CostsProjection(),
        ErasuresProjection(),
        ExecutionsProjection(),
        GovernanceProjection(),
        KeysProjection(),
        KnowledgeProjection(),
        ProjectsProjection(),
        ProvidersProjection(),
        RatingsProjection(),
        RunbooksProjection(),
        SchedulesProjection(),
        SwarmProjection(),
        TalentsProjection(),
        TenantsProjection(),
        ToolsProjection(),
        WorkflowsProjection(),
    )
