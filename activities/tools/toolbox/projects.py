"""`query_projects`: the projects of a tenant, with what they cost."""

import asyncio
from collections.abc import Mapping
from decimal import Decimal
from typing import Any, get_args

import orjson

from domain.projects.ports import ProjectFilter, ProjectReads, ProjectUsageReads, ProjectView
from domain.projects.profile import Status
from domain.tools.ports import ToolContext, ToolResult
from domain.tools.spec import ToolSpec

MOST_ROWS = 20
_MOST_TEXT = 400
_MOST_MEMBERS = 50
_ID = {"type": "integer", "minimum": 1, "maximum": 2**53 - 1}
_SPEC = ToolSpec(
    name="query_projects",
    description=(
        "Query the projects of this organisation: status, client, dates, members, budget, and what the model calls, "
        "conversations and runs linked to each have cost so far, in US dollars."
    ),
    parameters={
        "type": "object",
        "properties": {
            "text": {"type": "string", "maxLength": 200, "description": "Words of the name or description."},
            "status": {"type": "string", "enum": list(get_args(Status))},
            "client_id": {**_ID, "description": "The client's id."},
            "member_id": {**_ID, "description": "The id of a talent who is a member."},
            "limit": {
                "type": "integer",
                "minimum": 1,
                "maximum": MOST_ROWS,
                "description": "Projects at most; 10 if left out.",
            },
        },
        "additionalProperties": False,
    },
)


class QueryProjects:
    """`domain.tools.ports.Tool` over the views of projects and of what is linked to them."""

    spec = _SPEC

    def __init__(self, projects: ProjectReads, usage: ProjectUsageReads) -> None:
        self._projects = projects
        self._usage = usage

    async def call(self, arguments: Mapping[str, Any], context: ToolContext) -> ToolResult:
        found = await asyncio.to_thread(self._query, context.tenant_id, arguments)
        return ToolResult(orjson.dumps(found).decode(), ("projection:projects", "projection:costs"))

    def _query(self, tenant_id: str, arguments: Mapping[str, Any]) -> dict[str, Any]:
        wanted = ProjectFilter(
            tenant_id,
            status=arguments.get("status"),
            client_id=arguments.get("client_id"),
            member_id=arguments.get("member_id"),
            terms=arguments.get("text", "").split(),
        )
        page = self._projects.page(wanted, skip=0, limit=arguments.get("limit", 10))
        return {"projects": [self._project(tenant_id, each) for each in page.projects], "total": page.total}

    def _project(self, tenant_id: str, project: ProjectView) -> dict[str, Any]:
        plan, texts = project.plan, project.texts
        usage = self._usage.total(tenant_id, str(project.id))
        return {
            "project_id": project.id,
            "name": texts and texts.name,
            "description": texts and texts.description and texts.description[:_MOST_TEXT],
            "status": plan.status,
            "client_id": plan.client_id,
            "start_date": plan.start_date,
            "end_date": plan.end_date,
            "members": plan.members[:_MOST_MEMBERS],
            "budget_usd": None if plan.budget_usd is None else _dollars(plan.budget_usd),
            "cost_usd": _dollars(usage.cost),
            "tokens": usage.tokens,
            "conversations": usage.conversations,
            "runs": usage.executions + usage.swarms,
        }


def _dollars(amount: Decimal) -> str:
    text = f"{amount:f}"
    return text.rstrip("0").rstrip(".") if "." in text else text
