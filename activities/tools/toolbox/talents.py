"""`find_talents`: the talents of a tenant that fit a need."""

import asyncio
from collections.abc import Mapping
from typing import Any

import orjson

from domain.talents.matching import TalentMatch, TalentNeed, rank
from domain.talents.ports import TalentFilter, TalentReads, TalentView
from domain.tools.ports import ToolContext, ToolResult
from domain.tools.spec import ToolSpec

MOST_ROWS = 20
_MOST_SKILLS = 40
_MOST_BIO = 400
_SPEC = ToolSpec(
    name="find_talents",
    description=(
        "Find people of this organisation by skills, by words that describe the work, and by department: the best "
        "matches first, each with the skills and words that matched. Without skills and text it lists people."
    ),
    parameters={
        "type": "object",
        "properties": {
            "skills": {
                "type": "array",
                "items": {"type": "string", "minLength": 1, "maxLength": 80},
                "maxItems": 20,
                "description": "Wanted skills; each is compared as a whole.",
            },
            "text": {"type": "string", "maxLength": 1000, "description": "The work, in words."},
            "department": {"type": "string", "minLength": 1, "maxLength": 120, "description": "Its whole name."},
            "limit": {
                "type": "integer",
                "minimum": 1,
                "maximum": MOST_ROWS,
                "description": "People at most; 10 if left out.",
            },
        },
        "additionalProperties": False,
    },
)


class FindTalents:
    """`domain.tools.ports.Tool` over the view of talents. E-mail addresses are not given to models."""

    spec = _SPEC

    def __init__(self, talents: TalentReads) -> None:
        self._talents = talents

    async def call(self, arguments: Mapping[str, Any], context: ToolContext) -> ToolResult:
        found = await asyncio.to_thread(self._find, context.tenant_id, arguments)
        return ToolResult(orjson.dumps(found).decode(), ("projection:talents",))

    def _find(self, tenant_id: str, arguments: Mapping[str, Any]) -> dict[str, Any]:
        need = TalentNeed(tuple(dict.fromkeys(arguments.get("skills", ()))), arguments.get("text", ""))
        limit = arguments.get("limit", 10)
        wanted = TalentFilter(tenant_id, department=arguments.get("department"), status="active")
        if not need.skills and not need.terms:
            page = self._talents.page(wanted, skip=0, limit=limit)
            return {"talents": [_person(talent) for talent in page.talents], "total": page.total}
        matches = rank(need, self._talents.candidates(wanted, need.skills, need.terms), limit)
        return {"talents": [_match(match) for match in matches], "total": len(matches)}


def _match(match: TalentMatch) -> dict[str, Any]:
    reasons = {"matched_skills": match.skills, "missing_skills": match.missing_skills, "matched_words": match.terms}
    return {**_person(match.talent), "score": match.score, **reasons}


def _person(talent: TalentView) -> dict[str, Any]:
    profile = talent.profile
    if profile is None:
        return {"talent_id": talent.id, "name": None}
    return {
        "talent_id": talent.id,
        "name": profile.name,
        "department": profile.department,
        "skills": profile.skills[:_MOST_SKILLS],
        "bio": profile.bio and profile.bio[:_MOST_BIO],
    }
