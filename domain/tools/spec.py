"""What a tool is: what a model is told of it, and how the platform treats a call."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

Risk = Literal["low", "medium", "high", "critical"]


@dataclass(frozen=True, slots=True)
class ToolSpec:
    """A tool.

    `name` is `[A-Za-z0-9_-]{1,64}`; `parameters` is a JSON Schema of type object. `effect`: a `read` may be repeated, a
    `write` never is. `policy`: `approval` holds each call until a person has let it go, at this `risk`. `timeout_s`
    bounds one call, in seconds. `runs`: `activity` where a tool's code does it; the others the turn's workflow does.
    """

    name: str
    description: str
    parameters: Mapping[str, Any]
    effect: Literal["read", "write"] = "read"
    policy: Literal["free", "approval"] = "free"
    risk: Risk = "medium"
    timeout_s: float = 30.0
    runs: Literal["activity", "delegate", "approval"] = "activity"
