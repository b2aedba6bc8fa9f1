"""The rule that chooses a team if the model does not: by the distinctive words an agent shares with the task."""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from math import log2

from domain.ali.team import LEAST_MEMBERS, Candidate, Mode, Team
from domain.ali.words import stems

_WEAKEST = 0.5
"""The least share of the best score that makes another agent a member."""
_MOST_WORDS = 5


@dataclass(frozen=True, slots=True)
class CandidateMatch:
    """A candidate, its score, and the task's words it matches, the most distinctive first."""

    candidate: Candidate
    score: float
    words: tuple[str, ...]


def rank(task: str, candidates: Iterable[Candidate]) -> list[CandidateMatch]:
    """Rank the candidates by their match with the task; ties are in the order of their ids.

    A word weighs the more the fewer agents have it: three times in a capability, twice in id or name, else once.
    """
    weights = {one: _weights(one) for one in candidates}
    common = Counter(word for known in weights.values() for word in known)
    wanted = stems(task)
    telling = {word: round(log2(1 + len(weights) / many), 6) for word, many in common.items()}
    matches = [_match(one, known, wanted, telling) for one, known in weights.items()]
    return sorted(matches, key=lambda match: (-match.score, match.candidate.id))


def choose_by_rule(
    task: str,
    candidates: Sequence[Candidate],
    *,
    most: int,
    coordinator: str,
    mode: Mode | None = None,
    because: str,
) -> Team:
    """Choose a team of 2 to `most` members by the rule. `because` says why the model did not choose.

    Raises:
        ValueError: there are fewer than two candidates.
    """
    matches = rank(task, [one for one in candidates if one.id != coordinator])
    if len(matches) < LEAST_MEMBERS:
        raise ValueError("a team needs two agents to choose from")
    best = matches[0].score
    fitting = [match for match in matches[:most] if match.score and match.score >= best * _WEAKEST]
    members = fitting if len(fitting) >= LEAST_MEMBERS else matches[:LEAST_MEMBERS]
    return Team(
        members=tuple(match.candidate.id for match in members),
        mode=mode or "collaborative",
        coordinator=coordinator,
        rationale=_rationale(members, because),
        chosen_by="rule",
    )


def _weights(candidate: Candidate) -> Mapping[str, int]:
    weights = dict.fromkeys(stems(candidate.description), 1)
    weights |= dict.fromkeys(stems(f"{candidate.id} {candidate.name}".replace("_", " ")), 2)
    return weights | dict.fromkeys(stems(" ".join(candidate.capabilities)), 3)


def _match(
    candidate: Candidate, known: Mapping[str, int], wanted: Mapping[str, str], telling: Mapping[str, float]
) -> CandidateMatch:
    scores = {word: known[word] * telling[word] for word in wanted if word in known}
    best_first = sorted(scores, key=lambda word: (-scores[word], word))
    return CandidateMatch(candidate, round(sum(scores.values()), 6), tuple(wanted[word] for word in best_first))


def _rationale(members: Sequence[CandidateMatch], because: str) -> str:
    told = "; ".join(f"{match.candidate.id} ({_words(match)})" for match in members)
    return (
        f"A rule chose this team, not the model: {because}. It takes the agents whose names, descriptions and"
        f" capabilities share the most distinctive words with the task, and lets them work together: {told}."
    )


def _words(match: CandidateMatch) -> str:
    return ", ".join(match.words[:_MOST_WORDS]) or "shares no word with it, and comes first by its id"
