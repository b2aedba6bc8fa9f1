"""Composes the routes of all concepts on the parts of this deployment."""

from fastapi import APIRouter
from temporalio.client import Client

from activities.graphflow.validation import CallBounds, DefinitionValidator
from api.agents import management_routes as agent_management
from api.agents import routes as agents
from api.agents.model_status import AgentModels
from api.ali import insight_routes as ali_insights
from api.ali import routes as ali
from api.ali.answers import AnswerPresenter
from api.ali.candidates import CandidateFinder
from api.ali.service import AliService
from api.ali.team_service import TeamChooser
from api.approvals import routes as approvals
from api.approvals.service import DecisionService
from api.audit import routes as audit
from api.chat import routes as chat
from api.chat import turn_routes as chat_turns
from api.chat.service import ChatService
from api.components import routes as components
from api.graphflow import definition_routes as workflows
from api.graphflow import generation_routes as workflow_generation
from api.graphflow.definition_service import DefinitionService as WorkflowDesk
from api.graphflow.generation_context import NameCatalogue
from api.graphflow.generation_service import WorkflowDesigner
from api.http.dependencies import Positions
from api.runs.context import RunContext
from api.signatures import export_routes as signature_exports
from api.signatures import routes as signatures
from api.signatures.export_service import ExportService
from api.signatures.service import SignatureService
from api.swarm import routes as swarm
from api.swarm.service import SwarmService
from domain.agents.commands import AgentCommands
from domain.agents.tools import TOOLS
from domain.ali.thresholds import Thresholds
from domain.components.commands import ComponentCommands
from domain.graphflow.catalogue.commands import WorkflowCommands
from runtime.settings import Settings
from runtime.wiring.erasures import erasure_router, retention_router
from runtime.wiring.governance import governance_routers
from runtime.wiring.knowledge.documents import knowledge_router
from runtime.wiring.parts import Parts, make_model_catalogue, now
from runtime.wiring.routes.analytics import analytics_routers
from runtime.wiring.routes.billing import billing_routers
from runtime.wiring.routes.costs import cost_routers
from runtime.wiring.routes.executions import execution_routers
from runtime.wiring.routes.people import people_routers
from runtime.wiring.run_services import RunServices
from runtime.wiring.schedules import schedule_router
from runtime.wiring.signatures import verify_signature
from workflows.approvals.update_client import ApprovalClient


def make_routers(
    settings: Settings, parts: Parts, client: Client, live: Positions, services: RunServices
) -> tuple[APIRouter, ...]:
    """Return all routers of the API besides health and its own description."""
    context, conversations, swarms = services.context, services.chats, services.swarms
    desk = _workflows(parts, live)
    return (
        signature_exports.router(_exports(parts)),
        signatures.router(_signatures(parts)),
        chat.router(conversations, parts.chats, parts.settled),
        chat_turns.router(parts.ledger, now),
        ali.router(_ali(parts, conversations, swarms, live)),
        ali_insights.router(ali_insights.InsightFinder(parts.ali, now, Thresholds())),
        agents.router(parts.agents, parts.toolbox, _models(parts)),
        agent_management.router(_desk(settings, parts, live)),
        *analytics_routers(parts),
        approvals.router(parts.approvals, _decisions(parts, client, context)),
        audit.router(parts.audit, parts.signatures.signer),
        components.router(_components(parts, live)),
        *cost_routers(parts, live),
        *billing_routers(parts),
        erasure_router(settings, parts, client, live),
        knowledge_router(parts, client, live),
        *governance_routers(settings, parts, client, services.runbooks),
        *people_routers(parts, live),
        retention_router(parts),
        swarm.router(swarms, parts.swarms, parts.content, now),
        workflows.router(desk),
        *execution_routers(parts, services.executions),
        schedule_router(parts, client, services),
        workflow_generation.router(_designer(parts, conversations, desk, live), desk),
    )


def _signatures(parts: Parts) -> SignatureService:
    keys = parts.signatures
    return SignatureService(parts.agents, keys.reader, keys.signer, verify_signature, now)


def _exports(parts: Parts) -> ExportService:
    return ExportService(
        facts=parts.exports,
        sessions=parts.chats,
        swarms=parts.swarms,
        runs=parts.runs,
        content=parts.content,
        signer=parts.signatures.signer,
    )


def _models(parts: Parts) -> AgentModels:
    return AgentModels(parts.costs, parts.model.default, now, takes_tools=parts.model.takes_tools, table=parts.table)


def _desk(settings: Settings, parts: Parts, live: Positions) -> agent_management.AgentManagement:
    commands = AgentCommands(parts.ledger, parts.agents, parts.toolbox.servers)
    return agent_management.AgentManagement(commands, parts.agents, make_model_catalogue(settings, parts), live, now)


def _components(parts: Parts, live: Positions) -> components.ComponentRouteServices:
    commands = ComponentCommands(parts.ledger)
    return components.ComponentRouteServices(commands, parts.components, parts.content, live, now)


def _workflows(parts: Parts, live: Positions) -> WorkflowDesk:
    longest = max(each.max_answer_tokens for each in parts.providers)
    calls = CallBounds(longest, any(each.takes_tools for each in parts.providers))
    proving = DefinitionValidator(
        parts.agents, parts.workflows, parts.toolbox, model=parts.model, prices=parts.prices, calls=calls, now=now
    )
    return WorkflowDesk(WorkflowCommands(parts.ledger), parts.workflows, parts.agents, proving, live, now)


def _designer(parts: Parts, conversations: ChatService, desk: WorkflowDesk, live: Positions) -> WorkflowDesigner:
    tools = (*TOOLS, *(f"{server}__*" for server in sorted(parts.toolbox.servers)))
    naming = NameCatalogue(parts.agents, parts.workflows, parts.toolbox, live, tools)
    return WorkflowDesigner(conversations, desk, parts.chats, content=parts.content, ledger=parts.ledger, naming=naming)


def _ali(parts: Parts, conversations: ChatService, swarms: SwarmService, live: Positions) -> ali.AliDependencies:
    candidates = CandidateFinder(parts.agents, live)
    return ali.AliDependencies(
        AliService(conversations, candidates, parts.chats, parts.content),
        TeamChooser(conversations, candidates, parts.chats, parts.content, live),
        AnswerPresenter(parts.tools, parts.content, live),
        swarms,
        parts.content,
        now,
    )


def _decisions(parts: Parts, client: Client, context: RunContext) -> DecisionService:
    runs = ApprovalClient(client, notices=parts.webhooks is not None)
    return DecisionService(runs, parts.ledger, parts.content, parts.instructions, now, handover=context.handover)
