"""Whoever collects figures has a key that is good for nothing else."""

from typing import Any

import pytest
from pydantic import SecretStr, ValidationError

from api.http.api_keys import METRICS, key_hash
from runtime.settings import Settings
from tests.api.toy import SECRET, WITH_ADMIN, client, refused, toy_app
from tests.scripted_model import ScriptedModel
from tests.system import ADMIN_KEY, System, running

FIGURES = "cvg_" + "f" * 40
KEYS: dict[str, Any] = {"auth_on": True, "keys": {**WITH_ADMIN, key_hash(FIGURES): METRICS}}


async def test_figures_are_read_with_their_own_key_or_the_admins() -> None:
    async with client(toy_app(**KEYS)) as api:
        for key in (FIGURES, SECRET):
            assert "convergio_http_requests" in (await api.get("/metrics", headers={"x-api-key": key})).text
        refused(await api.get("/metrics"), 401, "UNAUTHORIZED")
        refused(await api.get("/metrics", headers={"x-api-key": FIGURES[:-1]}), 401, "UNAUTHORIZED")


async def test_without_keys_figures_are_open_and_a_wrong_key_is_not_taken() -> None:
    async with client(toy_app(keys={key_hash(FIGURES): METRICS})) as api:
        assert (await api.get("/metrics")).status_code == 200
        assert (await api.get("/metrics", headers={"x-api-key": "cvg_other"})).status_code == 401


async def test_the_key_for_figures_opens_no_other_route(
    system_settings: Settings, scripted_model: ScriptedModel
) -> None:
    keys = {"auth": "keys", "admin_key": ADMIN_KEY, "metrics_key": FIGURES}
    async with running(Settings(**{**system_settings.model_dump(), **keys}), working=False) as system:
        open_ones = {"/health", "/health/live", "/health/ready", "/metrics", "/docs", "/redoc", "/openapi.json"}
        for path, method, media in operations(system):
            is_form = media == "multipart/form-data"
            headers = {"x-api-key": FIGURES, "content-type": f"{media}; boundary=b" if is_form else media}
            answer = await system.http.request(method, path, headers=headers, content="--b--\r\n" if is_form else "{}")
            assert (answer.status_code == 200) is (path in open_ones), (method, path, answer.text)
            assert path in open_ones or answer.status_code in {403, 404, 422}, (method, path, answer.text)


def operations(system: System) -> list[tuple[str, str, str]]:
    """Paths and methods, and the first media type that each takes."""
    paths = system.app.openapi()["paths"]
    return [
        (path, method.upper(), next(iter(described.get("requestBody", {}).get("content", {"application/json": None}))))
        for path, found in paths.items()
        for method, described in found.items()
    ]


@pytest.mark.parametrize("wrong", [{"metrics_key": "figures"}, {"metrics_key": ADMIN_KEY, "admin_key": ADMIN_KEY}])
def test_a_key_for_figures_is_one_of_ours_and_not_the_admins(wrong: dict[str, str]) -> None:
    with pytest.raises(ValidationError, match="CONVERGIO_METRICS_KEY"):
        Settings(**{name: SecretStr(value) for name, value in wrong.items()})
