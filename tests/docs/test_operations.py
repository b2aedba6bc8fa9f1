"""The page for operators agrees with the code."""

import re

from prometheus_client import CollectorRegistry

from activities.heartbeat import EVERY_S
from api.http import server
from api.http.metrics import WebMetrics
from domain.chat import policy
from runtime.cli import app
from runtime.processes.api import CONNECTIONS
from runtime.processes.worker import GRACE, THREADS
from runtime.settings import Settings
from runtime.supervisor import plan
from runtime.wiring.projections import projections
from tests.servers import ROOT
from workflows.chat.client import ACCEPT_TIMEOUT_S, RESPONSE_TIMEOUT_S
from workflows.search_attributes import ALL_ATTRIBUTES
from workflows.temporal_rpc import CONFIRM_S
from workflows.timeouts import HEARTBEAT_TIMEOUT
from workflows.turn.turn import TURN_TIMEOUT

PAGE = " ".join((ROOT / "docs/operations.md").read_text().split())


def test_every_verb_is_named_and_no_other() -> None:
    verbs = {command.name or command.callback.__name__ for command in app.registered_commands if command.callback}
    assert (
        set(re.findall(r"\| `convergio ([\w-]+)` \| (?!HTTP|workflows,|keeps|the local model, unless)", PAGE)) == verbs
    )
    assert set(re.findall(r"`convergio ([a-z-]+)", PAGE)) == verbs


def test_ports_are_those_of_the_plan() -> None:
    ports = {int(port) for row in re.findall(r"\| ([^|]*\d{4}[^|]*) \|", PAGE) for port in re.findall(r"\d{4,5}", row)}
    assert ports == {
        Settings.model_fields["port"].default,
        plan.POSTGRES_PORT,
        plan.TEMPORAL_PORT,
        plan.TEMPORAL_UI_PORT,
        plan.VALKEY_PORT,
        plan.MODEL_PORT,
    }


def test_projections_are_named() -> None:
    assert f"({', '.join(f'`{projection.name}`' for projection in projections())})" in PAGE


def test_times_and_bounds_are_as_in_the_code() -> None:
    assert f"its running tasks ({GRACE.total_seconds():.0f} s)" in PAGE
    assert f"after {HEARTBEAT_TIMEOUT.total_seconds():.0f} s without a heartbeat" in PAGE
    assert HEARTBEAT_TIMEOUT.total_seconds() > 5 * EVERY_S
    assert f"no worker accepts within {RESPONSE_TIMEOUT_S + ACCEPT_TIMEOUT_S:.0f} s" in PAGE
    assert f"does not confirm within {CONFIRM_S:.0f} s gets 503" in PAGE
    assert policy.MOST_FAILURES == 5
    assert f"five failures of a call, or {TURN_TIMEOUT.total_seconds() / 60:.0f} minutes" in PAGE
    assert f"an API opens {CONNECTIONS} at most and two that listen, a worker {THREADS}" in PAGE


def test_the_bounds_before_any_key_are_those_of_the_server() -> None:
    assert f"have {server.MAX_HEAD // 1024} KiB at most (431) and {server.HEAD_TIMEOUT_S:.0f} seconds" in PAGE
    assert f"its body has {server.BODY_TIMEOUT_S:.0f} seconds (408)" in PAGE
    assert f"takes {server.MAX_CONNECTIONS:,} connections" in PAGE
    assert "open files allows less 120;" in PAGE
    assert server.max_connections() <= server.MAX_CONNECTIONS


def test_metrics_that_are_named_exist() -> None:
    metrics = WebMetrics(CollectorRegistry())
    metrics.count_response("/health", "GET", 200, 0.1)
    text = metrics.text().decode()
    named = set(re.findall(r"`(convergio_\w+)`", PAGE))
    assert len(named) == 4
    assert {name for name in named if f"\n{name}" not in text} == set()


def test_search_attributes_that_are_named_exist() -> None:
    assert all(f"`{key.name}" in PAGE for key in ALL_ATTRIBUTES)
