"""Search attributes and summaries of all workflows, for the Temporal Web UI."""

from temporalio.common import SearchAttributeKey, SearchAttributePair, TypedSearchAttributes

from domain.tenant_ids import tenant_of

KIND_ATTRIBUTE = SearchAttributeKey.for_keyword("ConvergioKind")
AGENT_ATTRIBUTE = SearchAttributeKey.for_keyword("AgentId")
PROJECT_ATTRIBUTE = SearchAttributeKey.for_keyword("ProjectId")
API_KEY_ATTRIBUTE = SearchAttributeKey.for_keyword("ApiKeyId")
TENANT = SearchAttributeKey.for_keyword("TenantId")

ALL_ATTRIBUTES = (KIND_ATTRIBUTE, AGENT_ATTRIBUTE, PROJECT_ATTRIBUTE, API_KEY_ATTRIBUTE, TENANT)
"""All search attributes; `convergio migrate` registers them."""
_MAX_SUMMARY = 160


def build_search_attributes(
    kind: str, *, of: str, agent_id: str, key_id: str, project_id: str | None = None
) -> TypedSearchAttributes:
    """The search attributes of one run; `of` is the session or run whose id names the tenant."""
    pairs = [
        SearchAttributePair(KIND_ATTRIBUTE, kind),
        SearchAttributePair(AGENT_ATTRIBUTE, agent_id),
        SearchAttributePair(API_KEY_ATTRIBUTE, key_id),
        SearchAttributePair(TENANT, tenant_of(of)),
    ]
    if project_id is not None:
        pairs.append(SearchAttributePair(PROJECT_ATTRIBUTE, project_id))
    return TypedSearchAttributes(pairs)


def truncate_summary(summary: str) -> str:
    """Truncate a summary to Temporal's limit, which counts bytes."""
    return summary.encode()[:_MAX_SUMMARY].decode(errors="ignore")
