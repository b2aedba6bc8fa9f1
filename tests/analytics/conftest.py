"""A system with prices, and a day of use on it, lived once for the module that looks at it."""

import json
from pathlib import Path

import pytest
import pytest_asyncio

from runtime.settings import Settings
from tests.analytics.day import Day, prepare
from tests.scripted_model import ScriptedModel
from tests.system import ADMIN_KEY, OF_ACME, OF_ZETA, System, new_namespace, settings_of

PRICES = {"scripted": {"input_per_million": "1", "output_per_million": "3", "from": "2020-01-01"}}
"""A token costs whole millionths, so that sums of what is shown are exact, too."""


@pytest.fixture(scope="module")
def prices(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("prices") / "prices.json"
    path.write_text(json.dumps(PRICES))
    return path


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def shared_settings(
    module_database_url: str, temporal_address: str, valkey_server: str, model_process: ScriptedModel, prices: Path
) -> Settings:
    """Settings of a system whose model costs something."""
    return settings_of(
        database_url=module_database_url,
        temporal_address=temporal_address,
        redis_url=valkey_server,
        model_url=model_process.url,
        namespace=await new_namespace(temporal_address),
        admin_key=ADMIN_KEY,
        prices=prices,
    )


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def day(shared: System, model_process: ScriptedModel) -> Day:
    """A day of the tenant zeta, after one of acme, which is in no figure of zeta's."""
    model_process.reset()
    prepare(model_process)
    await Day(shared, OF_ACME).live()
    lived = Day(shared, OF_ZETA)
    await lived.live()
    return lived
