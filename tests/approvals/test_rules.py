"""The risk policy as data."""

import json
from pathlib import Path
from typing import Any

import pytest

from adapters.files.risk_policy import PACKAGED, load_risk_policy
from domain.errors import Invalid


def written(path: Path, **risks: Any) -> Path:
    path.write_text(json.dumps(risks))
    return path


def test_the_packaged_policy_needs_no_keys_and_names_every_field() -> None:
    policy = load_risk_policy()
    policy.refuse_without_keys()
    packaged = json.loads(PACKAGED.read_text())
    for risk in ("low", "medium", "high", "critical"):
        assert set(packaged[risk]) == set(type(policy.rules_of(risk)).model_fields)


def test_more_risk_has_less_time() -> None:
    policy = load_risk_policy()
    times = [policy.rules_of(risk).expires_after_s for risk in ("low", "medium", "high", "critical")]
    assert times == sorted(times, reverse=True)


def test_a_field_of_ones_own_goes_before_the_packaged_one(tmp_path: Path) -> None:
    policy = load_risk_policy(written(tmp_path / "risk.json", high={"quorum": 2, "deciders": ["key_a", "key_b"]}))
    assert policy.high.quorum == 2
    assert policy.high.expires_after_s == load_risk_policy().high.expires_after_s
    assert policy.low == load_risk_policy().low


@pytest.mark.parametrize(
    ("rules", "fault"),
    [
        ({"deciders": []}, "deciders"),
        ({"deciders": ["*", "key_a"]}, "deciders"),
        ({"deciders": ["key_a", "key_a"]}, "deciders"),
        ({"deciders": ["key_a"], "quorum": 2}, "fewer keys"),
        ({"escalate_to": ["key_a"], "quorum": 2}, "fewer keys"),
        ({"quorum": 0}, "quorum"),
        ({"expires_after_s": 0}, "expires_after_s"),
        ({"expires_after_s": 10, "remind_after_s": 10}, "remind_after_s comes before"),
        ({"expires_after_s": 10, "remind_after_s": None, "escalate_after_s": 11}, "escalate_after_s comes before"),
        ({"on_expiry": "approve"}, "on_expiry"),
        ({"who": ["key_a"]}, "who"),
        ("anybody", "high"),
    ],
)
def test_what_cannot_be_kept_is_refused_by_its_place(tmp_path: Path, rules: Any, fault: str) -> None:
    path = written(tmp_path / "risk.json", high=rules)
    with pytest.raises(Invalid, match=fault) as refused:
        load_risk_policy(path)
    assert f"{path}: high" in refused.value.message


def test_an_unknown_risk_is_refused(tmp_path: Path) -> None:
    with pytest.raises(Invalid, match="extreme"):
        load_risk_policy(written(tmp_path / "risk.json", extreme={"quorum": 1}))
    with pytest.raises(Invalid, match="low, medium, high, critical"):
        load_risk_policy().rules_of("extreme")


@pytest.mark.parametrize("text", ["", "no JSON", "[]"])
def test_a_file_that_cannot_be_read_is_named(tmp_path: Path, text: str) -> None:
    path = tmp_path / "risk.json"
    path.write_text(text)
    with pytest.raises(Invalid, match=str(path)):
        load_risk_policy(path)
    with pytest.raises(Invalid, match="absent"):
        load_risk_policy(tmp_path / "absent.json")


@pytest.mark.parametrize(
    ("rules", "what"),
    [
        ({"separation": True}, "high requires separation"),
        ({"quorum": 2}, "high requires a quorum of 2"),
        ({"deciders": ["key_a"]}, "high names the keys that decide"),
        ({"escalate_to": ["key_a"]}, "high names the keys that decide"),
    ],
)
def test_rules_that_need_keys_are_refused_without(tmp_path: Path, rules: dict[str, Any], what: str) -> None:
    policy = load_risk_policy(written(tmp_path / "risk.json", high=rules))
    with pytest.raises(Invalid, match=f"needs CONVERGIO_AUTH=keys: {what}"):
        policy.refuse_without_keys()
