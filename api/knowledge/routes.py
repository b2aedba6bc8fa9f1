"""Routes of documents, embeddings and searches."""

import asyncio
import base64
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Form, Path, Query, Response

from api.http.dependencies import (
    CurrentRequest,
    CurrentTenant,
    IdempotencyKey,
    IfMatch,
    Paged,
    fresh,
    requires,
    set_etag,
)
from api.http.errors import UnsupportedMediaType
from api.http.schemas import DeletedResource
from api.knowledge.schemas import (
    DocumentList,
    DocumentView,
    EmbedAnswer,
    EmbedRequest,
    FileForm,
    IndexAccepted,
    IndexRequest,
    SearchAnswer,
    SearchBody,
)
from api.knowledge.search_service import KnowledgeQueries
from api.knowledge.service import DocumentService, DocumentToIndex
from api.knowledge.views import to_document
from domain.errors import TooLarge
from domain.knowledge.aggregate import owner
from domain.knowledge.events import DocumentSubmitted
from domain.knowledge.kinds import kind_of
from domain.knowledge.policy import MAX_FILE, MAX_TITLE, NAME
from domain.knowledge.ports import DocumentFilter
from workflows.knowledge.client import workflow_id

PREFIX = "/api/v1/vector"
INDEX_PATH = f"{PREFIX}/index"
FILE_PATH = f"{INDEX_PATH}/file"
MAX_BODY = MAX_FILE + 128 * 1024
"""Maximum bytes of a request that indexes: the document, and what is sent with it."""
_DOCUMENTS = f"{PREFIX}/documents"
_Id = Annotated[str, Path(pattern=NAME)]


def router(documents: DocumentService, queries: KnowledgeQueries) -> APIRouter:
    """Build the routes `/api/v1/vector`."""
    routes = APIRouter(prefix=PREFIX, tags=["Vector Search"])
    _add_index_routes(routes, documents)
    _add_document_routes(routes, documents)
    _add_query_routes(routes, queries)
    return routes


def _add_index_routes(routes: APIRouter, documents: DocumentService) -> None:
    @routes.post("/index", status_code=202, dependencies=[requires("write")])
    async def index_document(
        body: IndexRequest, request: CurrentRequest, key: IdempotencyKey, response: Response
    ) -> IndexAccepted:
        """Indexes a document, or replaces the one that has its id: until the new version is whole, the old is found.

        `Location` tells how far it is. A `url` is fetched from the public web only. At most 10 MiB.
        """
        given = _from_body(body)
        submitted = await documents.submit(given, request.cause(documents.now()), key)
        return _to_accepted(submitted, response)

    @routes.post("/index/file", status_code=202, dependencies=[requires("write")])
    async def index_file(
        form: Annotated[FileForm, Form(media_type="multipart/form-data")],
        request: CurrentRequest,
        key: IdempotencyKey,
        response: Response,
    ) -> IndexAccepted:
        """Indexes a file: text, Markdown, HTML, PDF, DOCX, PPTX, XLSX, CSV or an e-mail, of at most 10 MiB.

        Its kind is that of its media type, its name and its first bytes; 415 if it is none of these.
        """
        given = await _from_form(form)
        submitted = await documents.submit(given, request.cause(documents.now()), key)
        return _to_accepted(submitted, response)


def _add_document_routes(routes: APIRouter, documents: DocumentService) -> None:
    viewing = [requires("read"), fresh("knowledge")]

    @routes.get("/documents", dependencies=viewing)
    def list_documents(
        tenant_id: CurrentTenant,
        page: Paged,
        collection: Annotated[str | None, Query(pattern=NAME)] = None,
        status: Literal["processing", "indexed", "failed"] | None = None,
    ) -> DocumentList:
        """Lists the documents of the caller's tenant, in the order of their ids."""
        wanted = DocumentFilter(tenant_id, collection, status)
        found, details = documents.page(wanted, skip=page.skip, limit=page.limit)
        fields: dict[str, Any] = page.listing_fields(found.total)
        return DocumentList(data=[to_document(each) for each in details], **fields)

    @routes.get("/documents/{document_id}", dependencies=viewing)
    def get_document(document_id: _Id, tenant_id: CurrentTenant, response: Response) -> DocumentView:
        """Returns a document: its status, how far its indexing is, or the reason for which it failed."""
        document = to_document(documents.get(tenant_id, document_id))
        set_etag(response, document.version)
        return document

    @routes.delete("/documents/{document_id}", dependencies=[requires("write")])
    async def delete_document(document_id: _Id, request: CurrentRequest, expected: IfMatch) -> DeletedResource:
        """Deletes a document with its texts, chunks and embeddings. Nobody finds it from then on."""
        await documents.delete(document_id, request.cause(documents.now()), check=expected.check)
        return DeletedResource(id=document_id)


def _add_query_routes(routes: APIRouter, queries: KnowledgeQueries) -> None:
    @routes.post("/search", dependencies=[requires("read")])
    async def search_documents(body: SearchBody, request: CurrentRequest) -> SearchAnswer:
        """Searches the documents of the caller's tenant, by meaning, by words, or by both.

        `skip` and `limit` page through one order of at most 200 chunks of each ranking.
        """
        return await queries.search(body, request)

    @routes.post("/embed", dependencies=[requires("write")])
    async def embed_texts(body: EmbedRequest, request: CurrentRequest) -> EmbedAnswer:
        """Embeds texts: with the local model, or with any model of the deployment's provider.

        The call is booked in the cost ledger with the kind `embedding`.
        """
        return await queries.embed(body, request)


def _from_body(body: IndexRequest) -> DocumentToIndex:
    is_url = body.url is not None
    return DocumentToIndex(
        source="url" if is_url else "text",
        kind="text" if is_url else body.format,
        title=(body.title or body.url or "")[:MAX_TITLE],
        stored=body.content,
        size=_check_size(len((body.content or "").encode())),
        url=body.url,
        metadata=body.metadata,
        document_id=body.document_id,
        collection=body.collection,
        user_id=body.context.user_id,
    )


async def _from_form(form: FileForm) -> DocumentToIndex:
    content = await form.file.read()
    name = form.file.filename or ""
    kind = kind_of(form.file.content_type or "", name, content)
    if kind is None:
        raise UnsupportedMediaType("the file is no text, Markdown, HTML, PDF, DOCX, PPTX, XLSX, CSV or e-mail")
    encoded = await asyncio.to_thread(base64.b64encode, content)
    title = form.title or " ".join(name.replace("\x00", " ").split())[:MAX_TITLE] or "Untitled"
    return DocumentToIndex(
        source="file",
        kind=kind,
        title=title,
        stored=encoded.decode(),
        size=_check_size(len(content)),
        metadata=form.metadata or {},
        document_id=form.document_id,
        collection=form.collection,
        user_id=form.user_id,
    )


def _check_size(size: int) -> int:
    if size > MAX_FILE:
        raise TooLarge(f"the document exceeds {MAX_FILE} bytes", limit=MAX_FILE)
    return size


def _to_accepted(submitted: DocumentSubmitted, response: Response) -> IndexAccepted:
    response.headers["location"] = f"{_DOCUMENTS}/{submitted.document_id}"
    set_etag(response, submitted.generation)
    return IndexAccepted(
        document_id=submitted.document_id,
        version=submitted.generation,
        collection=submitted.collection,
        workflow_id=workflow_id(owner(submitted.tenant_id, submitted.document_id)),
    )
