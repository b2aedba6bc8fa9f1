"""Fusion of two rankings of chunks into one."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

Fusion = Literal["rrf", "relative_score"]
K = 60
"""The constant of reciprocal rank fusion: the larger it is, the less the first ranks differ."""

ChunkKey = tuple[str, int]
"""A chunk by the owner of its document and its number."""


@dataclass(frozen=True, slots=True)
class Ranked:
    """A chunk in a ranking; a higher score is better."""

    owner: str
    number: int
    score: float

    @property
    def key(self) -> ChunkKey:
        return self.owner, self.number


def fuse(vector: Sequence[Ranked], keyword: Sequence[Ranked], fusion: Fusion, alpha: float) -> list[Ranked]:
    """Return one ranking of both; `alpha` is the weight of `vector`, between 0 and 1. Its order is total."""
    weigh = _reciprocal_ranks if fusion == "rrf" else _relative_scores
    scores: dict[ChunkKey, float] = {}
    for weight, ranking in ((alpha, vector), (1 - alpha, keyword)):
        for key, score in weigh(ranking).items():
            scores[key] = scores.get(key, 0.0) + weight * score
    return order(Ranked(owner, number, score) for (owner, number), score in scores.items())


def order(ranked: Iterable[Ranked]) -> list[Ranked]:
    """Return chunks by their scores, the best first; equal ones by document and number."""
    return sorted(ranked, key=lambda each: (-each.score, each.owner, each.number))


def merge(rankings: Sequence[Sequence[Ranked]], most: int) -> list[Ranked]:
    """Return the best of several rankings of different chunks whose scores can be compared."""
    return order(each for ranking in rankings for each in ranking)[:most]


def _reciprocal_ranks(ranking: Sequence[Ranked]) -> Mapping[ChunkKey, float]:
    """Return `(K + 1) / (K + rank)`, which is 1 for the first."""
    return {each.key: (K + 1) / (K + rank) for rank, each in enumerate(ranking, 1)}


def _relative_scores(ranking: Sequence[Ranked]) -> Mapping[ChunkKey, float]:
    """Return the scores scaled so that the best is 1 and the worst 0; equal ones are 1."""
    if not ranking:
        return {}
    highest, lowest = max(each.score for each in ranking), min(each.score for each in ranking)
    spread = highest - lowest
    return {each.key: (each.score - lowest) / spread if spread else 1.0 for each in ranking}
