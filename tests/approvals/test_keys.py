"""Rules that need keys: kept where keys are asked for, refused at start where they are not."""

import asyncio
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from domain.errors import Invalid
from runtime import temporal
from runtime.processes.api import make_app
from runtime.settings import Settings
from runtime.wiring.parts import make_parts
from tests.approvals.conftest import SECRET
from tests.approvals.desk import APPROVALS, desk_of
from tests.servers import ROOT
from tests.system import ADMIN_KEY, running
from workflows.approvals.workflow import ApprovalWorkflow

AS_ADMIN = {"X-API-Key": ADMIN_KEY}


def policy(path: Path, **medium: Any) -> Path:
    path.write_text(json.dumps({"medium": medium}))
    return path


def started(tmp_path: Path, *words: str, **environment: str) -> tuple[int, str]:
    """Exit code and last words of `convergio` in an environment of its own."""
    done = subprocess.run(
        [sys.executable, "-m", "runtime.cli", *words],
        cwd=ROOT,
        env={"PATH": os.environ["PATH"], "CONVERGIO_DATA_DIR": str(tmp_path / "data"), **environment},
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    return done.returncode, done.stderr


@pytest.mark.parametrize("part", ["up", "api"])
def test_rules_that_need_keys_stop_the_start_without(tmp_path: Path, part: str) -> None:
    path = policy(tmp_path / "risk.json", separation=True, quorum=2)
    servers = {"DATABASE_URL": "postgresql://x", "TEMPORAL_ADDRESS": "x:1", "REDIS_URL": "redis://x"}
    code, said = started(tmp_path, part, CONVERGIO_RISK_POLICY=str(path), **servers)
    assert code == 2
    assert "needs CONVERGIO_AUTH=keys: medium requires separation; medium requires a quorum of 2" in said
    assert "Traceback" not in said


@pytest.mark.parametrize("part", ["up", "api", "worker"])
def test_a_policy_that_cannot_be_read_stops_the_start(tmp_path: Path, part: str) -> None:
    code, said = started(tmp_path, part, CONVERGIO_RISK_POLICY=str(tmp_path / "absent.json"))
    assert code == 2
    assert said.startswith("CONVERGIO_RISK_POLICY: ")
    assert "absent.json cannot be read" in said


@pytest.mark.parametrize(
    ("given", "fault"),
    [
        ({"approval_webhook_url": "https://example.org/hook"}, "needs CONVERGIO_APPROVAL_WEBHOOK_SECRET"),
        ({"approval_webhook_url": "ftp://example.org", "approval_webhook_secret": SECRET}, "approval_webhook_url"),
        ({"approval_webhook_secret": "whsec_short"}, "24 to 64 random bytes"),
        ({"approval_webhook_secret": SECRET.removeprefix("whsec_")}, "whsec_"),
    ],
)
def test_webhooks_are_signed_or_not_sent(given: dict[str, str], fault: str) -> None:
    with pytest.raises(ValueError, match=fault):
        Settings(**given)


async def test_no_api_is_made_of_rules_that_it_could_not_keep(system_settings: Settings, tmp_path: Path) -> None:
    path = policy(tmp_path / "risk.json", deciders=["key_a"])
    settings = system_settings.model_copy(update={"risk_policy": path})
    client = await temporal.connect(settings, lazy=True)
    with pytest.raises(Invalid, match="medium names the keys that decide"):
        make_app(settings, make_parts(settings), client)


async def test_with_keys_whoever_asked_does_not_decide(system_settings: Settings, tmp_path: Path) -> None:
    path = policy(tmp_path / "risk.json", separation=True)
    given = {**system_settings.model_dump(), "risk_policy": path, "auth": "keys", "admin_key": ADMIN_KEY}
    async with running(Settings(**given)) as system, desk_of(system) as desk:
        own, _ = await desk.asked(AS_ADMIN, key_id="key_admin")
        assert (await desk.http.get(f"{APPROVALS}/pending")).status_code == 401
        assert (await desk.post(own, "approve")).status_code == 401
        refused = await desk.post(own, "approve", headers=AS_ADMIN)
        assert refused.status_code == 403
        assert "the requester" in refused.json()["error"]["message"]
        other, waiter = await desk.asked(AS_ADMIN, key_id="key_b")
        run = system.temporal.get_workflow_handle_for(ApprovalWorkflow.run, other.approval_id)
        await run.signal("approve", {"by": "key_admin"})
        assert (await run.query(ApprovalWorkflow.state)).status == "pending"
        decided = await desk.post(other, "approve", headers=AS_ADMIN)
        assert (decided.status_code, decided.json()["decided_by"]) == (200, "key_admin")
        assert (await asyncio.wait_for(waiter.result(), 20)).decided.by == "key_admin"
        history = (await desk.http.get(f"{APPROVALS}/{other.approval_id}", headers=AS_ADMIN)).json()["history"]
        assert [step["event"] for step in history] == ["requested", "signal_refused", "decided"]
        assert history[1]["by"] == "claimed:key_admin"
