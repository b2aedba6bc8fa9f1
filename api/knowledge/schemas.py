"""Request and response models of knowledge."""

from typing import Annotated, Any, Literal, Self

from fastapi import UploadFile
from pydantic import ConfigDict, Field, Json, JsonValue, model_validator

from api.http.schemas import Body, Listing, Measure, Money, Timestamp, View
from domain.knowledge.filters import MAX_CONDITIONS
from domain.knowledge.policy import MAX_FILE, MAX_METADATA, MAX_TITLE, NAME

MAX_QUERY = 2_000
MAX_RESULTS = 100
MAX_SKIP = 1_000
MAX_TEXTS = 256
MAX_TEXT = 32_000

DocumentId = Annotated[str, Field(pattern=NAME)]
Collection = Annotated[
    str,
    Field(
        pattern=NAME,
        description="`default` if left out. Agents search `default`, `agent:<id>` and the `project:<id>` of their run, "
        "unless they are bound to others.",
    ),
]
Title = Annotated[str, Field(min_length=1, max_length=MAX_TITLE, pattern=r"\S")]
Metadata = Annotated[
    dict[str, JsonValue],
    Field(
        description=f"Up to {MAX_METADATA} bytes of JSON. `date` (ISO 8601) is the document's date, which is otherwise "
        "the day of its submission.",
    ),
]
UserId = Annotated[str, Field(min_length=1, max_length=128)]


class DocumentContext(Body):
    """The user whose document it is: an erasure of the user removes it. Other keys are allowed and ignored."""

    model_config = ConfigDict(extra="allow", str_max_length=10_000)

    user_id: UserId | None = None


class IndexRequest(Body):
    """A document to index: its `content`, or the `url` that it is fetched from."""

    model_config = ConfigDict(str_max_length=MAX_FILE)

    title: Annotated[Title | None, Field(description="Needed with `content`; of a `url` it is the URL otherwise.")] = (
        None
    )
    content: Annotated[str | None, Field(min_length=1)] = None
    format: Literal["text", "markdown", "html"] = "markdown"
    url: Annotated[str | None, Field(min_length=8, max_length=2_000, pattern=r"^https?://[^\s/]+")] = None
    metadata: Metadata = Field(default_factory=dict)
    document_id: Annotated[DocumentId | None, Field(description="Replaces the document that has this id.")] = None
    collection: Collection | None = None
    context: DocumentContext = DocumentContext()

    @model_validator(mode="after")
    def _has_one_source(self) -> Self:
        if (self.content is None) == (self.url is None):
            raise ValueError("needs either content or url")
        if self.content is not None and self.title is None:
            raise ValueError("content needs a title")
        return self


class FileForm(Body):
    """A document to index, as a file."""

    model_config = ConfigDict(str_max_length=MAX_METADATA)

    file: UploadFile
    title: Annotated[Title | None, Field(description="The file's name if left out.")] = None
    metadata: Annotated[Json[dict[str, JsonValue]] | None, Field(description="A JSON object.")] = None
    document_id: DocumentId | None = None
    collection: Collection | None = None
    user_id: UserId | None = None


class IndexAccepted(View):
    """A submission that was accepted. `version` counts the submissions of a document."""

    document_id: str
    status: Literal["processing"] = "processing"
    version: int
    collection: str
    workflow_id: str


class Progress(View):
    """How many chunks of the newest version are embedded."""

    done: int
    total: int


class DocumentError(View):
    """The reason for which the newest version cannot be indexed; the version before can still be found."""

    code: str
    message: str


class DocumentView(View):
    """A document. `searchable_version` is the version that can be found, and null while there is none.

    Title, metadata and URL are null where they were erased. `chunks`, `words`, `pages`, `tokens`, `model` and
    `dimensions` are those of the searchable version.
    """

    document_id: str
    title: str | None
    collection: str
    status: Literal["processing", "indexed", "failed"]
    version: int
    searchable_version: int | None
    source: Literal["text", "file", "url"]
    format: str
    url: str | None
    size: Annotated[int, Field(description="Bytes of the newest version.")]
    metadata: dict[str, Any] | None
    progress: Progress | None
    error: DocumentError | None
    chunks: int
    words: int
    pages: int | None
    tokens: int
    model: str | None
    dimensions: int | None
    submitted_by: str
    created_at: Timestamp
    updated_at: Timestamp


class DocumentList(Listing):
    """A page of documents, in the order of their ids."""

    data: list[DocumentView]


class SearchBody(Body):
    """A search."""

    query: Annotated[str, Field(min_length=1, max_length=MAX_QUERY, pattern=r"\S")]
    filters: Annotated[
        dict[str, JsonValue],
        Field(
            max_length=MAX_CONDITIONS,
            description="Conditions on metadata, all of which have to hold: a value (equal, or in a list), a list (any "
            'of its values), or a range such as `{"gte": 10, "lt": 20}`. `date_range` is on the date of the document: '
            '`"2024-2025"`, a date, or `{"from": …, "to": …}`. They apply before the ranking.',
        ),
    ] = Field(default_factory=dict)
    limit: Annotated[int, Field(ge=1, le=MAX_RESULTS)] = 10
    skip: Annotated[int, Field(ge=0, le=MAX_SKIP)] = 0
    mode: Annotated[
        Literal["hybrid", "vector", "keyword"],
        Field(description="By meaning (`vector`), by words (`keyword`, BM25), or by both."),
    ] = "hybrid"
    fusion: Annotated[
        Literal["rrf", "relative_score"], Field(description="How `hybrid` combines the two rankings.")
    ] = "rrf"
    alpha: Annotated[float, Field(ge=0, le=1, description="The weight of `vector` in `hybrid`.")] = 0.5
    collections: Annotated[list[Collection], Field(max_length=100, description="All of the tenant if left out.")] = (
        Field(default_factory=list)
    )
    document_ids: Annotated[list[DocumentId], Field(max_length=100)] = Field(default_factory=list)


class SearchHit(View):
    """A chunk that was found. `score` is the similarity, BM25, or the fused score, by the search's mode.

    `scores` are those in each of the rankings. `highlights` are fragments as HTML, with `<mark>` around words of the
    query; everything else in them is escaped.
    """

    document_id: str
    chunk_id: str
    title: str
    content: str
    score: Measure
    metadata: dict[str, Any]
    collection: str
    heading: str | None
    page: int | None
    highlights: list[str]
    scores: dict[str, Measure]


class SearchAnswer(View):
    """The chunks that fit best. `total` is the number of ranked chunks, at most 200 of each of the two rankings."""

    results: list[SearchHit]
    total: int
    skip: int
    limit: int
    mode: Literal["hybrid", "vector", "keyword"]
    took_ms: int


class EmbedRequest(Body):
    """Texts to embed. Without `model` the one that documents are embedded with is used."""

    text: (
        Annotated[str, Field(min_length=1, max_length=MAX_TEXT)]
        | Annotated[
            list[Annotated[str, Field(min_length=1, max_length=MAX_TEXT)]], Field(min_length=1, max_length=MAX_TEXTS)
        ]
    )
    model: Annotated[str, Field(min_length=1, max_length=200)] | None = None


class EmbedUsage(View):
    """Tokens as the model counts them, and their cost in US dollars."""

    prompt_tokens: int
    total_tokens: int
    cost: Money


class EmbedAnswer(View):
    """A vector of length 1 for each text, in their order."""

    embeddings: list[list[float]]
    model: str
    dimensions: int
    usage: EmbedUsage
