"""A knowledge store without a document."""

from collections.abc import Mapping
from typing import Any

from domain.tools.ports import SearchResult, ToolContext


class NoKnowledge:
    """An empty store, as `domain.tools.ports.Knowledge`."""

    async def search(
        self,
        query: str,
        *,
        limit: int,
        filters: Mapping[str, Any],
        context: ToolContext,
    ) -> SearchResult:
        return SearchResult((), 0)
