"""`search_knowledge`: passages of the indexed documents."""

from collections.abc import Mapping
from typing import Any

from domain.errors import Unavailable
from domain.tools.ports import Knowledge, SearchResult, ToolContext, ToolFailed, ToolResult
from domain.tools.spec import ToolSpec

_SOURCE = "knowledge"
_SPEC = ToolSpec(
    name="search_knowledge",
    description="Search the documents that this platform has indexed, and get the passages that fit best.",
    parameters={
        "type": "object",
        "properties": {
            "query": {
                "type": "string",
                "minLength": 1,
                "maxLength": 1000,
                "description": "What to look for, in words.",
            },
            "limit": {
                "type": "integer",
                "minimum": 1,
                "maximum": 10,
                "description": "Passages at most; 5 if left out.",
            },
            "filters": {
                "type": "object",
                "description": "Only documents whose metadata has these values; a list means any of them.",
                "additionalProperties": True,
            },
        },
        "required": ["query"],
        "additionalProperties": False,
    },
)


class SearchKnowledge:
    """`domain.tools.ports.Tool` over the knowledge store."""

    spec = _SPEC

    def __init__(self, knowledge: Knowledge) -> None:
        self._knowledge = knowledge

    async def call(self, arguments: Mapping[str, Any], context: ToolContext) -> ToolResult:
        del context
        limit, filters = arguments.get("limit", 5), arguments.get("filters", {})
        try:
            found = await self._knowledge.search(arguments["query"], limit=limit, filters=filters)
        except Unavailable as error:  # the turn goes on without it
            raise ToolFailed("The knowledge store cannot be reached now. Say so if you answer without it.") from error
        documents = dict.fromkeys(f"document:{passage.document_id}" for passage in found.passages)
        return ToolResult(_text(found), (_SOURCE, *documents))


def _text(found: SearchResult) -> str:
    if not found.documents:
        return "No documents are indexed, so there is nothing to find."
    if not found.passages:
        return f"None of the {found.documents} indexed documents has a passage that fits."
    return "\n\n".join(
        f"[{number}] {passage.title} (document {passage.document_id}, score {passage.score:.2f})\n{passage.text}"
        for number, passage in enumerate(found.passages, 1)
    )
