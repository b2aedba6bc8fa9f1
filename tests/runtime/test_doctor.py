"""The doctor sees what is there and what is not."""

from base64 import b64encode

import psycopg
import pytest
from pydantic import SecretStr

from adapters.postgres.projections.runner import ProjectionRunner
from domain.keys.projection import KeysProjection
from domain.registry import event_registry
from domain.tenants.projection import TenantsProjection
from runtime.doctor.checks import Finding, all_findings
from runtime.doctor.report import examine
from runtime.settings import Settings
from runtime.verbs.key_creation import create_key
from tests.scripted_model import ScriptedModel
from tests.signatures.keys import SECRET, deployment_on


def found(settings: Settings) -> dict[str, Finding]:
    return {finding.what: finding for finding in all_findings(settings)}


@pytest.fixture
def settings(database_url: str, temporal_address: str, redis_url: str, scripted_model: ScriptedModel) -> Settings:
    return Settings(
        database_url=database_url,
        temporal_address=temporal_address,
        redis_url=redis_url,
        openai_base_url=scripted_model.url,
    )


def test_what_answers_is_fine_and_what_never_ran_is_wrong(settings: Settings) -> None:
    assert {what: finding.state for what, finding in found(settings).items()} == {
        "PostgreSQL": "ok",
        "migrations": "ok",
        "projections": "wrong",
        "authentication": "absent",
        "signatures": "absent",
        "Temporal": "ok",
        "search attributes": "ok",
        "workers": "wrong",
        "Valkey": "ok",
        "model": "ok",
    }


def test_a_projection_shows_how_far_it_is_and_what_it_set_aside(settings: Settings) -> None:
    assert settings.database_url is not None
    with psycopg.connect(settings.database_url) as connection:
        connection.execute("INSERT INTO projection_positions (projection, position) VALUES ('costs', 0), ('chats', 0)")
        connection.execute(
            "INSERT INTO projection_dead_letters (projection, position, stream, error) VALUES ('costs', 1, 's', 'e')"
        )
    assert found(settings)["projection chats"] == Finding("projection chats", "ok", "at 0 of 0, 0 behind")
    assert found(settings)["projection costs"].state == "wrong"
    assert "1 events set aside" in found(settings)["projection costs"].detail


def test_the_signing_key_is_named_once_a_process_has_made_it_and_nothing_is_made_by_looking(
    settings: Settings, database_url: str
) -> None:
    signing = settings.model_copy(update={"signing_key": SecretStr(b64encode(SECRET).decode())})
    for _ in range(2):
        assert "the first process" in found(signing)["signatures"].detail
    with deployment_on(database_url) as deployment:
        key_id = deployment.process().prepare()
    assert found(signing)["signatures"] == Finding("signatures", "ok", f"answers are signed by {key_id}")
    other = settings.model_copy(update={"signing_key": SecretStr(b64encode(bytes(32)).decode())})
    assert found(other)["signatures"].state == "wrong"
    assert "does not open" in found(other)["signatures"].detail
    assert found(settings)["signatures"].state == "wrong"
    assert "no process starts" in found(settings)["signatures"].detail


def test_the_mode_of_authentication_and_the_numbers_of_keys_and_tenants_are_said(
    settings: Settings, database_url: str
) -> None:
    off = found(settings)["authentication"]
    assert off.detail.startswith("off in this environment: ")
    assert off.detail.endswith("; 0 of 0 created keys valid, 1 tenants with default")
    create_key(settings, "One", ["read"], "default")
    ProjectionRunner(database_url, event_registry(), [KeysProjection(), TenantsProjection()]).catch_up()
    on = settings.model_copy(update={"auth": "keys"})
    expected = "keys, no tokens of identity providers; 1 of 1 created keys valid, 1 tenants with default"
    assert found(on)["authentication"] == Finding("authentication", "ok", expected)
    on = on.model_copy(update={"oidc_issuers": SecretStr("issuers.yaml")})
    assert "and tokens" in found(on)["authentication"].detail


def test_missing_migrations_are_named(settings: Settings, empty_database_url: str) -> None:
    fresh = settings.model_copy(update={"database_url": empty_database_url})
    assert found(fresh)["migrations"].detail.startswith("missing: 0001")


def test_servers_that_are_away_are_wrong(capsys: pytest.CaptureFixture[str]) -> None:
    nowhere = Settings(
        database_url="postgresql://nobody@127.0.0.1:1/none",
        temporal_address="127.0.0.1:1",
        redis_url="redis://127.0.0.1:1/0",
        openai_base_url="http://127.0.0.1:1/v1",
    )
    assert {finding.state for finding in found(nowhere).values()} == {"wrong"}
    assert examine(nowhere) == 1
    assert capsys.readouterr().out.count("WRONG") == 4


def test_servers_that_nobody_named_are_wrong_and_a_model_can_be_done_without() -> None:
    states = {what: finding.state for what, finding in found(Settings()).items()}
    assert states == {"PostgreSQL": "wrong", "Temporal": "wrong", "Valkey": "wrong", "model": "absent"}
