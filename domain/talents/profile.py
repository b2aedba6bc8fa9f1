"""The profile of a talent: name, e-mail address, department, skills and biography."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, fields
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, Field

from domain.content import Content
from domain.records.documents import fold_text, make_document
from domain.records.text_rules import MAX_EMAIL, email_address, foldable, one_line

Status = Literal["active", "inactive"]
STATUSES: tuple[Status, ...] = ("active", "inactive")
MAX_BIO = 10_000
MAX_SKILLS = 100


def _named_once(skills: tuple[str, ...]) -> tuple[str, ...]:
    folded = [fold_text(skill) for skill in skills]
    twice = sorted({skill for skill, each in zip(skills, folded, strict=True) if folded.count(each) > 1})
    if twice:
        raise ValueError(f"{', '.join(twice)}: named twice")
    return skills


Name = Annotated[str, Field(min_length=1, max_length=200), AfterValidator(one_line)]
Email = Annotated[str, Field(min_length=3, max_length=MAX_EMAIL), AfterValidator(email_address)]
Department = Annotated[str, Field(min_length=1, max_length=120), AfterValidator(one_line)]
Skill = Annotated[str, Field(min_length=1, max_length=80), AfterValidator(one_line)]
Skills = Annotated[tuple[Skill, ...], Field(max_length=MAX_SKILLS), AfterValidator(_named_once)]
Bio = Annotated[str, Field(max_length=MAX_BIO), AfterValidator(foldable)]


@dataclass(frozen=True, slots=True)
class TalentProfile:
    """The texts about a talent. They are checked where they enter."""

    name: str
    email: str
    department: str | None = None
    skills: Sequence[str] = ()
    bio: str | None = None

    def as_content(self, owner: str) -> Content:
        """Return the profile as a document, with its folded forms, by which it is found."""
        folded = {
            "department": fold_text(self.department) if self.department else None,
            "skills": [fold_text(skill) for skill in self.skills],
            "text": fold_text("\n".join((self.name, self.bio or "", *self.skills))),
        }
        return make_document(owner, {**asdict(self), "folded": folded})


FIELDS = tuple(field.name for field in fields(TalentProfile))


def profile_of(document: Mapping[str, Any] | None) -> TalentProfile | None:
    """Return the profile in a stored document; None if it was erased."""
    if document is None:
        return None
    return TalentProfile(
        document["name"], document["email"], document["department"], tuple(document["skills"]), document["bio"]
    )
