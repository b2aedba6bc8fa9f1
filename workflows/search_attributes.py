"""Search attributes of all workflows, for the Temporal Web UI."""

from temporalio.common import SearchAttributeKey, SearchAttributePair, TypedSearchAttributes

from domain.tenant_ids import tenant_of

KIND = SearchAttributeKey.for_keyword("ConvergioKind")
AGENT = SearchAttributeKey.for_keyword("AgentId")
PROJECT = SearchAttributeKey.for_keyword("ProjectId")
API_KEY = SearchAttributeKey.for_keyword("ApiKeyId")
TENANT = SearchAttributeKey.for_keyword("TenantId")

ALL = (KIND, AGENT, PROJECT, API_KEY, TENANT)
"""All search attributes; `convergio migrate` registers them."""


def attributes(
    kind: str, *, of: str, agent_id: str, key_id: str, project_id: str | None = None
) -> TypedSearchAttributes:
    """The search attributes of one run; `of` is the session or run whose id names the tenant."""
    pairs = [
        SearchAttributePair(KIND, kind),
        SearchAttributePair(AGENT, agent_id),
        SearchAttributePair(API_KEY, key_id),
        SearchAttributePair(TENANT, tenant_of(of)),
    ]
    if project_id is not None:
        pairs.append(SearchAttributePair(PROJECT, project_id))
    return TypedSearchAttributes(pairs)
