"""Request and response models of talents."""

from typing import Annotated, Any

from pydantic import ConfigDict, Field

from api.http.schemas import Body, Listing, Timestamp, View
from domain.talents import profile as fields
from domain.talents.commands import TalentDraft
from domain.talents.matching import TalentMatch, TalentNeed
from domain.talents.ports import TalentView
from domain.talents.profile import TalentProfile

_TEXTS = ConfigDict(str_strip_whitespace=True)
MAX_NEED = 2_000


class NewTalent(Body):
    """A talent to create. Spaces around texts are removed."""

    model_config = _TEXTS

    name: fields.Name
    email: Annotated[fields.Email, Field(description="Unique in the tenant: case and Unicode form do not matter.")]
    department: fields.Department | None = None
    skills: fields.Skills = ()
    bio: fields.Bio | None = None
    status: fields.Status = "active"

    def draft(self) -> TalentDraft:
        """Return what the command creates."""
        profile = TalentProfile(self.name, self.email, self.department, self.skills, self.bio or None)
        return TalentDraft(profile, self.status)


def _absent() -> Any:
    return None


class TalentChanges(Body):
    """Changes to a talent: fields left out stay; `null` removes department or biography."""

    model_config = _TEXTS

    name: fields.Name = Field(default_factory=_absent)
    email: fields.Email = Field(default_factory=_absent)
    department: fields.Department | None = Field(default_factory=_absent)
    skills: fields.Skills = Field(default_factory=_absent)
    bio: fields.Bio | None = Field(default_factory=_absent)
    status: fields.Status = Field(default_factory=_absent)

    def changes(self) -> dict[str, Any]:
        """Return the fields that change."""
        given = {name: getattr(self, name) for name in self.model_fields_set}
        return {**given, "bio": given["bio"] or None} if "bio" in given else given


class Talent(View):
    """A talent. `version` counts every change. Texts are null after an erasure."""

    id: int
    name: str | None
    email: str | None
    department: str | None
    skills: list[str]
    bio: str | None
    status: fields.Status
    created_at: Timestamp
    updated_at: Timestamp
    version: int


class TalentList(Listing):
    """Talents in the order of their ids."""

    talents: list[Talent]


class TalentQuery(Body):
    """A need: skills, or a text that describes the work, or both. `department` restricts the talents."""

    model_config = _TEXTS

    skills: Annotated[tuple[fields.Skill, ...], Field(max_length=50)] = ()
    text: Annotated[str, Field(max_length=MAX_NEED)] | None = None
    department: fields.Department | None = None
    limit: Annotated[int, Field(ge=1, le=100)] = 10

    def need(self) -> TalentNeed:
        """Return the need, each skill once."""
        return TalentNeed(tuple(dict.fromkeys(self.skills)), self.text or "")


class MatchReasons(View):
    """The reasons of a score: wanted skills that the talent has and lacks, and wanted words that were found."""

    skills: list[str]
    missing_skills: list[str]
    terms: list[str]


class MatchedTalent(View):
    """A talent that fits, at least in part."""

    talent: Talent
    score: Annotated[float, Field(ge=0, le=1)]
    reasons: MatchReasons


class MatchedTalents(View):
    """The best matches, best first; `total` is their number."""

    data: list[MatchedTalent]
    total: int


def to_talent(view: TalentView) -> Talent:
    """Return the response for a talent."""
    profile = view.profile
    return Talent.model_validate(
        {
            "id": view.id,
            "name": profile and profile.name,
            "email": profile and profile.email,
            "department": profile and profile.department,
            "skills": list(profile.skills) if profile else [],
            "bio": profile and profile.bio,
            "status": view.status,
            "created_at": view.created_at,
            "updated_at": view.updated_at,
            "version": view.version,
        }
    )


def to_match(match: TalentMatch) -> MatchedTalent:
    """Return the response for a match."""
    reasons = MatchReasons(
        skills=list(match.skills), missing_skills=list(match.missing_skills), terms=list(match.terms)
    )
    return MatchedTalent(talent=to_talent(match.talent), score=match.score, reasons=reasons)
