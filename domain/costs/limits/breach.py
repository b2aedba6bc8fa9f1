"""A breach of a limit: the refusal of a reservation, and what is known of it."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from datetime import date
from typing import Any, Literal, Self

from domain.costs.limits.scopes import GLOBAL, name_of
from domain.errors import OverBudget


@dataclass(frozen=True, slots=True)
class LimitBreach:
    """The limit that a call exceeds. Amounts are exact US dollars, as text.

    `reason` is `exceeded`, or `unpriced` where the price of the model is unknown. `spent_usd` and `reserved_usd` count
    against the limit, or against the run's allowance if `granted_usd` is not 0; `asked_usd` is the call's worst case.
    """

    reason: str
    scope: str
    window: str
    starts: str
    limit_usd: str
    spent_usd: str
    reserved_usd: str
    asked_usd: str
    on_breach: str
    run_id: str
    model: str
    granted_usd: str = "0"

    @classmethod
    def of(cls, values: Mapping[str, Any]) -> Self:
        """Return the breach with these values; others are ignored."""
        known = {name: str(values[name]) for name in cls.__dataclass_fields__ if name in values}
        return cls(**known)

    @property
    def is_askable(self) -> bool:
        """True if a person can allow the run to go on."""
        return self.on_breach == "ask" and self.reason == "exceeded"

    @property
    def first_day(self) -> date:
        return date.fromisoformat(self.starts)

    @property
    def limit_name(self) -> str:
        """The limit in words."""
        window = "for the run" if self.window == "run" else f"for the {self.window} from {self.starts}"
        return f"limit on {name_of(self.scope)} {window}"

    def values(self) -> dict[str, str]:
        """Return all values by name."""
        return asdict(self)

    def details(self) -> dict[str, str]:
        """Return what the caller may see: the sums of the whole deployment are the operator's."""
        hidden = {"spent_usd", "reserved_usd"} if self.scope == GLOBAL else set()
        hidden |= {"granted_usd"} if self.granted_usd == "0" else set()
        hidden |= {"limit_usd", "spent_usd", "reserved_usd"} if self.reason == "unpriced" else set()
        shown = {name: value for name, value in asdict(self).items() if name not in hidden}
        return {**shown, "scope": name_of(self.scope)}

    def sentence(self) -> str:
        """Return the refusal's message."""
        if self.reason == "unpriced":
            return f"the price of {self.model} is not known, and there is a {self.limit_name}"
        if self.granted_usd != "0":
            return (
                f"the allowance of ${self.granted_usd} beyond the {self.limit_name} does not cover this call:"
                f" ${self.spent_usd} of it are spent, ${self.reserved_usd} reserved, and it may cost ${self.asked_usd}"
            )
        used = "" if self.scope == GLOBAL else f"${self.spent_usd} are spent, ${self.reserved_usd} reserved, and "
        return (
            f"the {self.limit_name}, ${self.limit_usd}, does not cover this call: {used}it may cost ${self.asked_usd}"
        )


class LimitReached(OverBudget):
    """A reservation exceeds a limit: nothing was recorded."""

    def __init__(self, breach: LimitBreach) -> None:
        super().__init__(breach.sentence(), **breach.details())
        self.breach = breach


LimitState = Literal["ok", "reached"]
