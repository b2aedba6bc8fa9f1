"""The match of talents to a need: a score with its reasons.

The score is the mean of two shares: that of the wanted skills that the talent has, with weight 0.7, and that of the
wanted words that occur in biography, skills or department, with weight 0.3. If only skills or only words are wanted,
their share is the score. Equal scores are ordered by the number of matches, then by id, so the same talents and the
same need give the same order.
"""

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from domain.records.documents import fold_text
from domain.talents.ports import TalentView
from domain.talents.profile import TalentProfile

SKILLS_WEIGHT = 0.7
TERMS_WEIGHT = 0.3
_DIGITS = 4
_WORD = re.compile(r"[\w+#]+(?:[.'\u2019-][\w+#]+)*")
"""A word; names of technologies such as C++, C# and Node.js are single words."""


@dataclass(frozen=True, slots=True)
class TalentNeed:
    """Skills, and words that describe the work. Skills are compared as a whole."""

    skills: Sequence[str] = ()
    text: str = ""

    @property
    def terms(self) -> tuple[str, ...]:
        """The distinct words of the text, folded, in their order."""
        return words(self.text)


@dataclass(frozen=True, slots=True)
class TalentMatch:
    """A talent that fits, at least in part: its score from 0 to 1, and the reasons for it."""

    talent: TalentView
    score: float
    skills: tuple[str, ...]
    missing_skills: tuple[str, ...]
    terms: tuple[str, ...]


def words(text: str) -> tuple[str, ...]:
    """Return the distinct words of a text, folded, in their order."""
    return tuple(dict.fromkeys(_WORD.findall(fold_text(text))))


def rank(need: TalentNeed, talents: Iterable[TalentView], limit: int) -> list[TalentMatch]:
    """Return the best matches, best first; talents that match in nothing are left out."""
    found = (_match(need, talent, talent.profile) for talent in talents if talent.profile is not None)
    matches = [match for match in found if match.score > 0]
    return sorted(matches, key=_order)[:limit]


def _order(match: TalentMatch) -> tuple[float, int, int]:
    return -match.score, -len(match.skills) - len(match.terms), match.talent.id


def _match(need: TalentNeed, talent: TalentView, profile: TalentProfile) -> TalentMatch:
    has = {fold_text(skill) for skill in profile.skills}
    contained = set(words("\n".join((profile.bio or "", profile.department or "", *profile.skills))))
    matched = tuple(skill for skill in need.skills if fold_text(skill) in has)
    terms = tuple(term for term in need.terms if term in contained)
    return TalentMatch(
        talent=talent,
        score=_score(len(matched), len(need.skills), len(terms), len(need.terms)),
        skills=matched,
        missing_skills=tuple(skill for skill in need.skills if skill not in matched),
        terms=terms,
    )


def _score(skills: int, wanted_skills: int, terms: int, wanted_terms: int) -> float:
    parts = [(SKILLS_WEIGHT, skills, wanted_skills), (TERMS_WEIGHT, terms, wanted_terms)]
    wanted = [(weight, found / of) for weight, found, of in parts if of]
    total = sum(weight for weight, _ in wanted)
    return round(sum(weight * share for weight, share in wanted) / total, _DIGITS) if wanted else 0.0
