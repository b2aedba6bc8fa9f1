"""Composes reconciliation, after a restoration and otherwise, for the command that runs it at once."""

from functools import partial

from temporalio.client import Client

from activities.approvals.activities import ApprovalActivities
from activities.chat.activities import ChatActivities
from activities.costs.bookkeeping import CostLedger
from activities.graphflow.execution_stream import RunStreams
from activities.reconcile.activities import ReconcileActivities
from activities.reconcile.erasures import ErasureReconciler
from activities.reconcile.executions import RunReconciler
from activities.reconcile.runbooks import RunbookReconciler
from activities.reconcile.schedules import ScheduleReconciler
from activities.reconcile.swarms import SwarmReconciler
from activities.recovery.comparison import StoreComparison
from activities.recovery.settlement import RecoveryCommands, RecoveryReads, RecoverySettlement
from activities.recovery.temporal_runs import OpenRuns
from activities.schedules.activities import ScheduleActivities
from activities.schedules.settlement import ScheduleSettlement
from activities.swarm.activities import SwarmActivities
from adapters.postgres.erasures.views import PostgresErasures
from adapters.postgres.operations.runbooks import PostgresRunbooks
from adapters.postgres.recovery.open_work import PostgresOpenWork
from domain.approvals import policy_record
from runtime.settings import Settings
from runtime.wiring.parts import Parts, now
from runtime.wiring.schedules import work_starter
from workflows.approvals.start import start_approval
from workflows.erasures.client import ErasureClient
from workflows.runbooks.client import RunbookClient
from workflows.schedules.client import TemporalTimers
from workflows.task_queues import WORKFLOW_QUEUE


def make_settlement(settings: Settings, parts: Parts, client: Client) -> RecoverySettlement:
    """Return the settlement of a restored system."""
    timers = TemporalTimers(client)
    reads = RecoveryReads(PostgresOpenWork(parts.database), parts.chats, parts.swarms, parts.runs, parts.schedules)
    commands = RecoveryCommands(
        books=CostLedger(parts.ledger, parts.prices, now),
        chat=ChatActivities(parts.ledger, now, model_queue=WORKFLOW_QUEUE),
        swarms=_swarms(parts),
        executions=_executions(parts, client),
        approvals=_approvals(parts, client),
        firings=ScheduleActivities(parts.ledger, parts.content, work_starter(settings, parts, client), now),
        schedules=ScheduleSettlement(parts.ledger, timers),
        timers=timers,
    )
    return RecoverySettlement(OpenRuns(client), reads, commands, now)


def make_comparison(settings: Settings, parts: Parts, client: Client) -> StoreComparison:
    """Return the comparison of a running system's stores."""
    books = CostLedger(parts.ledger, parts.prices, now)
    chat = ChatActivities(parts.ledger, now, model_queue=WORKFLOW_QUEUE)
    settlement = ScheduleSettlement(parts.ledger, TemporalTimers(client))
    return StoreComparison(
        ReconcileActivities(books, chat, costs=parts.costs, chats=parts.chats, client=client, now=now),
        SwarmReconciler(_swarms(parts), parts.swarms, client, now),
        _executions(parts, client),
        ScheduleReconciler(settlement, parts.schedules),
        ErasureReconciler(PostgresErasures(parts.database), ErasureClient(client, settings.text_cache_s).start),
        RunbookReconciler(PostgresRunbooks(parts.database), RunbookClient(client).start),
    )


def _swarms(parts: Parts) -> SwarmActivities:
    return SwarmActivities(parts.ledger, parts.content, now, model_queue=WORKFLOW_QUEUE, signer=parts.signatures.signer)


def _executions(parts: Parts, client: Client) -> RunReconciler:
    return RunReconciler(RunStreams(parts.ledger, parts.signatures.signer), parts.runs, client, now)


def _approvals(parts: Parts, client: Client) -> ApprovalActivities:
    return ApprovalActivities(
        parts.ledger,
        parts.instructions,
        parts.content,
        partial(policy_record.policy_in_force, parts.ledger),
        now,
        start=partial(start_approval, client),
        signer=parts.signatures.signer,
    )
