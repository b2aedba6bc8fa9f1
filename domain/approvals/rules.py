"""The rules of an approval, and the policy that assigns rules to risks."""

from collections.abc import Iterator
from typing import Annotated, Literal, Self, get_args

from pydantic import BaseModel, ConfigDict, Field, model_validator

from domain.errors import Invalid

Risk = Literal["low", "medium", "high", "critical"]
ANYBODY = "*"
"""As a decider: every key with the scope `approve`."""
LONGEST_S = 90 * 24 * 3600

_Seconds = Annotated[float, Field(gt=0, le=LONGEST_S, allow_inf_nan=False)]
_Deciders = Annotated[
    tuple[Annotated[str, Field(min_length=1, max_length=128)], ...], Field(min_length=1, max_length=100)
]


class ApprovalRules(BaseModel):
    """The deciders of an approval, and its timed actions.

    `deciders` are ids of keys, or `["*"]` for every key with the scope `approve`. `quorum` of them must agree; one
    rejection rejects. Under `separation` the requesting key does not decide. While it is open: one reminder after
    `remind_after_s`, the deciders of `escalate_to` after `escalate_after_s`, expiry after `expires_after_s` (all in
    seconds, from the request). `on_expiry`: `reject` ends it; `escalate` escalates it first, for as long again.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    deciders: _Deciders = (ANYBODY,)
    quorum: Annotated[int, Field(ge=1, le=100)] = 1
    separation: bool = False
    expires_after_s: _Seconds
    remind_after_s: _Seconds | None = None
    escalate_after_s: _Seconds | None = None
    escalate_to: _Deciders = (ANYBODY,)
    on_expiry: Literal["reject", "escalate"] = "reject"

    @model_validator(mode="after")
    def _can_be_kept(self) -> Self:
        for name in ("deciders", "escalate_to"):
            keys = getattr(self, name)
            if len(set(keys)) != len(keys) or (ANYBODY in keys and len(keys) > 1):
                raise ValueError(f"{name} names each key once, or is [{ANYBODY!r}] alone")
            if ANYBODY not in keys and len(keys) < self.quorum:
                raise ValueError(f"{name} has fewer keys than the quorum of {self.quorum}")
        for name in ("remind_after_s", "escalate_after_s"):
            if (getattr(self, name) or 0) >= self.expires_after_s:
                raise ValueError(f"{name} comes before expires_after_s")
        return self


class RiskPolicy(BaseModel):
    """The rules of each risk. They are copied into each request, so a change does not affect open approvals."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    low: ApprovalRules
    medium: ApprovalRules
    high: ApprovalRules
    critical: ApprovalRules

    def rules_of(self, risk: str) -> ApprovalRules:
        """Return the rules of a risk.

        Raises:
            Invalid: there is no such risk.
        """
        if risk not in get_args(Risk):
            reason = f"one of {', '.join(get_args(Risk))}"
            raise Invalid(f"risk: {reason}", field="risk", reason=reason)
        rules: ApprovalRules = getattr(self, risk)
        return rules

    def refuse_without_keys(self) -> None:
        """Return if all rules can be kept without authentication.

        Raises:
            Invalid: a rule needs authenticated callers.
        """
        if found := [*self._reasons_for_keys()]:
            raise Invalid(f"the risk policy needs CONVERGIO_AUTH=keys: {'; '.join(found)}")

    def _reasons_for_keys(self) -> Iterator[str]:
        for risk in get_args(Risk):
            rules = self.rules_of(risk)
            if rules.separation:
                yield f"{risk} requires separation"
            if rules.quorum > 1:
                yield f"{risk} requires a quorum of {rules.quorum}"
            if {ANYBODY} != {*rules.deciders, *rules.escalate_to}:
                yield f"{risk} names the keys that decide"
