"""The risk policy is one record in the ledger; nobody goes by another one."""

import asyncio
import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from adapters.files.risk_policy import load_risk_policy
from adapters.postgres.ledger.pool import Database
from adapters.postgres.ledger.recorder import LedgerRecorder
from domain.approvals import policy_record
from domain.approvals.rules import RiskPolicy
from domain.errors import Conflict
from domain.ledger import Ledger
from domain.registry import event_registry
from runtime import temporal
from runtime.processes.api import make_app
from runtime.settings import Settings
from runtime.wiring.parts import make_parts
from tests.approvals.stage import Stage, risks
from tests.approvals.test_keys import policy, started
from tests.system import ADMIN_KEY, running

AT = datetime(2026, 11, 27, tzinfo=UTC)


@pytest.fixture
def ledger(database_url: str) -> Any:
    database = Database(database_url)
    database.open()
    yield Ledger(LedgerRecorder(database), event_registry())
    database.close()


def servers(settings: Settings) -> dict[str, str]:
    return {
        "DATABASE_URL": settings.database_url or "",
        "TEMPORAL_ADDRESS": settings.temporal_address or "",
        "TEMPORAL_NAMESPACE": settings.temporal_namespace,
        "REDIS_URL": settings.redis_url or "",
    }


def test_a_policy_is_a_new_version_only_if_it_is_another_one(ledger: Ledger) -> None:
    assert policy_record.put_in_force(ledger, risks(), "own", AT) == 1
    assert policy_record.put_in_force(ledger, risks(), "own", AT) is None
    assert policy_record.put_in_force(ledger, risks(quorum=2), "own", AT) == 2
    assert policy_record.put_in_force(ledger, risks(), "own", AT) == 3
    assert policy_record.policy_in_force(ledger) == risks()


def test_the_packaged_policy_follows_the_release(ledger: Ledger) -> None:
    assert policy_record.put_in_force(ledger, risks(), "packaged", AT) == 1
    assert policy_record.put_in_force(ledger, risks(expires_after_s=90_000), "packaged", AT) == 2


def test_a_migration_without_the_operators_file_does_not_take_the_operators_rules_away(ledger: Ledger) -> None:
    policy_record.put_in_force(ledger, risks(quorum=2), "own", AT)
    with pytest.raises(Conflict, match="names none"):
        policy_record.put_in_force(ledger, load_risk_policy(), "packaged", AT)
    assert policy_record.policy_in_force(ledger).medium.quorum == 2
    assert policy_record.put_in_force(ledger, load_risk_policy(), "own", AT) == 2


def test_without_a_policy_nothing_is_asked_and_nothing_starts(ledger: Ledger) -> None:
    with pytest.raises(Conflict, match="run convergio migrate"):
        policy_record.policy_in_force(ledger)
    with pytest.raises(Conflict, match="run convergio migrate"):
        policy_record.refuse_other(ledger, load_risk_policy())


@pytest.mark.parametrize(
    "other",
    [
        risks(quorum=2),
        risks(separation=True),
        risks(expires_after_s=90_000),
        risks(deciders=("key_a",)),
        load_risk_policy().model_copy(update={"critical": load_risk_policy().low}),
    ],
    ids=["quorum", "separation", "expiry", "deciders", "another risk"],
)
def test_whoever_has_other_rules_is_refused_whichever_are_stricter(ledger: Ledger, other: RiskPolicy) -> None:
    policy_record.put_in_force(ledger, load_risk_policy(), "own", AT)
    with pytest.raises(Conflict, match="CONVERGIO_RISK_POLICY"):
        policy_record.refuse_other(ledger, other)
    policy_record.put_in_force(ledger, other, "own", AT)
    policy_record.refuse_other(ledger, other)
    with pytest.raises(Conflict, match="CONVERGIO_RISK_POLICY"):
        policy_record.refuse_other(ledger, load_risk_policy())


async def test_a_worker_without_the_operators_file_does_not_start(system_settings: Settings, tmp_path: Path) -> None:
    own = policy(tmp_path / "risk.json", quorum=2)
    given = {**system_settings.model_dump(), "risk_policy": own, "auth": "keys", "admin_key": ADMIN_KEY}
    async with running(Settings(**given), working=False):
        code, said = await asyncio.to_thread(started, tmp_path, "worker", **servers(system_settings))
    assert code == 1
    assert "is not the one in the ledger" in said
    assert "Traceback" not in said


async def test_an_api_with_another_file_does_not_start(system_settings: Settings, tmp_path: Path) -> None:
    async with running(system_settings, working=False):
        other = policy(tmp_path / "risk.json", expires_after_s=7200, remind_after_s=60)
        settings = system_settings.model_copy(update={"risk_policy": other})
        app = make_app(settings, make_parts(settings), await temporal.connect(settings, lazy=True))
        with pytest.raises(Conflict, match="is not the one in the ledger"):
            async with app.router.lifespan_context(app):
                pass


async def test_migrating_puts_the_file_into_force_and_keeps_it(
    system_settings: Settings, empty_database_url: str, tmp_path: Path
) -> None:
    own = policy(tmp_path / "risk.json", quorum=2)
    environment = {**servers(system_settings), "DATABASE_URL": empty_database_url}
    code, said = await asyncio.to_thread(started, tmp_path, "migrate", CONVERGIO_RISK_POLICY=str(own), **environment)
    assert code == 0, said
    line = next(json.loads(each) for each in said.splitlines() if '"migrated"' in each)
    assert line["risk_policy"] == 1
    code, said = await asyncio.to_thread(started, tmp_path, "migrate", **environment)
    assert code == 1
    assert "names none" in said


async def test_what_is_asked_goes_by_the_ledger_at_once(working: Stage) -> None:
    working.risks = risks(expires_after_s=1000, remind_after_s=None)
    activities = working.activities()
    first, second = working.ask(), working.ask()
    ends = (await activities.request_approval(first)).ends_at
    working.risks = risks(expires_after_s=100_000, remind_after_s=None)
    assert ((await activities.request_approval(second)).ends_at - ends).total_seconds() > 90_000
    assert (await activities.request_approval(first)).ends_at == ends
