"""The risk policy: the packaged one, or the operator's file merged over it."""

from pathlib import Path
from typing import Any

import orjson
from pydantic import ValidationError

import domain.approvals
from domain.approvals.rules import RiskPolicy
from domain.errors import Invalid

PACKAGED = Path(domain.approvals.__file__).with_name("risk.json")


def load_risk_policy(own: Path | None = None) -> RiskPolicy:
    """Return the packaged policy, with the fields of each risk in `own` replaced.

    Raises:
        Invalid: the file cannot be read, or is not a valid policy.
    """
    policy = _read(PACKAGED)
    if own is not None:
        for risk, rules in _read(own).items():
            policy[risk] = {**policy.get(risk, {}), **rules} if isinstance(rules, dict) else rules
    try:
        return RiskPolicy.model_validate_json(orjson.dumps(policy))
    except ValidationError as error:
        fault = error.errors()[0]
        place = ".".join(str(part) for part in fault["loc"])
        raise Invalid(f"{own or PACKAGED}: {place}: {fault['msg'].removeprefix('Value error, ')}") from error


def _read(path: Path) -> dict[str, Any]:
    try:
        found = orjson.loads(path.read_bytes())
    except (OSError, orjson.JSONDecodeError) as error:
        raise Invalid(f"{path} cannot be read: {error}") from error
    if not isinstance(found, dict):
        raise Invalid(f"{path} is not an object with a key for each risk")
    return found
