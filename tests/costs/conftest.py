"""A month's worth of calls, made once for the module that looks at them."""

import json
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio

from runtime.settings import Settings
from tests.scripted_model import ScriptedModel
from tests.system import ADMIN_KEY, System, running

PRICES = {"scripted": {"input_per_million": "0.1", "output_per_million": "0.7", "from": "2020-01-01"}}


@dataclass(frozen=True)
class Spent:
    """A system whose books hold a few calls, the bill for them, and the session they were made in."""

    system: System
    bill: list[dict[str, Any]]
    session_id: str


@pytest.fixture(scope="module")
def prices(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("prices") / "prices.json"
    path.write_text(json.dumps(PRICES))
    return path


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def priced_settings(shared_settings: Settings, prices: Path) -> Settings:
    """Settings of the module's system, with prices that the tests know."""
    return shared_settings.model_copy(update={"prices": prices})


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def spent(priced_settings: Settings, model_process: ScriptedModel) -> AsyncIterator[Spent]:
    model_process.reset()
    async with running(priced_settings) as system:
        session_id = (await system.say("First.")).json()["session_id"]
        await system.say("Second. [[fail 500 1]]", session_id)
        await system.say("Third. [[tokens 90]] [[cut 2 1]]", session_id)
        await system.say("Fourth. [[garbage 1]]", session_id)
        await system.say("Fifth.", agent_id="amy_cfo", headers={"X-API-Key": ADMIN_KEY})
        yield Spent(system, model_process.bill(), session_id)
