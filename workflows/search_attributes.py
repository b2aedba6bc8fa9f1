"""Search attributes of all workflows, for the Temporal Web UI."""

from temporalio.common import SearchAttributeKey, SearchAttributePair, TypedSearchAttributes

KIND = SearchAttributeKey.for_keyword("ConvergioKind")
AGENT = SearchAttributeKey.for_keyword("AgentId")
PROJECT = SearchAttributeKey.for_keyword("ProjectId")
API_KEY = SearchAttributeKey.for_keyword("ApiKeyId")

ALL = (KIND, AGENT, PROJECT, API_KEY)
"""All search attributes; `convergio migrate` registers them."""


def attributes(kind: str, *, agent_id: str, key_id: str, project_id: str | None = None) -> TypedSearchAttributes:
    """Return the search attributes of one workflow."""
    pairs = [
        SearchAttributePair(KIND, kind),
        SearchAttributePair(AGENT, agent_id),
        SearchAttributePair(API_KEY, key_id),
    ]
    if project_id is not None:
        pairs.append(SearchAttributePair(PROJECT, project_id))
    return TypedSearchAttributes(pairs)
