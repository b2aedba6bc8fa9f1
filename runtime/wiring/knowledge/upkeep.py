"""Composes the upkeep of knowledge: its runbook, and the reconciliation of documents."""

from collections.abc import Callable

from temporalio.client import Client

from activities.reconcile.documents import DocumentReconciler
from activities.runbooks.knowledge import KnowledgeSteps
from domain.knowledge.commands import DocumentCommands
from runtime.wiring.parts import Parts, now
from workflows.knowledge.client import IngestClient


def knowledge_steps(parts: Parts, client: Client) -> KnowledgeSteps:
    """Return the steps of the runbook `reindex-knowledge`."""
    found, start = parts.knowledge, IngestClient(client).start
    return KnowledgeSteps(DocumentCommands(parts.ledger), found.documents, found.models.default, start=start, now=now)


def document_reconciler(parts: Parts, client: Client) -> list[Callable[..., object]]:
    """Return the activity that reconciles documents."""
    return DocumentReconciler(parts.knowledge.documents, IngestClient(client).start).all()
