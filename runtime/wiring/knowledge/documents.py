"""Composes knowledge: its routes, and the activities of its workflow."""

from collections.abc import Callable

from fastapi import APIRouter
from temporalio.client import Client

from activities.knowledge.activities import IngestActivities
from activities.knowledge.document_reader import DocumentReader
from adapters.documents.extractor import ProcessExtractor
from adapters.postgres.erasures.links import PostgresUserLinks
from adapters.postgres.records.integer_ids import PostgresTenantSecrets
from adapters.web.documents import DocumentFetcher
from api.http.dependencies import Positions
from api.knowledge import routes
from api.knowledge.search_service import KnowledgeQueries
from api.knowledge.service import DocumentService, DocumentStores
from domain.knowledge.commands import DocumentCommands
from runtime.wiring.parts import Parts, now
from workflows.knowledge.client import IngestClient

FORM_BODIES = frozenset({routes.FILE_PATH})
LARGER_BODIES = dict.fromkeys((routes.INDEX_PATH, routes.FILE_PATH), routes.MAX_BODY)


def knowledge_router(parts: Parts, client: Client, live: Positions) -> APIRouter:
    """Return the router of documents, embeddings and searches."""
    found = parts.knowledge
    stores = DocumentStores(
        content=parts.content,
        eraser=parts.content,
        reads=found.documents,
        staged=found.staged,
        index=found.store,
        users=PostgresUserLinks(parts.database, PostgresTenantSecrets(parts.database)),
    )
    documents = DocumentService(DocumentCommands(parts.ledger), IngestClient(client), stores, live, now)
    return routes.router(documents, KnowledgeQueries(found.search, found.calls))


def ingest_activities(parts: Parts) -> list[Callable[..., object]]:
    """Return the activities that read and embed documents."""
    found, commands = parts.knowledge, DocumentCommands(parts.ledger)
    reader = DocumentReader(commands, parts.content, ProcessExtractor(), DocumentFetcher(), now)
    return IngestActivities(
        commands,
        parts.content,
        found.staged,
        found.store,
        found.calls,
        reader=reader,
        now=now,
    ).all()
