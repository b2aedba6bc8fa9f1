"""Composes the services that start runs: for the routes, and for a worker that starts scheduled work."""

import asyncio
from dataclasses import dataclass

from temporalio.client import Client

from activities.graphflow.context import graph_parts
from activities.graphflow.execution_activities import RunActivities
from activities.graphflow.messages import RunControlRequest, RunRequest, RunStart
from activities.graphflow.plans import WorkflowPlans
from adapters.postgres.erasures.links import PostgresUserLinks
from adapters.postgres.ledger.pool import Database
from adapters.postgres.projections.positions import MAX_WAIT_S, head_and_position
from adapters.postgres.records.integer_ids import PostgresTenantSecrets
from api.chat.service import ChatService
from api.governance.runbook_service import RunbookService
from api.graphflow.execution_service import ExecutionRecorder, ExecutionService
from api.http.dependencies import Positions
from api.http.handover import WorkHandover
from api.runs.context import RunContext
from api.swarm.service import SwarmService
from domain.graphflow.catalogue.commands import WorkflowCommands
from domain.revocations import Revocations
from runtime.settings import Settings
from runtime.wiring.parts import Parts, now
from runtime.wiring.runbooks import make_runbook_service
from workflows.chat.client import ChatClient
from workflows.graphflow.client import ExecutionClient
from workflows.swarm.client import SwarmClient
from workflows.task_queues import WORKFLOW_QUEUE, model_queue

_POLL_S = 0.05


@dataclass(frozen=True, slots=True)
class RunServices:
    """The services of all kinds of runs."""

    context: RunContext
    chats: ChatService
    swarms: SwarmService
    executions: ExecutionService
    runbooks: RunbookService


def make_run_services(settings: Settings, parts: Parts, client: Client, positions: Positions) -> RunServices:
    """Return the services on the parts of this deployment."""
    context = make_run_context(settings, parts, positions)
    return RunServices(
        context,
        ChatService(ChatClient(client), parts.admission, parts.chats, context),
        SwarmService(SwarmClient(client), parts.directory, parts.swarms, context),
        ExecutionService(
            ExecutionClient(client),
            parts.runs,
            WorkflowCommands(parts.ledger),
            _make_recorder(settings, parts),
            context,
        ),
        make_runbook_service(parts, client, positions),
    )


def make_run_context(settings: Settings, parts: Parts, positions: Positions) -> RunContext:
    """Return what the services share."""
    return RunContext(
        ledger=parts.ledger,
        content=parts.content,
        positions=positions,
        handover=WorkHandover(Revocations(parts.ledger), now),
        now=now,
        call_timeout_s=settings.longest_answer.total_seconds(),
        pause_s=settings.model_pause_s,
        users=PostgresUserLinks(parts.database, PostgresTenantSecrets(parts.database)),
    )


def _make_recorder(settings: Settings, parts: Parts) -> ExecutionRecorder:
    queue, plans = (
        WORKFLOW_QUEUE if settings.model_queue == "shared" else model_queue(parts.provider.name),
        WorkflowPlans(parts.ledger),
    )

    def runs() -> RunActivities:
        # a fresh cache of runs for each call: workers keep appending to them
        graphs = graph_parts(parts.ledger, parts.content, now, plans=plans, signer=parts.signatures.signer)
        return RunActivities(parts.directory, parts.toolbox, now, parts=graphs, model_queue=queue)

    async def begin(asked: RunRequest) -> RunStart:
        return await runs().begin_run(asked)

    def reopen(asked: RunRequest, request: RunControlRequest) -> RunStart:
        return runs().reopen_run(asked, request)

    return ExecutionRecorder(begin, reopen, lambda *place: plans.plan(*place).definition)


class PolledPositions:
    """`Positions` of a process that waits for views too rarely to listen for them."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def wait(self, projection: str) -> bool:
        """Wait until the projection has all events recorded so far, 1 s at most. False if it has not by then.

        Raises:
            domain.errors.Unavailable: the database cannot be reached.
        """
        loop = asyncio.get_running_loop()
        end = loop.time() + MAX_WAIT_S
        head, position = await asyncio.to_thread(head_and_position, self._database, projection)
        while position < head and loop.time() < end:
            await asyncio.sleep(_POLL_S)
            _, position = await asyncio.to_thread(head_and_position, self._database, projection)
        return position >= head
