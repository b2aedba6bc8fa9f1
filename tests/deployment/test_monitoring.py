"""Dashboards and alert rules name metrics that a running system exports, and Compose puts them where they are read."""

import json
import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml
from prometheus_client.parser import text_string_to_metric_families

from tests.deployment.compose import services
from tests.scripted_model import ScriptedModel
from tests.servers import ROOT
from tests.system import System, until

DASHBOARDS = sorted((ROOT / "deploy/grafana").glob("*.json"))
ALERTS = ROOT / "deploy/prometheus/alerts.yml"
PAGE = (ROOT / "docs/monitoring.md").read_text()
_METRIC = re.compile(r"\b(?:convergio|process|python)_[a-z_]+\b")
_PAIRS = {"(": ")", "[": "]", "{": "}"}


def rules() -> list[dict[str, Any]]:
    return [rule for group in yaml.safe_load(ALERTS.read_text())["groups"] for rule in group["rules"]]


def panels() -> list[dict[str, Any]]:
    return [panel for path in DASHBOARDS for panel in json.loads(path.read_text())["panels"]]


def expressions() -> list[str]:
    return [rule["expr"] for rule in rules()] + [target["expr"] for panel in panels() for target in panel["targets"]]


def metrics_in(expression: str) -> set[str]:
    """The names in an expression, without what stands in quotes."""
    return set(_METRIC.findall(re.sub(r'"[^"]*"', "", expression)))


async def exported(system: System) -> dict[str, set[str]]:
    """The names of all samples that are exported, and the labels that each has."""
    text = (await system.http.get("/metrics")).text
    found: dict[str, set[str]] = {}
    for family in text_string_to_metric_families(text):
        for sample in family.samples:
            found.setdefault(sample.name, set()).update(sample.labels)
    return found


async def test_every_metric_that_is_named_is_exported_by_a_running_system(
    system: System, scripted_model: ScriptedModel
) -> None:
    await system.http.get("/metrics")  # what is counted begins with the first reading
    assert (await system.say("Hello.")).status_code == 200
    assert (await system.say("Go?", require_approval=True)).status_code == 202
    await system.http.post("/telemetry/events", json={"event_type": "a"})
    named = {name for expression in expressions() for name in metrics_in(expression)}
    found = await until(lambda: exported(system), lambda found: named <= set(found), seconds=30)
    assert named <= set(found), named - set(found)
    for expression in expressions():
        for name, labels in re.findall(r"(\w+_\w+)\{([^}]*)\}", expression):  # `up` is Prometheus's own
            used = {label.partition("=")[0].rstrip("!~") for label in labels.split(",")} - {"job"}
            assert used <= found[name], f"{name} has no label {used - found[name]}"
        by = {label.strip() for group in re.findall(r"by \(([^)]*)\)", expression) for label in group.split(",")}
        labels_there = {label for name in metrics_in(expression) for label in found[name]}
        assert by - {"le", "instance"} <= labels_there, expression
    assert {name for name in found if name.startswith("convergio_") and not described(name)} == set()


def described(name: str) -> bool:
    """Whether the page says what a metric is."""
    counter, family = name.replace("_created", "_total"), re.sub("_(bucket|sum|count|created)$", "", name)
    return f"`{counter}`" in PAGE or f"`{family}`" in PAGE


async def test_figures_of_the_platform_are_those_of_the_ledger(system: System, scripted_model: ScriptedModel) -> None:
    async def value(name: str, **labels: str) -> float | None:
        text = (await system.http.get("/metrics")).text
        samples = [s for family in text_string_to_metric_families(text) for s in family.samples]
        return next((s.value for s in samples if s.name == name and s.labels == labels), None)

    assert await value("convergio_turns_total", outcome="answered") == 0
    for _ in range(2):
        assert (await system.say("Hello.")).status_code == 200
    held = await system.say("Go?", require_approval=True)
    assert held.status_code == 202
    usage = "/api/v1/cost-management/usage"
    current = (await system.http.get(usage)).json()["current_period"]

    async def answered() -> float | None:
        return await value("convergio_turns_total", outcome="answered")

    await until(answered, lambda found: found == 2, seconds=30)
    prompt, completion = [
        await value("convergio_model_tokens_total", model="scripted", kind=kind) or 0
        for kind in ("prompt", "completion")
    ]
    assert prompt + completion == current["total_tokens"]
    assert await value("convergio_model_calls_total", model="scripted", state="answered") == current["requests"] == 3
    assert await value("convergio_turns_open", state="awaiting_approval") == 1
    approval = f"/api/v1/approvals/{held.json()['approval_id']}"
    assert (await system.http.post(f"{approval}/reject", json={"reason": "No."})).status_code == 200

    async def rejected() -> float | None:
        return await value("convergio_turns_total", outcome="rejected")

    await until(rejected, lambda found: found == 1, seconds=30)
    assert await value("convergio_turns_total", outcome="failed") == 0
    assert await value("convergio_task_queue_pollers", queue="convergio-flow", kind="workflow")
    assert await value("convergio_service_up", service="database") == 1
    assert await value("convergio_figures_up", source="temporal") == 1


@pytest.mark.parametrize("rule", rules(), ids=lambda rule: rule["alert"])
def test_a_rule_is_complete(rule: dict[str, Any]) -> None:
    assert set(rule) <= {"alert", "expr", "for", "labels", "annotations"}
    assert rule["labels"]["severity"] in {"critical", "warning"}
    assert rule["annotations"]["summary"].endswith(".")
    assert re.fullmatch(r"Convergio[A-Z]\w+", rule["alert"])


@pytest.mark.parametrize("expression", expressions())
def test_an_expression_is_balanced(expression: str) -> None:
    pending: list[str] = []
    for sign in re.sub(r'"[^"]*"', "", expression):
        if sign in _PAIRS:
            pending.append(_PAIRS[sign])
        elif sign in _PAIRS.values():
            assert pending.pop() == sign
    assert not pending


@pytest.mark.skipif(shutil.which("promtool") is None, reason="promtool is not installed")
def test_promtool_accepts_the_rules() -> None:
    done = subprocess.run(["promtool", "check", "rules", str(ALERTS)], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize("path", DASHBOARDS, ids=lambda path: path.name)
def test_a_dashboard_has_panels_of_its_own_places_on_the_data_source_that_is_there(path: Path) -> None:
    board = json.loads(path.read_text())
    source = yaml.safe_load((ROOT / "deploy/grafana.yml").read_text())["datasources"][0]
    assert board["uid"].startswith("convergio-")
    assert len({panel["id"] for panel in board["panels"]}) == len(board["panels"])
    assert len({(panel["gridPos"]["x"], panel["gridPos"]["y"]) for panel in board["panels"]}) == len(board["panels"])
    for panel in board["panels"]:
        assert {panel["datasource"]["uid"], *(each["datasource"]["uid"] for each in panel["targets"])} == {
            source["uid"]
        }


def test_compose_mounts_rules_and_dashboards_where_they_are_read() -> None:
    mounts = dict(mount.split(":")[:2] for name in ("prometheus", "grafana") for mount in services()[name]["volumes"])
    read = yaml.safe_load((ROOT / "deploy/prometheus.yml").read_text())["rule_files"]
    assert [mounts["./deploy/prometheus/alerts.yml"]] == read
    (provider,) = yaml.safe_load((ROOT / "deploy/grafana-dashboards.yml").read_text())["providers"]
    assert provider["options"]["path"] == mounts["./deploy/grafana"]
    assert mounts["./deploy/grafana-dashboards.yml"].startswith("/etc/grafana/provisioning/dashboards/")
    assert all((ROOT / source).exists() for source in mounts if source.startswith("./"))
