"""The result of a validation: problems with their places and fixes."""

from dataclasses import dataclass
from decimal import Decimal


@dataclass(frozen=True, slots=True)
class Problem:
    """A problem. `where` is `definition`, `node draft` or `edge draft -> review`; `fix` says what to do."""

    code: str
    where: str
    field: str
    message: str
    fix: str

    def __str__(self) -> str:
        place = f"{self.where}, {self.field}" if self.field else self.where
        return f"{place}: {self.message}. {self.fix}."


@dataclass(frozen=True, slots=True)
class WorstCase:
    """The upper bounds of one run: with every iteration, item, attempt and turn that the definition allows."""

    model_calls: int
    cost_usd: Decimal


@dataclass(frozen=True, slots=True)
class Validation:
    """A definition with errors cannot run; warnings are for its author. No worst case if names are unknown."""

    errors: tuple[Problem, ...]
    warnings: tuple[Problem, ...]
    worst_case: WorstCase | None

    @property
    def valid(self) -> bool:
        return not self.errors
