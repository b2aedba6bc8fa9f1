"""The specification of a tool: its description for models, and the platform's handling of its calls."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

Risk = Literal["low", "medium", "high", "critical"]


@dataclass(frozen=True, slots=True)
class ToolSpec:
    """A tool.

    `name` is `[A-Za-z0-9_-]{1,64}`; `parameters` is a JSON Schema of type object. `effect`: a `read` may be repeated, a
    `write` never is. `policy`: with `approval` each call needs an approval, at this `risk`. `timeout_s` limits one
    call, in seconds. `runs`: `activity` for a tool's code; the others are carried out by the turn's workflow.
    """

    name: str
    description: str
    parameters: Mapping[str, Any]
    effect: Literal["read", "write"] = "read"
    policy: Literal["free", "approval"] = "free"
    risk: Risk = "medium"
    timeout_s: float = 30.0
    runs: Literal["activity", "delegate", "approval"] = "activity"
